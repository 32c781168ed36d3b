"""The likelihood ratio of both versions' logits, per record and role."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, softmax

from aftertrace.attacks._by_record import Moments, PerRecordAttack, known_records, moments, place_of, positive
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, Role, Use

Array = NDArray[np.float64]

ROLES = (Role.DELETED, Role.UNSEEN, Role.RETAINED)
"""The columns of `JointScorer.log_likelihood`."""
_MOST_COUNTS = 1e3  # prior observations, where records do not differ at all: full pooling


@dataclass(frozen=True)
class JointLikelihoodRatio(PerRecordAttack):
    """`ln p(u | deleted) - ln p(u | unseen)` of `u = (phi_original, phi_unlearned)`, for the queried record itself.

    LiRA (arXiv 2112.03570) with both versions: in a role, a record's `u` is Gaussian with a mean and a covariance of
    its own (with the drop between both logits on a scale that is logarithmic for large ones, `_coordinates`), under
    a normal-inverse-Wishart prior (K. Murphy, *Conjugate Bayesian analysis of the Gaussian distribution*, 2007), so
    that few shadow models give a Student-t and none the population's law; BaVarIA (arXiv 2603.11799) does so for
    one version. The prior has `nu` degrees of freedom and the covariance of all records. Its mean is what the
    record shows in its *other* roles, moved by the roles' mean difference, with a weight found from the data
    (`_priors`): how hard a record is shows in every role, and two roles that each learned it alone would differ by
    chance more than by the deletion. The covariance matters: where retraining repeats the original's randomness,
    both logits move together and their difference hardly varies. Where answers often stay exactly the same, as those of
    trees do, how likely that is in each role is learned apart (`_staying`), and the Gaussian is of those that moved.

    `linear`: the drop as it is. Where it is Gaussian, `role_probabilities` of the default are off by up to .14
    (compressed, it is none any more), of this within .07; on logistic regression the default's AUC is far ahead.

    Needs shadow models that had the candidate records themselves, in and out, and deleted them. It learns from
    evaluated shadow queries alone, so that held-out ones can set thresholds.
    """

    nu: float = 5.0
    linear: bool = False

    def __post_init__(self) -> None:
        if not self.nu > 3:
            raise ValueError(f"`nu` must be above 3 for the prior's covariance to have a mean, got {self.nu}.")

    @property
    def name(self) -> str:
        return "JointLikelihoodRatio/linear" if self.linear else "JointLikelihoodRatio"

    @property
    def classical(self) -> bool:
        return False

    @property
    def opponent(self) -> str:
        return "LiRA"

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> "JointScorer":
        """Mean and covariance of every record in every role that occurs on the shadow side."""
        if shadow is None:
            raise PosteriorsError(f"Attack {self.name} needs shadow models of the candidate records, got none.")
        table = shadow.select(shadow.use == Use.EVALUATE)
        count = {role: int((table.role == role).sum()) for role in ROLES}
        if not (count[Role.DELETED] and count[Role.UNSEEN]):
            raise PosteriorsError(
                f"Attack {self.name} must learn from deleted and unseen shadow queries; "
                f"got {count[Role.DELETED]} and {count[Role.UNSEEN]}."
            )
        known, typical = known_records(table.record), None if self.linear else _typical_drop(table)
        values, moved = _coordinates(table, typical), _moved(table)
        place = place_of(table.record, known)
        found, staying = {}, {}
        for role in ROLES:
            if count[role]:
                rows = table.role == role
                described = rows & moved if (rows & moved).any() else rows
                found[role] = moments(values[described], place[described], table.original[described], known.size)
                staying[role] = _staying(place[rows], ~moved[rows], known.size)
        priors = _priors(found)
        predictive = {role: _Predictive.of(found[role], *priors[role], self.nu) for role in found}
        return JointScorer(known, typical, predictive, None if moved.all() else staying)


@dataclass(frozen=True, eq=False)
class JointScorer:
    """A fitted `JointLikelihoodRatio`: a Student-t per record and role.

    `staying`: role -> probability [R + 1] that the answer stays exactly the same; None where no shadow query's did.
    """

    known: NDArray[np.int64]  # [R]
    typical: float | None  # size of a logit drop; None: linear
    predictive: Mapping[Role, "_Predictive"]
    staying: Mapping[Role, Array] | None = None

    def log_likelihood(self, target: Posteriors) -> Array:
        """Log density, in the attack's coordinates, of each query in each of `ROLES`. -> [Q, 3]

        `-inf` for a role that no shadow query had. Of answers that stay exactly the same it is the log probability.
        """
        values, place, moved = _coordinates(target, self.typical), place_of(target.record, self.known), _moved(target)
        columns = np.full((len(target), len(ROLES)), -np.inf)
        for column, role in enumerate(ROLES):
            if role in self.predictive:
                columns[:, column] = self.predictive[role].log_density(values, place)
                if self.staying is not None:
                    stays = self.staying[role][place]
                    columns[:, column] = np.where(moved, columns[:, column] + np.log1p(-stays), np.log(stays))
        return columns

    def score(self, target: Posteriors) -> Array:
        """Log-likelihood ratio of deleted against unseen. -> [Q]"""
        columns = self.log_likelihood(target)
        return columns[:, ROLES.index(Role.DELETED)] - columns[:, ROLES.index(Role.UNSEEN)]


def role_probabilities(log_likelihood: Array, prior: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)) -> Array:
    """Probabilities of deleted, unseen and retained from `log_likelihood` [Q, 3] and a prior. -> [Q, 3]

    >>> role_probabilities(np.log([[0.2, 0.2, 0.4]])).round(3).tolist()
    [[0.25, 0.25, 0.5]]
    """
    weights = np.asarray(prior, dtype=np.float64)
    if weights.shape != (len(ROLES),) or not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-9:
        raise ValueError(f"`prior` must be three probabilities that sum to 1, got {prior}.")
    with np.errstate(divide="ignore"):
        return softmax(log_likelihood + np.log(weights), axis=1)


def _typical_drop(table: Posteriors) -> float:
    """Median size of the logit drops that are not 0; 1 where all are."""
    size = np.abs(table.phi[:, 0] - table.phi[:, -1])
    return float(np.median(size[size > 0])) if (size > 0).any() else 1.0


def _moved(table: Posteriors) -> NDArray[np.bool_]:
    """Which answers differ between the versions in the true class. [Q]"""
    return np.asarray(table.phi[:, 0] != table.phi[:, -1])


def _staying(place: NDArray[np.int64], stays: NDArray[np.bool_], size: int) -> Array:
    """Probability that the answer to each record stays, with one observation's worth of prior: that of all. [R + 1]"""
    of_all = (stays.sum() + 0.5) / (stays.size + 1)
    return (np.bincount(place, stays, size + 1) + of_all) / (np.bincount(place, minlength=size + 1) + 1)


