import gzip
import os
import struct

import numpy as np
import pytest

from aftertrace.data import Mnist, load
from aftertrace.data._catalogue import known
from aftertrace.errors import DataError

REAL = pytest.mark.skipif(not os.environ.get("AFTERTRACE_DATA"), reason="needs the files of MNIST")
N = 12


def idx(values):
    values = np.asarray(values, dtype=np.uint8)
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def images():
    return np.random.default_rng(0).integers(0, 256, (N, 28, 28))


def write(folder, *, image=None, label=None, part="train", packed=True):
    for name, content in (
        (f"{part}-images-idx3-ubyte", idx(images()) if image is None else image),
        (f"{part}-labels-idx1-ubyte", idx(np.arange(N) % 10) if label is None else label),
    ):
        folder.mkdir(exist_ok=True)
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("folder", ["mnist", "."])
def test_pixels_are_normalised_row_by_row(tmp_path, folder, packed):
    write(tmp_path / folder, packed=packed)
    data = load(Mnist(), data_dir=tmp_path)
    assert data.x.shape == (N, 784)
    np.testing.assert_allclose(data.x[3].reshape(28, 28) * 0.3081 + 0.1307, images()[3] / 255, atol=1e-12)
    assert data.label.tolist() == (np.arange(N) % 10).tolist()
    assert (data.columns[0], data.columns[29], data.classes[7]) == ("pixel 0 0", "pixel 1 1", "7")
    assert data.notes == ()


def test_the_first_so_many_of_the_test_images(tmp_path):
    write(tmp_path, part="t10k")
    data = load(Mnist(part="test", records=5), data_dir=tmp_path)
    assert len(data) == 5
    assert data.notes == (f"the first 5 of the {N} test images",)


@pytest.mark.parametrize(
    ("files", "spec", "message"),
    [
        ({"image": idx(images()[:, :27])}, Mnist(), r"images \(12, 27, 28\) and 12 labels up to 9; fetch both"),
        ({"label": idx(np.arange(N - 1) % 10)}, Mnist(), "and 11 labels up to 9; fetch both files again"),
        ({"label": idx(np.arange(N))}, Mnist(), "12 labels up to 11"),
        ({"image": idx(images())[:-5]}, Mnist(), "announces 12 x 28 x 28 values and 9403 follow; the file is damaged"),
        ({"image": idx(images()[0])}, Mnist(), "IDX file of bytes in 3 dimensions, got one that starts with 00000802"),
        ({"image": b""}, Mnist(), "got one that starts with nothing"),
        ({}, Mnist(records=13), "holds 12 images, got 13; ask for fewer"),
    ],
)
def test_other_files_are_refused(tmp_path, files, spec, message):
    write(tmp_path, **files)
    with pytest.raises(DataError, match=message):
        load(spec, data_dir=tmp_path)


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"no archive"])
def test_damaged_archives_are_refused(tmp_path, damage):
    write(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: cannot be read .* fetch the file again"):
        load(Mnist(), data_dir=tmp_path)


def test_absent_files_and_no_records_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"mnist/train-images-idx3-ubyte, .*MNIST database of LeCun"):
        load(Mnist(), data_dir=tmp_path)
    with pytest.raises(DataError, match="'records' must be at least 1, got 0"):
        Mnist(records=0)
    with pytest.raises(DataError, match="`part` must be 'train' or 'test', got 'valid'"):
        Mnist(part="valid")


@REAL
@pytest.mark.parametrize(("part", "n", "ones"), [("train", 60_000, 6_742), ("test", 10_000, 1_135)])
def test_published_files(part, n, ones):
    data = load(Mnist(part=part))
    assert data.x.shape == (n, 784)
    assert (data.label == 1).sum() == ones
    assert known("mnist").features == 784
