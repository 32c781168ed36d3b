"""Leak-free audits of trained models, and planted leaks: how often is the interval right?

    python benchmarks/soundness.py [--audits 200]

Unseen/unseen: in every pair two unseen records are drawn, one is called deleted. Roles are exchangeable, so the AUC
is one half; at 95 % an interval should exclude it in about 5 % of audits (at most 18 of 200: the 99.5 % point of a
binomial). Planted: the one called deleted is given a logit drop as large as makes the AUC .65.
"""

import argparse
import sys
import time

import numpy as np
from scipy.stats import norm

from aftertrace.attacks import LogitDrop
from aftertrace.data import BreastCancer, Digits, load
from aftertrace.posteriors import Role, Use, concatenate
from aftertrace.procedures import Retrain
from aftertrace.scenarios import Scenario, Side, Simulation, draw_units, simulate
from aftertrace.statistics import auc_interval
from aftertrace.trainers import Model, Seeding

CASES = {
    "digits, tree, same seed": (Digits(), Model(name="tree"), Seeding.SAME, 300),
    "breast cancer, tree, same seed": (BreastCancer(), Model(name="tree"), Seeding.SAME, 150),
    "breast cancer, logistic": (BreastCancer(), Model(name="logistic"), Seeding.FRESH, 150),
}
PAIRS = 10


def audit(data, model, seeding, records, originals, seed):
    """Scores of unseen queries of the target side, who is called deleted, and the originals."""
    side = Side(originals=originals, pairs=PAIRS, records=records)
    scenario = Scenario(shadow=Side(originals=1, pairs=1, records=2), target=side)
    simulation = Simulation(data=data, procedure=Retrain(model.trainer(), seeding), seed=seed)
    units = [unit for unit in draw_units(scenario, n_records=len(data), seed=seed) if unit.side == "target"]
    table = concatenate([simulate(simulation, unit)[0] for unit in units])
    score = LogitDrop().fit(None, rng=np.random.default_rng(0)).score(table)
    unseen = table.role == Role.UNSEEN
    return score[unseen], table.use[unseen] == Use.HELD_OUT, table.original[unseen]


def planted(seed, originals, auc):
    """The same design with a leak of known AUC: normal scores, shifted for the records called deleted."""
    rng = np.random.default_rng(seed)
    original = np.repeat(np.arange(originals), 2 * PAIRS * 2)
    called = np.tile([True, False], originals * PAIRS * 2)
    level = rng.normal(size=originals)[original] * 0.3
    return rng.normal(size=len(called)) + level + called * norm.ppf(auc) * np.sqrt(2), called, original


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--audits", type=int, default=200)
    audits = parser.parse_args().audits
    sound = True
    for originals in (10, 30):
        for name, (spec, model, seeding, records) in CASES.items():
            data, started, alarms = load(spec), time.perf_counter(), 0
            for seed in range(audits):
                interval = auc_interval(*audit(data, model, seeding, records, originals, seed))
                alarms += not interval.low <= 0.5 <= interval.high
            seconds = time.perf_counter() - started
            sound &= alarms <= 0.09 * audits
            print(f"unseen/unseen, {name}, {originals} originals: {alarms} of {audits} exclude .5 ({seconds:.0f} s)",
                  flush=True)  # fmt: skip
        found = sum(auc_interval(*planted(seed, originals, 0.65)).low > 0.5 for seed in range(audits))
        sound &= found >= 0.9 * audits
        print(f"planted AUC .65, {originals} originals: {found} of {audits} found", flush=True)
    sys.exit(not sound)


if __name__ == "__main__":
    main()
