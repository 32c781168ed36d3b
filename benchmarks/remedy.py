"""Is what `--what-if` recommends below the limit on originals that nobody saw?

    AFTERTRACE_DATA=... python benchmarks/remedy.py [--repetitions 50] [--seeds 3] [--jobs 1]

Decision trees on UCI Adult, the example adult-tree with 40 deletions an original and 2 evaluated unseen queries each.
Every repetition has 40 target originals of its own, of which 20 choose and 20 confirm; the shadow side is the seed's.
The truth of an option is its AUC over the originals of all repetitions, against the strongest of the same attacks: that
a repetition's own 40 are among the 2000 hardly matters. A recommendation is right if the truth lies within the limit;
demanded are 46 of 50, for each seed and limit. Limits lie near the truth of some options, where mistakes are easiest.
Exits with 1 if the demand is missed.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from aftertrace._hashing import digest
from aftertrace.attacks import Adversary, Superset
from aftertrace.data import load
from aftertrace.engine import choose
from aftertrace.results import Limits
from aftertrace.scenarios import Experiment, Judgement, simulate
from aftertrace.scenarios._remedy import what_if
from aftertrace.scenarios._remedy_candidates import release_candidates
from aftertrace.scenarios._remedy_options import Trained, Yardstick, judged_one
from aftertrace.scenarios._sides import attacked, drawn_units, simulations_of
from aftertrace.scenarios._units import side_of

ORIGINALS, DEMANDED = 40, 46 / 50
LIMITS = (0.6, 0.55, 0.54)
CHANGES = (
    "scenario.shadow.pairs=40",
    "scenario.target.pairs=40",
    "scenario.unseen_per_pair=2",
)


@dataclass(frozen=True)
class Remembered:
    """Superset, fitted once to equal shadow sides: the repetitions of a seed share theirs."""

    attack: Superset = field(default_factory=Superset)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.attack, name)

    def fit(self, shadow, *, rng):
        key = digest([shadow.log_values, shadow.kind])
        if key not in FITTED:
            FITTED[key] = self.attack.fit(shadow, rng=rng)
        return FITTED[key]


FITTED = {}  # of this process


def train(simulations, unit):
    return simulate(simulations[unit.side], unit)


def tables(seed, originals, engine):
    """The undefended answers of both sides."""
    changes = (*CHANGES, f"seed={seed}", f"scenario.target.originals={originals}")
    experiment = Experiment.from_toml("adult-tree", changes=changes)
    simulations = simulations_of(experiment, partial(load, data_dir=None))
    units = drawn_units(experiment, simulations)
    found = dict(engine.map(train, simulations, units))
    return tuple(
        attacked(experiment, simulations, side, side_of([found[n] for n, u in enumerate(units) if u.side == side])[0])
        for side in ("shadow", "target")
    )


def judgement(seed, limit):
    return Judgement(attack="Superset", limits=Limits(auc=limit), confidence=0.95, seed=seed)


def truth(context, candidate):
    """The AUC of an option, over all originals."""
    seed, shadow, target = context
    trained = Trained(shadow=shadow, target=target)
    yardstick = Yardstick.of(Remembered(), judgement(seed, 0.6), trained, adversary=Adversary.POPULATION)
    return judged_one((yardstick, trained), candidate).auc


def repetition(context, task):
    """What is recommended: name, confirmed or not."""
    seed, shadow, target = context
    number, limit = task
    own = target.select(target.original // ORIGINALS == number)
    remedy = what_if(shadow, own, Remembered(), judgement(seed, limit))
    return limit, remedy.recommended, remedy.confirmed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    engine = choose(options.jobs)
    missed = []
    for seed in range(options.seeds):
        started = time.monotonic()
        context = (seed, *tables(seed, ORIGINALS * options.repetitions, engine))
        print(f"\nseed {seed}: trained in {time.monotonic() - started:.0f} s")
        candidates = list(release_candidates(len(context[1].classes)))
        aucs = {candidates[n].name: auc for n, auc in engine.map(truth, context, candidates) if auc is not None}
        for name, auc in aucs.items():
            print(f"  {name:20} true AUC {auc.estimate:.3f} ({auc.low:.3f} to {auc.high:.3f})")
        tasks = [(number, limit) for limit in LIMITS for number in range(options.repetitions)]
        found = [answer for _, answer in engine.map(repetition, context, tasks)]
        for limit in LIMITS:
            missed += report(seed, limit, [rest for own, *rest in found if own == limit], aucs)
        print(f"  {time.monotonic() - started:.0f} s", flush=True)
    sys.exit(1 if missed else 0)


def report(seed, limit, found, aucs):
    """A line of figures, and what is missed."""
    given = [(name, confirmed) for name, confirmed in found if name is not None]
    right = [abs(aucs[name].estimate - 0.5) <= limit - 0.5 for name, _ in given]
    sure = [ok for ok, (_, confirmed) in zip(right, given, strict=True) if confirmed]
    near = np.mean([abs(abs(aucs[name].estimate - 0.5) - (limit - 0.5)) < 0.02 for name, _ in given]) if given else 0
    names = ", ".join(f"{name} {count}" for name, count in Counter(name for name, _ in given).most_common())
    print(
        f"  limit {limit:g}: {len(given)} of {len(found)} recommend something, {sum(right)} of them within the limit; "
        f"{len(sure)} confirmed, {sum(sure)} of them within; truth within .02 of the limit in {near:.0%}; {names}"
    )
    return [(seed, limit)] if sum(right) < DEMANDED * len(given) else []


if __name__ == "__main__":
    main()
