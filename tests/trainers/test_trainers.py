"""Every trainer conforms; presets are what they say."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aftertrace._hashing import digest
from aftertrace._random import Stream, stream
from aftertrace.errors import ExperimentError, TrainingError, UnsupportedError
from aftertrace.trainers import NAMES, TRAINER_CHECKS, Model, SklearnTrainer, TrainingData, check_trainer
from aftertrace.trainers._network import MLP, EarlyStopping

TRAINERS = {
    "logistic-paper": Model(name="logistic", preset="paper").trainer(),
    "logistic-working": Model(name="logistic").trainer(),
    "tree": Model(name="tree").trainer(),
    "forest": Model(name="forest", params={"n_estimators": 12, "min_samples_leaf": 5}).trainer(),
    "mlp-paper": Model(name="mlp", preset="paper").trainer(),
    "mlp-working": Model(name="mlp").trainer(),
    "forest-coupled": Model(name="forest", params={"n_estimators": 12, "min_samples_leaf": 5}).trainer(coupled=True),
    "naive-bayes": SklearnTrainer(make_pipeline(StandardScaler(), GaussianNB())),
    "import-path": Model(name="sklearn.naive_bayes:GaussianNB", scaled=True).trainer(),
}


@pytest.mark.parametrize("check", TRAINER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", TRAINERS)
def test_trainer_conforms(name, check):
    check(TRAINERS[name])


def test_every_preset_is_tested():
    elsewhere = {"cnn", "resnet50", "densenet121", "command"}  # have tests of their own, as private models have
    elsewhere |= {name for name in NAMES if name.startswith("private-")}
    assert {name.split("-")[0] for name in TRAINERS} >= set(NAMES) - elsewhere


class Forgetful(SklearnTrainer):
    """A trainer that breaks its promise: every row is trained on what the first one keeps."""

    def fit(self, data, keep, **more):
        return super().fit(data, np.repeat(keep[:1], len(keep), axis=0), **more)


class Unseeded(SklearnTrainer):
    """A trainer that ignores its streams."""

    def fit(self, data, keep, *, streams, **more):
        return super().fit(data, keep, streams=[np.random.SeedSequence() for _ in streams], **more)


@pytest.mark.parametrize("broken", [Forgetful, Unseeded])
def test_conformance_can_fail(broken):
    tree = Model(name="sklearn.tree:DecisionTreeClassifier", params={"max_features": 1}).trainer()
    with pytest.raises(AssertionError):
        check_trainer(broken(tree.estimator))


def test_presets_are_the_papers():
    tree, forest = Model(name="tree", preset="paper").trainer(), Model(name="forest", preset="paper").trainer()
    assert tree.max_leaf_nodes == 10
    assert (forest.n_estimators, forest.min_samples_leaf, forest.max_features) == (500, 30, "sqrt")
    assert Model(name="logistic", preset="paper").trainer().multiclass == "one-against-rest"
    assert Model(name="logistic").trainer().multiclass == "multinomial"
    mlp = Model(name="mlp", preset="paper").trainer()
    assert mlp.early_stopping == EarlyStopping(share=0.1, patience=10, restore=True)
    assert (mlp.learning_rate, mlp.scaled, mlp.network) == (0.01, False, MLP((100,)))
    assert Model(name="cnn", preset="paper").trainer().learning_rate == 0.05


def test_scaling_belongs_to_the_model_and_sees_only_its_training_records():
    rng = np.random.default_rng(0)
    data = TrainingData(rng.normal(size=(60, 3)) * [1, 50, 1e4], np.arange(60) % 2, 2)
    keep = np.zeros((1, 60), dtype=bool)
    keep[0, :40] = True
    adapted = Model(name="sklearn.linear_model:LogisticRegression", scaled=True, params={"tol": 1e-9}).trainer()
    models = adapted.fit(data, keep, streams=[stream(0, Stream.TRAIN)])
    assert np.allclose(models.fitted[0][0].mean_, data.x[:40].mean(axis=0))
    single = models.log_posteriors(data.x[[50]], np.array([0]))
    among = models.log_posteriors(data.x, np.zeros(60, int))[[50]]
    assert np.allclose(single, among, atol=1e-14)
    ours = Model(name="logistic").trainer().fit(data, keep, streams=[stream(0, Stream.TRAIN)])
    assert np.allclose(single, ours.log_posteriors(data.x[[50]], np.array([0])), atol=1e-4)


def test_scaled_can_be_switched_off_and_parameters_set():
    plain = Model(name="logistic", scaled=False, params={"C": 0.5}).trainer()
    assert (plain.scaled, plain.C) == (False, 0.5)
    adapted = Model(name="sklearn.linear_model:LogisticRegression", params={"C": 0.5}).trainer().estimator
    assert isinstance(adapted, LogisticRegression)
    assert adapted.C == 0.5


def test_network_parameters_come_from_plain_values():
    trainer = Model(name="mlp", params={"hidden": [32, 8], "optimizer": "sgd", "early_stopping": True}).trainer()
    assert trainer.network == MLP((32, 8))
    assert (trainer.optimizer, trainer.early_stopping) == ("sgd", EarlyStopping())
    with pytest.raises(ExperimentError, match="model.params: `optimizer` must be one of 'adam', 'sgd', got 'lbfgs'"):
        Model(name="mlp", params={"optimizer": "lbfgs"}).trainer()


def test_working_logistic_is_solved_to_the_optimum():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5))
    label = (x[:, 0] + rng.normal(size=300) > 0).astype(int)
    data, keep = TrainingData(x, label, 2), np.ones((1, 300), dtype=bool)
    models = Model(name="logistic", scaled=False).trainer().fit(data, keep, streams=[stream(0, Stream.TRAIN)])
    residual = np.exp(models.log_posteriors(x, np.zeros(300, int)))[:, 1] - label
    gradient = np.append(x.T @ residual + models.weights[0, 1, :-1], residual.sum())
    assert np.abs(gradient).max() < 1e-6


def test_weights_count_as_repetitions():
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(50, 2)), np.arange(50) % 2
    weight = np.where(label == 1, 3.0, 1.0)
    twice = np.repeat(np.arange(50), weight.astype(int))
    trainer = Model(name="logistic", scaled=False).trainer()
    one = trainer.fit(TrainingData(x, label, 2, weight), np.ones((1, 50), bool), streams=[stream(0, Stream.TRAIN)])
    other = trainer.fit(
        TrainingData(x[twice], label[twice], 2), np.ones((1, len(twice)), bool), streams=[stream(0, Stream.TRAIN)]
    )
    model = np.zeros(50, int)
    assert np.allclose(one.log_posteriors(x, model), other.log_posteriors(x, model), atol=1e-7)


def test_unconverged_models_are_counted():
    rng = np.random.default_rng(0)
    data = TrainingData(rng.normal(size=(80, 5)), np.arange(80) % 2, 2)
    trainer = Model(name="sklearn.neural_network:MLPClassifier", params={"max_iter": 2}).trainer()
    models = trainer.fit(data, np.ones((2, 80), bool), streams=[stream(0, Stream.TRAIN, k) for k in range(2)])
    assert models.counts == {"models": 2, "unconverged": 2}


def test_errors_are_sentences():
    data = TrainingData(np.zeros((6, 2)), np.array([0, 0, 0, 1, 1, 1]), 2)
    keep = (data.label == 0)[None]
    with pytest.raises(TrainingError, match="could not be trained on 3 records of 1 classes"):
        Model(name="logistic").trainer().fit(data, keep, streams=[stream(0, Stream.TRAIN)])
    with pytest.raises(UnsupportedError, match="device 'cpu', got 'cuda'"):
        Model(name="tree").trainer().fit(data, keep, streams=[stream(0, Stream.TRAIN)], device="cuda")
    with pytest.raises(ExperimentError, match=r"unknown model 'forrest' \(is 'forest' meant\?\)"):
        Model(name="forrest").trainer()
    with pytest.raises(ExperimentError, match=r"unknown parameter 'max_leafs' of tree \(is 'max_leaf_nodes' meant\?\)"):
        Model(name="tree", params={"max_leafs": 3}).trainer()
    with pytest.raises(ExperimentError, match="unknown parameter 'tol' of logistic.*'sklearn.linear_model:LogisticReg"):
        Model(name="logistic", params={"tol": 1e-3}).trainer()
    with pytest.raises(ExperimentError, match="model.params: `max_leaf_nodes` must be a whole number of at least 2"):
        Model(name="tree", params={"max_leaf_nodes": 1}).trainer()
    with pytest.raises(ExperimentError, match="there is no 'Nothing' in module"):
        Model(name="sklearn.tree:Nothing").trainer()


def test_specifications_have_different_addresses():
    trees = [Model(name="tree", params={"max_leaf_nodes": n}).trainer() for n in (10, 11)]
    assert digest(trees[0]) != digest(trees[1])
    assert digest(trees[0]) == digest(Model(name="tree", preset="paper").trainer())
