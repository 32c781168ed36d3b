"""Decision trees and random forests, grown for all variants of an original together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.trainers._protocol import Base, Promise, Seeding, Size, TrainingData

if TYPE_CHECKING:
    from aftertrace.trainers._grow import Desk, Forest, Records, Rule

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
MaxFeatures = int | float | Literal["sqrt", "log2"] | None
Bag = Literal["all", "bootstrap", "poisson"]

_MANY = 10**6  # queries times trees from which queries that are alike are answered once
_MANY_OF_ONE = 256  # queries of a model from which its trees are written out for them
_MOST_REMOVED = 0.25  # rows that lack more of the union than this are not grown beside the others


class _Shape(Protocol):
    """What trees and forests have in common."""

    @property
    def max_features(self) -> MaxFeatures: ...
    @property
    def min_samples_leaf(self) -> int: ...
    @property
    def min_samples_split(self) -> int: ...
    @property
    def max_depth(self) -> int | None: ...
    @property
    def max_leaf_nodes(self) -> int | None: ...


@dataclass(frozen=True, kw_only=True)
class TreeTrainer:
    """A classification tree: Gini impurity, thresholds midway between values, posteriors by class shares of leaves.

    Parameters as in scikit-learn's `DecisionTreeClassifier`: with `max_leaf_nodes` the leaf that gains most is split
    next, otherwise nodes are split depth first. Among equal splits the first in a random order of features is taken;
    that order comes from the stream and the node's place in the tree.

    Deviations from scikit-learn: values are compared in float64, without its tolerance of 1e-7.

    Raises `ValueError` for parameters out of range.
    """

    max_leaf_nodes: int | None = None
    min_samples_leaf: int = 1
    min_samples_split: int = 2
    max_depth: int | None = None
    max_features: MaxFeatures = None

    def __post_init__(self) -> None:
        _check_shape(self)

    @property
    def promise(self) -> Promise:
        return Promise.EXACT

    @property
    def seedings(self) -> frozenset[Seeding]:
        return frozenset(Seeding)

    def reference(self) -> "GrownAlone":
        """Every row grown by itself, from its own records."""
        return GrownAlone(self)

    def working_bytes(self, size: Size) -> int:
        """About the most that training and its trees hold."""
        return _working_bytes(self, 1, size, shares=False)

    def fit(
        self,
        data: TrainingData,
        keep: Mask,
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "ForestModels":
        """One tree per row; of `base` only its records are used. Raises `TrainingError` for a row without records."""
        return _fit(self, 1, "all", data, keep, streams, device, base)


@dataclass(frozen=True, kw_only=True)
class ForestTrainer:
    """A random forest: trees on bags of records, with `max_features` features looked at per node; posteriors are means.

    Parameters as in scikit-learn's `RandomForestClassifier`. `coupled`: how often a record is in a tree's bag is drawn
    from its own number (Poisson with mean 1) instead of drawing as many records as there are, so that a deletion
    leaves the bags of all others as they were; only what it changes is grown anew. Original and unlearned model then
    differ by the deletion alone: another experiment, with less noise, than independent or position-wise bags.

    Deviations from scikit-learn: as `TreeTrainer`; features of a node are drawn from its place in the tree, so
    that equal streams give equal draws there whatever happens elsewhere.

    Raises `ValueError` for parameters out of range.
    """

    n_estimators: int = 100
    max_leaf_nodes: int | None = None
    min_samples_leaf: int = 1
    min_samples_split: int = 2
    max_depth: int | None = None
    max_features: MaxFeatures = "sqrt"
    bootstrap: bool = True
    coupled: bool = False

    def __post_init__(self) -> None:
        _check_shape(self)
        if self.n_estimators < 1:
            raise ValueError(f"`n_estimators` must be at least 1, got {self.n_estimators}.")

    @property
    def promise(self) -> Promise:
        return Promise.EXACT

    @property
    def seedings(self) -> frozenset[Seeding]:
        return frozenset({Seeding.COUPLED}) if self.coupled else frozenset({Seeding.FRESH, Seeding.SAME})

    def reference(self) -> "GrownAlone":
        """Every row grown by itself, from its own records."""
        return GrownAlone(self)

    def working_bytes(self, size: Size) -> int:
        """About the most that training and its trees hold."""
        return _working_bytes(self, self.n_estimators, size, shares=self.coupled)

    def fit(
        self,
        data: TrainingData,
        keep: Mask,
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "ForestModels":
        """One forest per row; of `base` only its records are used. Raises `TrainingError` for a row without records."""
        bag: Bag = "all" if not self.bootstrap else "poisson" if self.coupled else "bootstrap"
        return _fit(self, self.n_estimators, bag, data, keep, streams, device, base)


@dataclass(frozen=True)
class GrownAlone:
    """Trains each row of `trainer` in a call of its own: nothing is shared between rows."""

    trainer: TreeTrainer | ForestTrainer

    @property
    def promise(self) -> Promise:
        return self.trainer.promise

    @property
    def seedings(self) -> frozenset[Seeding]:
        return self.trainer.seedings

    def fit(
        self,
        data: TrainingData,
        keep: Mask,
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "ForestModels":
        """As the trainer's own `fit`."""
        alone = [self.trainer.fit(data, keep[[m]], streams=streams[m : m + 1], device=device) for m in range(len(keep))]
        return _joined(alone, len(keep))


