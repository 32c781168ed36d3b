"""Known data sets fetched from where they are published, checked by checksum: whole files or none."""

import gzip
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from aftertrace._spelling import nearest
from aftertrace.data._catalogue import CATALOGUE, DatasetInfo, Download, PublishedFile, has_checksum
from aftertrace.data._find import data_folder, places
from aftertrace.errors import DataError

SECONDS = 30
"""A server that is silent for so long counts as gone."""
_CHUNK = 2**16

Progress = Callable[[str, int, int], None]
"""Called as `progress("adult.data: files", done, total)`, in bytes, where the server says how many there are."""


@dataclass(frozen=True)
class Fetched:
    """A whole file of a data set: where it is, and whether this call brought it."""

    file: str
    path: Path
    is_new: bool


def fetch(name: str, *, data_dir: Path | None = None, progress: Progress | None = None) -> list[Fetched]:
    """Download what is absent of a known data set into the data folder, chosen as in `load`.

    Returns all files of the set in the order of the catalogue; none for sets inside scikit-learn.

    - A file is under its name only if it is whole by its checksum. What arrives is kept in a hidden folder inside the
      data folder until then, and that folder goes, whatever happens (but a process that is killed leaves it).
    - A whole file that is there is left alone, and nothing is requested for it.
    - A file of that name with other content, a known subset too, is never replaced: that is an error, before
      anything is requested.
    - Of an archive only the files of the set are unpacked; one with an unsafe path in it is refused.

    Raises `DataError` for a name that is not known, a set that only a person may get (with its source and where to put
    the file), a file with other content, and a transfer that fails: no connection, an answer such as 404, one that
    stops early, or content of another checksum. Files of the set that came before a failure stay, and the next call
    goes on with the others.
    """
    info = _info(name)
    folder = data_folder(data_dir)
    if info.files and not info.downloads:
        raise DataError(_by_hand(info, folder))
    try:
        there = _whole_files([each for download in info.downloads for each in download.files], name, data_dir)
        new: dict[str, Path] = {}
        for download in info.downloads:
            absent = [each for each in download.files if each.file not in there]
            if absent:
                new |= _fetch(download, absent, name, data_dir, progress)
    except OSError as error:
        raise DataError(
            f"{error.filename or folder}: must be readable, and its folder writable with room for the files of {name}, "
            f"got {error.strerror or error}; mend that, or name another folder with `data_dir`."
        ) from error
    return [
        Fetched(each.file, new.get(each.file) or there[each.file], each.file in new)
        for download in info.downloads
        for each in download.files
    ]


def _info(name: str) -> DatasetInfo:
    infos = {info.name: info for info in CATALOGUE}
    if name not in infos:
        raise DataError(f"A data set to fetch must be one of {', '.join(infos)}; got {name!r}{nearest(name, infos)}.")
    return infos[name]


def _by_hand(info: DatasetInfo, folder: Path) -> str:
    default = folder / info.files[0].file
    return (
        f"{info.name}: must be fetched by hand from {info.source} ({info.licence}): aftertrace may not. Put the table "
        f"(.csv or .csv.gz) in {default.parent}, and name it with data.file unless it is called {default.name}."
    )


def _whole_files(files: Sequence[PublishedFile], name: str, data_dir: Path | None) -> dict[str, Path]:
    """Where whole files are. Raises `DataError` if something else has the name of one."""
    whole: dict[str, Path] = {}
    others = []
    for each in files:
        path = next((place for place in places(each.file, data_dir) if os.path.lexists(place)), None)
        if path is None:
            continue
        if path.is_file() and has_checksum(path, each.checksum):
            whole[each.file] = path
        else:
            others.append(str(path))
    if others:
        raise DataError(
            f"{name}: must be absent or as published, and {', '.join(others)} "
            f"{'is' if len(others) == 1 else 'are'} neither (a subset, an edited or a damaged file); nothing is "
            f"overwritten: move what is there away, or name another folder with `data_dir`."
        )
    return whole


