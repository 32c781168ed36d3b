"""What addresses an imported classifier: all that its functions hold, and the files that they stand in."""

import importlib
import sys

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from aftertrace._hashing import digest
from aftertrace.errors import UnsupportedError
from aftertrace.trainers import Model, SklearnTrainer

CODE = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
FACTOR = 1.0
def keep_first(k):
    def cut(x):
        return x[:, :k] * FACTOR
    return cut
def classifier(k=1, unused=0):
    return make_pipeline(FunctionTransformer(keep_first(k)), LogisticRegression())
"""


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def address_of(code, **params):
        sys.modules.pop("own_training", None)
        (tmp_path / "own_training.py").write_text(code)
        importlib.invalidate_caches()
        return digest(Model(name="own_training:classifier", params=params).trainer())

    yield address_of
    sys.modules.pop("own_training", None)


def of(function):
    return digest(SklearnTrainer(make_pipeline(FunctionTransformer(function), LogisticRegression())))


def scaled(by):
    return lambda x, /, shift=by, *, factor=1: x * factor + shift


class Scale:
    def __call__(self, x):
        return x

    def apply(self, x):
        return x


def test_parameters_and_the_file_of_the_maker(address):
    assert address(CODE, k=1) == address(CODE, k=1)
    other = (address(CODE, k=13), address(CODE, k=1, unused=1), address(CODE.replace("1.0", "10.00"), k=1))
    assert len({address(CODE, k=1), *other}) == 4


def test_what_a_function_holds():
    assert of(scaled(1)) == of(scaled(1))
    assert of(scaled(1)) != of(scaled(2))
    assert of(["a", "b"].index) != of(["b", "a"].index)


def test_what_cannot_be_addressed_is_refused():
    with pytest.raises(UnsupportedError, match="must hold plain values, arrays or functions.*it holds a Scale"):
        of(Scale().apply)
    made = {}
    exec("def twice(x):\n    return 2 * x", made)
    with pytest.raises(UnsupportedError, match="twice must have its source in a file"):
        of(made["twice"])
