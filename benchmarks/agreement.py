"""Whole audits with our trainers and with scikit-learn's in their place: accuracy and attack AUC, over seeds.

    AFTERTRACE_DATA=... python benchmarks/agreement.py [--seeds 5] [--jobs 2]

Trees and forests draw other random numbers, so they agree in distribution only: a row gives the mean difference over
seeds (records are the same on both sides), its standard error, and how many standard errors it is.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import aftertrace as at
from aftertrace.trainers import Model

SIZES = [f"scenario.{side}.{key}" for side in ("shadow", "target") for key in ("originals=8", "pairs=10")]
PAIRS = {
    "tree": ({"max_leaf_nodes": 10}, "sklearn.tree:DecisionTreeClassifier"),
    "forest": ({"n_estimators": 100, "min_samples_leaf": 10}, "sklearn.ensemble:RandomForestClassifier"),
}


def figures(model, params, seed, jobs, folder):
    settings = [f"model.params.{key}={value}" for key, value in params.items()]
    changes = ["model.preset=working", f"model.name={model}", "procedure.seed=fresh", f"seed={seed}", *SIZES, *settings]
    result = at.run("adult-tree", changes=changes, out=folder, jobs=jobs).result
    names = ("LogitDrop", "EucDist", "OriginalLogit", "SortedDiff/tree", "SortedDiff/forest")
    accuracy = result.overfitting
    return [
        accuracy.train_accuracy.mean,
        accuracy.test_accuracy.mean,
        *(result.attack(name).auc.estimate for name in names),
    ], ("train accuracy", "test accuracy", *names)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    print(f"{'model':<8}{'figure':<20}{'ours':>9}{'theirs':>9}{'difference':>12}{'error':>9}{'z':>7}")
    for name, (params, theirs) in PAIRS.items():
        assert set(params) <= set(Model(name=name).trainer().__dataclass_fields__)
        both = []
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                ours, labels = figures(name, params, seed, options.jobs, Path(folder) / "ours")
                other, _ = figures(theirs, params, seed, options.jobs, Path(folder) / "theirs")
            both.append((ours, other))
            print(f"{name}: seed {seed}", file=sys.stderr)
        values = np.array(both)
        difference = values[:, 0] - values[:, 1]
        error = difference.std(axis=0, ddof=1) / np.sqrt(options.seeds)
        for k, label in enumerate(labels):
            mean, spread = difference[:, k].mean(), error[k]
            z = mean / spread if spread else 0.0
            first, second = values[:, :, k].mean(axis=0)
            print(f"{name:<8}{label:<20}{first:>9.4f}{second:>9.4f}{mean:>12.4f}{spread:>9.4f}{z:>7.1f}", flush=True)


if __name__ == "__main__":
    main()
