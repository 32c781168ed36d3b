"""The same classes in the same columns of all versions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace._spelling import some
from aftertrace.errors import InputError
from aftertrace.models._classes import positions, whole_name
from aftertrace.models._outputs import LogValues
from aftertrace.posteriors import Kind

Names = tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Aligned:
    """`values` [Q, V, K] with columns in the order of `classes`, `label` [Q] among these, and `notes`."""

    values: NDArray[np.float64]
    label: NDArray[np.int64]
    classes: Names
    notes: tuple[str, ...] = ()


def check_names(
    own: Sequence[Names | None], label: NDArray[np.object_], stated: Sequence[str] | None, *, labelled: bool
) -> None:
    """Raises `InputError` for what names of classes tell before any model is asked, which may cost money.

    Models must agree on them, as far as they say (`own`), and with those `stated`; labels must be among them. Where
    records are not `labelled`, only the models are compared.
    """
    said = {version: names for version, names in enumerate(own) if names is not None}
    first = next(iter(said), 0)
    for version, names in said.items():
        if set(names) != set(said[first]):
            only = sorted(set(said[first]) - set(names)), sorted(set(names) - set(said[first]))
            raise InputError(
                f"All versions must have the same classes; only version {first} has {some(only[0]) or 'none'}, only "
                f"version {version} has {some(only[1]) or 'none'}."
            )
    if not labelled:
        return
    if stated is not None and said and set(stated) != set(said[first]):
        raise InputError(
            f"The models name their classes themselves, {some(said[first])}; leave out {some(stated)} (--classes, in "
            f"Python classes)."
        )
    if stated is None and len(said) < len(own) and (said or not _are_numbers(label)):
        raise _nameless(own, label)
    known = said.get(first, stated)
    if known is not None:
        positions(label, known, what="Labels")


def check_widths(widths: Sequence[int]) -> None:
    """Raises `InputError` unless all versions answer with as many columns."""
    if len(set(widths)) > 1:
        counts = ", ".join(f"version {version} with {width}" for version, width in enumerate(widths))
        raise InputError(f"All versions must answer with as many columns; {counts}.")


def align(
    released: LogValues, own: Sequence[Names | None], label: NDArray[np.object_], stated: Sequence[str] | None
) -> Aligned:
    """Columns by name, in the order of version 0. A table of scores has no classes: all labels are "score".

    Raises `InputError` where names of classes are missing or do not fit, and for labels that are none of them.
    """
    if released.kind is Kind.SCORE:
        return Aligned(values=released.values, label=np.zeros(len(label), dtype=np.int64), classes=("score",))
    versions, notes = _names(own, label, stated, released.values.shape[2])
    classes = versions[0]
    places = [{name: k for k, name in enumerate(names)} for names in versions]
    orders = [[place[name] for name in classes] for place in places]
    moved = [version for version, names in enumerate(versions) if names != classes]
    if moved:
        notes.append(
            f"The classes of version{'s' if len(moved) > 1 else ''} {', '.join(map(str, moved))} stand in another "
            f"order than those of version 0: they were compared by name."
        )
    values = np.stack([released.values[:, version, order] for version, order in enumerate(orders)], axis=1)
    return Aligned(values=values, label=positions(label, classes, what="Labels"), classes=classes, notes=tuple(notes))


def _names(
    own: Sequence[Names | None], label: NDArray[np.object_], stated: Sequence[str] | None, width: int
) -> tuple[list[Names], list[str]]:
    """The names of the columns of every version, and notes."""
    notes: list[str] = []
    default = None if stated is None else tuple(stated)
    if default is None and any(names is None for names in own):
        default = _numbered(label, width)
        if default is None:
            raise _nameless(own, label, width)
        notes.append(f"The models do not name their classes: columns were taken for classes 0 to {width - 1}.")
    names = [each if each is not None else default or () for each in own]
    for version, each in enumerate(names):
        if len(each) != width or len(set(each)) != width or set(each) != set(names[0]):
            raise InputError(
                f"There must be {width} different names of classes, one for each column; version {version} has "
                f"{len(each)}: {some(each)}."
            )
    return names, notes


def _nameless(own: Sequence[Names | None], label: NDArray[np.object_], width: int | None = None) -> InputError:
    """`width`: how many columns its answers have, if it has been asked."""
    words = sorted(set(label.tolist()))
    return InputError(
        f"Version {own.index(None)} does not say the names of its {'' if width is None else f'{width} '}classes, and "
        f"the labels are {some(words)}: give the names in the order of its columns (--classes, in Python classes)."
        f"{' If it answers with one number for each record, say which (--outputs).' if width is None else ''}"
    )


def _are_numbers(label: NDArray[np.object_]) -> bool:
    """Whether all labels can be numbers of columns."""
    return all(whole_name(word).isdecimal() for word in set(label.tolist()))


def _numbered(label: NDArray[np.object_], width: int) -> Names | None:
    """The names "0" to "K - 1", if these are what labels are."""
    names = tuple(str(k) for k in range(width))
    try:
        positions(label, names, what="Labels")
    except InputError:
        return None
    return names
