"""`aftertrace.audit` in Python: what goes together, what is found before a question is asked, and what is kept."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from one_pair import AFTER, BEFORE, DELETED, LABEL, ROLE, N, X
from sklearn.linear_model import LogisticRegression

import aftertrace
from aftertrace._given import _TAKES, Form, Versions
from aftertrace._question import AUDIT, question
from aftertrace.attacks import LargestDrop, LogitDrop, simulated_posteriors
from aftertrace.errors import ExperimentError, InputError, PosteriorsError, StoreError, UnsupportedError
from aftertrace.models import Outputs, Records
from aftertrace.posteriors import Features, Role
from aftertrace.results import Claim, Outcome
from aftertrace.scenarios import AuditSettings, Brought, Experiment, audit_posteriors
from aftertrace.store import RunFolder

ARRAYS = {"before": BEFORE, "after": AFTER, "label": LABEL, "role": ROLE}


class Counted:
    """A model that counts its questions."""

    def __init__(self, slope=1.0, classes=("0", "1")):
        self.slope, self.classes, self.fingerprint, self.asked = slope, classes, f"slope {slope}", 0

    def answer(self, records: Records):
        self.asked += len(records)
        first = records.columns["f0"] if records.array is None else records.array[:, 0]
        share = 1 / (1 + np.exp(-self.slope * first))
        return np.column_stack([1 - share, share])


def pairs(label=LABEL):
    return {"deleted": (X[:DELETED], label[:DELETED]), "unseen": (X[DELETED:], label[DELETED:])}


def frames(folder, **columns):
    """Files of records, with further columns."""
    files = {}
    for role, rows in (("deleted", slice(0, DELETED)), ("unseen", slice(DELETED, N))):
        frame = pd.DataFrame(X, columns=["f0", "f1", "f2"]).assign(record=np.arange(N), label=LABEL, **columns)[rows]
        files[role] = folder / f"{role}.csv"
        frame.to_csv(files[role], index=False)
    return files


def posteriors(folder, **columns):
    """Two files of posteriors, with further columns."""
    paths = []
    for name, values in (("a", BEFORE), ("b", AFTER)):
        frame = pd.DataFrame(values, columns=["0", "1"]).assign(record=np.arange(N), role=ROLE, label=LABEL)
        frame.assign(**columns).to_csv(folder / f"{name}.csv", index=False)
        paths.append(folder / f"{name}.csv")
    return paths


# nothing is dropped silently


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A target folder, by the file that makes it one."""
    path = tmp_path_factory.mktemp("target")
    (path / "target.yaml").write_text("")
    return path


def references(form, folder):
    return {
        Form.MODELS: ("a.skops", "b.skops"),
        Form.FILES: ("a.csv", "b.csv"),
        Form.ARRAYS: (BEFORE, AFTER),
        Form.TABLES: (simulated_posteriors(leak=1, seed=0, originals=1, pairs=20),),
        Form.FOLDERS: (folder, folder),
    }[form]


GIVEN = {
    "deleted": "d.csv",
    "unseen": (X, LABEL),
    "retained": "r.csv",
    "records": "all.csv",
    "label": LABEL,
    "role": ROLE,
    "person": ROLE,
    "classes": ("0", "1"),
    "outputs": Outputs.LOGITS,
    "features": X,
    "label_column": "class",
    "person_column": "customer",
}


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("form", Form)
def test_every_argument_is_used_or_refused(form, name, folder):
    made = {"references": references(form, folder), name: GIVEN[name]}
    if name in _TAKES[form]:
        assert Versions(**made).form is form
        return
    with pytest.raises(InputError, match=f"`{name}` is for .*; {'(models|files|arrays|a table|target)'} "):
        Versions(**made)


def test_records_beside_posteriors_are_told_of_roles(tmp_path):
    before, after = posteriors(tmp_path)
    with pytest.raises(InputError, match="`deleted` is for models; .* in a column 'role', or in a file .*`role`"):
        aftertrace.audit(before, after, deleted=tmp_path / "d.csv")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"person": ["a"] * N}, "`person` must say by role"),
        ({"person_column": "customer"}, "`label_column` and `person_column` are of files; pairs"),
        ({"records": "all.csv"}, "`records`, one file with a column 'role', or the others; got deleted, unseen, rec"),
        ({"procedure": object()}, "`procedure` replaces the training of a shadow side: give `shadow` too"),
    ],
)
def test_arguments_that_only_some_records_have(given, message):
    with pytest.raises(InputError, match=message):
        aftertrace.audit(Counted(), Counted(2), **pairs(), **given)


