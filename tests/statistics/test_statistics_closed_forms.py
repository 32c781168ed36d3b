"""Where the best possible AUC is known: attacks reach it, and a claim of privacy is refuted when false only."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.special import ndtr
from scipy.stats import binom

from aftertrace.attacks import JointLikelihoodRatio, LogitDrop
from aftertrace.posteriors import Posteriors, Role
from aftertrace.statistics import (
    CeilingCheck,
    DpGuarantee,
    Interval,
    auc_ceiling,
    auc_interval,
    check_ceiling,
    dp_compose,
)

ATTACKS = (JointLikelihoodRatio(linear=True), JointLikelihoodRatio())


def table_of(phi, *, is_deleted, record, original):
    """Two classes, true class 0, with these logits of it [Q, 2]."""
    log_values = np.stack([-np.logaddexp(0, -phi), -np.logaddexp(0, phi)], axis=2)
    values = np.exp(log_values)
    table = Posteriors.from_pair(
        values[:, 0],
        values[:, 1],
        label=np.zeros(len(phi), dtype=int),
        role=np.where(is_deleted, Role.DELETED, Role.UNSEEN),
        record=record,
        original=original,
    )
    return replace(table, log_values=log_values)  # of extreme logits, the logarithms keep what the values lose


def interval_of(scorer, table):
    return auc_interval(scorer.score(table), table.role == Role.DELETED, table.original)


# Gaussian pairs


@dataclass(frozen=True)
class GaussianPairs:
    """Both versions' logits of a record: its difficulty plus a Gaussian of its role."""

    shift: tuple[float, float]  # mean of deleted minus that of unseen
    deleted: list[list[float]]  # covariances
    unseen: list[list[float]]

    def side(self, rng, *, records, originals):
        """Records of known difficulty, a role by coin in every original. -> a table of `records * originals` rows"""
        record, original = np.tile(np.arange(records), originals), np.repeat(np.arange(originals), records)
        is_deleted = rng.random(record.size) < 0.5
        roots = np.linalg.cholesky([self.unseen, self.deleted])
        noise = np.einsum("qde,qe->qd", roots[is_deleted.astype(int)], rng.normal(size=(record.size, 2)))
        difficulty = np.linspace(-4, 4, records)[record][:, None]
        phi = difficulty + is_deleted[:, None] * np.array(self.shift) + noise
        return table_of(phi, is_deleted=is_deleted, record=record, original=original)

    @property
    def best(self):
        """P(L(deleted) > L(unseen)) of the log-likelihood ratio L, a quadratic form in four Gaussians.

        By inversion of its characteristic function (J. Imhof, Biometrika 48, 1961).
        """
        shift, zero = np.array(self.shift), np.zeros(2)
        inverse_deleted, inverse_unseen = np.linalg.inv(self.deleted), np.linalg.inv(self.unseen)
        square, linear = (inverse_unseen - inverse_deleted) / 2, inverse_deleted @ shift
        weights, slopes, constant = [], [], 0.0
        for sign, mean, covariance in ((1, shift, self.deleted), (-1, zero, self.unseen)):
            root = np.linalg.cholesky(covariance)
            weight, axes = np.linalg.eigh(sign * root.T @ square @ root)
            weights.append(weight)
            slopes.append(sign * axes.T @ root.T @ (2 * square @ mean + linear))
            constant += sign * (mean @ square @ mean + linear @ mean)
        weight, slope = np.concatenate(weights), np.concatenate(slopes)

        def integrand(t):
            spread = 1 - 2j * t * weight
            exponent = 1j * t * constant - (t * slope) ** 2 @ (1 / spread) / 2
            return (np.exp(exponent) / np.prod(np.sqrt(spread))).imag / t

        return 0.5 + quad(integrand, 0, np.inf, limit=500)[0] / np.pi


