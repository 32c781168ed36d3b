"""Logistic regression's path for GPUs equals the one with numpy; on the CPU where there is no GPU."""

import subprocess
import sys
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch

from aftertrace._random import Stream, stream
from aftertrace.errors import UnsupportedError
from aftertrace.trainers import TRAINER_CHECKS, Base, LogisticTrainer, Promise, TrainingData
from aftertrace.trainers._convex_torch import on_device
from aftertrace.trainers._logistic import fit_placed

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AGREEMENT = 1e-10  # between the paths, of posteriors; what is promised of each is 1e-8 to the optimum


@dataclass(frozen=True)
class OnTorch:
    """`trainer`, with variants solved by torch."""

    trainer: LogisticTrainer

    @property
    def promise(self):
        return Promise.TOLERANCE

    @property
    def seedings(self):
        return self.trainer.seedings

    def fit(self, data, keep, *, streams, base=None):
        placed = partial(on_device, device=DEVICE)
        return fit_placed(self.trainer, data, keep, streams=streams, base=base, placed=placed)


TRAINERS = {
    "multinomial": LogisticTrainer(),
    "one-against-rest": LogisticTrainer(multiclass="one-against-rest"),
    "unscaled": LogisticTrainer(scaled=False, C=0.3),
}


@pytest.fixture(params=TRAINERS)
def trainer(request):
    return TRAINERS[request.param]


def streams(n):
    return [stream(0, Stream.TRAIN, number) for number in range(n)]


def posteriors(models, x):
    """[M, N, K]"""
    return np.exp([models.log_posteriors(x, np.full(len(x), row)) for row in range(len(models))])


def compare(trainer, data, keep, base=None):
    here = trainer.fit(data, keep, streams=streams(len(keep)), base=base)
    there = OnTorch(trainer).fit(data, keep, streams=streams(len(keep)), base=base)
    assert np.abs(posteriors(there, data.x) - posteriors(here, data.x)).max() < AGREEMENT
    assert there.counts == here.counts
    assert there.worst["log_odds_step"] == pytest.approx(here.worst["log_odds_step"], rel=1e-3, abs=1e-12)
    return there


def without(n, groups):
    """All records, then all but each of `groups`."""
    keep = np.ones((1 + len(groups), n), dtype=bool)
    for row, group in enumerate(groups, start=1):
        keep[row, group] = False
    return keep


def table(n_classes, seed=0, n=150, n_features=5):
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(n) % n_classes)
    x = rng.normal(size=(n, n_features)) * np.geomspace(0.01, 1e4, n_features) + rng.normal(size=n_features)
    x[:, 0] += 0.01 * label
    return TrainingData(x, label, n_classes)


def one_hot(n_classes, n=200):
    """Columns of zeros and ones: three with a single record, one constant, one all zero; and two numbers."""
    rng = np.random.default_rng(0)
    category = np.minimum(rng.geometric(0.2, size=n), 20)
    x = np.zeros((n, 29))
    x[np.arange(n), category] = 1
    x[7, 22] = x[8, 23] = x[9, 24] = 1
    x[:, 25] = 1
    x[:, 27], x[:, 28] = rng.normal(size=n), 2000 + rng.normal(size=n)
    return TrainingData(x, (category + rng.integers(3, size=n)) % n_classes, n_classes)


@pytest.mark.parametrize("check", TRAINER_CHECKS, ids=lambda check: check.__name__)
def test_conforms(trainer, check):
    check(OnTorch(trainer))


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_deletions(trainer, n_classes):
    compare(trainer, table(n_classes), without(150, np.arange(8)))


@pytest.mark.parametrize("n_classes", [2, 4])
def test_rare_columns(trainer, n_classes):
    compare(trainer, one_hot(n_classes), without(200, np.arange(5, 12)))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_groups_and_additions(trainer, n_classes):
    data, rng = table(n_classes, seed=3), np.random.default_rng(0)
    keep = np.repeat(rng.random((1, 150)) < 0.7, 8, axis=0)
    for row, size in enumerate((0, 1, 2, 5, 10, 15, 40)):
        changed = rng.choice(150, size, replace=False)
        keep[row, changed] = ~keep[row, changed]
    keep[7] = rng.random(150) < 0.5  # hardly alike
    compare(trainer, data, keep)


def test_groups_need_no_single_deletion(trainer):
    compare(trainer, table(3), without(150, np.arange(48).reshape(6, 8)))


