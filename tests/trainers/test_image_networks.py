"""ResNet-50 and DenseNet-121 are the published ones, and small ones of their kind train as every network does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from aftertrace._hashing import digest
from aftertrace.errors import InputError, TrainingError
from aftertrace.trainers import CNN, MLP, Model, NetworkTrainer, TrainingData
from aftertrace.trainers._image_networks import DenseNet121, ResNet50
from aftertrace.trainers._network import _models, _rows
from aftertrace.trainers._network_loop import batch_sizes, fit_loop
from aftertrace.trainers._network_stack import fit_stacked

PUBLISHED = {
    "resnet50": (ResNet50((3, 224, 224)), 25_557_032, 4.09),
    "densenet121": (DenseNet121((3, 224, 224)), 7_978_856, 2.83),
}
"""Parameters and 10^9 multiplications for a record, with 1000 classes, as torchvision's documentation lists them."""
SMALL = {
    "resnet50": ResNet50((2, 9, 8), blocks=(1, 2), width=2),
    "densenet121": DenseNet121((2, 9, 8), blocks=(2, 1), growth=2),
}
EXACT = {"precision": "float64", "epochs": 2, "batch_size": 8, "learning_rate": 0.01}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def images(n=25, shape=(2, 9, 8), n_classes=3):
    """Brighter by class, in noise."""
    rng = np.random.default_rng(0)
    label = np.arange(n) % n_classes
    return TrainingData(rng.normal(size=(n, int(np.prod(shape)))) + label[:, None], label, n_classes)


def rows(data, M=3):
    """All; one less, so that equally many stay for a stack; a group less."""
    keep = np.ones((M, len(data.label)), dtype=bool)
    keep[0, 3] = keep[1, 7] = keep[2, 5:12] = False
    return keep


def streams(M):
    return [np.random.SeedSequence(number) for number in range(M)]


def fit(trainer, data, path):
    keep = rows(data)
    prepared = _rows(trainer, data, keep, streams(len(keep)))
    match path:
        case "stacked":
            states = fit_stacked(trainer, data, prepared, "cpu")
        case _:
            states = fit_loop(trainer, data, prepared, device="cpu", tuned=path == "tuned")
    return _models(trainer, data, keep, prepared, states, "cpu")


def posteriors(models, x, number=0):
    return np.exp(models.log_posteriors(x, np.full(len(x), number)))


class TestPublished:
    @pytest.mark.parametrize("name", PUBLISHED)
    def test_parameters(self, name):
        network, n_parameters, _ = PUBLISHED[name]
        with torch.device("meta"):
            module = network.build(3 * 224 * 224, 1000)
        assert sum(each.numel() for each in module.parameters()) == n_parameters

    @pytest.mark.parametrize("name", PUBLISHED)
    def test_multiplications(self, name):
        """They depend on sides and strides, which the number of parameters does not."""
        network, _, expected = PUBLISHED[name]
        found = []

        def count(layer, inputs, output):
            found.append(output.numel() * layer.weight[0].numel())

        with torch.device("meta"):
            module = network.build(3 * 224 * 224, 1000).eval()
            for layer in module.modules():
                if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                    layer.register_forward_hook(count)
            module(torch.zeros(1, 3 * 224 * 224))
        assert round(sum(found) / 1e9, 2) == expected

    def test_depth(self):
        """50 and 121 layers with weights, beside the shortcuts of a ResNet that change the number of channels."""
        with torch.device("meta"):
            layers = {
                name: [
                    layer
                    for path, layer in network.build(3 * 224 * 224, 10).named_modules()
                    if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear) and "shortcut" not in path
                ]
                for name, (network, _, _) in PUBLISHED.items()
            }
        assert {name: len(each) for name, each in layers.items()} == {"resnet50": 50, "densenet121": 121}

    def test_a_bottleneck_adds_to_what_it_got(self):
        """With the last convolution of every residual at 0, a ResNet is its stem, its shortcuts and ReLUs."""
        module = ResNet50((2, 9, 8), blocks=(2,), width=3).build(144, 3).double().eval()
        bottlenecks = list(module.children())[5:7]
        for each in bottlenecks:
            torch.nn.init.zeros_(each.residual[-2].weight)
        x = torch.rand(4, 3, 2, 2, dtype=torch.float64) - 0.5
        first = bottlenecks[0](x)
        assert torch.equal(first, torch.relu(bottlenecks[0].shortcut(x)))
        assert torch.equal(bottlenecks[1](first), first)

    def test_a_dense_layer_keeps_what_it_got(self):
        layer = list(DenseNet121((2, 9, 8), blocks=(1,), growth=3).build(144, 3).children())[5].eval()
        x = torch.rand(4, 6, 3, 2)
        assert torch.equal(layer(x)[:, :6], x)
        assert layer(x).shape == (4, 9, 3, 2)

    def test_weights_are_drawn_for_relus(self):
        """By outputs in a ResNet, by inputs in a DenseNet: the stem has one input and 64 outputs."""
        for network, fan in ((ResNet50((1, 8, 8), (1,), 64), 64 * 49), (DenseNet121((1, 8, 8), (1,), 32), 49)):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                stem = next(network.build(64, 2).parameters())
            assert stem.shape == (64, 1, 7, 7)
            assert np.isclose(stem.std().item(), np.sqrt(2 / fan), rtol=0.05)

    @pytest.mark.parametrize(("name", "n"), [("resnet50", 8), ("densenet121", 4)])
    def test_full_size_trains_and_answers(self, name, n):
        trainer = Model(name=name, params={"epochs": 1}).trainer()
        data = images(n, (3, 32, 32))
        models = trainer.fit(data, np.ones((1, n), bool), streams=streams(1))
        assert np.allclose(posteriors(models, data.x).sum(axis=1), 1)

    @pytest.mark.parametrize("network", [ResNet50((1, 28, 28)), DenseNet121((1, 28, 28))], ids=["resnet", "densenet"])
    def test_digits_are_large_enough(self, network):
        with torch.device("meta"):
            assert network.build(784, 10).eval()(torch.zeros(2, 784)).shape == (2, 10)


