"""What answers are: probabilities, logits or scores, stated or told from the values."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError
from aftertrace.posteriors import Kind

Floats = NDArray[np.float64]
TOLERANCE = 1e-3
"""How far the sum of a row of probabilities may be from 1, as in `Posteriors`."""
ROUNDING = 1e-6
"""How far below 0 a probability may lie that was computed in single precision; it counts as 0."""

_PERCENT = 100.0
_MOST_SLACK = 5.0  # of a sum of rounded percent


class Outputs(StrEnum):
    """What a model answers."""

    AUTO = "auto"  # probabilities or logits, told from the values
    PROBABILITIES = "probabilities"  # [Q, K]; one column is the probability of the second of two classes
    LOGITS = "logits"  # [Q, K], before the softmax; one column is the logit of the second of two classes
    LOSS = "loss"  # [Q, 1], larger is less confident
    LOG_LIKELIHOOD = "log-likelihood"  # [Q, 1], larger is more confident


SCORES = (Outputs.LOSS, Outputs.LOG_LIKELIHOOD)
"""Outputs that need no classes."""


@dataclass(frozen=True, eq=False)
class LogValues:
    """Answers of all versions as `Posteriors` holds them: `values` [Q, V, K], their `kind`, and perhaps a `note`."""

    values: Floats
    kind: Kind
    note: str = ""


def version_names(count: int) -> tuple[str, ...]:
    """What messages call versions of which nothing else is known."""
    return tuple(f"version {version}" for version in range(count))


def log_values(raw: Sequence[Floats], outputs: Outputs, *, names: Sequence[str] = ()) -> LogValues:
    """Logs of posteriors, or log-likelihoods, of what each version answered [Q, K].

    `names`: what messages call the versions, by default by number.

    AUTO looks at all versions together. Rows between 0 and 1 that sum to 1 are probabilities; values below 0 or above
    1 make logits, and a note says so. Everything else must be stated: a single column, rows that do not sum to 1, rows
    that are percent or counts by the looks of it, and versions of which one looks like probabilities and another like
    logits. Logits become log posteriors without
    passing through probabilities, so that small ones are exact. A loss is turned into its negative.

    Raises `InputError` for NaN and infinite values (except -inf where logits are stated: a class that is ruled out),
    and for values that are not what was stated.
    """
    names = names or version_names(len(raw))
    _check_finite(raw, outputs, names)
    stacked = np.stack(raw, axis=1)
    if outputs in SCORES:
        return _scores(stacked, outputs)
    if outputs is not Outputs.LOGITS:
        _check_no_shares(raw, names)
    told = _told(raw, names) if outputs is Outputs.AUTO else outputs
    if told is Outputs.LOGITS:
        return LogValues(_from_logits(stacked), Kind.POSTERIOR, _note(raw, outputs))
    _check_probabilities(raw, names)
    if stacked.shape[2] == 1:
        stacked = np.concatenate([1 - stacked, stacked], axis=2)
    with np.errstate(divide="ignore"):
        return LogValues(np.log(np.maximum(stacked, 0)), Kind.POSTERIOR)


def _scores(stacked: Floats, outputs: Outputs) -> LogValues:
    if stacked.shape[2] != 1:
        raise InputError(
            f"A {outputs} is one number for each record; the models answer {stacked.shape[2]} each. Are these "
            f"probabilities or logits?"
        )
    return LogValues(-stacked if outputs is Outputs.LOSS else stacked, Kind.SCORE)


def _from_logits(logits: Floats) -> Floats:
    from scipy.special import log_softmax

    if logits.shape[2] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=2)
    return log_softmax(logits, axis=2)


def _told(raw: Sequence[Floats], names: Sequence[str]) -> Outputs:
    if raw[0].shape[1] == 1:
        raise InputError(
            "The models answer one number for each record, which may be a loss, a log-likelihood, or the probability "
            "or logit of the second class: say which (`outputs='loss'`, log-likelihood, probabilities or logits)."
        )
    looks = [_look(values) for values in raw]
    for name, values, look in zip(names, raw, looks, strict=True):
        if look is None:
            sums = values.sum(axis=1)
            row = int(np.abs(sums - 1).argmax())
            raise InputError(
                f"The answers of {name} lie between 0 and 1 and do not sum to 1 (row {row}: "
                f"{sums[row]:.4g}): a sigmoid for each class, or logits? Say which (`outputs`); a sigmoid for each "
                f"class must first be made one distribution."
            )
    if len(set(looks)) > 1:
        words = ", ".join(f"{name} {look}" for name, look in zip(names, looks, strict=True))
        raise InputError(f"All versions must answer alike; {words}, by the looks of it. Bring them into one form.")
    assert looks[0] is not None
    return looks[0]


def _look(values: Floats) -> Outputs | None:
    """What values [Q, K] look like; None is neither."""
    if _outside(values).any():
        return Outputs.LOGITS
    return Outputs.PROBABILITIES if (np.abs(values.sum(axis=1) - 1) <= TOLERANCE).all() else None


def _check_no_shares(raw: Sequence[Floats], names: Sequence[str]) -> None:
    """Refuse percent and counts: none is below 0, and all rows have one sum, which logits have by no chance."""
    for name, values in zip(names, raw, strict=True):
        whole = _whole(values)
        if whole is not None:
            kind, way = ("percent", "by 100") if whole == _PERCENT else ("counts or shares", "each row by its sum")
            raise InputError(
                f"Answers must be probabilities, whose rows sum to 1, or logits; none of {name} is below 0, and all "
                f"rows sum to {whole:.6g}: are they {kind}? Divide {way}, or say that they are logits "
                f"(`outputs='logits'`)."
            )


def _whole(values: Floats) -> float | None:
    """What all rows [Q, K] sum to, if that is one number above 1; rounded percent need not sum to 100 exactly."""
    sums = values.sum(axis=1)
    whole = float(np.median(sums))
    if values.shape[1] == 1 or not _outside(values).any() or (values < -ROUNDING * whole).any():
        return None
    slack = _PERCENT * TOLERANCE
    for decimals in range(3):
        if np.allclose(values, np.round(values, decimals), rtol=0, atol=_PERCENT * ROUNDING):
            slack = max(slack, min(values.shape[1] / 2 * 10.0**-decimals, _MOST_SLACK if decimals else _PERCENT / 2))
            break
    if (np.abs(sums - _PERCENT) <= slack).all():
        return _PERCENT
    alike = len(values) > 1 and (np.abs(sums - whole) <= TOLERANCE * whole).all()
    return whole if alike and whole > 1 + TOLERANCE else None


def _outside(values: Floats) -> NDArray[np.bool_]:
    return np.any((values < -ROUNDING) | (values > 1 + TOLERANCE), axis=1)


def _note(raw: Sequence[Floats], outputs: Outputs) -> str:
    if outputs is Outputs.AUTO:
        least, most = min(values.min() for values in raw), max(values.max() for values in raw)
        return (
            f"The models' answers lie between {least:.4g} and {most:.4g}: they were taken for logits, and a softmax "
            f"was applied. If they are something else, say so (`outputs`)."
        )
    if raw[0].shape[1] > 1 and all(_look(values) is Outputs.PROBABILITIES for values in raw):
        return "The models' answers look like probabilities, and were taken for logits as stated (`outputs='logits'`)."
    return ""


def _check_finite(raw: Sequence[Floats], outputs: Outputs, names: Sequence[str]) -> None:
    for name, values in zip(names, raw, strict=True):
        wrong = ~np.isfinite(values)
        if outputs is Outputs.LOGITS:
            wrong &= ~(np.isneginf(values) & (values > -np.inf).any(axis=1, keepdims=True))
        rows = np.flatnonzero(wrong.any(axis=1))
        if rows.size:
            raise InputError(
                f"Answers must be finite numbers; {name} holds NaN or infinite ones in {rows.size} of "
                f"{len(values)} rows, first in row {rows[0]}. Ask the model for that record by itself."
            )


def _check_probabilities(raw: Sequence[Floats], names: Sequence[str]) -> None:
    for name, values in zip(names, raw, strict=True):
        if _outside(values).any():
            raise InputError(
                f"Probabilities must lie between 0 and 1; {name} answers from {values.min():.4g} to "
                f"{values.max():.4g}. These look like logits: say `outputs='logits'`."
            )
        sums = values.sum(axis=1)
        if values.shape[1] > 1 and (np.abs(sums - 1) > TOLERANCE).any():
            row = int(np.abs(sums - 1).argmax())
            raise InputError(
                f"Probabilities must sum to 1 within {TOLERANCE}; row {row} of {name} sums to "
                f"{sums[row]:.4g}. A sigmoid for each class must first be made one distribution."
            )
