"""One pair of models: what the audit says of it, and the experiment that widens it, from an audit to a finished run."""

import tomllib
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.tree import DecisionTreeClassifier
from typer.testing import CliRunner

import aftertrace as at
from aftertrace.cli import app
from aftertrace.errors import InputError
from aftertrace.scenarios import Experiment, table_of

X, Y = load_breast_cancer(return_X_y=True)
NAMES = np.array(["ill", "well"])[Y]
DELETED, KEPT, UNSEEN = np.split(np.random.default_rng(0).permutation(len(Y))[:300], [30, 100])
QUICK = [
    *(f"--set=scenario.{side}.originals=6" for side in ("shadow", "target")),
    *("--set=attacks.classifiers=['tree']", "--set=attacks.features=['SortedDiff']"),
    *("--set=attacks.learned=[]", "--set=verdict.attack=LogitDrop", "--jobs=1"),
]
BLANKS = ("data.path", "data.target", "scenario.shadow.records", "scenario.target.records")
FILLED = [f"--set={key}={value}" for key, value in zip(BLANKS, ("all.csv", "ill", 100, 100), strict=True)]


@pytest.fixture(scope="module")
def trained():
    """Two trees, as a user would train them."""
    rows = np.concatenate([DELETED, KEPT])
    return [DecisionTreeClassifier(max_depth=4, random_state=0).fit(X[each], NAMES[each]) for each in (rows, KEPT)]


@pytest.fixture
def workplace(trained, tmp_path, monkeypatch):
    """A folder with both models, their records, and the table that they come from."""
    monkeypatch.chdir(tmp_path)
    for name, model in zip(("before", "after"), trained, strict=True):
        skops.io.dump(model, f"{name}.skops")
    for name, rows, target in (("deleted", DELETED, "label"), ("unseen", UNSEEN, "label"), ("all", slice(None), "ill")):
        table = [",".join([*map(repr, x), y]) for x, y in zip(X[rows].tolist(), NAMES[rows].tolist(), strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join([",".join([*(f"f{k}" for k in range(30)), target]), *table]))
    return tmp_path


def invoke(*words):
    return CliRunner().invoke(app, list(words))


def audit(*more):
    own = ("--before", "before.skops", "--after", "after.skops", "--deleted", "deleted.csv", "--unseen", "unseen.csv")
    return invoke("audit", *own, *more)


def of(trained, **more):
    return at.audit(*trained, deleted=(X[DELETED], NAMES[DELETED]), unseen=(X[UNSEEN], NAMES[UNSEEN]), **more)


def test_from_one_pair_to_many(workplace):
    """An audit's starter, filled in, is planned and run; until then both say what is missing."""
    done = audit("--out=audit", "--fail-above=auc=0.9")
    assert "Widen:  audit/simulation.toml (fill it in)" in done.stdout
    assert "2 x 10 x 3 = 60 models" in " ".join(done.stdout.split())  # lines may break between
    text = (workplace / "audit" / "simulation.toml").read_text()
    assert 'target = "label"' in text
    report = (workplace / "audit" / "report.html").read_text()
    assert text in unescape(report)
    assert str(workplace) not in report + text
    for command in ("run", "plan"):
        missing = invoke(command, "audit/simulation.toml")
        assert missing.exit_code == 2
        assert "fill in data.path, scenario.shadow.records and scenario.target.records, where" in missing.stderr
        assert len(missing.stderr.splitlines()) == 1
    planned = invoke("plan", "audit/simulation.toml", *FILLED, *QUICK)
    assert "Models:  36 in 12 units" in planned.stdout, planned.stderr
    ran = invoke("run", "audit/simulation.toml", *FILLED, *QUICK, "--out=many")
    assert ran.exit_code in (0, 1, 3), ran.stderr
    assert "6 originals" in ran.stdout


def test_what_is_known_is_filled_in(trained):
    widening = of(trained, limits={"auc": 0.7}).result.widening
    own = Experiment.from_dict(table_of(tomllib.loads(widening.starter), [each[6:] for each in FILLED]))
    assert (own.model.name, own.model.params) == ("sklearn.tree:DecisionTreeClassifier", {"max_depth": 4})
    assert own.procedure.seed == "same"
    assert own.scenario.group == 30
    assert own.limits.auc == 0.7
    assert widening.models == 60
    assert "ill, well" in widening.starter


def test_a_file_that_is_there_is_kept(workplace):
    audit("--out=audit")
    path = workplace / "audit" / "simulation.toml"
    path.write_text("# mine\n")
    for more in ((), ("--force", "--fail-above=auc=0.9")):
        again = audit("--out=audit", *more)
        assert "Widen:  audit/simulation.toml (filled in already, and kept as it is; rename it to get" in again.stdout
        assert path.read_text() == "# mine\n"
    rng = np.random.default_rng(0)
    for name in ("v1", "v2"):
        rows = [f"{k},{('deleted', 'unseen')[k % 2]},{value!r}" for k, value in enumerate(rng.normal(size=80).tolist())]
        (workplace / f"{name}.csv").write_text("\n".join(["record,role,log-likelihood", *rows]))
    scores = ("--before=v1.csv", "--after=v2.csv", "--outputs=log-likelihood")
    without = invoke("audit", *scores, "--out=audit", "--force")
    assert "Kept:   audit/simulation.toml (filled in for an earlier audit)" in without.stdout, without.output
    path.rename("own.toml")
    assert "Widen:  audit/simulation.toml (fill it in)" in audit("--out=audit", "--force").stdout


def test_python_writes_it_where_it_is_told(trained, tmp_path):
    found = of(trained)
    path = found.to_simulation(tmp_path / "own.toml")
    assert path.read_text() == found.result.widening.starter == found.starter
    assert found.to_simulation(path) == path
    path.write_text("# mine\n")
    with pytest.raises(InputError, match="must be a new file"):
        found.to_simulation(path)
    assert path.read_text() == "# mine\n"


def test_only_one_pair_has_one(trained, tmp_path):
    found = of(trained)
    without = replace(found, result=replace(found.result, widening=None))
    with pytest.raises(InputError, match="Only an audit of one pair"):
        without.to_simulation(tmp_path / "own.toml")
    assert not (tmp_path / "own.toml").exists()


def test_persons_are_simulated_as_persons(trained):
    person = {"deleted": [k // 3 for k in range(30)], "unseen": [100 + k // 3 for k in range(200)]}
    own = of(trained, person=person).result.widening.starter
    assert 'person = "FILL IN"' in own
    assert "group = 10" in own


def test_scores_cannot_be_simulated():
    """The trainers of a simulation are of classifiers: the recipe is then to train and audit several pairs."""
    rng = np.random.default_rng(0)
    before, after = (rng.normal(size=(80, 1)) for _ in range(2))
    found = at.audit(before, after, role=["deleted", "unseen"] * 40, outputs="log-likelihood")
    widening = found.result.widening
    assert (widening.starter, widening.models) == ("", None)
    assert "`original`" in widening.steps[0]


def test_posteriors_alone_leave_the_model_open():
    rng = np.random.default_rng(0)
    before, after = (rng.dirichlet([1, 1], 80) for _ in range(2))
    found = at.audit(before, after, label=rng.integers(0, 2, 80), role=["deleted", "unseen"] * 40)
    assert 'name = "FILL IN"' in found.starter
    assert "model.name" in found.result.widening.steps[0]
