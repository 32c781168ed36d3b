"""DP-SGD against a loop of its own; what a record can do at most; the laws of noise and samples; what leaks without."""

import tracemalloc
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.stats import binom, kstest
from sklearn.datasets import load_breast_cancer
from torch.nn import functional

from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.statistics import DpGuarantee, auc_ceiling, epsilon_split
from aftertrace.trainers import MLP, Private, PrivateNetworkTrainer, Promise, Seeding, Size, TrainingData, check_trainer
from aftertrace.trainers import _private_network as module
from aftertrace.trainers._accounting import dp_sgd_epsilon
from aftertrace.trainers._conformance import TRAINER_CHECKS, only_kept_records_matter
from aftertrace.trainers._network_loop import build
from aftertrace.trainers._network_rows import INIT, child, rows_of
from aftertrace.trainers._protocol import Certified, Shortened


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Layers:
    """A network of any layers."""

    kind: str

    def build(self, n_features, n_classes):
        nn = torch.nn
        first = nn.Linear(n_features, 4)
        middle = {
            "convolution": lambda: [nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2), nn.Flatten(), nn.Linear(3, 4)],
            "dropout": lambda: [nn.Dropout(0.4), nn.Linear(4, 4), nn.Dropout(0.2)],
            "group norm": lambda: [nn.GroupNorm(2, 4)],
            "batch norm": lambda: [nn.BatchNorm1d(4)],
            "instance norm": lambda: [nn.Unflatten(1, (2, 2)), nn.InstanceNorm1d(2, track_running_stats=True)],
            "other dropout": lambda: [nn.AlphaDropout(0.5)],
            "branch": lambda: [Branch()],
        }[self.kind]()
        return nn.Sequential(first, *middle, nn.Tanh(), nn.Flatten(), nn.Linear(4, n_classes))


class Branch(torch.nn.Module):
    def forward(self, x):
        return -x if x.sum() > 0 else x


def problem(n=40, F=4, K=3, weighted=True, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.2, 3, n) if weighted else None
    return TrainingData(rng.normal(size=(n, F)), rng.integers(K, size=n), K, weight)


def streams(M, seed=0):
    return [np.random.SeedSequence(seed, spawn_key=(m,)) for m in range(M)]


def keep_of(data, M=1):
    keep = np.ones((M, len(data.label)), dtype=bool)
    keep[:, 0] = False
    return keep


def trainer_of(network, **changes):
    standard = {"noise_multiplier": 0.5, "clip": 0.7, "sample_rate": 0.3, "steps": 8, "precision": "float64"}
    return PrivateNetworkTrainer(network=network, **{**standard, **changes})


def gradient(net, x, label, weight):
    """Of one record, by autograd. -> [P]"""
    net.zero_grad()
    loss = functional.cross_entropy(net(torch.tensor(x)[None]), torch.tensor([label]))
    (weight * loss).backward()
    return torch.cat([p.grad.flatten() for p in net.parameters()]).numpy()


def slow(trainer, data, kept, stream):
    """Algorithm 1 as it is read: record after record, torch's optimiser. -> the trained module"""
    low, high = data.x.min(axis=0), data.x.max(axis=0)
    x = 2 * (data.x - low) / (high - low) - 1
    net = build(trainer.network, x.shape[1], data.n_classes, int(child(stream, INIT).generate_state(1, np.uint64)[0]))
    net.double()
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[trainer.optimizer]
    optimizer = kind(net.parameters(), lr=trainer.learning_rate)
    sampling, noise = (np.random.default_rng(child(stream, purpose)) for purpose in (4, 5))
    records = np.flatnonzero(kept)
    for _ in range(trainer.steps):
        total = np.zeros(sum(p.numel() for p in net.parameters()))
        for i, coin in zip(records, sampling.random(len(records)), strict=True):
            if coin < trainer.sample_rate:
                g = gradient(net, x[i], data.label[i], 1.0 if data.weight is None else data.weight[i])
                total += g * min(1, trainer.clip / np.linalg.norm(g))
        total += noise.normal(0, trainer.noise_multiplier * trainer.clip, len(total))
        torch.nn.utils.vector_to_parameters(torch.tensor(total / (trainer.sample_rate * len(records))), grads_of(net))
        optimizer.step()
    return net


