"""A differentially private decision tree: splits by the exponential mechanism, geometric noise on counts of leaves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import UnsupportedError
from aftertrace.trainers._network_rows import child
from aftertrace.trainers._protocol import Base, Guarantee, Promise, Seeding, Size, TrainingData
from aftertrace.trainers._public_bounds import public_range, to_unit_box

Array = NDArray[np.float64]
Index = NDArray[np.int64]
_TREE, _SPLIT, _LEAF = range(3)  # children of a row's stream, by meaning; the last two have one child for each tree
_DEEPEST = 12  # a tree is complete: 4 096 leaves, far more than noise leaves anything of
_SENSITIVITY = 2.0  # of the summed Gini impurity: one more record raises it by less, and never lowers it


@dataclass(frozen=True, kw_only=True)
class PrivateTreeTrainer:
    """Complete trees of `depth` levels, splitting chosen by the Gini impurity: (epsilon, 0)-differential privacy.

    Every column is cut into `bins` parts of equal width within its public range, and a node is split at one of the
    `bins` - 1 cuts of one of the columns. A split is drawn by the exponential mechanism from the summed Gini impurity
    of both sides, with epsilon / 2 for all levels together; the class counts of leaves get two-sided geometric noise
    with the other half. Posteriors are shares of the counts, negative ones taken as 0, plus `smoothing` each; with
    several `trees`, their mean. Each record goes to one tree, drawn by its own number from the row's stream, so that
    each tree has the whole epsilon.

    Proof, for one record added or removed. It belongs to one tree and, in every level, to one node: nodes and trees
    compose in parallel. A node's impurities after all its possible splits rise together, each by less than 2, if a
    record is added ((n - a)^2 / (n (n + 1)) at least, n records of a side with a of its class; 2 n / (n + 1) at most):
    so weights exp(-e u / 2) are e-private without the usual factor of 2. The levels, e each, and the counts, of which
    one changes by 1, add up to epsilon.

    It takes as public: the specification, the classes, and, where `scaled`, the ranges of the columns over all records
    of the data set; otherwise columns are taken as they are, in [-1, 1]. Values beyond are clipped. Records of equal
    weight only. Splits are drawn in floating point; counts are whole numbers, so that they give away no last bits.

    Sources: A. Friedman, A. Schuster, KDD 2010 (splits by Gini impurity; here with the sharper weights above, of cuts
    fixed in advance, without pruning or noisy counts on the way); A. Ghosh, T. Roughgarden, M. Sundararajan, STOC 2009
    (noise); S. Fletcher, M. Z. Islam, 2017 (disjoint records for the trees). Promise: exact.
    Raises `ValueError` for parameters out of range.
    """

    epsilon: float
    depth: int = 3
    trees: int = 1
    bins: int = 16
    smoothing: float = 1.0
    scaled: bool = True

    def __post_init__(self) -> None:
        for name in ("epsilon", "smoothing"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < np.inf:
                raise ValueError(f"`{name}` must be a positive number, got {value!r}.")
        for name, least, most in (("depth", 1, _DEEPEST), ("trees", 1, 10**6), ("bins", 2, 256)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"`{name}` must lie between {least} and {most}, got {getattr(self, name)}.")

    @property
    def promise(self) -> Promise:
        return Promise.EXACT

    @property
    def seedings(self) -> frozenset[Seeding]:
        """Fresh only: noise that versions share cancels in their difference."""
        return frozenset({Seeding.FRESH})

    def guarantee(self, size: Size) -> Guarantee:
        """Of each model alone; the same for every number of records."""
        account = f"exponential mechanism in {self.depth} levels and geometric noise on leaves, half of epsilon each"
        return Guarantee(epsilon=float(self.epsilon), delta=0.0, adjacency="add_remove", account=account)

    def reference(self) -> "PrivateTreeReference":
        """The same draws, with the records of a node counted one after the other."""
        return PrivateTreeReference(self)

    def working_bytes(self, size: Size) -> int:
        """About the most that training and its models hold: bins of all records, counts and draws of a level, trees."""
        level = 2 ** (self.depth - 1) * size.features * self.bins * (3 * size.classes + 8)
        models = size.models * self.trees * 2**self.depth * (2 + size.classes)
        return 8 * (6 * size.records * size.features + level + models)

    def fit(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "PrivateTreeModels":
        """One model per row, on the CPU; `base` is not used, and a row may be empty.

        Raises `UnsupportedError` for weighted records and for other devices.
        """
        return _fit(self, data, keep, streams, device, _counted)


@dataclass(frozen=True)
class PrivateTreeReference:
    """Trains what `trainer` specifies with loops over records and cuts. Slow and obvious."""

    trainer: PrivateTreeTrainer

    @property
    def promise(self) -> Promise:
        return self.trainer.promise

    @property
    def seedings(self) -> frozenset[Seeding]:
        return self.trainer.seedings

    def fit(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "PrivateTreeModels":
        """As `PrivateTreeTrainer.fit`."""
        return _fit(self.trainer, data, keep, streams, device, _counted_one_by_one)


@dataclass(frozen=True, eq=False)
class PrivateTreeModels:
    """Complete trees, nodes in breadth-first order: the children of node i are 2 i + 1 and 2 i + 2.

    `column`, `cut` [M, T, 2^depth - 1]: a record whose bin in `column` is at least `cut` goes right. `share`
    [M, T, 2^depth, K]: posteriors of the leaves. `low`, `high` [F]: ranges.
    """

    column: Index
    cut: Index
    share: Array
    bins: int
    low: Array
    high: Array
    counts: Mapping[str, int]
    worst: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.share)

    def parameters(self, model: int) -> dict[str, NDArray[np.generic]]:
        """A model's arrays by name."""
        own = {"column": self.column[model], "cut": self.cut[model], "share": self.share[model]}
        return own | {"bins": np.array(self.bins), "low": self.low, "high": self.high}

    def log_posteriors(self, x: Array, model: NDArray[np.int64]) -> Array:
        """[Q, F], [Q] -> [Q, K]"""
        code = _binned(to_unit_box(x, self.low, self.high), self.bins)
        every, n_inner = np.arange(len(x)), self.column.shape[2]
        total = np.zeros((len(x), self.share.shape[3]))
        for tree in range(self.share.shape[1]):
            node = np.zeros(len(x), dtype=np.int64)
            for _ in range(n_inner.bit_length()):  # the depth, for 2^depth - 1 inner nodes
                column, cut = self.column[model, tree, node], self.cut[model, tree, node]
                node = 2 * node + 1 + (code[every, column] >= cut)
            total += self.share[model, tree, node - n_inner]
        return np.log(total / self.share.shape[1])


