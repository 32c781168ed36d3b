"""A private tree: equal to its slow twin, splits and counts with the noise that its proof needs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from aftertrace._hashing import digest
from aftertrace._random import Stream, stream
from aftertrace.errors import UnsupportedError
from aftertrace.statistics import epsilon_bonferroni
from aftertrace.trainers import TRAINER_CHECKS, Bounded, Certified, Private, Saveable, Seeding, Size, TrainingData
from aftertrace.trainers import _private_tree as module
from aftertrace.trainers._private_tree import PrivateTreeTrainer

NEAR_EXACT = PrivateTreeTrainer(epsilon=1e3, depth=2, smoothing=0.01)


def streams(M):
    return [stream(2, Stream.TRAIN, m) for m in range(M)]


def problem(n, K=2, F=3, seed=0):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % K
    return TrainingData(rng.normal(size=(n, F)) + label[:, None], label, K)


@pytest.mark.parametrize("check", TRAINER_CHECKS, ids=lambda check: check.__name__)
def test_trainer_conforms(check):
    """Ranges are of all records, kept or not, by design: the check that changes one of those is run without them."""
    check(replace(NEAR_EXACT, scaled=check.__name__ != "only_kept_records_matter"))


@pytest.mark.parametrize("trees", [1, 3])
@pytest.mark.parametrize("epsilon", [0.5, 20.0])
def test_equals_the_reference(epsilon, trees):
    data = problem(80, K=3)
    keep = np.random.default_rng(1).random((3, 80)) < 0.7
    trainer = PrivateTreeTrainer(epsilon=epsilon, trees=trees, bins=5)
    fast, slow = (each.fit(data, keep, streams=streams(3)) for each in (trainer, trainer.reference()))
    for name in ("column", "cut", "share"):
        assert np.array_equal(getattr(fast, name), getattr(slow, name))


def test_answers_are_those_of_the_leaves():
    """Walked node by node on the values themselves, not on their bins."""
    data = problem(60, K=3)
    trainer = PrivateTreeTrainer(epsilon=5.0, trees=2, bins=7)
    models = trainer.fit(data, np.ones((2, 60), dtype=bool), streams=streams(2))
    model = np.arange(60) % 2
    answers = np.exp(models.log_posteriors(data.x, model))
    low, high = data.x.min(axis=0), data.x.max(axis=0)
    for x, m, answer in zip(data.x, model, answers, strict=True):
        shares = []
        for t in range(2):
            node = 0
            while node < 7:
                column = models.column[m, t, node]
                threshold = low[column] + (high[column] - low[column]) * models.cut[m, t, node] / 7
                node = 2 * node + (2 if x[column] >= threshold else 1)
            shares.append(models.share[m, t, node - 7])
        assert np.allclose(answer, np.mean(shares, axis=0))


def test_without_noise_splits_are_the_best_and_shares_are_counts(monkeypatch):
    monkeypatch.setattr(module._Draws, "counts", lambda self, counts: counts)
    label = np.arange(40) % 2
    x = np.column_stack([np.linspace(0, 1, 40), label * 1.0])
    trainer = PrivateTreeTrainer(epsilon=1e4, depth=1, bins=4, smoothing=0.5)
    models = trainer.fit(TrainingData(x, label, 2), np.ones((1, 40), dtype=bool), streams=streams(1))
    assert models.column[0, 0, 0] == 1
    assert np.allclose(models.share[0, 0], [[20.5 / 21, 0.5 / 21], [0.5 / 21, 20.5 / 21]])


def test_one_more_record_raises_every_impurity_by_less_than_two():
    """What the weights of splits rest on, over all small counts: never less, and by less than 2."""
    rng, steepest = np.random.default_rng(4), 0.0
    tables = [np.array([[[[n, 0, 0], [0, 0, 0]]]]) for n in (1, 10, 1000)]
    tables += [rng.integers(0, high, size=(1, 3, 4, 3)) for high in (2, 3, 10, 100) for _ in range(50)]
    for counts in tables:
        before = module._impurity(counts)
        for k in range(3):
            more = counts.copy()
            for column in range(counts.shape[1]):
                more[0, column, rng.integers(counts.shape[2]), k] += 1
            rise = module._impurity(more) - before
            assert rise.min() >= -1e-9
            assert rise.max() < 2
            steepest = max(steepest, rise.max())
    assert steepest > 1.9  # a smaller constant would be wrong


def probabilities(impurity, level_epsilon):
    weight = np.exp(-(impurity - impurity.min()) * level_epsilon / 2)
    return weight / weight.sum()


def test_splits_are_drawn_by_the_exponential_mechanism():
    epsilon, depth, n = 3.0, 2, 20_000
    impurity = np.array([4.0, 3.0, 6.0, 0.5, 3.0])
    draws = module._Draws(PrivateTreeTrainer(epsilon=epsilon, depth=depth), stream(0, Stream.TRAIN), 0)
    chosen = draws.choose(np.tile(impurity, (n, 1)))
    expected = n * probabilities(impurity, epsilon / 2 / depth)
    assert chisquare(np.bincount(chosen, minlength=5), expected).pvalue > 0.01


def test_a_level_keeps_its_share_of_epsilon():
    """Exact probabilities of all splits, with and without a record, on the steepest cases and on random ones."""
    rng, level = np.random.default_rng(5), 0.8
    worst = 0.0
    for trial in range(300):
        counts = (
            rng.integers(0, 30, size=(1, 2, 4, 2)) if trial else np.array([[[[500, 0]] * 4, [[0, 0], [2000, 0]] * 2]])
        )
        more = counts.copy()
        for column in range(2):
            more[0, column, rng.integers(4), 1] += 1
        before, after = (probabilities(module._impurity(each)[0], level) for each in (counts, more))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(np.log(after / before))
        worst = max(worst, np.nanmax(ratio))
    assert 0.1 < worst <= level


def test_counts_get_two_sided_geometric_noise():
    epsilon, n = 1.4, 20_000  # half of it for the counts
    draws = module._Draws(PrivateTreeTrainer(epsilon=epsilon), stream(0, Stream.TRAIN), 0)
    noise = draws.counts(np.full((n, 1), 7)).ravel() - 7
    assert noise.dtype == np.int64
    edge = 6
    inside = np.array([(noise == k).sum() for k in range(-edge, edge + 1)])
    a = np.exp(-epsilon / 2)
    expected = n * (1 - a) / (1 + a) * a ** np.abs(np.arange(-edge, edge + 1))
    observed, expected = np.append(inside, n - inside.sum()), np.append(expected, n - expected.sum())
    assert chisquare(observed, expected).pvalue > 0.01


def test_a_record_touches_one_tree_and_moves_no_other():
    data, trees = problem(60), 4
    trainer = PrivateTreeTrainer(epsilon=2.0, trees=trees)
    keep = np.ones((2, 60), dtype=bool)
    keep[1, 11] = False
    same = [stream(3, Stream.TRAIN, 0)] * 2  # equal noise, to see what the record does
    models = trainer.fit(data, keep, streams=same)
    differs = [t for t in range(trees) if not np.array_equal(models.share[0, t], models.share[1, t])]
    assert differs == [module._tree_of(60, trees, same[0])[11]]
    sizes = np.bincount(module._tree_of(4000, trees, same[0]))
    assert len(sizes) == trees
    assert chisquare(sizes).pvalue > 1e-3
    assert np.array_equal(module._tree_of(4000, trees, same[0])[:60], module._tree_of(60, trees, same[0]))


EPSILON = 2.0


def audited():
    """A lower bound on epsilon from 4000 trees on three records or the first two: is the third's class counted?"""
    M = 4000
    data = TrainingData(np.zeros((3, 1)), np.array([1, 0, 1]), 2)
    is_there = np.arange(M) % 2 == 1
    keep = np.column_stack([np.ones((M, 2), dtype=bool), is_there])
    trainer = PrivateTreeTrainer(epsilon=EPSILON, depth=1, bins=2, smoothing=0.1, scaled=False)
    models = trainer.fit(data, keep, streams=streams(M))
    score = models.log_posteriors(np.zeros((M, 1)), np.arange(M))[:, 1]
    return epsilon_bonferroni(score, is_there, np.arange(M), thresholds=[np.log(0.51)], confidence=0.99).low


