"""Arrays of numpy as Arrow's, against pyarrow's own conversion."""

import numpy as np
import pyarrow as pa
import pytest

from aftertrace._arrow import arrow_array

RNG = np.random.default_rng(0)
ARRAYS = {
    "float64": RNG.normal(size=37),
    "float32": RNG.normal(size=37).astype(np.float32),
    "not finite": np.array([np.nan, np.inf, -np.inf, 0.0]),
    "int64": RNG.integers(-5, 5, size=37),
    "int8": RNG.integers(-5, 5, size=37).astype(np.int8),
    "booleans": RNG.random(37) < 0.5,
    "strided": RNG.normal(size=(37, 3))[:, 1],
    "empty": np.zeros(0),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_same_as_pyarrow(name):
    ours, theirs = arrow_array(ARRAYS[name]), pa.array(ARRAYS[name])
    ours.validate(full=True)
    assert ours.type == theirs.type
    np.testing.assert_array_equal(ours.to_numpy(zero_copy_only=False), theirs.to_numpy(zero_copy_only=False))
