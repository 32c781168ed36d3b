"""Training by a command: files in, a model file out, refusals in one line."""

import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import aftertrace as at
from aftertrace.errors import ExperimentError, TrainingError, UnsupportedError
from aftertrace.scenarios import Experiment
from aftertrace.trainers import Model, TrainingData
from aftertrace.trainers._command import CommandTrainer

TRAIN = """
import sys
import joblib, numpy as np
from sklearn.linear_model import LogisticRegression
records, model, seed = sys.argv[1:]
with np.load(records) as data:
    x, label = data["x"], data["label"]
joblib.dump(LogisticRegression(C=0.1, random_state=int(seed)).fit(x, label), model)
"""

CENTROIDS = """
import numpy as np
class Centroids:
    def fit(self, x, label):
        self.classes = np.unique(label)
        self.centres = np.stack([x[label == k].mean(axis=0) for k in self.classes])
        self.scale = x.var(axis=0).sum()
        return self
    def __call__(self, x):
        near = np.exp(-((x[:, None] - self.centres) ** 2).sum(axis=2) / self.scale)
        return near / near.sum(axis=1, keepdims=True)
"""
TRAIN_CENTROIDS = """
import pickle, sys
import numpy as np
from own_centroids import Centroids
records, model = sys.argv[1:]
with np.load(records) as data, open(model, "wb") as file:
    pickle.dump(Centroids().fit(data["x"], data["label"]), file)
"""


@pytest.fixture
def trainer(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    command = f"{sys.executable} {tmp_path / 'train.py'} {{records}} {{model}} {{seed}}"
    return CommandTrainer(command=command, suffix=".joblib")


def data():
    rng = np.random.default_rng(0)
    label = np.arange(40) % 3
    return TrainingData(rng.normal(size=(40, 4)) + label[:, None], label, 3)


def fitted(trainer, keep):
    return trainer.fit(data(), keep, streams=[np.random.SeedSequence(k) for k in range(len(keep))])


def test_each_row_is_what_the_command_trains(trainer):
    own, keep = data(), np.ones((2, 40), dtype=bool)
    keep[1] = own.label != 2  # a class that is absent gets probability 0
    models = fitted(trainer, keep)
    x, which = np.repeat(own.x[:5], 2, axis=0), np.tile([0, 1], 5)
    answers = models.log_posteriors(x, which)
    for number, row in enumerate(keep):
        alone = LogisticRegression(C=0.1).fit(own.x[row], own.label[row])
        expected = np.zeros((5, 3))
        expected[:, alone.classes_] = alone.predict_proba(own.x[:5])
        np.testing.assert_allclose(np.exp(answers[which == number]), expected, atol=1e-12)
    assert models.counts == {"models": 2, "unconverged": 0}


def test_the_seed_is_that_of_the_stream(tmp_path):
    (tmp_path / "train.py").write_text("import sys\nprint(sys.argv[3])\nsys.exit(3)\n")
    trainer = CommandTrainer(command=f"{sys.executable} {tmp_path / 'train.py'} {{records}} {{model}} {{seed}}")

    def seed(stream):
        with pytest.raises(TrainingError, match="status 3") as caught:
            trainer.fit(data(), np.ones((1, 40), dtype=bool), streams=[np.random.SeedSequence(stream)])
        return int(str(caught.value).split("(")[1].split(")")[0])

    assert seed(0) == seed(0) != seed(1)
    assert max(seed(0), seed(1)) < 2**31


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('no memory')", r"ended with status 1 \(no memory\)"),
        ("pass", "left no model.skops where"),
        ("import sys; open(sys.argv[2], 'w').write('not a model')", "model.skops"),
    ],
)
def test_commands_that_fail(tmp_path, code, message):
    (tmp_path / "train.py").write_text(code)
    trainer = CommandTrainer(command=f"{sys.executable} {tmp_path / 'train.py'} {{records}} {{model}}")
    with pytest.raises((TrainingError, ValueError), match=message):
        fitted(trainer, np.ones((1, 40), dtype=bool))


def test_a_command_that_is_not_there():
    with pytest.raises(TrainingError, match=r"cannot be run \(No such file or directory\)"):
        fitted(CommandTrainer(command="no-such-command {records} {model}"), np.ones((1, 40), dtype=bool))


def test_settings_are_checked():
    with pytest.raises(ExperimentError, match=r"must hold \{model\}"):
        CommandTrainer(command="train {records}")
    with pytest.raises(ExperimentError, match="missing 1 required keyword"):
        Model(name="command").trainer()
    with pytest.raises(UnsupportedError, match="the device must be 'cpu'"):
        CommandTrainer(command="train {records} {model}").fit(data(), np.ones((1, 40), bool), streams=[], device="cuda")


def test_a_run_trains_by_a_command(tmp_path, monkeypatch):
    """By one that starts fast, whose models are of a class of one's own."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_centroids.py").write_text(CENTROIDS)
    (tmp_path / "train.py").write_text(TRAIN_CENTROIDS)
    command = f"{sys.executable} {tmp_path / 'train.py'} {{records}} {{model}}"
    sizes = {"originals": 2, "pairs": 2, "records": 80}
    experiment = Experiment.from_dict(
        {
            "data": {"name": "wine"},
            "model": {"name": "command", "params": {"command": command, "suffix": ".joblib"}},
            "scenario": {"shadow": sizes, "target": sizes},
            "attacks": {"classifiers": ["tree"], "learned": []},
            "verdict": {"attack": "LogitDrop"},
        }
    )
    run = at.run(experiment, out=tmp_path / "run")
    assert run.result.counts.models == 12
    assert run.result.training.trainer == "CommandTrainer"
