"""All that an audit found, as one record; `result.json` is this and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aftertrace.defenses import UtilityCost
from aftertrace.posteriors import Role
from aftertrace.results._attacks import AttackResult, ControlResult, Discoveries, SequentialResult, SliceResult
from aftertrace.results._json import json_of, record_of
from aftertrace.results._privacy import PrivacyResult
from aftertrace.results._remedy import Remedy
from aftertrace.results._training import Overfitting, Training, UpdateCost
from aftertrace.results._verdict import DeletionUnit, Verdict

FORMAT = 1
"""Version of `result.json`. 1: first."""


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """The records behind the audit; `fingerprint` is a SHA-256 over their values."""

    name: str
    records: int
    features: int | None
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Sizes of the target side as evaluated, and how many models were trained for both sides."""

    originals: int
    pairs: int
    deleted: int
    unseen: int
    held_out: int
    retained: int
    models: int
    unconverged: int


@dataclass(frozen=True, kw_only=True)
class Widening:
    """What one pair of models can support and what it cannot, and how to learn more by simulation.

    `how`: what is done; `cost`: what it takes, of which `models` must be trained; `steps`: what to do, in order, with
    what is to be typed between backquotes; `command`: the last of that. `starter`: an experiment file to fill in, empty
    where there is one already, or where no simulation is like the models.
    """

    can: tuple[str, ...]
    cannot: tuple[str, ...]
    how: str
    command: str
    models: int | None = None
    cost: str = ""
    steps: tuple[str, ...] = ()
    starter: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything an audit found. Holds no timing, path or host: equal runs give equal bytes.

    `unit`: what is deleted and judged; the counts are of these. `questions`: what looks as if it were not what it is
    called, to be answered before the figures are believed; they change none.
    """

    title: str
    verdict: Verdict
    attacks: tuple[AttackResult, ...]
    controls: tuple[ControlResult, ...]
    counts: Counts
    overfitting: Overfitting | None
    data: DataSummary
    settings: Mapping[str, Any]
    threat_model: tuple[str, ...]
    not_tested: tuple[str, ...]
    notes: tuple[str, ...]
    questions: tuple[str, ...] = ()
    training: Training | None = None
    slices: tuple[SliceResult, ...] = ()
    discoveries: Discoveries | None = None
    sequence: SequentialResult | None = None
    utility: UtilityCost | None = None
    update: UpdateCost | None = None
    privacy: PrivacyResult | None = None
    widening: Widening | None = None
    remedy: Remedy | None = None
    unit: DeletionUnit = "record"
    format: int = FORMAT

    @property
    def attacked(self) -> Role:
        """The role that is told from unseen records."""
        return Role[self.settings.get("scenario", {}).get("attacked", "deleted").upper()]

    def attack(self, name: str) -> AttackResult:
        """The attack of that name. Raises `KeyError` with the names there are."""
        for each in self.attacks:
            if each.name == name:
                return each
        raise KeyError(f"There is no attack {name!r}; there are {', '.join(each.name for each in self.attacks)}.")

    def to_json(self) -> str:
        """The content of `result.json`: sorted keys, numbers at full precision, no NaN."""
        return json_of(self)

    @classmethod
    def from_json(cls, content: str | bytes) -> "Result":
        """The result of a `result.json`. Raises `StoreError` if it is damaged or of another format."""
        return record_of(cls, content, f"a result of format {FORMAT}")

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """The JSON schema of `result.json`."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).json_schema()
