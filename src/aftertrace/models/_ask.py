"""Asking all versions of a model about all subjects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError, TrainingError
from aftertrace.models._align import align, check_names, check_widths
from aftertrace.models._outputs import SCORES, Outputs, log_values
from aftertrace.models._protocol import Budgeted, Model, Noted
from aftertrace.models._records import Records
from aftertrace.models._subjects import Subjects
from aftertrace.posteriors import Posteriors, Role, membership

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
ASKED_AGAIN = 8
"""Records that every version is asked about a second time."""
REPEAT_TOLERANCE = 1e-5
"""How far a second answer may be from the first, relative to it beyond 1: single precision, summed in another order."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Answered:
    """What all versions said of the subjects, in their order, and what a reader must know of the models."""

    posteriors: Posteriors
    notes: tuple[str, ...]


def ask(
    models: Sequence[Model],
    subjects: Subjects,
    *,
    outputs: Outputs = Outputs.AUTO,
    classes: Sequence[str] | None = None,
    batch: int = 1000,
    progress: Progress = lambda stage, done, total: None,
) -> Answered:
    """Ask versions of a model, the original first, about all subjects, `batch` records at a time.

    Classes are compared by name. `classes` names the columns of models that do not say their own; without it they are
    called 0 to K - 1 where all labels are such numbers. A deleted record is a member of the versions before
    `subjects.left`, of all but the last where that is not said. Every version is asked a second time about the first
    few records: a note says if its answers change. Tables of scores have the single class "score".

    Raises `InputError` for fewer than two models, and before any is asked where models say classes and disagree on
    them, or labels are none of these; then for answers that are not what `outputs` says, and `TrainingError` for
    answers of another shape.
    """
    if len(models) < 2:
        raise InputError(f"There must be at least two versions of the model, before and after; got {len(models)}.")
    own = [model.classes for model in models]
    check_names(own, subjects.label, classes, labelled=outputs not in SCORES)
    for model in models:
        if isinstance(model, Budgeted):
            model.check_budget(subjects.records)
    raw = [
        _answers(
            model, version, subjects.records, batch, lambda done: progress("answers", done, len(models) * len(subjects))
        )
        for version, model in enumerate(models)
    ]
    check_widths([values.shape[1] for values in raw])
    repeats = [_repeat(model, version, subjects.records, raw[version]) for version, model in enumerate(models)]
    released = log_values(raw, outputs)
    aligned = align(released, own, subjects.label, classes)
    unit = np.zeros(len(subjects), dtype=np.int64)
    table = Posteriors(
        log_values=aligned.values,
        member=membership(subjects.role, len(models), _left(subjects, len(models))),
        label=aligned.label,
        classes=aligned.classes,
        record=subjects.record,
        pair=unit,
        original=unit,
        use=np.zeros(len(subjects), dtype=np.int8),
        kind=released.kind,
    )
    notes = (*_of_models(models), *repeats, released.note, *aligned.notes)
    return Answered(posteriors=table, notes=tuple(note for note in notes if note))


def _answers(model: Model, version: int, records: Records, batch: int, progress: Callable[[int], None]) -> Floats:
    """A version's answers to all records. [Q, K]"""
    answers, size = [], len(records)
    progress(version * size)
    for start in range(0, size, batch):
        asked = records.select(slice(start, start + batch))
        answers.append(_answer(model, version, asked))
        if answers[-1].shape[1] != answers[0].shape[1]:
            raise TrainingError(
                f"Version {version} must answer with as many columns always; it did with {answers[0].shape[1]} and "
                f"with {answers[-1].shape[1]}."
            )
        progress(version * size + min(start + batch, size))
    return np.concatenate(answers)


def _answer(model: Model, version: int, records: Records) -> Floats:
    values = np.asarray(model.answer(records), dtype=np.float64)
    if values.ndim != 2 or len(values) != len(records) or not values.shape[1]:
        raise TrainingError(
            f"Version {version} must answer {len(records)} records with [{len(records)}, K], a row for each; got "
            f"{list(values.shape)}."
        )
    return values


def _repeat(model: Model, version: int, records: Records, first: Floats) -> str:
    """A sentence where a version's answers change when it is asked again, or nothing."""
    few = slice(0, ASKED_AGAIN)
    again, before = _answer(model, version, records.select(few)), first[few]
    if np.allclose(again, before, rtol=REPEAT_TOLERANCE, atol=REPEAT_TOLERANCE, equal_nan=True):
        return ""
    with np.errstate(invalid="ignore"):
        gap = np.abs(again - before)
    return (
        f"Version {version} answers differently when it is asked again about the same record (by up to "
        f"{gap.max(where=np.isfinite(gap), initial=0):.3g}): its answers are random. Figures of this audit hold for "
        f"one answer for each record; who may ask often can average, and find more."
    )


def _of_models(models: Sequence[Model]) -> list[str]:
    said: dict[str, list[str]] = {}
    for version, model in enumerate(models):
        for note in model.notes if isinstance(model, Noted) else ():
            said.setdefault(note, []).append(str(version))
    return [f"Version{'s' if len(who) > 1 else ''} {' and '.join(who)}: {note}" for note, who in said.items()]


def _left(subjects: Subjects, n_versions: int) -> NDArray[np.int64] | None:
    """The first version without each record [Q], the last where that is not said."""
    if subjects.left is None:
        return None
    last = n_versions - 1
    late = (subjects.role == Role.DELETED) & (subjects.left > last)
    if late.any():
        raise InputError(
            f"A deleted record must leave with one of the versions 1 to {last}; 'left' says "
            f"{subjects.left[late].max()} for {late.sum()}."
        )
    return np.where(subjects.left < 0, last, subjects.left)
