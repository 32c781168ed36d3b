"""What a living model of somebody else's is."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from aftertrace.models._records import Records

Floats = NDArray[np.float64]


@runtime_checkable
class Model(Protocol):
    """A trained model, as an outsider asks it."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes in the order of its answers; None where it does not say."""
        ...

    @property
    def fingerprint(self) -> str:
        """What was opened: the SHA-256 of a file, or an import path or address. For the manifest."""
        ...

    def answer(self, records: Records) -> Floats:
        """What it says of each record: probabilities or logits [Q, K], or one score each [Q, 1].

        Raises `InputError` where the records do not suit it, `TrainingError` where it fails to answer.
        """
        ...


@runtime_checkable
class Noted(Protocol):
    """What a model may also say."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how it was opened and how it answered, a sentence each."""
        ...


@runtime_checkable
class Budgeted(Protocol):
    """What a model may also say: whether it may be asked so much."""

    def check_budget(self, records: Records) -> None:
        """Raises `InputError` where answers to `records` would exceed its budget. Nothing is sent."""
        ...
