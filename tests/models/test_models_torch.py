"""Networks of torch, however they are brought; nothing in a file is run but arithmetic."""

import contextlib
import json
import os
import pickle
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from aftertrace.errors import InputError, TrainingError, UnsupportedError
from aftertrace.models._records import Records
from aftertrace.models._torch import open_exported, open_factory, open_torchscript, wrap_module

Q, F, K = 5, 4, 3


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(F, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, K))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


class Image(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, K))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).softmax(-1)


class Text(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 6)
        self.cells = nn.LSTM(6, 5, batch_first=True)
        self.last = nn.Linear(5, K)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.cells(self.words(x) * x.shape[1] ** 0.5)
        return self.last(states[:, -1])


class Mixed(nn.Module):
    """Operators with several answers, sizes, infinities and other types."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(F, K)
        self.register_buffer("shift", torch.ones(K), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x) + self.shift
        largest, _ = y.max(1, keepdim=True)
        first, second, third = torch.split(y, 1, dim=1)
        y = torch.clamp(y.masked_fill(y > 9.0, -torch.inf), -torch.inf, 3.0)
        pairs = torch.cat([y, y]).reshape(2 * x.shape[0], 3)[: x.shape[0], [0, 2, 1]]
        return (
            torch.cat([first, second, third], 1) + largest + pairs.to(torch.float64) + torch.full((x.shape[0], 3), 2.0)
        )


class TwoAnswers(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x * 2, x + 1


class WithoutGradients(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            y = x * 2
        return y + 1


class Writing(nn.Module):
    """Stands for a file of somebody else: it says what else its code does as it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(K))

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        self.weight = state[0]
        self.training = state[1]
        torch.ops.aten.save(self.weight, "PATH")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


NETWORKS = {
    Plain: (Q, F),
    Image: (Q, 1, 8, 8),
    Text: None,
    Mixed: (Q, F),
}


def network(kind):
    """A network, and records for it."""
    torch.manual_seed(0)
    module = kind().eval()
    x = torch.randint(0, 11, (Q, 6)) if NETWORKS[kind] is None else torch.randn(NETWORKS[kind])
    return module, x


def answers(module, x):
    with torch.no_grad():
        return module(x).double().numpy()


def scripted(module, path, *, example=None, freeze=False):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.jit.script(module) if example is None else torch.jit.trace(module, example)
        torch.jit.save(torch.jit.freeze(program) if freeze else program, path)
    return path


def exported(module, path, example, *, dynamic=True):
    shapes = ({0: torch.export.Dim("q")},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, (example,), dynamic_shapes=shapes), path)
    return path


