"""What `trainers.py` times: k deletions of one original of n = 2 000 records (digits: 1 797) by each trainer.

The loops of scikit-learn refit a few of the same models. Where the original is counted, ours trains it too, so that
the time per model is over k + 1 of them. Logistic regression at equal accuracy: the cheapest solver and tolerance of
scikit-learn whose posteriors are within about 1e-8 of the optimum ("lbfgs" stops before that at any tolerance).
"""

import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from aftertrace.data import Adult, Digits, Location, load
from aftertrace.trainers import (
    ALLOWED,
    CNN,
    MLP,
    Base,
    ForestTrainer,
    LogisticTrainer,
    Models,
    NetworkTrainer,
    Promise,
    Trainer,
    TrainingData,
    TreeTrainer,
)

N = 2000
REFITS = 5  # by scikit-learn, per round
CHECKED = 10  # models whose posteriors are compared
EXACT, TOLERANCE = ALLOWED[Promise.EXACT], ALLOWED[Promise.TOLERANCE]
Seconds = float  # per model


@dataclass(frozen=True)
class Case:
    """`deviations`: of ours from the slow twin, and of the loop at equal accuracy where there is one."""

    name: str
    floor: float
    aim: float
    allowed: float
    ours: Callable[[], Seconds]
    plain: Callable[[], Seconds]
    deviations: Callable[[], Sequence[float]]
    floor_equal: float | None = None
    equal: Callable[[], Seconds] | None = None


def cases() -> list[Case]:
    return [*logistic_cases(), *tree_cases(), *network_cases()]


def tables() -> str:
    if "AFTERTRACE_DATA" in os.environ:
        return "Adult, the location table and digits; made up for networks on images"
    return "AFTERTRACE_DATA is not set: MADE-UP stand-ins of the shapes of Adult and the location table; digits"


# Data


@cache
def table(name: str) -> TrainingData:
    """2 000 records of a table by name: adult, onehot, location, digits, images."""
    rng = np.random.default_rng(0)
    if name == "images" or (name != "digits" and "AFTERTRACE_DATA" not in os.environ):
        return stand_in(name, rng)
    specifications = {
        "adult": Adult(encoding="codes"),
        "onehot": Adult(encoding="onehot"),
        "location": Location(),
        "digits": Digits(),
    }
    data = load(specifications[name])
    chosen = rng.choice(len(data), min(N, len(data)), replace=False)
    return TrainingData(data.x[chosen], data.label[chosen], len(data.classes))


def stand_in(name: str, rng: np.random.Generator) -> TrainingData:
    F, K = {"adult": (14, 2), "onehot": (106, 2), "location": (168, 9), "images": (784, 10)}[name]
    label = rng.integers(K, size=N)
    match name:
        case "adult":  # as many values per column as there
            n_values = np.array([74, 9, N, 16, 16, 7, 15, 6, 5, 2, 30, 30, 60, 42])
            x = np.floor(n_values * rng.beta(1 + label[:, None], 3, size=(N, F)))
        case "onehot":  # 6 numbers, and a column for each value of 10 categorical columns
            numbers = rng.normal(size=(N, 6)) + 0.5 * label[:, None]
            codes = (rng.exponential(2.5, size=(N, 10)) + label[:, None]).astype(int).clip(0, 9)
            x = np.hstack([numbers, np.eye(10)[codes].reshape(N, 100)])
        case "location":
            x = rng.poisson(np.exp(rng.normal(size=(K, F))[label] - 1)).astype(float)
        case _:
            x = rng.normal(size=(N, F))
            x[:, :4] += 0.5 * label[:, None]
    return TrainingData(x, label, K)


def deletions(data: TrainingData, k: int) -> np.ndarray:
    """The original and its versions with one record less each. -> [k + 1, N]"""
    keep = np.ones((k + 1, len(data.label)), dtype=bool)
    keep[np.arange(1, k + 1), np.random.default_rng(1).choice(len(data.label), k, replace=False)] = False
    return keep


def streams(n: int, *, fresh: bool = False) -> list[np.random.SeedSequence]:
    return [np.random.SeedSequence(1, spawn_key=(m if fresh else 0,)) for m in range(n)]