def grads_of(net):
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    return [p.grad for p in net.parameters()]


NETWORKS = [MLP((6, 5)), MLP((5,), activation="tanh"), Layers("convolution"), Layers("group norm")]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_training_equals_the_algorithm_read_line_by_line(network, optimizer):
    data = problem(weighted=optimizer == "sgd")
    trainer = trainer_of(network, optimizer=optimizer)
    models = trainer.fit(data, keep_of(data, 2), streams=streams(2))
    for m, stream in enumerate(streams(2)):
        net = slow(trainer, data, keep_of(data)[0], stream)
        for name, value in net.state_dict().items():
            assert np.abs(models.states[m][name] - value.numpy()).max() < 1e-10


@pytest.mark.parametrize("network", [*NETWORKS, Layers("dropout")], ids=str)
def test_the_reference_is_the_same_on_the_short_schedule(network):
    data = problem()
    trainer = trainer_of(network, precision="float32", steps=50)
    assert trainer.promise is Promise.DISTRIBUTION
    assert isinstance(trainer, Certified)
    assert isinstance(trainer, Shortened)
    short = trainer.short()
    assert (short.promise, short.noise(), short.steps) == (Promise.TOLERANCE, trainer.noise(), 5)
    fast, slow = (each.fit(data, keep_of(data, 2), streams=streams(2)) for each in (short, short.reference()))
    for m in range(2):
        for name, value in fast.states[m].items():
            assert np.abs(value - slow.states[m][name]).max() < 1e-10


def model_of(network, data, each=None):
    row = rows_of(data, np.ones((1, len(data.label)), dtype=bool), streams(1), scaled=False, share=0)[0]
    dtype, F = np.dtype(np.float64), data.x.shape[1]
    if each is None:
        return module._Plain(network, F, data.n_classes, row, dtype)
    return module._Module(network, each, F, data.n_classes, row, dtype)


@pytest.mark.parametrize("each", [None, module._at_once, module._one_by_one], ids=["plain", "at once", "one by one"])
def test_no_record_contributes_more_than_clip(each):
    data = problem(F=3)
    data.x[7] *= 1e4
    model, clip = model_of(MLP((6, 5)), data, each), 0.5
    net = build(MLP((6, 5)), 3, 3, int(child(streams(1)[0], INIT).generate_state(1, np.uint64)[0])).double()
    whole = model.clipped_sum(data.x, data.label, data.weight, clip)
    for i in range(len(data.x)):
        rest = np.arange(len(data.x)) != i
        own = whole - model.clipped_sum(data.x[rest], data.label[rest], data.weight[rest], clip)
        g = gradient(net, data.x[i], data.label[i], data.weight[i])
        norm = np.linalg.norm(g)
        assert np.linalg.norm(own) <= clip + 1e-10
        assert np.abs(own - g * min(1, clip / norm)).max() < 1e-10
    assert np.linalg.norm(gradient(net, data.x[7], data.label[7], data.weight[7])) > 100 * clip
    loose = model.clipped_sum(data.x, data.label, data.weight, 1e9)  # nothing is clipped
    assert np.allclose(loose, sum(map(lambda *r: gradient(net, *r), data.x, data.label, data.weight)), rtol=1e-10)
    assert not model.clipped_sum(data.x[:0], data.label[:0], data.weight[:0], clip).any()


def test_many_gradients_are_summed_in_parts(monkeypatch):
    data = problem()
    model = model_of(Layers("convolution"), data, module._at_once)
    whole = model.clipped_sum(data.x, data.label, data.weight, 0.5)
    monkeypatch.setattr(module, "_HELD", 7 * len(whole))
    assert np.allclose(model.clipped_sum(data.x, data.label, data.weight, 0.5), whole, rtol=0, atol=1e-12)


