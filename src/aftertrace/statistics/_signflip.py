"""The sign-flip test: is the mean of per-original differences zero?"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from aftertrace.statistics._jackknife import MIN_ORIGINALS
from aftertrace.statistics._records import TestResult
from aftertrace.statistics._validate import Floats

EXACT_UP_TO = 16
CHUNK_BYTES = 8 * 2**20  # of signs and their sums; with the temporaries less than 32 MB at a time


def sign_flip_test(difference: ArrayLike, *, rng: np.random.Generator, n_flips: int = 100_000) -> TestResult:
    """Two-sided test of mean difference zero from `difference` [m], one value per original.

    The unit is the original. Null: the differences are independent and each symmetric about zero, which holds where
    the two attacks are exchangeable within an original. Exact over all 2^m signs up to m = 16; beyond that `n_flips`
    random ones from `rng` with p = (1 + count) / (1 + n_flips), valid for every `n_flips`. Flips within rounding of
    the observed mean count. Below 6 originals p cannot be .05 or less, and a note says so. The statistic is the mean.

    Source: R. Fisher, The Design of Experiments (1935); the correction by B. Phipson, G. Smyth (2010).
    Raises `ValueError` for no originals and for values that are not finite: leave out originals that lack a role.
    """
    vector = np.asarray(difference, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"`difference` must have shape [m], got {vector.shape}.")
    return sign_flip_tests(vector[:, None], rng=rng, n_flips=n_flips)[0]


def sign_flip_tests(difference: ArrayLike, *, rng: np.random.Generator, n_flips: int = 100_000) -> list[TestResult]:
    """`sign_flip_test` of each column of `difference` [m, A], all with the same signs; `A` results.

    A column's result is the one it would have alone. Not corrected for multiplicity: see `holm`.
    """
    matrix = np.asarray(difference, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] < 1:
        raise ValueError(f"`difference` must have shape [m, A] with at least one original, got {matrix.shape}.")
    if not np.isfinite(matrix).all():
        bad = int((~np.isfinite(matrix)).any(axis=1).sum())
        raise ValueError(f"`difference` must be finite; it is not for {bad} of {matrix.shape[0]} originals.")
    if n_flips < 1:
        raise ValueError(f"`n_flips` must be at least 1, got {n_flips}.")
    m = matrix.shape[0]
    exact = m <= EXACT_UP_TO
    # Flipping every sign changes no absolute mean: half of the signs stand for all.
    total = 2 ** (m - 1) if exact else n_flips
    rows = max(1, CHUNK_BYTES // (8 * sum(matrix.shape)))
    count = _count(matrix, _all_signs(m, rows) if exact else _random_signs(m, total, rows, rng))
    p = count / total if exact else (1 + count) / (1 + total)
    method = "sign-flip, all signs" if exact else f"sign-flip, {n_flips} random flips"
    note = ""
    if m < MIN_ORIGINALS:
        note = (
            f"cannot be significant at .05 with fewer than {MIN_ORIGINALS} originals (smallest p = {2.0 ** (1 - m):g})"
        )
    return [
        TestResult(float(mean), float(value), m, method, note)
        for mean, value in zip(matrix.mean(axis=0), p, strict=True)
    ]


def _count(matrix: Floats, chunks: Iterator[Floats]) -> Floats:
    """How many signs give an absolute sum as large as the observed one. [A]"""
    reach = np.abs(matrix.sum(axis=0)) - 1e-12 * np.abs(matrix).sum(axis=0)
    count = np.zeros(matrix.shape[1])
    for signs in chunks:
        sums = signs @ matrix
        count += (np.abs(sums, out=sums) >= reach).sum(axis=0)
    return count


def _all_signs(m: int, rows: int) -> Iterator[Floats]:
    """All signs that leave the first original as it is, `[<= rows, m]` at a time."""
    bits = np.arange(m)
    for start in range(0, 2 ** (m - 1), rows):
        number = 2 * np.arange(start, min(start + rows, 2 ** (m - 1)))
        yield np.where((number[:, None] >> bits) & 1, -1.0, 1.0)


def _random_signs(m: int, total: int, rows: int, rng: np.random.Generator) -> Iterator[Floats]:
    """A bit per sign, whole words for each flip, so that the size of the chunks changes nothing."""
    for start in range(0, total, rows):
        drawn = rng.integers(0, 2**64, (min(rows, total - start), -(-m // 64)), dtype="<u8")
        bits = np.unpackbits(drawn.view(np.uint8), axis=1)[:, :m]
        yield 2 * bits.astype(np.float64) - 1
