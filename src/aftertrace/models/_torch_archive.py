"""The zip archives that torch writes, read without torch: nothing in them is unpickled or run."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from aftertrace.errors import InputError
from aftertrace.posteriors._archives import archive_names


def read_archive(path: Path) -> Mapping[str, bytes]:
    """Names of members, without the folder that torch puts them in, and their contents.

    Raises `InputError` for what is no archive, is damaged, would fill the memory or has two members of one name.
    """
    names = [name.partition("/")[2] or name for name in archive_names(path)]
    if len(set(names)) != len(names):
        raise InputError(f"{path}: has two members of one name: two readers could read two models. Save it again.")
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(each) for name, each in zip(names, archive.infolist(), strict=True)}
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path}: is damaged or encrypted ({error}). Save the model again.") from error