def test_noise_is_normal_and_of_the_stated_size():
    data = replace(problem(F=14, K=2), weight=np.zeros(40))  # no gradient: weights move by noise alone
    trainer = trainer_of(MLP((100,)), noise_multiplier=1.3, steps=4, learning_rate=2.0)
    models = trainer.fit(data, keep_of(data, 2), streams=streams(2))
    moved = []
    for state, stream in zip(models.states, streams(2), strict=True):
        first = build(trainer.network, 14, 2, int(child(stream, INIT).generate_state(1, np.uint64)[0])).state_dict()
        moved.append(np.concatenate([(state[name] - value.numpy()).ravel() for name, value in first.items()]))
    unit = 2.0 * (1.3 * 0.7) / (0.3 * 39) * np.sqrt(4)
    a, b = np.array(moved) / unit
    assert kstest(a, "norm").pvalue > 0.01
    assert kstest(b, "norm").pvalue > 0.01
    assert np.concatenate([a, b]).std() == pytest.approx(1, abs=4 / np.sqrt(2 * 2 * len(a)))  # 5 %
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(len(a))


def test_each_step_takes_each_record_by_a_coin_of_its_own():
    taken = []

    class Recorder:
        theta = np.zeros(1)

        def clipped_sum(self, x, label, weight, clip):
            taken.append(x[:, 0].astype(int))
            return np.zeros(1)

    n, steps, rate = 60, 2000, 0.1
    data = TrainingData(np.arange(n)[:, None] * 1.0, np.zeros(n, dtype=int), 2)
    row = rows_of(data, np.arange(n)[None] >= 10, streams(1), scaled=False, share=0)[0]
    trainer = trainer_of(MLP((2,)), sample_rate=rate, steps=steps)
    module._train(trainer, row, Recorder(), data.x, data.label, np.ones(n), 1.0)
    counts = np.bincount(np.concatenate(taken), minlength=n)
    assert not counts[:10].any()  # these are not kept
    low, high = binom.ppf([1e-5, 1 - 1e-5], steps, rate)
    assert ((counts[10:] >= low) & (counts[10:] <= high)).all()
    sizes = np.array([len(each) for each in taken])
    assert len(taken) == steps
    assert sizes.var() == pytest.approx(50 * rate * (1 - rate), rel=0.15)  # a fixed size would have none
    assert all(len(np.unique(each)) == len(each) for each in taken)


def test_private_trainers_conform():
    check_trainer(trainer_of(MLP((8,)), scaled=False, noise_multiplier=0.3, sample_rate=0.5, steps=100, clip=1.0))


def test_only_the_ranges_of_columns_come_from_records_that_are_not_kept():
    scaled = trainer_of(MLP((8,)), noise_multiplier=0.3, sample_rate=0.5, steps=60, clip=1.0)
    for check in TRAINER_CHECKS:
        if check is not only_kept_records_matter:  # there, a record that no row keeps widens the public ranges
            check(scaled)
    data, keep = problem(), keep_of(problem())
    other = replace(data, x=data.x.copy())
    other.x[0] = data.x[1:].mean(axis=0)  # not kept, and within the ranges if the old one was
    assert np.array_equal(other.x.min(axis=0), data.x.min(axis=0))
    assert np.array_equal(other.x.max(axis=0), data.x.max(axis=0))
    first, second = (scaled.fit(each, keep, streams=streams(1)) for each in (data, other))
    for name, value in first.states[0].items():
        assert np.array_equal(value, second.states[0][name])


def test_units_are_the_same_whatever_is_kept():
    data = problem()
    keep = keep_of(data, 2)
    keep[1, np.argmax(data.x[:, 0])] = False
    models = trainer_of(MLP((3,))).fit(data, keep, streams=streams(2))
    assert np.array_equal(models.mean[0], models.mean[1])
    assert np.array_equal(models.scale[0], models.scale[1])
    box = (data.x - models.mean[0]) / models.scale[0]
    assert np.allclose([box.min(axis=0), box.max(axis=0)], [[-1] * 4, [1] * 4])


def test_absence_of_a_class_is_not_given_away():
    data = problem()
    models = trainer_of(MLP((3,))).fit(data, (data.label != 1)[None], streams=streams(1))
    assert np.isfinite(models.log_posteriors(data.x, np.zeros(40, dtype=int))).all()


