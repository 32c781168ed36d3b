"""A grid of experiments that shares all that it can."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from aftertrace._hashing import digest
from aftertrace.data import Dataset, DataSpec, load
from aftertrace.engine import Engine, InProcess
from aftertrace.errors import AftertraceError, ExperimentError, StoreError
from aftertrace.results import Axis, CellResult, Result, SweepResult
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._experiment import Experiment, find_experiment
from aftertrace.scenarios._run import Run, run_experiment
from aftertrace.scenarios._simulate import library_version
from aftertrace.scenarios._toml import literal, read_toml, table_of, to_toml
from aftertrace.store import Kind, RunFolder, make_folder

MOST_CELLS = 1000
SETS_AT_HAND = 2
"""Data sets that stay in memory from one run to the next."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One experiment of a grid: `values` of what varies, as text, and a name of a folder."""

    values: Mapping[str, str]
    experiment: Experiment

    @property
    def folder(self) -> str:
        """Where its run is, in the grid's folder: told apart by content, readable where it can be."""
        words = "-".join("".join(c if c.isalnum() else "_" for c in value) for value in self.values.values())
        return f"{words[:60] or 'run'}-{digest(self.experiment.as_dict())[:8]}"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Experiments that differ in some settings: all combinations of the values of `axes` (dotted settings).

    `settings`: the rest of the file.
    """

    title: str
    axes: Mapping[str, tuple[Any, ...]]
    cells: tuple[Cell, ...]
    settings: Mapping[str, Any]

    @classmethod
    def from_toml(cls, source: str | Path, *, changes: Sequence[str] = ()) -> "Sweep":
        """Read a file with a section `sweep`: dotted settings in quotes, each with a list of values.

        Raises `ExperimentError` with the problems of all combinations, each once; where the section itself is wrong,
        with all that is wrong there.
        """
        path = find_experiment(source)
        table = table_of(read_toml(path, source=str(source)), changes)
        lists = table.pop("sweep", None)
        axes = _axes(lists, source)
        cells, problems = [], dict.fromkeys(_contradictions(axes, changes))
        for combination in itertools.product(*axes.values()):
            chosen = dict(zip(axes, combination, strict=True))
            try:
                own = table_of(table, [f"{key}={literal(value)}" for key, value in chosen.items()])
                experiment = Experiment.from_dict(own, source=str(source))
            except ExperimentError as error:
                problems |= dict.fromkeys(error.problems)
                continue
            cells.append(Cell(values={key: _text(value) for key, value in chosen.items()}, experiment=experiment))
        if problems:
            raise ExperimentError(list(problems), source=str(source))
        return cls(title=path.stem, axes=axes, cells=tuple(cells), settings=table)

    def to_toml(self) -> str:
        """The file again, with all changes."""
        lists = (f"{json.dumps(key)} = {literal(list(values))}" for key, values in self.axes.items())
        return "\n".join([to_toml(self.settings), "[sweep]", *lists]) + "\n"


def is_sweep(source: str | Path) -> bool:
    """Whether an experiment file has a section `sweep`. What is wrong with it shows when it is read."""
    path = find_experiment(source)
    try:
        return "sweep" in read_toml(path, source=str(source))
    except ExperimentError:
        return False


def run_sweep(
    sweep: Sweep,
    *,
    out: Path | None = None,
    data_dir: Path | None = None,
    engine: Engine | None = None,
    force: bool = False,
    device: str = "cpu",
    memory: int | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> tuple[SweepResult, Path]:
    """Run all experiments of a grid into `out` (default: below `runs/`, named by content), finished ones excepted.

    All share the folder of trained units, so that runs that differ in attacks, defenses or verdict alone train once. A
    run that cannot be done is an entry with its reason, and the others go on. Writes `sweep.json` and `sweep.csv`.

    A finished run is known by its settings and the version of aftertrace; whether files of data changed since is not
    looked at. `force`: the folder may hold another grid, and all is attacked again; units stay.
    """
    axes = tuple(Axis(setting=key, values=tuple(map(_text, values))) for key, values in sweep.axes.items())
    identity = {
        "sweep": {
            "axes": {axis.setting: list(axis.values) for axis in axes},
            "settings": json.loads(json.dumps(sweep.settings, default=str)),
        }
    }
    folder = RunFolder.open(
        out or Path("runs") / f"{sweep.title}-{digest(identity)[:8]}",
        identity=identity,
        kind=Kind("sweep", "another sweep"),
        force=force,
    )
    folder.write("experiment.toml", sweep.to_toml())
    found = []
    runs = run_cells(
        sweep.cells,
        folder.path,
        data_dir=data_dir,
        engine=engine or InProcess(),
        device=device,
        memory=memory,
        force=force,
        progress=progress,
    )
    for cell, run in zip(sweep.cells, runs, strict=True):
        place = f"runs/{cell.folder}"
        if isinstance(run, str):
            found.append(CellResult(values=cell.values, folder=place, error=run))
        else:
            found.append(CellResult.of(cell.values, place, run))
    result = SweepResult(title=sweep.title, axes=axes, cells=tuple(found), settings=_shared(sweep.cells))
    folder.write("sweep.json", result.to_json())
    folder.write("sweep.csv", result.to_csv())
    return result, folder.path


def run_cells(
    cells: Sequence[Cell],
    out: Path,
    *,
    data_dir: Path | None,
    engine: Engine,
    device: str = "cpu",
    memory: int | None = None,
    force: bool = False,
    progress: Progress,
) -> list[Result | str]:
    """The results of experiments in `out`/runs, with units in `out`/posteriors, or why one could not be done.

    A run whose `result.json` is there and of the same settings and version is read, unless `force`.
    """
    read = lru_cache(maxsize=SETS_AT_HAND)(partial(load, data_dir=data_dir))
    runs, units = out / "runs", out / "posteriors"
    make_folder(runs)
    make_folder(units)
    results: list[Result | str] = []
    for number, cell in enumerate(cells, start=1):
        progress("runs", number - 1, len(cells))
        path = runs / cell.folder
        make_folder(path)
        done = None if force else finished_result(path, cell.experiment)
        results.append(
            done
            or _attempt(
                cell,
                path,
                units,
                read,
                engine=engine,
                device=device,
                memory=memory,
                force=force,
                progress=_inside(progress, number, len(cells)),
            )
        )
    progress("runs", len(cells), len(cells))
    return results


def finished_result(path: Path, experiment: Experiment) -> Result | None:
    """The result in a run's folder, if it is there, whole, and of that experiment as this version runs it."""
    folder = RunFolder(path)
    try:
        result = Result.from_json(folder.read("result.json"))
        manifest = folder.read_manifest()
    except StoreError:
        return None
    same = manifest.get("libraries", {}).get("aftertrace") == library_version("aftertrace")
    return result if same and digest(result.settings) == digest(experiment.public_dict()) else None


