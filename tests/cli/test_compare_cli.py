"""`aftertrace compare`: folders in, table and page out, and a budget that can be overspent."""

import pytest
from typer.testing import CliRunner

from aftertrace.attacks import simulated_posteriors
from aftertrace.cli import app
from aftertrace.posteriors import Role


def audited(folder, *, seed, limit=0.6):
    """The folder of an audit with a limit."""
    import aftertrace as at

    table = simulated_posteriors(leak=1, seed=seed, originals=1, pairs=40)
    role = ["deleted" if each == Role.DELETED else "unseen" for each in table.role]
    before, after = table.values[:, 0], table.values[:, 1]
    at.audit(before, after, label=table.label, role=role, limits={"auc": limit}, out=folder)
    return str(folder)


@pytest.fixture(scope="module")
def audits(tmp_path_factory):
    """Two audits, in folders."""
    return [audited(tmp_path_factory.mktemp("releases") / f"v{seed}", seed=seed) for seed in (0, 1)]


def compare(*words):
    return CliRunner().invoke(app, ["compare", *words])


def test_audits_side_by_side(audits, tmp_path):
    done = compare(*audits, "--budget", "0.1", "--out", str(tmp_path / "history"))
    assert done.exit_code == 0, done.output
    assert "2 releases were audited." in done.output
    assert "is at most 5 %" in " ".join(done.output.split())
    assert sorted(each.name for each in (tmp_path / "history").iterdir()) == ["history.csv", "history.html"]


def test_an_audit_again_and_a_wider_limit(audits, tmp_path):
    """Of the folders themselves, so that what they hold tells it."""
    wider = audited(tmp_path / "wider", seed=0, limit=0.9)
    text = " ".join(compare(*audits, wider).output.split())
    assert "Loosened in wider: AUC, from 0.6 (v1) to 0.9." in text
    assert "wider judges the same answers as v0" in text
    assert "v1 judges" not in text


def test_a_budget_that_is_overspent(audits):
    for budget, code in (("0.01", 1), ("0.0499", 1), ("0.05", 0), ("0.0501", 0)):
        assert compare(*audits, "--budget", budget).exit_code == code


@pytest.mark.parametrize(
    ("words", "message"), [(["nowhere"], "no readable result.json"), (["--budget", "2"], "between 0 and 1")]
)
def test_bad_input(audits, words, message):
    done = compare(*audits, *words)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
