"""Content addresses: equal for equal content alone, whatever numbers there are in it."""

import math

import numpy as np
import pytest

from aftertrace._hashing import canonical, digest
from aftertrace.errors import UnsupportedError


def test_what_is_no_number_has_an_address_of_its_own():
    values = [math.nan, math.inf, -math.inf, "nan", "inf", None, 0.0]
    assert len({digest(value) for value in values}) == len(values)
    assert canonical([math.nan, {"a": np.float32("nan")}]) == canonical([np.float64("nan"), {"a": math.nan}])
    assert canonical({math.nan, 2, 1}) == canonical({1, 2, math.nan})
    assert canonical((np.float64(0.5), np.int8(3), np.True_)) == [0.5, 3, True]


def test_numbers_that_python_has_not_are_refused():
    with pytest.raises(UnsupportedError, match="got longdouble"):
        canonical(np.longdouble(1))


def test_arrays_of_objects_have_the_address_of_their_content():
    """Not of where it lies; arrays of dates have one, too."""
    one, other = (np.array(["".join(["a", *rest]), "b"], dtype=object) for rest in (["aa"], ["a", "a"]))
    assert one[0] is not other[0]
    assert digest(one) == digest(other) != digest(np.array(["aab", "b"], dtype=object))
    days = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")
    assert digest(days) == digest(days.copy()) != digest(days + 1)
