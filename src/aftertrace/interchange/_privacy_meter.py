"""Signals of Privacy Meter."""

from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError, PosteriorsError
from aftertrace.interchange._arrays import read_array
from aftertrace.posteriors import Kind, Posteriors, phi, pseudonyms

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
ROUNDING = 1e-6
"""How far a signal in single precision may lie beyond its range."""


class Signal(StrEnum):
    """What a file of signals holds of each point and model."""

    SOFTMAX = "softmax"  # probability of the true class; of a text, the geometric mean over its tokens
    LOSS = "loss"  # cross-entropy, of a text the mean over its tokens: minus the logarithm of the former


def read_privacy_meter(
    signals: Path | str,
    memberships: Path | str,
    *,
    before: int,
    after: int,
    signal: Signal,
    population: Path | str | None = None,
    key: bytes = b"",
) -> Posteriors:
    """Two of Privacy Meter's models, an original and its update, as a table of scores (`Kind.SCORE`).

    `signals`: `signals/rmia_signals.npy` or `signals/loss_signals.npy` [N, M], N points and M models; `memberships`:
    `models/memberships.npy` [M, N], was the point in the training set; `before`, `after`: the models' numbers, from 0.
    `signal`: what the file holds. Privacy Meter now keeps the probability of the true class under both names; its
    earlier code kept the loss in `loss_signals.npy`, and numbers alone do not always tell which. `population`:
    `signals/rmia_signals_pop.npy` [P, M], points that no model was trained on, which become unseen records.

    Roles follow from the memberships: deleted (before, not after), unseen (neither), retained (both), added. A score is
    the logit of the true class's probability; larger means more confident. Files are read without unpickling.

    Raises `PosteriorsError` naming the file, for shapes that disagree, memberships other than 0 and 1 and values out of
    range; `InputError` for numbers of models that there are not. Formats: `get_signals.py` (`get_model_signals`),
    `models/utils.py` (`prepare_models`) and `audit.py` of github.com/privacytrustlab/ml_privacy_meter.
    """
    values, member = _matrix(Path(signals)), _members(Path(memberships))
    _check_shapes(Path(signals), values, Path(memberships), member)
    models = _models(before, after, len(member))
    scores = [_scores(Path(signals), values[:, models], Signal(signal))]
    names = [str(point) for point in range(len(values))]
    was_in = [member[models].T]
    if population is not None:
        others = _population(Path(population), len(member))
        scores.append(_scores(Path(population), others[:, models], Signal(signal)))
        names += [f"population {point}" for point in range(len(others))]
        was_in.append(np.zeros((len(others), 2), dtype=bool))
    return _table(np.concatenate(scores), np.concatenate(was_in), pseudonyms(names, key))


def _table(scores: Floats, member: Flags, record: NDArray[np.int64]) -> Posteriors:
    one = np.zeros(len(scores), dtype=np.int64)
    return Posteriors(
        log_values=scores[:, :, None],
        member=member,
        label=one,
        classes=("score",),
        record=record,
        pair=one.copy(),
        original=one.copy(),
        use=one.astype(np.int8),
        kind=Kind.SCORE,
    )


def _matrix(path: Path) -> NDArray[Any]:
    array = read_array(path)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.number):
        raise PosteriorsError(
            f"{path}: signals must be numbers [N, M], a row per point and a column per model; got {array.dtype} "
            f"{array.shape}."
        )
    return array


def _population(path: Path, models: int) -> NDArray[Any]:
    array = _matrix(path)
    if array.shape[1] != models:
        raise PosteriorsError(f"{path}: there must be a column for each of {models} models; got {array.shape[1]}.")
    return array


def _members(path: Path) -> Flags:
    array = read_array(path)
    if array.ndim != 2 or not (array.dtype == np.bool_ or np.issubdtype(array.dtype, np.number)):
        raise PosteriorsError(
            f"{path}: memberships must be [M, N], true or false for each model and point; got {array.dtype} "
            f"{array.shape}."
        )
    strange = ~np.isin(array, (0, 1))
    if strange.any():
        model, point = np.argwhere(strange)[0]
        raise PosteriorsError(
            f"{path}: memberships must be 0 or 1; model {model} has {array[model, point]} for point {point}."
        )
    return np.asarray(array, dtype=bool)


def _check_shapes(signals: Path, values: NDArray[Any], memberships: Path, member: Flags) -> None:
    if values.shape == member.T.shape:
        return
    raise PosteriorsError(
        f"{signals} must be [N, M] and {memberships} [M, N]; got {values.shape} and {member.shape}. If Privacy Meter "
        f"asked a sample of the points (audit.data_size) or ranges (ramia), it kept no list of them: have it ask all."
    )


def _models(before: int, after: int, count: int) -> list[int]:
    if not (0 <= before < count and 0 <= after < count) or before == after:
        raise InputError(
            f"Before and after must be two different models from 0 to {count - 1}; got {before} and {after}."
        )
    return [before, after]


def _scores(path: Path, values: NDArray[Any], signal: Signal) -> Floats:
    """The logit of the true class [n, V] of signals [n, V]."""
    most = 1.0 if signal is Signal.SOFTMAX else np.inf
    exact = np.asarray(values, dtype=np.float64)
    good = np.isfinite(exact) & (exact >= -ROUNDING) & (exact <= most + ROUNDING)
    if not good.all():
        point, column = np.argwhere(~good)[0]
        must, also = ("from 0 to 1", " (losses? Say so.)") if signal is Signal.SOFTMAX else ("of 0 or more", "")
        raise PosteriorsError(
            f"{path}: signals of kind {signal} must be numbers {must}; {'the first' if column == 0 else 'the second'} "
            f"model has {exact[point, column]:.6g} for point {point}{also}."
        )
    exact = np.clip(exact, 0, most)
    with np.errstate(divide="ignore"):
        if signal is Signal.SOFTMAX:
            own, others = np.log(exact), np.log1p(-exact)
        else:
            own, others = -exact, np.log(-np.expm1(-exact))
    return phi(np.stack([own, others], axis=-1), np.zeros(len(exact), dtype=np.int64))