PAIRS = {
    "same randomness": GaussianPairs((0.6, 0.4), [[1.0, 0.98], [0.98, 1.0]], [[1.0, 0.98], [0.98, 1.0]]),
    "anticorrelated": GaussianPairs((0.3, 0.2), [[1.0, -0.9], [-0.9, 1.0]], [[1.0, -0.9], [-0.9, 1.0]]),
    "unequal": GaussianPairs((0.6, 0.2), [[1.2, 0.2], [0.2, 0.6]], [[0.6, 0.3], [0.3, 0.6]]),
}


def test_the_best_auc_of_gaussian_pairs():
    """Of one covariance: Phi(Mahalanobis distance / sqrt 2); of two: what the true ratio has on a million pairs."""
    for pairs in (PAIRS["same randomness"], PAIRS["anticorrelated"]):
        shift = np.array(pairs.shift)
        distance = math.sqrt(shift @ np.linalg.solve(pairs.deleted, shift))
        assert pairs.best == pytest.approx(ndtr(distance / math.sqrt(2)), abs=1e-8)
    pairs, rng, size = PAIRS["unequal"], np.random.default_rng(0), 1_000_000
    drawn = [
        rng.multivariate_normal(pairs.shift, pairs.deleted, size),
        rng.multivariate_normal([0, 0], pairs.unseen, size),
    ]
    ratio = []
    for u in drawn:
        away = u - pairs.shift
        near = np.einsum("qd,de,qe->q", u, np.linalg.inv(pairs.unseen), u)
        ratio.append(near - np.einsum("qd,de,qe->q", away, np.linalg.inv(pairs.deleted), away))
    assert abs((ratio[0] > ratio[1]).mean() - pairs.best) < 4 * math.sqrt(0.25 / size)


