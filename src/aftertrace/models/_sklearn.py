"""Fitted classifiers with scikit-learn's interface: its own, pipelines, XGBoost's and LightGBM's."""

import hashlib
import pickle
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from aftertrace._spelling import some
from aftertrace.errors import InputError, TrainingError
from aftertrace.models._classes import class_names
from aftertrace.models._files import first_line
from aftertrace.models._protocol import Floats
from aftertrace.models._records import Records


@dataclass(frozen=True, eq=False)
class SklearnModel:
    """A fitted `estimator` with `predict_proba`.

    One that was fitted on a data frame gets a data frame with its columns, by name and in its order; further columns of
    the records are left out. Others get the array [Q, F], or a data frame where there are texts. `notes`: what a reader
    must know of how it was opened.
    """

    estimator: Any
    fingerprint: str
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of `classes_`."""
        return class_names(self.estimator.classes_)

    def answer(self, records: Records) -> Floats:
        """Probabilities [Q, K]. Raises `InputError` with the estimator's reason where records do not suit it."""
        name = type(self.estimator).__name__
        x = self._as_fitted(records)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what answers are worth is judged by whoever asked
                return np.asarray(self.estimator.predict_proba(x), dtype=np.float64)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{name} does not take these records: {first_line(error)}. All columns of the files but "
                f"record, label, person, role and left are features."
            ) from error
        except (Exception, SystemExit) as error:  # other people's code: it may fail with anything
            raise TrainingError(f"{name} fails to answer: {type(error).__name__}: {first_line(error)}.") from error

    def wanted(self, records: Records) -> tuple[str, ...]:
        """The columns of the records that it takes: those that it was fitted on, all where it knows no names."""
        own = self.names()
        if own and not _made_up(own, records):
            return tuple(name for name in records.columns or () if name in own or name.replace(" ", "_") in own)
        return tuple(records.columns or ())

    def names(self) -> list[str]:
        """The columns that it was fitted on, if these had names."""
        return [str(each) for each in getattr(self.estimator, "feature_names_in_", ())]

    @property
    def n_features(self) -> int | None:
        """How many columns it was fitted on, if it says so."""
        return getattr(self.estimator, "n_features_in_", None)

    def _as_fitted(self, records: Records) -> Any:
        """An array [Q, F], or a data frame."""
        wanted = self.names()
        if wanted and not _made_up(wanted, records):
            return _frame(records, wanted, type(self.estimator).__name__)
        return records.as_array() if records.is_numeric else records.as_frame()


def wrap_estimator(estimator: Any) -> SklearnModel:
    """A living estimator. Raises `InputError` unless it is fitted, has `predict_proba` and one target."""
    name = type(estimator).__name__
    if not hasattr(estimator, "predict_proba"):  # scikit-learn's way to say what an estimator can do
        raise InputError(
            f"{name} has no `predict_proba`: "
            + (
                "its margins are no posteriors. Calibrate it (sklearn.calibration.CalibratedClassifierCV), before and "
                "after the deletions alike."
                if hasattr(estimator, "decision_function")
                else "bring a classifier that has one, or a function that returns a loss for each record."
            )
        )
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        raise InputError(f"{name} must be fitted, and is not: it has no `classes_`. Fit it first.")
    if isinstance(classes, list) or np.ndim(classes) != 1:
        raise InputError(f"{name} must have one target, and has {len(classes)}. Audit each target by itself.")
    return SklearnModel(estimator, _fingerprint(estimator))


def _made_up(wanted: list[str], records: Records) -> bool:
    """Whether LightGBM, as it did before 4.7, made these names up for an array, and the records have none of them."""
    own = [f"Column_{number}" for number in range(len(wanted))]
    return wanted == own and set(wanted).isdisjoint(records.columns or ())


def _frame(records: Records, wanted: list[str], name: str) -> Any:
    frame = records.as_frame()
    known = {str(each).replace(" ", "_"): each for each in frame.columns}  # as LightGBM names them
    known |= {each: each for each in frame.columns}
    missing = [each for each in wanted if each not in known]
    if missing:
        raise InputError(
            f"{name} was fitted on {len(wanted)} columns, and the records lack {len(missing)} of these: "
            f"{some(missing)}; they have {some(list(frame.columns))}."
        )
    return frame[[known[each] for each in wanted]]


def _fingerprint(estimator: Any) -> str:
    """A digest of an estimator's content, or its class where that cannot be written out."""
    kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
    try:
        return hashlib.sha256(pickle.dumps(estimator)).hexdigest()
    except (pickle.PicklingError, TypeError, AttributeError):
        return kind
