import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier
from sklearn.utils.metadata_routing import MetadataRequest

from aftertrace.errors import InputError, TrainingError
from aftertrace.models import Records, open_model
from aftertrace.models._skops import KNOWN_TYPES

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = (X[:, 0] + 0.5 * RNG.normal(size=120) > 0).astype(int)
FRAME = pd.DataFrame(X, columns=["b", "a", "c"]).assign(town=np.where(X[:, 2] > 0, "x", "y"))
NAMED = make_pipeline(
    ColumnTransformer([("numbers", StandardScaler(), ["b", "a", "c"]), ("texts", OneHotEncoder(), ["town"])]),
    LogisticRegression(),
).fit(FRAME, np.where(Y, "yes", "no"))
ESTIMATORS = [
    LogisticRegression(),
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(5, random_state=0),
    ExtraTreesClassifier(5, random_state=0),
    BaggingClassifier(n_estimators=3, max_features=0.5, random_state=0),
    GradientBoostingClassifier(n_estimators=3, random_state=0),
    HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5),
    make_pipeline(StandardScaler(), MLPClassifier((4,), solver="adam", max_iter=2000, tol=0.1, random_state=0)),
    CalibratedClassifierCV(LinearSVC(random_state=0), cv=3),
    StackingClassifier([("nb", GaussianNB()), ("tree", ExtraTreeClassifier(random_state=0))], cv=3),
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=3),
    xgboost.XGBClassifier(n_estimators=3, n_jobs=1),
    lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=5, verbose=-1, n_jobs=1),
]


def records(frame):
    return Records(columns={name: frame[name].to_numpy() for name in frame})


def refusal(reference):
    with pytest.raises(InputError) as caught:
        open_model(reference)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # LightGBM before 4.7 makes some up
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_through_skops_answers_are_the_same(tmp_path, estimator):
    estimator.fit(X, Y)
    skops.io.dump(estimator, tmp_path / "model.skops")
    model = open_model(tmp_path / "model.skops")
    np.testing.assert_array_equal(model.answer(Records(array=X)), estimator.predict_proba(X))
    np.testing.assert_array_equal(model.answer(Records(array=X)), open_model(estimator).answer(Records(array=X)))
    assert (model.classes, model.notes, len(model.fingerprint)) == (("0", "1"), (), 64)


@pytest.mark.parametrize("estimator", [ESTIMATORS[0], *ESTIMATORS[-2:]], ids=lambda each: type(each).__name__)
def test_columns_by_name(estimator):
    frame = FRAME.rename(columns={"a": "a b"})
    numbers = frame[["b", "a b", "c"]]
    fitted = clone(estimator).fit(numbers, Y)
    answers = open_model(fitted).answer(records(frame[["town", "c", "a b", "b"]]))
    np.testing.assert_allclose(answers, fitted.predict_proba(numbers), rtol=1e-12)


def test_a_search_as_scikit_learn_kept_it_until_1_7(tmp_path):
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=3).fit(X, Y)
    search.scorer_._metadata_request = MetadataRequest(owner="_PassthroughScorer")
    skops.io.dump(search, tmp_path / "model.skops")
    answers = open_model(tmp_path / "model.skops").answer(Records(array=X))
    np.testing.assert_array_equal(answers, search.predict_proba(X))


def test_names_that_lightgbm_made_up_for_an_array_are_none():
    """Before 4.7 it said that the columns of an array were Column_0, Column_1, ..."""
    fitted = LogisticRegression().fit(X, Y)
    answers = fitted.predict_proba(X)
    fitted.feature_names_in_ = np.array([f"Column_{number}" for number in range(X.shape[1])], dtype=object)
    model = open_model(fitted)
    np.testing.assert_array_equal(model.answer(Records(array=X)), answers)
    for names, x in (("abc", X), (fitted.feature_names_in_[::-1], X[:, ::-1])):
        columns = Records(columns=dict(zip(names, x.T, strict=True)))
        np.testing.assert_allclose(model.answer(columns), answers, rtol=1e-12)


def test_a_pipeline_that_chooses_columns(tmp_path):
    skops.io.dump(NAMED, tmp_path / "model.skops")
    model = open_model(tmp_path / "model.skops")
    np.testing.assert_array_equal(model.answer(records(FRAME)), NAMED.predict_proba(FRAME))
    assert model.classes == ("no", "yes")
    with pytest.raises(InputError, match="fitted on 4 columns, and the records lack 1 of these: 'town'; they have 'b'"):
        model.answer(records(FRAME.drop(columns="town")))
    with pytest.raises(InputError, match="the records are an array: bring them as a table with names"):
        model.answer(Records(array=X))


