"""Networks that go on from earlier ones: every path against a loop written out, and nothing lost on the way."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.trainers import CNN, MLP, Continuing, Model, NetworkTrainer, TrainingData
from aftertrace.trainers._network import _models, _rows, _started, compiles
from aftertrace.trainers._network_loop import build, fit_loop, state_of
from aftertrace.trainers._network_rows import INIT, child
from aftertrace.trainers._network_stack import fit_stacked


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Everything:
    """Convolution, normalisation with running statistics, flattening, two dropouts."""

    def build(self, n_features, n_classes):
        nn = torch.nn
        return nn.Sequential(
            nn.Unflatten(1, (1, 6, 6)),
            nn.Conv2d(1, 3, 3, bias=False),
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


EXACT = {"precision": "float64", "epochs": 3, "batch_size": 16, "learning_rate": 0.01}
SETTINGS = {
    "mlp": NetworkTrainer(network=MLP(hidden=(7, 4)), **EXACT),
    "mlp-momentum": NetworkTrainer(network=MLP(hidden=(6,)), optimizer="sgd", momentum=0.9, **EXACT),
    "mlp-dropout": NetworkTrainer(network=MLP(hidden=(6,), dropout=0.4, batch_norm=True), **EXACT),
    "cnn": NetworkTrainer(network=CNN((1, 6, 6)), **EXACT),
    "everything": NetworkTrainer(network=Everything(), **EXACT),
}


def problem(n=60, n_features=36, n_classes=3):
    rng = np.random.default_rng(1)
    label = rng.integers(n_classes, size=n)
    return TrainingData(rng.normal(size=(n, n_features)) + 0.5 * label[:, None], label, n_classes)


def streams(*numbers):
    return [np.random.SeedSequence(number) for number in numbers]


def stages(n=60):
    """Three models on half of the records, then on more: a third more, all, all but one. [3, N], [3, N]"""
    early, later = np.zeros((2, 3, n), dtype=bool)
    early[:, : n // 2] = True
    later[0, :40] = later[1] = later[2, :-1] = True
    return early, later


def posteriors(models, x, number=0):
    return np.exp(models.log_posteriors(x, np.full(len(x), number)))


def begin(trainer, data):
    early, later = stages()
    before = trainer.reference().fit(data, early, streams=streams(0, 1, 2))
    return before, later, [(before, m) for m in range(3)]


def by(method, trainer, data, keep, start):
    """Go on by one of the paths, whatever `go_on` would choose."""
    prepared = _started(_rows(trainer, data, keep, streams(3, 4, 5)), start)
    return _models(trainer, data, keep, prepared, method(trainer, data, prepared), "cpu")


def stacked(trainer, data, prepared):
    return fit_stacked(trainer, data, prepared, "cpu")


def tuned(trainer, data, prepared):
    return fit_loop(trainer, data, prepared, device="cpu", tuned=True)


@pytest.mark.parametrize("name", ["mlp", "mlp-momentum"])
def test_going_on_is_training_from_those_weights(name):
    """The loop written out: weights of the earlier model, a new optimiser, units of the records it sees now."""
    trainer, data = SETTINGS[name], problem()
    assert compiles(trainer)
    before, keep, start = begin(trainer, data)
    made = trainer.go_on(data, keep, streams=streams(3, 4, 5), start=start)
    plain = trainer.reference().go_on(data, keep, streams=streams(3, 4, 5), start=start)
    for m in range(3):
        weights = {key: torch.tensor(value, requires_grad=True) for key, value in before.states[m].items()}
        own = np.flatnonzero(keep[m])
        mean, scale = data.x[own].mean(axis=0), data.x[own].std(axis=0)
        x, label = torch.tensor((data.x[own] - mean) / scale), torch.tensor(data.label[own])
        layers = len(weights) // 2

        def network(x, weights=weights, layers=layers):
            for n in range(layers):
                x = x @ weights[f"{2 * n}.weight"].T + weights[f"{2 * n}.bias"]
                x = torch.relu(x) if n < layers - 1 else x
            return x

        kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[trainer.optimizer]
        extra = {"momentum": trainer.momentum} if trainer.momentum else {}
        optimizer = kind(weights.values(), lr=trainer.learning_rate, **extra)
        rng = np.random.default_rng(child(streams(3, 4, 5)[m], 1))
        for _ in range(trainer.epochs):
            order = rng.permutation(len(own))
            for some in np.split(order, range(16, len(own), 16)):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(network(x[some]), label[some]).backward()
                optimizer.step()
        with torch.no_grad():
            expected = torch.softmax(network(torch.tensor((data.x - mean) / scale)), dim=1).numpy()
        assert np.abs(posteriors(made, data.x, m) - expected).max() <= 1e-10
        assert np.abs(posteriors(plain, data.x, m) - expected).max() <= 1e-10
        assert np.allclose(made.mean[m], mean)
        assert np.allclose(made.scale[m], scale)


@pytest.mark.parametrize("method", [stacked, tuned])
@pytest.mark.parametrize("name", SETTINGS)
def test_all_paths_go_on_alike(name, method):
    trainer, data = SETTINGS[name], problem()
    _, keep, start = begin(trainer, data)
    plain = trainer.reference().go_on(data, keep, streams=streams(3, 4, 5), start=start)
    other = by(method, trainer, data, keep, start)
    for m in range(3):
        assert np.abs(posteriors(plain, data.x, m) - posteriors(other, data.x, m)).max() <= 1e-10


@pytest.mark.parametrize("name", SETTINGS)
def test_going_on_from_new_weights_is_training(name):
    """The same stream, started from the weights that it would draw itself."""
    trainer, data = SETTINGS[name], problem()
    _, keep = stages()
    drawn = [build(trainer.network, 36, 3, row.seed(INIT)) for row in _rows(trainer, data, keep, streams(3, 4, 5))]
    before, _, _ = begin(trainer, data)
    new = replace(before, states=[state_of(module.double()) for module in drawn])
    fitted = trainer.fit(data, keep, streams=streams(3, 4, 5))
    went_on = trainer.go_on(data, keep, streams=streams(3, 4, 5), start=[(new, m) for m in range(3)])
    for m in range(3):
        assert np.array_equal(posteriors(fitted, data.x, m), posteriors(went_on, data.x, m))
    from_before = trainer.go_on(data, keep, streams=streams(3, 4, 5), start=[(before, m) for m in range(3)])
    assert np.abs(posteriors(fitted, data.x) - posteriors(from_before, data.x)).max() > 1e-4


@pytest.mark.parametrize("method", ["fit", stacked, tuned])
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_weights_pass_unrounded_and_in_their_places(name, method):
    """Steps too small to move a number: what comes out is what went in, to the last of 53 bits."""
    trainer, data = replace(SETTINGS[name], learning_rate=1e-300, epochs=1), problem()
    before, keep, start = begin(SETTINGS[name], data)
    kept = [{key: value.copy() for key, value in state.items()} for state in before.states]
    start = start[::-1]  # row 0 starts from model 2
    if method == "fit":
        after = trainer.go_on(data, keep, streams=streams(3, 4, 5), start=start)
    else:
        after = by(method, trainer, data, keep, start)
    for m in range(3):
        for key, value in kept[2 - m].items():
            assert np.array_equal(after.states[m][key], value)
            assert np.array_equal(before.states[2 - m][key], value)
    assert np.abs(kept[0]["1.weight" if name == "cnn" else "0.weight"]).max() > 0


def test_running_statistics_go_on():
    trainer, data = SETTINGS["everything"], problem()
    _, keep, start = begin(trainer, data)
    after = trainer.go_on(data, keep, streams=streams(3, 4, 5), start=start)
    steps = [sum(model[key] for key in model if key.endswith("num_batches_tracked")) for model in after.states]
    assert [int(each) for each in steps] == [3 * 2 + 3 * 3, 3 * 2 + 3 * 4, 3 * 2 + 3 * 4]  # epochs times batches


def test_rows_may_start_from_models_of_different_calls():
    trainer, data = SETTINGS["mlp"], problem()
    before, keep, start = begin(trainer, data)
    alone = trainer.reference().fit(data, stages()[0][1:2], streams=streams(1))
    assert np.abs(posteriors(alone, data.x) - posteriors(before, data.x, 1)).max() == 0
    mixed = trainer.go_on(data, keep, streams=streams(3, 4, 5), start=[start[0], (alone, 0), start[2]])
    plain = trainer.go_on(data, keep, streams=streams(3, 4, 5), start=start)
    for m in range(3):
        assert np.array_equal(posteriors(mixed, data.x, m), posteriors(plain, data.x, m))


@pytest.mark.parametrize(("epochs", "slices"), [(50, 1), (50, 3), (50, 10), (7, 2), (1, 1), (2, 20)])
def test_stages_together_take_as_long_as_one_training(epochs, slices):
    """Stage r sees r / slices of the records: the passes over all of them add up to the epochs, up to rounding."""
    staged = NetworkTrainer(network=MLP(), epochs=epochs).staged(slices)
    passes = sum(r / slices * staged.epochs for r in range(1, slices + 1))
    assert abs(passes - epochs) <= 0.5 * (slices + 1) / 2 or staged.epochs == 1
    assert staged.epochs >= 1
    assert replace(staged, epochs=epochs) == NetworkTrainer(network=MLP(), epochs=epochs)
    assert NetworkTrainer(network=MLP(), epochs=epochs).reference().staged(slices) == staged.reference()


def test_networks_can_go_on_and_what_solves_anew_cannot():
    assert isinstance(SETTINGS["mlp"], Continuing)
    assert isinstance(SETTINGS["mlp"].reference(), Continuing)
    for name in ("tree", "forest", "logistic"):
        assert not isinstance(Model(name=name).trainer(), Continuing)


def test_refuses_other_models_and_rows_without_records():
    trainer, data = SETTINGS["mlp"], problem()
    _, keep, start = begin(trainer, data)
    tree = Model(name="tree").trainer().fit(data, keep[:1], streams=streams(0))
    with pytest.raises(UnsupportedError, match="A network goes on from a network, got ForestModels"):
        trainer.go_on(data, keep[:1], streams=streams(3), start=[(tree, 0)])
    with pytest.raises(TrainingError, match="at least 1 training records"):
        trainer.go_on(data, np.zeros_like(keep[:1]), streams=streams(3), start=start[:1])
