"""Per-record attacks reach what closed forms allow, and fast sums equal slow ones."""

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from aftertrace.attacks import (
    ROLES,
    JointLikelihoodRatio,
    Lira,
    LogitDrop,
    OriginalLogit,
    Rmia,
    role_probabilities,
    simulated_records,
)
from aftertrace.attacks._by_record import known_records, moments, place_of, positive
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, Role, Use, log_loss


def table_of(logits, *, role, record, original, pair=None):
    """Two classes, true class 0, with these logits of it [Q, 2]."""
    values = np.stack([-np.logaddexp(0, -logits), -np.logaddexp(0, logits)], axis=2)
    with_pair = np.arange(len(logits)) if pair is None else pair
    table = Posteriors.from_pair(
        np.exp(values[:, 0]),
        np.exp(values[:, 1]),
        label=np.zeros(len(logits), dtype=int),
        role=role,
        record=record,
        original=original,
        pair=with_pair,
    )
    return replace(table, log_values=values)


def gaussian_side(rng, means, covariance, *, records, originals, difficulty):
    """Roles by a fair die; `u` Gaussian about the record's difficulty plus the role's mean."""
    record, original = np.tile(np.arange(records), originals), np.repeat(np.arange(originals), records)
    role = rng.choice(np.array(ROLES, dtype=np.int8)[: len(means)], record.size)
    centres = np.zeros((len(Role), 2))
    centres[np.array(ROLES)[: len(means)]] = means
    logits = difficulty[record][:, None] + centres[role]
    logits = logits + rng.multivariate_normal([0, 0], covariance, record.size)
    return table_of(logits, role=role, record=record, original=original)


def auc(score, table):
    deleted, unseen = (np.sort(score[table.role == role]) for role in (Role.DELETED, Role.UNSEEN))
    below = np.searchsorted(unseen, deleted, "left") + np.searchsorted(unseen, deleted, "right")
    return below.mean() / (2 * len(unseen))


COVARIANCES = {
    "same randomness": [[1.0, 0.98], [0.98, 1.0]],
    "fresh randomness": [[1.0, 0.3], [0.3, 0.5]],
}


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("covariance", COVARIANCES.values(), ids=COVARIANCES)
def test_the_joint_ratio_reaches_the_best_possible_auc(covariance, linear):
    """The optimum for two Gaussians of one covariance: Phi(Mahalanobis distance / sqrt 2)."""
    rng = np.random.default_rng(0)
    difficulty = 3 * rng.normal(size=300)
    means = np.array([[0.6, 0.4], [0.0, 0.0]])
    sides = [gaussian_side(rng, means, covariance, records=300, originals=m, difficulty=difficulty) for m in (256, 40)]
    score = JointLikelihoodRatio(linear=linear).fit(sides[0], rng=rng).score(sides[1])
    shift = means[0] - means[1]
    best = stats.norm.cdf(np.sqrt(shift @ np.linalg.solve(covariance, shift) / 2))
    error = np.sqrt((1 / 6000 + 1 / 6000) / 12)
    assert abs(auc(score, sides[1]) - best) < 4 * error + 0.005  # 128 observations per role cost the rest
    for simple in (OriginalLogit(), LogitDrop()):
        assert auc(simple.fit(None, rng=rng).score(sides[1]), sides[1]) < best


def test_few_shadow_models_still_find_it_and_no_leak_is_none():
    rng = np.random.default_rng(1)
    difficulty = 3 * rng.normal(size=400)
    found = {}
    for name, shift in (("leak", 0.6), ("none", 0.0)):
        means = np.array([[shift, 0.0], [0.0, 0.0]])
        shadow, target = (
            gaussian_side(rng, means, COVARIANCES["same randomness"], records=400, originals=m, difficulty=difficulty)
            for m in (4, 10)
        )
        found[name] = auc(JointLikelihoodRatio().fit(shadow, rng=rng).score(target), target)
    assert found["leak"] > 0.9
    assert abs(found["none"] - 0.5) < 4 * np.sqrt(1 / 2000 / 6)


