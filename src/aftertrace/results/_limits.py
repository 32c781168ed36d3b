"""What a deployer accepts, and what an audit says of it."""

import math
from dataclasses import dataclass, fields
from enum import StrEnum

from aftertrace.errors import InputError
from aftertrace.statistics import Interval


class Standing(StrEnum):
    """Where an interval lies beside a limit."""

    EXCEEDED = "exceeded"  # all of it beyond
    WITHIN = "within"  # none of it beyond
    UNDECIDED = "undecided"  # the limit inside it, or no interval at all

    @classmethod
    def of(cls, low: float | None, high: float | None, limit: float, *, least: float = -math.inf) -> "Standing":
        """Of an interval beside a largest value and a `least` one."""
        if low is None or high is None:
            return cls.UNDECIDED
        if low > limit or high < least:
            return cls.EXCEEDED
        return cls.WITHIN if high <= limit and low >= least else cls.UNDECIDED

    @classmethod
    def of_auc(cls, low: float | None, high: float | None, limit: float) -> "Standing":
        """Of an AUC, which must not be further from one half than `limit` is, either way."""
        return cls.of(low, high, limit, least=1 - limit)


_RANGES = {
    "auc": (0.5, 1.0, "an AUC above 0.5 and below 1, such as 0.6"),
    "tpr_at_1pct": (0.01, 1.0, "a rate above 0.01 (guessing) and below 1, such as 0.03"),
    "per_record": (0.0, 1.0, "a share above 0 and below 1, such as 0.05"),
    "accuracy_loss": (-1.0, 1.0, "a difference of accuracies between -1 and 1, such as 0.01"),
}


LIMIT_NAMES = {
    "auc": "AUC",
    "tpr_at_1pct": "share found at 1 % false alarms",
    "per_record": "share told one by one",
    "accuracy_loss": "accuracy lost by the update",
}
"""What sentences call each limit."""


def _fits(name: str, value: object) -> bool:
    low, high, _ = _RANGES[name]
    return isinstance(value, int | float) and not isinstance(value, bool) and low < value < high


def _shown(name: str, value: object) -> str:
    """What came, and what was meant where it is a limit in percent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return repr(value)
    return f"{value:g} (is {value / 100:g} meant?)" if _fits(name, value / 100) else f"{value:g}"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that is accepted; None is no limit. A risk-appetite file holds these under `[limits]`.

    `auc`: of the verdict's attack, and 1 - AUC as well; `tpr_at_1pct`: share of deleted records found where 1 % of
    unseen ones are accused; `per_record`: share of deleted records that can be told one by one (at a false discovery
    rate of 5 %); `accuracy_loss`: accuracy that the update costs on unseen records. Raises `InputError` for a value out
    of range.
    """

    auc: float | None = None
    tpr_at_1pct: float | None = None
    per_record: float | None = None
    accuracy_loss: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.given().items():
            must = _RANGES[name][2]
            if not _fits(name, value):
                raise InputError(f"The limit `{name}` must be {must}, got {_shown(name, value)}.")

    def given(self) -> dict[str, float]:
        """The limits that there are, by name."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}


@dataclass(frozen=True, kw_only=True)
class LimitCheck:
    """A limit by its name in `Limits`, beside what was found.

    `found.low` and `found.high` decide. Where there is no interval, `found.note` says why and the standing is
    UNDECIDED; where nothing was measured, the estimate is None.
    """

    name: str
    limit: float
    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    n: int
    method: str
    standing: Standing
    note: str = ""

    @classmethod
    def of(cls, name: str, limit: float, found: Interval) -> "LimitCheck":
        """Of an interval; an AUC is held against 1 - `limit` from below too."""
        return cls(
            name=name,
            limit=limit,
            estimate=found.estimate,
            low=found.low,
            high=found.high,
            confidence=found.confidence,
            n=found.n,
            method=found.method,
            standing=(Standing.of_auc if name == "auc" else Standing.of)(found.low, found.high, limit),
            note=found.note,
        )

    @classmethod
    def unmeasured(cls, name: str, limit: float, reason: str, *, confidence: float) -> "LimitCheck":
        """Of what could not be measured."""
        return cls(
            name=name,
            limit=limit,
            estimate=None,
            low=None,
            high=None,
            confidence=confidence,
            n=0,
            method="none",
            standing=Standing.UNDECIDED,
            note=reason,
        )