def _coordinates(table: Posteriors, typical: float | None) -> Array:
    """`phi_original` and `asinh(logit drop / typical)` [Q, 2]: one to one with `u`, so that the true ratio is the same.

    The drop may be a thousand times smaller than either logit; kept apart, it keeps its digits. Most drops are small
    and a few are a hundred times larger: `asinh`, linear within the typical size and logarithmic beyond, makes of
    them what a Gaussian can describe. A drop that is Gaussian already loses AUC: .003 of .786 where both versions share
    their randomness, .037 where their noise goes opposite ways (`linear` loses none).
    """
    drop = table.phi[:, 0] - table.phi[:, -1]
    return np.stack([table.phi[:, 0], drop if typical is None else np.arcsinh(drop / typical)], axis=1)


def _priors(found: Mapping[Role, Moments]) -> dict[Role, tuple[Array, Array]]:
    """Mean [R + 1, 2] and weight (in observations) [R + 1] of the prior of every record in each role.

    The record's mean in role k is `m_k + c + d_k`: the role's mean, a difficulty with covariance `B` that all roles
    share, and an own part of covariance `D`. Given `B`, `D` and the covariance within roles, what the other roles
    say of `c` is Gaussian; its mean is the prior's, and its covariance plus `D`, against that within the role, the
    weight. `B` and `D` are moments over records (empirical Bayes): the covariance of a record's difference
    between deleted and unseen beyond noise is `2 D`.
    """
    unseen, deleted = found[Role.UNSEEN], found[Role.DELETED]
    shift = {role: _shift(each, unseen) for role, each in found.items()}
    own = _own_part(deleted, unseen, shift[Role.DELETED])
    between = np.mean([each.between for each in found.values()], axis=0)
    difficulty = np.linalg.inv(positive(between - own) + np.diag(unseen.floor))
    said = {}
    for role, each in found.items():
        noise = own + each.within / np.maximum(each.n, 1)[:, None, None]
        precision = np.linalg.inv(noise) * (each.n > 0)[:, None, None]
        said[role] = precision, precision @ (each.mean - unseen.centre - shift[role])[:, :, None]
    priors = {}
    for role, each in found.items():
        others = [said[other] for other in found if other is not role]
        covariance = np.linalg.inv(difficulty + sum(precision for precision, _ in others))
        mean = (covariance @ sum(product for _, product in others))[:, :, 0]
        share = np.trace(np.linalg.solve(each.within, covariance + own), axis1=1, axis2=2) / mean.shape[1]
        priors[role] = unseen.centre + shift[role] + mean, 1 / np.maximum(share, 1 / _MOST_COUNTS)
    return priors