def test_an_audit_finds_no_more_than_is_claimed():
    assert 0.1 < audited() <= EPSILON


@pytest.mark.parametrize("factor", [None, 8.0])
def test_the_audit_finds_missing_noise(monkeypatch, factor):
    counts = module._Draws.counts

    def weaker(self, exact):
        if factor is None:
            return exact
        self._epsilon *= factor
        return counts(self, exact)

    monkeypatch.setattr(module._Draws, "counts", weaker)
    assert audited() > EPSILON


def test_empty_rows_and_leaves_answer():
    data = problem(12)
    models = PrivateTreeTrainer(epsilon=1.0, trees=3).fit(data, np.zeros((1, 12), dtype=bool), streams=streams(1))
    assert np.isfinite(models.log_posteriors(data.x, np.zeros(12, dtype=np.int64))).all()


def test_protocols_and_guarantee():
    trainer = PrivateTreeTrainer(epsilon=3)
    assert isinstance(trainer, Private)
    assert isinstance(trainer, Certified)
    assert isinstance(trainer, Bounded)
    assert trainer.seedings == trainer.reference().seedings == {Seeding.FRESH}
    assert trainer.promise is trainer.reference().promise
    size = Size(records=100, features=3, classes=3, models=2)
    guarantee = trainer.guarantee(size)
    assert (guarantee.epsilon, guarantee.delta, guarantee.adjacency) == (3.0, 0.0, "add_remove")
    assert trainer.working_bytes(size) > 100 * 3 * 8
    models = trainer.fit(problem(9), np.ones((1, 9), dtype=bool), streams=streams(1))
    assert isinstance(models, Saveable)
    assert set(models.parameters(0)) == {"column", "cut", "share", "bins", "low", "high"}
    assert digest(trainer) != digest(replace(trainer, depth=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 0}, "`epsilon` must be a positive number, got 0"),
        ({"smoothing": -1}, "`smoothing` must be a positive number, got -1"),
        ({"depth": 13}, "`depth` must lie between 1 and 12, got 13"),
        ({"trees": 0}, "`trees` must lie between 1 and 1000000, got 0"),
        ({"bins": 1}, "`bins` must lie between 2 and 256, got 1"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        PrivateTreeTrainer(**({"epsilon": 1.0} | change))


def test_what_cannot_be_trained():
    data, trainer = problem(9), PrivateTreeTrainer(epsilon=1.0)
    keep = np.ones((1, 9), dtype=bool)
    with pytest.raises(UnsupportedError, match="device 'cpu', got 'cuda'"):
        trainer.fit(data, keep, streams=streams(1), device="cuda")
    with pytest.raises(UnsupportedError, match="weigh the same"):
        trainer.fit(replace(data, weight=np.ones(9)), keep, streams=streams(1))
    with pytest.raises(ValueError, match="one per row of `keep`; got 2 for 1 rows"):
        trainer.fit(data, keep, streams=streams(2))
