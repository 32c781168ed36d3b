"""Any `torch.nn.Module` by its import path, as a network."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

from aftertrace.errors import InputError
from aftertrace.models import imported
from aftertrace.trainers._addresses import described
from aftertrace.trainers._image_networks import check_columns

if TYPE_CHECKING:
    from torch import nn

FEATURES, CLASSES = ("n_features", "in_features"), ("n_classes", "num_classes")
"""Parameters by which a class asks for the numbers of columns and of classes of the data."""


@dataclass(frozen=True)
class ImportedNetwork:
    """What the class or function `path` ("package.module:name") makes of `params`: a network that answers with logits.

    It gets the number of columns where it has a parameter `n_features` or `in_features`, and that of classes as
    `n_classes` or `num_classes`, unless `params` says them. It is called with [Q, F], or with `shape` with images
    [Q, *shape], and must return logits [Q, K], not probabilities; it is asked for two answers when it is made, so
    that anything else is told before training. Dropout that is no `nn.Dropout` layer draws from torch's generator.

    A run is addressed by path, `params`, `shape`, what a function holds, the file that defines it and the files of
    your own that this imports: an edit there makes new runs. After a change of an installed package, or of a module
    that is imported by a computed name, start a new run yourself.
    """

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(self.shape))

    def specification(self) -> Mapping[str, Any]:
        """Path, parameters and shape, and what addresses the class or function. Raises `UnsupportedError`."""
        return {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "path": self.path,
            "params": self.params,
            "shape": self.shape,
            "made": described(find_maker(self.path)),
        }

    def build(self, n_features: int, n_classes: int) -> "nn.Module":
        """[Q, F] -> [Q, K]. Raises `InputError` where it cannot be made or answers otherwise."""
        from torch import nn

        found = find_maker(self.path)
        known = dict.fromkeys(FEATURES, n_features) | dict.fromkeys(CLASSES, n_classes)
        sizes = {name: value for name, value in known.items() if name in asked(found)}
        try:
            module = found(**{**sizes, **self.params})
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"model.params: {self.path} cannot be made: {_line(error)}") from error
        if not isinstance(module, nn.Module):
            raise InputError(f"model.name: {self.path} must make a torch.nn.Module, made {type(module).__name__}")
        if self.shape is not None:
            check_columns(self.shape, n_features)
            module = nn.Sequential(nn.Unflatten(1, self.shape), module)
        _check_answers(self.path, module, n_features, n_classes)
        return module


def find_maker(path: str) -> Callable[..., Any]:
    """The class or function `package.module:name`. Raises `InputError` where there is none."""
    try:
        found = imported(path)
    except InputError as error:
        raise InputError(f"model.name: {error}") from error
    if not callable(found):
        raise InputError(f"model.name: must be a class or a function, got {path}, which is a {type(found).__name__}")
    return found


def is_module(found: type) -> TypeGuard[type["nn.Module"]]:
    """Whether a class is a network of torch's. Where torch has not been imported, nothing can be one."""
    torch = sys.modules.get("torch")
    return torch is not None and issubclass(found, torch.nn.Module)


def asked(found: Callable[..., Any]) -> dict[str, bool]:
    """Names of the parameters that a class or function takes, and whether it needs them."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(found).parameters.values()
    return {each.name: each.default is each.empty for each in parameters if each.kind in named}


def _check_answers(path: str, module: "nn.Module", n_features: int, n_classes: int) -> None:
    """Ask for two answers, without effect on running statistics."""
    import torch

    module.eval()
    try:
        with torch.no_grad():
            logits = module(torch.zeros(2, n_features))
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise InputError(
            f"model.name: {path} cannot take records [2, {n_features}]: {_line(error)}; set `shape` for images"
        ) from error
    finally:
        module.train()
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (2, n_classes):
        came = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise InputError(
            f"model.name: {path} must answer 2 records with logits [2, {n_classes}], a column per class, got {came}; "
            f"a parameter `n_classes` or `num_classes` of the class tells it their number"
        )


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
