"""The paper's experiments: what each claims, and what was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aftertrace.results._json import json_of, record_of
from aftertrace.statistics import Interval

REPRODUCTION_FORMAT = 1
"""Version of `reproduction.json`. 1: first."""


class Finding(StrEnum):
    """What an interval says of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "inconclusive"
    NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class ClaimResult:
    """A claim, the figure that decides it, and the verdict.

    `figure`: what the interval is of, in words; it must lie above `above` and below `below`, where given, for the claim
    to hold, and wholly on the other side of one of them for it not to. `fixed`: the figure with the paper's fixed
    pools, which say nothing with certainty (roles are tied to records). `reason`: why it was not run.
    """

    claim: str
    figure: str
    above: float | None
    below: float | None
    interval: Interval | None
    finding: Finding
    fixed: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class FigureRow:
    """One setting: AUC by attack, with redrawn records (`auc`) and with the paper's fixed pools (`fixed`).

    `reference`: attack -> what the corrected released code gave; `asked`: the range that `asked_of` (an attack, mean
    over seeds, fixed pools) is expected in. `train_accuracy`, `test_accuracy` of the original models; `loss`: accuracy
    lost by the defense. `error`: why it was not run.
    """

    setting: str
    models: int = 0
    auc: Mapping[str, Interval]
    fixed: Mapping[str, Interval]
    reference: Mapping[str, str]
    asked_of: str = ""
    asked: tuple[float, float] | None = None
    train_accuracy: float | None = None
    test_accuracy: float | None = None
    loss: Interval | None = None
    privacy: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """One experiment of the paper."""

    name: str
    title: str
    source: str
    attacks: tuple[str, ...]
    claims: tuple[ClaimResult, ...]
    rows: tuple[FigureRow, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReproductionResult:
    """`reproduction.json`: all studies of a scale."""

    scale: str
    sizes: str
    studies: tuple[StudyResult, ...]
    notes: tuple[str, ...] = ()
    format: int = REPRODUCTION_FORMAT

    @property
    def claims(self) -> tuple[ClaimResult, ...]:
        """Of all studies."""
        return tuple(claim for study in self.studies for claim in study.claims)

    def to_json(self) -> str:
        """The content of `reproduction.json`: sorted keys, numbers at full precision."""
        return json_of(self)

    @classmethod
    def from_json(cls, content: str | bytes) -> "ReproductionResult":
        """What `to_json` wrote. Raises `StoreError` if it is damaged or of another format."""
        return record_of(cls, content, f"a reproduction of format {REPRODUCTION_FORMAT}")