def versions(trainer, n_pairs):
    """Log posteriors at a planted record by models trained with and without it, streams fresh. -> [pairs], [pairs]"""
    rng = np.random.default_rng(3)
    n = 12
    x, label = np.zeros((n, 1)), np.zeros(n, dtype=int)
    x[0], label[0] = 3.0, 1  # the only one of its class
    data = TrainingData(x + 0.01 * rng.normal(size=(n, 1)), label, 2)
    keep = np.ones((2 * n_pairs, n), dtype=bool)
    keep[1::2, 0] = False
    models = trainer.fit(data, keep, streams=streams(2 * n_pairs, seed=5))
    score = models.log_posteriors(np.repeat(data.x[:1], 2 * n_pairs, axis=0), np.arange(2 * n_pairs))[:, 1]
    return score[::2], score[1::2]


def contributions(trainer, n_pairs):
    """What an attacker sees who knows all but the record: the noisy sum of one step, less what the others add, along
    the record's gradient, in units of `clip`. 1 or 0, and noise. -> with the record [pairs], without [pairs]
    """
    rng = np.random.default_rng(4)
    n = 50
    weight = np.where(np.arange(n) == 0, 1e4, 1.0)  # so that the record's gradient is always clipped
    data = TrainingData(rng.normal(size=(n, 2)), np.arange(n) % 2, 2, weight)
    keep = np.ones((2 * n_pairs, n), dtype=bool)
    keep[1::2, 0] = False
    own = streams(2 * n_pairs, seed=6)
    models = trainer.fit(data, keep, streams=own)
    scores = []
    for state, stream in zip(models.states, own, strict=True):
        row = rows_of(data, keep[:1], [stream], scaled=False, share=0)[0]
        model = module._Plain(trainer.network, 2, 2, row, np.dtype(np.float64))
        mine, others = (
            model.clipped_sum(data.x[r], data.label[r], weight[r], trainer.clip) for r in ([0], slice(1, n))
        )
        assert np.linalg.norm(mine) == pytest.approx(trainer.clip)
        theta = np.concatenate([value.ravel() for value in state.values()])
        total = (model.theta - theta) * n / trainer.learning_rate
        scores.append((total - others) @ mine / trainer.clip**2)
    return np.array(scores[::2]), np.array(scores[1::2])


def measured(original, unlearned, delta=1e-5):
    """-> share of pairs in which the deleted record had the larger posterior before, and a bound of epsilon"""
    n = len(original)
    bound = epsilon_split(
        np.concatenate([original, unlearned]),
        np.arange(2 * n) < n,
        np.arange(2 * n),
        rng=np.random.default_rng(0),
        delta=delta,
        confidence=0.99,
    )
    return float((original > unlearned).mean()), bound.low


def test_noise_hides_a_deletion_that_shows_without_it(monkeypatch):
    trainer = PrivateNetworkTrainer(
        network=MLP((8,)), noise_multiplier=4.0, sample_rate=1.0, steps=4, learning_rate=8.0, scaled=False
    )
    claimed = trainer.guarantee(Size(records=12, features=1, classes=2, models=1)).epsilon
    share, bound = measured(*versions(trainer, 300))
    assert share < auc_ceiling(DpGuarantee(claimed, 1e-5))
    assert bound < claimed
    monkeypatch.setattr(module, "_noise", lambda rng, deviation, n: np.zeros(n))
    share, bound = measured(*versions(trainer, 300))
    assert share > 0.97
    assert bound > claimed
    assert share > auc_ceiling(DpGuarantee(claimed, 1e-5))


def test_the_strongest_attack_does_not_refute_the_claim_but_half_the_noise_would(monkeypatch):
    trainer = PrivateNetworkTrainer(
        network=MLP((2,)),
        noise_multiplier=1.0,
        delta=0.05,
        clip=0.1,
        sample_rate=1.0,
        steps=1,
        scaled=False,
        precision="float64",
    )
    claimed = trainer.guarantee(Size(records=50, features=2, classes=2, models=1)).epsilon
    original, unlearned = contributions(trainer, 1000)
    assert original.mean() - unlearned.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / 1000))
    assert 0.4 * claimed < measured(original, unlearned, delta=0.05)[1] < claimed
    drawn = module._noise
    monkeypatch.setattr(module, "_noise", lambda rng, deviation, n: drawn(rng, deviation / 2, n))
    assert measured(*contributions(trainer, 600), delta=0.05)[1] > claimed