def test_files_of_records_bring_persons_in_a_column(tmp_path):
    with pytest.raises(InputError, match="`person` must be left out: .*`person_column`"):
        aftertrace.audit(Counted(), Counted(2), **frames(tmp_path), person=ROLE)


# mistakes that only Python allows


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": -1}, "`seed` must be a whole number of at least 0, got -1"),
        ({"seed": "x"}, "`seed` must be a whole number of at least 0, got 'x'"),
        ({"confidence": "x"}, "`confidence` must be at least 0.5 and below 1, such as 0.95, got 'x'"),
        ({"confidence": 95}, "`confidence` must be .* got 95"),
        ({"claim": 3}, r"`claim` must be a `Claim`, such as Claim\(epsilon=1\); got 3"),
        ({"claim": Claim(epsilon=1.0), "limits": {"auc": 0.6}}, "a limit of the AUC or a claim"),
        ({"limits": {"accuracy_loss": 0.1}}, "limits no leak"),
        ({"limits": 0.6}, "Limits must be a file, or numbers by name"),
        ({"what_if": True}, "needs limits to pass"),
        ({"what_if": 1}, "`what_if` must be True or False; got 1"),
        ({"match": "yes"}, "`match` must be True or False; got 'yes'"),
        ({"jobs": 0}, "`jobs` must be a number of worker processes, at least 1, got 0"),
        ({"jobs": 1.5}, "`jobs` must be a number of worker processes, at least 1, got 1.5"),
        ({"memory": "8GiB"}, "`memory` must be a number of bytes"),
        ({"attacks": "LogitDrop"}, "`attacks` must be a list of attacks or of their names"),
        ({"attacks": ["LogitDorp"]}, r"An attack must be one of .*got 'LogitDorp' \(is 'LogitDrop' meant"),
        ({"attacks": [LogitDrop]}, "An attack must have a name"),
        ({"attacks": [3]}, "An attack must have a name"),
        ({"classes": "no,yes"}, "`classes` must be a list of two or more different names; got 'no,yes'"),
        ({"classes": ["no", "no"]}, "`classes` must be a list of two or more different names"),
        ({"between": "v.csv"}, "`between` must be a list of the versions between"),
        ({"out": 3}, "`out` must be a folder; got 3"),
        ({"shadow": 3}, "`shadow` must be an experiment file, or an `Experiment`; got 3"),
        ({"outputs": "odds"}, "`outputs` must be one of auto"),
        ({"role": "deleted"}, "need `label` .Q. and `role` .Q."),
        ({"role": [["deleted"]] * N}, r"Roles must be a word for each query \[Q\], got shape"),
        ({"role": ["deleted", ["unseen"]]}, r"Roles must be a word for each query \[Q\]"),
        (
            {"role": [True] * 9 + [False] * (N - 9)},
            "A role must be a word, .*; got True and False",
        ),
        ({"role": ["removed"] * N}, "A role must be one of deleted, unseen, retained, added; got 'removed'"),
        ({"person": ROLE[:-1]}, "`person` must say whose record each of 160 queries is"),
        ({"person": [None, *ROLE[1:]]}, "says nothing in 1 rows, first in row 0"),
        ({"person": 3}, "`person` must say whose record each is, one name or number each"),
        (
            {"features": "f.csv"},
            r"Records have no names in arrays: `features` must be an array \[Q, F\], and is a file",
        ),
    ],
)
def test_mistakes_are_one_line(given, message):
    with pytest.raises(InputError, match=message) as caught:
        aftertrace.audit(**{**ARRAYS, **given})
    assert "\n" not in str(caught.value)


def test_a_seed_of_numpy_is_a_seed():
    assert aftertrace.audit(**ARRAYS, seed=np.int64(3)).result.settings["seed"] == 3


def test_attacks_may_be_given_by_name():
    named = aftertrace.audit(**ARRAYS, attacks=["LossRise", "LogitDrop", LogitDrop()])
    assert {"LossRise", "LogitDrop"} <= {attack.name for attack in named.result.attacks}
    assert [attack.name for attack in named.result.attacks].count("LogitDrop") == 1


# before the first question


