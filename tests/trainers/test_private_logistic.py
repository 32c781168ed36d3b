"""Private logistic regression: exact minimisers, noise of the law that the proofs need, and nothing that escapes it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta, gamma, kstest

from aftertrace._hashing import digest
from aftertrace._random import Stream, stream
from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.statistics import epsilon_bonferroni
from aftertrace.trainers import TRAINER_CHECKS, Bounded, Certified, Private, Saveable, Seeding, Size, TrainingData
from aftertrace.trainers import _private_logistic as module
from aftertrace.trainers._private_logistic import PrivateLogisticTrainer
from aftertrace.trainers._public_bounds import public_range, to_unit_ball, to_unit_box

NEAR_EXACT = {
    method: PrivateLogisticTrainer(epsilon=1e6, method=method, penalty=1e-3) for method in ("objective", "output")
}


def streams(M):
    return [stream(1, Stream.TRAIN, m) for m in range(M)]


def problem(n, K=2, F=3, seed=0):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % K
    return TrainingData(rng.normal(size=(n, F)) + label[:, None], label, K)


def silent(rng, d, *, rate):
    return np.zeros(d)


@pytest.mark.parametrize("check", TRAINER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("method", NEAR_EXACT)
def test_trainer_conforms(method, check):
    """Ranges are of all records, kept or not, by design: the check that changes one of those is run without them."""
    check(replace(NEAR_EXACT[method], scaled=check.__name__ != "only_kept_records_matter"))


def test_a_record_that_is_not_kept_matters_by_the_ranges_only():
    data, trainer = problem(40), PrivateLogisticTrainer(epsilon=2.0)
    keep = np.ones((1, 40), dtype=bool)
    gone = 7
    keep[0, gone] = False
    first, inside, beyond = (data.x.copy() for _ in range(3))
    first[gone], inside[gone], beyond[gone] = data.x[3], data.x[5], 50.0
    weights = [
        trainer.fit(TrainingData(x, data.label, 2), keep, streams=streams(1)).weights for x in (first, inside, beyond)
    ]
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_units_are_of_all_records_and_bounded():
    x = np.array([[0.0, 5.0], [10.0, 5.0], [4.0, 5.0]])
    low, high = public_range(TrainingData(x, np.zeros(3, dtype=np.int64), 2))
    box = to_unit_box(np.vstack([x, [[99.0, 7.0]]]), low, high)
    assert np.allclose(box, [[-1, 0], [1, 0], [-0.2, 0], [1, 0]])
    ball = to_unit_ball(box)
    assert np.allclose(np.linalg.norm(ball, axis=1), 1)
    assert np.allclose(ball[2] / ball[2, -1], [-0.2, 0, 1])


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("method", ["objective", "output"])
@pytest.mark.parametrize(("epsilon", "penalty"), [(0.1, 1e-3), (1.0, 0.1), (8.0, 1e-5), (1e6, 1e-4)])
def test_equals_the_reference(method, K, epsilon, penalty):
    data = problem(60, K)
    keep = np.random.default_rng(1).random((3, 60)) < 0.8
    trainer = PrivateLogisticTrainer(epsilon=epsilon, method=method, penalty=penalty)
    fast, slow = (each.fit(data, keep, streams=streams(3)) for each in (trainer, trainer.reference()))
    for m in range(3):
        answers = [np.exp(models.log_posteriors(data.x, np.full(60, m))) for models in (fast, slow)]
        assert np.allclose(*answers, rtol=0, atol=1e-8)


def mean_gradient(data, models, m, k, penalty):
    """Of the mean log loss and the penalty, class k against the rest, at the released weights; one record a time."""
    w = models.weights[m, 0 if data.n_classes == 2 else k]
    ball = to_unit_ball(to_unit_box(data.x, models.low, models.high))
    total = np.zeros(len(w))
    for row, label in zip(ball, data.label, strict=True):
        y = 1.0 if label == k else -1.0
        total -= y * row / (1 + np.exp(y * (row @ w)))
    return total / len(ball) + penalty * w


def test_noise_off_gives_the_minimiser(monkeypatch):
    monkeypatch.setattr(module, "_noise", silent)
    data = problem(20)
    for trainer in NEAR_EXACT.values():
        models = trainer.fit(data, np.ones((1, 20), dtype=bool), streams=streams(1))
        assert np.abs(mean_gradient(data, models, 0, 1, 1e-3)).max() < 1e-10


def test_noise_has_a_gamma_length_and_a_uniform_direction():
    rng, d, rate = np.random.default_rng(3), 5, 0.7
    noise = np.array([module._noise(rng, d, rate=rate) for _ in range(4000)])
    length = np.linalg.norm(noise, axis=1)
    assert kstest(length, gamma(d, scale=1 / rate).cdf).pvalue > 0.01
    for coordinate in (noise / length[:, None]).T:
        assert kstest(coordinate**2, beta(0.5, (d - 1) / 2).cdf).pvalue > 1e-3
        assert abs(np.sign(coordinate).mean()) < 4 / np.sqrt(4000)
    assert abs(np.corrcoef(length, noise[:, 0] / length)[0, 1]) < 4 / np.sqrt(4000)


@pytest.mark.parametrize("K", [2, 3])
def test_output_perturbation_adds_the_noise_of_its_sensitivity(monkeypatch, K):
    n, penalty, epsilon, M = 12, 0.05, 1.5, 250
    data, keep = problem(n, K), np.ones((M, n), dtype=bool)
    trainer = PrivateLogisticTrainer(epsilon=epsilon, method="output", penalty=penalty)
    noisy = trainer.fit(data, keep, streams=streams(M)).weights
    monkeypatch.setattr(module, "_noise", silent)
    clean = trainer.fit(data, keep[:1], streams=streams(1)).weights
    each = epsilon if K == 2 else epsilon / K
    length = np.linalg.norm(noisy - clean, axis=2).ravel()
    assert kstest(length, gamma(4, scale=2 / (n * penalty * each)).cdf).pvalue > 0.01


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("penalty", [0.05, 1e-3])  # with and without something of epsilon left by the first formula
def test_objective_perturbation_has_the_noise_of_algorithm_2(K, penalty):
    n, epsilon, M, c = 12, 1.5, 250, 0.25
    data = problem(n, K)
    each = epsilon if K == 2 else epsilon / K
    left = each - np.log(1 + 2 * c / (n * penalty) + c**2 / (n**2 * penalty**2))
    extra = 0.0
    if left <= 0:
        extra, left = c / (n * (np.exp(each / 4) - 1)) - penalty, each / 2
    trainer = PrivateLogisticTrainer(epsilon=epsilon, penalty=penalty)
    models = trainer.fit(data, np.ones((M, n), dtype=bool), streams=streams(M))
    classes = [1] if K == 2 else range(K)
    noise = [n * mean_gradient(data, models, m, k, penalty + extra) for m in range(M) for k in classes]
    assert kstest(np.linalg.norm(noise, axis=1), gamma(4, scale=2 / left).cdf).pvalue > 0.01


def test_both_branches_of_the_budget_are_taken():
    assert module._objective_budget(1.5, 12, 1.0)[1] == 0
    left, extra = module._objective_budget(1.5, 12, 1e-3)
    assert left == 0.75
    # what the determinants cost with the larger penalty is the other half
    assert 2 * np.log1p(0.25 / (12 * (1e-3 + extra))) == pytest.approx(0.75)


def largest_move(penalty):
    """Of the noiseless minimiser over neighbours (one record substituted), times n · penalty."""
    rng, most = np.random.default_rng(5), 0.0
    trainer = PrivateLogisticTrainer(epsilon=1.0, method="output", penalty=penalty, scaled=False)
    for n in (1, 2, 5):
        for _ in range(20):
            x = rng.choice([-1.0, 1.0, 0.2], size=(n + 1, 2))
            label = rng.integers(2, size=n + 1)
            x[n], label[n] = (x[0], 1 - label[0]) if rng.random() < 0.5 else (-x[0], label[0])
            keep = np.ones((2, n + 1), dtype=bool)
            keep[0, n], keep[1, 0] = False, False
            w = trainer.fit(TrainingData(x, label, 2), keep, streams=streams(2)).weights[:, 0]
            most = max(most, n * penalty * float(np.linalg.norm(w[0] - w[1])))
    return most


def test_sensitivity_is_at_most_two_over_n_penalty(monkeypatch):
    monkeypatch.setattr(module, "_noise", silent)
    found = {penalty: largest_move(penalty) for penalty in (1e-2, 0.1, 1.0, 10.0)}
    assert max(found.values()) <= 2
    assert max(found.values()) > 0.9  # one record of norm 1 that changes sides moves it by about half the bound
    monkeypatch.setattr(module, "to_unit_ball", lambda box: 5 * to_unit_ball(box))
    assert largest_move(10.0) > 2  # records that are longer than 1 break it


EPSILON = 2.0


def audited(method):
    """A lower bound on epsilon from 2400 models of one record each, which is substituted by its opposite.

    The two are likely on either side of 0, from where they are mirror images.
    """
    M = 2400
    data = TrainingData(np.ones((2, 1)), np.array([0, 1]), 2)
    is_second = np.arange(M) % 2 == 1
    keep = np.column_stack([~is_second, is_second])
    trainer = PrivateLogisticTrainer(epsilon=EPSILON, method=method, penalty=10.0, scaled=False)
    score = trainer.fit(data, keep, streams=streams(M)).weights[:, 0].sum(axis=1)
    return epsilon_bonferroni(score, is_second, np.arange(M), thresholds=[0.0], confidence=0.99).low


@pytest.mark.parametrize("method", ["objective", "output"])
def test_an_audit_finds_no_more_than_is_claimed(method):
    assert 0.2 < audited(method) <= EPSILON


@pytest.mark.parametrize("method", ["objective", "output"])
@pytest.mark.parametrize("share", [0.0, 0.15])
def test_the_audit_finds_missing_noise(monkeypatch, method, share):
    noise = module._noise
    monkeypatch.setattr(module, "_noise", lambda rng, d, *, rate: share * noise(rng, d, rate=rate))
    assert audited(method) > EPSILON


def test_noise_belongs_to_the_stream_and_the_class():
    data, trainer = problem(30, 3), PrivateLogisticTrainer(epsilon=1.0, method="output", penalty=1.0)
    keep = np.ones((2, 30), dtype=bool)
    weights = trainer.fit(data, keep, streams=streams(2)).weights
    assert not np.isclose(weights[0], weights[1]).any()
    noise = weights - trainer.reference().fit(data, keep, streams=streams(2)).weights
    assert np.abs(noise).max() < 1e-8
    assert len(np.unique(np.linalg.norm(weights, axis=2).round(6))) == 6


def test_protocols_and_guarantee():
    trainer = PrivateLogisticTrainer(epsilon=3)
    assert isinstance(trainer, Private)
    assert isinstance(trainer, Certified)
    assert isinstance(trainer, Bounded)
    assert trainer.seedings == trainer.reference().seedings == {Seeding.FRESH}
    assert trainer.promise is trainer.reference().promise
    size = Size(records=100, features=3, classes=3, models=2)
    guarantee = trainer.guarantee(size)
    assert (guarantee.epsilon, guarantee.delta, guarantee.adjacency) == (3.0, 0.0, "substitution")
    assert "3 regressions of epsilon 1 each" in guarantee.account
    assert trainer.working_bytes(size) > 100 * 4 * 8
    models = trainer.fit(problem(9), np.ones((1, 9), dtype=bool), streams=streams(1))
    assert isinstance(models, Saveable)
    assert set(models.parameters(0)) == {"weights", "low", "high"}
    assert digest(trainer) != digest(replace(trainer, method="output"))


def test_one_class_trains_and_says_nothing():
    data = TrainingData(problem(10).x, np.zeros(10, dtype=np.int64), 2)
    models = PrivateLogisticTrainer(epsilon=1.0).fit(data, np.ones((1, 10), dtype=bool), streams=streams(1))
    assert np.isfinite(models.log_posteriors(data.x, np.zeros(10, dtype=np.int64))).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 0}, "`epsilon` must be a positive number, got 0"),
        ({"epsilon": np.inf}, "`epsilon` must be a positive number, got inf"),
        ({"penalty": -1.0}, "`penalty` must be a positive number, got -1.0"),
        ({"method": "input"}, "`method` must be one of objective, output, got 'input'"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        PrivateLogisticTrainer(**({"epsilon": 1.0} | change))


def test_what_cannot_be_trained():
    data, trainer = problem(9), PrivateLogisticTrainer(epsilon=1.0)
    keep = np.ones((1, 9), dtype=bool)
    with pytest.raises(TrainingError, match="at least one record"):
        trainer.fit(data, ~keep, streams=streams(1))
    with pytest.raises(UnsupportedError, match="device 'cpu', got 'cuda'"):
        trainer.fit(data, keep, streams=streams(1), device="cuda")
    with pytest.raises(UnsupportedError, match="weigh the same"):
        trainer.fit(replace(data, weight=np.ones(9)), keep, streams=streams(1))