def simulated_audits(attack, pairs, *, seed):
    """Forty intervals, five for each of eight fits on 1 500 shadow observations per record and role."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(8):
        scorer = attack.fit(pairs.side(rng, records=20, originals=3000), rng=rng)
        found += [interval_of(scorer, pairs.side(rng, records=20, originals=100)) for _ in range(5)]
    return found


def misses(intervals, best):
    """How many intervals lie below and above the optimum."""
    return sum(i.high < best for i in intervals), sum(i.low > best for i in intervals)


MOST_ABOVE, MOST_MISSES = (binom.ppf(0.999, 40, p) for p in (0.025, 0.05))


# The compressed drop is a Gaussian's only where the drop is small: of noise that is anticorrelated it costs .04.
@pytest.mark.parametrize(
    ("name", "attack"),
    [*((name, ATTACKS[0]) for name in PAIRS), ("same randomness", ATTACKS[1])],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_likelihood_ratio_reaches_the_best_auc_within_its_interval(name, attack):
    pairs = PAIRS[name]
    below, above = misses(simulated_audits(attack, pairs, seed=1), pairs.best)
    assert below + above <= MOST_MISSES
    assert above <= MOST_ABOVE


@pytest.mark.parametrize("name", PAIRS)
def test_no_attack_is_above_the_best_auc_and_the_check_sees_one_below(name):
    pairs = PAIRS[name]
    assert misses(simulated_audits(ATTACKS[1], pairs, seed=2), pairs.best)[1] <= MOST_ABOVE
    below, above = misses(simulated_audits(LogitDrop(), pairs, seed=2), pairs.best)
    assert above == 0
    assert below > MOST_MISSES


# Sums with noise: the deployer releases the sum of numbers in [0, 1] before and after a deletion, with noise. The
# attacker knows all records but one, the canary: 1 if x was deleted, 0 if another record was in x's place, the worst
# case of substitution. What it sees is canary + noise, and noise: known records are subtracted. A second release with
# fresh noise is the same in both worlds and adds nothing; so the claim for one release holds for both together, and
# is the sharp one. That of an account which counts both is `dp_compose` of it. Queries of an original are of disjoint
# groups of records, each with a sum and noise of its own: a substitution within a group touches one sum alone.

EPSILONS = (0.25, 1.0, 4.0)


@dataclass(frozen=True)
class NoisySum:
    """Its noise, what it guarantees for one release, and the best AUC on one."""

    noise: Callable
    claims: tuple[DpGuarantee, ...]  # the sharpest first
    best: float

    @property
    def of_both(self):
        """The claim of an account of both releases."""
        return dp_compose([self.claims[-1]] * 2)


def laplace(epsilon):
    """Noise of scale 1 / epsilon. P(noise + 1 > noise'), as the ratio is ascending, and ties in it count one half."""
    return NoisySum(
        lambda rng, size: rng.laplace(0, 1 / epsilon, size),
        (DpGuarantee(epsilon),),
        1 - math.exp(-epsilon) * (1 + epsilon / 2) / 2,
    )


def gaussian_delta(epsilon, sd):
    """B. Balle, Y. Wang, ICML 2018, theorem 8."""
    return ndtr(1 / (2 * sd) - epsilon * sd) - math.exp(epsilon) * ndtr(-1 / (2 * sd) - epsilon * sd)


def gaussian_sd(epsilon):
    """Of the smallest noise for this epsilon and delta 1e-5."""
    return brentq(lambda sd: gaussian_delta(epsilon, sd) - 1e-5, 0.1, 100)


def gaussian(epsilon):
    """Its noise keeps a claim for every epsilon: the one of the lowest ceiling, and the one it was chosen for."""
    sd = gaussian_sd(epsilon)

    def claim(other):
        return DpGuarantee(other, gaussian_delta(other, sd))

    sharpest = minimize_scalar(lambda other: auc_ceiling(claim(other)), bounds=(0, epsilon), method="bounded").x
    return NoisySum(
        lambda rng, size: rng.normal(0, sd, size),
        (claim(sharpest), DpGuarantee(epsilon, 1e-5)),
        ndtr(1 / (sd * math.sqrt(2))),
    )


def fresh(mechanism, rng, size):
    return np.stack([mechanism.noise(rng, size), mechanism.noise(rng, size)], axis=1)


def shared(mechanism, rng, size):
    return np.repeat(mechanism.noise(rng, size)[:, None], 2, axis=1)


def off(mechanism, rng, size):
    return np.zeros((size, 2))


def canaries(rng, noise, *, originals, queries):
    """A coin per query: was x there and deleted, or never?"""
    is_deleted = rng.random(originals * queries) < 0.5
    releases = noise(rng, is_deleted.size)
    releases[:, 0] += is_deleted
    phi = releases / 10  # the table clips logits at 27.6, which noise of epsilon 1/4 would pass
    record, original = np.zeros(is_deleted.size, dtype=int), np.repeat(np.arange(originals), queries)
    return table_of(phi, is_deleted=is_deleted, record=record, original=original)


def adversary(rng, noise):
    """The library's own attack, that learns from releases it simulates how noise and versions hang together."""
    return ATTACKS[0].fit(canaries(rng, noise, originals=50_000, queries=1), rng=rng)


MECHANISMS = pytest.mark.parametrize("mechanism", [laplace, gaussian])


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_the_best_auc_of_noisy_sums(epsilon):
    """By integration: of Laplace noise the ratio has atoms below 0 and above 1, of mass 1/2 and e^-epsilon / 2."""
    atom = math.exp(-epsilon) / 2
    inside, _ = quad(lambda x: epsilon / 2 * math.exp(-epsilon * (1 - x)) * (1 - math.exp(-epsilon * x) / 2), 0, 1)
    assert laplace(epsilon).best == pytest.approx((1 - atom / 2) / 2 + inside + atom / 4, abs=1e-12)
    for mechanism in (laplace(epsilon), gaussian(epsilon)):
        ceilings = [auc_ceiling(claim) for claim in (*mechanism.claims, mechanism.of_both)]
        assert mechanism.best < ceilings[0]
        assert ceilings == sorted(ceilings)


@MECHANISMS
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_the_attack_reaches_the_best_auc_and_never_exceeds_the_ceiling(mechanism, epsilon):
    """One audit of 20 000 trials, and 200 of 1 000 against the sharpest claim."""
    mechanism, rng = mechanism(epsilon), np.random.default_rng(3)
    noise = partial(fresh, mechanism)
    scorer = adversary(rng, noise)
    large = interval_of(scorer, canaries(rng, noise, originals=1000, queries=20))
    assert abs(large.estimate - mechanism.best) < 0.02
    audits = [interval_of(scorer, canaries(rng, noise, originals=50, queries=20)) for _ in range(200)]
    alarms = sum(check_ceiling(audit, mechanism.claims[0]).violated for audit in audits)
    assert alarms <= binom.ppf(0.999, 200, 0.025)


@MECHANISMS
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_noise_that_is_off_or_shared_refutes_the_claim(mechanism, epsilon):
    """The same audit of the same claim, even of the one that counts both releases: only fresh noise keeps it."""
    mechanism, violated = mechanism(epsilon), {}
    for release in (fresh, shared, off):
        rng, noise = np.random.default_rng(4), partial(release, mechanism)
        # So many originals, as an AUC of 1 from fewer does not reach the ceiling of epsilon 8, .9997.
        table = canaries(rng, noise, originals=20_000, queries=2)
        violated[release] = check_ceiling(interval_of(adversary(rng, noise), table), mechanism.of_both).violated
    assert violated == {fresh: False, shared: True, off: True}


def nearly_shared(mechanism, rng, size):
    """Of the same law in each version, with a correlation of .99 if it is Gaussian."""
    common, own = mechanism.noise(rng, size), fresh(mechanism, rng, size)
    return math.sqrt(0.99) * common[:, None] + math.sqrt(0.01) * own


@pytest.mark.parametrize(
    ("noise", "claim", "best"),
    [
        (
            partial(nearly_shared, gaussian(1.0)),
            gaussian(1.0).of_both,
            ndtr(1 / (gaussian_sd(1.0) * math.sqrt(2 * (1 - 0.99**2)))),
        ),
        (partial(fresh, laplace(4.0)), laplace(1.0).of_both, laplace(4.0).best),
    ],
    ids=["nearly shared", "a quarter of the noise"],
)
def test_a_violation_short_of_certainty(noise, claim, best):
    rng = np.random.default_rng(5)
    audit = interval_of(adversary(rng, noise), canaries(rng, noise, originals=100, queries=20))
    assert abs(audit.estimate - best) < 0.02
    assert check_ceiling(audit, claim).violated


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_the_check_errs_as_often_as_it_says_where_the_ceiling_is_attained(epsilon):
    """Randomised response has exactly the AUC of the ceiling."""
    rng, alarms = np.random.default_rng(6), 0
    is_true = 1 / (1 + math.exp(-epsilon))
    for _ in range(400):
        is_deleted, original = rng.random(2000) < 0.5, np.repeat(np.arange(50), 40)
        answer = is_deleted == (rng.random(2000) < is_true)
        alarms += check_ceiling(auc_interval(answer, is_deleted, original), DpGuarantee(epsilon)).violated
    assert binom.ppf(0.001, 400, 0.025) <= alarms <= binom.ppf(0.999, 400, 0.025)


def test_a_check_has_both_sides_and_needs_an_interval():
    claim = DpGuarantee(1.0)  # from .269 to .731
    for low, high, violated in ((0.74, 0.8, True), (0.7, 0.8, False), (0.2, 0.26, True), (0.2, 0.3, False)):
        audit = Interval((low + high) / 2, low, high, 0.95, 30, "jackknife over originals")
        assert check_ceiling(audit, claim) == CeilingCheck(auc_ceiling(claim), audit, violated)
    few = auc_interval([2.0, 1.0] * 5, [True, False] * 5, np.arange(10) // 2)
    assert check_ceiling(few, claim).violated is None
    for epsilon, violated in ((0.8, True), (0.81, False)):  # ten originals, told apart without fail
        audit = auc_interval([2.0, 1.0] * 10, [True, False] * 10, np.arange(20) // 2)
        assert check_ceiling(audit, DpGuarantee(epsilon)).violated is violated
