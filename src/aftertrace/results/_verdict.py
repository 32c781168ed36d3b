"""The verdict, and the claim of differential privacy that it may be held against."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from aftertrace.errors import InputError
from aftertrace.results._limits import LimitCheck
from aftertrace.statistics import DpGuarantee, auc_ceiling, dp_substitution

DeletionUnit = Literal["record", "person"]


class Outcome(StrEnum):
    """The verdict in a word."""

    LEAKS = "leaks"  # an interval lies above its limit (without a limit: beside one half)
    WITHIN = "no leak above the limit"
    TOO_COSTLY = "too costly"  # no limit of a leak exceeded, but more accuracy lost than is accepted
    NOT_SHOWN = "no leak shown"  # no limit was given, and the interval holds one half
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"  # a control failed


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of (`epsilon`, `delta`)-differential privacy, of all versions that the attacker sees, together.

    `adjacency`: of what change: a record substituted by another, or a record added or removed, which says less: deleted
    against unseen is a substitution, a removal and an addition (`dp_substitution`). Where persons are judged, of a
    person with all of his or her records. Raises `InputError` for an epsilon or delta out of range, and where the claim
    allows every AUC.
    """

    epsilon: float
    delta: float = 0.0
    adjacency: Literal["add_remove", "substitution"] = "add_remove"

    def __post_init__(self) -> None:
        if not (0 < self.epsilon < math.inf and 0 <= self.delta < 1):
            raise InputError(
                f"A claim must have a finite epsilon above 0 and a delta from 0 to below 1, got {self.epsilon} and "
                f"{self.delta}."
            )
        if not self.largest_auc < 1:
            raise InputError(f"The claim of {self} allows every AUC: no audit can refute it. Give a limit instead.")

    @property
    def largest_auc(self) -> float:
        """The ceiling that the claim puts on the AUC of any attack, deleted against unseen."""
        own = DpGuarantee(self.epsilon, self.delta)
        return auc_ceiling(own if self.adjacency == "substitution" else dp_substitution(own))

    def __str__(self) -> str:
        return self.of_unit("record")

    def of_unit(self, unit: DeletionUnit) -> str:
        """The claim in words, for what is deleted and judged."""
        change = "adding or removing" if self.adjacency == "add_remove" else "substituting"
        return f"({self.epsilon:g}, {self.delta:g})-differential privacy for {change} a {unit}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`sentence` says it to a person; `attack` gave it; `checks`: every limit beside what was found; `limit`: the
    largest AUC accepted, if one was given.

    `claim`: where the limit came from, if from a claim of differential privacy.

    `more_originals`: about how many more would decide with 80 % power, where the verdict is inconclusive and the
    queries at hand tell.
    """

    outcome: Outcome
    sentence: str
    attack: str
    limit: float | None
    more_originals: int | None = None

    claim: Claim | None = None
    checks: tuple[LimitCheck, ...] = ()
