"""Compressed files of others: how large they would become."""

import zipfile
from pathlib import Path

from aftertrace.errors import DataError

MOST_BYTES = 4 * 2**30
"""Size of an unpacked file that is read."""
PLAIN_BYTES, MOST_RATIO = 256 * 2**20, 200
"""Beyond so many bytes, a file may unpack to so many times its own size."""


def archive_names(path: Path) -> list[str]:
    """The names in a zip archive that is safe to unpack; nothing is unpacked here.

    Sizes are those that the archive states: readers take no more than these. Raises `DataError` where the file is no
    zip archive, or would become too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{path}: must be a zip archive, as all {path.suffix} files are ({error}).") from error
    check_unpacked(path, sum(entry.file_size for entry in entries))
    return [entry.filename for entry in entries]


def check_unpacked(path: Path, size: int) -> None:
    """Raises `DataError` where `size`, what a file becomes in memory, is too much for it."""
    own = path.stat().st_size
    if size > most_unpacked(own):
        raise DataError(
            f"{path}: would become {size / 2**20:.0f} MiB when unpacked, from {own / 2**20:.1f} MiB: too much for an "
            f"honest file. If it is one, save it without compression, in parts of at most {MOST_BYTES // 2**30} GiB."
        )


def most_unpacked(own: int) -> int:
    """Bytes that a file of `own` bytes may become."""
    return min(MOST_BYTES, max(PLAIN_BYTES, MOST_RATIO * own))
