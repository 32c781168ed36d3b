"""Several tests at once."""

import numpy as np
from numpy.typing import ArrayLike

from aftertrace.statistics import _validate
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