CLASSES = {"data": {"name": "wine"}}  # three classes: 0, 1, 2
BINARY = {"data": {"name": "breast-cancer"}}
SHADOW = {**BINARY, "scenario": {side: {"originals": 6, "pairs": 2, "records": 40} for side in ("shadow", "target")}}


@pytest.mark.parametrize(
    ("shadow", "error", "message"),
    [
        ("absent.toml", ExperimentError, "there is no such file or example"),
        ("broken", ExperimentError, "not valid TOML"),
        ({**SHADOW, "dat": {}}, ExperimentError, "unknown key 'dat'"),
        ({**SHADOW, **CLASSES}, PosteriorsError, "must have the classes of the models, 0, 1; they have"),
        ({**SHADOW, "verdict": {"attack": "Rank/LogitDrop"}}, UnsupportedError, "needs no further unseen records"),
        ({**SHADOW, "defense": "LabelOnly"}, UnsupportedError, "posteriors, got labels: leave out its defense"),
        ({"data": {"name": "csv", "path": "absent.csv", "target": "y"}}, InputError, "absent.csv"),
    ],
)
def test_a_shadow_side_that_does_not_fit_costs_no_question(shadow, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if shadow == "broken":
        Path("broken.toml").write_text("[data")
        shadow = "broken.toml"
    models = Counted(), Counted(2)
    made = shadow if isinstance(shadow, str) else written(shadow)
    with pytest.raises(error, match=message):
        aftertrace.audit(*models, **pairs(), shadow=made)
    assert [model.asked for model in models] == [0, 0]
    assert not Path("runs").exists()


def written(table):
    """An experiment file of nested settings."""
    from aftertrace.scenarios import to_toml

    Path("shadow.toml").write_text(to_toml(table))
    return "shadow.toml"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"between": [Counted(1.5)]}, UnsupportedError, "got 3 versions: leave it out"),
        ({"outputs": "loss"}, UnsupportedError, "got scores: leave it out"),
    ],
)
def test_answers_that_no_shadow_side_teaches_cost_no_question(given, error, message):
    models = Counted(), Counted(2)
    with pytest.raises(error, match=message):
        aftertrace.audit(*models, **pairs(), **given, shadow=Experiment.from_dict(SHADOW))
    assert [model.asked for model in models] == [0, 0]


def test_what_else_is_wrong_costs_no_question(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("mine")
    (tmp_path / "features.csv").write_text("record,age\n")
    models = Counted(), Counted(2)
    for given, message in (
        ({"out": tmp_path / "mine"}, "holds other files and no audit.*force=True"),
        ({"confidence": 0.3}, "`confidence` must be"),
        ({"features": tmp_path / "features.csv"}, "every record of the posteriors must have a row"),
        ({"label_column": "class"}, "`label_column` and `person_column` are of files"),
    ):
        with pytest.raises((InputError, StoreError), match=message):
            aftertrace.audit(*models, **{**pairs(), **given})
    for attack, message in (("Superset", "needs shadow models"), ("Rank/LogitDrop", "needs held-out unseen queries")):
        with pytest.raises(UnsupportedError, match=message):
            aftertrace.audit(*models, **pairs(), attacks=[attack])
    with pytest.raises(InputError, match="Labels must be among the model's classes .'0', '1'.; got '2'"):
        aftertrace.audit(*models, **pairs(LABEL + 1))
    assert [model.asked for model in models] == [0, 0]


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        (
            {"before": Counted(), "after": Counted(classes=("0", "2"))},
            "only the model (before) has '1', only the model",
        ),
        ({**ARRAYS, "after": AFTER * np.nan}, "the array (after) holds NaN"),
        ({**ARRAYS, "between": [AFTER * np.nan]}, "the array (version 1) holds NaN"),
    ],
)
def test_versions_that_are_no_files_go_by_when_they_answered(versions, message):
    with pytest.raises(InputError, match=re.escape(message)):
        aftertrace.audit(**versions, **({} if "label" in versions else pairs()))


def test_versions_in_files_go_by_their_names(tmp_path):
    before, after = posteriors(tmp_path)
    after.write_text(after.read_text().replace("0.", "7.", 1))
    with pytest.raises(InputError, match="a.csv probabilities, b.csv logits, by the looks of it"):
        aftertrace.audit(before, after)


# whose records they are