@dataclass(frozen=True, eq=False)
class ForestModels:
    """Trees that share their common parts: `root` [M, T] are nodes of `parts[part[m]]`.

    A node sends records with `x[feature] <= threshold` to `left`; a leaf has feature -1 and its class shares in
    `share[left]`. `coded`: the records of the first part, which models of the same records can take over.
    """

    parts: Sequence["Forest"]
    part: Index  # [M]
    root: NDArray[np.int32]  # [M, T]
    n_classes: int
    coded: "Coded | None" = None

    @property
    def counts(self) -> Mapping[str, int]:
        return {"models": len(self.root), "unconverged": 0}

    @property
    def worst(self) -> Mapping[str, float]:
        return {}

    def __len__(self) -> int:
        return len(self.root)

    def parameters(self, model: int) -> dict[str, NDArray[np.generic]]:
        """A model's trees as arrays: root [T], and per node feature, threshold, left, right, and share [., K]."""
        from aftertrace.trainers._grow import below

        forest = self.parts[self.part[model]]
        nodes = below(forest.split, self.root[model])
        place = np.full(len(forest.split), -1, dtype=np.int32)
        place[nodes] = np.arange(len(nodes))
        split = forest.split[nodes]
        is_leaf = split["feature"] < 0
        return {
            "root": place[self.root[model]],
            "feature": split["feature"],
            "threshold": split["threshold"],
            "left": np.where(is_leaf, np.cumsum(is_leaf) - 1, place[split["left"]]).astype(np.int32),
            "right": np.where(is_leaf, -1, place[split["right"]]),
            "share": forest.share[split["left"][is_leaf]],
        }

    def log_posteriors(self, x: Array, model: Index) -> Array:
        """Log of the mean class shares. [Q, F], [Q] -> [Q, K]; `-inf` where no leaf has a record of the class"""
        if len(x) * self.root.shape[1] < _MANY:
            return self._answers(x, model)
        # of an attack's queries many are alike, as the posteriors of trees are
        distinct, place = np.unique(np.column_stack([model, x]), axis=0, return_inverse=True)
        values = self._answers(np.ascontiguousarray(distinct[:, 1:]), distinct[:, 0].astype(np.int64))
        return values[place.ravel()]

    def _answers(self, x: Array, model: Index) -> Array:
        from aftertrace.trainers._grow import answer, answer_one

        values = np.empty((len(x), self.n_classes))
        queries = np.bincount(model, minlength=len(self.root))
        alone = np.flatnonzero(queries >= _MANY_OF_ONE)
        for m in alone:
            rows, forest = np.flatnonzero(model == m), self.parts[self.part[m]]
            values[rows] = answer_one(forest.split, forest.share, self.root[m], np.ascontiguousarray(x[rows]))
        left = ~np.isin(model, alone)
        for number, forest in enumerate(self.parts):
            rows = np.flatnonzero(left & (self.part[model] == number))
            values[rows] = answer(forest.split, forest.share, self.root, np.ascontiguousarray(x[rows]), model[rows])
        with np.errstate(divide="ignore"):
            return np.log(values)


