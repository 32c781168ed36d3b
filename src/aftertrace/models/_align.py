"""The same classes in the same columns of all versions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError
from aftertrace.models._classes import positions
from aftertrace.models._outputs import LogValues
from aftertrace.posteriors import Kind
from aftertrace.posteriors._files import some

Names = tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Aligned:
    """`values` [Q, V, K] with columns in the order of `classes`, `label` [Q] among these, and `notes`."""

    values: NDArray[np.float64]
    label: NDArray[np.int64]
    classes: Names
    notes: tuple[str, ...] = ()


def check_widths(widths: Sequence[int], own: Sequence[Names | None]) -> None:
    """Raises `InputError` unless all versions have the same classes, as far as they say, and as many columns."""
    said = {version: names for version, names in enumerate(own) if names is not None}
    first = next(iter(said), 0)
    for version, names in said.items():
        if set(names) != set(said[first]):
            only = sorted(set(said[first]) - set(names)), sorted(set(names) - set(said[first]))
            raise InputError(
                f"All versions must have the same classes; only version {first} has {some(only[0]) or 'none'}, only "
                f"version {version} has {some(only[1]) or 'none'}."
            )
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
    silent = [version for version, names in enumerate(own) if names is None]
    default = None if stated is None else tuple(stated)
    if default is not None and own[0] is not None and set(default) != set(own[0]):
        raise InputError(
            f"The models name their classes themselves, {some(own[0])}; leave out {some(default)} (--classes)."
        )
    if silent and default is None:
        default = _numbered(label, width) if len(silent) == len(own) else None
        if default is None:
            words = sorted(set(label.tolist()))
            raise InputError(
                f"Version {silent[0]} does not say the names of its {width} classes, and the labels are {some(words)}: "
                f"give the names in the order of its columns (--classes)."
            )
        notes.append(f"The models do not name their classes: columns were taken for classes 0 to {width - 1}.")
    names = [each if each is not None else default or () for each in own]
    for version, each in enumerate(names):
        if len(each) != width or len(set(each)) != width or set(each) != set(names[0]):
            raise InputError(
                f"There must be {width} different names of classes, one for each column; version {version} has "
                f"{len(each)}: {some(each)}."
            )
    return names, notes


def _numbered(label: NDArray[np.object_], width: int) -> Names | None:
    """The names "0" to "K - 1", if these are what labels are."""
    names = tuple(str(k) for k in range(width))
    try:
        positions(label, names, what="Labels")
    except InputError:
        return None
    return names
