"""Networks by import path: made with what they ask for, trained as any network, refused in sentences."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aftertrace._hashing import digest
from aftertrace.errors import ExperimentError, InputError
from aftertrace.trainers import EarlyStopping, Model, NetworkTrainer, TrainingData
from aftertrace.trainers._imported_network import ImportedNetwork


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Small(torch.nn.Module):
    """Asks for both numbers, has a parameter of its own, draws weights, and drops out."""

    def __init__(self, n_features, num_classes, hidden=5):
        super().__init__()
        self.first = torch.nn.Linear(n_features, hidden)
        self.norm = torch.nn.BatchNorm1d(hidden)
        self.drop = torch.nn.Dropout(0.2)
        self.last = torch.nn.Linear(hidden, num_classes)

    def forward(self, x):
        return self.last(self.drop(torch.relu(self.norm(self.first(x)))))


class Image(torch.nn.Module):
    """Takes [Q, 2, 3, 4] and the number of classes."""

    def __init__(self, n_classes):
        super().__init__()
        self.convolution = torch.nn.Conv2d(2, 3, 3)
        self.last = torch.nn.Linear(3 * 2, n_classes)

    def forward(self, x):
        assert x.shape[1:] == (2, 3, 4)
        return self.last(self.convolution(x).flatten(1))


class Demanding(torch.nn.Module):
    def __init__(self, depth, momentum=0.1, shape=None):
        super().__init__()


class Pair(torch.nn.Module):
    def forward(self, x):
        return x, x


class ByHand:
    """The network that the path stands for."""

    def build(self, n_features, n_classes):
        return Small(n_features, n_classes, hidden=7)


def path(kind):
    return f"{__name__}:{kind.__name__}"


def problem(n_features=6):
    rng = np.random.default_rng(0)
    label = np.arange(33) % 3
    return TrainingData(rng.normal(size=(33, n_features)) + label[:, None], label, 3)


def nothing():
    return 3


def sized(n_features, num_classes, hidden=4):
    first, last = torch.nn.Linear(n_features, hidden), torch.nn.Linear(hidden, num_classes)
    return torch.nn.Sequential(first, torch.nn.ReLU(), last)


def pipeline(C=1.0):
    return make_pipeline(StandardScaler(), LogisticRegression(C=C))


def fixed(width=3):
    return torch.nn.Linear(6, width)


def fit(trainer, data):
    keep = np.ones((2, len(data.label)), dtype=bool)
    keep[1, 4] = False
    return trainer.fit(data, keep, streams=[np.random.SeedSequence(k) for k in range(2)])


class TestImported:
    def test_is_the_network_that_one_would_write(self):
        settings = {"epochs": 3, "batch_size": 16, "precision": "float64"}
        imported = Model(name=path(Small), params={**settings, "hidden": 7}).trainer()
        data = problem()
        ours, theirs = fit(imported, data), fit(NetworkTrainer(network=ByHand(), **settings), data)
        for m in range(2):
            for name, value in theirs.parameters(m).items():
                assert np.array_equal(ours.parameters(m)[name], value)
        assert ours.parameters(0)["first.weight"].shape == (7, 6)
        assert imported.network.build(6, 3).training
        assert ours.parameters(0)["norm.num_batches_tracked"] == 3 * 2

    def test_learns(self):
        data = problem()
        models = fit(Model(name=path(Small), params={"epochs": 60, "learning_rate": 0.02}).trainer(), data)
        answers = models.log_posteriors(data.x, np.zeros(33, int)).argmax(axis=1)
        assert (answers == data.label).mean() > 0.8

    def test_parameters_are_split_by_name(self):
        params = {"hidden": 9, "epochs": 4, "early_stopping": True}
        trainer = Model(name=path(Small), scaled=False, params=params).trainer()
        assert trainer == NetworkTrainer(
            network=ImportedNetwork(path(Small), {"hidden": 9}),
            epochs=4,
            early_stopping=EarlyStopping(),
            scaled=False,
        )
        assert Model(name=path(Small)).trainer() == NetworkTrainer(network=ImportedNetwork(path(Small)))

    def test_images(self):
        trainer = Model(name=path(Image), params={"shape": [2, 3, 4], "epochs": 1}).trainer()
        models = fit(trainer, problem(24))
        assert models.log_posteriors(problem(24).x, np.zeros(33, int)).shape == (33, 3)
        with pytest.raises(InputError, match=r"shape \(2, 3, 4\) have 24 columns, got 6; set `shape`"):
            fit(trainer, problem())

    def test_modules_of_torch_itself(self):
        trainer = Model(name="torch.nn:Linear", params={"out_features": 3, "epochs": 1}).trainer()
        assert fit(trainer, problem()).parameters(0)["weight"].shape == (3, 6)

    def test_the_global_generator_is_left_alone(self):
        before = torch.get_rng_state()
        trainer = Model(name=path(Small), params={"epochs": 1}).trainer()
        models = fit(trainer, problem())
        models.log_posteriors(problem().x, np.zeros(33, int))
        assert torch.equal(torch.get_rng_state(), before)

    def test_memory_is_bounded_from_the_module(self):
        from aftertrace.trainers import Size

        before = torch.get_rng_state()
        sizes = [
            Model(name=path(Small), params={"hidden": hidden})
            .trainer()
            .working_bytes(Size(records=30, features=6, classes=3, models=1000))
            for hidden in (10, 1000)
        ]
        assert sizes[1] - sizes[0] > 1000 * 4 * 990 * 9
        assert torch.equal(torch.get_rng_state(), before)


class TestAddress:
    def test_depends_on_path_parameters_and_shape(self):
        networks = [
            ImportedNetwork(path(Small)),
            ImportedNetwork(path(Small), {"hidden": 4}),
            ImportedNetwork(path(Small), shape=(6,)),
            ImportedNetwork(path(Image)),
        ]
        assert len({digest(each) for each in networks}) == 4
        assert digest(networks[0]) == digest(Model(name=path(Small)).trainer().network)

    def test_depends_on_the_text_of_the_class(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        file = tmp_path / "network_of_a_user.py"
        file.write_text("import torch\n\nclass Net(torch.nn.Linear):\n    pass\n")
        network = ImportedNetwork("network_of_a_user:Net")
        first = digest(network)
        assert digest(network) == first
        file.write_text(file.read_text() + "# edited\n")
        assert digest(network) == first  # what runs is still the old one
        importlib.reload(sys.modules["network_of_a_user"])
        assert digest(network) != first


class TestBadInput:
    @pytest.mark.parametrize(
        ("kind", "params", "message"),
        [
            (Small, {"hiden": 3}, r"unknown parameter 'hiden' of .*:Small \(is 'hidden' meant\?\); known are n_f"),
            (Small, {"optimizer": "lbfgs"}, "model.params: `optimizer` must be one of"),
            (Demanding, {}, "model.params: .*:Demanding needs 'depth', got none"),
            (Demanding, {"depth": 1, "momentum": 0.5}, "'momentum' is a parameter of the training and of .*:Demanding"),
            (Demanding, {"depth": 1, "shape": [2]}, "'shape' is a parameter of the training and of"),
            (EarlyStopping, {}, "must be a torch.nn.Module or a classifier with scikit-learn's interface"),
            (nothing, {}, ":nothing must make a classifier with fit and predict_proba, or a torch.nn.Module; made int"),
        ],
    )
    def test_in_the_experiment(self, kind, params, message):
        with pytest.raises(ExperimentError, match=message):
            Model(name=path(kind), params=params).trainer()

    @pytest.mark.parametrize(
        ("name", "params", "message"),
        [
            ("torch.nn:Linear", {"out_features": 4}, r"must answer 2 records with logits \[2, 3\].*got \[2, 4\]"),
            (path(Pair), {}, r"with logits \[2, 3\].*got tuple"),
            (path(Small), {"n_features": 5}, r"cannot take records \[2, 6\]: .*; set `shape` for images"),
            (path(Small), {"hidden": "many"}, "model.params: .*:Small cannot be made: "),
        ],
    )
    def test_in_the_network(self, name, params, message):
        trainer = Model(name=name, params=params).trainer()
        with pytest.raises(InputError, match=message):
            fit(trainer, problem())

    def test_a_function_that_makes_no_network(self):
        trainer = Model(name=f"{__name__}:problem").trainer()
        with pytest.raises(InputError, match=r"must make a torch\.nn\.Module, made TrainingData"):
            fit(trainer, problem())

    def test_unknown_paths(self):
        with pytest.raises(ExperimentError, match=r"there is no 'Net' in module 'nowhere' .*PYTHONPATH"):
            Model(name="nowhere:Net").trainer()


def test_classifiers_need_no_torch():
    code = (
        "import sys\n"
        "from aftertrace.trainers import Model\n"
        "Model(name='sklearn.naive_bayes:GaussianNB').trainer(), Model(name='resnet50').trainer()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("function", "params"), [(sized, {"hidden": 5}), (fixed, {})])
def test_functions_make_networks_too(function, params):
    trainer = Model(name=f"{__name__}:{function.__name__}", params={**params, "epochs": 1}).trainer()
    assert isinstance(trainer, NetworkTrainer)
    answers = fit(trainer, problem()).log_posteriors(problem().x, np.zeros(33, dtype=int))
    np.testing.assert_allclose(np.exp(answers).sum(axis=1), 1, atol=1e-5)


def test_functions_make_pipelines():
    trainer = Model(name=f"{__name__}:pipeline", params={"C": 0.5}).trainer()
    assert trainer.estimator[-1].C == 0.5
    with pytest.raises(ExperimentError, match="unknown parameter 'D'"):
        Model(name=f"{__name__}:pipeline", params={"D": 0.5}).trainer()
