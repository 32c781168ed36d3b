"""The score of every attack for every query of the target side: `scores.parquet`."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._arrow import arrow_array
from aftertrace.errors import StoreError
from aftertrace.posteriors import Posteriors, Role
from aftertrace.statistics import Deletions, single_deletions

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.intp]
_COLUMNS = ("record", "label", "pair", "original", "use", "role")


@dataclass(frozen=True, eq=False)
class Scores:
    """One row per query [Q]; `phi` [Q, 2] of the first and last version (the scores, where a model gives no more);
    `score`: attack -> [Q].
    """

    record: Ints
    label: Ints
    pair: Ints
    original: Ints
    use: NDArray[np.int8]
    role: NDArray[np.int8]
    phi: Array
    score: Mapping[str, Array]

    @classmethod
    def of(cls, table: Posteriors, score: Mapping[str, Array]) -> "Scores":
        """The scores of `table`'s queries."""
        keys = {name: getattr(table, name) for name in _COLUMNS}
        return cls(**keys, phi=table.confidence[:, [0, -1]], score=score)

    def select(self, rows: Rows) -> "Scores":
        """The queries of an index, in its order."""
        keys = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return Scores(**keys, phi=self.phi[rows], score={name: each[rows] for name, each in self.score.items()})

    def rows(self, role: Role) -> Rows:
        """Indices of the queries of a role."""
        return np.flatnonzero(self.role == role)

    def deletions(self, deleted: Rows, *, before: Array, after: Array) -> Deletions:
        """What the scores say of single records deleted in the rows `deleted`: `single_deletions`.

        `before`, `after` [Q]: scores of the original alone (classical) and of both versions. All unseen queries count,
        held-out ones too.
        """
        rows = np.concatenate([deleted, self.rows(Role.UNSEEN)])
        is_deleted = np.arange(len(rows)) < len(deleted)
        return single_deletions(before[rows], after[rows], is_deleted, self.original[rows], self.record[rows])

    def to_parquet(self) -> bytes:
        """The content of `scores.parquet`: the keys, `phi_before`, `phi_after`, and a column per attack."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {name: getattr(self, name) for name in _COLUMNS}
        columns |= {"phi_before": self.phi[:, 0], "phi_after": self.phi[:, 1]}
        columns |= {f"score:{name}": values for name, values in self.score.items()}
        arrays = {name: arrow_array(values) for name, values in columns.items()}
        sink = io.BytesIO()
        pq.write_table(pa.table(arrays), sink, compression="zstd", write_page_checksum=True)
        return sink.getvalue()

    @classmethod
    def from_parquet(cls, content: bytes) -> "Scores":
        """The scores of a `scores.parquet`. Raises `StoreError` if it is damaged."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
            columns: dict[str, Any] = {name: table.column(name).to_numpy() for name in table.column_names}
            return cls(
                **{name: columns[name] for name in _COLUMNS},
                phi=np.column_stack([columns["phi_before"], columns["phi_after"]]),
                score={name.removeprefix("score:"): columns[name] for name in columns if name.startswith("score:")},
            )
        except (pa.ArrowException, OSError, KeyError) as error:
            raise StoreError(f"Not a readable table of scores ({str(error).splitlines()[0]}).") from error
