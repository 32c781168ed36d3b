"""The start of an experiment that an audit of one pair leaves, and what models say of their training."""

import tomllib
from contextlib import nullcontext
from dataclasses import replace

import joblib
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from aftertrace.errors import ExperimentError
from aftertrace.models import Records, open_model
from aftertrace.results import Claim, Limits
from aftertrace.scenarios import Experiment, draw_units
from aftertrace.scenarios._blanks import BLANK, blanks, require_filled
from aftertrace.scenarios._recipe import Recipe, recipe_of
from aftertrace.scenarios._starter import Pair, starter
from aftertrace.trainers import Model

X, Y = load_wine(return_X_y=True)
TABLE = Records(array=X)
IMAGES = Records(array=np.zeros((2, 1, 8, 8), dtype=np.float32))
FOREST = Recipe(name="sklearn.ensemble:RandomForestClassifier", params={"n_estimators": 20}, repeats=True)
FIXED = RandomForestClassifier(2, random_state=1).fit(X, Y)
ANSWERS = {
    "data.path": "patients.csv",
    "data.target": "ill",
    "data.person": "person",
    "model.name": "tree",
    "scenario.shadow.records": 5000,
    "scenario.target.records": 5000,
}


def filled(text):
    """The experiment of a starter once somebody has filled it in."""
    table = tomllib.loads(text)
    for key in blanks(table):
        *place, last = key.split(".")
        own = table
        for part in place:
            own = own[part]
        own[last] = ANSWERS[key]
    return Experiment.from_dict(table)


def recipe(estimator, records=TABLE):
    return recipe_of(open_model(estimator), records)


# the file


def test_what_only_the_user_knows_is_blank():
    assert blanks(tomllib.loads(starter(Pair(deleted=1)))) == [key for key in ANSWERS if key != "data.person"]
    assert blanks(tomllib.loads(starter(Pair(deleted=1, recipe=FOREST)))) == [
        key for key in ANSWERS if key not in ("model.name", "data.person")
    ]


@pytest.mark.parametrize(
    ("pair", "models"),
    [
        (Pair(deleted=1), 420),
        (Pair(deleted=5), 2 * 10 * 5),
        (Pair(deleted=120), 2 * 10 * 3),
        (Pair(deleted=120, versions=4), 2 * 10 * 3),
        (Pair(deleted=4000, unit="person", classes=tuple(map(str, range(40)))), 2 * 10 * 3),
    ],
)
def test_a_starter_is_an_experiment_once_it_is_filled_in(pair, models):
    scenario = filled(starter(pair)).scenario
    assert scenario.deleted_queries >= pair.deleted
    assert scenario.versions == (0, pair.versions - 1)
    assert sum(side.originals * (1 + side.pairs) for side in (scenario.shadow, scenario.target)) == models
    assert scenario.target.originals * scenario.target.pairs * scenario.group * (pair.versions - 1) >= 200
    assert f"= {models} models" in starter(pair)
    assert max(map(len, starter(pair).splitlines())) <= 120


def test_a_table_that_is_too_small_has_two_ways_out():
    """What the starter says of sizes is what fits."""
    pair = Pair(deleted=5)
    text = " ".join(starter(pair).replace("\n#", "").split())
    assert "best with twice as many records as trained your model, and 20 more" in text
    assert "`records` to train on, and 10 more records. If the table is too small, give the same smaller number" in text
    assert "whole table is then the target side's" in text
    scenario = filled(starter(pair)).scenario
    for more, fits in ((20, True), (19, False)):
        with nullcontext() if fits else pytest.raises(ExperimentError, match="at most 4999 would fit, got 5000"):
            draw_units(scenario, n_records=10000 + more, seed=0)
    assert draw_units(scenario, n_records=5010, n_shadow=5010, seed=0)
    assert "10 more persons" in " ".join(starter(replace(pair, unit="person")).replace("\n#", "").split())


def test_single_deletions_have_the_defaults():
    own, plain = filled(starter(Pair(deleted=1))), Experiment.from_dict({"data": {"name": "wine"}})
    assert (own.scenario.group, own.scenario.target.pairs, own.scenario.target.originals) == (
        plain.scenario.group,
        plain.scenario.target.pairs,
        plain.scenario.target.originals,
    )
    assert own.verdict == plain.verdict
    assert own.limits == plain.limits


