"""Exposure: for every record of a training set, how strongly its deletion alone would show."""

import io
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._random import Stream, rng_for, stream
from aftertrace.data import Dataset
from aftertrace.engine import Engine, InProcess
from aftertrace.errors import ExperimentError, StoreError, TrainingError
from aftertrace.posteriors import phi
from aftertrace.results import Certificate, Exposure
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._certify import Gap, judge_gaps, pair_to_compare
from aftertrace.scenarios._memory import training_bytes, within
from aftertrace.store import RunFolder
from aftertrace.trainers import Bounded, Size, Trainer, TrainingData

_LEAST, _MOST = 256, 2048  # deletions that are trained together, if they fit
_ALONE = 16  # of a trainer of somebody else's, which trains one after the other: so the time left is soon known
_PARTS = 8  # at least so many where deletions are enough: for several workers, and for progress that is seen
_HELD = 2**30  # bytes for one
CHECKED = 10  # deletions that the reference trains again
_ASKED_AT_ONCE = 2**21  # values of queries in memory


@dataclass(frozen=True, eq=False)
class _Context:
    """What all chunks share: the training records, and the unseen ones that are asked about each deletion."""

    trainer: Trainer
    training: TrainingData
    unseen_x: NDArray[np.float64]
    unseen_label: NDArray[np.int64]
    seed: int


