"""The certificate retrains what it says, passes what is right, and fails what is not."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from aftertrace.data import load
from aftertrace.engine import InProcess, Processes
from aftertrace.errors import TrainingError
from aftertrace.procedures import Retrain
from aftertrace.scenarios import Experiment, run_experiment
from aftertrace.scenarios import _certify as module
from aftertrace.scenarios._sides import drawn_units, simulations_of
from aftertrace.trainers import LogisticTrainer, Model, Promise


def experiment(model="logistic", **more):
    side = {"originals": 3, "pairs": 4, "records": 100}
    return Experiment.from_dict(
        {
            "data": {"name": "breast-cancer"},
            "model": {"name": model, **more},
            "scenario": {"shadow": side, "target": side},
            "attacks": {"features": [], "classifiers": [], "learned": []},
            "verdict": {"attack": "LogitDrop"},
        }
    )


@dataclass(frozen=True, eq=False)
class Off:
    """Models whose log odds are off by a little, from the second model on."""

    models: object
    by: float

    def __getattr__(self, name):
        return getattr(self.models, name)

    def __len__(self):
        return len(self.models)

    def log_posteriors(self, x, model):
        values = self.models.log_posteriors(x, model)
        values[:, 0] += self.by
        return values - np.logaddexp.reduce(values, axis=1)[:, None]


@dataclass(frozen=True)
class Sloppy:
    """A trainer that promises more than it keeps."""

    trainer: LogisticTrainer = LogisticTrainer(C=1.0)  # noqa: RUF009 - it is frozen
    by: float = 1e-5
    promise: Promise = Promise.TOLERANCE

    @property
    def seedings(self):
        return self.trainer.seedings

    def reference(self):
        return self.trainer.reference()

    def fit(self, data, keep, **more):
        return Off(self.trainer.fit(data, keep, **more), self.by)


def test_an_honest_run_is_certified(tmp_path):
    for model in ("logistic", "tree", "forest"):
        run = run_experiment(experiment(model), out=tmp_path / model)
        certificate = run.result.training.certificate
        assert certificate.passed
        assert certificate.models == 2
        assert certificate.deviation <= {"logistic": 1e-8}.get(model, 1e-12)
    assert run_experiment(experiment("logistic"), out=tmp_path / "again").result.training.worst["log_odds_step"] <= 1e-8


def test_a_share_of_many_models(tmp_path):
    large = experiment("tree")
    scenario = replace(large.scenario, target=replace(large.scenario.target, originals=60))
    run = run_experiment(replace(large, scenario=scenario), out=tmp_path / "run")
    assert run.result.training.certificate.models == 4  # 1 % of 63 * 5, rounded up


def test_a_network_is_certified_on_a_short_schedule(tmp_path):
    run = run_experiment(experiment("mlp", params={"epochs": 3}), out=tmp_path / "run")
    certificate = run.result.training.certificate
    assert certificate.promise == "distribution"
    assert certificate.deviation <= certificate.allowed == 1e-8


def test_scikit_learn_is_the_reference_itself(tmp_path):
    run = run_experiment(experiment("sklearn.naive_bayes:GaussianNB"), out=tmp_path / "run")
    assert run.result.training.certificate is None


@pytest.mark.parametrize("engine", [InProcess(), Processes(2)], ids=["in process", "two workers"])
def test_a_sloppy_trainer_fails_the_run(tmp_path, engine):
    out = tmp_path / "run"
    for _ in range(2):  # and again when the certificate is read
        with pytest.raises(TrainingError, match=r"certificate failed: 2 models of Sloppy.*1e-08 is allowed"):
            run_experiment(experiment(), procedure=Retrain(Sloppy()), out=out, engine=engine)
    assert len(list((out / "posteriors").iterdir())) == 6  # what was trained is kept
    assert not (out / "result.json").exists()


def test_equality_in_distribution_is_tested(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARE", 0.9)
    biased = Sloppy(by=0.05, promise=Promise.DISTRIBUTION)
    with pytest.raises(TrainingError, match="mean posteriors differ with p ="):
        run_experiment(experiment(), procedure=Retrain(biased), out=tmp_path / "biased")
    honest = Sloppy(by=0.0, promise=Promise.DISTRIBUTION)
    run = run_experiment(experiment(), procedure=Retrain(honest), out=tmp_path / "honest")
    assert run.result.training.certificate.passed


def test_a_certificate_is_kept_for_its_models(tmp_path, monkeypatch):
    out = tmp_path / "run"
    run_experiment(experiment("tree"), out=out)
    calls = []
    monkeypatch.setattr(module, "compare", lambda *task: calls.append(task))
    run_experiment(experiment("tree"), out=out)
    assert not calls
    kept = json.loads((out / "certificate.json").read_text())
    (out / "certificate.json").write_text(json.dumps({**kept, "of": "other models"}))
    monkeypatch.undo()
    run_experiment(experiment("tree"), out=out)
    assert json.loads((out / "certificate.json").read_text()) == kept


def test_lines_are_chosen_alike():
    """Every line of every unit can be drawn."""
    spec = experiment()
    simulations = simulations_of(spec, load)
    named = {str(number): unit for number, unit in enumerate(drawn_units(spec, simulations))}
    chosen = [module._choose(seed, simulations, named) for seed in range(300)]
    assert {(a, line) for each in chosen for a, lines in each.items() for line in lines} == {
        (name, line) for name, unit in named.items() for line in range(unit.pairs)
    }


def test_models_named_in_files_have_references():
    for name in ("logistic", "tree", "forest", "mlp"):
        assert hasattr(Model(name=name).trainer(), "reference")


def test_deep_networks_are_compared_in_distribution():
    """Rounding grows in them too fast for any schedule: what is tested is the mean over models."""
    from aftertrace.trainers import CNN, NetworkTrainer, ResNet50

    deep, plain = (NetworkTrainer(network=network, precision="float64") for network in (ResNet50(), CNN()))
    assert deep.short() is None
    short, reference = module.pair_to_compare(deep)
    assert short is None
    assert type(reference).__name__ == "NetworkReference"
    found = module.judge_gaps(deep, [(0.1, [0.01, -0.01]), (0.2, [-0.01, 0.01])], rng=np.random.default_rng(0))
    assert found.passed
    assert found.allowed is None
    assert module.pair_to_compare(plain)[0] is not None
