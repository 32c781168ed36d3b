import os
import pickle
import sys
import zipfile

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from aftertrace.errors import InputError, TrainingError
from aftertrace.models import Model, Noted, Records, open_model
from aftertrace.models._open import PICKLES

SUFFIXES = (".skops", ".onnx", ".pt2", ".ts", ".torchscript", ".toml")
X = np.random.default_rng(0).normal(size=(60, 2))
FITTED = LogisticRegression().fit(X, np.where(X[:, 0] > 0, "yes", "no"))
CODE = """
import numpy as np
import torch

def scorer(x):
    return np.column_stack([x[:, 0] * 0 + .25, x[:, 0] * 0 + .75])

scorer.classes = ["no", "yes"]

def failing(x):
    raise KeyError("age")

class Network(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 3)

def network():
    torch.manual_seed(0)
    return Network()

def unmade():
    raise RuntimeError("no network")

living = Network()
nothing = 3
"""


class Payload:
    """Leaves a folder where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def code(tmp_path, monkeypatch):
    (tmp_path / "own_model_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_model_code", raising=False)
    return "own_model_code"


def refusal(reference, **arguments):
    with pytest.raises(InputError) as caught:
        open_model(reference, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [*SUFFIXES, *PICKLES])
@pytest.mark.parametrize("disguise", ["pickle", "protocol 2", "compressed", "torch"])
def test_a_pickle_under_any_name_runs_nothing(tmp_path, suffix, disguise):
    path, mark = tmp_path / f"model{suffix}", tmp_path / "mark"
    if disguise == "torch":
        torch.save(Payload(mark), path)
    elif disguise == "compressed":
        joblib.dump(Payload(mark), path, compress=("zlib", 3))
    else:
        path.write_bytes(pickle.dumps(Payload(mark), protocol=2 if disguise == "protocol 2" else 4))
    message = refusal(path)
    assert not mark.exists()
    if suffix in PICKLES:
        assert "runs code of whoever made it; it was not read. If you trust it, say `trust_pickle=True`" in message
    elif disguise != "compressed":
        assert "holds a pickle under another name" in message
    assert not mark.exists()


def test_the_payload_would_have_run(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Payload(tmp_path / "mark")))
    refusal(path, trust_pickle=True)
    assert (tmp_path / "mark").is_dir()


@pytest.mark.parametrize("suffix", PICKLES)
@pytest.mark.parametrize("compress", [0, 3])
def test_trusted_pickles(tmp_path, suffix, compress):
    path = tmp_path / f"model{suffix}"
    joblib.dump(FITTED, path, compress=compress)
    model = open_model(path, trust_pickle=True)
    np.testing.assert_array_equal(model.answer(Records(array=X)), FITTED.predict_proba(X))
    assert model.classes == ("no", "yes")
    assert len(model.fingerprint) == 64
    assert isinstance(model, Noted)
    assert "can run any code of whoever made it" in model.notes[0]


def test_pickles_that_cannot_be_read(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(FITTED)[:-20])
    assert "Is all installed that it was saved with?" in refusal(path, trust_pickle=True)
    path.write_bytes(b"cnot_installed_here\nModel\n.")
    assert "ModuleNotFoundError: No module named 'not_installed_here'" in refusal(path, trust_pickle=True)
    path.write_bytes(pickle.dumps({"weights": 1}))
    assert "got dict" in refusal(path, trust_pickle=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_that_are_no_models(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    for content, message in (
        (b"", "is empty"),
        (b"  <!DOCTYPE html><title>Sign in", "holds a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "only a pointer of Git LFS"),
        (bytes(range(1, 200)), str(path)),
    ):
        path.write_bytes(content)
        assert message in refusal(path)


def test_zip_bombs(tmp_path):
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("a", "w") as member:
        for _ in range(300):
            member.write(bytes(2**20))
    for suffix in (".skops", ".pt2", ".ts"):
        path = path.rename(path.with_suffix(suffix))
        assert "would become 300 MiB when unpacked" in refusal(path)


def test_references_that_lead_nowhere(tmp_path):
    (tmp_path / "before.skops").write_bytes(b"x")
    assert "is 'before.skops' meant" in refusal(tmp_path / "befor.skops")
    assert "package.module:name (is 'before.skops' meant?)." in refusal(tmp_path / "before.skop")
    assert "is a folder" in refusal(tmp_path)
    assert "a model must be a file ending in .skops, .onnx" in refusal("model.h5")
    assert "package.module:factory@weights.safetensors" in refusal("weights.pt")
    assert "Files of posteriors must be given for all versions" in refusal("before.csv")
    assert "there is no 'model' in module 'not_installed_here'" in refusal("not_installed_here:model")
    assert "there is no such file" in refusal("package.module:factory@weights.pt")


def test_functions_by_import_path(code):
    model = open_model(f"{code}:scorer")
    assert isinstance(model, Model)
    assert model.classes == ("no", "yes")
    np.testing.assert_array_equal(model.answer(Records(array=X)), [[0.25, 0.75]] * len(X))
    assert model.fingerprint == open_model(f"{code}:scorer").fingerprint != open_model(f"{code}:failing").fingerprint
    with pytest.raises(
        TrainingError, match=r"own_model_code:failing fails on records of shape \[60, 2\]: KeyError: 'age'"
    ):
        open_model(f"{code}:failing").answer(Records(array=X))
    assert "got int" in refusal(f"{code}:nothing")


def test_networks_by_import_path(code):
    for name in ("network", "Network", "living"):
        model = open_model(f"{code}:{name}", classes=["a", "b", "c"])
        assert model.answer(Records(array=X)).shape == (60, 3)
        assert model.classes == ("a", "b", "c")
    assert "fails when it is called for a model (no network)" in refusal(f"{code}:unmade")


def test_a_factory_with_weights(code, tmp_path):
    network = torch.nn.Linear(2, 3)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    model = open_model(f"{code}:network@weights.pt")
    expected = network(torch.tensor(X, dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(model.answer(Records(array=X)), expected, rtol=1e-6)


def test_a_module_that_fails(code, tmp_path):
    (tmp_path / "own_broken_code.py").write_text("1 / 0")
    assert "module 'own_broken_code' fails when it is imported (division by zero)" in refusal("own_broken_code:f")


def test_the_current_folder_hides_nothing_installed(code, tmp_path):
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('hidden')")
    sys.modules.pop("colorsys", None)
    assert "got tuple" not in refusal("colorsys:ONE_THIRD")


def test_living_objects():
    model = open_model(FITTED)
    assert open_model(model) is model
    assert open_model(torch.nn.Linear(2, 2)).classes is None
    loss = open_model(lambda x: x[:, 0] ** 2)
    np.testing.assert_array_equal(loss.answer(Records(array=X)), X[:, :1] ** 2)
    for wrong in (None, 3, LogisticRegression, {"a": 1}):
        assert "A model must be a fitted estimator" in refusal(wrong)


def test_functions_get_frames_where_there_are_texts():
    seen = []
    records = Records(columns={"age": np.array([1, 2]), "town": np.array(["a", "b"])})
    open_model(lambda x: seen.append(x) or np.zeros((2, 2))).answer(records)
    assert list(seen[0].columns) == ["age", "town"]
    open_model(lambda x: seen.append(x) or np.zeros((2, 2))).answer(Records(columns={"age": np.array([1, 2])}))
    np.testing.assert_array_equal(seen[1], [[1], [2]])
