"""Several runs side by side: what varies, and what each found."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aftertrace.defenses import UtilityCost
from aftertrace.results._attacks import AgainstClassical
from aftertrace.results._json import json_of, record_of
from aftertrace.results._privacy import PrivacyResult
from aftertrace.results._result import Result
from aftertrace.results._training import Overfitting
from aftertrace.results._verdict import Outcome
from aftertrace.statistics import Interval

SWEEP_FORMAT: Literal[1] = 1
"""Version of `sweep.json`. 1: first."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What varies: a dotted `setting` and its values in order, as text."""

    setting: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """One run of a grid: `values` by setting, the figure of the verdict's attack, and that of its classical opponent.

    `error`: why the run could not be done; all else is None then. `folder`: of the run, in the sweep's.
    """

    values: Mapping[str, str]
    folder: str
    error: str | None = None
    outcome: Outcome | None = None
    sentence: str | None = None
    attack: str | None = None
    auc: Interval | None = None
    classical: Interval | None = None
    against: AgainstClassical | None = None
    models: int | None = None
    overfitting: Overfitting | None = None
    utility: UtilityCost | None = None
    privacy: PrivacyResult | None = None

    @classmethod
    def of(cls, values: Mapping[str, str], folder: str, result: Result) -> "CellResult":
        """What a finished run found."""
        found = result.attack(result.verdict.attack)
        return cls(
            values=values,
            folder=folder,
            outcome=result.verdict.outcome,
            sentence=result.verdict.sentence,
            attack=found.name,
            auc=found.auc,
            classical=None if found.against is None else result.attack(found.against.opponent).auc,
            against=found.against,
            models=result.counts.models,
            overfitting=result.overfitting,
            utility=result.utility,
            privacy=result.privacy,
        )


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """`sweep.json`: a grid of runs. `axes`: what varies; the last one varies fastest in `cells`.

    `settings`: those that all runs have alike.
    """

    title: str
    axes: tuple[Axis, ...]
    cells: tuple[CellResult, ...]
    settings: Mapping[str, Any]
    format: Literal[1] = SWEEP_FORMAT

    @property
    def failed(self) -> tuple[CellResult, ...]:
        """Runs that could not be done."""
        return tuple(cell for cell in self.cells if cell.error is not None)

    def to_json(self) -> str:
        """The content of `sweep.json`: sorted keys, numbers at full precision."""
        return json_of(self)

    @classmethod
    def from_json(cls, content: str | bytes) -> "SweepResult":
        """The result of a `sweep.json`. Raises `StoreError` if it is damaged or of another format."""
        return record_of(cls, content, f"a sweep of format {SWEEP_FORMAT}")

    def to_csv(self) -> str:
        """A row per run: the axes, outcome, AUC with its interval, the classical AUC, accuracies, models, error."""
        sink = io.StringIO()
        names = ("outcome", "attack", "auc", "low", "high", "classical", "p_holm", "test_accuracy", "models", "error")
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow([*(axis.setting for axis in self.axes), *names])
        for cell in self.cells:
            writer.writerow([*(cell.values[axis.setting] for axis in self.axes), *_row(cell)])
        return sink.getvalue()


def _row(cell: CellResult) -> tuple[Any, ...]:
    auc, against = cell.auc, cell.against
    return (
        cell.outcome,
        cell.attack,
        *((None, None, None) if auc is None else (auc.estimate, auc.low, auc.high)),
        None if cell.classical is None else cell.classical.estimate,
        None if against is None else against.p_holm,
        None if cell.overfitting is None else cell.overfitting.test_accuracy.mean,
        cell.models,
        cell.error,
    )
