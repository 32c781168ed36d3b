"""Rank of a query among public unseen records: a p-value that holds for any score and any model.

With `n` public records and the query exchangeable, `p = (1 + #{z: t(z) >= t(x)}) / (n + 1)` is at most `u` with
probability at most `u`, whatever the score `t`. Ties count against the query. Queries and references are sorted
together: `O((Q + n) log(Q + n))`, no matrix of comparisons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aftertrace.attacks._protocol import Attack, Needs, Scorer
from aftertrace.attacks._score import LogitDrop
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, Role, Use

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def conformal_p_value(
    score: ArrayLike,
    reference: ArrayLike,
    *,
    group: ArrayLike | None = None,
    reference_group: ArrayLike | None = None,
    gamma: float = 1.0,
) -> Array:
    """`(1 + #{z: t(z) + ln gamma >= t(x)}) / (n + 1)` for `score` t(x) [Q] among `reference` t(z) [n]. -> [Q]

    Small: the score is unusually large for an unseen record. With groups (whole numbers [Q] and [n]) a query is
    compared with the references of its own group (Mondrian); without any, its p-value is 1. Exact for every query
    that is exchangeable with the references of its group: `P(p <= u) <= u`, with equality at multiples of
    `1 / (n + 1)` where scores do not tie. A query must not be among its own references.

    `gamma >= 1` is the margin of RMIA (arXiv 2312.03262): a reference counts unless the query's ratio is
    more than `gamma` times its own; scores are then logarithms of ratios, such as `loss_rise`. Larger, and so more
    careful, p-values than with 1.

    >>> conformal_p_value([2.5, 0.0], [1.0, 2.0, 3.0]).tolist()
    [0.5, 1.0]
    """
    own, others = np.asarray(score, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if (group is None) != (reference_group is None):
        raise ValueError("`group` and `reference_group` must be given together, got one of them.")
    _check_gamma(gamma)
    groups = [np.zeros(own.size, dtype=np.int64), np.zeros(others.size, dtype=np.int64)]
    if group is not None and reference_group is not None:
        groups = [np.asarray(group), np.asarray(reference_group)]
    for name, values, cell in (("score", own, groups[0]), ("reference", others, groups[1])):
        if values.ndim != 1 or cell.shape != values.shape or np.isnan(values).any():
            raise ValueError(f"`{name}` must be numbers in one dimension, one group each; got {values.shape}.")
    above, total = count_above(own, others, groups[0], groups[1], margin=np.log(gamma))
    return (1 + above) / (1 + total)


def confidence_cell(confidence: Array, reference: Array, *, bins: int) -> Ints:
    """Cell of a confidence among `bins` quantile bins of public records' confidences. [Q], [n] -> [Q]

    The edges between bins are references themselves, at fixed places in their order. A value strictly between two
    edges is in their bin; one equal to an edge is in a cell of that value alone. So a query never shares a cell with
    an edge by chance, and exchanging it with a reference of its cell moves no edge: p-values within cells stay
    exact, which they would not with edges that are members of a bin.
    """
    places = (np.arange(1, bins) * (reference.size + 1)) // bins - 1
    edges = np.sort(reference)[places[(places >= 0) & (places < reference.size)]]
    return np.searchsorted(edges, confidence, "left") + np.searchsorted(edges, confidence, "right")


def count_above(
    score: Array, reference: Array, group: Ints, reference_group: Ints, *, margin: float, weight: Array | None = None
) -> tuple[Array, Array]:
    """Weight of a group's references with `t(z) + margin >= t(x)`, and of all of them. -> [Q], [Q]"""
    cell = _numbered(np.concatenate([group, reference_group]))
    order = _sorted_further(_by_value(score - margin, reference), cell)
    return _weight_above(order, [cell], np.ones(reference.size) if weight is None else weight)


def _by_value(score: Array, reference: Array) -> Ints:
    """Queries and references as one list, ascending; a query comes before the references that tie with it. [Q + n]"""
    return np.argsort(np.concatenate([score, reference]), kind="stable")


def _sorted_further(order: Ints, code: Ints) -> Ints:
    """By `code` >= 0 first, then as before. Few codes are sorted in linear time: NumPy has a radix sort for 16 bits."""
    few = code.astype(np.min_scalar_type(int(code.max(initial=0))))
    return order[np.argsort(few[order], kind="stable")]


def _weight_above(order: Ints, cells: Sequence[Ints], weight: Array) -> tuple[Array, Array]:
    """Weight of the references behind each query in its cell, and of all of the cell. -> [Q], [Q]

    `order` [Q + n] sorts queries and references by all of `cells` [Q + n], then by value; `weight` [n].
    """
    is_first = np.zeros(order.size, dtype=bool)
    is_first[:1] = True
    for code in cells:
        along = code[order]
        is_first[1:] |= along[1:] != along[:-1]
    start = np.flatnonzero(is_first)
    end = np.append(start[1:], order.size)
    size = order.size - weight.size
    sums = np.append(0.0, np.cumsum(np.append(np.zeros(size), weight)[order]))
    above, total = np.empty(order.size), np.empty(order.size)
    above[order] = np.repeat(sums[end], end - start) - sums[:-1]
    total[order] = np.repeat(sums[end] - sums[start], end - start)
    return above[:size], total[:size]


def public_records(table: Posteriors) -> NDArray[np.bool_]:
    """The unseen queries set aside, which anyone may know: never evaluated. -> [Q]"""
    return (table.use == Use.HELD_OUT) & (table.role == Role.UNSEEN)


