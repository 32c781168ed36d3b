"""A plan counts what a run does, and extrapolates as it says."""

from dataclasses import replace

import pytest

from aftertrace.engine import InProcess, Processes
from aftertrace.scenarios import Experiment, Scenario, Side, draw_units, plan, run_experiment
from aftertrace.scenarios import _plan as module


def experiment(**more):
    return Experiment.from_dict(
        {
            "data": {"name": "wine"},
            "scenario": {
                "unseen_per_pair": 2,
                "shadow": {"originals": 4, "pairs": 3, "records": 50},
                "target": {"originals": 5, "pairs": 4, "records": 40},
            },
            "attacks": {"features": ["SortedDiff"], "classifiers": ["tree"], "learned": []},
            "verdict": {"attack": "LogitDrop"},
            **more,
        }
    )


@pytest.mark.parametrize("engine", [InProcess(), Processes(2)], ids=["in process", "two workers"])
def test_counts_are_those_of_the_run(engine, tmp_path):
    made, result, _ = plan(experiment(), data_dir=None, engine=engine)
    run = run_experiment(experiment(), out=tmp_path / "run")
    assert made.models == run.result.counts.models == 4 * 4 + 5 * 5
    assert made.units == 9
    assert made.queries == 4 * (4 * 3 + 4 * 5)
    assert made.certified == run.result.training.certificate.models
    assert made.at_once == engine.at_once
    assert set(made.seconds) == {"start", "training", "certificate", "attacks"}
    assert all(seconds >= 0 for seconds in made.seconds.values())
    assert {attack.name for attack in result.attacks} == {attack.name for attack in run.result.attacks}
    kept = sum(path.stat().st_size for path in [*(run.folder / "posteriors").iterdir(), run.folder / "scores.parquet"])
    assert kept / 4 < made.disk_bytes < kept * 4


def test_a_line_through_the_last_two_trials(monkeypatch):
    tried = []

    def seconds(n):
        tried.append(n)
        return 0.5 + 0.02 * n

    assert module._extrapolated(seconds, 1000) == pytest.approx(20.5)
    assert tried == [1, 3, 9, 27]
    tried.clear()
    assert module._extrapolated(seconds, 20) == pytest.approx(0.9)  # measured whole
    assert tried == [1, 3, 9, 20]
    tried.clear()
    assert module._extrapolated(lambda n: 10 * seconds(n), 100) == pytest.approx(25)  # one is long, and not enough
    assert tried == [1, 3]


def test_copies_make_a_side():
    data_units = draw_units(experiment().scenario, n_records=178, seed=0)
    trial = module._shorter(data_units[0], 2)
    assert len(trial.deleted) == 2
    assert set(trial.queries.pair.tolist()) == {0, 1}
    table = module.simulate(
        module.Simulation(data=module.load(experiment().data), procedure=experiment().build_procedure(), seed=0),
        trial,
    )[0]
    side = module._copies([table, table], 5, 4)
    assert len(set(side.original.tolist())) == 5
    assert len(set(side.pair.tolist())) == 20


def test_models_without_a_reference_are_not_certified():
    made, _, _ = plan(experiment(model={"name": "sklearn.naive_bayes:GaussianNB"}), data_dir=None, engine=InProcess())
    assert made.certified == 0
    assert "certificate" not in made.seconds
    assert "not known for this model; 1 at once (`jobs`), each with the models of one original" in str(made)


def test_what_is_printed():
    made = module.Plan(
        models=420, units=20, queries=1200, certified=5, at_once=2, process_bytes=3 * 2**28, disk_bytes=90_000,
        seconds={"start": 2.0, "training": 7200.0, "attacks": 130.0},
    )  # fmt: skip
    assert str(made).splitlines() == [
        "Models:  420 in 20 units of work, 5 of them a second time for the certificate",
        "Queries: 1200 to two versions each",
        "Memory:  about 1.5 GiB: 2 at once, each 768 MiB for",
        "         the models of one original and its updates; fewer at once with `jobs` or `memory`",
        "         less for each with fewer pairs or records (scenario.shadow, scenario.target)",
        "Disk:    about 87.9 KiB of posteriors and scores",
        "Time:    about 2.0 h on this machine",
        "         start 2.0 s, training 2.0 h, attacks 2 min",
    ]
    assert str(replace(made, at_once=1)).splitlines()[2:4] == [
        "Memory:  about 768 MiB, for the models of one original and its updates",
        "         less for each with fewer pairs or records (scenario.shadow, scenario.target)",
    ]


def test_copies_of_units_with_different_numbers_of_pairs_share_none():
    """With a per-record adversary coins decide how many deletions a unit has."""
    side = Side(originals=3, pairs=6, records=40)
    units = draw_units(Scenario(adversary="per_record", shadow=side, target=side), n_records=178, seed=0)
    spec = experiment()
    simulation = module.Simulation(data=module.load(spec.data), procedure=spec.build_procedure(), seed=0)
    tables = [module.simulate(simulation, unit)[0] for unit in units[:3]]
    assert len({len(set(table.pair.tolist())) for table in tables}) > 1
    side = module._copies(tables, 10, 6)
    owners = {pair: set(side.original[side.pair == pair].tolist()) for pair in set(side.pair.tolist())}
    assert all(len(own) == 1 for own in owners.values())
    assert len(owners) >= 60
