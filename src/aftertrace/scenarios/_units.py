"""The units of a run: read from its folder where they are, trained where not."""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aftertrace.engine import Engine
from aftertrace.errors import StoreError
from aftertrace.posteriors import Posteriors, concatenate
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._draw import Unit
from aftertrace.scenarios._simulate import Simulation, simulate
from aftertrace.store import RunFolder

Finished = tuple[Posteriors, Mapping[str, Any]]
"""The table of a unit, and facts of its training."""


def obtain(
    simulations: Mapping[str, Simulation],
    units: Mapping[str, Unit],
    folder: RunFolder,
    engine: Engine,
    progress: Progress,
    *,
    keep_models: bool,
) -> tuple[dict[str, Finished], list[str]]:
    """All units by address, read or trained; and the addresses of files that were damaged and trained again.

    `simulations`: of each side.
    """
    finished: dict[str, Finished] = {}
    damaged = []
    for address in units:
        if folder.has_unit(address) and (folder.models_file(address).is_file() or not keep_models):
            try:
                finished[address] = folder.read_unit(address)
            except StoreError as error:
                damaged.append(address)
                progress(f"note: {error}; it is trained again", 0, 0)
    missing = [address for address in units if address not in finished]
    models = {address: simulations[unit.side].n_models(unit) for address, unit in units.items()}
    total, done = sum(models.values()), sum(models[address] for address in finished)
    progress("models", done, total)
    tasks = [(units[address], folder.models_file(address) if keep_models else None) for address in missing]
    with ThreadPoolExecutor(max_workers=1) as writer:  # training goes on while the disk is waited for
        written: deque[Future[None]] = deque()
        for number, (table, facts) in engine.map(_work, simulations, tasks):
            address = missing[number]
            written.append(writer.submit(folder.write_unit, address, table, facts))
            while written and written[0].done():
                written.popleft().result()  # raises what writing raised
            finished[address] = table, facts
            done += models[address]
            progress("models", done, total)
        for each in written:
            each.result()
    return finished, damaged


def _work(simulations: Mapping[str, Simulation], task: tuple[Unit, Path | None]) -> Finished:
    """One unit, as workers do it."""
    unit, models = task
    return simulate(simulations[unit.side], unit, keep_models=models)


def side_of(units: Sequence[Finished]) -> tuple[Posteriors, list[Mapping[str, Any]]]:
    """All queries of a side, with pairs numbered through, and the facts of its units."""
    tables, pairs = [], 0
    for table, _ in units:
        tables.append(replace(table, pair=table.pair + pairs))
        pairs += len(np.unique(table.pair))
    return concatenate(tables), [facts for _, facts in units]