# Measuring


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def refits(estimator: BaseEstimator, data: TrainingData, keep: np.ndarray) -> list[BaseEstimator]:
    """The sequential loop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return [clone(estimator).fit(data.x[row], data.label[row]) for row in keep]


def seconds_of_refits(estimator: BaseEstimator, data: TrainingData, keep: np.ndarray) -> Seconds:
    return seconds(lambda: refits(estimator, data, keep)) / len(keep)


def posteriors(models: Models, data: TrainingData, model: int) -> np.ndarray:
    return np.exp(models.log_posteriors(data.x, np.full(len(data.x), model)))


def deviation(first: Models, second: Models, data: TrainingData, n: int) -> float:
    """Of the posteriors of all records, over the first `n` models."""
    return max(float(np.abs(posteriors(first, data, m) - posteriors(second, data, m)).max()) for m in range(n))


# Logistic regression


@dataclass(frozen=True)
class Logistic:
    """k = 100. `solver` and `tol` are scikit-learn's at equal accuracy."""

    table: str
    trainer: LogisticTrainer
    solver: str
    tol: float
    counted: bool = False  # the original
    checked: int = CHECKED

    @cached_property
    def keep(self) -> np.ndarray:
        return deletions(table(self.table), 100)

    @cached_property
    def streams(self) -> list[np.random.SeedSequence]:
        return streams(len(self.keep))

    def fit(self, keep: np.ndarray, base: Base | None = None) -> Models:
        return self.trainer.fit(table(self.table), keep, streams=self.streams[: len(keep)], base=base)

    def forget(self, original: Models) -> Models:
        return self.fit(self.keep[1:], Base(original, np.zeros(len(self.keep) - 1, dtype=np.int64)))

    def ours(self) -> Seconds:
        if self.counted:
            return seconds(lambda: self.forget(self.fit(self.keep[:1]))) / len(self.keep)
        original = self.fit(self.keep[:1])
        return seconds(lambda: self.forget(original)) / (len(self.keep) - 1)

    def theirs(self, **changes: object) -> Seconds:
        return seconds_of_refits(self.estimator(**changes), table(self.table), self.keep[1 : 1 + REFITS])

    def estimator(self, **changes: object) -> BaseEstimator:
        classifier = LogisticRegression(**{"max_iter": 400, **changes})
        if self.trainer.multiclass == "one-against-rest":
            classifier = OneVsRestClassifier(classifier)
        return make_pipeline(StandardScaler(), classifier)

    def equal(self) -> Seconds:
        return self.theirs(solver=self.solver, tol=self.tol, max_iter=10_000)

    def deviations(self) -> Sequence[float]:
        data, keep = table(self.table), self.keep[1 : 1 + self.checked]
        twin = self.trainer.reference().fit(data, keep, streams=streams(len(keep)))
        equal = refits(self.estimator(solver=self.solver, tol=self.tol, max_iter=10_000), data, keep)
        off = (np.abs(each.predict_proba(data.x) - posteriors(twin, data, m)).max() for m, each in enumerate(equal))
        return deviation(self.forget(self.fit(self.keep[:1])), twin, data, len(keep)), float(max(off))

    def case(self, name: str, floor: float, aim: float, floor_equal: float | None) -> Case:
        return Case(name, floor, aim, TOLERANCE, self.ours, self.theirs, self.deviations, floor_equal, self.equal)


def logistic_cases() -> list[Case]:
    softmax, rest = LogisticTrainer(), LogisticTrainer(multiclass="one-against-rest")
    adult = partial(Logistic, "adult", softmax, "newton-cholesky", 1e-8)
    onehot = Logistic("onehot", softmax, "newton-cholesky", 1e-8)
    return [
        adult().case("logistic, 14 features", 35, 60, 65),
        adult(counted=True).case("logistic, 14 features, original counted", 22, 40, None),
        onehot.case("logistic, about 100 one-hot columns", 12, 25, 36),
        Logistic("digits", rest, "newton-cholesky", 1e-9).case("logistic, one against rest, digits", 50, 80, 90),
        Logistic("location", rest, "newton-cg", 1e-10).case("logistic, one against rest, 168 x 9", 12, 25, 25),
        Logistic("digits", softmax, "newton-cg", 1e-9).case("logistic, multinomial, digits", 9, 25, 45),
        Logistic("location", softmax, "newton-cg", 1e-9, checked=2).case("logistic, multinomial, 168 x 9", 4.5, 12, 13),
    ]


# Trees and forests


