import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from aftertrace._hashing import digest
from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.trainers import (
    CNN,
    MLP,
    EarlyStopping,
    NetworkTrainer,
    Promise,
    Seeding,
    TrainingData,
    check_trainer,
)
from aftertrace.trainers._network import _models, _rows, compiles
from aftertrace.trainers._network_loop import fit_loop
from aftertrace.trainers._network_stack import fit_stacked


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Convolutional:
    """A small network with everything that a stack must carry: convolution, normalisation, two dropouts."""

    def build(self, n_features, n_classes):
        nn = torch.nn
        return nn.Sequential(
            nn.Unflatten(1, (1, 6, 6)),
            nn.Conv2d(1, 3, 3, bias=False),  # its gradient would be rounding noise, which Adam magnifies
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(12, 5),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(5, n_classes),
        )


@dataclass(frozen=True)
class Residual:
    """No `Sequential`: a module with its own `forward`."""

    def build(self, n_features, n_classes):
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.first = torch.nn.Linear(n_features, n_features)
                self.drop = torch.nn.Dropout(0.2)
                self.last = torch.nn.Linear(n_features, n_classes)

            def forward(self, x):
                return self.last(x + self.drop(torch.relu(self.first(x))))

        return Net()


def problem(seed=0, n=70, n_features=6, n_classes=3):
    """With duplicates, a constant column and large units."""
    rng = np.random.default_rng(seed)
    label = rng.integers(n_classes, size=n)
    x = rng.normal(size=(n, n_features)) + label[:, None]
    x[3:6] = x[0]
    x[:, -1] = 4.0
    x[:, 0] *= 300
    return TrainingData(x, label, n_classes)


def rows(data):
    """All, one less, a group less, a class less, one less again."""
    keep = np.ones((5, len(data.label)), dtype=bool)
    keep[1, 0] = keep[2, 5:12] = keep[4, 8] = False
    keep[3, data.label == 1] = False
    return keep


def streams(n):
    return [np.random.SeedSequence(number) for number in range(n)]


def posteriors(models, x, number=0):
    return np.exp(models.log_posteriors(x, np.full(len(x), number)))


def deviation(first, second, x):
    return max(np.abs(posteriors(first, x, m) - posteriors(second, x, m)).max() for m in range(len(first)))


def by(method, trainer, data, keep):
    """Train by one of the paths, whatever `fit` would choose."""
    prepared = _rows(trainer, data, keep, streams(len(keep)))
    states = method(trainer, data, prepared)
    return _models(trainer, data, keep, prepared, states, "cpu")


def stacked(trainer, data, prepared):
    return fit_stacked(trainer, data, prepared, "cpu")


def tuned(trainer, data, prepared):
    return fit_loop(trainer, data, prepared, device="cpu", tuned=True)


EXACT = {"precision": "float64", "epochs": 3, "batch_size": 16, "learning_rate": 0.01}
SETTINGS = [
    {},
    {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01},
    {"weight_decay": 0.1, "batch_size": 200, "scaled": False, "learning_rate": 1e-4},
    {"early_stopping": EarlyStopping(share=0.2, patience=2), "epochs": 12, "learning_rate": 0.1},
    {"early_stopping": EarlyStopping(share=0.1, patience=2, restore=True), "epochs": 12, "learning_rate": 0.1},
]