def test_limits_claim_and_confidence_are_those_of_the_audit():
    given = Limits(auc=0.6, per_record=0.05)
    assert filled(starter(Pair(deleted=30, limits=given))).limits == given
    claim = Claim(epsilon=1.0, delta=1e-5)
    verdict = filled(starter(Pair(deleted=30, claim=claim, confidence=0.99))).verdict
    assert (verdict.claim, verdict.confidence) == (claim, 0.99)


def test_persons_have_a_column():
    named = Pair(deleted=30, unit="person", recipe=Recipe(target="churned", person="customer"))
    assert (filled(starter(named)).data.target, filled(starter(named)).data.person) == ("churned", "customer")
    assert filled(starter(Pair(deleted=30, unit="person"))).data.person == "person"
    assert filled(starter(Pair(deleted=30))).data.person is None


def test_a_recipe_is_written_down():
    own = filled(starter(Pair(deleted=30, recipe=FOREST)))
    assert (own.model.name, own.model.params) == (FOREST.name, FOREST.params)
    assert own.procedure.seed == "same"
    assert filled(starter(Pair(deleted=30))).procedure.seed == "fresh"


def test_names_of_classes_cannot_leave_their_comment():
    text = starter(Pair(deleted=30, classes=('ill\nname = "x"', "\x00", "é" * 99)))
    assert filled(text).data.target == "ill"
    assert "classes: ill?name" in text


def test_blanks_are_told_in_one_line():
    with pytest.raises(ExperimentError, match="fill in data.path, data.target and model.params.epochs, where") as error:
        require_filled(
            {"data": {"path": BLANK, "target": BLANK}, "model": {"params": {"epochs": BLANK}}, "seed": 1},
            source="s.toml",
        )
    assert str(error.value).startswith("s.toml: ")
    assert "\n" not in str(error.value)
    with pytest.raises(ExperimentError, match="fill in data.path, where"):
        require_filled({"data": {"path": BLANK}}, source="s.toml")
    require_filled({"data": {"path": "x.csv"}}, source="s.toml")


# what models say


def test_an_estimator_says_its_class_and_what_was_changed():
    found = recipe(RandomForestClassifier(n_estimators=20, max_features=0.5, random_state=0, n_jobs=2).fit(X, Y))
    assert found.name == "sklearn.ensemble:RandomForestClassifier"
    assert found.params == {"n_estimators": 20, "max_features": 0.5}
    assert found.repeats
    made = Model(name=found.name, params=found.params).trainer().estimator
    assert (made.n_estimators, made.max_features) == (20, 0.5)
    assert recipe(DecisionTreeClassifier(max_depth=np.int64(3)).fit(X, Y)) == Recipe(
        name="sklearn.tree:DecisionTreeClassifier", params={"max_depth": 3}
    )


def test_seeds_are_those_of_all_versions(tmp_path):
    def procedure(*seeds):
        fitted = [RandomForestClassifier(2, random_state=seed).fit(X, Y) for seed in seeds]
        models = [open_model(each) for each in fitted]
        joblib.dump(fitted[-1], tmp_path / "after.joblib")
        models[-1] = open_model(tmp_path / "after.joblib", trust_pickle=True)
        found = starter(Pair(deleted=3, recipe=recipe_of(models[0], TABLE, later=models[1:])))
        return found.split("[procedure]")[1].split("[scenario]")[0].strip()

    assert procedure(1, np.int64(1)).startswith('seed = "same"  # your models have one fixed seed;')
    different = 'seed = "fresh"  # your models were trained with different seeds; "same" if you fix yours'
    for seeds in ((1, 2), (1, None), (None, 1), (1, 2, 1)):
        assert procedure(*seeds) == different
    assert procedure(None, None) == 'seed = "fresh"  # a new seed in every training; "same" if you fix yours'
    other = recipe_of(open_model(FIXED), TABLE, later=[open_model(lambda x: np.full((len(x), 2), 0.5))])
    assert other.repeats is None


