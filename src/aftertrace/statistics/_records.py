"""What an estimate and a test hand back."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Interval:
    """An estimate with a two-sided confidence interval.

    `low` and `high` are both None when no interval can be given; `note` then says why. `n` counts the independent
    units that `method` works on: originals, records or trials.
    """

    estimate: float
    low: float | None
    high: float | None
    confidence: float
    n: int
    method: str
    note: str = ""


@dataclass(frozen=True)
class TestResult:
    """A two-sided test: its statistic, its p-value, and the number `n` of independent units."""

    __test__: ClassVar[bool] = False  # not a test case, whatever pytest thinks of the name

    statistic: float
    p_value: float
    n: int
    method: str
    note: str = ""