def test_three_roles_are_told_apart_and_probabilities_are_calibrated():
    rng = np.random.default_rng(2)
    difficulty = rng.normal(size=200)
    means = np.array([[1.5, 0.0], [0.0, 0.0], [1.5, 1.5]])
    shadow, target = (
        gaussian_side(rng, means, COVARIANCES["fresh randomness"], records=200, originals=m, difficulty=difficulty)
        for m in (60, 20)
    )
    truth = target.role[:, None] == np.array(ROLES)
    own = target.phi - difficulty[target.record][:, None]
    law = [stats.multivariate_normal(mean, COVARIANCES["fresh randomness"]).logpdf(own) for mean in means]
    best = ((role_probabilities(np.stack(law, axis=1)) - truth) ** 2).sum(axis=1).mean()  # Brier score, .36
    for linear, worst, excess in ((True, 0.08, 0.03), (False, 0.18, 0.05)):
        scorer = JointLikelihoodRatio(linear=linear).fit(shadow, rng=rng)
        probability = role_probabilities(scorer.log_likelihood(target))
        assert np.allclose(probability.sum(axis=1), 1)
        assert ((probability - truth) ** 2).sum(axis=1).mean() < best + excess
        for column in range(3):
            for low in np.arange(0.1, 0.9, 0.2):
                rows = (probability[:, column] >= low) & (probability[:, column] < low + 0.2)
                assert abs(probability[rows, column].mean() - truth[rows, column].mean()) < worst


def test_a_role_without_shadow_queries_is_impossible():
    shadow = simulated_records(leak=1, seed=0)
    scorer = JointLikelihoodRatio().fit(shadow, rng=np.random.default_rng(0))
    assert np.isneginf(scorer.log_likelihood(shadow)[:, ROLES.index(Role.RETAINED)]).all()
    assert (role_probabilities(scorer.log_likelihood(shadow))[:, 2] == 0).all()
    assert np.allclose(role_probabilities(np.zeros((1, 3)), (0.5, 0.25, 0.25)), [[0.5, 0.25, 0.25]])
    with pytest.raises(ValueError, match="`prior` must be three probabilities that sum to 1"):
        role_probabilities(np.zeros((1, 3)), (0.5, 0.5, 0.5))


def coordinates(table, typical):
    return np.stack([table.phi[:, 0], np.arcsinh((table.phi[:, 0] - table.phi[:, 1]) / typical)], axis=1)


def priors_slowly(deleted, unseen, row):
    """Prior mean and weight of one record's unseen law, from the moments of both roles."""
    inv = np.linalg.inv
    both = [r for r in range(len(unseen.n)) if deleted.n[r] and unseen.n[r]]
    weight = [deleted.n[r] * unseen.n[r] / (deleted.n[r] + unseen.n[r]) for r in both]
    shift = np.average([deleted.mean[r] - unseen.mean[r] for r in both], axis=0, weights=weight)
    away = [deleted.mean[r] - unseen.mean[r] - shift for r in both]
    noise = [deleted.within / deleted.n[r] + unseen.within / unseen.n[r] for r in both]
    own = positive(np.mean([np.outer(a, a) for a in away], axis=0) - np.mean(noise, axis=0)) / 2
    shared = positive((deleted.between + unseen.between) / 2 - own) + np.diag(unseen.floor)
    mean, covariance = np.zeros(2), shared
    if deleted.n[row]:
        gain = shared @ inv(shared + own + deleted.within / deleted.n[row])  # of a Kalman step
        mean = gain @ (deleted.mean[row] - unseen.centre - shift)
        covariance = shared - gain @ shared
    return unseen.centre + mean, 2 / np.trace(inv(unseen.within) @ (covariance + own))


