"""Several tests at once."""

import math
from operator import index

import numpy as np
from numpy.typing import ArrayLike

from aftertrace.statistics import _validate
from aftertrace.statistics._rates import _decimal
from aftertrace.statistics._validate import Floats


def holm(p: ArrayLike) -> Floats:
    """Holm's adjusted p-values: rejecting where they are at most `a` errs anywhere with probability at most `a`.

    `p` [A], in [0, 1], of any dependence, of a family declared in advance. Returns `[A]` in the same order: monotone
    in `p`, never below it, at most 1. Source: S. Holm, Scand. J. Stat. 6 (1979). Raises `ValueError` for NaN or
    values outside [0, 1].

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = _validate.probabilities("p", p, at_least=0)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjusted p-values: of those at most `a`, in expectation at most a share `a` is false.

    `p` [A], in [0, 1], independent or positively dependent, as conformal p-values from one set of unseen records are
    (S. Bates et al., Ann. Stat. 51 (2023)). Returns `[A]` in the same order: monotone in `p`, never below it, never
    above `holm`. Source: Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57 (1995). Raises `ValueError` for NaN or
    values outside [0, 1].

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.04, 0.04]
    """
    p = _validate.probabilities("p", p, at_least=0)
    falling = np.argsort(-p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[falling] = np.minimum.accumulate(p[falling] * (p.size / np.arange(p.size, 0, -1)))
    return adjusted


def unseen_needed(n_tests: int, *, fdr: float, n_discoveries: int = 1) -> int:
    """How many unseen records conformal p-values need so that `n_discoveries` of `n_tests` can be significant.

    With `n` unseen records no conformal p-value is below 1 / (n + 1). `benjamini_hochberg` at `fdr` can then find `k`
    records, all at this floor, only if 1 / (n + 1) <= k fdr / n_tests. For `holm` at the same level the number is the
    one for a single discovery, however many are sought: its first step must pass. Raises `ValueError` unless
    1 <= n_discoveries <= n_tests and `fdr` lies in (0, 1), which is read as the decimal it prints as.

    >>> unseen_needed(100, fdr=0.05), unseen_needed(100, fdr=0.05, n_discoveries=10)
    (1999, 199)
    """
    _validate.proportion("fdr", fdr)
    tests, found = index(n_tests), index(n_discoveries)
    if not 1 <= found <= tests:
        raise ValueError(f"`n_discoveries` must lie between 1 and `n_tests` = {tests}, got {found}.")
    return math.ceil(tests / (found * _decimal(fdr))) - 1
