"""What addresses imported classifiers and networks: what functions hold, the files they stand in, what these import."""

import importlib
import sys
import zipfile
from functools import lru_cache, partial, wraps
from types import ModuleType

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from aftertrace._hashing import digest
from aftertrace.errors import UnsupportedError
from aftertrace.trainers import ImportedNetwork, Model, SklearnTrainer, _own_modules

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


NETWORK = """
import torch
from own_package import layers
from .parts.widths import WIDTH
from own_deep.inner.depths import DEPTH
class Net(torch.nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.layer = layers.Layer(n_features, n_classes)
    def forward(self, x):
        return self.layer(x)
def net(n_features, n_classes):
    return Net(n_features, n_classes)
def classifier():
    from sklearn.linear_model import LogisticRegression
    return LogisticRegression(C=WIDTH)
"""
LAYERS = """
import torch
try:
    import own_missing
except ImportError:
    pass
def of(width):
    import own_sizes.small
    return width * own_sizes.small.FACTOR
class Layer(torch.nn.Linear):
    pass
"""
FILES = {
    "own_package/__init__.py": "",
    "own_package/training.py": NETWORK,
    "own_package/layers.py": LAYERS,
    "own_package/parts/widths.py": "WIDTH = 3",
    "own_package/never.py": "",
    "own_deep/__init__.py": "",
    "own_deep/inner/__init__.py": "",
    "own_deep/inner/depths.py": "DEPTH = 2",
    "own_sizes/__init__.py": "",
    "own_sizes/small.py": "FACTOR = 2",
}


def forget_own_modules():
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def address_of(code, **params):
        forget_own_modules()
        (tmp_path / "own_training.py").write_text(code)
        return digest(Model(name="own_training:classifier", params=params).trainer())

    yield address_of
    forget_own_modules()


@pytest.fixture
def package_address(tmp_path, monkeypatch):
    """The address of `own_package.training:name` once `file` has another line."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, code in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(code)

    def address_of(name, edited=None):
        forget_own_modules()
        if edited is not None:
            (tmp_path / edited).write_text(FILES[edited] + "\nEDITED = True\n")
        try:
            return digest(Model(name=f"own_package.training:{name}").trainer())
        finally:
            if edited is not None:
                (tmp_path / edited).write_text(FILES[edited])

    yield address_of
    forget_own_modules()


def of(function):
    return digest(SklearnTrainer(make_pipeline(FunctionTransformer(function), LogisticRegression())))


def scaled(by):
    return lambda x, /, shift=by, *, factor=1: x * factor + shift


def decorated(by):
    def decorate(function):
        @wraps(function)
        def other(x):
            return by * function(x)

        return other

    return decorate


def plain(x):
    return x


class Scale:
    def __call__(self, x):
        return x

    def apply(self, x):
        return x


def test_parameters_and_the_file_of_the_maker(address):
    assert address(CODE, k=1) == address(CODE, k=1)
    other = (address(CODE, k=13), address(CODE, k=1, unused=1), address(CODE.replace("1.0", "10.00"), k=1))
    assert len({address(CODE, k=1), *other}) == 4


@pytest.mark.parametrize("name", ["Net", "net", "classifier"])
def test_files_of_ones_own_that_are_imported(name, package_address):
    """Whether one imports them as a module, a value, below a function or through another file; and the packages around
    them, whose `__init__` runs too.
    """
    before = package_address(name)
    seen = {file for file in FILES if package_address(name, file) != before}
    assert seen == set(FILES) - {"own_package/never.py"}
    assert package_address(name) == before


def test_packages_around_a_module_that_imports_nothing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    inner = tmp_path / "own_outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "alone.py").write_text("def plain(x):\n    return x\n")
    addresses = []
    for folder in (None, inner, inner.parent):
        forget_own_modules()
        if folder is not None:
            (folder / "__init__.py").write_text("import numpy")
        addresses.append(of(importlib.import_module("own_outer.inner.alone").plain))
    assert len(set(addresses)) == 3


ZIPPED = """
from sklearn.linear_model import LogisticRegression
from own_helper import factor
class Own(LogisticRegression):
    pass
def scale(x):
    return factor.FACTOR * x
