"""How a model that was brought could be trained again, as far as it says itself."""

import math
import numbers
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aftertrace.errors import AftertraceError
from aftertrace.models import Model, Records
from aftertrace.models._imports import is_reference
from aftertrace.models._pickled import PickledModel
from aftertrace.models._sklearn import SklearnModel
from aftertrace.models._torch import TorchModel
from aftertrace.scenarios._blanks import BLANK
from aftertrace.trainers import Model as TrainedModel
from aftertrace.trainers._presets import NONE

_NOT_LEARNED = ("n_jobs", "random_state", "verbose", "verbosity")
"""Parameters of estimators that say how fast, how loud or by which seed they are trained."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """`name` and `params` as the section `model` of an experiment has them, blank where a person must say.

    `target`, `person`: the columns of classes and persons, where the audit's files have them. `repeats`: whether every
    training uses the same seed, None where nothing says so. `frame`: it takes a table, not an array. `remarks`: what a
    person must know to complete it, a sentence each.
    """

    name: str = BLANK
    params: Mapping[str, Any] = field(default_factory=dict)
    target: str = BLANK
    person: str = BLANK
    repeats: bool | None = None
    frame: bool = False
    remarks: tuple[str, ...] = ()


def recipe_of(model: Model, records: Records, *, later: Sequence[Model] = ()) -> Recipe:
    """The recipe of an opened model, which was asked about `records`, and whose `later` versions say whether it is
    trained with the same seed every time. Paths of files are no part of it.
    """
    match model:
        case PickledModel():
            return recipe_of(model.model, records, later=later)
        case SklearnModel(estimator=estimator):
            named = getattr(estimator, "feature_names_in_", None) is not None  # scikit-learn's word for a data frame
            found = replace(_of_estimator(estimator), frame=named or not records.is_numeric)
            return replace(found, repeats=_repeats([_seeds(each) for each in (model, *later)]))
        case TorchModel():
            return _of_network(model, records)
    return Recipe(frame=not records.is_numeric)


def _of_estimator(estimator: Any) -> Recipe:
    kind = type(estimator)
    own = _parameters(estimator)
    params, name = _changed(kind, own), _import_path(kind)
    if name and params is not None and _can_be_trained(name, params):
        return Recipe(name=name, params=params)
    return Recipe(
        remarks=(
            f"Your model is a {_described(estimator)}. Write a function that makes one, not yet trained, in a file "
            f'such as training.py, and name it: "training:classifier".',
        ),
    )


def _parameters(estimator: Any) -> Mapping[str, Any]:
    try:
        return dict(estimator.get_params())
    except Exception:  # other people's code: it may fail with anything
        return {}


def _seeds(model: Model) -> Mapping[str, Any]:
    """The seeds by which a model says that it was trained; empty where it says nothing of them."""
    match model:
        case PickledModel():
            return _seeds(model.model)
        case SklearnModel(estimator=estimator):
            own = _parameters(estimator).items()
            return {name: value for name, value in own if name.split("__")[-1] == "random_state"}
    return {}


def _repeats(seeds: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether all versions have the same numbers for seeds; None where some say nothing, or none has a number."""
    if not all(seeds) or not any(isinstance(value, numbers.Integral) for each in seeds for value in each.values()):
        return None
    return all(each == seeds[0] for each in seeds)


def _changed(kind: type, own: Mapping[str, Any]) -> dict[str, Any] | None:
    """Parameters that are not at their defaults; None where they cannot be told or written."""
    try:
        defaults = kind().get_params()
    except Exception:  # a class that needs arguments, or other people's code
        return None
    changed = {
        name: NONE if value is None else _plain(value)
        for name, value in own.items()
        if name not in _NOT_LEARNED and repr(value) != repr(defaults.get(name))
    }
    return None if None in changed.values() else changed


def _plain(value: Any) -> Any:
    """A parameter as TOML has it; None for one that is not plain. A path is none: it trains nothing, and tells much."""
    if isinstance(value, list | tuple):
        parts = [_plain(each) for each in value]
        return None if None in parts else parts
    item = value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value
    match item:
        case bool() | int():
            return item
        case float() if math.isfinite(item):
            return item
        case str() if item.isprintable() and "/" not in item and "\\" not in item and item != NONE:
            return item
    return None


def _of_network(model: TorchModel, records: Records) -> Recipe:
    kind = type(model.module)
    own = kind.__module__.split(".")[0] not in ("torch", "aftertrace")
    name = model.name if is_reference(model.name) else _import_path(kind) if own else ""
    shape = () if records.array is None else records.array.shape[1:]
    params = {"shape": list(shape)} if len(shape) > 1 else {}
    say = "Say in `params` how you train: optimizer, learning_rate, epochs, batch_size, weight_decay."
    if name and _can_be_trained(name, params):
        return Recipe(name=name, params={**params, "epochs": BLANK, "learning_rate": BLANK}, remarks=(say,))
    made = f"a {kind.__name__}" if own else "a network"
    return Recipe(
        params=params,
        remarks=(
            f"Your model is {made} of torch. Name its class, or a function that makes one, in a file such as "
            f'training.py: "training:network". {say}',
        ),
    )


def _can_be_trained(name: str, params: Mapping[str, Any]) -> bool:
    """Whether an experiment would accept it. Its module has been imported already."""
    try:
        TrainedModel(name=name, params=params).trainer()
    except (AftertraceError, TypeError, ValueError):
        return False
    return True


def _import_path(kind: type) -> str:
    """The shortest `package.module:Class` that is a class; empty for one of a program or of a function."""
    parts = kind.__module__.split(".")
    modules = [".".join(parts[: size + 1]) for size in range(len(parts))]
    return next(
        (
            f"{module}:{kind.__name__}"
            for module in modules
            if module != "__main__" and getattr(sys.modules.get(module), kind.__name__, None) is kind
        ),
        "",
    )


def _described(estimator: Any) -> str:
    """An estimator by its class, a pipeline by those of its steps too."""
    from sklearn.pipeline import Pipeline

    name = type(estimator).__name__
    if not isinstance(estimator, Pipeline):
        return name
    return f"{name} of {', '.join(type(step).__name__ for _, step in estimator.steps)}"
