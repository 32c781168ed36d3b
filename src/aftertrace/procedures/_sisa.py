"""SISA training: many models on shards of the records, of which forgetting trains one anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.procedures._protocol import State
from aftertrace.trainers import Base, Continuing, Models, Saveable, Seeding, Trainer, TrainingData

ASSIGN, TRAIN = range(2)  # children of a row's stream, by meaning; appended, never renumbered
ABSENT = -1
Aggregate = Literal["mean", "vote"]
_NUMBERS_AT_ONCE = 2**21  # of records sent to the shards: every shard gets a copy of its own


@dataclass(frozen=True, eq=False)
class SisaModels:
    """Ensembles: shard s of model m is model `number[m, s]` of `parts[part[m, s]]`. [M, S]

    `counts` and `worst` are of what the last step trained.
    """

    parts: tuple[Models, ...]
    part: NDArray[np.int64]
    number: NDArray[np.int64]
    aggregate: Aggregate
    counts: Mapping[str, int]
    worst: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.part)

    def log_posteriors(self, x: NDArray[np.float64], model: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log of the mean of the shards' posteriors, or of the share of shards that vote for the class. [Q, F] -> [Q,
        K]

        A shard that has not seen a class gives it 0; a shard votes for the first of equally likely classes.
        """
        step = max(1, _NUMBERS_AT_ONCE // (self.part.shape[1] * x.shape[1]))
        blocks = [slice(start, start + step) for start in range(0, max(1, len(x)), step)]
        return np.concatenate([self._answers(x[block], model[block]) for block in blocks])

    def _answers(self, x: NDArray[np.float64], model: NDArray[np.int64]) -> NDArray[np.float64]:
        S = self.part.shape[1]
        part, number = self.part[model].ravel(), self.number[model].ravel()  # query after query, shard after shard
        query = np.repeat(np.arange(len(x)), S)
        total: NDArray[np.float64] | None = None
        for p in np.unique(part):
            rows = np.flatnonzero(part == p)
            answers = np.exp(self.parts[p].log_posteriors(x[query[rows]], number[rows]).astype(np.float64))
            if self.aggregate == "vote":
                answers = np.eye(answers.shape[1])[answers.argmax(axis=1)]
            total = np.zeros((len(x), answers.shape[1])) if total is None else total
            np.add.at(total, query[rows], answers)
        assert total is not None
        with np.errstate(divide="ignore"):
            return np.log(total / total.sum(axis=1, keepdims=True))

    def parameters(self, model: int) -> dict[str, NDArray[np.generic]]:
        """The arrays of every shard, as `shard/name`. Raises `UnsupportedError` where the shards' models have none."""
        arrays: dict[str, NDArray[np.generic]] = {}
        for s, (p, number) in enumerate(zip(self.part[model], self.number[model], strict=True)):
            models = self.parts[p]
            if not isinstance(models, Saveable):
                raise UnsupportedError(f"{type(models).__name__} has no arrays to keep; leave `keep_models` out.")
            arrays |= {f"{s}/{name}": value for name, value in models.parameters(int(number)).items()}
        return arrays


@dataclass(frozen=True, eq=False)
class Sharded:
    """The state of `Sisa`: `shard`, `slice` [M, N] of every record (-1: not in), and where the checkpoints are.

    `part`, `number` [R, M, S]: after slice r, shard s of model m is model `number` of `parts[part]`.
    """

    models: SisaModels
    shard: NDArray[np.int16]
    slice: NDArray[np.int16]
    part: NDArray[np.int64]
    number: NDArray[np.int64]


@dataclass(frozen=True)
class Sisa:
    """Sharded, isolated, sliced and aggregated training (L. Bourtoule et al., *Machine Unlearning*, IEEE S&P 2021,
    arXiv 1912.03817): a model on each of `shards` parts of the records, whose answers are averaged ("mean", as the
    released code of arXiv 2005.02205) or that vote.

    Records are dealt to shards of equal size by the original's stream, and stay where they are; records that join go to
    the smallest shard, the first of equal ones. To forget, the shards that held the records are trained anew; all
    others keep their models. With `slices`, a shard is trained on its first slice, goes on with the first two, and so
    on, from the checkpoint of each; forgetting goes on from the checkpoint before the touched slice. That needs a
    trainer that can go on (networks); those that solve anew gain nothing by it, and are refused. A stage has 2 e /
    (slices + 1) of the trainer's e epochs, so that the work is that of one training (section IV.B of the paper); it
    begins with new moments of the optimiser, and its columns are scaled on its own records.

    With `seeding` "same" a shard draws the original's numbers again. Raises `UnsupportedError` for a seeding or slices
    that the trainer cannot do, `ValueError` for numbers below 1; `learn` and `forget` raise `TrainingError` where a
    shard has no records.
    """

    trainer: Trainer
    shards: int = 10
    slices: int = 1
    aggregate: Aggregate = "mean"
    seeding: Seeding = Seeding.FRESH

    def __post_init__(self) -> None:
        for name in ("shards", "slices"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.aggregate not in ("mean", "vote"):
            raise ValueError(f"`aggregate` must be 'mean' or 'vote', got {self.aggregate!r}.")
        if self.seeding not in self.trainer.seedings:
            known = ", ".join(sorted(self.trainer.seedings))
            raise UnsupportedError(
                f"procedure.seed = {self.seeding.value!r} is not supported by {type(self.trainer).__name__}, "
                f"which can do: {known}."
            )
        if self.slices > 1 and not isinstance(self.trainer, Continuing):
            raise UnsupportedError(
                f"procedure.slices = {self.slices} needs models that go on training from a checkpoint, as networks do; "
                f"{type(self.trainer).__name__} solves anew, where slices change nothing. Leave slices at 1."
            )

    @property
    def memoryless(self) -> bool:
        """Whichever way records leave, each shard's model is one on what remains of it."""
        return True

    def learn(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
    ) -> Sharded:
        """One ensemble per row of `keep`; all shards of all rows are trained together."""
        shard, part_of = self._deal(keep, streams)
        M = len(keep)
        first = np.zeros((M, self.shards), dtype=np.int64)
        nowhere = np.zeros((self.slices, M, self.shards), dtype=np.int64)
        return self._trained(data, keep, shard, part_of, (), nowhere, nowhere.copy(), first, streams, device, None)

    def forget(
        self,
        state: State,
        data: TrainingData,
        base: NDArray[np.int64],
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
    ) -> Sharded:
        """Each ensemble with the shards trained anew that records left or joined, from the touched slice on."""
        if not isinstance(state, Sharded):
            raise UnsupportedError(f"Sisa forgets from what it learned itself, got {type(state).__name__}.")
        shard, part_of = state.shard[base], state.slice[base]
        untouched = self.slices
        first = np.full((len(keep), self.shards), untouched, dtype=np.int64)
        for m in range(len(keep)):
            gone = np.flatnonzero((shard[m] != ABSENT) & ~keep[m])
            np.minimum.at(first[m], shard[m, gone], part_of[m, gone])
            shard[m, gone] = part_of[m, gone] = ABSENT
            for record in np.flatnonzero((shard[m] == ABSENT) & keep[m]):
                s = np.bincount(shard[m][shard[m] != ABSENT], minlength=self.shards).argmin()
                shard[m, record], part_of[m, record] = s, self.slices - 1
                first[m, s] = min(first[m, s], self.slices - 1)
        parts, part, number = state.models.parts, state.part[:, base], state.number[:, base]
        return self._trained(data, keep, shard, part_of, parts, part, number, first, streams, device, state)

    def _deal(
        self, keep: NDArray[np.bool_], streams: Sequence[np.random.SeedSequence]
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Shard and slice of every record [M, N]: sizes differ by one at most."""
        shard, part_of = np.full((2, *keep.shape), ABSENT, dtype=np.int16)
        for m, (kept, stream) in enumerate(zip(keep, streams, strict=True)):
            records = np.random.default_rng(_child(stream, ASSIGN)).permutation(np.flatnonzero(kept))
            place = np.arange(len(records))
            shard[m, records] = place % self.shards
            part_of[m, records] = place // self.shards % self.slices
        return shard, part_of

    def _trained(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        shard: NDArray[np.int16],
        part_of: NDArray[np.int16],
        parts: tuple[Models, ...],
        part: NDArray[np.int64],
        number: NDArray[np.int64],
        first: NDArray[np.int64],
        streams: Sequence[np.random.SeedSequence],
        device: str,
        earlier: Sharded | None,
    ) -> Sharded:
        """Train what `first` [M, S] says: each shard of each row from that slice on."""
        counts, worst = {"models": 0}, dict[str, float]()
        trainer = self.trainer
        if isinstance(trainer, Continuing):
            trainer = trainer.staged(self.slices)
        for r in range(self.slices):
            m, s = np.nonzero(first <= r)
            if not len(m):
                continue
            own = keep[m] & (shard[m] == s[:, None]) & (part_of[m] <= r)
            if not own.any(axis=1).all():
                empty = int(np.flatnonzero(~own.any(axis=1))[0])
                raise TrainingError(
                    f"Every shard must hold records in its first slice, and shard {int(s[empty])} of {self.shards} "
                    f"holds none of the {int(keep[m[empty]].sum())} training records; use fewer shards"
                    f"{' or slices' if self.slices > 1 else ''}."
                )
            own_streams = [_child(streams[int(i)], TRAIN, int(j), r) for i, j in zip(m, s, strict=True)]
            if r:
                before = _gathered(parts, part[r - 1, m, s], number[r - 1, m, s])
                assert isinstance(trainer, Continuing)
                made = trainer.go_on(data, own, streams=own_streams, device=device, start=before)
            else:
                start = None if earlier is None else _one_part(parts, part[r, m, s], number[r, m, s])
                made = trainer.fit(data, own, streams=own_streams, device=device, base=start)
            part[r, m, s], number[r, m, s] = len(parts), np.arange(len(m))
            parts = (*parts, made)
            for name, value in made.counts.items():
                counts[name] = counts.get(name, 0) + value
            worst = {name: max(worst.get(name, 0.0), made.worst.get(name, 0.0)) for name in {*worst, *made.worst}}
        counts["shards_without_a_class"] = _lacking(data, keep, shard, first < self.slices)
        models = SisaModels(parts, part[-1], number[-1], self.aggregate, counts, worst)
        return Sharded(models, shard, part_of, part, number)


def _lacking(data: TrainingData, keep: NDArray[np.bool_], shard: NDArray[np.int16], trained: NDArray[np.bool_]) -> int:
    """How many of the trained shards lack a class that their row's records have."""
    lacking = 0
    for m, s in zip(*np.nonzero(trained), strict=True):
        own = np.unique(data.label[keep[m] & (shard[m] == s)])
        lacking += len(own) < len(np.unique(data.label[keep[m]]))
    return lacking


def _gathered(
    parts: tuple[Models, ...], part: NDArray[np.int64], number: NDArray[np.int64]
) -> list[tuple[Models, int]]:
    """A model per row, and its number there."""
    return [(parts[p], int(n)) for p, n in zip(part, number, strict=True)]


def _one_part(parts: tuple[Models, ...], part: NDArray[np.int64], number: NDArray[np.int64]) -> Base | None:
    """Where to start from, if all of it is in one place: most often the shards of an original."""
    return Base(parts[part[0]], number) if (part == part[0]).all() else None


def _child(stream: np.random.SeedSequence, *purpose: int) -> np.random.SeedSequence:
    """A child by meaning. Unlike `SeedSequence.spawn` it leaves `stream` as it is."""
    return np.random.SeedSequence(stream.entropy, spawn_key=(*stream.spawn_key, *purpose), pool_size=stream.pool_size)
