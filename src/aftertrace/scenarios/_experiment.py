"""Experiment files: TOML, read strictly, all problems reported together."""

import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from aftertrace._spelling import nearest
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
from aftertrace.data import SPECIFICATIONS, DataSpec
from aftertrace.defenses import Defense, parse_defense
from aftertrace.errors import ExperimentError
from aftertrace.posteriors._readable import is_file
from aftertrace.procedures import Retrain, Sisa
from aftertrace.results import Claim, Limits
from aftertrace.scenarios._toml import read_toml, table_of
from aftertrace.trainers import Model, Seeding

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
_NAMED: Mapping[str, Attack] = {
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


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A whole audit by simulation. `defense`: what is done to posteriors before they are released, on both sides, such
    as "TopK(1)" (`aftertrace.defenses`); "none" is nothing. `limits`: what is accepted, as in a risk-appetite file.
    """

    data: DataSpec
    seed: int = 0
    model: Model = field(default_factory=Model)
    procedure: ProcedureSettings = field(default_factory=ProcedureSettings)
    scenario: Scenario = field(default_factory=Scenario)
    shadow: ShadowSettings = field(default_factory=ShadowSettings)
    defense: str = "none"
    attacks: AttackSettings = field(default_factory=AttackSettings)
    verdict: VerdictSettings = field(default_factory=VerdictSettings)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        problems = list(_range_problems(self))
        if problems:
            raise ExperimentError(problems)

    @classmethod
    def from_toml(cls, source: str | Path, *, changes: Sequence[str] = ()) -> "Experiment":
        """Read a file, or an example by name; `changes` are `key=value` with dotted keys and TOML values."""
        table = read_toml(find_experiment(source), source=str(source))
        return cls.from_dict(table_of(table, changes), source=str(source))

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], *, source: str = "experiment") -> "Experiment":
        """Read nested settings. Raises `ExperimentError` with all problems and the nearest known keys."""
        problems: list[str] = []
        rest = {key: value for key, value in table.items() if key != "data"}
        data = _read_data(table.get("data"), "data", problems)
        other, rest = _without_data(rest)
        shadow_data = None if other is None else _read_data(other, "shadow.data", problems)
        known = [each.name for each in fields(cls)]
        problems += [
            f"unknown key {key!r}{nearest(key, known)}; known are {', '.join(known)}"
            for key in rest
            if key not in known
        ]
        parts: dict[str, Any] = {}
        hints = typing.get_type_hints(cls)
        for key, value in rest.items():
            if key in known:
                parts[key] = _read(hints[key], value, key, problems)
        if not problems and data is not None:
            if shadow_data is not None:
                parts["shadow"] = replace(parts["shadow"], data=shadow_data)
            try:
                return cls(data=data, **parts)
            except ExperimentError as error:
                problems += error.problems
        raise ExperimentError(problems, source=source)

    @property
    def largest_auc(self) -> float | None:
        """The limit of the AUC, given or claimed."""
        return self.limits.auc if self.verdict.claim is None else self.verdict.claim.largest_auc

    def as_dict(self) -> dict[str, Any]:
        """All settings as nested plain values, defaults included."""
        settings = {**_plain(asdict(self)), "data": _data_dict(self.data)}
        settings["shadow"]["data"] = None if self.shadow.data is None else _data_dict(self.shadow.data)
        return settings

    def public_dict(self) -> dict[str, Any]:
        """`as_dict` without folders of this machine."""
        settings = self.as_dict()
        for data in (settings["data"], settings["shadow"]["data"] or {}):
            if data.get("path") is not None:
                data["path"] = Path(str(data["path"])).name
        for model in (settings["model"], settings["shadow"]["model"] or {}):
            if "command" in model.get("params", {}):
                words = str(model["params"]["command"]).split(" ")
                model["params"]["command"] = " ".join(Path(w).name if Path(w).is_absolute() else w for w in words)
        return settings

    def build_attacks(self) -> tuple[Attack, ...]:
        """The attacks of the settings, scores first, each classical opponent once and before those compared with it."""
        settings = self.attacks
        scores = [_NAMED[name] for name in settings.scores]
        classical = [FeatureAttack(Feature.CLASSICAL, name) for name in settings.classifiers]
        trained = [FeatureAttack(Feature(f), c) for f in settings.features for c in settings.classifiers]
        named = [_NAMED[name] for name in (*settings.learned, *self._per_record_names())]
        opponents = [_NAMED[attack.opponent] for attack in named]
        built = [*scores, OriginalLogit(), *opponents, *named, *classical, *trained]
        return tuple({attack.name: attack for attack in built}.values())

    def _per_record_names(self) -> tuple[PerRecordName, ...]:
        if self.attacks.per_record is not None:
            return self.attacks.per_record
        return _PER_RECORD if self.scenario.adversary == "per_record" else ()

    def build_procedure(self, side: str = "target") -> Retrain | Sisa:
        """The deployer's procedure, or what the attacker takes it for on the "shadow" side."""
        own, seeding = self.procedure, Seeding(self.procedure.seed)
        model = (self.shadow.model if side == "shadow" else None) or self.model
        trainer = model.trainer(coupled=seeding is Seeding.COUPLED)
        if own.name == "retrain":
            return Retrain(trainer, seeding)
        return Sisa(trainer, shards=own.shards, slices=own.slices, aggregate=own.aggregate, seeding=seeding)

    def build_defense(self) -> Defense | None:
        """What is done to posteriors before they are released. Raises `ExperimentError` for what is not known."""
        return None if self.defense == "none" else parse_defense(self.defense)


def examples() -> dict[str, Path]:
    """The experiments that come with aftertrace: name -> file."""
    folder = Path(str(resources.files("aftertrace") / "experiments"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_experiment(source: str | Path) -> Path:
    """A file, or an example by name. Raises `ExperimentError` naming both."""
    path = Path(source)
    if is_file(path):
        return path
    known = examples()
    if str(source) in known:
        return known[str(source)]
    raise ExperimentError(
        [f"there is no such file or example{nearest(str(source), known)}; examples are {', '.join(known)}"],
        source=str(source),
    )


def _without_data(rest: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The section `shadow.data`, and all without it."""
    shadow = rest.get("shadow")
    if not isinstance(shadow, Mapping) or "data" not in shadow:
        return None, dict(rest)
    return shadow["data"], {**rest, "shadow": {key: value for key, value in shadow.items() if key != "data"}}


def _data_dict(data: DataSpec) -> dict[str, Any]:
    return {"name": type(data).name, **_plain(asdict(data))}


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value


def _read_data(section: Any, place: str, problems: list[str]) -> DataSpec | None:
    kinds = {kind.name: kind for kind in SPECIFICATIONS}
    names = ", ".join(kinds)
    if not isinstance(section, Mapping) or "name" not in section:
        problems.append(f"{place}.name: must be one of {names}, got nothing")
        return None
    name = section["name"]
    if name not in kinds:
        problems.append(f"{place}.name: must be one of {names}, got {name!r}{nearest(str(name), kinds)}")
        return None
    rest = {key: value for key, value in section.items() if key != "name"}
    return _read(kinds[name], rest, place, problems)


def _read(kind: Any, value: Any, place: str, problems: list[str]) -> Any:
    """`value` as a `kind`, or None with problems added."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    config = None if is_dataclass(kind) else ConfigDict()
    _unknown_keys(kind, value, place, problems)
    before = len(problems)
    try:
        return TypeAdapter(kind, config=config).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        for each in error.errors():
            where = ".".join([place, *(str(part) for part in each["loc"])])
            own = each.get("ctx", {}).get("error")  # what a specification said itself
            reason = str(own) if own else each["msg"][0].lower() + each["msg"][1:]
            got = "" if each["type"] == "missing" else f", got {each['input']!r}"
            problems.append(f"{where}: {reason}{got}")
    except ExperimentError as error:
        problems += error.problems
    assert len(problems) > before
    return None


def _unknown_keys(kind: Any, value: Any, place: str, problems: list[str]) -> None:
    """Keys that no field of the dataclass `kind` has, at every depth."""
    if not (isinstance(value, Mapping) and is_dataclass(kind)):
        return
    hints = typing.get_type_hints(kind)
    known = [each.name for each in fields(kind)]
    for key, item in value.items():
        if key in known:
            _unknown_keys(_without_none(hints[key]), item, f"{place}.{key}", problems)
        else:
            problems.append(
                f"{place}.{key}: unknown key{nearest(str(key), known)}; known are {', '.join(known) or 'none'}"
            )


def _without_none(kind: Any) -> Any:
    """What an optional setting is when it is there."""
    rest = [each for each in typing.get_args(kind) if each is not type(None)]
    return rest[0] if type(None) in typing.get_args(kind) and len(rest) == 1 else kind


def _range_problems(experiment: Experiment) -> typing.Iterator[str]:
    scenario, verdict = experiment.scenario, experiment.verdict
    least = {
        "seed": (experiment.seed, 0),
        "scenario.group": (scenario.group, 1),
        "scenario.unseen_per_pair": (scenario.unseen_per_pair, 1),
        "scenario.retained_per_pair": (scenario.retained_per_pair, 0),
        "scenario.held_out_per_pair": (scenario.held_out_per_pair, 1),
    }
    for name, side in (("shadow", scenario.shadow), ("target", scenario.target)):
        least[f"scenario.{name}.originals"] = (side.originals, 1)
        least[f"scenario.{name}.pairs"] = (side.pairs, 1)
        least[f"scenario.{name}.records"] = (side.records, 2)
        if side.pairs > side.records:
            yield (
                f"scenario.{name}.pairs: each pair deletes another record, so there can be at most "
                f"{side.records} (scenario.{name}.records), got {side.pairs}"
            )
        if scenario.gone >= side.records:
            yield (
                f"scenario.{name}.records: {scenario.gone} records leave up to version {scenario.versions[1]} "
                f"(scenario.group times scenario.versions), so there must be more than these, got {side.records}"
            )
    for key, (value, low) in least.items():
        if value < low:
            yield f"{key}: must be at least {low}, got {value}"
    first, last = scenario.versions
    if not 0 <= first < last:
        yield f"scenario.versions: must be two numbers, the earlier first, such as [0, 1], got [{first}, {last}]"
    elif not 1 <= scenario.deleted_queries <= scenario.group * (last - first):
        yield (
            f"scenario.deleted_per_pair: {scenario.group * (last - first)} records leave between versions {first} and "
            f"{last}, so it must be 1 to that, got {scenario.deleted_queries}"
        )
    if scenario.attacked == "retained" and not scenario.retained_per_pair:
        yield "scenario.retained_per_pair: retained records are attacked, so it must be at least 1, got 0"
    if scenario.adversary == "per_record":
        yield from _per_record_problems(scenario)
    if experiment.limits.auc is not None and verdict.claim is not None:
        yield "verdict.claim: is a limit of the AUC by itself; leave limits.auc out, or the claim"
    if (experiment.limits.given() or verdict.claim) and scenario.pools == "fixed":
        yield (
            "limits: fixed pools are for reproduction and decide nothing (leak-free audits look significant); "
            'set scenario.pools = "redrawn", or leave the limits out'
        )
    if experiment.shadow != ShadowSettings() and scenario.adversary == "per_record":
        yield (
            "shadow: a per-record adversary's shadow models are of the candidate records themselves; leave it out, or "
            'set scenario.adversary = "population"'
        )
    try:
        experiment.build_defense()
    except ExperimentError as error:
        yield from error.problems
    if experiment.attacks.per_record and scenario.adversary != "per_record":
        yield (
            f"attacks.per_record: {experiment.attacks.per_record[0]} needs shadow models of the candidate records "
            f'themselves; set scenario.adversary = "per_record", or leave these attacks out'
        )
    if not 0.5 <= verdict.confidence < 1:
        yield f"verdict.confidence: must be at least 0.5 and below 1, such as 0.95, got {verdict.confidence}"
    if experiment.attacks.features and not experiment.attacks.classifiers:
        yield "attacks.classifiers: features need at least one classifier, got none"
    names = [attack.name for attack in experiment.build_attacks() if not attack.classical]
    if verdict.attack not in names:
        yield (
            f"verdict.attack: must be an attack of this experiment{nearest(verdict.attack, names)}, "
            f"got {verdict.attack!r}; known are {', '.join(names)}"
        )


def _per_record_problems(scenario: Scenario) -> typing.Iterator[str]:
    plain = Scenario()
    for name in ("group", "versions", "replaced", "attacked"):
        if getattr(scenario, name) != getattr(plain, name):
            yield (
                f"scenario.{name}: with a per-record adversary one candidate is deleted at a time and attacked; leave "
                f'it out, or set scenario.adversary = "population"'
            )
    if scenario.pools != "redrawn":
        yield 'scenario.pools: a per-record adversary\'s originals draw by coins; leave it at "redrawn"'
    if scenario.shadow.pairs != scenario.target.pairs:
        yield (
            f"scenario.shadow.pairs: both sides have the same candidates, twice as many as pairs, so it must equal "
            f"scenario.target.pairs = {scenario.target.pairs}, got {scenario.shadow.pairs}"
        )
