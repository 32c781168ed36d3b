"""Is the instrument sound? Leak-free audits, planted leaks, coverage, and bounds on mechanisms of known epsilon.

    python benchmarks/soundness.py [--out FOLDER] [--only PREFIX] [--audits N] [--jobs N] [--docs]

1000 audits of every figure and 2000 of the primary interval's coverage (`_soundness_cells.py`). What is done is kept in
FOLDER/audits.jsonl, a line per block of audits; killed and started again, it goes on. Lines of another version of the
cells or of `aftertrace.statistics` do not count; changes of trainers are not noticed, so remove the folder after one.
At the end come the tables of docs/soundness.md, from everything kept (`--docs`: they alone, nothing is measured), and
the demands that are missed: exits with 1 if there are any. Demands are for the full number of audits; with `--audits`
chance may miss some.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _soundness_cells import BY_MECHANISM, CELLS, MECHANISMS, MODELS, TRIALS, audit_block
from scipy.stats import binom

from aftertrace import statistics
from aftertrace.engine import choose

TARGETS, ORIGINALS = ("0.5", "0.75", "0.9", "0.985"), ("10", "30", "100")
OTHERS = "clustered DeLong", "percentile bootstrap", "BCa"
NAMES = {
    "fair coins": "fair coins, shares 1, 1/4, 1/16",
    "fixed": "fixed threshold",
    "bonferroni": "Bonferroni",
    "split": "other half",
    "one run": "one run",
}
OF_OTHER_TOOLS = {  # baselines.md, section 3
    "TF Privacy, default": "86 %",
    "Privacy Meter, one run": "36.5 %",
    "TF Privacy, Clopper-Pearson option": "12.5 %",
    "PrivacyGuard `eps_cp`": "5.5 %",
    "jax_privacy, one run, Bonferroni": "5.0 %",
    "jax_privacy, Clopper-Pearson with Bonferroni or split": "0 %",
}


# Measuring


class Kept:
    """What is kept of earlier and of this run: figures by cell and by number of the audit."""

    def __init__(self, path):
        self.path, self.figures = path, defaultdict(dict)
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                self._take(json.loads(line))
            except json.JSONDecodeError:  # the line that a killed run was writing
                continue

    def _take(self, block):
        if block["code"] == _code():
            for place, number in enumerate(block["audits"]):
                self.figures[block["cell"]][number] = {name: v[place] for name, v in block["figures"].items()}

    def add(self, cell, numbers, figures, seconds):
        block = {"code": _code(), "cell": cell, "audits": numbers, "figures": figures, "seconds": round(seconds, 2)}
        with self.path.open("a") as file:
            # A torn line is ended first, so that only it is lost.
            file.write(("\n" if self._torn() else "") + json.dumps(block) + "\n")
        self._take(block)

    def _torn(self):
        return self.path.exists() and self.path.stat().st_size > 0 and not self.path.read_bytes()[-1:] == b"\n"

    def values(self, cell, figure):
        """One value per audit, as far as there are any."""
        return np.array([each[figure] for each in self.figures.get(cell, {}).values()])

    def names(self, cell):
        return list(next(iter(self.figures[cell].values()))) if self.figures.get(cell) else []


def _code():
    digest = hashlib.sha256()
    for path in [Path(__file__).with_name("_soundness_cells.py"), *sorted(Path(statistics.__path__[0]).glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def tasks_of(kept, only, audits):
    """(cell, numbers of audits) of all blocks that are not there."""
    tasks = []
    for name, cell in CELLS.items():
        if name.startswith(only):
            missing = [i for i in range(audits or cell.audits) if i not in kept.figures[name]]
            tasks += [(name, missing[i : i + cell.block]) for i in range(0, len(missing), cell.block)]
    return tasks


def measure(kept, only, audits, jobs):
    tasks = tasks_of(kept, only, audits)
    left = defaultdict(int)
    for name, _ in tasks:
        left[name] += 1
    started, last = time.perf_counter(), time.perf_counter()
    for number, figures in choose(jobs).map(audit_block, None, tasks):
        name, numbers = tasks[number]
        now = time.perf_counter()
        kept.add(name, numbers, figures, now - last)
        last = now
        left[name] -= 1
        if not left[name]:
            print(f"{name} ({now - started:.0f} s)", file=sys.stderr, flush=True)
