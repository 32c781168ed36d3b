"""An audit in a store of MLflow: a folder, and a database where MLflow can write one."""

import json
import re
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import aftertrace as at
from aftertrace.errors import StoreError, UnsupportedError
from aftertrace.interchange import log_to_mlflow, metrics_of
from aftertrace.posteriors import Posteriors
from aftertrace.results import Limits, Result
from aftertrace.scenarios import AuditSettings, Brought, audit_posteriors

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, by its database
PAGE = Path(__file__).parents[2] / "docs" / "interchange.md"


@dataclass(frozen=True)
class Finished:
    """What is asked of an `aftertrace.Audit`."""

    result: Result

    def to_html(self, path):
        path.write_text(f"<h1>{self.result.verdict.outcome}</h1>")
        return path


@pytest.fixture(scope="module")
def audit():
    rng = np.random.default_rng(0)
    before = rng.dirichlet([2, 2], 80)
    table = Posteriors.from_pair(
        before,
        (before + rng.dirichlet([2, 2], 80)) / 2,
        label=rng.integers(0, 2, 80),
        role=["deleted", "unseen"] * 40,
    )
    settings = AuditSettings(limits=Limits(auc=0.6, accuracy_loss=0.01))
    return Finished(audit_posteriors(Brought(table=table), settings)[0])


@pytest.fixture
def mlflow(request, tmp_path, monkeypatch):
    """MLflow with a store of its own, and without reports to its makers."""
    store = getattr(request, "param", "folder")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    if store == "database" and not (find_spec("sqlalchemy") and find_spec("alembic")):
        pytest.skip("mlflow-skinny alone keeps no database")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tmp_path / "store" if store == "folder" else f"sqlite:///{tmp_path / 'store.db'}")
    yield mlflow
    mlflow.set_tracking_uri(before)


def kept(mlflow, run, tmp_path):
    found = mlflow.get_run(run)
    folder = mlflow.artifacts.download_artifacts(run_id=run, dst_path=tmp_path / "got")
    return found, Path(folder)


@pytest.mark.parametrize("mlflow", ["folder", "database"], indirect=True)
def test_a_run_holds_what_was_found(audit, mlflow, tmp_path):
    found, folder = kept(mlflow, log_to_mlflow(audit, experiment="releases", run_name="June"), tmp_path)
    result = audit.result
    auc = result.attack(result.verdict.attack).auc
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "June"
    assert mlflow.get_experiment(found.info.experiment_id).name == "releases"
    assert {name: found.data.metrics[name] for name in ("auc", "auc_low", "auc_high")} == {
        "auc": auc.estimate,
        "auc_low": auc.low,
        "auc_high": auc.high,
    }
    assert found.data.metrics == metrics_of(result)
    assert found.data.params["verdict.confidence"] == "0.95"
    assert found.data.tags["aftertrace.outcome"] == result.verdict.outcome
    assert found.data.tags["mlflow.note.content"] == result.verdict.sentence
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "result.json"]
    assert Result.from_json((folder / "result.json").read_bytes()) == result


def test_the_key_of_the_pseudonyms_stays_away(mlflow, tmp_path):
    rng = np.random.default_rng(0)
    before = rng.dirichlet([2, 2], 80)
    roles = ["deleted", "unseen"] * 40
    audit = at.audit(before, before[::-1].copy(), label=rng.integers(0, 2, 80), role=roles, out=tmp_path / "audit")
    log_to_mlflow(audit)
    key = (tmp_path / "audit" / "pseudonyms.key").read_text()
    kept = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert any(b"<html" in content for content in kept)
    assert not any(key.encode() in content or bytes.fromhex(key) in content for content in kept)


def test_runs_of_an_experiment_stand_together(audit, mlflow):
    first, second = (log_to_mlflow(audit, experiment="releases") for _ in range(2))
    assert first != second
    home = mlflow.get_experiment_by_name("releases").experiment_id
    assert {mlflow.get_run(run).info.experiment_id for run in (first, second)} == {home}


def test_a_run_that_is_active_is_left_as_it_is(audit, mlflow):
    with mlflow.start_run() as outer:
        inner = log_to_mlflow(audit)
        assert mlflow.active_run().info.run_id == outer.info.run_id
    assert mlflow.get_run(inner).data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert mlflow.get_run(outer.info.run_id).data.metrics == {}


def test_names_and_values_that_mlflow_refuses(audit, mlflow):
    """Attacks of plug-ins may have any name, settings any length; what has no figure is left out."""
    odd = replace(audit.result.attacks[0], name="Own (v1): 'x'", rates=())
    settings = {"long": ["x" * 50] * 300, "odd;name": None, "deep": {"er": {"list": [1, 2]}}}
    result = replace(audit.result, attacks=(*audit.result.attacks, odd), settings=settings)
    data = mlflow.get_run(log_to_mlflow(Finished(result))).data
    assert data.metrics["attacks/Own _v1__ _x_/auc"] == odd.auc.estimate
    assert data.params.keys() == {"long", "odd_name", "deep.er.list"}
    assert json.loads(data.params["deep.er.list"]) == [1, 2]
    assert len(data.params["long"]) == 500


def test_the_example_of_the_docs(audit, mlflow, capsys):
    for code in re.findall(r"^```py\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(code, "example", "exec"), {"audit": audit})
    found = audit.result.attack(audit.result.verdict.attack)
    assert float(capsys.readouterr().out) == found.auc.estimate


def test_checks_of_limits_are_metrics(audit):
    figures = metrics_of(audit.result)
    for check in audit.result.verdict.checks:
        assert figures[f"limits/{check.name}_limit"] == check.limit
        assert figures.get(f"limits/{check.name}_low") == check.low
    assert figures["limits/auc"] == figures["auc"]
    assert figures["accuracy_lost"] == audit.result.update.lost.estimate
    assert (figures["deleted"], figures["unseen"]) == (40, 40)


def test_a_store_that_refuses(audit, mlflow, monkeypatch):
    def refuse(**_):
        raise mlflow.exceptions.MlflowException("no\nroom")

    monkeypatch.setattr(mlflow, "start_run", refuse)
    with pytest.raises(StoreError, match=r"MLflow did not take the run \(no room\)"):
        log_to_mlflow(audit)


def test_without_mlflow(audit, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UnsupportedError, match="needs the library mlflow-skinny.*pip install mlflow-skinny"):
        log_to_mlflow(audit)
