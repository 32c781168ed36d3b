"""Files of models: their digest, what they hold by their first bytes, and what is said when they are read."""

import hashlib
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

from aftertrace.errors import InputError
from aftertrace.posteriors._archives import archive_names
from aftertrace.posteriors._readable import check_start, is_pickle


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_line(error: BaseException | Warning | str) -> str:
    """The first line of an error's text, without its full stop; its name where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")


def check_no_pickle(path: Path) -> None:
    """Raises `InputError` for a pickle under another name, an archive with one, or no model at all; runs nothing."""
    check_start(path)
    if is_pickle(path) or _is_torch_pickle(path):
        raise InputError(
            f"{path}: holds a pickle under another name, which would run code of whoever made it; it was not read. If "
            f"you trust it, call it .pkl and say `trust_pickle=True`; weights of torch belong to their code: "
            f"package.module:factory@{path.name}."
        )


def _is_torch_pickle(path: Path) -> bool:
    """Whether a zip archive is one of `torch.save`: a pickle in it, and not the code of a TorchScript model."""
    if not zipfile.is_zipfile(path):
        return False
    names = archive_names(path)
    return any(name.endswith("data.pkl") for name in names) and not any("/code/" in name for name in names)


def notes_of(caught: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """A sentence for each different warning that came while a model was read."""
    from sklearn.exceptions import InconsistentVersionWarning

    notes: dict[str, None] = {}
    for each in caught:
        message = each.message
        if isinstance(message, InconsistentVersionWarning):
            notes[
                f"it was saved with scikit-learn {message.original_sklearn_version} and read with "
                f"{message.current_sklearn_version}: its answers may differ from those it gives where it is in use."
            ] = None
        else:
            notes[f"when it was read: {first_line(str(message))}."] = None
    return tuple(notes)
