"""Exposure: how strongly the deletion of each record would show, as rows and in sum."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._figures import share
from aftertrace.results._json import json_of
from aftertrace.results._training import Certificate

LEVEL = 0.05
FORMAT = 1
"""Version of `exposure.json` and `exposure.parquet`. 1: first."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Exposure:
    """A row per training record; all arrays [n].

    `record`: its number in the data set; `label`; `before`, `after`: confidence in the true class of the model with
    and without it; `logit_drop`: how much the logit of the true class lost by its deletion; `rank`: how many of
    `unseen` unseen records lost at least as much by that same deletion; `p_value` = (1 + rank) / (1 + unseen).
    """

    record: NDArray[np.int64]
    label: NDArray[np.int64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    logit_drop: NDArray[np.float64]
    rank: NDArray[np.int64]
    unseen: int

    @property
    def p_value(self) -> NDArray[np.float64]:
        """Conformal: at most a in at most a share a of records, if deleted and unseen ones moved alike."""
        return (1 + self.rank) / (1 + self.unseen)

    def to_parquet(self, classes: Sequence[str]) -> bytes:
        """The rows as a Parquet file; `label` by name."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {
            "record": self.record,
            "label": np.array(classes)[self.label],
            "before": self.before,
            "after": self.after,
            "logit_drop": self.logit_drop,
            "rank": self.rank,
            "p_value": self.p_value,
        }
        table = pa.table(columns).replace_schema_metadata({"format": str(FORMAT), "unseen": str(self.unseen)})
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        return sink.getvalue()


@dataclass(frozen=True, kw_only=True)
class ExposureResult:
    """`exposure.json`: the figures over all records.

    `shown`: the share of `records` whose p-value is at most `level`; `auc`: how often a deleted record lost more than
    an unseen one, ties for the unseen; `quantiles` of the logit drop. All of one original: no interval is given.
    """

    title: str
    sentence: str
    records: int
    unseen: int
    shown: float
    level: float
    auc: float
    quantiles: Mapping[str, float]
    data: str
    fingerprint: str
    settings: Mapping[str, Any]
    certificate: Certificate | None
    format: int = FORMAT

    @classmethod
    def of(
        cls,
        rows: Exposure,
        *,
        title: str,
        data: str,
        fingerprint: str,
        settings: Mapping[str, Any],
        certificate: Certificate | None,
    ) -> "ExposureResult":
        """The sum of `rows`."""
        shown = float((rows.p_value <= LEVEL).mean())
        return cls(
            title=title,
            sentence=(
                f"{share(shown, 0)} of {len(rows.record)} training records stand out when they are deleted: the update "
                f"takes more confidence from them than from nearly all unseen records (by chance it would be "
                f"{share(LEVEL, 0)})."
            ),
            records=len(rows.record),
            unseen=rows.unseen,
            shown=shown,
            level=LEVEL,
            auc=float(1 - rows.rank.mean() / rows.unseen),
            quantiles={str(q): float(np.quantile(rows.logit_drop, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)},
            data=data,
            fingerprint=fingerprint,
            settings=settings,
            certificate=certificate,
        )

    def to_json(self) -> str:
        """Sorted keys, numbers at full precision."""
        return json_of(self)
