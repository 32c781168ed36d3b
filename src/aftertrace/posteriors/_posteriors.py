"""The central table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum, StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aftertrace.errors import PosteriorsError
from aftertrace.posteriors._phi import phi
from aftertrace.posteriors._roles import Role, membership, role_numbers

SUM_TOLERANCE = 1e-3


class Kind(StrEnum):
    """What a row of the table is."""

    POSTERIOR = "posterior"  # a probability per class
    LABEL = "label"  # one-hot: only the predicted class is released
    SCORE = "score"  # one number per version, larger for what is more likely (a log-likelihood); K = 1


class Use(IntEnum):
    """What a query may be used for."""

    EVALUATE = 0  # enters the figures
    HELD_OUT = 1  # unseen, set aside: thresholds on the shadow side, the unseen/unseen control on the target side


@dataclass(frozen=True, eq=False, kw_only=True)
class Posteriors:
    """What an outsider sees of `Q` queries: every version's answer to each. Immutable, checked when made.

    `log_values` [Q, V, K]: log of the released posterior (`-inf` allowed; float32 is kept as given), version 0 the
    original; `member` [Q, V] bool: was the record in the training set of that version?; `label` [Q] in `0..K-1`;
    `classes`: K names; `record` [Q]: an opaque number, the same for the same record; `pair`, `original` [Q]: the pair
    of models and the original that a query belongs to, the units of resampling; `use` [Q]: a `Use`; `attacked`: the
    role that attacks tell from unseen; `probes`: name -> [Q, V, ...], what else was measured while the models were
    alive; `class_probes`: names of those that are log posteriors too, [Q, V, ..., K], and are released as such.

    Raises `PosteriorsError` for shapes that disagree, NaN, rows of `Kind.POSTERIOR` whose sum is further than
    1e-3 from 1, labels outside the classes. The largest deviation of a sum is kept in `sum_deviation`.
    """

    log_values: NDArray[np.floating]
    member: NDArray[np.bool_]
    label: NDArray[np.int64]
    classes: tuple[str, ...]
    record: NDArray[np.int64]
    pair: NDArray[np.int64]
    original: NDArray[np.int64]
    use: NDArray[np.int8]
    kind: Kind = Kind.POSTERIOR
    probes: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    attacked: Role = Role.DELETED
    class_probes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_values(self)
        object.__setattr__(self, "probes", MappingProxyType(dict(self.probes)))
        for name in _ROW_FIELDS:
            getattr(self, name).setflags(write=False)
        for probe in self.probes.values():
            probe.setflags(write=False)

    @classmethod
    def from_pair(
        cls,
        before: ArrayLike,
        after: ArrayLike,
        *,
        label: ArrayLike,
        role: Sequence[str] | NDArray[np.int8],
        classes: Sequence[str] | None = None,
        record: ArrayLike | None = None,
        original: ArrayLike | None = None,
        pair: ArrayLike | None = None,
    ) -> Self:
        """Two versions' posteriors [Q, K] of the same queries, row by row.

        `role` [Q]: "deleted", "unseen", "retained" or "added" (or `Role` values). Without `record`, every row
        is a record of its own; without `original` and `pair`, all rows belong to one pair of models.

        >>> table = Posteriors.from_pair(
        ...     [[0.9, 0.1], [0.6, 0.4]], [[0.7, 0.3], [0.6, 0.4]], label=[0, 1], role=["deleted", "unseen"]
        ... )
        >>> len(table), table.n_versions
        (2, 2)
        """
        first, last = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
        if first.shape != last.shape or first.ndim != 2:
            raise PosteriorsError(
                f"Both versions' posteriors must be [Q, K] for the same queries; got {first.shape} and {last.shape}."
            )
        values = np.stack([first, last], axis=1)
        bad = np.argwhere(~(values >= 0))
        if bad.size:
            row, version, column = bad[0]
            raise PosteriorsError(
                f"Posteriors must be numbers from 0 to 1; row {row}, class {column} of version {version} "
                f"is {values[row, version, column]} (logits? apply a softmax first)."
            )
        size = first.shape[0]
        unit = np.zeros(size, dtype=np.int64)
        with np.errstate(divide="ignore"):
            log_values = np.log(values, out=values)
        own_pair = unit if pair is None else _integers(pair)
        return cls(
            log_values=log_values,
            member=membership(role_numbers(role), 2),
            label=_integers(label),
            classes=tuple(classes) if classes is not None else tuple(str(k) for k in range(first.shape[1])),
            record=np.arange(size) if record is None else _integers(record),
            pair=own_pair,
            original=own_pair if original is None else _integers(original),
            use=np.zeros(size, dtype=np.int8),
        )

    def __len__(self) -> int:
        return int(self.log_values.shape[0])

    @property
    def n_versions(self) -> int:
        """Number of versions `V`."""
        return int(self.log_values.shape[1])

    @cached_property
    def values(self) -> NDArray[np.floating]:
        """The released posteriors [Q, V, K]."""
        return np.exp(self.log_values)

    @cached_property
    def phi(self) -> NDArray[np.float64]:
        """Logit of the true class [Q, V]; larger means more confident in it. Needs at least two classes."""
        if self.kind is Kind.SCORE:
            raise PosteriorsError("`phi` needs a value per class, and this table holds one score per record.")
        return phi(self.log_values, self.label)

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """Confidence in what is true [Q, V]: `phi`, or the score itself where there is one per record."""
        return self.log_values[:, :, 0].astype(np.float64) if self.kind is Kind.SCORE else self.phi

    @cached_property
    def role(self) -> NDArray[np.int8]:
        """A `Role` per query [Q], from `member`."""
        first, last = self.member[:, 0], self.member[:, -1]
        steps = np.diff(self.member.astype(np.int8), axis=1)
        turns = (steps != 0).sum(axis=1)
        role = np.select(
            [~first & ~last, first & last, first & ~last], [Role.UNSEEN, Role.RETAINED, Role.DELETED], Role.ADDED
        )
        return np.where(turns > 1, Role.MIXED, role).astype(np.int8)

    @cached_property
    def is_attacked(self) -> NDArray[np.bool_]:
        """Which queries are of the role that is attacked [Q]."""
        return np.asarray(self.role == self.attacked)

    @cached_property
    def is_compared(self) -> NDArray[np.bool_]:
        """Which queries enter the figures: evaluated ones of the attacked role and unseen ones [Q]."""
        return (self.use == Use.EVALUATE) & (self.is_attacked | (self.role == Role.UNSEEN))

    @cached_property
    def sum_deviation(self) -> float:
        """Largest distance of a row's sum from 1; 0 for tables of scores."""
        if self.kind is Kind.SCORE or not len(self):
            return 0.0
        return float(np.abs(self.values.sum(axis=-1) - 1).max())

    def select(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> Self:
        """The queries of a mask or an index, in its order."""
        parts = {name: getattr(self, name)[rows] for name in _ROW_FIELDS}
        return replace(self, **parts, probes={name: probe[rows] for name, probe in self.probes.items()})

    def evaluated(self, *roles: Role) -> Self:
        """The queries of these roles that enter the figures."""
        return self.select((self.use == Use.EVALUATE) & np.isin(self.role, roles))


_ROW_FIELDS = ("log_values", "member", "label", "record", "pair", "original", "use")


def concatenate(tables: Sequence[Posteriors]) -> Posteriors:
    """One table of all queries, in order. The tables must agree in kind, classes, versions and probes."""
    if not tables:
        raise PosteriorsError("At least one table is needed, got none.")
    first = tables[0]
    for table in tables[1:]:
        same = (
            table.kind is first.kind
            and table.classes == first.classes
            and table.n_versions == first.n_versions
            and table.probes.keys() == first.probes.keys()
            and table.class_probes == first.class_probes
            and table.attacked is first.attacked
        )
        if not same:
            raise PosteriorsError(
                "Tables of posteriors must agree in kind, classes, number of versions, attacked role and probes to be "
                "joined; "
                f"got {first.kind}, {len(first.classes)} classes, {first.n_versions} versions and "
                f"{table.kind}, {len(table.classes)} classes, {table.n_versions} versions."
            )
    parts: dict[str, Any] = {name: np.concatenate([getattr(table, name) for table in tables]) for name in _ROW_FIELDS}
    probes = {name: np.concatenate([table.probes[name] for table in tables]) for name in first.probes}
    return replace(first, **parts, probes=probes)


def _integers(values: ArrayLike) -> NDArray[np.int64]:
    array = np.array(values)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise PosteriorsError(f"Labels, records and pairs must be whole numbers; got values of type {array.dtype}.")
    return array.astype(np.int64)


def _check_shapes(table: Posteriors) -> None:
    values = table.log_values
    if values.ndim != 3 or values.shape[2] != len(table.classes) or values.shape[1] < 1:
        raise PosteriorsError(
            f"`log_values` must be [Q, V, K] with a name for each of K classes; "
            f"got {values.shape} and {len(table.classes)} names."
        )
    if not np.issubdtype(values.dtype, np.floating):
        raise PosteriorsError(f"`log_values` must be floating point, got {values.dtype}.")
    if table.member.shape != values.shape[:2] or table.member.dtype != np.bool_:
        raise PosteriorsError(
            f"`member` must be [Q, V] bool, one per query and version; "
            f"got {table.member.dtype} {table.member.shape} for {values.shape[:2]}."
        )
    for item in fields(table):
        if item.name in ("label", "record", "pair", "original", "use"):
            column = getattr(table, item.name)
            if column.shape != values.shape[:1] or not np.issubdtype(column.dtype, np.integer):
                raise PosteriorsError(
                    f"`{item.name}` must hold one whole number per query [{values.shape[0]}]; "
                    f"got {column.dtype} {column.shape}."
                )
    for name, probe in table.probes.items():
        if probe.shape[:2] != values.shape[:2]:
            raise PosteriorsError(f"Probe {name!r} must be [Q, V, ...] = {values.shape[:2]}, got {probe.shape}.")
    for name in table.class_probes:
        shape = table.probes[name].shape if name in table.probes else None
        if shape is None or len(shape) < 3 or shape[-1] != values.shape[2]:
            raise PosteriorsError(
                f"Probe {name!r} of log posteriors must be [Q, V, ..., K] with K = {values.shape[2]}, got {shape}."
            )
    if len(set(table.classes)) != len(table.classes):
        raise PosteriorsError(f"Names of classes must differ, got {', '.join(table.classes)}.")


def _check_values(table: Posteriors) -> None:
    if table.kind is Kind.SCORE:
        if len(table.classes) != 1 or not np.isfinite(table.log_values).all():
            raise PosteriorsError("A table of scores must hold one finite number per record and version.")
        return
    if len(table.classes) < 2:
        raise PosteriorsError(f"Posteriors need at least two classes, got {len(table.classes)}.")
    if np.isnan(table.log_values).any():
        row, version, _ = np.argwhere(np.isnan(table.log_values))[0]
        raise PosteriorsError(f"Posteriors must be numbers; row {row} of version {version} holds NaN.")
    if table.label.size and not (table.label.min() >= 0 and table.label.max() < len(table.classes)):
        wrong = table.label[(table.label < 0) | (table.label >= len(table.classes))][0]
        raise PosteriorsError(f"Labels must lie in 0..{len(table.classes) - 1}, got {wrong}.")
    if table.sum_deviation > SUM_TOLERANCE:
        sums = table.values.sum(axis=-1)
        row, version = np.unravel_index(np.abs(sums - 1).argmax(), sums.shape)
        raise PosteriorsError(
            f"Rows of posteriors must sum to 1 within {SUM_TOLERANCE}; "
            f"row {row} of version {version} sums to {sums[row, version]:.6g}."
        )
