"""What a trainer is: rows of `keep` in, as many models out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from aftertrace.data import Frame


class Seeding(StrEnum):
    """Where the randomness of retraining comes from. Part of the experiment, never a detail."""

    FRESH = "fresh"  # a new stream for every version: differences carry training noise
    SAME = "same"  # the original's stream again: what a fixed `random_state` does
    COUPLED = "coupled"  # the original's stream, keyed by record: only what a deletion changes is drawn anew


class Promise(StrEnum):
    """In what sense training many rows together equals training each alone."""

    EXACT = "exact"
    TOLERANCE = "tolerance"  # within 1e-8 in posteriors
    DISTRIBUTION = "distribution"


ALLOWED = {Promise.EXACT: 1e-12, Promise.TOLERANCE: 1e-8}
"""How far posteriors of models trained together may be from those trained alone."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Records to train on. `x` [N, F], `label` [N] int in `0..K-1`, `n_classes` K, `weight` [N] or all equal.

    `frame`: how `x` is read back as a table, for trainers whose models take tables; others take the numbers.
    """

    x: NDArray[np.float64]
    label: NDArray[np.int64]
    n_classes: int
    weight: NDArray[np.float64] | None = None
    frame: Frame | None = None


class Models(Protocol):
    """Trained models, numbered from 0.

    `counts` says what a reader of the figures must know of the training, such as how many models stopped
    before they converged; counts of several units of work are added up. `worst`: what is reported as the largest
    over all models, such as the last step of a solver.
    """

    @property
    def counts(self) -> Mapping[str, int]: ...

    @property
    def worst(self) -> Mapping[str, float]: ...

    def __len__(self) -> int: ...

    def log_posteriors(self, x: NDArray[np.float64], model: NDArray[np.int64]) -> NDArray[np.floating]:
        """Log posterior of `x` [Q, F] by model number `model` [Q]. -> [Q, K]; `-inf` for classes never seen."""
        ...


@dataclass(frozen=True, eq=False)
class Base:
    """Models trained earlier by the same trainer: row m of `keep` differs little from model `row[m]`. [M] int"""

    models: Models
    row: NDArray[np.int64]


@runtime_checkable
class Saveable(Protocol):
    """Models that can be kept as arrays."""

    def parameters(self, model: int) -> Mapping[str, NDArray[np.generic]]:
        """Everything that one model's answers depend on, by name."""
        ...


class Trainer(Protocol):
    """A way to train classifiers. A specification: frozen, hashable by `aftertrace._hashing.digest`.

    Guarantees, checked by `aftertrace.trainers.conformance`: the result of a row depends on that row of `keep`
    and its stream only, not on the other rows, and equals training it alone in the sense of `promise`; the
    order of records is kept; inputs are unchanged; equal streams give equal models; `base` is a place to
    start from and changes no result beyond `promise`.
    """

    @property
    def promise(self) -> Promise: ...

    @property
    def seedings(self) -> frozenset[Seeding]:
        """The seedings that this trainer supports."""
        ...

    def fit(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> Models:
        """Train one model on the records of each row of `keep` [M, N], with one stream of randomness each."""
        ...


@runtime_checkable
class Certified(Protocol):
    """A trainer with a slow twin that a run's certificate retrains some models with."""

    def reference(self) -> Trainer:
        """Trains what this trainer does, in the most obvious way."""
        ...


@runtime_checkable
class Shortened(Protocol):
    """A certified trainer that is compared on a schedule so short that rounding has no time to grow."""

    def short(self) -> Trainer | None:
        """The same trainer on that schedule, which must be certified too; None if no schedule is short enough."""
        ...


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of a call of `Trainer.fit`: `records` in a row, `features`, `classes`, and `models`, the rows."""

    records: int
    features: int
    classes: int
    models: int


@runtime_checkable
class Bounded(Protocol):
    """A trainer that says how much memory it takes, so that not too many of its calls run at once."""

    def working_bytes(self, size: Size) -> int:
        """About the most that a call of `fit` and its models hold, beside its arguments."""
        ...


@runtime_checkable
class Continuing(Protocol):
    """A trainer that can go on from models trained earlier, with other records: the way there is part of the result."""

    def staged(self, stages: int) -> Trainer:
        """The same trainer for one of so many stages on growing records, which together take as long as one."""
        ...

    def go_on(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        start: Sequence[tuple[Models, int]],
    ) -> Models:
        """As `Trainer.fit`; row m starts from model number `start[m][1]` of `start[m][0]`."""
        ...


Adjacency = Literal["add_remove", "substitution"]


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """(`epsilon`, `delta`)-differential privacy of a single model.

    `adjacency`: for a record that is added or removed, or for one substituted by another. `account`: how epsilon was
    computed, in a few words.
    """

    epsilon: float
    delta: float
    adjacency: Adjacency
    account: str


@runtime_checkable
class Private(Protocol):
    """A trainer of differentially private models. It draws fresh noise for every model and supports no other seeding:
    noise that versions share cancels in their difference.
    """

    def guarantee(self, size: Size) -> Guarantee:
        """What holds for each model alone, trained on `size.records` records."""
        ...