def _shift(role: Moments, unseen: Moments) -> Array:
    """Mean of a role minus that of unseen, over the records that have both, where there are any. -> [2]"""
    weight = role.n * unseen.n / np.maximum(role.n + unseen.n, 1)
    if not weight.any():
        return role.centre - unseen.centre
    return weight @ (role.mean - unseen.mean) / weight.sum()


def _own_part(deleted: Moments, unseen: Moments, shift: Array) -> Array:
    """`D` of `_priors`: covariance of a record's own reaction to a role; 0 where no record has both. -> [2, 2]"""
    both = (deleted.n > 0) & (unseen.n > 0)
    if not both.any():
        return np.zeros_like(deleted.within)
    away = (deleted.mean - unseen.mean - shift)[both]
    noise = deleted.within * (1 / deleted.n[both]).mean() + unseen.within * (1 / unseen.n[both]).mean()
    return positive(away.T @ away / both.sum() - noise) / 2


@dataclass(frozen=True, eq=False)
class _Predictive:
    """Student-t densities in two dimensions, one per record and a last one for unknown records."""

    centre: Array  # [R + 1, 2]
    precision: Array  # [R + 1, 2, 2], inverse of the scale matrix
    freedom: Array  # [R + 1]
    constant: Array  # [R + 1]

    @classmethod
    def of(cls, found: Moments, prior: Array, kappa: Array, nu: float) -> "_Predictive":
        """The posterior predictive under a prior of mean `prior` [R + 1, 2] and weight `kappa` [R + 1]."""
        dimension = 2
        total = kappa + found.n
        away = found.mean - prior
        pull = (kappa * found.n / total)[:, None, None] * (away[:, :, None] * away[:, None, :])
        spread = (nu - dimension - 1) * found.within + found.scatter + pull
        freedom = nu + found.n - dimension + 1
        scale = spread * ((total + 1) / (total * freedom))[:, None, None]
        constant = gammaln((freedom + dimension) / 2) - gammaln(freedom / 2)
        constant = constant - dimension / 2 * np.log(freedom * np.pi) - np.linalg.slogdet(scale)[1] / 2
        centre = prior + (found.n / total)[:, None] * away
        return cls(centre, np.asarray(np.linalg.inv(scale), dtype=np.float64), freedom, constant)

    def log_density(self, values: Array, place: NDArray[np.int64]) -> Array:
        """Of `values` [Q, 2] under the law of the record at `place` [Q]. -> [Q]"""
        away, freedom = values - self.centre[place], self.freedom[place]
        distance = np.einsum("qd,qde,qe->q", away, self.precision[place], away)
        return self.constant[place] - (freedom + 2) / 2 * np.log1p(distance / freedom)
