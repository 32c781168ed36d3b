"""Names of classes: what labels and columns of answers are compared by."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._spelling import nearest, some
from aftertrace.errors import InputError

Ints = NDArray[np.int64]


def class_names(values: Sequence[Any] | NDArray[Any]) -> tuple[str, ...]:
    """The name of each class or label: its text; a whole number has no decimals, so that 1.0 and 1 are both "1".

    Texts stay as they are: "1.0" is "1.0". NaN is "nan".
    """
    array = np.asarray(values)
    if np.issubdtype(array.dtype, np.floating):
        return tuple(str(int(value)) if value.is_integer() else repr(value) for value in array.tolist())
    return tuple(str(value) for value in array.tolist())


def positions(names: Sequence[str] | NDArray[np.object_], classes: Sequence[str], *, what: str) -> Ints:
    """The place of each name among the classes. [Q]

    A name that is no class, but is a whole number with decimals, is the class of that number: "1.0" is "1". It is so
    only where "1.0" is no class itself, and therefore never ambiguous. Raises `InputError` naming what is no class.
    """
    place = {name: k for k, name in enumerate(classes)}
    different, code = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)
    found = [place.get(name, place.get(whole_name(name), -1)) for name in different.tolist()]
    strange = [name for name, k in zip(different.tolist(), found, strict=True) if k < 0]
    if strange:
        raise InputError(
            f"{what} must be among the model's classes ({some(classes)}); got {some(strange)}"
            f"{nearest(strange[0], classes)}."
        )
    return np.array(found, dtype=np.int64)[code]


def whole_name(name: str) -> str:
    """The text "1" for "1.0", the name itself for anything else."""
    head, point, tail = name.partition(".")
    return head if point and tail and not tail.strip("0") and head.lstrip("-").isdigit() else name
