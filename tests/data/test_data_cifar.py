import os
import pickle
import pickletools
import struct
from pathlib import Path

import numpy as np
import pytest

from aftertrace.data import Cifar10, load
from aftertrace.data._catalogue import known
from aftertrace.data._cifar import CLASSES, read_pickle
from aftertrace.errors import DataError

REAL = pytest.mark.skipif(not os.environ.get("AFTERTRACE_DATA"), reason="needs the files of CIFAR-10")
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
N = 4
NAMES = [f"class {number}" for number in range(10)]


def images(batch):
    return np.random.default_rng(batch).integers(0, 256, (N, 3072), dtype=np.uint8)


def labels(batch):
    return [(batch + k) % 10 for k in range(N)]


def string(content):
    return b"T" + struct.pack("<i", len(content)) + content


def integer(number):
    return b"J" + struct.pack("<i", number)


def array_of_python_2(x, *, code=b"u1"):
    """An array in protocol 2 as Python 2 wrote the published batches, opcode by opcode."""
    kind = b"cnumpy\ndtype\n" + string(code) + b"K\x00K\x01\x87R(K\x03" + string(b"|") + b"NNN"
    kind += integer(-1) + integer(-1) + b"K\x00tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + string(b"b") + b"\x87R"
    shape = b"(" + b"".join(map(integer, x.shape)) + b"t"
    return empty + b"(K\x01" + shape + kind + b"\x89" + string(x.tobytes()) + b"tb"


def python_2(x, label, **others):
    content = string(b"labels") + b"](" + b"".join(map(integer, label)) + b"e" + string(b"batch_label") + string(b"")
    return b"\x80\x02}(" + content + string(b"data") + array_of_python_2(x, **others) + b"u."


def write(folder, *, make=python_2, **contents):
    """All batches made by `make`, but for the files whose content is given."""
    folder.mkdir(exist_ok=True)
    for batch, name in enumerate([*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]):
        (folder / name).write_bytes(contents.pop(name, None) or make(images(batch), labels(batch)))
    for name, content in contents.items():
        (folder / name.replace("_meta", ".meta")).write_bytes(content)


@pytest.mark.parametrize("folder", ["cifar-10-batches-py", "."])
def test_batches_of_python_2_in_order_normalised_by_colour(tmp_path, folder):
    write(tmp_path / folder, batches_meta=pickle.dumps({"label_names": [name.encode() for name in NAMES]}))
    data = load(Cifar10(), data_dir=tmp_path)
    assert data.x.shape == (5 * N, 3072)
    image = np.concatenate([images(batch) for batch in range(5)]).reshape(5 * N, 3, 32, 32)
    for colour in range(3):
        values = data.x.reshape(5 * N, 3, 32, 32)[:, colour] * DEVIATION[colour] + MEAN[colour]
        np.testing.assert_allclose(values, image[:, colour] / 255, atol=1e-12)
    assert data.label.tolist() == [number for batch in range(5) for number in labels(batch)]
    assert data.classes == tuple(NAMES)
    assert [data.columns[k] for k in (0, 33, 1024, 3071)] == ["red 0 0", "red 1 1", "green 0 0", "blue 31 31"]
    assert data.notes == ("a subset: 20 of the 50000 published train images",)


