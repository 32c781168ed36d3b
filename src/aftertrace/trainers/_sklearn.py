"""Any scikit-learn classifier or pipeline, one fit per row. The slow obvious twin of every faster trainer."""

import copy
import hashlib
import inspect
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CellType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import canonical
from aftertrace.data import Frame
from aftertrace.errors import InputError, TrainingError, UnsupportedError
from aftertrace.models import Records
from aftertrace.models._files import first_line
from aftertrace.trainers._protocol import Base, Promise, Seeding, TrainingData

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


@dataclass(frozen=True, eq=False)
class SklearnTrainer:
    """Trains clones of `estimator`, whose own `random_state`s are replaced by numbers from the row's stream.

    Scaling and encoding that depend on records belong into a pipeline, so that each model fits them on its own
    training records. Classes absent from a row get the posterior 0 (`-inf` in the log). Data with a `frame` reach the
    classifier as a pandas data frame, others as an array.

    A run is addressed by class and parameters, by their functions with the values that these hold and the files
    that they stand in, and by `made`: the function that made the estimator and its parameters. It cannot see what
    other modules these files call. `specification` raises `UnsupportedError` for functions that cannot be addressed so.
    """

    estimator: "BaseEstimator"
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def promise(self) -> Promise:
        return Promise.EXACT

    @property
    def seedings(self) -> frozenset[Seeding]:
        return frozenset({Seeding.FRESH, Seeding.SAME})

    def specification(self) -> Mapping[str, Any]:
        """Class and parameters, nested, and what made them."""
        made = {"made": _describe(self.made)} if self.made else {}
        return {**_describe(self.estimator), **made}

    def fit(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "SklearnModels":
        """One fit per row; `base` is not used. Raises `TrainingError` or `InputError` with scikit-learn's reason."""
        import sklearn
        from sklearn.base import clone

        if device != "cpu":
            raise UnsupportedError(f"scikit-learn models are trained on device 'cpu', got {device!r}.")
        seeds = sorted(name for name in self.estimator.get_params() if name.split("__")[-1] == "random_state")
        blank, unconverged = clone(self.estimator), 0
        fitted: list[Any] = []
        for row, stream in zip(keep, streams, strict=True):
            # parameters are the same for all rows: scikit-learn checks them for the first one
            with sklearn.config_context(assume_finite=data.frame is None, skip_parameter_validation=bool(fitted)):
                model, warned = self._fit_row(copy.deepcopy(blank), data, row, seeds, stream)
                fitted.append(model)
                unconverged += warned
        counts = {"models": len(fitted), "unconverged": unconverged}
        return SklearnModels(fitted, data.n_classes, counts, frame=data.frame)

    def _fit_row(
        self,
        model: Any,
        data: TrainingData,
        row: NDArray[np.bool_],
        seeds: Sequence[str],
        stream: np.random.SeedSequence,
    ) -> tuple[Any, bool]:
        """Fit a blank `model`. Returns it, and whether it stopped before it converged."""
        from sklearn.exceptions import ConvergenceWarning

        rng, records = np.random.default_rng(stream), np.flatnonzero(row)
        if seeds:
            model.set_params(**{name: int(rng.integers(2**31)) for name in seeds})
        weight = {} if data.weight is None else {_weight_name(model): data.weight[records]}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _fit(model, _given(data.x[records], data.frame), data.label[records], weight)
        for warning in caught:
            if not issubclass(warning.category, ConvergenceWarning):
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        return model, any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


@dataclass(frozen=True, eq=False)
class SklearnModels:
    """Fitted scikit-learn classifiers."""

    fitted: Sequence[Any]
    n_classes: int
    counts: Mapping[str, int] = field(default_factory=dict)
    worst: Mapping[str, float] = field(default_factory=dict)
    frame: Frame | None = None

    def __len__(self) -> int:
        return len(self.fitted)

    def log_posteriors(self, x: NDArray[np.float64], model: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log of `predict_proba`, one call per model. [Q, F], [Q] -> [Q, K]

        Raises `TrainingError` with the reason where a model does not answer, or with NaN.
        """
        import sklearn

        values = np.zeros((len(x), self.n_classes))
        with sklearn.config_context(assume_finite=self.frame is None, skip_parameter_validation=True):
            for number in np.unique(model):
                rows = np.flatnonzero(model == number)
                fitted = self.fitted[number]
                values[rows[:, None], fitted.classes_] = self._answer(fitted, x[rows])
        if np.isnan(values).any():
            raise TrainingError(
                "A trained model answers NaN: its training diverged. Scale the columns, or lower the learning rate."
            )
        with np.errstate(divide="ignore"):
            return np.log(values)

    def _answer(self, fitted: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
        given = _given(x, self.frame)
        try:
            return np.asarray(fitted.predict_proba(given))
        except Exception as error:  # the user's own code, as in training
            name = type(fitted).__name__
            raise TrainingError(f"{name} could not answer for {len(x)} records: {_reason(error, given)}") from error


def _given(x: NDArray[np.float64], frame: Frame | None) -> Any:
    """What a classifier gets: the array, or the data frame that it is read back as."""
    return x if frame is None else Records(columns=frame.read(x)).as_frame()


def _fit(model: Any, given: Any, label: NDArray[np.int64], weight: Mapping[str, NDArray[np.float64]]) -> None:
    try:
        model.fit(given, label, **weight)
    except Exception as error:  # the user's own code: it may fail with anything
        if type(error).__name__ == "InvalidParameterError":  # its class is private to scikit-learn
            raise InputError(f"model.params: {first_line(error)}") from error
        raise TrainingError(
            f"{type(model).__name__} could not be trained on {len(label)} records of {np.unique(label).size} classes: "
            f"{_reason(error, given)}"
        ) from error


def _reason(error: Exception, given: Any) -> str:
    """Why a classifier failed, and how to go on where it takes the other kind of input or has not seen a text."""
    reason = first_line(error)
    if isinstance(given, np.ndarray):
        names_columns = isinstance(error, AttributeError | LookupError) or "dataframe" in reason.lower()
        return f'{reason}. To get a data frame, set data.encoding = "frame"' if names_columns else reason
    if "could not convert string" in reason:
        return f'{reason}. Encode texts in a pipeline, or set data.encoding = "codes"'
    if "unknown categories" in reason:
        return f'{reason}. Its training records had no such text: set handle_unknown="ignore" of the encoder'
    return reason


def _weight_name(model: Any) -> str:
    steps = getattr(model, "steps", None)  # only pipelines have steps, and they ask for the name of the last one
    return f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"


def _describe(value: Any) -> Any:
    """A scikit-learn object as plain values; what it calls, by name and digest of its file."""
    from sklearn.base import BaseEstimator
    from sklearn.compose import make_column_selector

    match value:
        case BaseEstimator():
            kind = type(value)
            parameters = {name: _describe(item) for name, item in value.get_params(deep=False).items()}
            return {"class": f"{kind.__module__}.{kind.__qualname__}", **_class_code(kind), **parameters}
        case list() | tuple():
            return [_describe(item) for item in value]
        case type():
            return f"{value.__module__}.{value.__qualname__}"
        case slice():
            return repr(value)
        case make_column_selector():
            return {"class": "sklearn.compose.make_column_selector", **_describe(vars(value))}
        case partial():
            return {"partial": _describe([value.func, value.args, value.keywords])}
        case Mapping():
            return {name: _describe(item) for name, item in value.items()}
        case FunctionType():
            return _described(value)
        case MethodType():
            return {"method": _describe(value.__func__), "of": _held(value.__qualname__, value.__self__)}
    if callable(value) and hasattr(value, "__name__"):  # compiled: its library's version says what it does
        owner = getattr(value, "__self__", None)
        name = getattr(value, "__qualname__", value.__name__)
        of = {} if owner is None or isinstance(owner, ModuleType) else {"of": _held(name, owner)}
        return {"function": f"{getattr(value, '__module__', None)}.{name}", **of}
    return value


def _described(function: FunctionType) -> Mapping[str, Any]:
    """A function by its name and a digest of its file; also by what it holds, where its module has not made it."""
    name = f"{function.__module__}.{function.__qualname__}"
    said = {"function": name, "code": _code(function)}
    if _found(function) is function:
        return said
    held = [*(_content(cell) for cell in function.__closure__ or ()), function.__defaults__, function.__kwdefaults__]
    return {**said, "holds": [_held(name, value) for value in held]}


def _found(function: FunctionType) -> Any:
    """What the function's module has by the function's name."""
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _held(name: str, value: Any) -> Any:
    """A value that a function holds. Raises `UnsupportedError` where a run cannot be addressed by it."""
    try:
        return canonical(_describe(value))
    except (UnsupportedError, RecursionError) as error:
        raise UnsupportedError(
            f"{name} must hold plain values, arrays or functions, by which a run can be addressed; it holds a "
            f"{type(value).__name__}. Make that inside the function, or write a transformer class with parameters."
        ) from error


def _code(function: FunctionType) -> str:
    """A digest of the whole file, as a function may read globals and call what stands beside it."""
    try:
        return hashlib.sha256("".join(inspect.findsource(function)[0]).encode()).hexdigest()
    except (OSError, IndexError) as error:
        raise UnsupportedError(
            f"{function.__module__}.{function.__qualname__} must have its source in a file, by which a run can be "
            f"addressed; none was found. Move it into a module."
        ) from error


def _class_code(kind: type) -> Mapping[str, str]:
    """A digest of the file of a class that is not scikit-learn's, if it has one."""
    path = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if kind.__module__.split(".")[0] == "sklearn" or path is None or not path.endswith(".py"):
        return {}
    return {"code": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
