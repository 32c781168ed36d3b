"""The same classes in the same columns of all versions."""

from collections.abc import Mapping, Sequence
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
    own: Mapping[str, Names | None], label: NDArray[np.object_], stated: Sequence[str] | None, *, labelled: bool
) -> None:
    """Raises `InputError` for what names of classes tell before any model is asked, which may cost money.

    Versions must agree on them, as far as they say (`own`, by what messages call a version), and with those `stated`;
    labels must be among them. Where records are not `labelled`, only the versions are compared.
    """
    said = {version: names for version, names in own.items() if names is not None}
    first = next(iter(said), "")
    for version, names in said.items():
        if set(names) != set(said[first]):
            only = sorted(set(said[first]) - set(names)), sorted(set(names) - set(said[first]))
            raise InputError(
                f"All versions must have the same classes; only {first} has {some(only[0]) or 'none'}, only "
                f"{version} has {some(only[1]) or 'none'}."
            )
    if not labelled:
        return
    if stated is not None and said and set(stated) != set(said[first]):
        raise InputError(
            f"The models name their classes themselves, {some(said[first])}; leave out {some(stated)} (`classes`)."
        )
    if stated is None and len(said) < len(own) and (said or not _are_numbers(label)):
        raise _nameless(own, label)
    known = said.get(first, stated)
    if known is not None:
        positions(label, known, what="Labels")


def check_widths(widths: Mapping[str, int]) -> None:
    """Raises `InputError` unless all versions answer with as many columns."""
    if len(set(widths.values())) > 1:
        counts = ", ".join(f"{version} with {width}" for version, width in widths.items())
        raise InputError(f"All versions must answer with as many columns; {counts}.")


def align(
    released: LogValues, own: Mapping[str, Names | None], label: NDArray[np.object_], stated: Sequence[str] | None
) -> Aligned:
    """Columns by name, in the order of the original. A table of scores has no classes: all labels are "score".

    `own`: what each version says of its classes, by what messages call it.

    Raises `InputError` where names of classes are missing or do not fit, and for labels that are none of them.
    """
    if released.kind is Kind.SCORE:
        return Aligned(values=released.values, label=np.zeros(len(label), dtype=np.int64), classes=("score",))
    versions, notes = _names(own, label, stated, released.values.shape[2])
    original, *_ = own
    classes = versions[original]
    places = [{name: k for k, name in enumerate(names)} for names in versions.values()]
    orders = [[place[name] for name in classes] for place in places]
    moved = [version for version, names in versions.items() if names != classes]
    if moved:
        notes.append(
            f"The classes of {', '.join(moved)} stand in another order than those of {original}: they were compared by "
            f"name."
        )
    values = np.stack([released.values[:, version, order] for version, order in enumerate(orders)], axis=1)
    return Aligned(values=values, label=positions(label, classes, what="Labels"), classes=classes, notes=tuple(notes))


def _names(
    own: Mapping[str, Names | None], label: NDArray[np.object_], stated: Sequence[str] | None, width: int
) -> tuple[dict[str, Names], list[str]]:
    """The names of the columns of every version, and notes."""
    notes: list[str] = []
    default = None if stated is None else tuple(stated)
    if default is None and None in own.values():
        default = _numbered(label, width)
        if default is None:
            raise _nameless(own, label, width)
        notes.append(f"The models do not name their classes: columns were taken for classes 0 to {width - 1}.")
    names = {version: each if each is not None else default or () for version, each in own.items()}
    first, *_ = names.values()
    for version, each in names.items():
        if len(each) != width or len(set(each)) != width or set(each) != set(first):
            raise InputError(
                f"There must be {width} different names of classes, one for each column; {version} has {len(each)}: "
                f"{some(each)}."
            )
    return names, notes


def _nameless(own: Mapping[str, Names | None], label: NDArray[np.object_], width: int | None = None) -> InputError:
    """`width`: how many columns its answers have, if it has been asked."""
    words = sorted(set(label.tolist()))
    silent = next(version for version, names in own.items() if names is None)
    return InputError(
        f"The names of the {'' if width is None else f'{width} '}classes are not said by {silent}, and the labels are "
        f"{some(words)}: give them in the order of its columns (`classes`)."
        f"{' If it answers with one number for each record, say which (`outputs`).' if width is None else ''}"
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
