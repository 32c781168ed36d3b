"""Which run a folder is of, and under which circumstances it ran."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aftertrace._hashing import canonical, digest
from aftertrace.scenarios._draw import SIDES
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._simulate import LIBRARIES, Simulation, library_version


def circumstances(device: str) -> dict[str, Any]:
    """When, on what and with which libraries: for the manifest, never for the result."""
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": {name: library_version(name) for name in ("aftertrace", *LIBRARIES, "pyarrow")},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
    }


def default_folder(identity: Mapping[str, Any], experiment: Experiment) -> Path:
    """A folder below `runs/`, the same for the same experiment, so that running it again resumes it."""
    return Path("runs") / f"{type(experiment.data).name}-{experiment.model.name.split(':')[-1]}-{digest(identity)[:8]}"


def identity_of(experiment: Experiment, simulations: Mapping[str, Simulation]) -> dict[str, Any]:
    """What a run folder keeps for its life. The numbers of originals may grow, attacks and verdict may change."""
    settings = experiment.as_dict()
    simulation, other = simulations["target"], simulations["shadow"]
    scenario = settings["scenario"]
    for side in SIDES:
        scenario[side] = {key: value for key, value in scenario[side].items() if key != "originals"}
    del scenario["attacked"]  # the queries are the same
    return {
        "seed": experiment.seed,
        "data": {"name": simulation.data.name, "fingerprint": simulation.data.fingerprint},
        "model": settings["model"],
        "shadow": {"model": settings["shadow"]["model"], "data": other.data.fingerprint},
        "procedure": canonical(simulation.procedure),
        "scenario": scenario,
        "probes": canonical(simulation.probes),
        "device": simulation.device.partition(":")[0],
    }
