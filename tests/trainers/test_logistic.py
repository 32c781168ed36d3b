"""Fast logistic regression against two slow ones, row by row: scikit-learn at a tight tolerance, and plain Newton."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aftertrace._random import Stream, stream
from aftertrace.errors import TrainingError
from aftertrace.trainers import Base, LogisticTrainer, SklearnTrainer, TrainingData, check_trainer
from aftertrace.trainers._convex import TOLERANCE
from aftertrace.trainers._convex_variants import Changes

TRAINERS = {
    "multinomial": LogisticTrainer(),
    "one-against-rest": LogisticTrainer(multiclass="one-against-rest"),
    "unscaled": LogisticTrainer(scaled=False, C=0.3),
}


def streams(n):
    return [stream(0, Stream.TRAIN, number) for number in range(n)]


def scikit_learn(trainer):
    """Another's solver of the same problem, at a tolerance far below its default."""
    classifier = LogisticRegression(C=trainer.C, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    if trainer.multiclass == "one-against-rest":
        classifier = OneVsRestClassifier(classifier)
    return SklearnTrainer(make_pipeline(StandardScaler(), classifier) if trainer.scaled else classifier)


def posteriors(models, x, row):
    return np.exp(models.log_posteriors(x, np.full(len(x), row)))


def compare(trainer, data, keep, base=None, rows=None):
    fast = trainer.fit(data, keep, streams=streams(len(keep)), base=base)
    rows = range(len(keep)) if rows is None else rows
    for twin in (scikit_learn(trainer), trainer.reference()):
        slow = twin.fit(data, keep[list(rows)], streams=streams(len(list(rows))))
        for place, row in enumerate(rows):
            difference = np.abs(posteriors(fast, data.x, row) - posteriors(slow, data.x, place)).max()
            assert difference < 1e-8, f"row {row}, {type(twin).__name__}: {difference}"
    assert fast.worst["log_odds_step"] <= TOLERANCE
    assert fast.counts["unconverged"] == 0
    return fast


def leave_one_out(n, records):
    keep = np.ones((1 + len(records), n), dtype=bool)
    keep[1 + np.arange(len(records)), records] = False
    return keep


def table(seed=0, n=150, n_features=5, n_classes=2):
    rng = np.random.default_rng(seed)
    label = rng.integers(n_classes, size=n)
    label[:n_classes] = np.arange(n_classes)
    x = rng.normal(size=(n, n_features)) * np.geomspace(0.01, 1e4, n_features) + rng.normal(size=n_features)
    x[:, 0] += 0.01 * label
    return TrainingData(x, label, n_classes)


def one_hot(seed=0, n=200, n_classes=2):
    """Columns of zeros and ones, some with a single record, one constant, one all zero, and two numbers."""
    rng = np.random.default_rng(seed)
    category = np.minimum(rng.geometric(0.2, size=n), 20)
    x = np.zeros((n, 30))
    x[np.arange(n), category] = 1
    x[7, 22] = x[8, 23] = x[9, 24] = 1
    x[:, 25] = 1
    x[:, 27], x[:, 28] = rng.normal(size=n), 2000 + rng.normal(size=n)
    label = (category + rng.integers(3, size=n)) % n_classes
    return TrainingData(x, label, n_classes)


@pytest.mark.parametrize("name", TRAINERS)
def test_conforms(name):
    check_trainer(TRAINERS[name])
    check_trainer(TRAINERS[name].reference())


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("n_features", [1, 4, 12])
@pytest.mark.parametrize("multiclass", ["multinomial", "one-against-rest"])
def test_deletions_equal_their_slow_twin(n_classes, n_features, multiclass):
    data = table(n_features + n_classes, n_features=n_features, n_classes=n_classes)
    trainer = LogisticTrainer(multiclass=multiclass)
    compare(trainer, data, leave_one_out(150, np.arange(6)))


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("multiclass", ["multinomial", "one-against-rest"])
def test_rare_columns_equal_their_slow_twin(n_classes, multiclass):
    data = one_hot(n_classes=n_classes)
    compare(LogisticTrainer(multiclass=multiclass), data, leave_one_out(200, np.arange(5, 12)))


def test_a_column_that_stops_varying_gets_no_weight():
    data = one_hot()
    models = LogisticTrainer().fit(data, leave_one_out(200, np.array([7])), streams=streams(2))
    assert abs(models.weights[0, 1, 22]) > 0.01
    assert abs(models.weights[1, 1, 22]) < 1e-8


def test_dense_and_sparse_products_agree():
    from aftertrace.trainers._design import Dense, Frame, Sparse, design

    rows = Frame.of(one_hot().x).apply(one_hot().x)
    sparse, dense = design(rows), Dense(rows)
    assert isinstance(sparse, Sparse)
    rng = np.random.default_rng(0)
    weights, residual = rng.normal(size=(rows.shape[1], 7)), rng.normal(size=(40, 7))
    out = [np.empty((40, 7)), np.empty((40, 7))]
    back = [np.zeros_like(weights), np.zeros_like(weights)]
    curvature = rng.random((len(rows), 3, 3))
    for number, each in enumerate((sparse, dense)):
        each.forward(11, 51, weights, out[number])
        each.backward(11, 51, residual, back[number])
    assert np.allclose(*out, rtol=0, atol=1e-12)
    assert np.allclose(*back, rtol=0, atol=1e-12)
    symmetric = curvature + curvature.transpose(0, 2, 1)
    obvious = np.einsum("nf,ng,nab->fagb", rows, rows, symmetric)
    assert np.allclose(sparse.gram(symmetric), obvious, atol=1e-9)
    assert np.allclose(dense.gram(symmetric), obvious, atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_groups_and_additions(n_classes):
    data, rng = table(3, n_classes=n_classes), np.random.default_rng(0)
    base = rng.random(150) < 0.7
    keep = np.repeat(base[None], 8, axis=0)
    for row, size in enumerate((0, 1, 2, 5, 10, 20, 40)):
        changed = rng.choice(150, size, replace=False)
        keep[row, changed] = ~keep[row, changed]
    keep[7] = rng.random(150) < 0.5  # hardly alike
    compare(LogisticTrainer(), data, keep)


@pytest.mark.parametrize("multiclass", ["multinomial", "one-against-rest"])
def test_classes_may_vanish(multiclass):
    data = table(5, n=90, n_classes=4)
    label = data.label.copy()
    label[label == 3] = 2
    label[4] = 3  # one record of class 3: gone once it is deleted
    data = TrainingData(data.x, label, 4)
    keep = leave_one_out(90, np.arange(2, 7))
    keep = np.concatenate([keep, keep[:2]])
    keep[-2] &= label != 2
    keep[-1] &= label < 2  # two classes left
    models = compare(LogisticTrainer(multiclass=multiclass), data, keep)
    assert posteriors(models, data.x, 3)[:, 3].max() == 0


def test_duplicates_and_outliers():
    data = table(7)
    x = data.x.copy()
    x[10:20] = x[10]
    x[30] *= 100
    label = data.label.copy()
    label[10:20] = np.arange(10) % 2
    compare(LogisticTrainer(), TrainingData(x, label, 2), leave_one_out(150, np.arange(8, 32)))


def test_every_record_in_turn():
    data = table(9, n=60, n_features=3)
    compare(LogisticTrainer(C=100.0), data, leave_one_out(60, np.arange(60)))


def test_weights():
    data = table(2, n_classes=3)
    weight = np.random.default_rng(1).uniform(0.2, 3, size=150)
    weighted = TrainingData(data.x, data.label, 3, weight)
    compare(LogisticTrainer(), weighted, leave_one_out(150, np.arange(5)))


@pytest.mark.parametrize("n_classes", [3, 5])
def test_long_columns_stall_nothing(n_classes):
    """Unscaled, a column of large numbers has next to no penalty: sums of weights over outputs must stay at 0."""
    data = table(1, n=600, n_classes=n_classes)
    models = LogisticTrainer(scaled=False).fit(data, leave_one_out(600, np.arange(20)), streams=streams(21))
    assert models.counts["fallbacks"] == 0
    assert np.abs(models.weights.sum(axis=1)).max() < 1e-9


def test_starting_from_the_original_trains_it_once_and_changes_nothing(monkeypatch):
    data, keep = table(4, n_classes=3), leave_one_out(150, np.arange(10))
    trainer = LogisticTrainer()
    original = trainer.fit(data, keep[:1], streams=streams(1))
    cold = trainer.fit(data, keep[1:], streams=streams(10))

    def never(*_):
        raise AssertionError("the original was solved again")

    monkeypatch.setattr("aftertrace.trainers._logistic._solve_anchor", never)
    warm = trainer.fit(data, keep[1:], streams=streams(10), base=Base(original, np.zeros(10, int)))
    for row in range(10):
        assert np.abs(posteriors(warm, data.x, row) - posteriors(cold, data.x, row)).max() < 1e-8


def test_rows_that_the_original_does_not_cover_are_solved_without_it():
    """Records that it never saw, hardly any of its records, or fewer classes."""
    data, rng = table(8, n_classes=3), np.random.default_rng(0)
    first = rng.random(150) < 0.6
    original = LogisticTrainer().fit(data, first[None], streams=streams(1))
    keep = np.repeat(first[None], 5, axis=0)
    keep[0, np.flatnonzero(first)[:3]] = False
    keep[1, np.flatnonzero(~first)[:2]] = True
    keep[2] = ~first
    keep[3] &= data.label < 2
    models = compare(LogisticTrainer(), data, keep, base=Base(original, np.zeros(5, dtype=int)))
    assert sorted(models.anchors) == [1, 2, 3]


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("n_models", [0, 1, 9])
def test_changes_say_what_masks_say(n_models, share):
    rng = np.random.default_rng(0)
    base = rng.random(40) < 0.8
    keep = base ^ (rng.random((n_models, 40)) < share)
    if n_models:
        keep[n_models // 2] = base
    changes = Changes.of(base, keep)
    differ = keep != base
    assert (changes.count == differ.sum(axis=1)).all()
    assert all((changes.keep(m) == keep[m]).all() for m in range(n_models))
    values = rng.integers(9, size=(40, 3))
    assert (changes.sum(values[changes.record]) == differ.astype(int) @ values).all()
    absent = np.ones_like(keep)
    pairs = changes.absent()
    absent[pairs.model, pairs.record] = False
    assert (absent == keep).all()
    assert (np.diff(pairs.record) >= 0).all()
    some = rng.permutation(n_models)[:4]
    universe = np.flatnonzero(base | differ.any(axis=0))
    part = changes.only(some).among(universe)
    assert all((part.keep(m) == keep[row, universe]).all() for m, row in enumerate(some))
    record, sign = changes.padded()
    spread = np.zeros(keep.shape)
    np.add.at(spread, (np.arange(n_models)[:, None], record), sign)
    assert (spread == keep.astype(int) - base).all()


def test_stalled_rows_are_solved_alone(monkeypatch):
    monkeypatch.setattr("aftertrace.trainers._convex_variants._MOST_SHARED_STEPS", 1)
    data = table(6)
    models = compare(LogisticTrainer(), data, leave_one_out(150, np.arange(5)))
    assert models.counts["fallbacks"] >= 5


def test_an_unsolved_row_is_counted(monkeypatch):
    monkeypatch.setattr("aftertrace.trainers._convex._MOST_STEPS", 1)
    monkeypatch.setattr("aftertrace.trainers._convex_variants._MOST_SHARED_STEPS", 1)
    models = LogisticTrainer().fit(table(6), leave_one_out(150, np.arange(5)), streams=streams(6))
    assert models.counts["unconverged"] == 6
    assert models.worst["log_odds_step"] > TOLERANCE


def test_one_class_is_refused():
    data = table()
    with pytest.raises(TrainingError, match=r"on \d+ records of 1 classes"):
        LogisticTrainer().fit(data, (data.label == 1)[None], streams=streams(1))


def test_settings_are_checked():
    with pytest.raises(ValueError, match="`C` must be a positive number, got 0"):
        LogisticTrainer(C=0)


def test_what_cannot_be_solved_is_said():
    """Classes far apart, hardly any penalty: every curvature is 0 in float64."""
    label = np.arange(40) % 2
    x = np.where(label == 1, 1e9, -1e9)[:, None] * np.ones(3)
    with pytest.raises(TrainingError, match="its Hessian is singular in float64"):
        LogisticTrainer(scaled=False, C=1e12).fit(
            TrainingData(x, label, 2), leave_one_out(40, np.arange(3)), streams=streams(4)
        )