def test_the_predictive_density_is_the_conjugate_one():
    """Against SciPy's multivariate t, with prior and posterior written out for one record, and for an unknown one."""
    shadow = simulated_records(leak=1, seed=3, originals=9)
    scorer = JointLikelihoodRatio(nu=6).fit(shadow, rng=np.random.default_rng(0))
    found = []
    for role in (Role.DELETED, Role.UNSEEN):
        rows = shadow.select((shadow.role == role) & (shadow.use == Use.EVALUATE))
        u, place = coordinates(rows, scorer.typical), place_of(rows.record, scorer.known)
        found.append(moments(u, place, rows.original, scorer.known.size))
    unseen, query = found[1], shadow.select(np.arange(1))
    for record in (query.record[0], 10**6):
        row = place_of(np.array([record]), scorer.known)[0]
        prior, kappa = priors_slowly(*found, row)
        own = u[rows.record == record]
        n, mean = len(own), own.mean(axis=0) if len(own) else prior
        psi = 3 * unseen.within + (own - mean).T @ (own - mean)
        psi += kappa * n / (kappa + n) * np.outer(mean - prior, mean - prior)
        freedom = 6 + n - 1
        law = stats.multivariate_t(
            (kappa * prior + n * mean) / (kappa + n), psi * (kappa + n + 1) / ((kappa + n) * freedom), df=freedom
        )
        asked = replace(query, record=np.array([record]))
        density = scorer.log_likelihood(asked)[0, ROLES.index(Role.UNSEEN)]
        assert np.allclose(density, law.logpdf(coordinates(query, scorer.typical)[0]))


def test_heavy_tails_do_not_hide_a_leak():
    """Most drops are tiny and some are a thousand times larger, as those of convex models: still near the optimum."""
    rng = np.random.default_rng(15)
    difficulty = 3 * rng.normal(size=300)
    sides = []
    for originals in (48, 20):
        record, original = np.tile(np.arange(300), originals), np.repeat(np.arange(originals), 300)
        deleted = rng.random(record.size) < 0.5
        first = difficulty[record] + rng.normal(size=record.size)
        size = np.exp(2 * difficulty[record] / 3 + 0.5 * rng.normal(size=record.size) + 0.5 * deleted)
        logits = np.stack([first, first - 0.01 * size], axis=1)
        role = np.where(deleted, Role.DELETED, Role.UNSEEN)
        sides.append(table_of(logits, role=role, record=record, original=original))
    score = JointLikelihoodRatio().fit(sides[0], rng=rng).score(sides[1])
    best = stats.norm.cdf(1 / np.sqrt(2))
    assert best - 0.05 < auc(score, sides[1]) < best + 0.02
    assert auc(LogitDrop().fit(None, rng=rng).score(sides[1]), sides[1]) < best - 0.1


def test_moments_equal_their_slow_twin():
    rng = np.random.default_rng(4)
    values, record, original = rng.normal(size=(60, 2)), rng.integers(0, 8, 60) * 5, rng.integers(0, 4, 60)
    record[record == 10] = 15
    known = known_records(np.append(record, 10))
    found = moments(values, place_of(record, known), original, known.size)
    means = {}
    for row, name in enumerate(known):
        own = record == name
        groups = {o: values[own & (original == o)] for o in np.unique(original[own])}
        assert found.n[row] == len(groups)
        if groups:
            means[row] = np.mean([group.mean(axis=0) for group in groups.values()], axis=0)
            scatter = sum(np.mean([np.outer(v, v) for v in group - means[row]], axis=0) for group in groups.values())
            assert np.allclose(found.mean[row], means[row])
            assert np.allclose(found.scatter[row], scatter)
    assert np.allclose(found.centre, np.mean(list(means.values()), axis=0))
    for row in (list(known).index(10), known.size):
        assert found.n[row] == 0
        assert np.allclose(found.mean[row], found.centre)
    assert (np.linalg.eigvalsh(found.between) >= -1e-12).all()


def test_models_that_repeat_themselves_have_finite_scores():
    shadow = simulated_records(leak=1, seed=0, originals=4)
    frozen = replace(shadow, log_values=np.broadcast_to(shadow.log_values[:1, :1], shadow.log_values.shape).copy())
    for attack in (JointLikelihoodRatio(), Lira(), Lira(pooled_variance=True), Rmia()):
        scorer = attack.fit(frozen, rng=np.random.default_rng(0))
        assert np.isfinite(scorer.score(frozen)).all()
        assert np.isfinite(scorer.score(shadow)).all()