def _working_bytes(shape: _Shape, n_trees: int, size: Size, *, shares: bool) -> int:
    """Nodes with room to grow, and the tables of one tree at work.

    Measured where labels are noise, and trees largest: a leaf for each `2 * min_samples_leaf + 2` records, and of the
    nodes of a tree about an eighth (best first: two thirds) that one deletion changes.
    """
    leaves = 1 + min(shape.max_leaf_nodes or size.records, size.records // (2 * shape.min_samples_leaf + 2))
    changed = 1.0 if not shares else 0.7 if shape.max_leaf_nodes else 0.15
    nodes = 2 * leaves * n_trees * (1 + changed * (size.models - 1))
    tables = size.records * (16 * size.features + 64) + 2**25
    return int(2 * nodes * (20 + 8 * size.classes)) + 4 * n_trees * size.models + tables


def _check_shape(shape: _Shape) -> None:
    for name, least in (("min_samples_leaf", 1), ("min_samples_split", 2), ("max_depth", 1), ("max_leaf_nodes", 2)):
        value = getattr(shape, name)
        if value is None and name in ("max_depth", "max_leaf_nodes"):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"`{name}` must be a whole number of at least {least}, got {value!r}.")
    most = shape.max_features
    if (isinstance(most, str) and most in ("sqrt", "log2")) or most is None:
        return
    if isinstance(most, bool) or not (
        (isinstance(most, int) and most >= 1) or (isinstance(most, float) and 0 < most <= 1)
    ):
        raise ValueError(
            f"`max_features` must be 'sqrt', 'log2', a number of at least 1, a share in (0, 1] or none, got {most!r}."
        )


def _n_features(most: MaxFeatures, n_features: int) -> int:
    """Features to look at per node, as scikit-learn counts them."""
    match most:
        case None:
            return n_features
        case "sqrt":
            return max(1, int(np.sqrt(n_features)))
        case "log2":
            return max(1, int(np.log2(n_features)))
        case float():
            return max(1, int(most * n_features))
    return min(int(most), n_features)


def _fit(
    shape: _Shape,
    n_trees: int,
    bag: Bag,
    data: TrainingData,
    keep: Mask,
    streams: Sequence[np.random.SeedSequence],
    device: str,
    base: Base | None,
) -> ForestModels:
    if device != "cpu":
        raise UnsupportedError(f"Trees and forests are trained on device 'cpu', got {device!r}.")
    if len(streams) != len(keep):
        raise ValueError(f"`streams` must be one per row of `keep`; got {len(streams)} for {len(keep)} rows.")
    if not keep.any(axis=1).all():
        raise TrainingError("A tree needs at least one training record in each row, got a row with none.")
    key = np.array([each.generate_state(1, np.uint64)[0] for each in streams], dtype=np.uint64)
    whole = data.weight is None or bool((data.weight == np.rint(data.weight)).all())
    # bags that are drawn by place, and sums that are rounded, leave nothing to share
    union = np.flatnonzero(keep.any(axis=0))  # far fewer than the data set has
    inside = keep[:, union]
    groups = _groups(inside, key) if whole and bag != "bootstrap" else [np.array([m]) for m in range(len(keep))]
    known = base.models.coded if base is not None and isinstance(base.models, ForestModels) else None
    coded = [Coded.of(data, union[inside[rows].any(axis=0)], known) for rows in groups]
    grown = [
        _grow(shape, n_trees, bag, own, keep[rows], int(key[rows[0]])) for own, rows in zip(coded, groups, strict=True)
    ]
    part, root = np.zeros(len(keep), dtype=np.int64), np.zeros((len(keep), n_trees), dtype=np.int32)
    for number, rows in enumerate(groups):
        part[rows], root[rows] = number, grown[number][1]
    return ForestModels([forest for forest, _ in grown], part, root, data.n_classes, coded[0] if coded else None)


def _joined(models: Sequence[ForestModels], n_models: int) -> ForestModels:
    parts = [part for each in models for part in each.parts]
    root = np.concatenate([each.root for each in models])
    return ForestModels(parts, np.arange(n_models), root, models[0].n_classes)


def _groups(keep: Mask, key: NDArray[np.uint64]) -> list[Index]:
    """Rows that are grown together: of one stream, and each nearly the union of all."""
    out, pending = [], np.arange(len(keep))
    while len(pending):
        first = keep[pending[0]]
        near = (key[pending] == key[pending[0]]) & ((keep[pending] & first).sum(axis=1) * 2 > first.sum())
        rows = pending[near]
        union = keep[rows].any(axis=0).sum()
        nearly = keep[rows].sum(axis=1) >= (1 - _MOST_REMOVED) * union
        rows = rows[nearly] if nearly[0] else rows[:1]
        out.append(rows)
        pending = pending[~np.isin(pending, rows)]
    return out


@dataclass(frozen=True, eq=False)
class Coded:
    """The records `union` of `data` as trees are grown on them."""

    data: TrainingData
    union: Index
    records: "Records"

    @classmethod
    def of(cls, data: TrainingData, union: Index, known: "Coded | None") -> "Coded":
        """`known`, if it is of the same records."""
        if known is not None and known.data is data and np.array_equal(known.union, union):
            return known
        return cls(data, union, _coded(data, union))


