"""What an audit found, as records; `result.json` is these and nothing else."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from aftertrace.defenses import UtilityCost
from aftertrace.errors import InputError
from aftertrace.posteriors import Role
from aftertrace.results._json import json_of, record_of
from aftertrace.results._limits import LimitCheck
from aftertrace.results._remedy import Remedy
from aftertrace.statistics import (
    CeilingCheck,
    Degradation,
    DpGuarantee,
    Interval,
    RateAtFpr,
    auc_ceiling,
    check_ceiling,
    dp_compose,
    dp_group,
    dp_substitution,
)
from aftertrace.trainers import Guarantee

DeletionUnit = Literal["record", "person"]
FORMAT = 1
"""Version of `result.json`. 1: first."""


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


@dataclass(frozen=True, kw_only=True)
class AgainstClassical:
    """Paired with the classical attack of equal knowledge on the same queries.

    `difference`: of AUCs, mean over originals, with the `p_value` of the sign-flip test; on one pair of models over its
    records, with an interval from `low` to `high`. `p_holm`: adjusted over all attacks of the run. What cannot be said
    is None, with `note`.
    """

    opponent: str
    difference: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None
    p_holm: float | None
    method: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class AttackResult:
    """One attack on the target side. `balanced_accuracy` is at `threshold`, chosen on the shadow side.

    `shadow`: the shadow models that it needs, "none", "population" or "per_record" (of the records themselves).
    What could not be computed is None, and `notes` say why.
    """

    name: str
    feature: str | None
    classifier: str | None
    classical: bool
    auc: Interval
    balanced_accuracy: float | None
    threshold: float | None
    rates: tuple[RateAtFpr, ...]
    degradation: Degradation | None
    against: AgainstClassical | None
    notes: tuple[str, ...] = ()
    shadow: str = "none"


@dataclass(frozen=True, kw_only=True)
class ControlResult:
    """A control with a known answer. `passed` is None where the data allow none. `auc.confidence` is that of the test.

    "unseen/unseen", "retained/retained", "permuted": roles are exchangeable by construction, so the AUC must be one
    half. "blind": an attack that sees the records alone; above one half, deleted and unseen records are not
    comparable. "planted": a leak of AUC .65 is put in, and the interval must lie above one half.
    """

    name: str
    attack: str
    auc: Interval
    passed: bool | None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class SliceResult:
    """The verdict's attack on a part of the queries: those of one `group` `by` class, confidence or a column.

    `p_value`: of deleted and unseen queries of the group having one law of scores, by `method`; `p_holm` adjusted over
    all groups that have one; both None where there are too few.
    """

    by: str
    group: str
    deleted: int
    unseen: int
    auc: Interval
    p_value: float | None
    p_holm: float | None
    method: str


@dataclass(frozen=True, kw_only=True)
class Discoveries:
    """Which single deletions can be told, and which of them because of the deletion
    (`aftertrace.statistics.single_deletions`).

    Of `deleted` records those whose Benjamini-Hochberg adjusted p-value is at most `fdr`: of them a share `fdr` is
    false in expectation. `before`: by the original's confidence alone (classical); `after`: by the verdict's attack
    on both versions; `worse`: by both versions more than by the original, a part of `after`.

    `compared_with_itself`: as many records by originals that never saw them, all others by the unseen records of the
    same original. `share`: of deletions that can be told `after`, over originals, or records of one. Of those,
    `unseen`: the fewest references of an original; a single deletion that stands out alone can
    be found `after` from `needed` on (as `worse` only from many more). Both are 0 where there are no such records.
    """

    fdr: float
    deleted: int
    before: int
    after: int
    worse: int
    unseen: int
    needed: int
    compared_with_itself: int = 0
    share: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class SequentialResult:
    """An audit that looked after every block of originals: the mean of the AUCs inside originals, and its interval.

    `originals`, `estimate`, `low`, `high`: after each block. The intervals hold for all looks at once, with
    `confidence`. `decided`: did the last one leave the limit or lie within it?
    """

    attack: str
    confidence: float
    decided: bool
    originals: tuple[int, ...]
    estimate: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean and range over originals."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class UpdateCost:
    """Accuracy on unseen records of the first and of the last version, undefended or as released, and what was `lost`
    (their difference). `queries` of them.
    """

    queries: int
    before: float
    after: float
    lost: Interval


@dataclass(frozen=True, kw_only=True)
class Overfitting:
    """Accuracy of the target originals on their training records and on unseen ones, and the gap."""

    train_accuracy: Spread
    test_accuracy: Spread
    gap: Spread


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
class Certificate:
    """Some models were retrained by the trainer's slow reference: `deviation` is the largest one in posteriors.

    `allowed`: what the trainer's `promise` allows; None where it promises equality in distribution only, and
    `p_value` is of a test of that.
    """

    models: int
    promise: str
    deviation: float
    allowed: float | None
    p_value: float | None
    passed: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the models were trained. `fallbacks`: rows that were solved alone, as the shared way did not converge.

    `worst`: the largest over all models, such as `log_odds_step`, the last step of the solver in log odds.
    `shards_without_a_class`: shards (SISA) whose records lack a class that their original's have; they give it 0.
    """

    trainer: str
    promise: str
    fallbacks: int
    worst: Mapping[str, float]
    certificate: Certificate | None
    shards_without_a_class: int = 0