def test_texts_reach_a_pipeline_that_was_fitted_without_names():
    own = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    own.fit(FRAME[["town"]].to_numpy(), Y)
    assert open_model(own).answer(records(FRAME[["town"]])).shape == (120, 2)


def test_records_that_do_not_suit():
    model = open_model(LogisticRegression().fit(X, Y))
    with pytest.raises(InputError, match="X has 2 features, but .* All columns of the files but record, label"):
        model.answer(Records(array=X[:, :2]))
    with pytest.raises(InputError, match="could not convert string to float: '[xy]'. All columns"):
        model.answer(records(FRAME))
    with pytest.raises(InputError, match="Input X contains NaN"):
        model.answer(Records(array=np.full((2, 3), np.nan)))


def test_estimators_that_fail():
    class Failing(LogisticRegression):
        def predict_proba(self, X):
            raise RuntimeError("no memory\nmore")

    with pytest.raises(TrainingError, match="Failing fails to answer: RuntimeError: no memory.$"):
        open_model(Failing().fit(X, Y)).answer(Records(array=X))


def test_estimators_without_posteriors():
    assert "its margins are no posteriors. Calibrate it" in refusal(LinearSVC().fit(X, Y))
    assert "bring a classifier that has one" in refusal(LinearRegression().fit(X, Y))
    assert "must be fitted, and is not" in refusal(LogisticRegression())
    many = RandomForestClassifier(2).fit(X, np.column_stack([Y, Y]))
    assert "must have one target, and has 2" in refusal(many)


def test_living_estimators_are_known_by_content():
    one, same, other = (LogisticRegression(C=C).fit(X, Y) for C in (1, 1, 2))
    assert open_model(one).fingerprint == open_model(same).fingerprint != open_model(other).fingerprint
    unsaved = make_pipeline(FunctionTransformer(lambda x: x), LogisticRegression()).fit(X, Y)
    assert open_model(unsaved).fingerprint == "sklearn.pipeline.Pipeline"


@pytest.mark.parametrize("kind", ["skops", "joblib"])
def test_another_version_of_scikit_learn_is_said(tmp_path, monkeypatch, kind):
    path, fitted = tmp_path / f"model.{kind}", LogisticRegression().fit(X, Y)
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "1.2.3")
        (skops.io if kind == "skops" else joblib).dump(fitted, path)
    notes = open_model(path, trust_pickle=True).notes
    assert any("saved with scikit-learn 1.2.3 and read with" in note for note in notes)


def test_types_that_are_not_known(tmp_path):
    path = tmp_path / "model.skops"
    skops.io.dump(make_pipeline(FunctionTransformer(np.loadtxt), LogisticRegression()), path)
    message = refusal(path)
    assert "holds types that are not known to be harmless: 'numpy" in message
    assert "`trust_pickle=True`" in message
    assert not any("Function" in name or "operator" in name or "partial" in name for name in KNOWN_TYPES)


def test_skops_files_that_are_none(tmp_path):
    path = tmp_path / "model.skops"
    np.savez(tmp_path / "model.npz", x=X)
    (tmp_path / "model.npz").rename(path)
    assert "has no schema.json" in refusal(path)
    skops.io.dump({"no": "model"}, path)
    assert "got dict" in refusal(path) or "no `predict_proba`" in refusal(path)


def forge_tree(estimator, field, value):
    tree = (estimator.estimators_[0] if hasattr(estimator, "estimators_") else estimator).tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    tree.__setstate__(state)


@pytest.mark.parametrize(
    ("field", "value"), [("left_child", 10**6), ("right_child", 0), ("feature", 3), ("feature", -5)]
)
@pytest.mark.parametrize("estimator", [DecisionTreeClassifier(), RandomForestClassifier(2)], ids=["tree", "forest"])
def test_forged_trees(tmp_path, estimator, field, value):
    estimator.fit(X, Y)
    forge_tree(estimator, field, value)
    skops.io.dump(estimator, tmp_path / "model.skops")
    assert "holds a decision tree that points outside of itself" in refusal(tmp_path / "model.skops")


def test_forged_ensembles(tmp_path):
    path = tmp_path / "model.skops"
    forest = RandomForestClassifier(2).fit(X, Y)
    forest.n_features_in_ = 1
    skops.io.dump(forest, path)
    assert "points outside of itself" in refusal(path)
    boosted = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=5).fit(X, Y)
    boosted._predictors[1][0].nodes["feature_idx"][0] = 7
    skops.io.dump(boosted, path)
    assert "points outside of itself" in refusal(path)
