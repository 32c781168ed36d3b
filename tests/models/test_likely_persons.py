"""Columns that look as if they named persons: found where they do, and no others."""

import joblib
import numpy as np
import pandas as pd
import pytest
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression
from torch import nn

from aftertrace.models import Records, open_model
from aftertrace.models._likely_persons import is_feature, likely_person, taken_by
from aftertrace.posteriors._columns import is_of_persons, is_persons_number

N = 120
ROLE = np.repeat(np.array([0, 1], dtype=np.int8), N // 2)
RNG = np.random.default_rng(0)
PERSON = np.arange(N) // 3
"""Of three records each, all of one role."""
TORN = np.arange(N) % 40
"""Of three records each, of both roles."""
DATES = [f"2024-{1 + k // 5 % 12:02}-{1 + k // 60:02}" for k in range(N)]


def found(column, name="patient_id", *, taken=None, **options):
    records = Records(columns={"age": RNG.normal(size=N), name: np.asarray(column)})
    return likely_person(records, ROLE, taken=taken, **options)


@pytest.mark.parametrize(
    "name", ["patient_id", "PatientID", "customer no", "user_key", "member_nr", "members_id", "id_person"]
)
def test_names_of_persons_numbers(name):
    assert is_persons_number(name)
    assert found(TORN, name) == name  # the next error says which person has two roles
    assert found([f"p{k}" for k in PERSON], name) == name


@pytest.mark.parametrize("name", ["patient", "Customer", "household_name", "subjects"])
def test_names_of_persons(name):
    assert is_of_persons(name)
    assert found(PERSON, name) == name
    assert found(TORN, name) is None  # such as a school's subjects


@pytest.mark.parametrize(
    "name", ["id", "age", "user_agent", "customer_type", "members_only", "identity", "clientele", "employees_number"]
)
def test_other_names(name):
    assert not is_persons_number(name)
    assert not is_of_persons(name)
    assert found(PERSON, name) is None


@pytest.mark.parametrize(
    "column",
    [
        np.arange(N),  # each record is a person's of its own
        np.arange(N) % 5,  # categories
        RNG.normal(size=N).repeat(2)[:N],  # measurements
        np.where(np.arange(N) % 2, "yes", "no").astype(object),
        np.full(N, np.nan),
        np.arange(N) % 2 == 0,
        np.array(DATES, dtype=object),
        np.array([date.replace("-", "/") for date in DATES], dtype=object),
        np.array([date.replace("-", "") for date in DATES], dtype=object),
        np.array([int(date.replace("-", "")) for date in DATES]),
        np.array([np.nan, *(float(date.replace("-", "")) for date in DATES[1:])]),
        np.array([f"{k // 3 % 24}:{k % 2}0:00" for k in range(N)], dtype=object),
        np.array([f"{k // 3 % 24}:{k % 2}0" for k in range(N)], dtype=object),
    ],
)
def test_values_that_name_nobody(column):
    assert found(column) is None
    assert found(column, "ward", taken=("age",)) is None


def test_what_a_model_takes_is_a_feature():
    assert found(PERSON, taken=("age", "patient_id")) is None
    assert found(PERSON, taken=("age",)) == "patient_id"


def test_a_column_of_any_name_that_no_model_takes():
    assert found(PERSON, "ward", taken=("age",)) == "ward"
    assert found(TORN, "ward", taken=("age",)) is None
    assert found(PERSON, "ward") is None
    assert found(PERSON, "ward", taken=("age",), named=True) is None


def test_the_name_decides_between_several():
    columns = {"ward": PERSON, "patient": PERSON, "customer_id": PERSON}
    for expected in ("customer_id", "patient", "ward"):
        assert likely_person(Records(columns=columns), ROLE, taken=()) == expected
        columns.pop(expected)
    assert likely_person(Records(array=np.zeros((N, 2))), ROLE) is None


def test_gaps_are_no_value():
    gaps = np.arange(N) % 20 == 0  # in both roles
    for column in (np.where(gaps, np.nan, PERSON), np.where(gaps, np.nan, np.array([f"p{k}" for k in PERSON], object))):
        assert found(column) == "patient_id"
        assert found(column, "ward", taken=("age",)) == "ward"


def test_numbers_that_begin_with_a_date_of_birth():
    birth = [f"1980{1 + k % 12:02}{1 + k // 12 % 28:02}" for k in PERSON]
    for numbers in ([f"{date}1234" for date in birth], [f"{date}-1234" for date in birth]):
        assert found(numbers, "ward", taken=("age",)) == "ward"


def test_which_columns_models_take(tmp_path):
    x = pd.DataFrame(RNG.normal(size=(N, 2)), columns=["age", "blood sugar"])
    records = Records(columns={"patient_id": PERSON, **{name: x[name].to_numpy() for name in x}})
    named = LogisticRegression().fit(x, ROLE)
    nameless = LogisticRegression().fit(records.as_array(), ROLE)
    joblib.dump(named, tmp_path / "named.joblib")
    together = skl2onnx.to_onnx(nameless, np.zeros((1, 3), dtype=np.float32))
    alone = skl2onnx.to_onnx(
        LogisticRegression().fit(x[["blood sugar"]], ROLE), initial_types=[("blood_sugar", FloatTensorType([None, 1]))]
    )
    for name, graph in (("together", together), ("alone", alone)):
        (tmp_path / f"{name}.onnx").write_bytes(graph.SerializeToString())
    everything = ("patient_id", "age", "blood sugar")
    for reference, expected in (
        (named, ("age", "blood sugar")),
        (tmp_path / "named.joblib", ("age", "blood sugar")),
        (nameless, everything),
        (nn.Linear(3, 2), everything),
        (tmp_path / "together.onnx", everything),
        (tmp_path / "alone.onnx", ("blood sugar",)),
        (lambda x: x, None),
    ):
        model, without = open_model(reference, trust_pickle=True), Records(columns={"age": PERSON, "ward": PERSON})
        assert taken_by(model, records) == expected
        wanted = [name for name in ("blood sugar", "patient_id") if is_feature(model, name, without)]
        if reference is nameless:
            assert wanted == ["blood sugar", "patient_id"]  # it has one column more, and knows no names
        else:
            assert wanted == (["blood sugar"] if expected not in (None, everything) else [])
