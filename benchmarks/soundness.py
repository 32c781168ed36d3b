"""Is the instrument sound? Leak-free audits, planted leaks, coverage, and bounds on mechanisms of known epsilon.

    python benchmarks/soundness.py [--out FOLDER] [--only PREFIX] [--audits N] [--jobs N] [--docs]

1000 audits of every figure, 2000 of the primary interval's coverage (`_soundness_cells.py`). What is done is kept in
FOLDER/audits.jsonl, a line per block of audits; killed and started again, it goes on. Lines of another version of the
cells or of `aftertrace.statistics` do not count; changes of trainers are not noticed, so remove the folder after one.
At the end come the tables of docs/soundness.md, from everything kept (`--docs`: they alone, nothing is measured), and
the demands that are missed: exits with 1 if there are any. Demands are for the full number of audits; with fewer,
chance alone may miss some.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from _soundness_cells import BY_MECHANISM, CELLS, MECHANISMS, TRIALS, audit_block
from scipy.stats import binom

from aftertrace import statistics
from aftertrace.engine import choose

OF_OTHER_TOOLS = {  # measured before, with their public code
    "TF Privacy, default": 86.0,
    "Privacy Meter, one run": 36.5,
    "TF Privacy, Clopper-Pearson option": 12.5,
    "PrivacyGuard `eps_cp`": 5.5,
    "jax_privacy, one run, Bonferroni": 5.0,
    "jax_privacy, Clopper-Pearson with Bonferroni or split": 0.0,
}
BOUNDS = {
    "fair coins": "fair coins, shares 1, 1/4, 1/16",
    "fixed": "fixed threshold",
    "bonferroni": "Bonferroni",
    "split": "threshold from the other half",
    "one run": "one run",
}


# Measuring


class Kept:
    """What this and earlier runs measured: figures by cell and by number of the audit."""

    def __init__(self, path):
        self.path, self.figures = path, defaultdict(dict)
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                self._take(json.loads(line))
            except json.JSONDecodeError:  # empty, or what a killed run was writing
                continue

    def _take(self, block):
        if block["code"] == code():
            for place, number in enumerate(block["audits"]):
                self.figures[block["cell"]][number] = {name: v[place] for name, v in block["figures"].items()}

    def add(self, cell, numbers, figures):
        block = {"code": code(), "cell": cell, "audits": numbers, "figures": figures}
        with self.path.open("a") as file:
            file.write("\n" + json.dumps(block))  # a line begins anew, whatever a killed run left
        self._take(block)

    def of(self, cell):
        """Figures of a cell, one value per audit."""
        audits = self.figures.get(cell, {}).values()
        names = next(iter(audits), {})
        return {name: np.array([each[name] for each in audits]) for name in names}


def code():
    digest = hashlib.sha256()
    own = Path(__file__).parent.glob("_soundness_*.py")
    for path in [*sorted(own), *sorted(Path(statistics.__path__[0]).glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def measure(kept, only, audits, jobs):
    tasks = []
    for name, cell in CELLS.items():
        if name.startswith(only):
            missing = [i for i in range(audits or cell.audits) if i not in kept.figures[name]]
            tasks += [(name, missing[i : i + cell.block]) for i in range(0, len(missing), cell.block)]
    left, started = Counter(name for name, _ in tasks), time.perf_counter()
    for number, figures in choose(jobs).map(audit_block, None, tasks):
        name, numbers = tasks[number]
        kept.add(name, numbers, figures)
        left[name] -= 1
        if not left[name]:
            print(f"{time.perf_counter() - started:6.0f} s  {name}", file=sys.stderr, flush=True)


# Tables


class Tables:
    """Markdown from what is kept; `missed` holds the demands that are not met."""

    def __init__(self, kept):
        self.kept, self.missed = kept, []

    def demand(self, met, what):
        if not met:
            self.missed.append(what)

    def positive(self, cell, figure):
        """How many audits are positive: at most the 99 % point of a binomial at 5 %, 67 of 1000."""
        values = self.kept.of(cell).get(figure)
        if values is None:
            return "—"
        count, most = int(values.sum()), binom.ppf(0.99, values.size, 0.05)
        self.demand(count <= most, f"{cell}: {figure}: {count} of {values.size}, at most {most:.0f}")
        return str(count) if values.size == CELLS[cell].audits else f"{count} of {values.size}"

    def covered(self, cell, figure="covers", *, least=0.0, most=1.0):
        values = self.kept.of(cell).get(figure)
        if values is None:
            return "—"
        share = values.mean()
        self.demand(least <= share <= most, f"{cell}: {figure}: {share:.1%}, from {least:.1%} to {most:.1%}")
        return f"{100 * share:.1f}"

    def leak_free(self, family):
        """Rows: bounds and tests; columns: designs."""
        prefix = f"leak-free/{family}/"
        cells = [name for name in CELLS if name.startswith(prefix)]
        rows = list(next((self.kept.of(name) for name in cells if self.kept.of(name)), {}))
        yield from table(
            [f"{family}, leak-free: positive", *(name.removeprefix(prefix) for name in cells)],
            [[row, *(self.positive(cell, row) for cell in cells)] for row in rows],
        )

    def planted(self):
        columns = [name for name in CELLS if name.startswith("planted/")]
        figures = []
        for name in columns:
            values = self.kept.of(name).get("found", np.zeros(0))
            self.demand(values.size == 0 or values.mean() >= 0.9, f"{name}: {int(values.sum())} of {values.size} found")
            figures.append(str(int(values.sum())) if values.size else "—")
        titles = [f"{name.removeprefix('planted/')} originals" for name in columns]
        yield from table(["planted leak of AUC .65: found", *titles], [["normal scores, jackknife", *figures]])

    def primary(self):
        yield from table(
            ["jackknife over originals covers, %", "10 originals", "30", "100"],
            [
                [f"AUC {auc}", *(self.covered(f"coverage/primary/{auc}/{m}", least=0.935, most=0.97) for m in sizes)]
                for auc, sizes in ((auc, (10, 30, 100)) for auc in ("0.5", "0.75", "0.9", "0.985"))
            ],
        )

    def others(self):
        yield from table(
            ["secondary intervals cover, %", "originals", "AUC .5", ".75", ".9", ".985"],
            [
                [name, str(m), *(self.covered(f"coverage/others/{auc}/{m}", name) for auc in (0.5, 0.75, 0.9, 0.985))]
                for name in ("clustered DeLong", "percentile bootstrap", "BCa")
                for m in (10, 30)
            ],
        )

    def conservative(self):
        rows = []
        for m, R in ((10, 20), (20, 40)):
            for effect, words in ((1, "records differ"), (0, "records are alike")):
                shares = [
                    self.covered(f"coverage/two-way/{m} x {R}/{auc:g}/{effect}", least=0.94) for auc in (0.5, 0.8)
                ]
                rows.append(
                    [
                        f"two-way bootstrap, {m} originals × {R} records of a role, {words}, AUC .5 / .8",
                        " / ".join(shares),
                    ]
                )
        shares = [self.covered(f"coverage/clopper-pearson/{rate}", least=0.94) for rate in (0.01, 0.1, 0.5)]
        rows.append(["Clopper-Pearson, 100 trials of rate .01 / .1 / .5", " / ".join(shares)])
        for figure in ("TPR", "FPR"):
            shares = [self.covered(f"coverage/rates/{m}", figure, least=0.94) for m in (10, 30)]
            rows.append(
                [f"{figure} at a nominal FPR of 10 %, given the originals, 10 / 30 of them", " / ".join(shares)]
            )
        for name in CELLS:
            if name.startswith("coverage/sequence/"):
                law = name.removeprefix("coverage/sequence/")
                rows.append(
                    [f"confidence sequence, all of 300 intervals at once, {law}", self.covered(name, least=0.94)]
                )
        yield from table(["conservative intervals cover", "%"], rows)

    def few(self):
        """Both figures of a rate: given the originals, and for new ones."""
        rows = []
        for name in CELLS:
            if name.startswith("coverage/few/"):
                figures = list(self.kept.of(name)) or ["covers"]
                shares = " / ".join(self.covered(name, figure, least=0.94) for figure in figures)
                rows.append([name.removeprefix("coverage/few/"), shares])
        yield from table(["few records, few changes: covers", "%"], rows)

    def known_epsilon(self):
        rows = []
        for mechanism, by_epsilon in TRIALS.items():
            for epsilon, numbers in by_epsilon.items():
                cells = [
                    self._bound(f"epsilon/{mechanism}/{epsilon:g}/{bound}", epsilon, trials)
                    for bound, trials in zip(BY_MECHANISM, numbers, strict=True)
                ]
                rows.append([f"{mechanism}, {epsilon:g}", *cells])
        yield from table(["mechanism, epsilon", *(BOUNDS[bound] for bound in BY_MECHANISM)], rows)

    def _bound(self, cell, epsilon, trials):
        values = self.kept.of(cell).get("low")
        if values is None:
            return "—"
        exceeded, half = int((values > epsilon).sum()), np.median(values) / epsilon
        most = binom.ppf(0.99, values.size, 0.05)
        self.demand(exceeded <= most, f"{cell}: {exceeded} of {values.size} above epsilon, at most {most:.0f}")
        self.demand(half >= 0.5, f"{cell}: the median reaches {half:.2f} of epsilon with {trials} trials, not half")
        return f"{trials:,}: {half:.2f}, {exceeded}".replace(",", " ", f"{trials:,}".count(","))

    def of_other_tools(self):
        cell = "leak-free/canaries/normal scores, 1000"
        ours = {f"**aftertrace, {name}**": 100 * values.mean() for name, values in self.kept.of(cell).items()}
        rows = sorted((OF_OTHER_TOOLS | ours).items(), key=lambda row: -row[1])
        yield from table(
            ['"95 % lower bound" on epsilon', "positive without any leak"],
            [[name, f"{share:g} %"] for name, share in rows],
        )


def table(head, rows):
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def document(tables):
    """The measured part of docs/soundness.md."""
    yield "## No leak, no alarm\n"
    yield (
        "1000 leak-free audits each; of every lower bound and every test at 95 % at most 67 may be positive (the 99 %\n"
        "point of a binomial at 5 %). Unseen/unseen: all queries are unseen, and who is called deleted is chance.\n"
        '"AUC above .5" is the lower end of a two-sided interval, nominally 2.5 %.\n'
    )
    yield from tables.leak_free("originals")
    yield (
        "Columns: scores or model, number of originals; 10 pairs each, 5 for logistic regression. Ten leaves leave\n"
        "the answers to four of five records as they are: ties make trees conservative.\n"
    )
    yield from tables.leak_free("fixed pools")
    yield from tables.leak_free("canaries")
    yield "Columns: number of trials, one canary per original. Bounds above 0 are positive.\n"
    yield from tables.leak_free("one pair")
    yield (
        "500 audits each of one pair without a leak; the auditor's attack learns in folds from the queries that it is\n"
        "judged on. At most 37 may be positive:\n"
    )
    yield from tables.leak_free("cross-fitted")
    yield from tables.planted()
    yield "## Other tools\n"
    yield "Lower bounds of other tools without any leak, nominally 5 %; ours from 1000 audits of 1000 trials.\n"
    yield from tables.of_other_tools()
    yield "## Coverage at 95 %\n"
    yield (
        "2000 audits per figure; demanded: 93.5 to 97. Normal scores, 20 pairs, originals that differ in their leak\n"
        "(.5) and in the level of all their scores (.3), in units of the noise.\n"
    )
    yield from tables.primary()
    yield "At least 94, from 1000 audits each (Clopper-Pearson 2000):\n"
    yield from tables.conservative()
    yield ("At least 94, from 1000 audits each; of a rate given the originals at hand / for new ones:\n")
    yield from tables.few()
    yield "Secondary, as they cover less where originals are few or the AUC is high:\n"
    yield from tables.others()
    yield "## Mechanisms of known epsilon\n"
    sizes = ", ".join(f"{name} {spec.delta:g}" for name, spec in MECHANISMS.items() if spec.delta)
    yield (
        "A bit with a fair coin in every trial, answered for by a mechanism whose epsilon is known exactly, for\n"
        f"Gaussian noise at its true delta ({sizes}). Trials: median of the bound as a share of epsilon (at least\n"
        ".5), how many of 1000 exceed epsilon (at most 67).\n"
    )
    yield from tables.known_epsilon()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "aftertrace-soundness")
    parser.add_argument("--only", default="", metavar="PREFIX")
    parser.add_argument("--audits", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--docs", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    kept = Kept(arguments.out / "audits.jsonl")
    if not arguments.docs:
        measure(kept, arguments.only, arguments.audits, arguments.jobs)
    tables = Tables(kept)
    print("\n".join(document(tables)))
    for line in tables.missed:
        print(f"MISSED: {line}", file=sys.stderr)
    sys.exit(bool(tables.missed))


if __name__ == "__main__":
    main()
