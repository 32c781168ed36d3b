"""Which queries figures are computed from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace._numbering import by_appearance
from aftertrace._random import Stream, rng_for
from aftertrace.posteriors import Posteriors, Role, Use
from aftertrace.scenarios._controls import interval_of
from aftertrace.scenarios._verdict import Judgement
from aftertrace.statistics import Interval

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows that figures are computed from."""

    rows: NDArray[np.intp]  # evaluated deleted and unseen queries of the target
    is_deleted: NDArray[np.bool_]  # of those rows
    original: NDArray[np.int64]
    calibration: NDArray[np.bool_]  # of those rows: sets thresholds of rates, where there is no shadow side
    shadow_deleted: NDArray[np.intp]
    shadow_unseen: NDArray[np.intp]
    shadow_held_out: NDArray[np.intp]
    record: NDArray[np.int64]  # of those rows
    judgement: Judgement

    @classmethod
    def of(cls, shadow: Posteriors | None, target: Posteriors, judgement: Judgement) -> "Sample":
        rows = np.flatnonzero(target.is_compared)
        is_deleted = target.is_attacked[rows]
        calibration = np.zeros(len(rows), dtype=bool)
        shadow_deleted = shadow_unseen = shadow_held_out = np.array([], dtype=np.intp)
        if shadow is None:
            unseen = target.record[rows][~is_deleted]
            in_order = unseen[by_appearance(unseen)[1]]
            chosen = rng_for(judgement.seed, Stream.SPLIT).permutation(in_order)[: len(in_order) // 2]
            calibration = ~is_deleted & np.isin(target.record[rows], chosen)
        else:
            evaluated = shadow.use == Use.EVALUATE
            shadow_deleted = np.flatnonzero(evaluated & shadow.is_attacked)
            shadow_unseen = np.flatnonzero(evaluated & (shadow.role == Role.UNSEEN))
            shadow_held_out = np.flatnonzero(shadow.use == Use.HELD_OUT)
        return cls(
            rows=rows,
            is_deleted=is_deleted,
            original=target.original[rows],
            calibration=calibration,
            shadow_deleted=shadow_deleted,
            shadow_unseen=shadow_unseen,
            shadow_held_out=shadow_held_out,
            record=target.record[rows],
            judgement=judgement,
        )

    @property
    def repeats(self) -> bool:
        """Do several pairs of one original ask about the same records?"""
        return len(np.unique(self.original)) == 1 and len(np.unique(self.record)) < len(self.record)

    def interval(self, score: Array) -> Interval:
        own = score[self.rows]
        return interval_of(
            own,
            self.is_deleted,
            self.original,
            self.judgement.confidence,
            record=self.record,
            is_crossed=self.judgement.crossed,
        )
