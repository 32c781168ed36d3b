"""Models behind HTTP."""

import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import numpy as np

from aftertrace.errors import InputError, TrainingError
from aftertrace.models._http_address import shown
from aftertrace.models._http_cache import Cache, open_cache
from aftertrace.models._http_json import fill, placeholder_of, rows_of, texts_of
from aftertrace.models._http_send import Pace, Sender, import_httpx, open_sender
from aftertrace.models._http_settings import Settings, read_settings, settings_of
from aftertrace.models._protocol import Floats
from aftertrace.models._records import Records

_CHECKED = 8
"""Records that an endpoint is asked about again, to see whether answers hold."""
_TOLERANCE = 1e-6
"""Answers in another batch may differ by rounding, in float32."""

Questions: TypeAlias = Mapping[bytes, str]
Answers: TypeAlias = Mapping[bytes, Floats]
Progress = Callable[[str, int, int], None]
"""Called as `progress("https://models.example.com/score", done, total)`, in records that are new to the cache."""


def open_endpoint(reference: str | Path, *, cache: Path | None = None, progress: Progress | None = None) -> "Endpoint":
    """The model at an address, or that an endpoint file (.toml) describes. Nothing is asked yet.

    An address alone is sent `{"instances": [[...], ...]}` and must answer `{"predictions": [[...], ...]}`, as
    TensorFlow Serving and version 1 of KServe do. `cache` is a folder for answers, by default `aftertrace/answers` in
    the user's cache. Raises `ExperimentError` with all that is wrong in the settings, absent variables of the
    environment too, and `InputError` without httpx.
    """
    text = str(reference)
    if re.match(r"https?://", text, re.IGNORECASE):
        settings = settings_of({"url": text}, source="endpoint")
    elif text.lower().endswith(".toml"):
        settings = read_settings(Path(text))
    else:
        raise InputError(f"An endpoint must be an address (https://...) or a file ending in .toml, got {text[:80]!r}.")
    import_httpx()
    return Endpoint(settings, settings.resolved_headers(), folder=cache or _cache_folder(), progress=progress)


def _cache_folder() -> Path:
    import pooch

    return Path(pooch.os_cache("aftertrace")) / "answers"