def lira_slowly(shadow, query, *, pooled):
    """Online LiRA of one query, record by record, over all evaluated shadow queries."""
    shadow = shadow.select(shadow.use == Use.EVALUATE)
    density = []
    for is_in in (True, False):
        rows = shadow.select(shadow.member[:, 0] == is_in)
        own = rows.phi[rows.record == query.record[0], 0]
        deviation = own.std(ddof=1)
        if pooled:
            groups = [rows.phi[rows.record == record, 0] for record in np.unique(rows.record)]
            within = sum(((g - g.mean()) ** 2).sum() for g in groups) / sum(len(g) - 1 for g in groups)
            deviation = np.sqrt(within)
        density.append(stats.norm.logpdf(query.phi[0, 0], own.mean(), deviation))
    return density[0] - density[1]


@pytest.mark.parametrize("pooled", [False, True])
def test_lira_equals_its_slow_twin(pooled):
    shadow, target = (simulated_records(leak=0, memory=1, seed=seed, originals=20) for seed in (5, 6))
    scorer = Lira(pooled_variance=pooled).fit(shadow, rng=np.random.default_rng(0))
    for row in range(0, 60, 7):
        query = target.select(np.array([row]))
        assert np.isclose(scorer.score(query)[0], lira_slowly(shadow, query, pooled=pooled), rtol=1e-4)


@pytest.mark.parametrize(
    "attack",
    [Lira(), Lira(pooled_variance=True), Lira(online=False), Rmia(), Rmia(online=False)],
    ids=lambda attack: attack.name,
)
def test_classical_attacks_find_members_and_calibration_helps(attack):
    """Larger means member; knowing how hard a record is beats the logit alone."""
    shadow, target = (simulated_records(leak=0, memory=1.5, seed=seed, originals=40) for seed in (7, 8))
    score = attack.fit(shadow, rng=np.random.default_rng(0)).score(target)
    evaluated = target.use == Use.EVALUATE
    plain = auc(target.phi[evaluated, 0], target.select(evaluated))
    assert auc(score[evaluated], target.select(evaluated)) > plain + 0.05


def test_u_lira_sees_the_unlearned_model_alone():
    shadow, target = (simulated_records(leak=8, seed=seed, originals=40) for seed in (7, 8))
    attack = Lira(unlearned=True)
    scorer = attack.fit(shadow, rng=np.random.default_rng(0))
    other = replace(target, log_values=target.log_values[:, [1, 1]])
    assert np.array_equal(scorer.score(target), scorer.score(other))
    assert auc(scorer.score(target), target) > 0.75
    assert not attack.classical
    assert attack.opponent == Lira().name
    with pytest.raises(ValueError, match="U-LiRA must be `online`"):
        Lira(online=False, unlearned=True)


@pytest.mark.parametrize(("online", "gamma"), [(True, 1.0), (False, 1.3)])
def test_rmia_equals_its_slow_twin(online, gamma):
    shadow, target = (simulated_records(leak=0, memory=1, seed=seed, originals=6, records=30) for seed in (9, 10))
    score = Rmia(online=online, gamma=gamma, a=0.4).fit(shadow, rng=np.random.default_rng(0)).score(target)
    learnt = shadow.select(shadow.use == Use.EVALUATE)
    confidence = np.exp(-log_loss(learnt.log_values[:, 0], learnt.label))

    def mean_of(is_in, record):
        by_record = {}
        for r, p in zip(
            learnt.record[learnt.member[:, 0] == is_in], confidence[learnt.member[:, 0] == is_in], strict=True
        ):
            by_record.setdefault(r, []).append(p)
        means = {r: np.mean(values) for r, values in by_record.items()}
        return means.get(record, np.mean(list(means.values())))

    def ratio(q):
        own = np.exp(target.log_values[q, 0, target.label[q]])
        out = mean_of(False, target.record[q])
        return own / ((mean_of(True, target.record[q]) + out) / 2 if online else (1.4 * out + 0.6) / 2)

    for q in range(0, len(target), 5):
        public = np.flatnonzero((target.original == target.original[q]) & (target.use == Use.HELD_OUT))
        public = public[public != q]
        expected = np.mean([ratio(q) / ratio(z) > gamma for z in public]) if public.size else 0
        assert np.isclose(score[q], expected)


