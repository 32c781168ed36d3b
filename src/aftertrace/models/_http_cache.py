"""Answers of an endpoint on disk, so that no question is paid for twice."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from aftertrace.errors import StoreError
from aftertrace.models._protocol import Floats

_SECONDS = 60
"""How long another process may be writing."""
_TABLE = "CREATE TABLE IF NOT EXISTS answers (question BLOB PRIMARY KEY, answer BLOB, seal BLOB) WITHOUT ROWID"


class Cache:
    """Answers [K] by the digest of what was asked; no record is in it. Use `open_cache`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, questions: Iterable[bytes]) -> dict[bytes, Floats]:
        """The answers that there are. One that is damaged counts as none."""
        answers = {}
        for question in questions:
            query = self._connection.execute("SELECT answer, seal FROM answers WHERE question = ?", (question,))
            row = query.fetchone()
            if row is not None and _seal(question, row[0]) == row[1]:
                answers[question] = np.frombuffer(row[0], dtype="<f8").astype(np.float64)
        return answers

    def put(self, answers: Mapping[bytes, Floats]) -> None:
        """Keep answers: all of these or, if the process is killed meanwhile, none."""
        content = {question: answer.astype("<f8").tobytes() for question, answer in answers.items()}
        rows = [(question, answer, _seal(question, answer)) for question, answer in content.items()]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows)


@contextmanager
def open_cache(path: Path) -> Iterator[Cache]:
    """The cache of a file, which is made if it is absent (0600). Raises `StoreError` if it cannot be used."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise _unusable(path, error.strerror) from error
    try:
        with closing(sqlite3.connect(path, timeout=_SECONDS)) as connection:
            connection.execute(_TABLE)
            yield Cache(connection)
    except sqlite3.OperationalError as error:
        raise _unusable(path, error) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{path}: must be a file of kept answers, and is damaged ({error}). Delete it: what it held is asked again."
        ) from error


def _unusable(path: Path, reason: object) -> StoreError:
    return StoreError(
        f"{path}: must be a file for answers that can be written, got: {reason}. Make room or mend its rights; another "
        f"folder is named with `cache` in Python, and with XDG_CACHE_HOME elsewhere."
    )


def _seal(question: bytes, answer: object) -> bytes | None:
    """What shows that an answer is whole, and of that question."""
    return hashlib.sha256(question + answer).digest() if isinstance(answer, bytes) else None
