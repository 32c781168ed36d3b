from collections import Counter

import numpy as np
import pytest

from aftertrace.data._encode import encode, encode_labels
from aftertrace.errors import DataError

TEXT = {
    "colour": ["red", "blue", "?", "red", "", "green"],
    "size": ["3", "1", "", "2.5", "1", "?"],
    "plain": ["0", "1", "2", "3", "4", "-5e1"],
}


def slow_encode(columns, missing, encoding):
    """One value at a time, from the description."""
    names, matrix = [], []
    for name, values in columns.items():
        there = [value for value in values if value not in ("", "?")]
        try:
            read = [float(value) for value in there]
        except ValueError:
            read = there
        numeric = read is not there
        fill = max(sorted(read), key=Counter(read).get)
        if missing == "category":
            fill = np.median(read) if numeric else "?"
        filled = [fill if value in ("", "?") else float(value) if numeric else value for value in values]
        if numeric:
            names.append(name)
            matrix.append(filled)
            if missing == "category" and len(there) < len(values):
                names.append(f"{name} missing")
                matrix.append([float(value not in there) for value in values])
        elif encoding == "codes":
            names.append(name)
            matrix.append([float(sorted(set(filled)).index(value)) for value in filled])
        else:
            for category in sorted(set(filled)):
                names.append(f"{name}={category}")
                matrix.append([float(value == category) for value in filled])
    return np.array(matrix).T, tuple(names)


def random_columns(rng):
    n = int(rng.integers(2, 40))
    words = rng.choice(["a", "B", "?", "", "c d", "Z9"], size=n).tolist()
    numbers = [str(round(x, 1)) if x > -1 else "?" for x in rng.normal(size=n).tolist()]
    digits = rng.choice(["0", "1", "2", ""], size=n).tolist()
    return {"words": ["a", *words], "numbers": ["1", *numbers], "digits": ["1", *digits]}


@pytest.mark.parametrize("encoding", ["codes", "onehot"])
@pytest.mark.parametrize("missing", ["category", "mode"])
@pytest.mark.parametrize("seed", [None, *range(20)])
def test_encode_equals_its_slow_twin(seed, missing, encoding):
    columns = TEXT if seed is None else random_columns(np.random.default_rng(seed))
    encoded = encode("t", columns, missing=missing, encoding=encoding)
    x, names = slow_encode(columns, missing, encoding)
    np.testing.assert_array_equal(encoded.x, x)
    assert encoded.columns == names
    assert encoded.x.dtype == np.float64


def test_codes_and_indicator_by_hand():
    encoded = encode("t", TEXT, missing="category", encoding="codes")
    assert encoded.columns == ("colour", "size", "size missing", "plain")
    assert encoded.x[:, 0].tolist() == [3, 1, 0, 3, 0, 2]
    assert encoded.x[:, 1].tolist() == [3, 1, 1.75, 2.5, 1, 1.75]
    assert encoded.x[:, 2].tolist() == [0, 0, 1, 0, 0, 1]
    assert encoded.notes == (
        "colour: 2 missing, now a category of its own",
        "size: 2 missing, now the median, and a column of its own",
        "categorical: colour (3)",
    )


def test_most_frequent_of_several_is_the_first_in_order():
    columns = {"word": ["b", "a", "?", "b", "a"], "number": ["10", "9", "?", "10", "9"]}
    encoded = encode("t", columns, missing="mode", encoding="codes")
    assert encoded.x[2].tolist() == [0, 9]


def test_identifiers_with_underscores_are_categories():
    encoded = encode("t", {"id": ["1_0", "2_0", "1_0"]}, missing="mode", encoding="codes")
    assert encoded.x[:, 0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("values", "encoding", "message"),
    [
        (["", "?"], "codes", r"t: column 'c' must hold values, and has none; drop it\."),
        (["1", "nan"], "codes", r"t: column 'c' must hold finite numbers, got 'nan'; leave the field empty"),
        (["1", "1e999"], "codes", r"t: column 'c' must hold finite numbers, got '1e999'"),
        (
            [f"v{k}" for k in range(1001)],
            "onehot",
            r"t: column 'c' must have at most 1000 categories .* got 1001; drop",
        ),
    ],
)
def test_columns_that_cannot_be_encoded(values, encoding, message):
    with pytest.raises(DataError, match=message):
        encode("t", {"c": values}, missing="category", encoding=encoding)


@pytest.mark.parametrize(
    ("values", "classes"),
    [(["b", "a", "b"], ("a", "b")), (["10", "9", "2"], ("2", "9", "10")), (["10", "9", "x"], ("10", "9", "x"))],
)
def test_labels_in_numeric_order_only_if_all_are_whole_numbers(values, classes):
    label, names = encode_labels(values)
    assert names == classes
    assert [names[k] for k in label] == values
