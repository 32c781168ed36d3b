"""Pickles and files of joblib, which run code of whoever made them."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from aftertrace.errors import InputError
from aftertrace.models._files import file_digest, first_line, notes_of
from aftertrace.models._living import living_model
from aftertrace.models._protocol import Floats, Model, Noted
from aftertrace.models._records import Records

WARNING = (
    "it was read from a pickle (`trust_pickle=True`), which can run any code of whoever made it: do so only with "
    "files of people you trust. skops, ONNX and torch.export keep models without code."
)


@dataclass(frozen=True, eq=False)
class PickledModel:
    """A living `model` that came from a file."""

    model: Model
    fingerprint: str
    notes: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...] | None:
        """As the model says."""
        return self.model.classes

    def answer(self, records: Records) -> Floats:
        """As the model does."""
        return self.model.answer(records)


def open_pickle(path: Path, *, trusted: bool) -> PickledModel:
    """The model in a pickle or a file of joblib. Unless it is `trusted`, raises `InputError` before a byte is read.

    Raises `InputError` too where the file is damaged, or needs what is not installed.
    """
    if not trusted:
        raise InputError(
            f"{path}: is a pickle, and reading one runs code of whoever made it; it was not read. If you trust it, say "
            f"`trust_pickle=True`, or save the model with skops.io.dump instead."
        )
    import joblib

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = joblib.load(path)
        except (Exception, SystemExit) as error:  # a pickle can fail with anything
            raise InputError(
                f"{path}: cannot be read ({type(error).__name__}: {first_line(error)}). Is all installed that it was "
                f"saved with?"
            ) from error
    model = living_model(found)
    said = model.notes if isinstance(model, Noted) else ()
    return PickledModel(model, file_digest(path), (WARNING, *notes_of(caught), *said))