def test_a_person_column_of_another_name(tmp_path):
    customer = [f"c{k // 2}" for k in range(N)]
    before, after = posteriors(tmp_path, customer=customer)
    of_files = aftertrace.audit(before, after, person_column="customer")
    of_records = aftertrace.audit(
        Counted(), Counted(2), **frames(tmp_path, customer=customer), person_column="customer"
    )
    for found in (of_files, of_records):
        assert found.result.unit == "person"
        assert found.result.counts.deleted == DELETED // 2
    with pytest.raises(InputError, match="column 'customer' holds string. .* may have other names .*`person_column`"):
        aftertrace.audit(before, after)
    before, after = posteriors(tmp_path)
    with pytest.raises(InputError, match="must be a column 'client' with whose record each is; .*`person_column`"):
        aftertrace.audit(before, after, person_column="client")
    with pytest.raises(InputError, match="must be a column 'client' with whose record each is; .*`person_column`"):
        aftertrace.audit(Counted(), Counted(2), **frames(tmp_path), person_column="client")


def test_a_column_that_names_persons_is_asked_for(tmp_path):
    found = aftertrace.audit(Counted(), Counted(2), **frames(tmp_path, customer=[f"c{k}" for k in range(N)]))
    assert any("does not see customer" in note and "`person_column`" in note for note in found.result.notes)


def fitted(columns, strength):
    return LogisticRegression(C=strength).fit(pd.DataFrame(X, columns=columns) if columns else X, LABEL.astype(str))


def test_a_forgotten_person_column_is_asked_about(tmp_path):
    patient = np.arange(N) // 2
    models = [fitted(["f0", "f1", "f2"], strength) for strength in (1, 0.1)]
    files = frames(tmp_path, patient_id=patient)
    advice = "Column 'patient_id' looks as if it said whose record each is: give {}, so that persons are judged."
    of_files = aftertrace.audit(*models, **files).result
    assert advice.format("`person_column='patient_id'`") in of_files.questions
    said = aftertrace.audit(*models, **files, person_column="patient_id").result
    assert said.unit == "person"
    assert not any("looks as if" in question for question in said.questions)
    tables = {name: (frame := pd.read_csv(path), frame.pop("label")) for name, path in files.items()}
    of_pairs = aftertrace.audit(*models, **tables).result
    assert advice.format("`person`, whom each record is about") in of_pairs.questions
    taken = aftertrace.audit(*[fitted(["f0", "f1", "patient_id"], strength) for strength in (1, 0.1)], **files).result
    assert not any("looks as if" in question for question in taken.questions)


def test_a_person_column_that_is_a_feature_too_is_to_be_copied(tmp_path):
    patient = np.arange(N) // 2
    advice = "Column 'patient_id' says whose record each is, and is then no feature: copy it under another name, and"
    files = frames(tmp_path, patient_id=patient, copied=patient)
    takers = [LogisticRegression(C=c).fit(pd.DataFrame(X, columns=["f0", "f1", "patient_id"]), LABEL) for c in (1, 2)]
    with pytest.raises(InputError, match=f"records lack 1 of these: 'patient_id'; .* {advice} give that as `person_co"):
        aftertrace.audit(*takers, **files, person_column="patient_id")
    assert aftertrace.audit(*takers, **files, person_column="copied").result.unit == "person"
    with pytest.raises(InputError, match="5 features as input.*" + advice):
        aftertrace.audit(
            *[LogisticRegression(C=c).fit(np.column_stack([X, patient, patient]), LABEL) for c in (1, 2)],
            **files,
            person_column="patient_id",
        )
    with pytest.raises(InputError, match="records lack 1 of these: 'f9'") as caught:
        aftertrace.audit(*[fitted(["f0", "f1", "f9"], c) for c in (1, 2)], **files, person_column="patient_id")
    assert "copy it" not in str(caught.value)