_Counter = Callable[[Index, Index, Index, tuple[int, int, int]], Index]
"""Bins [n, F], place in the level [n], label [n], (nodes, bins, K) -> records [nodes, F, bins, K]."""


def _fit(
    trainer: PrivateTreeTrainer,
    data: TrainingData,
    keep: NDArray[np.bool_],
    streams: Sequence[np.random.SeedSequence],
    device: str,
    count: _Counter,
) -> PrivateTreeModels:
    if device != "cpu":
        raise UnsupportedError(f"Private trees are trained on device 'cpu', got {device!r}.")
    if data.weight is not None:
        raise UnsupportedError("Private trees take records that weigh the same, got weights.")
    if len(streams) != len(keep):
        raise ValueError(f"`streams` must be one per row of `keep`; got {len(streams)} for {len(keep)} rows.")
    ones = np.ones(data.x.shape[1])
    low, high = public_range(data) if trainer.scaled else (-ones, ones)
    code = _binned(to_unit_box(data.x, low, high), trainer.bins)
    n_leaves, M, T = 2**trainer.depth, len(keep), trainer.trees
    column, cut = (np.zeros((M, T, n_leaves - 1), dtype=np.int64) for _ in range(2))
    share = np.empty((M, T, n_leaves, data.n_classes))
    for m, (row, stream) in enumerate(zip(keep, streams, strict=True)):
        tree_of = _tree_of(len(row), T, stream)
        for t in range(T):
            records = np.flatnonzero(row & (tree_of == t))
            draws = _Draws(trainer, stream, t)
            found = _grow(trainer, code[records], data.label[records], data.n_classes, draws, count)
            column[m, t], cut[m, t], share[m, t] = found
    return PrivateTreeModels(column, cut, share, trainer.bins, low, high, {"models": M})


