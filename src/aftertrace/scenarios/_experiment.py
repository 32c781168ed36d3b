"""Experiment files: TOML, read strictly."""

import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from aftertrace._hashing import canonical
from aftertrace._spelling import nearest, nearest_file
from aftertrace.attacks import Attack
from aftertrace.data import DataSpec
from aftertrace.defenses import Defense, parse_defense
from aftertrace.errors import ExperimentError
from aftertrace.posteriors._readable import is_file, is_folder
from aftertrace.procedures import Retrain, Sisa
from aftertrace.results import Limits
from aftertrace.scenarios._blanks import require_filled
from aftertrace.scenarios._ranges import range_problems
from aftertrace.scenarios._reading import read_data, read_section
from aftertrace.scenarios._settings import AttackSettings, ProcedureSettings, Scenario, ShadowSettings, VerdictSettings
from aftertrace.scenarios._starter import SIMULATION
from aftertrace.scenarios._toml import read_toml, table_of
from aftertrace.trainers import Model, Seeding


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
        problems = [f"seed: must be at least 0, got {self.seed}"] if self.seed < 0 else []
        problems += range_problems(self.scenario, self.shadow, self.attacks, self.verdict, self.limits)
        try:
            self.build_defense()
        except ExperimentError as error:
            problems += error.problems
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
        require_filled(table, source=source)
        problems: list[str] = []
        rest = {key: value for key, value in table.items() if key != "data"}
        data = read_data(table.get("data"), "data", problems)
        other, rest = _without_data(rest)
        shadow_data = None if other is None else read_data(other, "shadow.data", problems)
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
                parts[key] = read_section(hints[key], value, key, problems)
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
        """`as_dict` as JSON has it, and without folders of this machine."""
        settings = self.as_dict()
        for data in (settings["data"], settings["shadow"]["data"] or {}):
            if data.get("path") is not None:
                data["path"] = Path(str(data["path"])).name
        for model in (settings["model"], settings["shadow"]["model"] or {}):
            if "command" in model.get("params", {}):
                words = str(model["params"]["command"]).split(" ")
                model["params"]["command"] = " ".join(Path(w).name if Path(w).is_absolute() else w for w in words)
        return dict(canonical(settings))

    def build_attacks(self) -> tuple[Attack, ...]:
        """All attacks, as `AttackSettings.build` makes them."""
        return self.attacks.build(is_per_record=self.scenario.adversary == "per_record")

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
    if is_folder(path):
        inside = [path / name for name in ("experiment.toml", SIMULATION) if is_file(path / name)]
        meant = f" (is {str(inside[0])!r} meant?)" if inside else ""
        raise ExperimentError([f"must be an experiment file or an example, and is a folder{meant}"], source=str(source))
    raise ExperimentError(
        [
            f"there is no such file or example{nearest_file(path) or nearest(str(source), known)}; examples are "
            f"{', '.join(known)}"
        ],
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