@pytest.mark.parametrize("key", [str, str.encode], ids=["text", "bytes"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_batches_written_again_by_python_3_are_the_same(tmp_path, protocol, order, key):
    def again(x, label):
        content = {key("data"): np.asarray(x, order=order), key("labels"): label, key("filenames"): [b"a.png", "b"]}
        return pickle.dumps(content, protocol=protocol)

    write(tmp_path / "old")
    write(tmp_path / "new", make=again)
    old, new = (load(Cifar10(), data_dir=tmp_path / folder) for folder in ("old", "new"))
    assert new.fingerprint == old.fingerprint


def test_the_first_so_many_of_the_test_images_with_the_known_names(tmp_path):
    write(tmp_path)
    data = load(Cifar10(part="test", records=3), data_dir=tmp_path)
    whole = load(Cifar10(part="test"), data_dir=tmp_path)
    np.testing.assert_array_equal(data.x, whole.x[:3])
    assert data.label.tolist() == labels(5)[:3]
    assert (data.classes, data.classes[0], data.classes[9]) == (CLASSES, "airplane", "truck")
    assert data.notes == ("a subset: 4 of the 10000 published test images", "the first 3 of the 4 test images")


def harmful(marker):
    """Pickles that each leave a file called `marker` when they are loaded as usual."""
    touch = f"__import__('pathlib').Path({str(marker)!r}).touch()".encode()
    system = b"(Vecho > " + str(marker).encode() + b"\ntR."
    imported = b"cbuiltins\n__import__\n(Vos\ntR"
    return {
        "os.system": b"cos\nsystem\n" + system,
        "builtins.eval": b"cbuiltins\neval\n(V" + touch + b"\ntR.",
        "builtins.exec": b"(V" + touch + b"\nibuiltins\nexec\n.",
        "builtins.getattr": b"cbuiltins\ngetattr\n(" + imported + b"Vsystem\ntR" + system,
        "__builtin__.eval": b"\x80\x02c__builtin__\neval\nX" + struct.pack("<i", len(touch)) + touch + b"\x85R.",
        "pathlib.Path.touch": b"\x80\x04\x8c\x07pathlib\x8c\x0aPath.touch\x93cpathlib\nPath\nX"
        + struct.pack("<i", len(str(marker)))
        + str(marker).encode()
        + b"\x85R\x85R.",
    }


@pytest.mark.parametrize("file", ["data_batch_3", "batches_meta"])
@pytest.mark.parametrize("name", harmful(Path("marker")))
def test_harmful_pickles_are_refused_and_not_run(tmp_path, name, file):
    marker = tmp_path / "marker"
    content = harmful(marker)[name]
    pickle.loads(content)
    assert marker.exists()  # it is harmful
    marker.unlink()
    write(tmp_path / "data", **{file: content})
    message = rf"{file.replace('_meta', '.meta')}: must hold arrays.*asks for {name}, of which nothing was run; fetch"
    with pytest.raises(DataError, match=message):
        load(Cifar10(), data_dir=tmp_path / "data")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cnumpy\nndarray.tofile\n.", r"asks for numpy.ndarray.tofile, of which nothing was run"),
        (b"cnumpy.core.multiarray\nfromfile\n.", r"asks for numpy.core.multiarray.fromfile"),
        (b"cnumpy\nndarray\n(K\x01tR.", r"asks for ndarray of \(1,\)"),
        (b"ccodecs\nencode\n.", r"asks for codecs.encode"),
        (b"c_codecs\nencode\n(Va\nVrot13\ntR.", r"asks for bytes of \('a', 'rot13'\)"),
        (pickle.dumps(np.array(["a"], dtype=object), protocol=2), r"arrays of bytes \(uint8\), and holds another"),
        (pickle.dumps(np.arange(3), protocol=4), r"arrays of bytes \(uint8\), and holds another"),
        (b"\x80\x02cnumpy\ndtype\n}Vkind\nVarray\nsb.", r"cannot be read as a pickle \(AttributeError"),
        (b"\x80\x02cnumpy\ndtype\nN}Vkind\nVarray\ns\x86b.", r"cannot be read as a pickle \(AttributeError"),
        (b"\x80\x02cnumpy\ndtype\n)\x81.", r"cannot be read as a pickle \(UnpicklingError"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "must number its objects one by one, and has a number 2147483647"),
        (b"\x80\x05\x96" + struct.pack("<q", 2**40) + b".", r"cannot be read as a pickle \(ValueError: expected 10995"),
        (b"\x80\x02}N" + b"\x85" * 1_000_000 + b"Ns.", "must hold at most 1000 tuples, and holds 1000000"),
        (b"Vname\nQ.", r"cannot be read as a pickle \(UnpicklingError"),
    ],
)
def test_makers_of_arrays_can_be_neither_misused_nor_changed(tmp_path, content, message):
    write(tmp_path)
    before = load(Cifar10(), data_dir=tmp_path).fingerprint
    write(tmp_path / "other", data_batch_1=content)
    with pytest.raises(DataError, match=message):
        load(Cifar10(), data_dir=tmp_path / "other")
    assert load(Cifar10(), data_dir=tmp_path).fingerprint == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (python_2(images(0)[:, :3071], labels(0)), r"got data \(4, 3071\) and 4 labels, 0 of them others; fetch"),
        (python_2(images(0), labels(1)[1:]), r"got data \(4, 3072\) and 3 labels, 0 of them others"),
        (python_2(images(0), [0, 10, -1, 3]), r"4 labels, 2 of them others"),
        (pickle.dumps({"data": [1], "labels": [1]}), "an array `data` and a list `labels`, got data, labels; fetch"),
        (pickle.dumps({}), "got nothing"),
        (pickle.dumps([1]), "must hold a dictionary, got list"),
        (b"no pickle", r"cannot be read as a pickle \(.*; fetch the file again"),
        (python_2(images(0), labels(0))[:-20], r"cannot be read as a pickle \(ValueError: expected 12288 bytes"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    write(tmp_path, data_batch_2=content)
    with pytest.raises(DataError, match=f"data_batch_2: .*{message}"):
        load(Cifar10(), data_dir=tmp_path)


@pytest.mark.parametrize("names", [NAMES[1:], ["a"] * 10, "airplane", None])
def test_other_names_of_classes_are_refused(tmp_path, names):
    write(tmp_path, batches_meta=pickle.dumps({"label_names": names}))
    with pytest.raises(DataError, match=r"batches\.meta: must hold a list `label_names` of 10 names that differ, got"):
        load(Cifar10(), data_dir=tmp_path)


def test_damage_is_refused_or_changes_values_only(tmp_path):
    """One byte changed anywhere outside the pixels: whatever the unpickler raises, the caller sees `DataError`."""
    rng = np.random.default_rng(1)
    whole = python_2(images(0)[:, :8], labels(0))
    path, outcomes = tmp_path / "batch", {"refused": 0, "read": 0}
    for _ in range(500):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert isinstance(read_pickle(path), dict)
            outcomes["read"] += 1
        except DataError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 50


def test_absent_files_and_too_many_or_no_records_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"data_batch_1 must be in the data folder.*the CIFAR-10 page of A\. Krizh"):
        load(Cifar10(), data_dir=tmp_path)
    write(tmp_path)
    with pytest.raises(DataError, match="the train batches hold 20 images, got 21; ask for fewer"):
        load(Cifar10(records=21), data_dir=tmp_path)
    with pytest.raises(DataError, match="'records' must be at least 1, got 0"):
        Cifar10(records=0)


