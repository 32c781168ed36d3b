"""Any function from records to answers."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from aftertrace._hashing import digest
from aftertrace.errors import InputError, TrainingError
from aftertrace.models._classes import class_names
from aftertrace.models._files import first_line
from aftertrace.models._protocol import Floats
from aftertrace.models._records import Records


@dataclass(frozen=True, eq=False)
class CallableModel:
    """A function of an array of records [Q, ...] that returns [Q, K], or [Q]: then K is 1.

    Records of columns become an array where all are numbers, and a data frame otherwise. `name` is what messages call
    it.
    """

    function: Callable[[Any], Any]
    name: str
    fingerprint: str
    classes: tuple[str, ...] | None = None

    def answer(self, records: Records) -> Floats:
        """[Q, K]. Raises `TrainingError` where the function fails or returns no numbers."""
        x = records.as_array() if records.is_numeric else records.as_frame()
        try:
            values = np.asarray(self.function(x))
            if np.iscomplexobj(values):
                raise TypeError("its answers are complex numbers")
            values = values.astype(np.float64)
        except (Exception, SystemExit) as error:  # the user's own code: it may fail with anything
            raise TrainingError(
                f"{self.name} fails on records of shape {list(x.shape)}: {type(error).__name__}: {first_line(error)}."
            ) from error
        return values[:, None] if values.ndim == 1 else values


def wrap_callable(function: Callable[[Any], Any], *, classes: Sequence[str] | None = None) -> CallableModel:
    """A function; its classes are `classes`, else its attribute `classes`, if it has one. Its source is its print."""
    name = f"{getattr(function, '__module__', '?')}:{getattr(function, '__qualname__', type(function).__name__)}"
    own = getattr(function, "classes", None) if classes is None else classes
    return CallableModel(
        function=function,
        name=name,
        fingerprint=digest({"callable": name, "source": _source(function)}),
        classes=None if own is None else class_names(own),
    )


def is_factory(found: object) -> TypeGuard[Callable[[], Any]]:
    """Whether it is a function or class that can be called without arguments: one of records needs them."""
    if not (inspect.isroutine(found) or inspect.isclass(found)):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return False
    return True


def made(function: Callable[[], Any], reference: str) -> Any:
    """What a factory makes. Raises `InputError` where it fails."""
    try:
        return function()
    except (Exception, SystemExit) as error:  # the user's own code: it may fail with anything
        raise InputError(f"{reference}: fails when it is called for a model ({first_line(error)}).") from error


def _source(function: Callable[..., Any]) -> str | None:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return None
