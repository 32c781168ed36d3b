"""The table of `docs/reproduction.md`: trees and logistic regression on Adult at the authors' default sizes.

    AFTERTRACE_DATA=... python benchmarks/reproduction.py --out runs/reproduction [--jobs 2]

Five seeds of each of {tree, logistic} x {fixed, redrawn} x {same, fresh}; resumable. Prints Markdown.
"""

import argparse
import itertools
import statistics
from pathlib import Path

import aftertrace as at

SEEDS = range(5)
ROWS = ("SortedDiff/tree", "SortedDiff/forest", "DirectDiff/tree", "DirectDiff/forest", "EucDist/tree", "EucDist",
        "LogitDrop", "OriginalLogit")  # fmt: skip
CLASSIFIERS = ("tree", "forest", "logistic", "mlp")
AVERAGED = ("DirectConcat", "SortedConcat", "Classical")


def figures(result):
    """AUC by row of the table; concatenations and the classical attack averaged over classifiers."""
    own = {name: result.attack(name).auc.estimate for name in ROWS}
    for feature in AVERAGED:
        own[f"{feature}, mean of 4"] = statistics.mean(
            result.attack(f"{feature}/{classifier}").auc.estimate for classifier in CLASSIFIERS
        )
    own["interval of LogitDrop, half width"] = (
        result.attack("LogitDrop").auc.high - result.attack("LogitDrop").auc.low
    ) / 2
    return own


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    for model in ("tree", "logistic"):
        columns = {}
        for pools, seeding in itertools.product(("fixed", "redrawn"), ("same", "fresh")):
            runs = []
            for seed in SEEDS:
                audit = at.run(
                    f"adult-{model}",
                    changes=[f"seed={seed}", f"scenario.pools={pools}", f"procedure.seed={seeding}"],
                    out=arguments.out / f"{model}-{pools}-{seeding}-{seed}",
                    jobs=arguments.jobs,
                )
                runs.append(figures(audit.result))
            columns[f"{pools}, {seeding}"] = runs
        print(f"\n### Adult, {model}\n\n| attack | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for row in next(iter(columns.values()))[0]:
            cells = []
            for runs in columns.values():
                values = [run[row] for run in runs]
                cells.append(f"{statistics.mean(values):.3f} [{min(values):.3f}-{max(values):.3f}]")
            print(f"| {row} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