def _attempt(
    cell: Cell,
    path: Path,
    units: Path,
    read: Callable[[DataSpec], Dataset],
    *,
    engine: Engine,
    device: str,
    memory: int | None,
    force: bool,
    progress: Progress,
) -> Result | str:
    try:
        run: Run = run_experiment(
            cell.experiment,
            out=path,
            read=read,
            engine=engine,
            units=units,
            device=device,
            memory=memory,
            force=force,
            progress=progress,
        )
    except AftertraceError as error:
        return str(error)
    return run.result


def _inside(progress: Progress, number: int, total: int) -> Progress:
    """What a run says, named by its place in the grid."""

    def say(stage: str, done: int, of: int) -> None:
        progress(stage if stage.startswith("note:") else f"run {number} of {total}: {stage}", done, of)

    return say


def _axes(lists: Any, source: str | Path) -> dict[str, tuple[Any, ...]]:
    problems = []
    if not isinstance(lists, Mapping) or not lists:
        problems.append('sweep: must hold settings with lists, such as "model.name" = ["tree", "logistic"]')
        raise ExperimentError(problems, source=str(source))
    for key, values in lists.items():
        if not isinstance(values, list) or not values:
            dotted = f'"{key}.{next(iter(values))}"' if isinstance(values, Mapping) and values else f'"{key}"'
            hint = f"; write the setting in quotes, {dotted} = [...]" if isinstance(values, Mapping) else ""
            problems.append(f"sweep.{key}: must be a list of values, got {values!r}{hint}")
        elif len({_text(value) for value in values}) < len(values):
            problems.append(f"sweep.{key}: values must differ, got {values!r}")
    if problems:
        raise ExperimentError(problems, source=str(source))
    axes = {key: tuple(values) for key, values in lists.items()}
    total = 1
    for values in axes.values():
        total *= len(values)
    if total > MOST_CELLS:
        raise ExperimentError([f"sweep: {total} combinations; at most {MOST_CELLS} are run"], source=str(source))
    return axes


def _contradictions(axes: Mapping[str, tuple[Any, ...]], changes: Sequence[str]) -> list[str]:
    """A change of what varies would be lost without a word."""
    changed = {change.partition("=")[0].strip() for change in changes}
    return [f"{key}: is in the section sweep and cannot be changed as well" for key in axes if key in changed]


def _shared(cells: Sequence[Cell]) -> dict[str, Any]:
    """The settings that all experiments have alike, defaults too, without paths."""
    return _alike([cell.experiment.public_dict() for cell in cells])


def _alike(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shared = {}
    for key, value in tables[0].items():
        values = [each[key] for each in tables if key in each]
        if len(values) < len(tables):
            continue
        if all(each == value for each in values):
            shared[key] = value
        elif all(isinstance(each, Mapping) for each in values):
            shared |= {key: inner} if (inner := _alike(values)) else {}
    return shared


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