def _bins_of_originals(table: Posteriors, bins: int) -> Ints:
    """Bins of the original's confidence in the true class, with the edges of each original's own public records."""
    public, confidence = public_records(table), table.phi[:, 0]
    order = np.argsort(table.original, kind="stable")
    cell = np.empty(len(table), dtype=np.int64)
    for rows in np.split(order, np.flatnonzero(np.diff(table.original[order])) + 1):
        cell[rows] = confidence_cell(confidence[rows], confidence[rows][public[rows]], bins=bins)
    return cell


def rank_among_public(score: Array, table: Posteriors, *, by_class: bool, bins: int, gamma: float = 1.0) -> Array:
    """P-value of every query of a table among public unseen queries, by `score` [Q]. -> [Q]

    Compared with the public queries of the same pair, or of the other pairs of the same original where there are
    more such pairs than public queries in the own pair (see `ConformalRank`).
    """
    public = public_records(table)
    rows = np.append(np.arange(len(table)), np.flatnonzero(public))  # every query, then the references
    cells = [_bins_of_originals(table, bins)] if bins > 1 else []
    cells += [table.label] if by_class else []
    cells = [code[rows] for code in (*cells, _numbered(table.original))]
    pair = _numbered(table.pair)[rows]
    order = _by_value(score - np.log(gamma), score[public])
    for code in cells:
        order = _sorted_further(order, code)
    above, n = _weight_above(_sorted_further(order, pair), [*cells, pair], np.ones(int(public.sum())))
    above_all, n_pairs = _weight_above(order, cells, 1 / n[public])

    within = (1 + above - public) / (1 + n - public)  # a public query is not among its own references
    share = np.divide(above, n, out=np.zeros_like(above), where=n > 0)
    across = (1 + above_all - share) / (1 + n_pairs - (n > 0))
    # sums of weights are rounded: what is equal must stay a tie
    return np.where(n >= np.round(n_pairs), within, np.round(across, 9))


def _numbered(part: Ints) -> Ints:
    """The place of each value among the different ones. [N] -> [N]"""
    return np.unique(part, return_inverse=True)[1]


@dataclass(frozen=True)
class ConformalRank:
    """One minus the p-value of `base`'s score among public unseen queries of the same models.

    Makes any score comparable over pairs, originals, classes (`by_class`) and `bins` of the original's confidence,
    and gives it a false-positive rate that needs no assumption on models or data (conformal prediction, V. Vovk
    et al.; the score of RMIA, arXiv 2312.03262, at two versions; its margin is `gamma`).

    **What it sees.** The references are the *held-out* unseen queries of the scored table: records that the auditor
    declares public. Evaluated queries are scored and never compared with. A held-out query is scored by its rank
    among the others. Exactly one of two comparisons is made for all queries of a cell (models, class, bin), the one
    with the finer p-values, chosen by counts alone:

    - *within the pair*: `n` held-out queries of the same pair are exchangeable with an unseen one, given both
      models. Evaluated queries have `n` references, held-out ones `n - 1`: both p-values hold, on grids that differ
      by one step, so a threshold set on held-out scores may accuse up to `1 / (n + 1)` more of the evaluated than
      it should. A limit on the p-value itself needs no threshold.
    - *across pairs*: where fewer queries are held out in a pair than there are pairs, those of the other pairs of
      the same original. Queries of one pair are not independent of each other (the unlearned model is theirs), so a
      pair counts once, as the mean over its held-out queries, and the own pair not at all: the hierarchical form of
      Lee, Barber & Willett (arXiv 2306.06342), which holds given the original. Held-out and evaluated unseen
      queries then have one law, and with one held-out query per pair it is uniform.

    A query with nothing to be compared with has p-value 1 and score 0.
    """

    base: Attack = field(default_factory=LogitDrop)
    by_class: bool = False
    bins: int = 1
    gamma: float = 1.0

    def __post_init__(self) -> None:
        _check_gamma(self.gamma)
        if self.bins < 1:
            raise ValueError(f"`bins` must be at least 1, got {self.bins}.")

    @property
    def name(self) -> str:
        condition = (
            "class" * self.by_class,
            f"{self.bins} bins" * (self.bins > 1),
            f"gamma {self.gamma:g}" * (self.gamma != 1),
        )
        return "/".join(["Rank", self.base.name, *filter(None, condition)])

    @property
    def needs(self) -> Needs:
        base = self.base.needs
        label = base.label or self.by_class or self.bins > 1
        return Needs(shadow=base.shadow, kinds=base.kinds, label=label, probes=base.probes, held_out=True)

    @property
    def classical(self) -> bool:
        return self.base.classical

    @property
    def probabilistic(self) -> bool:
        return False

    @property
    def class_symmetric(self) -> bool:
        return self.base.class_symmetric

    @property
    def opponent(self) -> str:
        return self.base.opponent

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> "RankScorer":
        """Fit the base; the ranking has nothing to learn."""
        return RankScorer(self, self.base.fit(shadow, rng=rng))


@dataclass(frozen=True)
class RankScorer:
    """A fitted `ConformalRank`."""

    attack: ConformalRank
    base: Scorer

    def score(self, target: Posteriors) -> Array:
        """One minus the p-value, from 0 to below 1. -> [Q]

        Raises `PosteriorsError` for a table without held-out unseen queries. Pairs and originals must be numbered
        through where tables are joined.
        """
        attack = self.attack
        if not public_records(target).any():
            raise PosteriorsError(f"Attack {attack.name} compares with held-out unseen queries; the table has none.")
        score = self.base.score(target)
        return 1 - rank_among_public(score, target, by_class=attack.by_class, bins=attack.bins, gamma=attack.gamma)


def _check_gamma(gamma: float) -> None:
    if not gamma >= 1:
        raise ValueError(f"`gamma` must be at least 1, got {gamma}.")