def expose(
    data: Dataset,
    trainer: Trainer,
    *,
    unseen: int = 199,
    records: int | None = None,
    seed: int = 0,
    folder: RunFolder | None = None,
    engine: Engine | None = None,
    memory: int | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> tuple[Exposure, Certificate | None]:
    """Delete every training record in turn, and see how far it moves beside `unseen` records moved by that deletion.

    `records` train the model (all but the unseen ones by default), drawn with the unseen ones by `seed`. All models
    draw from the same stream. A record's p-value is conformal: if the update did not depend on which of the record and
    the unseen ones was deleted, it would be at most a in at most a share a of cases. As many parts are at work at once
    as the engine has workers and `memory` bytes hold; finished ones are kept in `folder`, and a killed exposure goes on
    there.

    The certificate is of `CHECKED` deletions drawn at random, trained again by the trainer's reference; None where the
    trainer has none. Raises `ExperimentError` for sizes that do not fit and data that say whose records are, and
    `TrainingError` where the reference disagrees.
    """
    n = len(data) - unseen if records is None else records
    if unseen < 1 or n < 2 or n + unseen > len(data):
        raise ExperimentError(
            [
                f"records and unseen: must be at least 2 and 1, and together at most the {len(data)} records of "
                f"{data.name}; got {n} and {unseen}"
            ]
        )
    if data.person is not None:
        raise ExperimentError(
            ["data.person: an exposure deletes single records; leave the column out with data.drop instead"]
        )
    order = rng_for(seed, Stream.DRAW, "exposure").permutation(len(data))
    members, others = np.sort(order[:n]), np.sort(order[n : n + unseen])
    context = _Context(
        trainer=trainer,
        training=TrainingData(data.x[members], data.label[members], len(data.classes), frame=data.frame),
        unseen_x=data.x[others],
        unseen_label=data.label[others],
        seed=seed,
    )
    size = Size(records=n, features=data.x.shape[1], classes=len(data.classes), models=1)
    size = replace(size, models=min(n, together(trainer, size)))
    parts = [np.arange(start, min(start + size.models, n)) for start in range(0, n, size.models)]
    engine = within(engine or InProcess(), [training_bytes(trainer, size)], memory, progress)
    subject = {"data": data.fingerprint, "trainer": trainer, "seed": seed, "records": n, "unseen": unseen}
    of = digest({**subject, "together": size.models})
    found = {number: part for number in range(len(parts)) if (part := _kept(folder, of, number)) is not None}
    missing = [number for number in range(len(parts)) if number not in found]
    done = sum(len(parts[number]) for number in found)
    progress("deletions", done, n)
    for place, answer in engine.map(_delete, context, [parts[number] for number in missing]):
        found[missing[place]] = answer
        if folder is not None:
            _keep(folder, of, missing[place], answer)
        done += len(parts[missing[place]])
        progress("deletions", done, n)
    before, after, drop, rank = np.concatenate([found[number] for number in range(len(parts))], axis=1)
    rows = Exposure(
        record=members,
        label=data.label[members],
        before=before,
        after=after,
        logit_drop=drop,
        rank=rank.astype(np.int64),
        unseen=unseen,
    )
    return rows, _certify(context, rows, engine, progress)


def together(trainer: Trainer, size: Size) -> int:
    """How many deletions are trained in a call: 256 to 2 048, fewer where those would take more than a GiB, and 16 by a
    trainer that does not say what it holds, since it gains nothing from more.

    A property of the exposure, not of the machine: parts are kept by number.
    """
    if not isinstance(trainer, Bounded):
        return _ALONE
    most = min(_MOST, max(_LEAST, -(-size.records // _PARTS)))
    while most > 1 and trainer.working_bytes(replace(size, models=most)) > _HELD:
        most //= 2
    return most


def _certify(context: _Context, rows: Exposure, engine: Engine, progress: Progress) -> Certificate | None:
    """Whether the reference gives some deleted records the same confidence."""
    if pair_to_compare(context.trainer) is None:
        return None
    drawn = rng_for(context.seed, Stream.CERTIFY, "exposure")
    chosen = np.sort(drawn.choice(len(rows.record), min(CHECKED, len(rows.record)), replace=False))
    gaps: dict[int, Gap] = {}
    progress("certificate", 0, len(chosen))
    for number, gap in engine.map(_compare, context, [(int(place), float(rows.after[place])) for place in chosen]):
        gaps[number] = gap
        progress("certificate", len(gaps), len(chosen))
    rng = rng_for(context.seed, Stream.CERTIFY, "exposure", "test")
    certificate = judge_gaps(context.trainer, [gaps[number] for number in range(len(chosen))], rng=rng)
    if not certificate.passed:
        raise TrainingError(
            f"The certificate failed: {certificate.sentence} The figures of this exposure cannot be relied on. Please "
            f"report this, and meanwhile name a scikit-learn class as the model."
        )
    return certificate


def _compare(context: _Context, task: tuple[int, float]) -> Gap:
    """How far the confidence in a deleted record is from what the reference says."""
    place, after = task
    training, pair = context.training, pair_to_compare(context.trainer)
    assert pair is not None
    keep = np.ones((1, len(training.label)), dtype=bool)
    keep[0, place] = False
    stream_of_all = [stream(context.seed, Stream.TRAIN, "exposure")]
    x, model, label = training.x[[place]], np.zeros(1, dtype=np.int64), training.label[place]

    def confidence(trainer: Trainer) -> float:
        return float(np.exp(trainer.fit(training, keep, streams=stream_of_all).log_posteriors(x, model)[0, label]))

    fast, reference = pair
    gap = (after if fast is None else confidence(fast)) - confidence(reference)
    return abs(gap), [gap]


def _delete(context: _Context, deleted: NDArray[np.int64]) -> NDArray[np.float64]:
    """Train without each of some records. -> confidence before and after, logit drop, rank: [4, D]"""
    training, D, U = context.training, len(deleted), len(context.unseen_label)
    keep = np.ones((D + 1, len(training.label)), dtype=bool)  # row 0 is the model before
    keep[np.arange(1, D + 1), deleted] = False
    one = stream(context.seed, Stream.TRAIN, "exposure")
    models = context.trainer.fit(training, keep, streams=[one] * (D + 1))
    x, label = training.x[deleted], training.label[deleted]
    original, later = np.zeros(D, dtype=np.int64), np.arange(1, D + 1)
    own = models.log_posteriors(x, original), models.log_posteriors(x, later)
    drop = phi(own[0], label) - phi(own[1], label)
    start = phi(models.log_posteriors(context.unseen_x, np.zeros(U, dtype=np.int64)), context.unseen_label)
    rank = np.empty(D)
    step = max(1, _ASKED_AT_ONCE // (U * x.shape[1]))
    for at in range(0, D, step):
        some = later[at : at + step]
        asked = np.tile(context.unseen_x, (len(some), 1))
        answers = models.log_posteriors(asked, np.repeat(some, U))
        moved = start - phi(answers, np.tile(context.unseen_label, len(some))).reshape(len(some), U)
        rank[at : at + step] = (moved >= drop[at : at + step, None]).sum(axis=1)
    at_label = np.arange(D), label
    return np.stack([np.exp(own[0][at_label]), np.exp(own[1][at_label]), drop, rank])


def _keep(folder: RunFolder, of: str, number: int, part: NDArray[np.float64]) -> None:
    sink = io.BytesIO()
    np.savez(sink, of=np.array(of), part=part)
    folder.write(_name(number), sink.getvalue())


def _kept(folder: RunFolder | None, of: str, number: int) -> NDArray[np.float64] | None:
    """A finished part, if it is there, whole, and of this exposure."""
    if folder is None or not (folder.path / _name(number)).is_file():
        return None
    try:
        with np.load(io.BytesIO(folder.read(_name(number))), allow_pickle=False) as stored:
            return stored["part"] if str(stored["of"]) == of else None
    except (StoreError, ValueError, KeyError, OSError, EOFError):
        return None  # damaged: it is made again


def _name(number: int) -> str:
    return f"posteriors/part-{number:05d}.npz"
