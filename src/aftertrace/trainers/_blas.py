"""BLAS's matrix product on parts of arrays, for compiled code: numba's own takes whole arrays only."""

from typing import Any

import numpy as np
from llvmlite import binding
from numba import njit, types
from numba.extending import get_cython_function_address

for _kind in "sd":  # by name: code that is kept for later processes must hold no address of this one
    binding.add_symbol(
        f"aftertrace_{_kind}gemm", get_cython_function_address("scipy.linalg.cython_blas", f"{_kind}gemm")
    )
_POINTERS = types.void(*[types.uintp] * 13)
_sgemm: Any = types.ExternalFunction("aftertrace_sgemm", _POINTERS)
_dgemm: Any = types.ExternalFunction("aftertrace_dgemm", _POINTERS)


@njit(cache=True, error_model="numpy")
def transposed_product(a, b, start, stop, out):  # type: ignore[no-untyped-def] # compiled
    """Rows `start:stop` of `out` [F, H] become those columns of `a` [B, F], transposed, times `b` [B, H].

    All contiguous, and of one type: float32 or float64.
    """
    (B, F), H = a.shape, b.shape[1]
    letter = np.array([78, 84], np.uint8)  # N, T
    number = np.array([H, stop - start, B, H, F], np.int32)
    scalar = np.array([1, 0], a.dtype)
    size, i = a.itemsize, number.ctypes.data
    # BLAS sees columns where there are rows: out' = b' a
    arguments = (
        letter.ctypes.data,
        letter.ctypes.data + 1,
        i,
        i + 4,
        i + 8,
        scalar.ctypes.data,
        b.ctypes.data,
        i + 12,
        a.ctypes.data + start * size,
        i + 16,
        scalar.ctypes.data + size,
        out.ctypes.data + start * H * size,
        i + 12,
    )
    if size == 4:
        _sgemm(*arguments)
    else:
        _dgemm(*arguments)