class Endpoint:
    """A model behind HTTP, which keeps what it was answered.

    - A question is sent once: answers are on disk after every request, whatever happens then.
    - No more than `budget` records are sent; what would exceed it is refused before any is sent.
    - A few records are asked about again. Answers that change are noted; where kept answers no longer hold, and new
      ones do, another model has come to the address, which is an error. Only where all answers are kept and the
      endpoint file names a `version` is nothing sent at all.
    """

    def __init__(
        self, settings: Settings, headers: Mapping[str, str], *, folder: Path, progress: Progress | None = None
    ) -> None:
        self._settings = settings
        self._headers = headers
        self._where = shown(settings.url)
        self._placeholder = placeholder_of(settings.request)
        host = re.sub(r"[^\w.-]", "_", urlsplit(settings.url).hostname or "")
        self._path = folder / f"{host}-{settings.identity[:16]}.sqlite"
        self._pace = Pace(settings.per_second)
        self._progress = progress
        self._sent = 0
        self._checked = 0
        self._seen: set[bytes] = set()
        self._largest_change = 0.0

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, where the endpoint file gives them."""
        return self._settings.classes

    @property
    def fingerprint(self) -> str:
        """The address without its query, and a digest of all settings that decide an answer; no secret."""
        return f"{self._where} {self._settings.identity}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the answers so far."""
        if not self._largest_change:
            return ()
        return (
            f"The endpoint gave other answers when asked again about the same records, by up to "
            f"{self._largest_change:.2g}: they are partly chance, or several models answer in turn.",
        )

    def check_budget(self, records: Records) -> None:
        """Raises `InputError` if answers to `records` would exceed the budget. Nothing is sent."""
        questions = dict(self._questions(records))
        with open_cache(self._path) as cache:
            self._plan(questions, cache.get(questions))

    def answer(self, records: Records) -> Floats:
        """What it says of each record [Q, K], from the cache where it has been asked before.

        Raises `InputError` for records that JSON cannot hold or that exceed the budget, `TrainingError` if the endpoint
        fails or has changed, `StoreError` if the cache cannot be used.
        """
        order = self._questions(records)
        questions = dict(order)  # equal records are one question
        with open_cache(self._path) as cache:
            answers = cache.get(questions)
            plan = self._plan(questions, answers)
            if plan.new or plan.again:
                with open_sender(self._settings, self._headers, self._pace) as sender:
                    answers |= self._carry_out(plan, sender, cache, answers)
        self._seen.update(questions)
        return np.stack([answers[key] for key, _ in order])

    def _questions(self, records: Records) -> list[tuple[bytes, str]]:
        """Each record as it is sent, with its digest: keyed by the settings, so that none serves another endpoint."""
        key = self._settings.identity.encode()
        texts = texts_of(records, self._placeholder)
        return [(hmac.digest(key, text.encode(), "sha256"), text) for text in texts]

    def _plan(self, questions: Questions, answers: Answers) -> "_Plan":
        """What is to be sent. Raises `InputError` where that exceeds the budget."""
        new = {key: text for key, text in questions.items() if key not in answers}
        kept = [key for key in answers if key not in self._seen]  # by another object, perhaps of another model
        vouched = self._settings.version and not new  # by who named the version; nothing new will stand beside them
        doubtful = [] if vouched else kept
        again = _some(questions, doubtful or list(new), _CHECKED - self._checked)
        plan = _Plan(new, again, bool(doubtful))
        left = self._settings.budget - self._sent
        if len(new) + plan.most_checked > left:
            raise InputError(
                f"{self._where}: the budget must cover {len(new)} records and {plan.most_checked} more to see whether "
                f"answers hold, and of {self._settings.budget} it has {left} left. None of them was sent; "
                f"{len(answers)} answers are kept. Raise 'budget' in the endpoint file, or bring fewer records."
            )
        return plan

    def _carry_out(self, plan: "_Plan", sender: Sender, cache: Cache, answers: Answers) -> dict[bytes, Floats]:
        """The new answers, kept as they come, and a check of some."""
        width = _width(answers)
        if plan.is_doubtful:
            self._check_kept(sender, plan.again, answers, width)
        answered: dict[bytes, Floats] = {}
        for batch in self._ask(sender, plan.new, width):
            cache.put(batch)
            answered |= batch
            if self._progress is not None:
                self._progress(self._where, len(answered), len(plan.new))
        if not plan.is_doubtful:
            again = _together(self._ask(sender, plan.again, _width(answered)))
            self._largest_change = max(self._largest_change, _change(again, answered))
        self._checked += len(plan.again)
        return answered

    def _check_kept(self, sender: Sender, questions: Questions, answers: Answers, width: int | None) -> None:
        """Whether kept answers hold: if not, the model is another one by now, unless it contradicts itself."""
        fresh = _together(self._ask(sender, questions, width))
        change = _change(fresh, answers)
        if not change:
            return
        if not _change(_together(self._ask(sender, questions, width)), fresh):
            raise TrainingError(
                f"{self._where} must answer as when its answers were kept, and differs by up to {change:.2g}: another "
                f"model has come to that address. Say in the endpoint file which one you mean ('version'), or delete "
                f"{self._path} to ask all again."
            )
        self._largest_change = max(self._largest_change, change)

    def _ask(self, sender: Sender, questions: Questions, width: int | None) -> Iterator[dict[bytes, Floats]]:
        """Answers from the endpoint itself, a request at a time; all rows must be as wide, `width` if it is known."""
        settings = self._settings
        single = not self._placeholder.endswith("s")
        size = 1 if single else settings.batch
        order = list(questions)
        for first in range(0, len(order), size):
            keys = order[first : first + size]
            self._sent += len(keys)
            answer = sender.send(fill(settings.request, [questions[key] for key in keys]))
            rows = rows_of(
                answer, settings.response, n=len(keys), single=single, classes=settings.classes, where=self._where
            )
            self._check_width(rows.shape[1], width)
            width = rows.shape[1]
            yield dict(zip(keys, rows, strict=True))

    def _check_width(self, got: int, known: int | None) -> None:
        if known is not None and got != known:
            raise TrainingError(f"{self._where} must give rows of one length, and gave {known} numbers, then {got}.")
        classes = self.classes
        if classes is not None and got != len(classes) and (got, len(classes)) != (1, 2):
            raise TrainingError(
                f"{self._where} must give a number for each of the {len(classes)} classes of its endpoint file, and "
                f"gave {got}; check 'classes' and 'response'."
            )


@dataclass(frozen=True)
class _Plan:
    """Questions to send: `new` ones, and those to ask `again`; doubtful ones have answers kept by another object."""

    new: Questions
    again: Questions
    is_doubtful: bool

    @property
    def most_checked(self) -> int:
        """How many questions the check sends at most: doubtful ones twice, if their answers differ."""
        return len(self.again) * (2 if self.is_doubtful else 1)


def _width(answers: Answers) -> int | None:
    return len(next(iter(answers.values()))) if answers else None


def _together(batches: Iterable[dict[bytes, Floats]]) -> dict[bytes, Floats]:
    return {key: row for batch in batches for key, row in batch.items()}


def _some(questions: Questions, keys: Sequence[bytes], most: int) -> dict[bytes, str]:
    """At most so many of the questions, spread over `keys`."""
    step = max(1, len(keys) // _CHECKED)
    return {key: questions[key] for key in keys[::step][:most]}


def _change(fresh: Answers, answers: Answers) -> float:
    """By how much fresh answers differ from earlier ones; 0 where they only differ by rounding."""
    pairs = [(row, answers[key]) for key, row in fresh.items()]
    if all(np.allclose(row, earlier, rtol=_TOLERANCE, atol=_TOLERANCE) for row, earlier in pairs):
        return 0.0
    return max(float(np.abs(row - earlier).max()) for row, earlier in pairs)
