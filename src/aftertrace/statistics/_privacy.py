"""What a guarantee of differential privacy allows an attack at most, and how guarantees convert."""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import index

import numpy as np

from aftertrace.statistics._records import Interval


@dataclass(frozen=True)
class DpGuarantee:
    """(epsilon, delta)-differential privacy. Which change it protects, the functions that take it say."""

    epsilon: float
    delta: float = 0.0

    def __post_init__(self) -> None:
        if not self.epsilon >= 0:
            raise ValueError(f"`epsilon` must be at least 0, got {self.epsilon}.")
        if not 0 <= self.delta <= 1:
            raise ValueError(f"`delta` must lie in [0, 1], got {self.delta}.")


def dp_group(guarantee: DpGuarantee, *, size: int) -> DpGuarantee:
    """The guarantee for a change of `size` records at once, k: (k e, d (1 + e^e + ... + e^((k-1) e))).

    Delta is at most 1, where it guarantees nothing. Source: S. Vadhan, The Complexity of Differential Privacy (2017),
    lemma 2.2. Raises `ValueError` for `size` below 1.
    """
    k = index(size)
    if k < 1:
        raise ValueError(f"`size` must be at least 1, got {k}.")
    if guarantee.delta == 0:
        return DpGuarantee(k * guarantee.epsilon)
    # In logarithms: a large group or epsilon overflows, and its delta is 1 long before.
    log_delta = np.log(guarantee.delta) + np.logaddexp.reduce(guarantee.epsilon * np.arange(k))
    return DpGuarantee(k * guarantee.epsilon, float(np.exp(min(log_delta, 0.0))))


def dp_substitution(add_remove: DpGuarantee) -> DpGuarantee:
    """From an add/remove account to substitution of one record, a removal and an addition: (2 e, (1 + e^e) d).

    Deleted against unseen is substitution: another record trained in the deleted one's place.

    >>> dp_substitution(DpGuarantee(1.0))
    DpGuarantee(epsilon=2.0, delta=0.0)
    """
    return dp_group(add_remove, size=2)


def dp_compose(guarantees: Iterable[DpGuarantee]) -> DpGuarantee:
    """The guarantee of several releases together, as an original and its updates: epsilons and deltas add up.

    Each release must draw fresh noise: noise shared between versions cancels, and no sum bounds that. Basic
    composition; an accountant may do better. Source: C. Dwork, A. Roth (2014), theorem 3.16.
    """
    parts = list(guarantees)
    return DpGuarantee(sum(g.epsilon for g in parts), min(1.0, sum(g.delta for g in parts)))


def auc_ceiling(substitution: DpGuarantee) -> float:
    """The largest AUC of any attack, deleted against unseen: 1 - (1 - d)^2 / (1 + e^e).

    `substitution`: of all that the attacker sees together, for substitution of one record. One minus the area under
    the trade-off curve of `tpr_ceiling`. An interval for AUC wholly above refutes the guarantee (or the account).

    >>> auc_ceiling(DpGuarantee(0.0))
    0.5
    """
    odds = np.exp(-substitution.epsilon)
    return float(1 - (1 - substitution.delta) ** 2 * odds / (1 + odds))


def tpr_ceiling(substitution: DpGuarantee, *, fpr: float) -> float:
    """The largest true-positive rate of any attack at a false-positive rate of at most `fpr`.

    min(1, d + e^e fpr, 1 - e^-e (1 - d - fpr)). `substitution` as in `auc_ceiling`. Source: P. Kairouz, S. Oh,
    P. Viswanath, ICML 2015 (arXiv 1311.0776), theorem 2.1. Raises `ValueError` for `fpr` outside [0, 1].

    >>> round(tpr_ceiling(DpGuarantee(1.0), fpr=0.01), 4)
    0.0272
    """
    if not 0 <= fpr <= 1:
        raise ValueError(f"`fpr` must lie in [0, 1], got {fpr}.")
    epsilon, delta = substitution.epsilon, substitution.delta
    # The direct line binds below the crossing only, and e^epsilon would overflow far above it.
    direct = delta + np.exp(min(epsilon, 700.0)) * fpr
    return float(min(1.0, direct, 1 - np.exp(-epsilon) * (1 - delta - fpr)))


@dataclass(frozen=True)
class CeilingCheck:
    """An AUC held against a guarantee. `violated` is None where `auc` has no ends."""

    ceiling: float
    auc: Interval
    violated: bool | None


def check_ceiling(auc: Interval, substitution: DpGuarantee) -> CeilingCheck:
    """Does an attack's AUC, deleted against unseen, refute a claim of differential privacy?

    `violated`: the interval lies wholly above `auc_ceiling`, or wholly below one minus it (the reversed score is an
    attack too). A claim that holds is called violated with probability (1 - confidence) / 2 at most, the two sides
    together 1 - confidence where epsilon is near 0, as far as the interval covers. That nothing is violated proves
    nothing: the attack may be weak, the originals few. Ten originals that are told apart without fail reach down to
    .69, which refutes no epsilon above .80.

    `substitution`: of all that the attacker sees together, for substitution of one record; from an add/remove
    account by `dp_substitution`, of several versions by `dp_compose`. Where the same records remain after either
    deletion, the unlearned version is no evidence and the original's guarantee is the sharper claim, noise being
    fresh for every version. `auc`: over originals, as by `auc_interval`, for the noise that is judged is drawn once
    per original; and with roles exchanged at random, so that deleted and unseen queries are of the same records.

    >>> told_apart = Interval(1.0, 0.98, 1.0, 0.95, 183, "clopper-pearson on originals")
    >>> check_ceiling(told_apart, DpGuarantee(1.0)).violated, check_ceiling(told_apart, DpGuarantee(4.0)).violated
    (True, False)
    """
    ceiling = auc_ceiling(substitution)
    if auc.low is None or auc.high is None:
        return CeilingCheck(ceiling, auc, None)
    return CeilingCheck(ceiling, auc, auc.low > ceiling or auc.high < 1 - ceiling)
