"""Exposure: every deletion against a refit, p-values that keep their level, and nothing lost when killed."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from aftertrace._random import Stream, stream
from aftertrace.data import Dataset, Wine, load
from aftertrace.engine import Processes
from aftertrace.errors import ExperimentError, TrainingError
from aftertrace.posteriors import phi
from aftertrace.scenarios import _exposure as module
from aftertrace.scenarios import expose
from aftertrace.store import RunFolder
from aftertrace.trainers import ForestTrainer, LogisticTrainer, Model, Promise, Seeding, Size, TrainingData

FIELDS = ("record", "label", "before", "after", "logit_drop", "rank")


@pytest.fixture(scope="module")
def wine():
    return load(Wine())


def equal(first, second):
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in FIELDS)


@pytest.mark.parametrize("name", ["logistic", "tree"])
def test_every_row_equals_a_refit(wine, name):
    trainer = Model(name=name).trainer()
    rows, _ = expose(wine, trainer, unseen=9)
    others = np.setdiff1d(np.arange(len(wine)), rows.record)
    assert len(others) == 9
    data = TrainingData(wine.x, wine.label, 3)
    streams = [stream(0, Stream.TRAIN, "exposure")]
    keep = np.zeros((1, len(wine)), dtype=bool)
    keep[0, rows.record] = True
    alone = trainer.reference()
    original = alone.fit(data, keep, streams=streams)

    def logits(models, records):
        values = models.log_posteriors(wine.x[records], np.zeros(len(records), dtype=int))
        return phi(values, wine.label[records])

    for row in (0, 7, 39, 168):
        without = keep.copy()
        without[0, rows.record[row]] = False
        later = alone.fit(data, without, streams=streams)
        own = rows.record[[row]]
        assert rows.before[row] == pytest.approx(1 / (1 + np.exp(-logits(original, own)[0])), abs=1e-8)
        assert rows.after[row] == pytest.approx(1 / (1 + np.exp(-logits(later, own)[0])), abs=1e-8)
        drop = (logits(original, own) - logits(later, own))[0]
        assert rows.logit_drop[row] == pytest.approx(drop, abs=1e-6)
        assert rows.rank[row] == (logits(original, others) - logits(later, others) >= drop).sum()


def test_data_of_persons_are_refused(wine):
    of_persons = replace(wine, person=np.zeros(len(wine), dtype=int))
    with pytest.raises(ExperimentError, match=r"data\.person: an exposure deletes single records"):
        expose(of_persons, LogisticTrainer(), unseen=9)


def test_sizes_and_p_values(wine):
    rows, _ = expose(wine, LogisticTrainer(), unseen=19)
    assert len(rows.record) == len(np.unique(rows.record)) == len(wine) - 19
    assert np.array_equal(rows.label, wine.label[rows.record])
    assert np.array_equal(rows.p_value, (1 + rows.rank) / 20)
    assert rows.p_value.min() >= 1 / 20


@dataclass(frozen=True)
class Blind:
    """Answers noise that depends on the record and the version, and on nobody's membership."""

    promise: Promise = Promise.EXACT
    seedings: frozenset = frozenset(Seeding)

    def fit(self, data, keep, *, streams, device="cpu", base=None):
        return Noise(len(keep), keep.sum(axis=1), data.n_classes)


@dataclass(frozen=True, eq=False)
class Noise:
    n: int
    sizes: np.ndarray
    n_classes: int
    counts = worst = {}  # noqa: RUF012 - never changed

    def __len__(self):
        return self.n

    def log_posteriors(self, x, model):
        out = np.empty((len(x), self.n_classes))
        for row, (values, number) in enumerate(zip(x, model, strict=True)):
            seed = [int(number), *np.frombuffer(values.tobytes(), np.uint32)]
            out[row] = np.random.default_rng(seed).normal(size=self.n_classes)
        return out - np.logaddexp.reduce(out, axis=1)[:, None]


def test_p_values_keep_their_level_where_nothing_leaks():
    """Deletions whose answers are noise: at most a share a of the p-values up to a, and about that many."""
    rng = np.random.default_rng(0)
    n = 700
    data = Dataset("noise", rng.normal(size=(n, 2)), np.arange(n) % 2, ("a", "b"), ("x", "y"), ())
    rows, _ = expose(data, Blind(), unseen=19, records=n - 19)
    for level in (0.05, 0.25, 0.5):
        share = (rows.p_value <= level).mean()
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / len(rows.record)) + 0.02