class TestTwins:
    @pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
    @pytest.mark.parametrize("hidden", [(7,), (9, 5, 4)])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_compiled(self, settings, hidden, weighted):
        trainer = NetworkTrainer(network=MLP(hidden), **{**EXACT, **settings})
        assert compiles(trainer)
        data = problem()
        if weighted:
            weight = np.random.default_rng(1).random(70) * (np.arange(70) % 3 > 0)
            data = TrainingData(data.x, data.label, 3, weight)
        keep = rows(data)
        fast = trainer.fit(data, keep, streams=streams(5))
        slow = trainer.reference().fit(data, keep, streams=streams(5))
        assert deviation(fast, slow, data.x) < 1e-12

    @pytest.mark.parametrize("hidden", [(260, 250), (520, 510)], ids=["in panels", "too large for panels"])
    def test_compiled_products_of_wide_layers(self, hidden):
        trainer = NetworkTrainer(network=MLP(hidden), **{**EXACT, "batch_size": 33, "learning_rate": 1e-3})
        data = problem()
        keep = rows(data)[:2]
        fast = trainer.fit(data, keep, streams=streams(2))
        slow = trainer.reference().fit(data, keep, streams=streams(2))
        assert deviation(fast, slow, data.x) < 1e-12

    @pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
    @pytest.mark.parametrize(
        "network", [MLP((7,), dropout=0.4), MLP((6, 5), batch_norm=True, activation="tanh"), Residual()], ids=str
    )
    def test_stacked(self, settings, network):
        trainer = NetworkTrainer(network=network, stack=2, **{**EXACT, **settings})
        data = problem()
        if trainer.early_stopping and not isinstance(network, Residual):
            data = TrainingData(data.x, data.label, 3, 0.5 + np.arange(70) % 2)
        keep = rows(data)
        fast = by(stacked, trainer, data, keep)
        slow = trainer.reference().fit(data, keep, streams=streams(5))
        assert deviation(fast, slow, data.x) < 1e-12

    @pytest.mark.parametrize("method", [stacked, tuned])
    def test_convolutions(self, method):
        trainer = NetworkTrainer(network=Convolutional(), stack=3, **EXACT)
        data = problem(n=40, n_features=36)
        keep = rows(data)
        fast = by(method, trainer, data, keep)
        slow = trainer.reference().fit(data, keep, streams=streams(5))
        assert deviation(fast, slow, data.x) < 1e-12
        for name, value in slow.parameters(2).items():
            assert np.allclose(fast.parameters(2)[name], value, atol=1e-12)

    def test_the_papers_network(self):
        trainer = NetworkTrainer(network=CNN((2, 6, 7)), **{**EXACT, "epochs": 1})
        data = problem(n=20, n_features=84)
        keep = np.ones((2, 20), dtype=bool)
        keep[1, 3] = False
        fast = trainer.fit(data, keep, streams=streams(2))
        slow = trainer.reference().fit(data, keep, streams=streams(2))
        assert deviation(fast, slow, data.x) < 1e-12

    def test_models_differ_so_that_equality_means_something(self):
        trainer = NetworkTrainer(network=MLP((7,)), **EXACT)
        data = problem()
        keep = np.ones((2, 70), dtype=bool)
        models = trainer.fit(data, keep, streams=streams(2))
        assert np.abs(posteriors(models, data.x, 0) - posteriors(models, data.x, 1)).max() > 0.01
        keep[1, 0] = False
        models = trainer.fit(data, keep, streams=streams(1) * 2)
        assert np.abs(posteriors(models, data.x, 0) - posteriors(models, data.x, 1)).max() > 1e-6

    def test_float32_agrees_in_distribution(self):
        """Mean logits over seeds of the compiled path and of the loop, within noise."""
        trainer = NetworkTrainer(network=MLP((6,)), epochs=8, batch_size=16, learning_rate=0.01)
        data = problem(n=50, n_classes=2)
        keep = np.ones((40, 50), dtype=bool)
        fast = trainer.fit(data, keep, streams=streams(40))
        slow = trainer.reference().fit(data, keep, streams=streams(80)[40:])
        a, b = (np.stack([posteriors(m, data.x, i)[:, 1] for i in range(40)]) for m in (fast, slow))
        z = (a.mean(axis=0) - b.mean(axis=0)) / np.sqrt(a.var(axis=0) / 40 + b.var(axis=0) / 40)
        assert np.abs(z).max() < 5
        same = trainer.reference().fit(data, keep[:3], streams=streams(3))
        assert max(np.abs(posteriors(fast, data.x, i) - posteriors(same, data.x, i)).max() for i in range(3)) < 1e-3


class TestPrecision:
    def test_promises(self):
        trainer = NetworkTrainer(network=MLP())
        assert trainer.promise is Promise.DISTRIBUTION
        assert trainer.short().promise is Promise.TOLERANCE
        assert trainer.seedings == {Seeding.FRESH, Seeding.SAME}

    def test_bf16_is_coarser_and_has_an_address_of_its_own(self):
        plain = NetworkTrainer(network=MLP((16,)), epochs=2)
        coarse = replace(plain, precision="bf16")
        data, keep = problem(), np.ones((1, 70), dtype=bool)
        models = [each.fit(data, keep, streams=streams(1)) for each in (plain, coarse, plain.reference())]
        assert 1e-5 < deviation(models[0], models[1], data.x) < 0.1
        assert deviation(models[0], models[2], data.x) < 1e-5
        assert digest(plain) != digest(coarse)