def edited(source, target, change):
    """A copy of an archive whose members are what `change(name, held)` says; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for each in old.infolist():
            if (held := change(each.filename.partition("/")[2], old.read(each))) is not None:
                new.writestr(each.filename, held)
    return target


def one_line(raised):
    text = str(raised.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


# Living modules and factories


def test_a_living_module_is_asked_in_evaluation_and_left_as_it_was():
    module, x = network(Plain)
    expected = answers(module, x)
    module.train()
    module.body[1].eval()
    before = [part.training for part in module.modules()]
    model = wrap_module(module)
    got = model.answer(Records(array=x.numpy()))
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, expected)
    assert [part.training for part in module.modules()] == before
    assert all(parameter.grad is None for parameter in module.parameters())


def test_records_become_of_the_type_of_the_first_parameter():
    module, x = network(Plain)
    double = wrap_module(module.double())
    np.testing.assert_array_equal(double.answer(Records(array=x.double().numpy())), answers(module, x.double()))
    text, words = network(Text)
    table = Records(columns={f"w{i}": words.numpy()[:, i] for i in range(6)})  # as floats, as files hold them
    np.testing.assert_array_equal(wrap_module(text).answer(table), answers(text, words))


def test_fingerprints_are_of_content():
    first, second = network(Plain)[0], network(Plain)[0]
    assert wrap_module(first).fingerprint == wrap_module(second).fingerprint
    second.body[1].running_mean += 1
    assert wrap_module(first).fingerprint != wrap_module(second).fingerprint
    assert wrap_module(first.to(torch.bfloat16)).fingerprint != wrap_module(first.float()).fingerprint


def test_classes_are_those_given_or_the_modules_own():
    module, _ = network(Plain)
    assert wrap_module(module).classes is None
    module.classes = ["a", "b", "c"]
    assert wrap_module(module).classes == ("a", "b", "c")
    assert wrap_module(module, classes=[0, 1, 2]).classes == ("0", "1", "2")


@pytest.fixture
def factory(tmp_path, monkeypatch):
    """The reference of a factory in a module of the current folder."""
    (tmp_path / "my_network.py").write_text(
        "from torch import nn\n\ndef make():\n    return nn.Linear(4, 3)\n\ndef number():\n    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_network", raising=False)
    return "my_network:make"


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth"])
def test_a_factory_with_weights(factory, tmp_path, suffix):
    torch.manual_seed(1)
    module, x = nn.Linear(F, K), torch.randn(Q, F)
    path = tmp_path / f"w.{suffix}"
    save_file(module.state_dict(), path) if suffix == "safetensors" else torch.save(module.state_dict(), path)
    model = open_factory(factory, path, classes=("a", "b", "c"))
    np.testing.assert_array_equal(model.answer(Records(array=x.numpy())), answers(module, x))
    assert model.classes == ("a", "b", "c")
    assert model.fingerprint != open_factory(factory, None).fingerprint
    assert model.fingerprint == open_factory(factory, path).fingerprint


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.ones(K, F)}, "missing: bias"),
        ({"weight": torch.ones(K, F), "b": torch.ones(K)}, "missing: bias and unexpected: b"),
        ({"weight": torch.ones(K, 9), "bias": torch.ones(K)}, "size mismatch for weight"),
        ({f"x{i}": torch.ones(1) for i in range(9)}, "unexpected: x0, x1, x2 and 6 more"),
    ],
)
def test_weights_of_another_network(factory, tmp_path, state, message):
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=message) as raised:
        open_factory(factory, tmp_path / "w.safetensors")
    one_line(raised)


def test_weights_are_not_unpickled_by_a_torch_with_known_holes(factory, tmp_path, monkeypatch):
    torch.save(nn.Linear(F, K).state_dict(), tmp_path / "w.pt")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(InputError, match="torch 2.10 or later") as raised:
        open_factory(factory, tmp_path / "w.pt")
    one_line(raised)


def test_checkpoints_that_are_more_than_weights(factory, tmp_path):
    torch.save({"epoch": 3, "state": {"weight": torch.ones(K, F)}}, tmp_path / "w.pt")
    with pytest.raises(InputError, match="mapping of names to tensors") as raised:
        open_factory(factory, tmp_path / "w.pt")
    one_line(raised)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("my_network:nothing", "there is no 'nothing'"),
        ("no_such_package:make", "No module named"),
        ("my_network:number", "must make a torch.nn.Module, got int"),
    ],
)
def test_what_makes_no_network(factory, reference, message):
    with pytest.raises(InputError, match=message) as raised:
        open_factory(reference, None)
    one_line(raised)


# TorchScript and torch.export


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("how", ["script", "trace", "freeze"])
def test_torchscript_answers_like_its_module(tmp_path, kind, how):
    module, x = network(kind)
    path = scripted(module, tmp_path / "m.ts", example=x if how == "trace" else None, freeze=how == "freeze")
    model = open_torchscript(path)
    for _ in range(3):  # the interpreter changes a program as it learns of its inputs
        np.testing.assert_allclose(model.answer(Records(array=x.numpy())), answers(module, x), rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # of torch 2.10, which loads what it wrote
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("dynamic", [True, False], ids=["dynamic", "fixed"])
def test_exported_programs_answer_as_torch_runs_them(tmp_path, kind, dynamic):
    module, x = network(kind)
    path = exported(module, tmp_path / "m.pt2", x if dynamic else x[:3], dynamic=dynamic)
    model = open_exported(path)
    got = model.answer(Records(array=x.numpy()))
    twin = torch.export.load(path).module()
    parts = [x] if dynamic else [x[:3], torch.cat([x[3:], x[-1:]])]
    np.testing.assert_array_equal(got, np.concatenate([answers(twin, part) for part in parts])[:Q])
    np.testing.assert_allclose(got, answers(module, x), rtol=0, atol=1e-6)
    one = model.answer(Records(array=x[:1].numpy()))
    np.testing.assert_allclose(one, got[:1], rtol=0, atol=1e-6)


def test_fingerprints_of_files_are_their_digests(tmp_path):
    import hashlib

    module, x = network(Plain)
    for model, path in [
        (open_torchscript(scripted(module, tmp_path / "m.ts")), tmp_path / "m.ts"),
        (open_exported(exported(module, tmp_path / "m.pt2", x)), tmp_path / "m.pt2"),
    ]:
        assert model.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()


def test_records_of_another_shape_are_one_line(tmp_path):
    module, x = network(Plain)
    models = [
        wrap_module(module),
        open_torchscript(scripted(module, tmp_path / "m.ts")),
        open_exported(exported(module, tmp_path / "m.pt2", x)),
    ]
    for model in models:
        with pytest.raises(InputError, match=r"\[5, 7\]: mat1 and mat2 shapes cannot be multiplied") as raised:
            model.answer(Records(array=np.ones((Q, 7))))
        one_line(raised)
        with pytest.raises(InputError, match="numbers, got <U1") as raised:
            model.answer(Records(array=np.array([["a"] * F])))
        one_line(raised)


def test_answers_must_be_one_table(tmp_path):
    x = np.ones((Q, F))
    with pytest.raises(TrainingError, match="got tuple") as raised:
        wrap_module(TwoAnswers()).answer(Records(array=x))
    one_line(raised)
    with pytest.raises(TrainingError, match=r"shape \[5, 2, 2\]") as raised:
        wrap_module(nn.Unflatten(1, (2, 2))).answer(Records(array=x))
    one_line(raised)
    with pytest.raises(InputError, match="not with 2") as raised:
        open_exported(exported(TwoAnswers(), tmp_path / "m.pt2", torch.ones(Q, F)))
    one_line(raised)
    assert wrap_module(nn.Flatten(0)).answer(Records(array=np.ones((Q, 1)))).shape == (Q, 1)


def test_programs_exported_in_training_mode_are_refused(tmp_path):
    path = exported(Plain().train(), tmp_path / "m.pt2", torch.randn(Q, F))
    with pytest.raises(InputError, match="training mode") as raised:
        open_exported(path)
    one_line(raised)


# Files that would do more than compute


@pytest.mark.parametrize("suffix", ["pt", "pth", "safetensors", "ts", "pt2"])
@pytest.mark.parametrize("form", ["plain", "torch"])
def test_a_pickle_under_another_name_runs_nothing(factory, tmp_path, suffix, form):
    path, mark = tmp_path / f"m.{suffix}", tmp_path / "mark"
    path.write_bytes(pickle.dumps(Payload(mark))) if form == "plain" else torch.save(Payload(mark), path)
    openers = {"ts": open_torchscript, "pt2": open_exported}
    with pytest.raises(InputError) as raised:
        openers.get(suffix, lambda weights: open_factory(factory, weights))(path)
    one_line(raised)
    assert not mark.exists()


def test_torchscript_that_writes_as_it_is_loaded(tmp_path):
    mark = tmp_path / "mark"
    path = edited(
        scripted(Writing(), tmp_path / "own.ts"),
        tmp_path / "m.ts",
        lambda name, held: held.replace(b"PATH", str(mark).encode()) if name.endswith(".py") else held,
    )
    with pytest.raises(InputError, match="'save'") as raised:
        open_torchscript(path)
    one_line(raised)
    assert not mark.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.load(path)
    assert mark.exists(), "torch itself runs it: else this test shows nothing"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('torch.from_file("PATH", True, 4)', "'from_file'"),
        ('getattr(torch, "sa\\166e")(x, "PATH")', "an attribute written as torch does not"),
        ('getattr(torch, "sa" "ve")(x, "PATH")', "an attribute written as torch does not"),
        ("ops.mine.call(x)", "an operator that is none"),
        ("ops.prim.PythonOp(x)", "an operator that is none"),
        ('getattr(ops, "mine")', "an operator that is none"),
        ("__torch__.torch.classes.mine.Loader()", "a class that is not written in TorchScript"),
        ("(__torch__.torch). classes", "a class that is not written in TorchScript"),
        ('getattr(x, "classes")', "a class that is not written in TorchScript"),
        ("x\xa0", "characters that torch does not write"),
    ],
)
def test_torchscript_that_reaches_out(tmp_path, code, message):
    def change(name, held):
        return (
            held.replace(b"return (body)", f"y = {code}\n    return (body)".encode()) if name.endswith(".py") else held
        )

    path = edited(scripted(Plain(), tmp_path / "own.ts"), tmp_path / "m.ts", change)
    with pytest.raises(InputError, match=message) as raised:
        open_torchscript(path)
    one_line(raised)


def test_torchscript_is_loaded_from_what_was_read(tmp_path):
    """Members that a model does not need do not reach torch; two members of one name are refused."""
    module, x = network(Plain)
    path = scripted(module, tmp_path / "m.ts")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("m/model.json", "{}")
        archive.writestr("m/extra/readme.txt", "hello")
    np.testing.assert_array_equal(open_torchscript(path).answer(Records(array=x.numpy())), answers(module, x))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("m/data.pkl", b"other")
    with pytest.raises(InputError, match="two members of one name") as raised:
        open_torchscript(path)
    one_line(raised)


def _operator(target):
    def change(node):
        node["target"] = target

    return change


def _argument(kind, value):
    def change(node):
        node["inputs"][0]["arg"] = {kind: value}

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_operator("torch.os.mkdir"), "the operator 'torch.os.mkdir'"),
        (_operator("torch.load"), "the operator 'torch.load'"),
        (_operator("torch.ops.aten.from_file.default"), "from_file"),
        (_operator("torch.ops.aten.save.default"), "aten.save"),
        (_operator("torch.ops.aten.__class__.mro"), "__class__"),
        (_operator("_operator.attrgetter"), "attrgetter"),
        (_argument("as_custom_obj", {"name": "o", "class_fqn": "C"}), "an operator takes as_custom_obj"),
        (_operator(None), "damaged"),
        (_argument("as_tensor", 3), "damaged"),
    ],
)
def test_exported_programs_that_do_more_than_compute(tmp_path, change, message):
    def changed(name, held):
        if name != "models/model.json":
            return held
        program = json.loads(held)
        change(program["graph_module"]["graph"]["nodes"][0])
        return json.dumps(program).encode()

    module, x = network(Plain)
    path = edited(exported(module, tmp_path / "own.pt2", x), tmp_path / "m.pt2", changed)
    with pytest.raises((InputError, UnsupportedError), match=message) as raised:
        open_exported(path)
    one_line(raised)


def _evil_sample(tmp_path, mark):
    torch.save((Payload(mark),), tmp_path / "sample.pt")
    held = (tmp_path / "sample.pt").read_bytes()
    return lambda name, own: held if name == "data/sample_inputs/model.pt" else own


def _evil_expression(tmp_path, mark):
    code = json.dumps(f"__import__('os').mkdir({str(mark)!r})").encode()
    return lambda name, own: own.replace(b"\"Symbol('s77', positive=True, integer=True)\"", code)


@pytest.mark.parametrize("evil", [_evil_sample, _evil_expression])
def test_code_in_expressions_and_samples_of_a_program_is_never_run(tmp_path, evil):
    """torch evaluates expressions of sizes as Python, and unpickles the records that a model was exported with."""
    mark = tmp_path / "mark"
    module, x = network(Plain)
    path = edited(exported(module, tmp_path / "own.pt2", x), tmp_path / "m.pt2", evil(tmp_path, mark))
    np.testing.assert_array_equal(open_exported(path).answer(Records(array=x.numpy())), answers(module, x))
    assert not mark.exists()
    with contextlib.suppress(Exception):
        torch.export.load(path)
    assert mark.exists(), "torch itself runs it: else this test shows nothing"


@pytest.mark.parametrize("kind", ["weights", "constants"])
def test_pickled_weights_of_a_program_are_refused(tmp_path, kind):
    mark = tmp_path / "mark"

    def changed(name, held):
        if name != f"data/{kind}/model_{kind}_config.json":
            return held
        entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
        return json.dumps({"config": {"evil": entry}}).encode()

    module, x = network(Plain)
    path = edited(exported(module, tmp_path / "own.pt2", x), tmp_path / "m.pt2", changed)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"own/data/{kind}/opaque_obj_0", pickle.dumps(Payload(mark)))
    with pytest.raises(UnsupportedError, match="as a pickle") as raised:
        open_exported(path)
    one_line(raised)
    assert not mark.exists()


def test_operators_of_higher_order_are_named(tmp_path):
    path = exported(WithoutGradients(), tmp_path / "m.pt2", torch.ones(Q, F))
    with pytest.raises(UnsupportedError, match="wrap_with_set_grad_enabled") as raised:
        open_exported(path)
    one_line(raised)


# Files that are damaged


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("models/model.json", b"{"),
        ("models/model.json", b"[" * 100_000),
        ("models/model.json", None),
        ("data/weights/weight_0", b"abc"),
        ("data/weights/weight_0", b"abcdefgh"),
        ("data/weights/weight_0", None),
    ],
)
def test_damaged_programs_are_one_line(tmp_path, name, held):
    module, x = network(Plain)
    own = exported(module, tmp_path / "own.pt2", x)
    path = edited(own, tmp_path / "m.pt2", lambda each, content: held if each == name else content)
    with pytest.raises(InputError, match="m.pt2: ") as raised:
        open_exported(path)
    one_line(raised)


@pytest.mark.parametrize("opener", [open_torchscript, open_exported])
@pytest.mark.parametrize("held", [b"", b"<html>", b"PK\x03\x04 and no more"])
def test_files_that_are_no_archive(tmp_path, opener, held):
    (tmp_path / "m").write_bytes(held)
    for path in (tmp_path / "m", tmp_path / "absent"):
        with pytest.raises(InputError) as raised:
            opener(path)
        one_line(raised)


def test_torchscript_without_a_model(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "m.ts")
    with pytest.raises(InputError, match="must be TorchScript") as raised:
        open_torchscript(tmp_path / "m.ts")
    one_line(raised)
    path = edited(scripted(Plain(), tmp_path / "own.ts"), tmp_path / "n.ts", lambda name, held: held[: len(held) // 2])
    with pytest.raises(InputError) as raised:
        open_torchscript(path)
    one_line(raised)
