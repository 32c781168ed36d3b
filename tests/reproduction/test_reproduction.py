"""Claims and verdicts, and the studies themselves."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aftertrace.engine import InProcess
from aftertrace.errors import ExperimentError
from aftertrace.reproduction import SCALES, STUDIES, Claim, Setting, Study, Term, judged, reproduce
from aftertrace.reproduction import _reproduce as module
from aftertrace.results import Finding, ReproductionResult

TINY = replace(SCALES["quick"], originals=7, pairs=4)
ATTACK = "LogitDrop"


def claim(**bounds):
    return Claim(
        sentence="It is so.", figure="a minus b", terms=(Term(1, "a", ATTACK), Term(-1, "b", ATTACK)), **bounds
    )


def cells(difference, rng, m=12):
    base = rng.normal(0.6, 0.2, m)  # shared by both settings: an original is easy or hard in both
    return {"a": {ATTACK: base + difference + rng.normal(0, 0.05, m)}, "b": {ATTACK: base}}


def test_an_interval_decides():
    rng = np.random.default_rng(0)
    found = [judged(claim(above=0.0), cells(d, rng)).finding for d in (0.2, -0.2, 0.0)]
    assert found == [Finding.HOLDS, Finding.FAILS, Finding.OPEN]
    assert judged(claim(above=-0.2, below=0.2), cells(0.0, rng)).finding is Finding.HOLDS
    assert judged(claim(below=0.1), cells(0.3, rng)).finding is Finding.FAILS


def test_no_difference_holds_or_fails_in_one_of_twenty():
    """The null, simulated: 95 % intervals miss 0 in 5 %, half of them on either side."""
    rng = np.random.default_rng(1)
    found = [judged(claim(above=0.0), cells(0.0, rng)).finding for _ in range(2000)]
    wrong = np.mean([finding is not Finding.OPEN for finding in found])
    assert abs(wrong - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000)


def test_what_cannot_be_judged_is_said():
    rng = np.random.default_rng(0)
    assert judged(claim(above=0.0), {}).finding is Finding.NOT_RUN
    few = judged(claim(above=0.0), cells(0.5, rng, m=5))
    assert few.finding is Finding.OPEN
    assert "5 originals" in few.reason
    with pytest.raises(ValueError, match="above or below"):
        claim()


def test_studies_are_whole():
    """Every claim is of settings and attacks that its study has, at a scale that runs them; names of a study differ."""
    for name, study in STUDIES.items():
        assert study.name == name
        labels = [setting.label for setting in study.settings]
        assert len(set(labels)) == len(labels)
        for setting in study.settings:
            experiment = module.experiment_of(setting, SCALES["paper"], pools="redrawn", seed=0)
            attacks = {attack.name for attack in experiment.build_attacks()}
            assert set(study.shown) <= attacks | {"LogitDrop"}
            assert setting.baseline in ("", *labels)
            assert setting.asked is None or (setting.fixed and setting.asked[0] in setting.reference)
            for own in study.claims:
                for term in own.terms:
                    assert term.setting in labels
                    assert term.setting != setting.label or term.attack in attacks


def digits(name="one", **changes):
    small = {
        "data.name": "digits",
        "model.name": "tree",
        "scenario.shadow.records": 200,
        "scenario.target.records": 200,
    }
    return Setting(label=name, changes={**small, **changes})


def study(*settings, **more):
    claims = (Claim(sentence="It leaks.", figure="AUC", terms=(Term(1, "one", ATTACK),), above=0.5),)
    return Study(name="own", title="Own", source="here", settings=settings, claims=claims, shown=(ATTACK,), **more)


def test_a_study_is_run_judged_and_resumed(tmp_path, monkeypatch):
    own = study(replace(digits(), fixed=True, reference={ATTACK: ".9"}, asked=(ATTACK, 0.6, 1.0)),
                digits("same again"), digits("no such defense", defense="TopK(10)"))  # fmt: skip
    monkeypatch.setattr(module, "STUDIES", {"own": own})
    result, folder = reproduce(TINY, out=tmp_path / "out", engine=InProcess())
    (found,) = result.studies
    assert found.claims[0].finding is Finding.HOLDS
    first, again, failed = found.rows
    assert first.auc == again.auc  # one experiment under two names
    assert first.fixed[ATTACK].estimate != first.auc[ATTACK].estimate
    assert found.claims[0].fixed == pytest.approx(first.fixed[ATTACK].estimate)
    assert "k can be at most 9 for 10 classes" in failed.error
    assert len(list((folder / "runs").iterdir())) == 4  # with redrawn records and with fixed pools, each once
    assert ReproductionResult.from_json((folder / "reproduction.json").read_bytes()) == result
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("result.json")}
    text = (folder / "reproduction.json").read_text()
    reproduce(TINY, out=tmp_path / "out", engine=InProcess())
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("result.json")} == before
    assert (folder / "reproduction.json").read_text() == text


def test_the_figure_is_the_mean_of_aucs_inside_originals(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STUDIES", {"own": study(digits())})
    result, folder = reproduce(TINY, out=tmp_path / "out", engine=InProcess())
    redrawn = [p for p in (folder / "runs").iterdir() if '"redrawn"' in (p / "experiment.toml").read_text()]
    (run,) = redrawn
    scores = module.Scores.from_parquet((run / "scores.parquet").read_bytes())
    each = []
    for original in np.unique(scores.original):
        own = (scores.original == original) & (scores.use == 0)
        deleted, unseen = (scores.score[ATTACK][own & (scores.role == role)] for role in (0, 1))
        each.append((deleted[:, None] > unseen).mean() + (deleted[:, None] == unseen).mean() / 2)
    interval = result.studies[0].rows[0].auc[ATTACK]
    assert (interval.estimate, interval.n) == (pytest.approx(np.mean(each)), 7)


def test_unknown_studies_are_said(tmp_path):
    with pytest.raises(ExperimentError, match="there is no study 'sise'"):
        reproduce(TINY, only=["sise"], out=tmp_path / "out", engine=InProcess())


def test_absent_data_are_a_reason_and_no_crash(tmp_path, monkeypatch):
    elsewhere = Setting(label="one", changes={"data.name": "adult", "model.name": "tree"})
    monkeypatch.setattr(module, "STUDIES", {"own": study(elsewhere)})
    result, folder = reproduce(TINY, out=tmp_path / "out", data_dir=tmp_path / "nothing", engine=InProcess())
    assert "adult.data must be in the data folder" in result.studies[0].rows[0].error
    assert result.claims[0].finding is Finding.NOT_RUN
    assert json.loads((folder / "reproduction.json").read_text())["scale"] == "quick"


def test_the_cost_of_private_training_is_paired_by_original(tmp_path, monkeypatch):
    """Accuracy on unseen queries with and without, in originals of the same records."""
    small = {"data.name": "breast-cancer", "scenario.shadow.records": 100, "scenario.target.records": 100}
    plain = Setting(label="one", changes={**small, "model.name": "logistic"})
    noisy = Setting(
        label="private",
        changes={**small, "model.name": "private-logistic", "model.params": {"epsilon": 0.1}},
        baseline="one",
    )
    monkeypatch.setattr(module, "STUDIES", {"own": study(plain, noisy)})
    result, _ = reproduce(TINY, out=tmp_path / "out", engine=InProcess())
    without, own = result.studies[0].rows
    assert without.loss is None
    assert own.loss.n == 7
    assert own.loss.estimate == pytest.approx(without.test_accuracy - own.test_accuracy, abs=0.15)
    assert own.loss.low > 0
    assert "differentially private" in own.privacy