@dataclass(frozen=True, kw_only=True)
class PrivacyResult:
    """What the models' differential privacy promises, and whether the verdict's attack refutes it.

    `guarantee`: of each model, for a record. `models`: of how many an attacked record was part, which compose.
    `records`: the fewest and the most that a person has; one where records are judged. `check`: the AUC against its
    ceiling for a substituted record, or person (`aftertrace.statistics.check_ceiling`); 1 where every AUC is allowed.
    """

    guarantee: Guarantee
    models: int
    check: CeilingCheck
    records: tuple[int, int] = (1, 1)

    @classmethod
    def of(
        cls, guarantee: Guarantee, auc: Interval, *, models: int, records: tuple[int, int] = (1, 1)
    ) -> "PrivacyResult":
        """Noise is fresh for every model, so that guarantees of several add up.

        A person is a group of records (`dp_group`). Persons with differently many leave models of differently many
        records, of which a guarantee for substitution, or for a public number of records, says nothing: no ceiling.
        """
        fewest, most = records
        own = DpGuarantee(guarantee.epsilon, guarantee.delta)
        if fewest == most:
            each = dp_group(own, size=most if guarantee.adjacency == "substitution" else 2 * most)
        else:
            each = DpGuarantee(math.inf)
        check = check_ceiling(auc, dp_compose([each] * models))
        return cls(guarantee=guarantee, models=models, check=check, records=records)

    @property
    def has_ceiling(self) -> bool:
        """Is there an AUC that no attack may exceed?"""
        return self.check.ceiling < 1

    @property
    def sentence(self) -> str:
        """The promise and the finding, for a person."""
        change = "added or removed" if self.guarantee.adjacency == "add_remove" else "substituted"
        words = {True: "refutes it", False: "does not refute it", None: "says nothing, having no interval"}
        fewest, most = self.records
        promise = (
            f"Each model is ({self.guarantee.epsilon:.3g}, {self.guarantee.delta:.3g})-differentially private for a "
            f"record {change} ({self.guarantee.account})."
        )
        if fewest < most:
            return (
                f"{promise} That is for one record, among equally many; persons here have {fewest} to {most} records. "
                f"So it puts no ceiling on how well a person can be told."
            )
        if most > 1:
            promise = f"{promise} A person here has {most} records, for which together it promises less."
        if not self.has_ceiling:
            return f"{promise} That allows every AUC: there is no ceiling to hold an attack to."
        return (
            f"{promise} No attack may then exceed an AUC of {self.check.ceiling:.3f}; what was found, "
            f"{self.check.auc.estimate:.3f}, {words[self.check.violated]}."
        )


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

    `unit`: what is deleted and judged; the counts are of these.
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