def test_learns_at_epsilon_8():
    x, label = load_breast_cancer(return_X_y=True)
    data = TrainingData(x, label, 2)
    keep = (np.random.default_rng(0).random((1, len(label))) < 0.6).repeat(3, axis=0)
    trainer = PrivateNetworkTrainer(network=MLP((30,)), epsilon=8.0, steps=200, sample_rate=0.05)
    models = trainer.fit(data, keep, streams=streams(3))
    held_out = ~keep[0]
    for m in range(3):
        answer = models.log_posteriors(x, np.full(len(x), m)).argmax(axis=1)
        assert (answer == label)[held_out].mean() > 0.9  # the larger class: .63


def test_guarantee():
    size = Size(records=100, features=4, classes=2, models=1)
    given = trainer_of(MLP((3,)), noise_multiplier=1.5, sample_rate=1.0, steps=5, delta=1e-5)
    assert isinstance(given, Private)
    assert given.seedings == given.reference().seedings == {Seeding.FRESH}
    guarantee = given.guarantee(size)
    setting = {"sample_rate": 1.0, "steps": 5, "delta": 1e-5}
    assert guarantee.epsilon == dp_sgd_epsilon(noise_multiplier=1.5, **setting)
    assert (guarantee.delta, guarantee.adjacency) == (1e-5, "add_remove")
    assert "noise multiplier 1.5" in guarantee.account
    searched = replace(given, noise_multiplier=None, epsilon=1.0)
    assert searched.guarantee(size).epsilon == 1.0
    assert dp_sgd_epsilon(noise_multiplier=searched.noise(), **setting) <= 1.0


def test_memory_is_as_announced():
    data = problem(n=2000, F=30, weighted=False)
    trainer = trainer_of(MLP((40,)), steps=2, sample_rate=0.2)
    keep = keep_of(data, 20)
    tracemalloc.start()
    trainer.fit(data, keep, streams=streams(20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    announced = trainer.working_bytes(Size(records=2000, features=30, classes=3, models=20))
    assert peak < announced < 4 * peak


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("batch norm", "BatchNorm1d mixes the records of a batch. Leave it out, or use GroupNorm."),
        ("instance norm", "buffer '2.running_mean' may hold statistics of records"),
        ("other dropout", "must drop out by nn.Dropout, whose masks are drawn here; got AlphaDropout"),
        ("branch", "The network cannot be trained record by record: "),
    ],
)
def test_networks_that_are_refused(kind, message):
    data = problem()
    with pytest.raises(UnsupportedError, match=message):
        trainer_of(Layers(kind)).fit(data, keep_of(data), streams=streams(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 1.0}, "Exactly one of `epsilon` and `noise_multiplier` must be given"),
        ({"noise_multiplier": None}, "Exactly one of `epsilon` and `noise_multiplier` must be given"),
        ({"noise_multiplier": 0.0}, "`noise_multiplier` must be a positive number, got 0.0."),
        ({"noise_multiplier": None, "epsilon": np.inf}, "`epsilon` must be a positive number, got inf."),
        ({"clip": np.inf}, "`clip` must be a positive number, got inf."),
        ({"learning_rate": -1.0}, "`learning_rate` must be a positive number, got -1.0."),
        ({"delta": 1.0}, r"`delta` must be a probability in \(0, 1\), got 1.0."),
        ({"sample_rate": 1.5}, r"`sample_rate` must be a probability in \(0, 1\], got 1.5."),
        ({"steps": 0}, "`steps` must be at least 1, got 0."),
        ({"optimizer": "lbfgs"}, "`optimizer` must be one of 'adam', 'sgd', got 'lbfgs'."),
        ({"precision": "bf16"}, "`precision` must be one of 'float32', 'float64', got 'bf16'."),
    ],
)
def test_parameters_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        trainer_of(MLP((3,)), **change)


def test_what_cannot_be_trained():
    data, trainer = problem(), trainer_of(MLP((3,)))
    with pytest.raises(UnsupportedError, match="device"):
        trainer.fit(data, keep_of(data), streams=streams(1), device="cuda")
    with pytest.raises(TrainingError, match="at least 1 training records in each row, got 0"):
        trainer.fit(data, np.zeros((1, 40), dtype=bool), streams=streams(1))
