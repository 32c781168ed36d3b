"""LiRA on one version: the classical likelihood ratio per record, and U-LiRA on the unlearned model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks._by_record import Moments, PerRecordAttack, known_records, moments, place_of
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, Role, Use

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Lira(PerRecordAttack):
    """Likelihood ratio of one version's logit, Gaussian per record (N. Carlini et al., arXiv 2112.03570, alg. 1).

    On the original (the classical attack, "LiRA"): *in* are shadow originals that trained on the record, *out* those
    that did not. `unlearned` (J. Hayes et al., arXiv 2403.01218, "U-LiRA"): on the last version, *in* are those that
    trained on the record and then deleted it.

    `online`: `ln N(phi; in) - ln N(phi; out)`. Offline, *out* models alone: the paper's `1 - P(Z > phi)`, given as
    the standardised logit itself, which has the same order and does not saturate. `pooled_variance`: one variance
    for all records, that about each record's own mean, for small numbers of shadow models (the released code takes
    that of all observations at once, and for *out* by mistake that of *in*). Means, not medians. A record observed
    once has the pooled variance; one never observed the law of all records.
    """

    online: bool = True
    pooled_variance: bool = False
    unlearned: bool = False

    def __post_init__(self) -> None:
        if self.unlearned and not self.online:
            raise ValueError(
                "U-LiRA must be `online`: on the unlearned model a deleted record may stand out to either side "
                "(remembered, or forgotten too much), and only models that deleted it tell which."
            )

    @property
    def name(self) -> str:
        parts = ["U-LiRA" if self.unlearned else "LiRA"]
        parts += [] if self.online else ["offline"]
        parts += ["pooled"] if self.pooled_variance else []
        return "/".join(parts)

    @property
    def classical(self) -> bool:
        return not self.unlearned

    @property
    def opponent(self) -> str:
        return Lira(online=self.online, pooled_variance=self.pooled_variance).name

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> "LiraScorer":
        """Mean and variance of every record's logit, in and out."""
        table, member = observations(shadow, self.name, unlearned=self.unlearned, online=self.online)
        known = known_records(table.record)
        place, logit = place_of(table.record, known), table.phi[:, self._version][:, None]
        laws = []
        for rows in (member, ~member) if self.online else (~member,):
            found = moments(logit[rows], place[rows], table.original[rows], known.size)
            laws.append(_Gaussian.of(found, pooled=self.pooled_variance))
        return LiraScorer(known, self._version, tuple(laws))

    @property
    def _version(self) -> int:
        return -1 if self.unlearned else 0


def observations(
    shadow: Posteriors | None, name: str, *, unlearned: bool, online: bool
) -> tuple[Posteriors, NDArray[np.bool_]]:
    """The evaluated shadow queries that tell *in* from *out*, and which of them are *in* [Q].

    Raises `PosteriorsError` where there are none.
    """
    if shadow is None:
        raise PosteriorsError(f"Attack {name} needs shadow models of the candidate records, got none.")
    inside = (Role.DELETED,) if unlearned else (Role.DELETED, Role.RETAINED)
    table = shadow.select((shadow.use == Use.EVALUATE) & np.isin(shadow.role, (*inside, Role.UNSEEN)))
    member = table.role != Role.UNSEEN
    if member.all() or (online and not member.any()):
        raise PosteriorsError(
            f"Attack {name} must learn from shadow queries of members and of others; "
            f"got {int(member.sum())} and {int((~member).sum())}."
        )
    return table, member


@dataclass(frozen=True, eq=False)
class LiraScorer:
    """A fitted `Lira`: the law of *in* (online alone) and of *out*."""

    known: NDArray[np.int64]  # [R]
    version: int
    laws: tuple["_Gaussian", ...]

    def score(self, target: Posteriors) -> Array:
        """Larger: more likely a member (of the original; for U-LiRA one that was deleted). -> [Q]"""
        logit, place = target.phi[:, self.version], place_of(target.record, self.known)
        if len(self.laws) == 1:
            return self.laws[0].standardised(logit, place)
        inside, outside = (law.log_density(logit, place) for law in self.laws)
        return inside - outside


@dataclass(frozen=True, eq=False)
class _Gaussian:
    """A normal law per record, and a last one for records never observed."""

    mean: Array  # [R + 1]
    deviation: Array  # [R + 1]

    @classmethod
    def of(cls, found: Moments, *, pooled: bool) -> "_Gaussian":
        within, between = found.within[0, 0], found.between[0, 0]
        own = np.maximum(found.scatter[:, 0, 0] / np.maximum(found.n - 1, 1), found.floor[0])
        variance = np.where((found.n > 1) & (not pooled), own, within)
        variance = np.where(found.n > 0, variance, within + between)
        return cls(found.mean[:, 0], np.sqrt(variance))

    def standardised(self, value: Array, place: NDArray[np.int64]) -> Array:
        return (value - self.mean[place]) / self.deviation[place]

    def log_density(self, value: Array, place: NDArray[np.int64]) -> Array:
        """Up to a constant that is the same for all laws. -> [Q]"""
        return -(self.standardised(value, place) ** 2) / 2 - np.log(self.deviation[place])