class TestTraining:
    @pytest.mark.parametrize("path", ["tuned", "stacked"])
    @pytest.mark.parametrize("name", SMALL)
    def test_twins(self, name, path):
        trainer = NetworkTrainer(network=SMALL[name], stack=2, **EXACT)
        data = images()
        fast, slow = fit(trainer, data, path), fit(trainer, data, "plain")
        for m in range(3):
            assert np.abs(posteriors(fast, data.x, m) - posteriors(slow, data.x, m)).max() < 1e-10
        assert np.abs(posteriors(slow, data.x, 0) - posteriors(slow, data.x, 1)).max() > 1e-3

    @pytest.mark.parametrize("network", [*SMALL.values(), CNN((2, 9, 8))], ids=["resnet", "densenet", "cnn"])
    def test_losses_fall(self, network):
        data = images(60)
        trained = NetworkTrainer(network=network, epochs=10, batch_size=20, learning_rate=0.01)
        losses = []
        for trainer in (replace(trained, epochs=1, learning_rate=1e-30), trained):
            models = trainer.fit(data, np.ones((1, 60), bool), streams=streams(1))
            losses.append(-models.log_posteriors(data.x, np.zeros(60, int))[np.arange(60), data.label].mean())
        assert losses[1] < 0.5 * losses[0]

    @pytest.mark.parametrize("name", SMALL)
    def test_running_statistics_belong_to_the_model(self, name):
        data = images()
        models = NetworkTrainer(network=SMALL[name], **EXACT).fit(data, rows(data), streams=streams(3))
        state = models.parameters(0)
        means = [value for key, value in state.items() if key.endswith("running_mean")]
        assert means
        assert all(np.abs(value).max() > 0 for value in means)
        assert state["2.num_batches_tracked"] == 2 * 3  # 24 records in batches of 8, twice
        alone = np.concatenate([posteriors(models, record[None]) for record in data.x])
        assert np.allclose(alone, posteriors(models, data.x), atol=1e-12)

    def test_a_last_batch_of_one_joins_the_one_before(self):
        module = SMALL["resnet50"].build(144, 3)
        plain = CNN((2, 9, 8)).build(144, 3)
        assert batch_sizes(module, 25, 8) == [8, 8, 9]
        assert batch_sizes(plain, 25, 8) == [8, 8, 8, 1]
        for each in (module, plain):
            assert batch_sizes(each, 26, 8) == [8, 8, 8, 2]
            assert batch_sizes(each, 24, 8) == [8, 8, 8]
            assert batch_sizes(each, 3, 8) == [3]
            assert batch_sizes(each, 1, 8) == [1]
            assert batch_sizes(each, 2, 1) == [1, 1]

    @pytest.mark.parametrize("path", ["tuned", "stacked"])
    def test_no_number_of_records_stops_a_run(self, path):
        for network, shape in ((SMALL["resnet50"], (2, 9, 8)), (MLP((4,), batch_norm=True), (6,))):
            data = images(18, shape)  # rows of 17, 17 and 11 records
            models = fit(NetworkTrainer(network=network, **EXACT), data, path)
            assert np.isfinite(models.log_posteriors(data.x, np.zeros(18, int))).all()

    def test_a_single_record_is_refused(self):
        """One image of one pixel in the last stage has no variance."""
        data = images(3)
        keep = np.eye(3, dtype=bool)[:1]
        trainer = NetworkTrainer(network=ResNet50((2, 9, 8), blocks=(1, 1, 1), width=2), **EXACT)
        with pytest.raises(TrainingError, match="The network cannot take a batch of 1 records: Expected more than 1"):
            trainer.fit(data, keep, streams=streams(1))


class TestPresets:
    @pytest.mark.parametrize(("name", "kind"), [("resnet50", ResNet50), ("densenet121", DenseNet121)])
    def test_values(self, name, kind):
        paper, working = Model(name=name, preset="paper").trainer(), Model(name=name).trainer()
        assert (paper.network, paper.optimizer, paper.learning_rate, paper.batch_size) == (kind(), "adam", 0.05, 64)
        assert (working.network, working.learning_rate, working.scaled) == (kind(), 0.001, False)
        grey = Model(name=name, params={"shape": [1, 28, 28], "epochs": 3}).trainer()
        assert (grey.network, grey.epochs) == (kind((1, 28, 28)), 3)
        assert digest(grey) != digest(replace(grey, network=kind()))

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"`shape` must be \(channels, height, width\).*got \(3, 32\)"):
            ResNet50((3, 32))
        with pytest.raises(ValueError, match="`blocks` must be at least 1 everywhere, got nothing"):
            ResNet50(blocks=())
        with pytest.raises(ValueError, match="`growth` must be at least 1 everywhere, got 0"):
            DenseNet121(growth=0)
        with pytest.raises(InputError, match="have 3072 columns, got 144; set `shape`"):
            Model(name="densenet121").trainer().fit(images(), rows(images()), streams=streams(3))
