"""The settings of an experiment, section by section."""

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aftertrace.attacks import (
    Attack,
    ConfidenceRatio,
    ConformalRank,
    EucDist,
    Feature,
    FeatureAttack,
    JointLikelihoodRatio,
    Lira,
    LogitDrop,
    LossRise,
    OriginalLogit,
    QuantileDrop,
    Rmia,
    Superset,
)
from aftertrace.data import DataSpec
from aftertrace.results import Claim
from aftertrace.trainers import Model

Classifier = Literal["tree", "forest", "logistic", "mlp"]
TwoVersionFeature = Literal["DirectConcat", "SortedConcat", "DirectDiff", "SortedDiff", "EucDist"]
ScoreName = Literal[
    "LogitDrop",
    "EucDist",
    "LossRise",
    "ConfidenceRatio",
    "Rank/LogitDrop",
    "Rank/LogitDrop/class",
    "Rank/LogitDrop/4 bins",
    "QuantileDrop",
]
LearnedName = Literal["Superset"]
PerRecordName = Literal[
    "JointLikelihoodRatio",
    "JointLikelihoodRatio/linear",
    "LiRA",
    "LiRA/offline",
    "U-LiRA",
    "RMIA",
    "RMIA/offline",
]
NAMED_ATTACKS: Mapping[str, Attack] = {
    attack.name: attack
    for attack in (
        LogitDrop(),
        EucDist(),
        LossRise(),
        ConfidenceRatio(),
        ConformalRank(),
        ConformalRank(by_class=True),
        ConformalRank(bins=4),
        QuantileDrop(),
        Superset(),
        Superset(classical=True),
        JointLikelihoodRatio(),
        JointLikelihoodRatio(linear=True),
        Lira(),
        Lira(online=False),
        Lira(unlearned=True),
        Rmia(),
        Rmia(online=False),
        OriginalLogit(),
    )
}
"""Attacks that a file names as results do, and those that come with them."""
_PER_RECORD: tuple[PerRecordName, ...] = ("JointLikelihoodRatio", "LiRA", "U-LiRA", "RMIA")


@dataclass(frozen=True, kw_only=True)
class Side:
    """Sizes of the shadow or the target side: `originals`, `pairs` (deletions) of each, `records` to train on."""

    originals: int = 10
    pairs: int = 20
    records: int = 2000


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Who trains which model, who is deleted, what is queried.

    Of each original there are `pairs` lines of versions. Each version deletes `group` more records of its line, and
    with `replaced` as many new ones join (online learning). The attacker sees the two `versions` of a line that are
    named: [0, 1] the original and its first update, [0, 10] the original and the tenth, [4, 5] two updates in between.
    `attacked`: "deleted", the records that left between the two, of which `deleted_per_pair` are queried (by default
    all; with several versions, one of them); "retained", those that stayed.

    `adversary`: "population", the attacker's shadow models have other records of the same population; "per_record",
    the attacker knows candidate records and trains shadow models with and without them (`draw_units`): cheap where
    leave-one-out is, for logistic regression, trees and forests, and best with 64 shadow originals or more.
    `pools`: "redrawn", every original draws training and unseen records anew from all records of its side, so
    that originals are independent; "fixed", the paper's pools of members and non-members (for reproduction).
    Where the data say whose a record is, all of these numbers count persons, with all of their records.
    Per pair, further: `unseen_per_pair`; `retained_per_pair`; `held_out_per_pair` further unseen ones
    that enter no figure but set thresholds (shadow side) and the unseen/unseen control (target side).
    """

    adversary: Literal["population", "per_record"] = "population"
    pools: Literal["redrawn", "fixed"] = "redrawn"
    group: int = 1
    versions: tuple[int, int] = (0, 1)
    replaced: bool = False
    attacked: Literal["deleted", "retained"] = "deleted"
    deleted_per_pair: int | None = None
    unseen_per_pair: int = 1
    retained_per_pair: int = 0
    held_out_per_pair: int = 1
    shadow: Side = field(default_factory=Side)
    target: Side = field(default_factory=Side)

    @property
    def gone(self) -> int:
        """How many records have left a line at the last version seen."""
        return self.group * self.versions[1]

    @property
    def deleted_queries(self) -> int:
        """Of a pair: how many records that left between the versions seen are queried."""
        between = self.versions[1] - self.versions[0]
        if self.deleted_per_pair is not None:
            return self.deleted_per_pair
        return self.group if between == 1 else 1


@dataclass(frozen=True, kw_only=True)
class ShadowSettings:
    """What the attacker's shadow models are where they are not what is attacked: of other `data` (with the same
    classes), which are then the shadow side's alone, or another `model`. None: as what is attacked.
    """

    data: DataSpec | None = None
    model: Model | None = None


@dataclass(frozen=True, kw_only=True)
class ProcedureSettings:
    """Training anew: of everything ("retrain") or of one of many `shards` ("sisa", `aftertrace.procedures.Sisa`).

    `seed`: "fresh" for a new random stream per version, "same" for the original's again, "coupled"
    for the original's keyed by record, so that versions differ by what the deletion changes alone.
    """

    name: Literal["retrain", "sisa"] = "retrain"
    seed: Literal["fresh", "same", "coupled"] = "fresh"
    shards: int = 10
    slices: int = 1
    aggregate: Literal["mean", "vote"] = "mean"


@dataclass(frozen=True, kw_only=True)
class AttackSettings:
    """Every feature with every classifier (the paper), others that learn, and scores without training.

    `per_record`: by default the four best known where the scenario's adversary is "per_record", and none elsewhere.
    Every attack on two versions brings the classical one that it is compared with. The defaults are 25 tests: the
    most that Holm's adjustment lets become significant with 10 originals.
    """

    features: tuple[TwoVersionFeature, ...] = typing.get_args(TwoVersionFeature)
    classifiers: tuple[Classifier, ...] = typing.get_args(Classifier)
    learned: tuple[LearnedName, ...] = ("Superset",)
    scores: tuple[ScoreName, ...] = ("LogitDrop", "EucDist", "LossRise", "Rank/LogitDrop")
    per_record: tuple[PerRecordName, ...] | None = None

    def build(self, *, is_per_record: bool) -> tuple[Attack, ...]:
        """Scores first, each classical opponent once and before those compared with it."""
        by_default = _PER_RECORD if is_per_record else ()
        per_record = by_default if self.per_record is None else self.per_record
        scores = [NAMED_ATTACKS[name] for name in self.scores]
        classical = [FeatureAttack(Feature.CLASSICAL, name) for name in self.classifiers]
        trained = [FeatureAttack(Feature(f), c) for f in self.features for c in self.classifiers]
        named = [NAMED_ATTACKS[name] for name in (*self.learned, *per_record)]
        opponents = [NAMED_ATTACKS[attack.opponent] for attack in named]
        built = [*scores, OriginalLogit(), *opponents, *named, *classical, *trained]
        return tuple({attack.name: attack for attack in built}.values())


@dataclass(frozen=True, kw_only=True)
class VerdictSettings:
    """`attack` gives the verdict, fixed in advance (the default won on shadow data: docs/attacks.md); `claim`: of
    differential privacy, whose ceiling is then the limit of the AUC; `confidence` of intervals; `slices`: columns of
    the data whose groups are judged apart (categories, or thirds of a number).
    """

    attack: str = "Superset"
    claim: Claim | None = None
    confidence: float = 0.95
    slices: tuple[str, ...] = ()