@dataclass(frozen=True)
class Grown:
    """k deletions on Adult, with the original; `refits` of scikit-learn per round."""

    trainer: TreeTrainer | ForestTrainer
    estimator: BaseEstimator
    k: int
    refits: int

    @cached_property
    def keep(self) -> np.ndarray:
        return deletions(table("adult"), self.k)

    @cached_property
    def streams(self) -> list[np.random.SeedSequence]:
        return streams(len(self.keep), fresh=isinstance(self.trainer, ForestTrainer) and not self.trainer.coupled)

    def fit(self, trainer: Trainer, keep: np.ndarray) -> Models:
        return trainer.fit(table("adult"), keep, streams=self.streams[: len(keep)])

    def ours(self) -> Seconds:
        return seconds(lambda: self.fit(self.trainer, self.keep)) / len(self.keep)

    def plain(self) -> Seconds:
        return seconds_of_refits(self.estimator, table("adult"), self.keep[1 : 1 + self.refits])

    def deviations(self) -> Sequence[float]:
        models = self.fit(self.trainer, self.keep)
        twin = self.fit(self.trainer.reference(), self.keep[:CHECKED])
        return (deviation(models, twin, table("adult"), len(twin)),)

    def case(self, name: str, floor: float, aim: float) -> Case:
        return Case(name, floor, aim, EXACT, self.ours, self.plain, self.deviations)


def tree_cases() -> list[Case]:
    forest = RandomForestClassifier(n_estimators=500, min_samples_leaf=30, random_state=0, n_jobs=1)
    coupled = ForestTrainer(n_estimators=500, min_samples_leaf=30, coupled=True)
    fresh = ForestTrainer(n_estimators=500, min_samples_leaf=30)
    tree = DecisionTreeClassifier(max_leaf_nodes=10, random_state=0)
    return [
        Grown(coupled, forest, 20, 1).case("forest, 500 trees, coupled, k = 20, with original", 25, 35),
        Grown(coupled, forest, 100, 1).case("forest, 500 trees, coupled, k = 100, with original", 50, 70),
        Grown(fresh, forest, 2, 1).case("forest, 500 trees, fresh", 2.5, 4),
        Grown(TreeTrainer(max_leaf_nodes=10), tree, 100, 20).case("tree, 10 leaves best first, k = 100", 20, 50),
    ]


# Networks


@dataclass(frozen=True)
class Net:
    """One model against a torch loop that gets standardised tensors and does forward, backward and step only."""

    table: str
    trainer: NetworkTrainer

    def ours(self) -> Seconds:
        keep = deletions(table(self.table), 0)
        return seconds(lambda: self.trainer.fit(table(self.table), keep, streams=streams(1)))

    def plain(self) -> Seconds:
        data = table(self.table)
        x = torch.as_tensor(StandardScaler().fit_transform(data.x), dtype=torch.float32)
        return seconds(lambda: tight_loop(self.trainer, x, torch.as_tensor(data.label), data.n_classes))

    def deviations(self) -> Sequence[float]:
        """In float64 after few epochs; on fewer images, as the twin takes its time."""
        data, trainer = table(self.table), self.trainer.short()
        keep = deletions(data, 0)
        if isinstance(trainer.network, CNN):
            keep[:, 96:] = False
        first, second = (each.fit(data, keep, streams=streams(1)) for each in (trainer, trainer.reference()))
        return (deviation(first, second, TrainingData(data.x[:200], data.label[:200], data.n_classes), 1),)

    def case(self, name: str, floor: float, aim: float) -> Case:
        return Case(name, floor, aim, EXACT, self.ours, self.plain, self.deviations)


def tight_loop(trainer: NetworkTrainer, x: torch.Tensor, label: torch.Tensor, n_classes: int) -> None:
    module = trainer.network.build(x.shape[1], n_classes)
    optimizer = torch.optim.Adam(module.parameters(), lr=trainer.learning_rate)
    loss = torch.nn.CrossEntropyLoss()
    for _ in range(trainer.epochs):
        for batch in torch.randperm(len(x)).split(trainer.batch_size):
            optimizer.zero_grad()
            loss(module(x[batch]), label[batch]).backward()
            optimizer.step()


def network_cases() -> list[Case]:
    small = NetworkTrainer(network=MLP((100,)), epochs=30)
    deep = NetworkTrainer(network=MLP((256, 128, 64, 32)), epochs=8)
    images = NetworkTrainer(network=CNN((1, 28, 28)), epochs=1, scaled=False)
    return [
        Net("location", small).case("MLP 1 x 100, 168 features, float32", 8, 12),
        Net("adult", small).case("MLP 1 x 100, 14 features, float32", 15, 25),
        Net("location", deep).case("MLP 256-128-64-32, 168 features, float32", 3.5, 5),
        Net("images", images).case("CNN 28 x 28, float32", 1.15, 1.5),
    ]