def _fetch(
    download: Download, absent: Sequence[PublishedFile], name: str, data_dir: Path | None, progress: Progress | None
) -> dict[str, Path]:
    """Bring the absent files of one address under their names."""
    folder = data_folder(data_dir)
    with _scratch(folder) as scratch:
        try:
            arrived = scratch / "arrived"
            _transfer(download.url, arrived, progress)
            if download.archive is None:
                parts = {absent[0]: arrived}
            else:
                _check(arrived, download.archive, "it")
                parts = _unpacked(arrived, absent, scratch)
            for part, path in parts.items():
                _check(path, part.checksum, "it" if download.archive is None else f"its {part.file}")
        except _FailedError as error:
            raise DataError(
                f"{download.url}: {error}; nothing of it was kept. Try again later, or get "
                f"{', '.join(each.file for each in absent)} by another way and put it in {folder}."
            ) from error
        _whole_files(absent, name, data_dir)  # others may have come meanwhile
        for part, path in parts.items():
            target = folder / part.file
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
    return {part.file: folder / part.file for part in parts}


class _FailedError(Exception):
    """What an address must give, and what came."""


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for unfinished files, on the disk of the data folder. What was made for nothing is removed again."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
            yield Path(scratch)
    finally:
        for each in made:
            with suppress(OSError):  # it holds files now
                each.rmdir()


@dataclass
class _Meter:
    """A progress bar as pooch wants it. `total` is set once an answer begins; 0: the server does not say."""

    label: str
    progress: Progress | None
    total: int | None = None
    done: int = field(default=0, init=False)

    def update(self, n: int) -> None:
        if self.progress is not None and self.total:
            self.done = min(self.done + n, self.total)  # pooch counts the last chunk as a full one
            self.progress(self.label, self.done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Nothing is open."""


def _transfer(url: str, path: Path, progress: Progress | None) -> None:
    import pooch
    from requests import RequestException, Response

    meter = _Meter(f"{PurePosixPath(url).name}: files", progress)
    # as stored: a server that packs or unpacks on the way would change the checksum
    headers = {"Accept-Encoding": "identity"}
    with ExitStack() as answers, path.open("wb") as file:

        def keep(answer: Response, **_: object) -> None:
            """Have the connection closed in the end: pooch leaves that of a failed answer open."""
            answers.callback(answer.close)

        downloader = pooch.HTTPDownloader(
            progressbar=meter, chunk_size=_CHUNK, timeout=SECONDS, headers=headers, hooks={"response": keep}
        )
        try:
            downloader(url, file, None)
        except RequestException as error:
            raise _FailedError(_reason(error, meter.total)) from error


def _reason(error: Exception, total: int | None) -> str:
    from requests.exceptions import HTTPError, SSLError, Timeout

    match error:
        case HTTPError(response=answer) if answer is not None:
            return f"must give a file, and the server answered {answer.status_code} {answer.reason}"
        case _ if total is not None:
            return f"must give the whole file{f' of {total} bytes' if total else ''}, and stopped before its end"
        case SSLError():
            return "must be a server that can be trusted, and its certificate cannot be checked"
        case Timeout():
            return f"must answer within {SECONDS} s, and did not"
        case _:
            return "must be reachable, and there is no connection to it (is this machine online?)"


def _check(path: Path, checksum: str, what: str) -> None:
    if not has_checksum(path, checksum):
        raise _FailedError(
            f"{what} must have the checksum {checksum}, and the {path.stat().st_size} bytes that came have another "
            f"(cut, changed on the way, or a new edition)"
        )


def _unpacked(archive: Path, wanted: Sequence[PublishedFile], scratch: Path) -> dict[PublishedFile, Path]:
    """The wanted files of a tar archive, in names of our own. Its paths are compared and never followed."""
    by_name = {each.file: each for each in wanted}
    parts: dict[PublishedFile, Path] = {}
    try:
        with tarfile.open(archive, "r:gz") as packed:
            for member in packed:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise _FailedError(f"must be an archive of paths inside a folder, and holds {member.name!r}")
                part = by_name.get(str(path))
                if part is None:
                    continue
                content = packed.extractfile(member) if member.isreg() and part not in parts else None
                if content is None:
                    raise _FailedError(f"must hold {path} once, as a plain file, and holds it otherwise")
                parts[part] = scratch / f"part-{len(parts)}"
                with content, parts[part].open("wb") as file:
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _FailedError(f"must be an archive in tar.gz, and cannot be read as one ({error})") from error
    absent = [each.file for each in wanted if each not in parts]
    if absent:
        raise _FailedError(f"must be an archive with {', '.join(absent)} in it, and has no such file")
    return parts