"""


@pytest.mark.parametrize("name", ["scale", "Own"])
def test_modules_in_a_zip(name, tmp_path, monkeypatch):
    def address_of(number, helper, unused=""):
        forget_own_modules()
        path = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("own_zipped.py", ZIPPED)
            file.writestr("own_helper/__init__.py", "")
            file.writestr("own_helper/factor.py", helper)
            file.writestr("own_unused.py", unused)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(path)
            found = getattr(importlib.import_module("own_zipped"), name)
            return of(found) if name == "scale" else digest(SklearnTrainer(found()))

    first = address_of(1, "FACTOR = 1")
    assert address_of(2, "FACTOR = 1", unused="1") == first != address_of(3, "FACTOR = 2")
    forget_own_modules()


def test_a_file_that_cannot_be_read(address, tmp_path):
    address(OWN_CLASS + "def classifier():\n    return Own()\n")
    made = sys.modules["own_training"].classifier()
    assert digest(SklearnTrainer(made)) == digest(SklearnTrainer(made))
    (tmp_path / "own_training.py").write_text("edited, and not loaded: what runs is what it was")
    before = digest(SklearnTrainer(made))
    (tmp_path / "own_training.py").unlink()
    assert digest(SklearnTrainer(made)) == before
    _own_modules._TEXTS.clear()
    with pytest.raises(UnsupportedError, match=r"own_training.py: must be a file .*No such file.* Put it back"):
        digest(SklearnTrainer(made))


def test_a_zip_that_cannot_be_read_any_more(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "own.zip")
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as file:
        file.writestr("own_zipped.py", OWN_CLASS)
    forget_own_modules()
    made = importlib.import_module("own_zipped").Own()
    (tmp_path / "own.zip").write_bytes(bytes(1000))
    with pytest.raises(UnsupportedError, match=r"own_zipped.py: must be a file .*bad local file header"):
        digest(SklearnTrainer(made))
    forget_own_modules()


def test_an_address_is_of_what_is_loaded(tmp_path, monkeypatch):
    """A file that is changed counts when it is loaded again; one that is not loaded yet, at once."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_loaded.py").write_text("FACTOR = 1")
    (tmp_path / "own_late.py").write_text("SHIFT = 1")
    (tmp_path / "own_training.py").write_text(
        "import own_loaded\ndef scale(x):\n    import own_late\n    return own_loaded.FACTOR * x + own_late.SHIFT\n"
    )
    forget_own_modules()
    scale = importlib.import_module("own_training").scale
    first = of(scale)
    (tmp_path / "own_loaded.py").write_text("FACTOR = 20")
    assert of(scale) == first
    importlib.reload(sys.modules["own_loaded"])
    second = of(scale)
    (tmp_path / "own_late.py").write_text("SHIFT = 20")
    third = of(scale)
    assert len({first, second, third}) == 3
    scale(1)
    assert of(scale) == third
    forget_own_modules()


def test_each_file_is_read_once(package_address, monkeypatch):
    """Every unit of a run asks for its address, and a library in a plain folder has hundreds of files."""
    package_address("net")
    trainer = Model(name="own_package.training:net").trainer()
    digest(trainer)
    monkeypatch.setattr(_own_modules, "code_at", None)
    digest(trainer)


def test_what_a_function_holds():
    assert of(scaled(1)) == of(scaled(1))
    assert of(scaled(1)) != of(scaled(2))
    assert of(["a", "b"].index) != of(["b", "a"].index)


def test_what_a_function_decorates():
    assert of(decorated(1)(plain)) == of(decorated(1)(plain))
    assert len({of(decorated(1)(plain)), of(decorated(2)(plain)), of(plain), of(lru_cache(plain))}) == 4
    assert of(lru_cache(scaled(1))) != of(lru_cache(scaled(2)))


def test_functions_made_of_others_make_networks(monkeypatch):
    from torch.nn import Linear

    made = ModuleType("own_made")
    monkeypatch.setitem(sys.modules, "own_made", made)

    def network(maker):
        made.net = maker
        return digest(ImportedNetwork("own_made:net"))

    def outputs(n):
        return lambda n_features: Linear(n_features, n)

    assert network(outputs(2)) == network(outputs(2)) != network(outputs(3))
    assert network(partial(Linear, out_features=2)) != network(partial(Linear, out_features=3))


def test_a_class_made_in_a_notebook_is_its_methods(tmp_path):
    """Whose module has no file, but each of whose functions has the text of its cell."""

    def cell(answer):
        path = tmp_path / f"{answer}.py"
        path.write_text(
            f"from sklearn.base import BaseEstimator\n"
            f"class Own(BaseEstimator):\n    def predict_proba(self, x):\n        return {answer}\n"
        )
        made = {"__name__": "own_notebook"}
        exec(compile(path.read_text(), path, "exec"), made)
        return digest(SklearnTrainer(made["Own"]()))

    assert cell(1) == cell(1) != cell(2)


OWN_CLASS = """
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
class Own(BaseEstimator):
    def __init__(self, code=1, kind=None):
        self.code, self.kind = code, kind
    def predict_proba(self, x):
        return 1.0
"""


@pytest.mark.parametrize("made", ["Own()", "LogisticRegression(class_weight={0: Own})"])
def test_a_class_is_its_file(made, address):
    """Also as a parameter, and where a parameter is called `code`."""
    addresses = set()
    for answer in ("1.0", "2.0"):
        address(f"{OWN_CLASS}\ndef classifier():\n    return {made}\n".replace("1.0", answer))
        addresses.add(digest(SklearnTrainer(sys.modules["own_training"].classifier())))
    assert len(addresses) == 2


def test_what_cannot_be_addressed_is_refused():
    with pytest.raises(UnsupportedError, match="must hold plain values, arrays or functions.*it holds a Scale"):
        of(Scale().apply)
    made = {}
    exec("def twice(x):\n    return 2 * x", made)
    with pytest.raises(UnsupportedError, match="twice must have its source in a file"):
        of(made["twice"])