def test_a_leak_is_found():
    """Classes that overlap: each record holds the boundary where it is, if only a little."""
    rng = np.random.default_rng(0)
    label = np.arange(400) % 2
    data = Dataset("overlap", rng.normal(size=(400, 4)) + label[:, None], label, ("a", "b"), tuple("wxyz"), ())
    rows, _ = expose(data, LogisticTrainer(), unseen=99)
    assert (rows.p_value <= 0.05).mean() > 0.5


def test_parts_workers_and_resuming_change_nothing(wine, tmp_path, monkeypatch):
    trainer = Model(name="tree").trainer()
    whole, certificate = expose(wine, trainer, unseen=9)
    monkeypatch.setattr(module, "_MOST", 40)
    monkeypatch.setattr(module, "_LEAST", 1)
    monkeypatch.setattr(module, "_PARTS", 1)
    folder = RunFolder.open(tmp_path / "run", identity={"a": 1})
    parts, same = expose(wine, trainer, unseen=9, folder=folder)
    assert equal(whole, parts)
    assert certificate == same
    names = sorted(path.name for path in folder.units_path.iterdir())
    assert len(names) == 5
    (folder.units_path / names[1]).unlink()
    (folder.units_path / names[2]).write_bytes(b"damaged")
    done = []
    again, _ = expose(wine, trainer, unseen=9, folder=folder, progress=lambda *step: done.append(step))
    assert equal(whole, again)
    assert done[0] == ("deletions", 169 - 80, 169)


def test_workers_change_nothing(wine, monkeypatch):
    monkeypatch.setattr(module, "_LEAST", 90)
    monkeypatch.setattr(module, "_PARTS", 9)
    one, first = expose(wine, LogisticTrainer(), unseen=9)
    two, second = expose(wine, LogisticTrainer(), unseen=9, engine=Processes(2))
    assert first == second
    assert np.array_equal(one.rank, two.rank)


def test_parts_of_another_exposure_are_not_taken(wine, tmp_path):
    folder = RunFolder.open(tmp_path / "run", identity={"a": 1})
    expose(wine, Model(name="tree").trainer(), unseen=9, folder=folder)
    rows, _ = expose(wine, LogisticTrainer(), unseen=9, folder=folder)
    assert equal(rows, expose(wine, LogisticTrainer(), unseen=9)[0])


def test_parts_are_of_a_size_that_fits():
    forest = ForestTrainer(n_estimators=500, min_samples_leaf=1, coupled=True)

    def parts(trainer, n):
        return module.together(trainer, Size(records=n, features=14, classes=2, models=1))

    assert [parts(LogisticTrainer(), n) for n in (100, 600, 8000, 10**5)] == [256, 256, 1000, 2048]
    assert 1 <= parts(forest, 20_000) < 64
    assert parts(Model(name="sklearn.tree:DecisionTreeClassifier").trainer(), 8000) == 16


@pytest.mark.parametrize(("records", "unseen"), [(None, 0), (None, 177), (1, 5), (170, 9)])
def test_sizes_that_do_not_fit(wine, records, unseen):
    with pytest.raises(ExperimentError, match="together at most the 178 records of wine"):
        expose(wine, LogisticTrainer(), records=records, unseen=unseen)


@dataclass(frozen=True)
class Sloppy(LogisticTrainer):
    """Stops early: not what its reference finds."""

    def fit(self, data, keep, **more):
        return replace(LogisticTrainer(C=self.C * 1.01)).fit(data, keep, **more)


def test_the_certificate_can_fail(wine):
    with pytest.raises(TrainingError, match=r"certificate failed: 10 models of Sloppy.*of this exposure"):
        expose(wine, Sloppy(), unseen=9)


def test_networks_are_checked_on_a_short_schedule(wine):
    trainer = Model(name="mlp", params={"epochs": 1}).trainer()
    _, certificate = expose(wine, trainer, records=12, unseen=5)
    assert certificate.passed
    assert certificate.models == 10


def test_scikit_learn_has_no_reference(wine):
    trainer = Model(name="sklearn.naive_bayes:GaussianNB").trainer()
    assert expose(wine, trainer, records=12, unseen=5)[1] is None
