"""Any scikit-learn classifier or pipeline, one fit per row. The slow obvious twin of every faster trainer."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError, TrainingError, UnsupportedError
from aftertrace.trainers._protocol import Base, Promise, Seeding, TrainingData

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


@dataclass(frozen=True, eq=False)
class SklearnTrainer:
    """Trains clones of `estimator`, whose own `random_state`s are replaced by numbers from the row's stream.

    Scaling and encoding that depend on records belong into a pipeline, so that each model fits them on its own
    training records. Classes absent from a row get the posterior 0 (`-inf` in the log).
    """

    estimator: "BaseEstimator"

    @property
    def promise(self) -> Promise:
        return Promise.EXACT

    @property
    def seedings(self) -> frozenset[Seeding]:
        return frozenset({Seeding.FRESH, Seeding.SAME})

    def specification(self) -> Mapping[str, Any]:
        """Class and parameters, nested."""
        return _describe(self.estimator)

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
            with sklearn.config_context(assume_finite=True, skip_parameter_validation=bool(fitted)):
                model, warned = self._fit_row(copy.deepcopy(blank), data, row, seeds, stream)
                fitted.append(model)
                unconverged += warned
        return SklearnModels(fitted, data.n_classes, {"models": len(fitted), "unconverged": unconverged})

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
            try:
                model.fit(data.x[records], data.label[records], **weight)
            except (ValueError, TypeError) as error:
                reason = str(error).strip().splitlines()[0]
                if type(error).__name__ == "InvalidParameterError":  # its class is private to scikit-learn
                    raise InputError(f"model.params: {reason}") from error
                raise TrainingError(
                    f"{type(self.estimator).__name__} could not be trained on {len(records)} records of "
                    f"{np.unique(data.label[records]).size} classes: {reason}"
                ) from error
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

    def __len__(self) -> int:
        return len(self.fitted)

    def log_posteriors(self, x: NDArray[np.float64], model: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log of `predict_proba`, one call per model. [Q, F], [Q] -> [Q, K]"""
        import sklearn

        values = np.zeros((len(x), self.n_classes))
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            for number in np.unique(model):
                rows = np.flatnonzero(model == number)
                fitted = self.fitted[number]
                values[rows[:, None], fitted.classes_] = fitted.predict_proba(x[rows])
        if np.isnan(values).any():
            raise TrainingError(
                "A trained model answers NaN: its training diverged. Scale the columns, or lower the learning rate."
            )
        with np.errstate(divide="ignore"):
            return np.log(values)


def _weight_name(model: Any) -> str:
    steps = getattr(model, "steps", None)  # only pipelines have steps, and they ask for the name of the last one
    return f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"


def _describe(value: Any) -> Any:
    """A scikit-learn object as plain values."""
    from sklearn.base import BaseEstimator

    match value:
        case BaseEstimator():
            kind = type(value)
            parameters = {name: _describe(item) for name, item in value.get_params(deep=False).items()}
            return {"class": f"{kind.__module__}.{kind.__qualname__}", **parameters}
        case list() | tuple():
            return [_describe(item) for item in value]
        case type():
            return f"{value.__module__}.{value.__qualname__}"
    return value
