"""Arrays of numpy as columns of Arrow."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def arrow_array(values: NDArray[Any]) -> Any:
    """Numbers or booleans [N] as a `pyarrow.Array` of the same type, without copying numbers.

    What `pyarrow.array` gives, which first imports pandas where it is installed, to ask whether it got one of its.
    """
    import pyarrow as pa

    flat = np.ascontiguousarray(values)
    content = np.packbits(flat, bitorder="little") if flat.dtype == bool else flat
    return pa.Array.from_buffers(pa.from_numpy_dtype(flat.dtype), len(flat), [None, pa.py_buffer(content)])