def test_none_is_written_where_it_is_no_default():
    found = recipe(RandomForestClassifier(n_estimators=20, max_features=None, max_depth=None).fit(X, Y))
    assert found.params == {"n_estimators": 20, "max_features": "None"}
    text = starter(Pair(deleted=3, recipe=found))
    assert "Python's None" in text
    trained = filled(text).model.trainer().estimator
    assert (trained.max_features, trained.max_depth) == (None, None)
    assert "Python's None" not in starter(Pair(deleted=3, recipe=FOREST))


@pytest.mark.parametrize(
    ("package", "name", "params"),
    [("xgboost", "XGBClassifier", {"n_estimators": 2}), ("lightgbm", "LGBMClassifier", {"n_estimators": 2})],
)
def test_boosters_say_it_too(package, name, params):
    kind = getattr(pytest.importorskip(package), name)
    found = recipe(kind(**params, verbosity=-1 if package == "lightgbm" else 0).fit(X, Y))
    assert found.name == f"{package}:{name}"
    assert found.params["n_estimators"] == 2
    assert Model(name=found.name, params=found.params).trainer()


def test_a_pipeline_needs_a_function():
    steps = make_pipeline(ColumnTransformer([("all", StandardScaler(), [0, 1])]), LogisticRegression(random_state=1))
    found = recipe(steps.fit(X, Y))
    assert (found.name, found.repeats) == (BLANK, True)
    assert "Pipeline of ColumnTransformer, LogisticRegression" in found.remarks[0]
    assert found.remarks[0] in starter(Pair(deleted=3, recipe=found)).replace("\n# ", " ")


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(class_weight={0: 1, 1: 2, 2: 1}).fit(X, Y),
        DecisionTreeClassifier().fit(X, Y).set_params(criterion="None"),
        make_pipeline(StandardScaler(), DecisionTreeClassifier()).fit(X, Y).set_params(memory="/home/somebody"),
        type("Local", (DecisionTreeClassifier,), {})().fit(X, Y),
    ],
    ids=["a parameter that is not plain", "the word for None", "a path", "a class without an import path"],
)
def test_what_cannot_be_written_is_left_to_the_user(estimator):
    found = recipe(estimator)
    assert found.name == BLANK
    assert type(estimator).__name__ in found.remarks[0]
    text = starter(Pair(deleted=3, recipe=found))
    assert "somebody" not in text
    assert filled(text).model.name == "tree"


def test_a_model_of_a_table_gets_one():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"age": X[:, 0], "town": np.where(Y == 0, "a", "b")})
    columns = ColumnTransformer([("town", OneHotEncoder(), ["town"])], remainder="passthrough")
    found = recipe(make_pipeline(columns, DecisionTreeClassifier()).fit(table, Y))
    assert filled(starter(Pair(deleted=3, recipe=found))).data.encoding == "frame"
    texts = Records(columns={"town": table["town"].to_numpy(dtype=object)})
    assert recipe(lambda x: np.full((len(x), 2), 0.5), texts).frame
    assert not recipe(DecisionTreeClassifier().fit(X, Y)).frame


def test_a_function_says_nothing():
    assert recipe(lambda x: np.full((len(x), 2), 0.5)) == Recipe()


def test_a_network_says_its_factory_and_the_shape_of_its_records(tmp_path, monkeypatch):
    torch, safetensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    (tmp_path / "own_network.py").write_text(
        "from torch import nn\n\ndef make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n"
    )
    monkeypatch.chdir(tmp_path)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    safetensors.save_file({name: value.clone() for name, value in network.state_dict().items()}, "w.safetensors")
    found = recipe("own_network:make@w.safetensors", IMAGES)
    assert found.name == "own_network:make"
    assert found.params == {"shape": [1, 8, 8], "epochs": BLANK, "learning_rate": BLANK}
    params = {**found.params, "epochs": 1, "learning_rate": 0.1}
    assert Model(name=found.name, params=params).trainer().epochs == 1
    unknown = recipe(network, TABLE)
    assert (unknown.name, unknown.params) == (BLANK, {})
    assert "training:network" in unknown.remarks[0]


def test_signs_that_no_toml_holds_stay_out_of_its_comments():
    remark = "Your model is a Evil\n[limits]\nauc = 9\x07\x7f."
    text = starter(Pair(deleted=1, classes=("\x1b[31m", "b\x00"), recipe=Recipe(remarks=(remark,))))
    assert "limits" not in tomllib.loads(text)