def _grow(
    shape: _Shape, n_trees: int, bag: Bag, coded: Coded, keep: Mask, key: int
) -> tuple["Forest", NDArray[np.int32]]:
    """All trees of rows that share a stream. -> nodes, and roots [M, T]"""
    from aftertrace.trainers._grow import bootstrap_bag, grow, poisson_bag, tree_key

    data, union, records = coded.data, coded.union, coded.records
    rule = _rule(shape, data.x.shape[1])
    row, gone = map(np.ascontiguousarray, np.nonzero(~keep[:, union]))  # one layout: each is compiled apart
    first = np.searchsorted(row, np.arange(len(keep) + 1))
    desk = _room(records, rule)
    forest = _empty_forest(4 * len(union) + 4, data.n_classes)
    root = np.full((n_trees, len(keep)), -1, dtype=np.int32)
    own, weight = np.ones(len(union)) if data.weight is None else data.weight[union], np.empty(len(union))
    for tree in range(n_trees):
        tree_seed = np.uint64(tree_key(np.uint64(key), tree))
        weight[:] = 1.0
        if bag == "poisson":
            poisson_bag(tree_seed, union, weight)
        elif bag == "bootstrap":
            bootstrap_bag(tree_seed, weight)
        weight *= own
        while not grow(records, weight, rule, desk, forest, tree_seed, gone, first, root[tree]):
            forest = _larger(forest)
    return _trimmed(forest), np.ascontiguousarray(root.T)


def _coded(data: TrainingData, union: Index) -> "Records":
    from aftertrace.trainers._grow import Records

    x = data.x[union]
    code, values = np.empty((x.shape[1], len(union)), dtype=np.int32), []
    for f in range(x.shape[1]):
        column = np.ascontiguousarray(x[:, f])
        values.append(np.unique(column))
        code[f] = np.searchsorted(values[f], column)
    first = np.concatenate([[0], np.cumsum([len(value) for value in values])]).astype(np.int64)
    return Records(code, first, np.concatenate(values), data.label[union].astype(np.int64), data.n_classes)


def _rule(shape: _Shape, n_features: int) -> "Rule":
    from aftertrace.trainers._grow import Rule

    return Rule(
        _n_features(shape.max_features, n_features),
        shape.min_samples_leaf,
        shape.min_samples_split,
        np.iinfo(np.int32).max if shape.max_depth is None else shape.max_depth,
        shape.max_leaf_nodes or 0,
    )


def _room(records: "Records", rule: "Rule") -> "Desk":
    """Arrays to work in, for any tree on these records."""
    from aftertrace.trainers._grow import ENTRY, NODE, OPEN, TABLE, Desk

    (F, U), K = records.code.shape, records.n_classes
    n_codes = np.diff(records.first)
    n_nodes = 8 * min(U, rule.max_leaves or U) + 64
    n_entries = max(int(n_codes.sum()), 2**19 // (K + 2))
    n_open = (rule.max_leaves or 2 * U) + 2

    return Desk(
        node=np.empty(n_nodes, dtype=NODE),
        weight=np.empty((n_nodes, K)),
        samples=np.empty(2 * U, dtype=np.int64),
        aside=np.empty(U, dtype=np.int64),
        histogram=np.zeros((int(n_codes.max()), K)),
        seen=np.zeros(int(n_codes.max()), dtype=np.int64),
        met=np.zeros(int(n_codes.max()) // 64 + 1, dtype=np.uint64),
        sums=np.empty((3, K)),
        order=np.empty(F, dtype=np.int64),
        entry=np.empty(n_entries, dtype=ENTRY),
        by_class=np.empty((n_entries, K)),
        table=np.empty(max(4 * F, n_entries // 16), dtype=TABLE),
        used=np.empty(4, dtype=np.int64),
        removed=np.empty(U, dtype=np.int64),
        open=np.empty(n_open, dtype=OPEN),
        open_weight=np.empty((n_open if rule.max_leaves else 1, K)),
    )


def _empty_forest(n_nodes: int, n_classes: int) -> "Forest":
    from aftertrace.trainers._grow import SPLIT, Forest

    return Forest(np.zeros(n_nodes, dtype=SPLIT), np.empty((n_nodes, n_classes)), np.zeros(2, dtype=np.int64))


def _larger(forest: "Forest") -> "Forest":
    larger = _empty_forest(2 * len(forest.split), forest.share.shape[1])
    for new, old in zip(larger, forest, strict=True):
        new[: len(old)] = old
    return larger


def _trimmed(forest: "Forest") -> "Forest":
    n_nodes, n_leaves = forest.used
    return forest._replace(split=forest.split[:n_nodes].copy(), share=forest.share[:n_leaves].copy())
