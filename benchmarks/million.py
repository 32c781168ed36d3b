"""A million queries of 10 classes: attacks without shadow models, all figures and intervals, on at most two cores.

    python benchmarks/million.py [--originals 100] [--pairs 100] [--dtype float32]

First from a table in memory, part by part in a fresh process: at most 30 s and 3 GB are allowed. Then the command
`aftertrace audit` from Parquet and from CSV files of the same queries, with and without the folder that holds the
scores and the report. Every pair has 1 deleted, 79 unseen and 20 held-out unseen records; all records differ, and so
do all scores, which is the slow case. Memory is the largest resident set of the process (1 GB = 10^9 bytes).

`aftertrace.attacks.QuantileDrop`, a regression, is not among the attacks.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from whole_command import measure

ALLOWED_SECONDS, ALLOWED_BYTES = 30, 3e9
CLASSES, PER_PAIR, HELD_OUT = 10, 100, 20


def made_table(originals, pairs, dtype):
    """The arguments of `Posteriors`, filled original by original, so that making them leaves no peak."""
    import numpy as np

    from aftertrace.posteriors import Use

    rng, block = np.random.default_rng(0), pairs * PER_PAIR
    size = originals * block
    place = np.arange(size) % PER_PAIR
    log_values, label = np.empty((size, 2, CLASSES), dtype=dtype), rng.integers(0, CLASSES, size)
    for start in range(0, size, block):
        rows = slice(start, start + block)
        logits = 2 * rng.normal(size=(block, 1, CLASSES)) + 0.3 * rng.normal(size=(block, 2, CLASSES))
        own = np.arange(block), 1, label[rows]
        logits[own] -= 0.4 * (place[rows] == 0)  # what a deletion shows
        log_values[rows] = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    return {
        "log_values": log_values,
        "member": np.stack([place == 0, np.zeros(size, dtype=bool)], axis=1),
        "label": label,
        "classes": tuple(f"class {k}" for k in range(CLASSES)),
        "record": rng.permutation(size),
        "pair": np.arange(size) // PER_PAIR,
        "original": np.arange(size) // block,
        "use": np.where(place < PER_PAIR - HELD_OUT, Use.EVALUATE, Use.HELD_OUT).astype(np.int8),
    }


class TimedEngine:
    """One attack after the other, each with its seconds."""

    at_once = 1

    def __init__(self):
        self.seconds = {}

    def map(self, function, context, tasks):
        for number, task in enumerate(tasks):
            began = time.perf_counter()
            answer = function(context, task)
            self.seconds[task.name] = time.perf_counter() - began
            yield number, answer


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def from_table(originals, pairs, dtype):
    """Every part's seconds, and the peak."""
    from aftertrace.attacks import ConfidenceRatio, ConformalRank, EucDist, LogitDrop, LossRise, OriginalLogit
    from aftertrace.posteriors import Posteriors
    from aftertrace.results import Limits
    from aftertrace.scenarios import Judgement, assess

    attacks = (
        LogitDrop(),
        EucDist(),
        LossRise(),
        ConfidenceRatio(),
        OriginalLogit(),
        ConformalRank(),
        ConformalRank(by_class=True),
        ConformalRank(bins=4),
        ConformalRank(LossRise(), by_class=True, bins=4, gamma=1.2),
    )
    made = made_table(originals, pairs, dtype)
    before, began = peak(), time.perf_counter()

    def passed(part, since):
        now = time.perf_counter()
        print(f"  {part:<56}{now - since:>7.2f} s")
        return now

    target = Posteriors(**made)
    del made
    then = passed("the table, checked", began)
    engine = TimedEngine()
    judgement = Judgement(attack="LogitDrop", limits=Limits(auc=0.6), confidence=0.95, seed=0)
    found = assess(None, target, attacks, judgement, engine=engine, progress=lambda *_: None)
    for name, seconds in engine.seconds.items():
        print(f"  {name:<56}{seconds:>7.2f} s")
    then = passed("rates, intervals, tests, controls, groups, verdict", then + sum(engine.seconds.values()))
    size = len(found.scores.to_parquet())
    passed(f"scores.parquet ({size / 1e6:.0f} MB)", then)
    seconds, most = time.perf_counter() - began, peak()
    held = seconds <= ALLOWED_SECONDS and most <= ALLOWED_BYTES
    print(
        f"  {'together':<56}{seconds:>7.2f} s of {ALLOWED_SECONDS}, {most / 1e9:.2f} of {ALLOWED_BYTES / 1e9:.0f} GB "
        f"({before / 1e9:.2f} of them before){'' if held else '  MISSED'}"
    )
    sys.exit(not held)


def write_files(folder, originals, pairs, dtype):
    """Posteriors as a user would bring them: `v1` and `v2`, Parquet and CSV; held-out queries are unseen ones."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    made = made_table(originals, pairs, dtype)
    names = np.array(made["classes"])
    keys = {
        "record": np.char.add("person-", made["record"].astype(str)),
        "label": names[made["label"]],
        "role": np.where(made["member"][:, 0], "deleted", "unseen"),
        "original": made["original"],
        "pair": made["pair"],
    }
    shuffled = np.random.default_rng(1).permutation(len(made["label"]))
    for version, rows in enumerate((slice(None), shuffled)):
        columns = {name: column[rows] for name, column in keys.items()}
        columns |= {name: np.exp(made["log_values"][rows, version, k]) for k, name in enumerate(names)}
        table = pa.table(columns)
        pyarrow.parquet.write_table(table, folder / f"v{version + 1}.parquet")
        pyarrow.csv.write_csv(table, folder / f"v{version + 1}.csv")


def from_files(folder):
    aftertrace = str(Path(sys.executable).with_name("aftertrace"))
    for suffix in (".parquet", ".csv"):
        files = [folder / f"v{version}{suffix}" for version in (1, 2)]
        size = sum(path.stat().st_size for path in files) / 1e6
        command = [aftertrace, "audit", "--before", str(files[0]), "--after", str(files[1])]
        for out in (None, folder / f"audit{suffix}"):
            found = measure(command if out is None else [*command, "--out", str(out)])
            kept = "" if out is None else f", report of {(out / 'report.html').stat().st_size / 1e3:.0f} kB"
            name = f"aftertrace audit, {suffix[1:]}, {size:.0f} MB{kept}"
            print(f"  {name:<56}{found.seconds:>7.2f} s, {found.process * 2**20 / 1e9:.2f} GB", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--originals", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=100, help="of each original")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of log posteriors")
    parser.add_argument("--part", choices=("table", "files"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = options.originals, options.pairs, options.dtype
    if options.part == "table":
        from_table(*size)
    elif options.part == "files":
        write_files(options.folder, *size)
    else:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
        again = [sys.executable, *sys.argv]
        queries = options.originals * options.pairs * PER_PAIR
        print(f"{queries} queries of {CLASSES} classes, {options.originals} originals, {options.dtype}")
        output = measure([*again, "--part", "table"]).output
        print(output, end="", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            measure([*again, "--part", "files", "--folder", folder])
            from_files(Path(folder))
        sys.exit("MISSED" in output)


if __name__ == "__main__":
    main()