class TestProtocol:
    @pytest.mark.parametrize(
        "trainer",
        [
            NetworkTrainer(network=MLP((8,)), precision="float64", epochs=40, learning_rate=0.01),
            NetworkTrainer(network=MLP((8,)), epochs=40, learning_rate=0.01),
            NetworkTrainer(network=MLP((8,), dropout=0.2), precision="float64", epochs=30, learning_rate=0.01),
        ],
        ids=["float64", "float32", "dropout"],
    )
    def test_conformance(self, trainer):
        check_trainer(trainer)

    def test_global_generator_is_left_alone(self):
        data = problem()
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        NetworkTrainer(network=MLP((4,), dropout=0.5), epochs=1).fit(data, rows(data)[:1], streams=streams(1))
        assert torch.equal(torch.rand(3), expected)

    def test_epochs_are_epochs(self):
        """A step of SGD on one batch of everything is a step of gradient descent, so that steps can be counted."""
        data = TrainingData(np.zeros((8, 2)), np.arange(8) % 2, 2)
        weighted = TrainingData(data.x, data.label, 2, np.where(data.label == 1, 3.0, 1.0))
        moved = []
        for epochs in (1, 3):
            trainer = NetworkTrainer(
                network=MLP((2,)), optimizer="sgd", learning_rate=1e-6, epochs=epochs, precision="float64"
            )
            one = trainer.fit(weighted, np.ones((1, 8), bool), streams=streams(1)).parameters(0)["2.bias"]
            start = replace(trainer, learning_rate=1e-300).fit(weighted, np.ones((1, 8), bool), streams=streams(1))
            moved.append(one - start.parameters(0)["2.bias"])
        assert np.allclose(moved[1], 3 * moved[0], rtol=1e-4)

    def test_plain_networks_start_as_torch_lets_them(self):
        """Uniform within 1 / sqrt(inputs), the default of `torch.nn.Linear`; the same in every path."""
        data = problem(n_features=6)
        trainer = NetworkTrainer(network=MLP((400,)), learning_rate=1e-30, epochs=1)
        ours, theirs = (
            each.fit(data, rows(data)[:1], streams=streams(1)).parameters(0) for each in (trainer, trainer.reference())
        )
        for name, inputs in (("0.weight", 6), ("0.bias", 6), ("2.weight", 400), ("2.bias", 400)):
            bound = 1 / np.sqrt(inputs)
            assert np.array_equal(ours[name], theirs[name])
            assert 0.5 * bound < np.abs(ours[name]).max() <= bound
        spread = torch.nn.Linear(6, 400).weight.detach().numpy().std()
        assert np.isclose(ours["0.weight"].std(), spread, rtol=0.1)

    def test_plain_networks_on_the_cpu_need_no_torch(self):
        code = (
            "import sys, numpy as np\n"
            "from aftertrace.trainers import Model, TrainingData\n"
            "data = TrainingData(np.zeros((40, 2)), np.arange(40) % 2, 2)\n"
            "trainer = Model(name='mlp', preset='paper').trainer()\n"
            "models = trainer.fit(data, np.ones((1, 40), bool), streams=[np.random.SeedSequence(0)])\n"
            "models.log_posteriors(data.x, np.zeros(40, int))\n"
            "print('torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"

    def test_classes_without_records(self):
        data = problem()
        models = NetworkTrainer(network=MLP((4,)), epochs=1).fit(data, rows(data)[[3]], streams=streams(1))
        answers = posteriors(models, data.x)
        assert (answers[:, 1] == 0).all()
        assert np.allclose(answers.sum(axis=1), 1)


class TestBadInput:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"optimizer": "lbfgs"}, "`optimizer` must be one of 'adam', 'sgd', got 'lbfgs'"),
            ({"precision": "float16"}, "`precision` must be one of"),
            ({"learning_rate": 0.0}, "`learning_rate` must be a positive number"),
            ({"momentum": 0.9}, "`momentum` must be 0 unless `optimizer` is 'sgd'"),
            ({"epochs": 0}, "`epochs` must be at least 1, got 0"),
            ({"weight_decay": -1.0}, "`weight_decay`"),
        ],
    )
    def test_settings(self, settings, message):
        with pytest.raises(ValueError, match=message):
            NetworkTrainer(network=MLP(), **settings)

    def test_networks(self):
        with pytest.raises(ValueError, match="`hidden` must hold numbers"):
            MLP((0,))
        with pytest.raises(ValueError, match="have 84 columns, got 6"):
            NetworkTrainer(network=CNN((2, 6, 7))).fit(problem(), rows(problem()), streams=streams(5))

    def test_rows_and_devices(self):
        data, trainer = problem(), NetworkTrainer(network=MLP())
        with pytest.raises(TrainingError, match="at least 1 training records in each row, got 0"):
            trainer.fit(data, np.zeros((1, 70), dtype=bool), streams=streams(1))
        with pytest.raises(UnsupportedError, match="device 'cpu' or 'cuda', got 'tpu'"):
            trainer.fit(data, rows(data), streams=streams(5), device="tpu")

    def test_divergence_is_said(self):
        data = problem()
        wild = NetworkTrainer(network=MLP((4,)), optimizer="sgd", learning_rate=1e30, epochs=5)
        for trainer in (wild, wild.reference()):
            models = trainer.fit(data, rows(data)[:1], streams=streams(1))
            with pytest.raises(TrainingError, match="diverged"):
                models.log_posteriors(data.x, np.zeros(70, dtype=int))
