"""Is the verdict's attack stronger than the paper's? Twenty cells, and what a likelihood ratio with many shadows adds.

    AFTERTRACE_DATA=... python benchmarks/power.py --out FOLDER [--jobs 2] [--only adult]

Each cell is a run in FOLDER, resumable as runs are: 10 shadow and 30 target originals, 20 deletions each, records
redrawn. The best of the paper's twenty attacks is chosen on the target originals of even number and compared with the
attack declared in advance on those of odd number, which the choice never saw: sign flips over originals, Holm over the
cells. Which attack is declared may only be learned on shadow originals: the first table. The ceiling is estimated with
the per-record adversary: shadow models of the very records. Prints the tables of docs/attacks.md.
"""

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import aftertrace as at
from aftertrace.attacks import EucDist, LogitDrop, LossRise, OriginalLogit, Superset
from aftertrace.errors import StoreError
from aftertrace.posteriors import Role, Use, concatenate
from aftertrace.scenarios import Experiment
from aftertrace.statistics import auc_by_original, auc_interval, holm, sign_flip_test
from aftertrace.store import RunFolder

DECLARED = "Superset"
SEED = 1  # shadow sides of seed 0 are those on which the form of Superset was chosen
CANDIDATES = (LogitDrop(), LossRise(), EucDist(), Superset())
FEATURES = ("DirectConcat", "SortedConcat", "DirectDiff", "SortedDiff", "EucDist")
CLASSIFIERS = ("tree", "forest", "logistic", "mlp")
PAPER = tuple(f"{feature}/{classifier}" for feature, classifier in itertools.product(FEATURES, CLASSIFIERS))
DATA = {  # settings, and records that train an original
    "adult": ({"name": "adult"}, 2000),
    "location": ({"name": "location"}, 2000),
    "digits": ({"name": "digits"}, 500),
    "mnist": ({"name": "mnist", "records": 10_000}, 2000),
}
SHADOWS, TARGETS, PAIRS = 10, 30, 20
MANY_SHADOWS = 128
LEVEL, GAIN = 0.05, 0.05


@dataclass(frozen=True)
class Cell:
    data: str
    model: str
    seed: str

    def __str__(self):
        return f"{self.data}, {self.model}, {self.seed}"

    def experiment(self, *, adversary="population", shadows=SHADOWS):
        settings, records = DATA[self.data]
        sizes = {"pairs": PAIRS, "records": records}
        preset = "paper" if self.model == "logistic" else "working"  # one against rest, as the paper has it
        return Experiment.from_dict(
            {
                "seed": SEED,
                "data": settings,
                "model": {"name": self.model, "preset": preset},
                "procedure": {"seed": self.seed},
                "scenario": {
                    "unseen_per_pair": 5,
                    "held_out_per_pair": 5,
                    "adversary": adversary,
                    "shadow": {"originals": shadows, **sizes},
                    "target": {"originals": TARGETS, **sizes},
                },
            }
        )


CELLS = (
    *(Cell(data, model, "fresh") for data in DATA for model in ("logistic", "tree", "forest", "mlp")),
    Cell("adult", "forest", "coupled"),
    Cell("mnist", "forest", "coupled"),
    Cell("adult", "mlp", "same"),
    Cell("mnist", "mlp", "same"),
)
CEILINGS = tuple(
    Cell(data, model, seed)
    for data in ("adult", "digits")
    for model, seed in (("logistic", "same"), ("tree", "same"), ("forest", "coupled"))
)


def audit(experiment, folder, jobs):
    """The run, or what is left of it where it was killed."""
    try:
        return at.Audit.of_folder(folder)
    except StoreError:
        return at.run(experiment, out=folder, jobs=jobs)


# On shadow originals


def on_shadows(folder):
    """AUC of the candidates on the shadow side; what learns is fitted on one half of its originals, for the other."""
    run = RunFolder(folder)
    tables = [run.read_unit(address)[0] for address in run.read_manifest()["units"][:SHADOWS]]
    out = {}
    for attack in CANDIDATES:
        own = []
        for side in (0, 1):
            fitted, scored = concatenate(tables[side::2]), concatenate(tables[1 - side :: 2])
            scorer = attack.fit(fitted, rng=np.random.default_rng(side))
            rows = np.flatnonzero((scored.use == Use.EVALUATE) & np.isin(scored.role, (Role.DELETED, Role.UNSEEN)))
            score, is_deleted = scorer.score(scored)[rows], scored.role[rows] == Role.DELETED
            own += auc_by_original(score, is_deleted, scored.original[rows])[1].tolist()
        out[attack.name] = float(np.mean(own))
    return out


# On target originals