def _tree_of(n_records: int, n_trees: int, stream: np.random.SeedSequence) -> Index:
    """Which tree each record of the data set belongs to, kept or not. -> [N]"""
    return (np.random.default_rng(child(stream, _TREE)).random(n_records) * n_trees).astype(np.int64)


def _binned(box: Array, bins: int) -> Index:
    """The part of [-1, 1] that each value lies in, 0 to `bins` - 1. [N, F] -> [N, F]"""
    return np.minimum((box + 1) * (bins / 2), bins - 1).astype(np.int64)


class _Draws:
    """The noise of one tree."""

    def __init__(self, trainer: PrivateTreeTrainer, stream: np.random.SeedSequence, tree: int) -> None:
        self._epsilon, self._depth = trainer.epsilon / 2, trainer.depth
        self._split, self._leaf = (
            np.random.default_rng(child(child(stream, purpose), tree)) for purpose in (_SPLIT, _LEAF)
        )

    def choose(self, impurity: Array) -> Index:
        """One of the candidates of each node, by the exponential mechanism. [nodes, candidates] -> [nodes]"""
        weight = -impurity * (self._epsilon / self._depth / _SENSITIVITY)
        chosen: Index = (weight + self._split.gumbel(size=weight.shape)).argmax(axis=1)  # a draw by weights exp(weight)
        return chosen

    def counts(self, counts: Index) -> Index:
        """With two-sided geometric noise: probabilities proportional to exp(-epsilon |noise|)."""
        p = -np.expm1(-self._epsilon)
        return counts + self._leaf.geometric(p, counts.shape) - self._leaf.geometric(p, counts.shape)


def _grow(
    trainer: PrivateTreeTrainer, code: Index, label: Index, n_classes: int, draws: _Draws, count: _Counter
) -> tuple[Index, Index, Array]:
    """One tree, level by level. [n, F], [n] -> column [2^depth - 1], cut [2^depth - 1], posteriors [2^depth, K]"""
    columns, cuts = [], []
    place = np.zeros(len(label), dtype=np.int64)  # in the level, from the left
    for level in range(trainer.depth):
        counts = count(code, place, label, (2**level, trainer.bins, n_classes))
        chosen = draws.choose(_impurity(counts))
        columns.append(chosen // (trainer.bins - 1))
        cuts.append(chosen % (trainer.bins - 1) + 1)
        place = 2 * place + (code[np.arange(len(code)), columns[-1][place]] >= cuts[-1][place])
    leaves = np.bincount(place * n_classes + label, minlength=2**trainer.depth * n_classes)
    noisy = np.maximum(draws.counts(leaves.reshape(-1, n_classes)), 0) + trainer.smoothing
    return np.concatenate(columns), np.concatenate(cuts), noisy / noisy.sum(axis=1, keepdims=True)


def _counted(code: Index, place: Index, label: Index, shape: tuple[int, int, int]) -> Index:
    nodes, bins, K = shape
    F = code.shape[1]
    cell = ((place[:, None] * F + np.arange(F)) * bins + code) * K + label[:, None]
    return np.bincount(cell.ravel(), minlength=nodes * F * bins * K).reshape(nodes, F, bins, K)


def _counted_one_by_one(code: Index, place: Index, label: Index, shape: tuple[int, int, int]) -> Index:
    nodes, bins, K = shape
    counts = np.zeros((nodes, code.shape[1], bins, K), dtype=np.int64)
    for bin_of, node, k in zip(code, place, label, strict=True):
        for column, each in enumerate(bin_of):
            counts[node, column, each, k] += 1
    return counts


def _impurity(counts: Index) -> Array:
    """Summed Gini impurity of both sides of every cut. [nodes, F, bins, K] -> [nodes, F (bins - 1)]"""
    left = counts.cumsum(axis=2)
    right = left[:, :, -1:] - left
    both = sum(_gini(side[:, :, :-1]) for side in (left, right))
    return np.asarray(both).reshape(len(counts), -1)


def _gini(counts: Index) -> Array:
    """N - sum of a_k^2 / n, 0 where there are no records. [..., K] -> [...]"""
    n = counts.sum(axis=-1)
    gini: Array = n - (counts**2).sum(axis=-1) / np.maximum(n, 1)
    return gini
