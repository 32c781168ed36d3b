"""Memory decides how many units run at once, kept models are the models, and devices are said."""

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from aftertrace.data import Wine, load
from aftertrace.engine import InProcess, Processes
from aftertrace.errors import UnsupportedError
from aftertrace.procedures import Retrain
from aftertrace.scenarios import Experiment, Simulation, draw_units, run_experiment, simulate
from aftertrace.scenarios._memory import machine_share, process_bytes, within
from aftertrace.trainers import Model, Size


def experiment(model, **params):
    side = {"originals": 2, "pairs": 3, "records": 40}
    return Experiment.from_dict(
        {
            "data": {"name": "wine"},
            "model": {"name": model, "params": params},
            "scenario": {"shadow": side, "target": side},
            "attacks": {"features": [], "classifiers": [], "learned": []},
            "verdict": {"attack": "LogitDrop"},
        }
    )


def simulation_of(settings):
    data = load(settings.data)
    units = draw_units(settings.scenario, n_records=len(data), seed=0)
    return Simulation(data=data, procedure=settings.build_procedure(), seed=0), units


MEASURE = """
import re, sys, numpy as np
from aftertrace.trainers import Model, TrainingData, Size
name, n, f, k, m, params, coupled = eval(sys.argv[1])
trainer = Model(name=name, params=params).trainer(coupled=coupled)
rng = np.random.default_rng(0)
label = rng.integers(k, size=n)
data = TrainingData(rng.normal(size=(n, f)), label, k)
def keep(m):
    rows = np.ones((m, n), bool)
    rows[np.arange(1, m), np.arange(1, m)] = False
    return rows
def fit(rows):
    return trainer.fit(data, rows, streams=[np.random.SeedSequence(0)] * len(rows))
small = fit(keep(2))  # libraries, and what is compiled
small.log_posteriors(data.x[:2], np.zeros(2, int))
rows = keep(m)
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
models = fit(rows)
models.log_posteriors(data.x, np.zeros(n, int))
print(peak() - before, trainer.working_bytes(Size(records=n, features=f, classes=k, models=m)))
"""
CASES = [
    ("logistic", 2000, 300, 2, 200, {}, False),
    ("logistic", 1000, 60, 9, 60, {}, False),
    ("forest", 1500, 10, 2, 30, {"n_estimators": 100, "min_samples_leaf": 5}, False),
    ("forest", 1500, 10, 2, 100, {"n_estimators": 100, "min_samples_leaf": 1}, True),
    ("mlp", 300, 400, 2, 60, {"hidden": (500, 300), "epochs": 1}, False),
    ("cnn", 300, 784, 10, 6, {"epochs": 1, "shape": (1, 28, 28)}, False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}-{case[3]}")
def test_estimates_of_memory_bound_what_is_measured(case):
    done = subprocess.run([sys.executable, "-c", MEASURE, repr(case)], capture_output=True, text=True, check=True)
    grown, estimate = map(int, done.stdout.split())
    assert grown <= 1.1 * estimate
    assert estimate <= 8 * grown + 2**26


def test_memory_limits_how_many_run_at_once():
    simulation, units = simulation_of(experiment("forest"))
    notes = []
    need = process_bytes(simulation, units[0])

    def limited(memory):
        needed = [process_bytes(simulation, unit) for unit in units]
        return within(Processes(4), needed, memory, lambda *step: notes.append(step[0]))

    assert limited(10 * need) == Processes(4)
    assert limited(int(2.5 * need)) == Processes(2)
    assert not notes
    assert limited(need // 2) == InProcess()
    assert "units run one at a time" in notes[0]
    assert 2**28 < machine_share() < 2**50


def test_a_trainer_that_does_not_say_is_not_limited():
    simulation, units = simulation_of(experiment("sklearn.naive_bayes:GaussianNB"))
    assert process_bytes(simulation, units[0]) is None
    assert within(Processes(4), [None], 1, print) == Processes(4)


@pytest.mark.parametrize("name", ["logistic", "tree", "forest", "mlp"])
def test_kept_models_hold_all_versions(name, tmp_path):
    small = {"forest": {"n_estimators": 3}, "mlp": {"epochs": 2}}.get(name, {})
    settings = experiment(name, **small)
    plain = run_experiment(settings, out=tmp_path / "plain")
    kept = run_experiment(settings, out=tmp_path / "kept", keep_models=True)
    assert (tmp_path / "plain" / "result.json").read_bytes() == (tmp_path / "kept" / "result.json").read_bytes()
    assert not (plain.folder / "models").exists()
    files = sorted((kept.folder / "models").glob("*.safetensors"))
    assert {file.stem for file in files} == {file.stem for file in (kept.folder / "posteriors").iterdir()}
    arrays = load_file(files[0])
    assert {name.split("/")[0] for name in arrays} == {"0", "1", "2", "3"}
    described = json.loads((kept.folder / "models" / "models.json").read_text())
    assert described["classes"] == ["class_0", "class_1", "class_2"]
    files[0].unlink()
    run_experiment(settings, out=tmp_path / "kept", keep_models=True)
    again = load_file(files[0])
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)


def test_a_kept_model_answers_as_the_run_did(tmp_path):
    """Logistic regression by hand from its array."""
    settings = experiment("logistic")
    simulation, units = simulation_of(settings)
    table, _ = simulate(simulation, units[0], keep_models=tmp_path / "unit.safetensors")
    arrays = load_file(tmp_path / "unit.safetensors")
    x = load(Wine()).x[table.record]
    for version in (0, 1):
        number = 0 if version == 0 else 1 + table.pair
        weights = np.stack([arrays[f"{v}/weights"] for v in range(4)])[np.broadcast_to(number, len(x))]
        logits = np.einsum("qf,qkf->qk", x, weights[:, :, :-1]) + weights[:, :, -1]
        expected = logits - np.logaddexp.reduce(logits, axis=1)[:, None]
        assert np.allclose(np.exp(expected), table.values[:, version], atol=1e-12)


def test_models_of_scikit_learn_are_not_kept(tmp_path):
    with pytest.raises(UnsupportedError, match="SklearnModels has none to give"):
        run_experiment(experiment("sklearn.naive_bayes:GaussianNB"), out=tmp_path / "run", keep_models=True)


def test_devices_are_said(tmp_path):
    with pytest.raises(UnsupportedError, match="device 'cpu', got 'cuda'"):
        run_experiment(experiment("tree"), out=tmp_path / "tree", device="cuda")
    with pytest.raises(UnsupportedError, match="got 'gpu'"):
        run_experiment(experiment("mlp"), out=tmp_path / "mlp", device="gpu")


def test_the_device_is_part_of_an_address():
    simulation, units = simulation_of(experiment("mlp"))
    addresses = {
        Simulation(data=simulation.data, procedure=Retrain(Model(name="mlp").trainer()), seed=0, device=device).address(
            units[0]
        )
        for device in ("cpu", "cuda", "cuda:0", "cuda:1")
    }
    assert len(addresses) == 2


def test_sizes_grow_with_what_they_are_of():
    trainer = Model(name="mlp").trainer()
    small, large = (trainer.working_bytes(Size(records=100, features=f, classes=2, models=5)) for f in (10, 1000))
    assert large > small
