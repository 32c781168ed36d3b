"""ONNX files: of networks, of scikit-learn's converters, damaged, and pointing elsewhere."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from aftertrace.errors import InputError, TrainingError, UnsupportedError
from aftertrace.models._onnx import open_onnx
from aftertrace.models._records import Records

Q, F, K = 5, 4, 3


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.mkdir, (self.path,)


def rng():
    return np.random.default_rng(7)


def weight():
    return rng().normal(size=(F, K)).astype(np.float32)


def graph(tensor, *, rows="q", kind=TensorProto.FLOAT, outputs=1):
    """x [rows, F] times the tensor [F, K], as a model."""
    x = helper.make_tensor_value_info("x", kind, [rows, F])
    names = [f"y{i}" for i in range(outputs)]
    nodes = [helper.make_node("MatMul", ["x", "w"], [name]) for name in names]
    y = [helper.make_tensor_value_info(name, kind, [rows, K]) for name in names]
    made = helper.make_graph(nodes, "g", [x], y, [tensor])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def saved(model, path):
    path.write_bytes(model.SerializeToString())
    return path


def outside(location, *, shape=(F, K)):
    """A tensor that is said to be in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": "0", "length": str(4 * F * K)}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def one_line(raised):
    text = str(raised.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


@pytest.mark.parametrize("rows", ["q", 1, 2, 8])
def test_a_network_answers_as_it_was_exported_or_in_parts(tmp_path, rows):
    path = saved(graph(numpy_helper.from_array(weight(), "w"), rows=rows), tmp_path / "m.onnx")
    model, x = open_onnx(path), rng().normal(size=(Q, F))
    got = model.answer(Records(array=x))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, x.astype(np.float32) @ weight(), rtol=1e-6, atol=1e-6)
    table = Records(columns={f"c{i}": x[:, i] for i in range(F)})
    np.testing.assert_array_equal(model.answer(table), got)
    assert model.classes is None
    assert model.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def fitted():
    x = rng().normal(size=(60, F)).astype(np.float32)
    label = np.array(["no", "yes"])[(x[:, 0] + rng().normal(size=60) > 0).astype(int)]
    return LogisticRegression().fit(x, label), x


@pytest.mark.parametrize("zipmap", [True, False])
def test_scikit_learn_answers_like_the_estimator(fitted, tmp_path, zipmap):
    estimator, x = fitted
    path = saved(to_onnx(estimator, x[:1], options={id(estimator): {"zipmap": zipmap}}), tmp_path / "m.onnx")
    model = open_onnx(path)
    np.testing.assert_allclose(model.answer(Records(array=x)), estimator.predict_proba(x), atol=1e-6)
    assert model.classes == (("no", "yes") if zipmap else None)


def test_scikit_learn_with_a_column_per_class_says_what_to_do(fitted, tmp_path):
    estimator, x = fitted
    path = saved(to_onnx(estimator, x[:1], options={id(estimator): {"zipmap": "columns"}}), tmp_path / "m.onnx")
    with pytest.raises(InputError, match="zipmap=False") as raised:
        open_onnx(path)
    one_line(raised)


@pytest.fixture(scope="module")
def pipeline():
    """A pipeline that chooses columns of several types by name, and its table."""
    draw = rng()
    frame = pd.DataFrame(
        {
            "age": draw.normal(40, 9, 60).astype(np.float32),
            "rooms": draw.integers(1, 9, 60),
            "job": draw.choice(["nurse", "clerk", "cook"], 60),
        }
    )
    chosen = ColumnTransformer(
        [("texts", OneHotEncoder(handle_unknown="ignore"), ["job"]), ("numbers", StandardScaler(), ["age"])],
        remainder="passthrough",
    )
    label = (frame["age"] + draw.normal(0, 9, 60) > 40).astype(int)
    return make_pipeline(chosen, LogisticRegression()).fit(frame, label), frame


def columns_of(frame, **changed):
    return Records(columns={name: np.asarray(frame[name]) for name in frame} | changed)


def test_a_pipeline_gets_columns_by_name(pipeline, tmp_path):
    estimator, frame = pipeline
    model = open_onnx(saved(to_onnx(estimator, frame[:1]), tmp_path / "m.onnx"))
    expected = estimator.predict_proba(frame)
    shuffled = frame[["job", "age", "rooms"]].assign(more=1.0, rooms=frame["rooms"].astype(float))
    np.testing.assert_allclose(model.answer(columns_of(shuffled)), expected, atol=1e-5)
    assert model.classes == ("0", "1")


def test_converters_write_names_without_spaces(pipeline, tmp_path):
    _, frame = pipeline
    numbers = frame[["age", "rooms"]].astype(np.float32).set_axis(["age (years)", "2nd"], axis=1)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(numbers, frame["rooms"] > 4)
    model = open_onnx(saved(to_onnx(estimator, numbers[:1]), tmp_path / "m.onnx"))
    np.testing.assert_allclose(model.answer(columns_of(numbers)), estimator.predict_proba(numbers), atol=1e-5)
    with pytest.raises(InputError, match="lack 'age__years_'"):
        model.answer(columns_of(numbers, **{"age/(years)": np.ones(60)}))