def test_a_forgotten_person_column_may_be_why_a_model_fails(tmp_path):
    files = frames(tmp_path, patient_id=np.arange(N) // 2)
    with pytest.raises(InputError, match="expecting 3 features.* Column 'patient_id' looks as if it said whose record"):
        aftertrace.audit(fitted(None, 1), fitted(None, 0.1), **files)
    with pytest.raises(InputError, match="leave out 'a', 'b' .`classes`.[.]$"):
        aftertrace.audit(fitted(None, 1), fitted(None, 0.1), **files, classes=("a", "b"))
    with pytest.raises(InputError, match="expecting 3 features.* left are features.$"):
        aftertrace.audit(fitted(None, 1), fitted(None, 0.1), **frames(tmp_path, ward=np.arange(N) // 2))


def test_numbers_of_persons_are_no_class(tmp_path):
    with pytest.raises(PosteriorsError, match="a.csv: column 'patient_id' looks as if .*`person_column='patient_id'`"):
        aftertrace.audit(*posteriors(tmp_path, patient_id=np.arange(N) // 2))


# what is kept


def test_another_question_does_not_take_the_place_of_an_answer(tmp_path):
    out = tmp_path / "run"
    first = aftertrace.audit(**ARRAYS, limits={"auc": 0.9}, out=out)
    result = (out / "result.json").read_bytes()
    again = aftertrace.audit(**ARRAYS, limits={"auc": 0.9}, out=out)
    assert again.result == first.result
    for other, message in (
        ({"limits": {"auc": 0.6}}, "limits.auc = 0.6 instead of 0.9"),
        ({}, "no limits.auc instead of 0.9"),
        ({"limits": {"auc": 0.9}, "confidence": 0.9}, "confidence = 0.9 instead of 0.95"),
        ({"limits": {"auc": 0.9}, "seed": 1}, "seed = 1 instead of 0"),
        ({"limits": {"auc": 0.9}, "match": True}, "match = True instead of False"),
        ({"limits": {"auc": 0.9}, "what_if": True}, "what_if = True instead of False"),
        ({"limits": {"auc": 0.9}, "attacks": ["LossRise"]}, "attacks = LossRise instead of none"),
        ({"limits": {"auc": 0.9}, "features": X}, "features of the records, and there none"),
        ({"limits": {"auc": 0.9}, "person": np.arange(N) // 2}, "persons, and there none"),
    ):
        with pytest.raises(StoreError, match=rf"another audit \({message}\)\. .*: `force=True`"):
            aftertrace.audit(**ARRAYS, **other, out=out)
    assert (out / "result.json").read_bytes() == result
    replaced = aftertrace.audit(**ARRAYS, limits={"auc": 0.6}, out=out, force=True)
    assert aftertrace.Audit.of_folder(out).result == replaced.result


def test_persons_again_under_a_new_key_are_the_same_question(tmp_path):
    out, person = tmp_path / "run", [f"p{k // 2}" for k in range(N)]
    first = aftertrace.audit(**ARRAYS, person=person, out=out)
    (out / "pseudonyms.key").unlink()
    assert aftertrace.audit(**ARRAYS, person=person, out=out).result == first.result


def test_another_question_is_refused_before_models_are_asked(tmp_path):
    aftertrace.audit(Counted(), Counted(2), **pairs(), limits={"auc": 0.9}, out=tmp_path / "run")
    models = Counted(), Counted(2)
    with pytest.raises(StoreError, match="limits.auc = 0.8"):
        aftertrace.audit(*models, **pairs(), limits={"auc": 0.8}, out=tmp_path / "run")
    assert [model.asked for model in models] == [0, 0]


def test_the_title_names_what_was_judged(tmp_path):
    before, after = posteriors(tmp_path)
    assert aftertrace.audit(before, after).result.title == "a.csv and b.csv"
    assert aftertrace.audit(**ARRAYS).result.title == "two versions of a model"
    found = aftertrace.audit(Counted(), Counted(2), **pairs()).result
    assert (found.title, found.data.name) == ("two versions of Counted", "records given to the models")


@pytest.mark.parametrize(
    ("given", "shown"), [("{here}/", ""), ("", "secret/"), ("../{here.name}/", "../{here.name}/secret/")]
)
def test_nothing_of_this_machine_is_in_the_result(given, shown, tmp_path, monkeypatch):
    """Of the shadow side's file its path, as its command is to run from where one stands; its name only, where that
    starts at the root.
    """
    secret = tmp_path / "secret"
    secret.mkdir()
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc")).assign(y=rng.integers(0, 2, 120))
    table.to_csv(secret / "mine.csv", index=False)
    experiment = {
        **SHADOW,
        "data": {"name": "csv", "path": str(secret / "mine.csv"), "target": "y"},
        "model": {"name": "tree"},
        "attacks": {"features": [], "classifiers": [], "scores": ["LogitDrop"], "learned": []},
        "verdict": {"attack": "LogitDrop"},
    }
    Path(written(experiment)).rename(secret / "shadow.toml")
    source = f"{given.format(here=tmp_path)}secret/shadow.toml"
    found = aftertrace.audit(**ARRAYS, shadow=source, out="run")
    assert found.result.settings["shadow"]["data"]["path"] == "mine.csv"
    assert found.result.widening.command == f"aftertrace run {shown.format(here=tmp_path)}shadow.toml"
    for name in ("result.json", "manifest.json"):
        assert str(tmp_path) not in Path("run", name).read_text()


def test_commands_and_data_are_public_without_their_folders():
    experiment = Experiment.from_dict(
        {
            "data": {"name": "csv", "path": "/home/me/mine.csv", "target": "y"},
            "model": {"name": "command", "params": {"command": "/home/me/bin/python train.py --out {out}"}},
            "shadow": {
                "data": {"name": "csv", "path": "/home/me/other.csv", "target": "y"},
                "model": {"name": "command", "params": {"command": "/home/me/fit"}},
            },
        }
    )
    public = experiment.public_dict()
    assert "/home" not in json.dumps(public)
    assert public["model"]["params"]["command"] == "python train.py --out {out}"
    assert (public["data"]["path"], public["shadow"]["data"]["path"]) == ("mine.csv", "other.csv")


def test_what_all_but_few_records_share_is_not_named():
    """ "town = Ulm" with all but ten would say of the ten that they are from elsewhere."""
    table = simulated_posteriors(leak=1, seed=0, originals=1, pairs=100)
    deleted = table.role == Role.DELETED
    rng = np.random.default_rng(0)
    age, few = rng.normal(size=len(table)) + deleted, np.arange(len(table)) < 10
    features = Features(np.column_stack([~(deleted & few), age]).astype(float), ("town = Ulm", "age"))
    result, _ = audit_posteriors(Brought(table=table, features=features))
    assert result.verdict.outcome is Outcome.INVALID
    assert "age" in result.verdict.sentence
    assert "Ulm" not in result.to_json()


# what a folder holds


def audit_into(out, order=slice(None), **changed):
    given = {
        "before": BEFORE[order],
        "after": AFTER[order],
        "label": LABEL[order],
        "role": np.array(ROLE)[order].tolist(),
        "features": X[order],
    }
    return aftertrace.audit(**{**given, **changed}, out=out)


OTHER = np.random.default_rng(7).dirichlet([2, 2], N)
DELETED_ONLY = np.where(np.arange(N)[:, None] < DELETED, OTHER, 0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"after": OTHER}, "other answers of the model after"),
        ({"before": OTHER}, "other answers of the model before"),
        ({"before": AFTER, "after": BEFORE}, "the versions in another order"),
        ({"before": OTHER, "after": OTHER[::-1]}, "other records, or other answers or classes of theirs"),
        (
            {
                "before": np.where(DELETED_ONLY > 0, OTHER, BEFORE),
                "after": np.where(DELETED_ONLY > 0, OTHER / 2 + 0.25, AFTER),
            },
            "other deleted records, or other answers or classes of theirs",
        ),
        (
            {"label": np.where(np.arange(N) < DELETED, LABEL, 1 - LABEL)},
            "other unseen records, or other answers or classes of theirs",
        ),
        ({"features": None}, "no features of the records"),
        ({"features": -X}, "other features of the records"),
        ({"person": np.arange(N) // 2}, "persons, and there none"),
        ({"claim": Claim(epsilon=1.0)}, "claim, and there none"),
        ({"after": OTHER, "limits": {"auc": 0.6}}, "limits.auc = 0.6 instead of none"),  # before models are asked
        ({"attacks": ["LossRise"], "match": True}, "attacks = LossRise instead of none; match = True instead of False"),
    ],
)
def test_how_audits_differ_is_said_in_words(tmp_path, changed, words):
    audit_into(tmp_path / "run")
    with pytest.raises(StoreError) as error:
        audit_into(tmp_path / "run", **changed)
    assert f"this folder holds another audit ({words}). Choose another one (`out`)" in str(error.value)


EARLIER = "made by an earlier version of aftertrace"


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (
            lambda found: {"posteriors": "a hash", "known": "another", "settings": found["settings"]},
            "seed = 1 instead of 0",
        ),
        (lambda found: {"posteriors": "a hash", "limits": {}}, EARLIER),
        (
            lambda found: {**found, "settings": {k: v for k, v in found["settings"].items() if k != "what_if"}},
            f"seed = 1 instead of 0; {EARLIER}",
        ),
    ],
    ids=["other hashes", "no settings", "a setting less"],
)
def test_an_earlier_version_does_not_differ_in_what_it_did_not_keep(tmp_path, kept, words):
    path = audit_into(tmp_path).folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "identity": kept(manifest["identity"])}))
    for seed, expected in ((0, EARLIER), (1, words)):
        with pytest.raises(StoreError) as error:
            audit_into(tmp_path, seed=seed)
        assert f"another audit ({expected}). Choose" in str(error.value)


def test_other_numbers_of_records_and_versions_are_said(tmp_path):
    audit_into(tmp_path / "run")
    with pytest.raises(StoreError, match=r"another audit \(20 deleted records instead of 60\)"):
        audit_into(tmp_path / "run", np.r_[:20, DELETED:N])
    with pytest.raises(StoreError, match=r"another audit \(3 versions instead of 2\)"):
        audit_into(tmp_path / "run", between=[OTHER])


def test_rows_in_another_order_are_the_same_question(tmp_path):
    first = audit_into(tmp_path / "run", person=np.arange(N) // 2)
    turned = np.random.default_rng(1).permutation(N)
    again = audit_into(tmp_path / "run", turned, person=(np.arange(N) // 2)[turned])
    assert first.result.to_json() == again.result.to_json()


def test_other_names_of_classes_are_another_question(tmp_path):
    audit_into(tmp_path / "run")
    with pytest.raises(StoreError, match="another audit .other names of classes..*"):
        audit_into(tmp_path / "run", classes=["ill", "well"])


def test_other_parameters_of_an_attack_are_another_question():
    rest = {"shadow": None, "procedure": None, "what_if": False}
    attacks = [LargestDrop(opponent=name) for name in ("OriginalLogit", "LossRise")]
    one, other = (question(AuditSettings(), attacks=[attack], **rest) for attack in attacks)
    assert AUDIT.differences({"settings": one}, {"settings": other}) == ["other parameters of an attack"]
    assert AUDIT.differences({"settings": one}, {"settings": one}) == []


@pytest.mark.parametrize("key", ["", "00", "no key"])
def test_a_damaged_key_is_not_used(key, tmp_path):
    audit_into(tmp_path / "run")
    (tmp_path / "run" / "pseudonyms.key").write_text(key)
    with pytest.raises(StoreError, match="32 bytes in hexadecimal digits.*Restore it"):
        audit_into(tmp_path / "run")


@pytest.mark.parametrize("manifest", ['{"format": 1}', '{"format": 1, "identity": [1]}', "[1]"])
def test_a_damaged_manifest_is_one_line(manifest, tmp_path):
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(StoreError, match="manifest.json: damaged"):
        audit_into(tmp_path)


def test_a_starter_is_replaced_until_somebody_filled_it_in(tmp_path):
    simulation = tmp_path / "run" / "simulation.toml"
    audit_into(tmp_path / "run")
    audit_into(tmp_path / "run", limits={"auc": 0.6}, force=True)
    assert "auc = 0.6" in simulation.read_text()
    scores = np.random.default_rng(0).normal(size=(2, N, 1))
    aftertrace.audit(*scores, role=ROLE, outputs="loss", out=tmp_path / "run", force=True)
    assert not simulation.exists()  # it was of another audit, and this one starts none
    simulation.write_text("mine")
    audit_into(tmp_path / "run", limits={"auc": 0.7}, force=True)
    assert simulation.read_text() == "mine"


@pytest.mark.parametrize(
    "last", ["pseudonyms.key", "scores.parquet", "result.json", "manifest.json", "simulation.toml"]
)
def test_a_starter_that_nobody_filled_in_is_replaced_after_an_audit_that_was_stopped(last, tmp_path, monkeypatch):
    """While it wrote this file, after those before it."""
    audit_into(tmp_path / "run", limits={"auc": 0.6})
    write, is_open = RunFolder.write, []

    def stopped(folder, name, *args, **more):
        if name == last and is_open:
            raise KeyboardInterrupt
        is_open.append(name == "manifest.json")  # which an audit writes first, and completes later
        return write(folder, name, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            audit_into(tmp_path / "run", limits={"auc": 0.7}, force=True)
    audit_into(tmp_path / "run", limits={"auc": 0.8}, force=True)
    assert "auc = 0.8" in (tmp_path / "run" / "simulation.toml").read_text()
