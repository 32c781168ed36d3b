"""RMIA on the original: a robust classical attack with few shadow models."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks._by_record import PerRecordAttack, known_records, moments, place_of
from aftertrace.attacks._conformal import count_above, public_records
from aftertrace.attacks._lira import observations
from aftertrace.attacks._protocol import Adversary, Needs
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, log_loss

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rmia(PerRecordAttack):
    """Share of public records `z` with `ratio(x) / ratio(z) > gamma` (S. Zarifzadeh et al., arXiv 2312.03262).

    `ratio(x) = P(y | x, original) / P(x)`, where `P(x)` averages the reference models: half of them trained on `x`
    (`online`), or none, corrected by `P(x) = ((1 + a) mean_out + (1 - a)) / 2`. The public records
    are the held-out unseen queries of the same original in the scored table; one that is scored itself is not
    compared with itself. By sorting: no matrix of ratios. A record that no shadow model was asked about has the mean
    of all; a query whose original has no public record scores 0. Confidences are clipped at 1e-12.
    """

    online: bool = True
    gamma: float = 1.0
    a: float = 0.3

    def __post_init__(self) -> None:
        if not self.gamma >= 1:
            raise ValueError(f"`gamma` must be at least 1, got {self.gamma}.")
        if not 0 <= self.a <= 1:
            raise ValueError(f"`a` must be from 0 to 1, got {self.a}.")

    @property
    def name(self) -> str:
        return "RMIA" if self.online else "RMIA/offline"

    @property
    def needs(self) -> Needs:
        return Needs(shadow=Adversary.PER_RECORD, label=True, held_out=True)

    @property
    def classical(self) -> bool:
        return True

    @property
    def opponent(self) -> str:
        return self.name

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> "RmiaScorer":
        """Every record's mean confidence in shadow originals with and without it."""
        table, member = observations(shadow, self.name, unlearned=False, online=self.online)
        known = known_records(table.record)
        place, confidence = place_of(table.record, known), np.exp(-_loss(table))[:, None]
        means = [
            moments(confidence[rows], place[rows], table.original[rows], known.size).mean[:, 0]
            for rows in ((member, ~member) if self.online else (~member,))
        ]
        prior = sum(means) / 2 if self.online else ((1 + self.a) * means[0] + (1 - self.a)) / 2
        return RmiaScorer(self, known, np.log(prior))


@dataclass(frozen=True, eq=False)
class RmiaScorer:
    """A fitted `Rmia`: `ln P(x)` per record."""

    attack: Rmia
    known: NDArray[np.int64]  # [R]
    log_prior: Array  # [R + 1]

    def score(self, target: Posteriors) -> Array:
        """Share of public records, from 0 to 1. -> [Q]"""
        public, unit = public_records(target), target.original
        if not public.any():
            raise PosteriorsError(
                f"Attack {self.attack.name} compares with held-out unseen queries; the table has none."
            )
        ratio = -_loss(target) - self.log_prior[place_of(target.record, self.known)]
        above, n = count_above(ratio, ratio[public], unit, unit[public], margin=float(np.log(self.attack.gamma)))
        others = n - public
        return np.divide(n - above, others, out=np.zeros_like(n), where=others > 0)


def _loss(table: Posteriors) -> Array:
    """Of the original alone. -> [Q]"""
    return np.maximum(log_loss(table.log_values[:, 0], table.label), 0.0)
