import numpy as np
import pytest

from aftertrace.data import Stl10, load
from aftertrace.data._catalogue import known
from aftertrace.errors import DataError

N = 6
KNOWN = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def images():
    """[N, row, column, colour]"""
    return np.random.default_rng(0).integers(0, 256, (N, 96, 96, 3), dtype=np.uint8)


def packed(image):
    """As STL-10 describes its files: colour by colour, and in each the first column first."""
    return b"".join(
        picture[:, column, colour].tobytes() for picture in image for colour in range(3) for column in range(96)
    )


def write(folder, *, part="train", image=None, label=bytes([1, 2, 10, 4, 5, 6]), names=None):
    folder.mkdir(exist_ok=True)
    (folder / f"{part}_X.bin").write_bytes(packed(images()) if image is None else image)
    (folder / f"{part}_y.bin").write_bytes(label)
    if names is not None:
        (folder / "class_names.txt").write_text(names)


@pytest.mark.parametrize("folder", ["stl10_binary", "."])
def test_each_value_is_the_mean_of_its_block_of_pixels(tmp_path, folder):
    write(tmp_path / folder)
    data = load(Stl10(), data_dir=tmp_path)
    assert data.x.shape == (N, 3072) == (N, known("stl-10").features)
    picture = images()[4]
    expected = [
        sum(int(picture[3 * row + i, 3 * column + j, colour]) for i in range(3) for j in range(3)) / 9 / 255
        for colour in range(3)
        for row in range(32)
        for column in range(32)
    ]
    np.testing.assert_allclose(data.x[4] * 0.5 + 0.5, expected, atol=1e-12)
    assert [data.columns[k] for k in (0, 1, 32, 2048)] == ["red 0 0", "red 0 1", "red 1 0", "blue 0 0"]
    assert data.label.tolist() == [0, 1, 9, 3, 4, 5]
    assert data.classes == KNOWN
    assert data.notes == ("96 x 96 pixels reduced to 32 x 32 by means of blocks",)


def test_black_and_white_are_the_ends(tmp_path):
    write(tmp_path, image=packed(np.stack([np.zeros((96, 96, 3), np.uint8), np.full((96, 96, 3), 255, np.uint8)])))
    (tmp_path / "train_y.bin").write_bytes(bytes([1, 2]))
    x = load(Stl10(), data_dir=tmp_path).x
    assert (set(x[0]), set(x[1])) == ({-1.0}, {1.0})


def test_the_first_so_many_of_the_test_images_with_the_names_of_the_file(tmp_path):
    write(tmp_path, part="test", names="\n".join(name.upper() for name in KNOWN) + "\n")
    data, whole = (load(Stl10(part="test", records=records), data_dir=tmp_path) for records in (2, None))
    np.testing.assert_array_equal(data.x, whole.x[:2])
    assert data.label.tolist() == [0, 1]
    assert data.classes == tuple(name.upper() for name in KNOWN)
    assert data.notes[1:] == ("the first 2 of the 6 test images",)


@pytest.mark.parametrize(
    ("files", "spec", "message"),
    [
        (
            {"image": packed(images())[:-1]},
            Stl10(),
            r"train_X.bin: must hold 27648 bytes for .* got 165887 bytes and 6",
        ),
        (
            {"label": bytes([1, 2, 3])},
            Stl10(),
            r"train_y.bin a label from 1 to 10, got 165888 bytes and 3 labels up to",
        ),
        ({"label": bytes([1, 2, 3, 4, 5, 11])}, Stl10(), "6 labels up to 11; fetch both files again"),
        ({"label": bytes([0, 1, 2, 3, 4, 5])}, Stl10(), "a label from 1 to 10, got 165888 bytes and 6 labels up to 5"),
        ({"label": b"", "image": b""}, Stl10(), "got 0 bytes and 0 labels up to 0"),
        ({}, Stl10(records=7), "data.records: train_X.bin holds 6 images, got 7; ask for fewer"),
        ({"names": "cat dog"}, Stl10(), r"class_names.txt: must hold 10 names that differ, .* got 2: cat, dog; fetch"),
        ({"names": "cat\n" * 10}, Stl10(), "must hold 10 names that differ, a line each, got 10: cat"),
    ],
)
def test_other_files_are_refused(tmp_path, files, spec, message):
    write(tmp_path, **files)
    with pytest.raises(DataError, match=message):
        load(spec, data_dir=tmp_path)


def test_absent_files_and_no_records_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"stl10_binary/train_X\.bin, .*the STL-10 page of A\. Coates"):
        load(Stl10(), data_dir=tmp_path)
    with pytest.raises(DataError, match="'records' must be at least 1, got 0"):
        Stl10(records=0)
