"""Files that are there whole or not at all."""

import errno
import os
import tempfile
from pathlib import Path

from aftertrace.errors import StoreError

_PREFIX = ".unfinished-"


def write_atomically(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write to a unique name, flush to disk, rename. Raises `StoreError` where the disk says no."""
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o600 if private else 0o644)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def remove_file(path: Path) -> None:
    """Remove a file, if there is one; links and what is no plain file stay. Raises `StoreError` if that cannot be."""
    try:
        if path.is_file() and not path.is_symlink():
            path.unlink()
    except OSError as error:
        raise unwritable(path, error) from error


def make_folder(path: Path) -> None:
    """Create a folder and those above it. Raises `StoreError` where that cannot be done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left; files of living ones stay."""
    for path in folder.glob(f"{_PREFIX}*"):
        owner = path.name.removeprefix(_PREFIX).split("-")[0]
        if not (owner.isdigit() and _alive(int(owner))):
            path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def unwritable(path: Path, error: OSError) -> StoreError:
    """What is said where the disk says no."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"{path}: no space left on the disk. Make room and run the same command again: what a run finished is kept."
        )
    return StoreError(f"{path}: cannot be written ({error.strerror}). Choose another folder.")
