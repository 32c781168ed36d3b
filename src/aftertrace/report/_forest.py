"""AUCs with intervals, drawn in the rows of a table: places on one scale, in percent of its width."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from aftertrace.statistics import Interval


@dataclass(frozen=True)
class Dot:
    """An estimate and its interval, in percent of the scale's width; `words` says the same in figures."""

    at: float
    low: float
    high: float
    words: str


@dataclass(frozen=True)
class AucScale:
    """From `least` to 1, with a line at one half and one at the limit."""

    least: float
    limit: float | None

    @classmethod
    def of(cls, intervals: Iterable[Interval], *, limit: float | None) -> "AucScale":
        """Wide enough for all of them, from a tenth at or below 0.4."""
        ends = [each.estimate if each.low is None else each.low for each in intervals]
        if limit is not None:
            ends.append(1 - limit)
        return cls(least=math.floor(10 * min([0.4, *ends])) / 10, limit=limit)

    def place(self, auc: float) -> float:
        """Of an AUC, in percent."""
        return round(100 * (auc - self.least) / (1 - self.least), 2)

    def dot(self, auc: Interval) -> Dot:
        """An interval on this scale; without ends it has no length."""
        low, high = (auc.estimate if end is None else end for end in (auc.low, auc.high))
        words = f"AUC {auc.estimate:.3f}" if auc.low is None else f"AUC {auc.estimate:.3f} ({low:.3f} to {high:.3f})"
        return Dot(self.place(auc.estimate), self.place(low), self.place(high), words)

    @property
    def half(self) -> float:
        """Where guessing stands."""
        return self.place(0.5)

    @property
    def limit_at(self) -> float | None:
        """Where the limit stands, if there is one: above one half, the side on which deletions usually show."""
        return None if self.limit is None else self.place(self.limit)

    @property
    def ticks(self) -> tuple[tuple[str, float], ...]:
        """Figures below the scale and their places: every fifth."""
        tenths = range(10, round(10 * self.least) - 1, -2)
        return tuple((f"{tenth / 10:.1f}", self.place(tenth / 10)) for tenth in tenths)