def test_a_record_asked_twice_by_one_original_counts_once():
    """Queries of one original share its noise: repeating them must not look like more shadow models."""
    shadow, target = (simulated_records(leak=2, memory=1, seed=seed) for seed in (11, 12))
    twice = shadow.select(np.repeat(np.arange(len(shadow)), 2))
    for attack in (JointLikelihoodRatio(), Lira(), Lira(unlearned=True), Rmia()):
        once, again = (attack.fit(table, rng=np.random.default_rng(0)).score(target) for table in (shadow, twice))
        assert np.allclose(once, again)


@pytest.mark.parametrize(
    "attack", [JointLikelihoodRatio(), Lira(), Lira(online=False), Rmia()], ids=lambda attack: attack.name
)
def test_what_is_missing_is_said(attack):
    table = simulated_records(leak=0, seed=0)
    with pytest.raises(PosteriorsError, match="needs shadow models of the candidate records, got none"):
        attack.fit(None, rng=np.random.default_rng(0))
    with pytest.raises(PosteriorsError, match="must learn from .* got [0-9]+ and 0"):
        attack.fit(table.select(table.role == Role.DELETED), rng=np.random.default_rng(0))
    for name, wrong in (("gamma", 0.5), ("a", 2.0)):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            Rmia(**{name: wrong})
    with pytest.raises(ValueError, match="`nu` must be above 3"):
        JointLikelihoodRatio(nu=3)


def test_ten_thousand_records_and_64_shadow_models_take_no_time():
    rng = np.random.default_rng(13)
    means = np.array([[0.5, 0.0], [0.0, 0.0]])
    difficulty = rng.normal(size=10_000)
    shadow, target = (
        gaussian_side(rng, means, np.eye(2), records=10_000, originals=m, difficulty=difficulty) for m in (64, 1)
    )
    assert shadow.phi.shape == (640_000, 2)  # known before the attack begins
    start = time.perf_counter()
    JointLikelihoodRatio().fit(shadow, rng=rng).score(target)
    assert time.perf_counter() - start < 3  # measured: 0.4 s


def atom_side(rng, stay, difficulty, *, originals):
    """Answers that often stay exactly the same, as a tree's do: by record, and far more often where it is unseen."""
    records = len(difficulty)
    record, original = np.tile(np.arange(records), originals), np.repeat(np.arange(originals), records)
    role = rng.choice(np.array([Role.DELETED, Role.UNSEEN], dtype=np.int8), record.size)
    moves = rng.random(record.size) >= np.where(role == Role.UNSEEN, stay[record], 0.05)
    drop = np.where(moves, rng.normal(size=record.size) + 0.5 * (role == Role.DELETED), 0.0)
    first = difficulty[record] + rng.normal(size=record.size)
    table = table_of(np.stack([first, first - drop], axis=1), role=role, record=record, original=original)
    log_ratio = np.log(np.where(moves, 0.95 / (1 - stay[record]), 0.05 / stay[record])) + moves * (drop / 2 - 1 / 8)
    return table, log_ratio


def test_answers_that_stay_the_same_are_described_apart():
    rng = np.random.default_rng(0)
    stay, difficulty = rng.uniform(0.2, 0.9, 200), 3 * rng.normal(size=200)
    (shadow, _), (target, best) = (atom_side(rng, stay, difficulty, originals=m) for m in (128, 40))
    scorer = JointLikelihoodRatio(linear=True).fit(shadow, rng=rng)
    reached = auc(scorer.score(target), target)
    assert reached == pytest.approx(auc(best, target), abs=0.015)
    assert auc(replace(scorer, staying=None).score(target), target) < reached - 0.02
    moving = atom_side(rng, np.full(200, 1e-9), difficulty, originals=20)[0]
    moving = moving.select(moving.phi[:, 0] != moving.phi[:, 1])
    assert JointLikelihoodRatio().fit(moving, rng=rng).staying is None
