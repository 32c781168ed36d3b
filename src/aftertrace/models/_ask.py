"""Asking all versions of a model about all subjects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError, TrainingError
from aftertrace.models._align import align, check_names, check_widths
from aftertrace.models._outputs import SCORES, Outputs, log_values, version_names
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
    names: Sequence[str] = (),
    unsuited: str = "",
    progress: Progress = lambda stage, done, total: None,
) -> Answered:
    """Ask versions of a model, the original first, about all subjects, `batch` records at a time.

    Classes are compared by name. `classes` names the columns of models that do not say their own; without it they are
    called 0 to K - 1 where all labels are such numbers. A deleted record is a member of the versions before
    `subjects.left`, of all but the last where that is not said. Every version is asked a second time about the first
    few records: a note says if its answers change. `names`: what messages call the versions, each another, by default
    by number; `unsuited`: what is said besides where a model does not take the records. Tables of scores have the
    single class "score".

    Raises `InputError` for fewer than two models or names that do not fit, and before any is asked where models say
    classes and disagree on them, or labels are none of these; then for answers that are not what `outputs` says, and
    `TrainingError` for answers of another shape.
    """
    if len(models) < 2:
        raise InputError(f"There must be at least two versions of the model, before and after; got {len(models)}.")
    names = names or version_names(len(models))
    if not len(set(names)) == len(names) == len(models):
        raise InputError(
            f"`names` must call each of the {len(models)} versions, and every one another; got "
            f"{', '.join(map(repr, names))}. Leave it out to call them by number."
        )
    named = dict(zip(names, models, strict=True))
    own = {name: model.classes for name, model in named.items()}
    check_names(own, subjects.label, classes, labelled=outputs not in SCORES)
    for model in models:
        if isinstance(model, Budgeted):
            model.check_budget(subjects.records)
    starts = range(0, len(models) * len(subjects), len(subjects))
    raw = {
        name: _answers(
            model,
            name,
            subjects.records,
            batch,
            start,
            unsuited,
            lambda done: progress("answers", done, len(models) * len(subjects)),
        )
        for start, (name, model) in zip(starts, named.items(), strict=True)
    }
    check_widths({name: values.shape[1] for name, values in raw.items()})
    repeats = [_repeat(model, name, subjects.records, raw[name]) for name, model in named.items()]
    released = log_values(list(raw.values()), outputs, names=list(raw))
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
    notes = (*_of_models(named), *repeats, released.note, *aligned.notes)
    return Answered(posteriors=table, notes=tuple(note for note in notes if note))


def _answers(
    model: Model,
    name: str,
    records: Records,
    batch: int,
    before: int,
    unsuited: str,
    progress: Callable[[int], None],
) -> Floats:
    """A version's answers to all records. [Q, K] `before`: how many answers other versions gave."""
    answers, size = [], len(records)
    progress(before)
    for start in range(0, size, batch):
        asked = records.select(slice(start, start + batch))
        try:
            answers.append(_answer(model, name, asked))
        except (InputError, TrainingError) as error:
            if not unsuited:
                raise
            raise type(error)(f"{error} {unsuited}") from error
        if answers[-1].shape[1] != answers[0].shape[1]:
            raise TrainingError(
                f"A model must answer with as many columns always; {name} did with {answers[0].shape[1]} and with "
                f"{answers[-1].shape[1]}."
            )
        progress(before + min(start + batch, size))
    return np.concatenate(answers)


def _answer(model: Model, name: str, records: Records) -> Floats:
    values = np.asarray(model.answer(records), dtype=np.float64)
    if values.ndim != 2 or len(values) != len(records) or not values.shape[1]:
        raise TrainingError(
            f"A model must answer {len(records)} records with [{len(records)}, K], a row for each; {name} did with "
            f"{list(values.shape)}."
        )
    return values


def _repeat(model: Model, name: str, records: Records, first: Floats) -> str:
    """A sentence where a version's answers change when it is asked again, or nothing."""
    few = slice(0, ASKED_AGAIN)
    again, before = _answer(model, name, records.select(few)), first[few]
    if np.allclose(again, before, rtol=REPEAT_TOLERANCE, atol=REPEAT_TOLERANCE, equal_nan=True):
        return ""
    with np.errstate(invalid="ignore"):
        gap = np.abs(again - before)
    return (
        f"Asked again about the same record, {name} answers differently (by up to "
        f"{gap.max(where=np.isfinite(gap), initial=0):.3g}): its answers are random. Figures of this audit hold for "
        f"one answer for each record; who may ask often can average, and find more."
    )


def _of_models(named: Mapping[str, Model]) -> list[str]:
    said: dict[str, list[str]] = {}
    for name, model in named.items():
        for note in model.notes if isinstance(model, Noted) else ():
            said.setdefault(note, []).append(name)
    return [f"Of {' and '.join(who)}: {note}" for note, who in said.items()]


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
