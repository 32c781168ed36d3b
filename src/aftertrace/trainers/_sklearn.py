"""Any scikit-learn classifier or pipeline, one fit per row. The slow obvious twin of every faster trainer."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.data import Frame
from aftertrace.errors import InputError, TrainingError, UnsupportedError
from aftertrace.models import Records
from aftertrace.models._files import first_line
from aftertrace.trainers._addresses import described
from aftertrace.trainers._protocol import Base, Promise, Seeding, TrainingData

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


@dataclass(frozen=True, eq=False)
class SklearnTrainer:
    """Trains clones of `estimator`, whose own `random_state`s are replaced by numbers from the row's stream.

    Scaling and encoding that depend on records belong into a pipeline, so that each model fits them on its own
    training records. Classes absent from a row get the posterior 0 (`-inf` in the log). Data with a `frame` reach the
    classifier as a pandas data frame, others as an array.

    A run is addressed by class and parameters, by their functions with the values that these hold, by the files that
    all these stand in and the files of your own that they import, and by `made`: the function that made the estimator
    and its parameters. It cannot see changes of installed packages other than scikit-learn. `specification` raises
    `UnsupportedError` for functions that cannot be addressed so.
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
        made = {"made": described(self.made)} if self.made else {}
        return {**described(self.estimator), **made}

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