def test_columns_that_a_pipeline_cannot_take(pipeline, tmp_path):
    estimator, frame = pipeline
    model = open_onnx(saved(to_onnx(estimator, frame[:1]), tmp_path / "m.onnx"))
    for records, message in [
        (columns_of(frame[["age"]]), "lack 'rooms', 'job'"),
        (Records(array=np.ones((Q, 3))), "columns by name"),
        (
            columns_of(frame, rooms=np.full(60, 2.5)),
            "'rooms' takes whole numbers, and the records hold numbers such as 2.5",
        ),
        (columns_of(frame, job=np.ones(60)), "'job' takes texts"),
        (
            columns_of(frame, age=np.full(60, "old", dtype=object)),
            "'age' takes numbers, and the records hold texts such as old",
        ),
    ]:
        with pytest.raises(InputError, match=message) as raised:
            model.answer(records)
        one_line(raised)


@pytest.mark.parametrize("shape", [(Q, 7), (Q, 2, 2)])
def test_records_of_another_shape_are_one_line(tmp_path, shape):
    model = open_onnx(saved(graph(numpy_helper.from_array(weight(), "w")), tmp_path / "m.onnx"))
    with pytest.raises(InputError, match="m.onnx: cannot take these records: .* x") as raised:
        model.answer(Records(array=np.ones(shape)))
    one_line(raised)


def test_answers_must_be_one_table(tmp_path):
    two = saved(graph(numpy_helper.from_array(weight(), "w"), outputs=2), tmp_path / "two.onnx")
    with pytest.raises(InputError, match=r"y0 \(tensor\(float\)\), y1") as raised:
        open_onnx(two)
    one_line(raised)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["q", 2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["q", 2, 2])
    made = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    deep = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with pytest.raises(TrainingError, match=r"shape \[5, 2, 2\]") as raised:
        open_onnx(saved(deep, tmp_path / "deep.onnx")).answer(Records(array=np.ones((Q, 2, 2))))
    one_line(raised)


def test_inputs_that_no_record_has(tmp_path):
    tensor = numpy_helper.from_array(np.ones((F, K), dtype=np.uint32), "w")
    path = saved(graph(tensor, kind=TensorProto.UINT32), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match="uint32") as raised:
        open_onnx(path)
    one_line(raised)


# Tensors in files beside the model


def test_tensors_beside_the_model_are_part_of_its_fingerprint(tmp_path):
    """torch writes all weights there, so that two versions of a model may be equal in the file itself."""
    prints = []
    for factor in (1, 2):
        (tmp_path / "m.onnx.data").write_bytes((factor * weight()).tobytes())
        model = open_onnx(saved(graph(outside("m.onnx.data")), tmp_path / "m.onnx"))
        np.testing.assert_allclose(model.answer(Records(array=np.eye(F))), factor * weight(), rtol=1e-6)
        prints.append(model.fingerprint)
    assert prints[0] != prints[1]


@pytest.mark.parametrize("how", ["above", "absolute", "link", "long"])
def test_tensors_outside_of_the_folder_are_refused(tmp_path, how):
    folder, secret = tmp_path / "model", tmp_path / "secret.bin"
    folder.mkdir()
    secret.write_bytes(weight().tobytes())
    (folder / "link.bin").symlink_to(secret)
    location = {
        "above": "../secret.bin",
        "absolute": str(secret),
        "link": "link.bin",
        "long": "./" * 100 + "../secret.bin",  # a length of two bytes
    }[how]
    path = saved(graph(outside(location)), folder / "m.onnx")
    with pytest.raises(InputError, match="from outside its folder") as raised:
        open_onnx(path)
    one_line(raised)


def test_tensors_in_memory_and_in_absent_files_are_refused(tmp_path):
    for location in ("*/_ORT_MEM_ADDR_/*", "absent.bin"):
        with pytest.raises(InputError) as raised:
            open_onnx(saved(graph(outside(location)), tmp_path / "m.onnx"))
        one_line(raised)


def test_metadata_that_reads_like_a_location_is_no_matter(tmp_path):
    model = graph(numpy_helper.from_array(weight(), "w"))
    onnx.helper.set_model_props(model, {"location": "Berlin"})
    assert open_onnx(saved(model, tmp_path / "m.onnx")).answer(Records(array=np.ones((Q, F)))).shape == (Q, K)


# Files that are something else


def test_operators_of_other_libraries_are_not_found(tmp_path):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["q", F])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["q", F])
    made = helper.make_graph([helper.make_node("Mine", ["x"], ["y"], domain="mine")], "g", [x], [y])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=9)
    with pytest.raises(InputError, match="onnxruntime cannot open it: .*Mine") as raised:
        open_onnx(saved(model, tmp_path / "m.onnx"))
    one_line(raised)


@pytest.mark.parametrize("held", [b"", b"<html>", b"\x80\x04 no model", bytes(range(256))])
def test_damaged_files_are_one_line(tmp_path, held):
    (tmp_path / "m.onnx").write_bytes(held)
    for path in (tmp_path / "m.onnx", tmp_path / "absent.onnx"):
        with pytest.raises(InputError) as raised:
            open_onnx(path)
        one_line(raised)


def test_a_pickle_under_another_name_runs_nothing(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "m.onnx").write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(InputError, match="onnxruntime cannot open it") as raised:
        open_onnx(tmp_path / "m.onnx")
    one_line(raised)
    assert not mark.exists()
