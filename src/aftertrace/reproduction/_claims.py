"""Claims as weighted sums of AUCs inside originals, and what an interval says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace.results import ClaimResult, Finding
from aftertrace.statistics import Interval, mean_interval

LEAST_ORIGINALS = 6
"""Below, an interval over originals says nothing."""
Cells = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""Setting -> attack -> AUC inside each original [m]."""


@dataclass(frozen=True)
class Term:
    """`weight` times the AUC of `attack` in a `setting`."""

    weight: float
    setting: str
    attack: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence that a figure can refute: the sum of `terms`, `figure` in words, lies above and below two numbers."""

    sentence: str
    figure: str
    terms: tuple[Term, ...]
    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        if self.above is None and self.below is None:
            raise ValueError("A claim must say above or below what its figure lies.")


def judged(claim: Claim, cells: Cells, *, fixed: Cells | None = None, confidence: float = 0.95) -> ClaimResult:
    """The verdict: t interval over originals of the sum, term by term inside the same original.

    Originals of one number are drawn anew in every setting, each with its seed, so that sums over settings are
    independent between originals, given the data. `fixed`: the same settings with fixed pools, for the figure alone.
    Settings of fewer originals shorten the sum to those that all have.
    """
    missing = [term for term in claim.terms if term.attack not in cells.get(term.setting, {})]
    if missing:
        return _result(claim, None, Finding.NOT_RUN, f"{missing[0].setting} was not run")
    parts = [term.weight * cells[term.setting][term.attack] for term in claim.terms]
    m = min(map(len, parts))
    values = np.sum([part[:m] for part in parts], axis=0)
    values = values[np.isfinite(values)]
    if len(values) < LEAST_ORIGINALS:
        return _result(claim, None, Finding.OPEN, f"{len(values)} originals; an interval needs {LEAST_ORIGINALS}")
    interval = mean_interval(values, confidence=confidence)
    found = _result(claim, interval, finding_of(interval, claim.above, claim.below), "")
    return replace(found, fixed=_figure(claim, fixed or {}))


def _figure(claim: Claim, cells: Cells) -> float | None:
    """The sum of the terms' means; None where one is missing."""
    if not all(term.attack in cells.get(term.setting, {}) for term in claim.terms):
        return None
    return float(sum(term.weight * np.nanmean(cells[term.setting][term.attack]) for term in claim.terms))


def finding_of(interval: Interval, above: float | None, below: float | None) -> Finding:
    """Holds: the interval lies wholly where the claim says. Does not hold: wholly outside of it."""
    assert interval.low is not None
    assert interval.high is not None
    inside = (above is None or interval.low > above) and (below is None or interval.high < below)
    outside = (above is not None and interval.high < above) or (below is not None and interval.low > below)
    return Finding.HOLDS if inside else Finding.FAILS if outside else Finding.OPEN


def mean_of(weight: float, pairs: Sequence[tuple[str, str]]) -> tuple[Term, ...]:
    """Terms of a weighted mean over (setting, attack)."""
    return tuple(Term(weight / len(pairs), setting, attack) for setting, attack in pairs)


def _result(claim: Claim, interval: Interval | None, finding: Finding, reason: str) -> ClaimResult:
    return ClaimResult(
        claim=claim.sentence,
        figure=claim.figure,
        above=claim.above,
        below=claim.below,
        interval=interval,
        finding=finding,
        reason=reason,
    )
