"""Models that take tables: pipelines that name columns, and commands that read a CSV file."""

import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from aftertrace._hashing import digest
from aftertrace.data import Csv, load
from aftertrace.errors import TrainingError
from aftertrace.trainers import SklearnTrainer, TrainingData, check_trainer
from aftertrace.trainers._command import CommandTrainer

JOBS = ("baker", "clerk", "smith")


def naming(**encoder):
    encode = make_column_transformer((OneHotEncoder(**encoder), ["job", "town"]), (StandardScaler(), ["age"]))
    return make_pipeline(encode, LogisticRegression())


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(0)
    n = 60
    job, town = rng.choice(JOBS, size=n), rng.choice(["Bonn", "Ulm", ""], size=n)
    age = rng.integers(20, 70, size=n)
    bought = np.where(age + 10 * (job == "clerk") + rng.normal(size=n) > 45, "yes", "no")
    height = [f"{value:.1f}" if value > 1.6 else "" for value in rng.normal(1.8, 0.2, size=n)]
    file = tmp_path_factory.mktemp("frames") / "shop.csv"
    pd.DataFrame({"job": job, "age": age, "town": town, "height": height, "bought": bought}).to_csv(file, index=False)
    return file


def training(path, encoding="frame", drop=()):
    data = load(Csv(path=str(path), target="bought", drop=drop, encoding=encoding))
    return TrainingData(data.x, data.label, 2, frame=data.frame)


def fit(trainer, data, keep=None):
    keep = np.ones((1, len(data.label)), dtype=bool) if keep is None else keep
    return trainer.fit(data, keep, streams=[np.random.SeedSequence(k) for k in range(len(keep))])


def ask(models, data):
    return models.log_posteriors(data.x, np.zeros(len(data.x), dtype=np.int64))


def test_a_pipeline_that_names_columns_is_trained_as_on_the_file_itself(path):
    data, table = training(path), pd.read_csv(path)
    keep = np.ones((2, 60), dtype=bool)
    keep[1, ::7] = False
    models = fit(SklearnTrainer(naming()), data, keep)
    for number, row in enumerate(keep):
        alone = naming().fit(table[row].drop(columns="bought"), table["bought"][row])
        expected = np.log(alone.predict_proba(table.drop(columns="bought")))
        assert np.array_equal(models.log_posteriors(data.x, np.full(60, number)), expected)


def test_gaps_reach_the_model(path):
    grow = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5, random_state=0)
    trees = make_pipeline(make_column_transformer(("passthrough", ["height"])), grow)
    data, table = training(path), pd.read_csv(path)
    assert table["height"].isna().any()
    alone = trees.fit(table, table["bought"])
    assert np.array_equal(ask(fit(SklearnTrainer(trees), data), data), np.log(alone.predict_proba(table)))
    linear = make_pipeline(make_column_transformer(("passthrough", ["height"])), LogisticRegression())
    with pytest.raises(TrainingError, match="could not be trained on 60 records of 2 classes: Input X contains NaN"):
        fit(SklearnTrainer(linear), training(path))


def test_without_a_frame_a_pipeline_gets_arrays():
    check_trainer(
        SklearnTrainer(make_pipeline(make_column_transformer((StandardScaler(), [0, 1])), LogisticRegression()))
    )


def by_name(frame):
    return frame[["age"]]


def ages_of(frame):
    return frame.age.to_frame()


@pytest.mark.parametrize(
    "model",
    [
        naming(),
        *(make_pipeline(FunctionTransformer(function), LogisticRegression()) for function in (by_name, ages_of)),
    ],
    ids=["transformer", "key", "attribute"],
)
def test_a_pipeline_that_names_columns_of_an_array_is_told_of_frames(path, model):
    with pytest.raises(
        TrainingError, match=r'could not be trained on 60 .*\. To get a data frame, set data.encoding = "fr'
    ):
        fit(SklearnTrainer(model), training(path, encoding="codes"))
    assert np.isfinite(ask(fit(SklearnTrainer(model), training(path)), training(path))).all()


def test_texts_that_a_model_cannot_take_are_told(path):
    with pytest.raises(
        TrainingError, match=r"could not convert string to float: '\w+'\. Encode texts in a pipeline, or"
    ):
        fit(SklearnTrainer(LogisticRegression()), training(path, drop=("height",)))
    data = training(path)
    keep = data.frame.read(data.x)["job"] != "smith"
    with pytest.raises(
        TrainingError,
        match=r"Pipeline could not answer for 60 records: Found unknown categories \['smith'\] .*"
        r'Its training records had no such text: set handle_unknown="ignore" of the encoder',
    ):
        ask(fit(SklearnTrainer(naming()), data, keep[None]), data)
    assert np.isfinite(ask(fit(SklearnTrainer(naming(handle_unknown="ignore")), data, keep[None]), data)).all()


def test_a_model_that_fails_without_a_word_is_named(path):
    class Silent(LogisticRegression):
        def predict_proba(self, X):
            raise RuntimeError

    with pytest.raises(TrainingError, match="Silent could not answer for 60 records: RuntimeError"):
        ask(fit(SklearnTrainer(Silent()), training(path, encoding="codes", drop=("height",))), training(path, "codes"))


def test_what_a_pipeline_calls_is_part_of_its_address():
    functions = (by_name, ages_of, np.log1p, len, str.lower, partial(np.clip, a_min=0), partial(np.clip, a_min=1))
    selectors = (make_column_selector(dtype_include="number"), make_column_selector(pattern="a"), slice(1), slice(2))
    models = [make_pipeline(FunctionTransformer(each), LogisticRegression()) for each in functions]
    models += [make_column_transformer((StandardScaler(), each)) for each in selectors]
    addresses = [digest(SklearnTrainer(model)) for model in models]
    assert len(set(addresses)) == len(addresses)
    assert addresses == [digest(SklearnTrainer(model)) for model in models]


TRAIN = """
import sys
import joblib, pandas
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
records, model = sys.argv[1:3]
table = pandas.read_csv(records)
label = table.pop("bought") {change}
encode = make_column_transformer((OneHotEncoder(), ["job", "town"]), (StandardScaler(), ["age"]))
joblib.dump(make_pipeline(encode, LogisticRegression()).fit(table, label), model)
table.to_csv(sys.argv[3], index=False)
"""


def by_command(tmp_path, change=""):
    script, copy = tmp_path / "train.py", tmp_path / "copy.csv"
    script.write_text(TRAIN.format(change=change))
    return CommandTrainer(command=f"{sys.executable} {script} {{records}} {{model}} {copy}", suffix=".joblib"), copy


@pytest.mark.parametrize("change", ["", ".map({'no': 0, 'yes': 1})"], ids=["names", "numbers"])
def test_a_command_gets_the_table_and_names_classes_or_numbers_them(tmp_path, path, change):
    trainer, copy = by_command(tmp_path, change)
    data, table = training(path), pd.read_csv(path)
    models = fit(trainer, data)
    pd.testing.assert_frame_equal(pd.read_csv(copy), table.drop(columns="bought"))
    alone = naming().fit(table.drop(columns="bought"), table["bought"])
    assert np.allclose(np.exp(ask(models, data)), alone.predict_proba(table.drop(columns="bought")), atol=1e-12)


def test_a_command_whose_model_has_other_classes_is_refused(tmp_path, path):
    trainer, _ = by_command(tmp_path, ".str.upper()")
    data = training(path)
    with pytest.raises(
        TrainingError, match="a column per class, named 'no', 'yes', or 0 to 1; got 'NO', 'YES', and 2 c"
    ):
        ask(fit(trainer, data), data)
