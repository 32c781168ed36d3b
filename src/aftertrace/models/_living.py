"""Living objects as models."""

import sys
from collections.abc import Sequence

from aftertrace.errors import InputError
from aftertrace.models._callable import wrap_callable
from aftertrace.models._protocol import Model
from aftertrace.models._sklearn import wrap_estimator


def living_model(found: object, *, classes: Sequence[str] | None = None) -> Model:
    """A model of what an object can do: a torch module, an estimator, a function, or a `Model` already.

    Raises `InputError` for anything else.
    """
    if isinstance(found, Model):
        return found
    torch = sys.modules.get("torch")  # where torch has not been imported, nothing can be a module
    if torch is not None and isinstance(found, torch.nn.Module):
        from aftertrace.models._torch import wrap_module

        return wrap_module(found, classes=classes)
    if hasattr(found, "get_params") and not isinstance(found, type):
        return wrap_estimator(found)
    if callable(found) and not isinstance(found, type):
        return wrap_callable(found, classes=classes)
    raise InputError(
        f"A model must be a fitted estimator with `predict_proba`, a torch.nn.Module, a function of records, or a "
        f"reference to one; got {found.__name__ if isinstance(found, type) else type(found).__name__}. A function "
        f"wraps anything: lambda x: ..."
    )