@REAL
@pytest.mark.parametrize("part", ["train", "test"])
def test_colours_of_the_subset_have_mean_0_and_deviation_1(part):
    data = load(Cifar10(part=part))
    colours = data.x.reshape(len(data), 3, 1024)
    np.testing.assert_allclose(colours.mean(axis=(0, 2)), 0, atol=0.03)
    np.testing.assert_allclose(colours.std(axis=(0, 2)), 1, atol=0.01)
    assert known("cifar-10").features == data.x.shape[1]


@REAL
def test_subset_has_the_pixels_of_the_file_and_the_counts_of_its_description():
    data = load(Cifar10(part="test"))
    path = Path(os.environ["AFTERTRACE_DATA"]) / "cifar-10-batches-py" / "test_batch"
    texts = [value for _, value, _ in pickletools.genops(path.read_bytes()) if isinstance(value, str)]
    pixels = np.frombuffer(max(texts, key=len).encode("latin1"), dtype=np.uint8)
    values = data.x.reshape(1000, 3, 1024) * np.array(DEVIATION)[:, None] + np.array(MEAN)[:, None]
    np.testing.assert_array_equal(np.rint(values * 255).ravel(), pixels)
    assert np.bincount(data.label).tolist() == [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]
    assert data.classes == CLASSES