@dataclass(frozen=True)
class Side:
    """Evaluated queries of some originals."""

    score: dict
    is_deleted: np.ndarray
    original: np.ndarray

    @classmethod
    def of(cls, scores, keep):
        rows = np.flatnonzero(
            (scores.use == Use.EVALUATE) & np.isin(scores.role, (Role.DELETED, Role.UNSEEN)) & keep(scores.original)
        )
        own = {name: score[rows] for name, score in scores.score.items()}
        return cls(own, scores.role[rows] == Role.DELETED, scores.original[rows])

    def auc(self, name):
        return auc_interval(self.score[name], self.is_deleted, self.original)

    def by_original(self, name):
        return auc_by_original(self.score[name], self.is_deleted, self.original)[1]


def compared(scores):
    """The best of the paper's attacks on even originals against the declared one, both on odd originals."""
    chosen, held = Side.of(scores, lambda each: each % 2 == 0), Side.of(scores, lambda each: each % 2 == 1)
    best = max(PAPER, key=lambda name: chosen.auc(name).estimate)
    own = {name: held.by_original(name) for name in (DECLARED, best)}
    flips = np.random.default_rng(0)
    test = sign_flip_test(own[DECLARED] - own[best], rng=flips)
    chance = min(sign_flip_test(each - 0.5, rng=flips).p_value for each in own.values())
    return best, held, float(test.statistic), float(test.p_value), 2 * chance  # the smaller of two


def shown(interval):
    return f"{interval.estimate:.3f} ({interval.low:.3f}-{interval.high:.3f})"


def rate(result, name):
    found = next(each for each in result.attack(name).rates if each.fpr == 0.01)
    return "-" if found.tpr is None else f"{100 * found.tpr.estimate:.1f} ({100 * found.realised_fpr.estimate:.1f})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="cells that start so")
    options = parser.parse_args()

    done, shadow = {}, {}
    for cell in (each for each in CELLS if str(each).startswith(options.only)):
        folder = options.out / str(cell).replace(", ", "-")
        audited = audit(cell.experiment(), folder, options.jobs)
        shadow[cell] = on_shadows(folder)
        done[cell] = audited.result, compared(audited.scores)
        print(f"{cell}: done, {audited.manifest['seconds']}", flush=True)

    names = [attack.name for attack in CANDIDATES]
    print(f"\nMean AUC of shadow originals:\n\n| cell | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for cell, found in shadow.items():
        print(f"| {cell} | {' | '.join(f'{found[name]:.3f}' for name in names)} |")
    means = [f"{np.mean([found[name] for found in shadow.values()]):.3f}" for name in names]
    print(f"| mean | {' | '.join(means)} |")

    adjusted = dict(zip(done, holm(np.array([each[1][3] for each in done.values()])), strict=True))
    print(
        f"\n| cell | best of the paper's 20 | its AUC | {DECLARED} | difference | p (Holm) | "
        f"TPR at 1 % FPR, %: paper | {DECLARED} |\n|---|---|---|---|---|---|---|---|"
    )
    tally = {"above chance": 0, "better": 0, "worse": 0, "hard": 0, "hard and higher": 0}
    for cell, (result, (best, held, difference, _, chance)) in done.items():
        significant = adjusted[cell] <= LEVEL
        note = "" if chance <= LEVEL else "; both at chance"
        print(
            f"| {cell} | {best} | {shown(held.auc(best))} | {shown(held.auc(DECLARED))} | {difference:+.3f} | "
            f"{adjusted[cell]:.2g}{note} | {rate(result, best)} | {rate(result, DECLARED)} |"
        )
        if chance <= LEVEL:
            tally["above chance"] += 1
            tally["better"] += significant and difference > 0
            if cell.model in ("forest", "mlp"):
                tally["hard"] += 1
                tally["hard and higher"] += difference >= GAIN
        tally["worse"] += significant and difference < 0
    print(
        f"\n{DECLARED} is significantly better in {tally['better']} of the {tally['above chance']} cells where either "
        f"beats chance, and worse in {tally['worse']} of {len(done)}. On forests and networks it is at least {GAIN} "
        f"higher in {tally['hard and higher']} of {tally['hard']}."
    )

    known = (DECLARED, "LogitDrop", "JointLikelihoodRatio", "LiRA", OriginalLogit().name)
    titles = f"cell, {MANY_SHADOWS} shadows | best of the paper's 20 | {' | '.join(known)}"
    print(f"\n| {titles} |\n|---|---|{'---|' * len(known)}")
    for cell in (each for each in CEILINGS if str(each).startswith(options.only)):
        experiment = cell.experiment(adversary="per_record", shadows=MANY_SHADOWS)
        result = audit(experiment, options.out / f"ceiling-{cell}".replace(", ", "-"), options.jobs).result
        best = max(PAPER, key=lambda name: result.attack(name).auc.estimate)  # in its favour: chosen on these figures
        figures = [shown(result.attack(name).auc) for name in known]
        print(f"| {cell} | {best} {shown(result.attack(best).auc)} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