def test_classes_may_vanish(trainer):
    data = table(4, seed=5, n=90)
    data.label[data.label == 3] = 2
    data.label[4] = 3  # one record of class 3: gone once it is deleted
    keep = without(90, [2, 3, 4, 5, np.flatnonzero(data.label == 2), np.flatnonzero(data.label >= 2)])
    models = compare(trainer, data, keep)
    assert posteriors(models, data.x)[3, :, 3].max() == 0


def test_duplicates_and_outliers(trainer):
    data = table(2, seed=7)
    data.x[10:20] = data.x[10]
    data.label[10:20] = np.arange(10) % 2
    data.x[30] *= 100
    compare(trainer, data, without(150, np.arange(8, 32)))


def test_every_record_in_turn(trainer):
    compare(trainer, table(2, seed=9, n=60, n_features=3), without(60, np.arange(60)))


def test_weights(trainer):
    data, weight = table(3, seed=2), np.random.default_rng(1).uniform(0, 3, size=150)
    weight[3] = 0
    compare(trainer, TrainingData(data.x, data.label, 3, weight), without(150, np.arange(6)))


def test_starting_from_the_original(trainer):
    data, keep = table(3, seed=4), without(150, np.arange(10))
    original = OnTorch(trainer).fit(data, keep[:1], streams=streams(1))
    warm = compare(trainer, data, keep[1:], base=Base(original, np.zeros(10, dtype=int)))
    cold = OnTorch(trainer).fit(data, keep[1:], streams=streams(10))
    assert np.abs(posteriors(warm, data.x) - posteriors(cold, data.x)).max() < 1e-8


def test_stalled_rows_are_solved_alone(trainer, monkeypatch):
    monkeypatch.setattr("aftertrace.trainers._convex_variants._MOST_SHARED_STEPS", 1)
    models = compare(trainer, table(3, seed=6), without(150, np.arange(5)))
    assert models.counts["fallbacks"] >= 5
    assert models.counts["unconverged"] == 0


@pytest.mark.parametrize(
    "limit", [{"_MODELS": 3}, {"_HELD": 100}, {"_ABSENT": 400}, {"_LOGITS": 70}], ids=lambda limit: next(iter(limit))
)
def test_chunks_and_blocks_change_nothing(trainer, limit, monkeypatch):
    data, keep = table(3), without(150, [0, 1, 2, [3, 4], [5, 6, 7], 8, 9])
    whole = OnTorch(trainer).fit(data, keep, streams=streams(len(keep)))
    for name, value in limit.items():
        monkeypatch.setattr(f"aftertrace.trainers._convex_torch.{name}", value)
    parts = OnTorch(trainer).fit(data, keep, streams=streams(len(keep)))
    assert np.abs(posteriors(parts, data.x) - posteriors(whole, data.x)).max() < 1e-8
    assert parts.counts == whole.counts


def test_records_go_to_the_device_once(monkeypatch):
    sent, send = [], torch.as_tensor
    monkeypatch.setattr("torch.as_tensor", lambda values: sent.append(np.size(values)) or send(values))
    monkeypatch.setattr("aftertrace.trainers._convex_torch._MODELS", 2)
    OnTorch(LogisticTrainer(multiclass="one-against-rest")).fit(
        table(3), without(150, np.arange(9)), streams=streams(10)
    )
    assert sent.count(150 * 6) == 1


@pytest.mark.parametrize("device", ["tpu", "cuda0", ""])
def test_unknown_devices_are_refused(device):
    with pytest.raises(UnsupportedError, match=rf"^Logistic regression is .* 'cpu' or 'cuda', got '{device}'"):
        LogisticTrainer().fit(table(2), without(150, [0]), streams=streams(2), device=device)


def test_a_gpu_must_be_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UnsupportedError, match=r"device 'cpu' here, as torch finds no GPU, got 'cuda'\."):
        LogisticTrainer().fit(table(2), without(150, [0]), streams=streams(2), device="cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(UnsupportedError, match=r"device 'cuda:1' at most here, got 'cuda:2'\."):
        LogisticTrainer().fit(table(2), without(150, [0]), streams=streams(2), device="cuda:2")


def test_the_cpu_needs_no_torch():
    code = (
        "import sys, numpy as np\n"
        "from aftertrace.trainers import LogisticTrainer, TrainingData\n"
        "data = TrainingData(np.arange(8.0)[:, None], np.arange(8) % 2, 2)\n"
        "LogisticTrainer().fit(data, np.ones((1, 8), dtype=bool), streams=[np.random.SeedSequence(0)])\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
