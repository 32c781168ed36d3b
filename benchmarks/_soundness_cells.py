"""The audits that `soundness.py` counts. A cell is a design; an audit is one draw of it, with figures by name.

A figure of an audit is 1 or 0 (a bound or a test positive, an interval that covers), or a bound itself. Audit number i
of a cell draws from a stream of the cell's name and i alone.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from _soundness_few import FEW, cross_fitted_alarms
from scipy.optimize import brentq
from scipy.special import expit, ndtr, ndtri

from aftertrace.attacks import (
    ConfidenceRatio,
    EucDist,
    LogitDrop,
    LossRise,
    OriginalLogit,
    conformal_p_value,
)
from aftertrace.data import Digits, load
from aftertrace.posteriors import Role, Use, concatenate
from aftertrace.procedures import Retrain
from aftertrace.scenarios import Scenario, Side, Simulation, draw_units, simulate
from aftertrace.statistics import (
    auc_by_original,
    auc_interval,
    auc_interval_one_pair,
    auc_interval_two_way,
    bca_by_original,
    benjamini_hochberg,
    clopper_pearson,
    confidence_sequence,
    delong_clustered,
    epsilon_bonferroni,
    epsilon_clopper_pearson,
    epsilon_fair_coins,
    epsilon_one_run,
    epsilon_split,
    holm,
    mann_whitney,
    one_run_guesses,
    percentile_by_original,
    rate_at_fpr,
    sign_flip_tests,
)
from aftertrace.trainers import Model, Seeding

ATTACKS = (LogitDrop(), LossRise(), ConfidenceRatio(), EucDist(), OriginalLogit())  # the last is the classical one
N_BOOT = 500
SHARES = (1, 1 / 4, 1 / 16)  # of `epsilon_fair_coins`, everywhere


@dataclass(frozen=True)
class Cell:
    """`audit` makes the figures of one audit; `block` audits are kept together."""

    audit: Callable[[np.random.Generator], dict[str, float]]
    audits: int = 1000
    block: int = 50


@dataclass(frozen=True, eq=False)
class Queries:
    """Scores [A, Q] of unseen queries by several attacks, who is called deleted, and the units, each [Q]."""

    scores: np.ndarray
    called: np.ndarray
    original: np.ndarray
    record: np.ndarray


def audit_block(_, task):
    """The figures of some audits of a cell: name -> one value per audit."""
    name, numbers = task
    rows = [CELLS[name].audit(np.random.default_rng([zlib.crc32(name.encode()), number])) for number in numbers]
    return {figure: [_plain(row[figure]) for row in rows] for figure in rows[0]}


def _plain(value):
    return round(float(value), 9) if isinstance(value, float) else int(value)


# Leak-free: many originals


def of_originals(draw, rng):
    """Everything that is said of AUCs and their differences. Nothing leaks: roles are called by chance."""
    q = draw(rng)
    score, m = q.scores[0], np.unique(q.original).size
    queries = score, q.called, q.original
    primary = auc_interval(*queries)
    intervals = {
        "jackknife (primary)": primary,
        "percentile bootstrap": percentile_by_original(*queries, rng=rng, n_boot=N_BOOT),
        "BCa": bca_by_original(*queries, rng=rng, n_boot=N_BOOT),
        "clustered DeLong": delong_clustered(*queries),
        "two-way bootstrap": auc_interval_two_way(*queries, q.record, rng=rng, n_boot=N_BOOT),
    }
    inside = np.stack([auc_by_original(each, q.called, q.original)[1] for each in q.scores], axis=1)  # [m, A]
    against = inside[:, :-1] - inside[:, -1:]
    tests = sign_flip_tests(np.column_stack([against, inside[:, 0] - 0.5]), rng=rng, n_flips=5000)
    p = np.array([test.p_value for test in tests])
    sequence = confidence_sequence(inside[rng.permutation(m), 0])
    return {
        **{f"AUC above .5: {name}": interval.low > 0.5 for name, interval in intervals.items()},
        "AUC above .5 after any original: confidence sequence": sequence.low[-1] > 0.5,
        "AUC not .5: jackknife": not primary.low <= 0.5 <= primary.high,
        "AUC not .5: sign flips": p[-1] <= 0.05,
        "not the classical AUC: sign flips": p[0] <= 0.05,
        "not the classical AUC: any of 4 attacks, Holm": (holm(p[:-1]) <= 0.05).any(),
    }


def normal_queries(rng, *, originals, pairs=10):
    """Scores of five attacks that share what is in the records and the level of the original."""
    called = np.tile([True, False], originals * pairs)
    original = np.repeat(np.arange(originals), 2 * pairs)
    shared = 0.3 * rng.standard_normal(originals)[original] + rng.standard_normal(called.size)
    scores = shared + rng.standard_normal((len(ATTACKS), called.size))
    return Queries(scores, called, original, np.arange(called.size))


MODELS = {
    "digits, tree": (Model(name="tree"), Seeding.SAME, 300),
    "digits, logistic": (Model(name="logistic"), Seeding.FRESH, 100),
}


def digits_queries(rng, *, model, originals, pairs, unseen=1, held_out=1):
    """Unseen queries of trained models; the held-out ones are called deleted."""
    spec, seeding, records = MODELS[model]
    data, seed = _digits(), int(rng.integers(2**31))
    scenario = Scenario(
        shadow=Side(originals=1, pairs=1, records=2),
        target=Side(originals=originals, pairs=pairs, records=records),
        unseen_per_pair=unseen,
        held_out_per_pair=held_out,
    )
    simulation = Simulation(data=data, procedure=Retrain(spec.trainer(), seeding), seed=seed)
    units = [unit for unit in draw_units(scenario, n_records=len(data), seed=seed) if unit.side == "target"]
    table = concatenate([simulate(simulation, unit)[0] for unit in units])
    table = table.select(table.role == Role.UNSEEN)
    scores = np.stack([attack.fit(None, rng=rng).score(table) for attack in ATTACKS])
    return Queries(scores, table.use == Use.HELD_OUT, table.original, table.record)


@cache
def _digits():
    return load(Digits())


# Leak-free: fixed pools, where a record is queried at many originals


def of_fixed_pools(rng, *, originals, records):
    interval = _two_way(rng, target=0.5, originals=originals, records=records, effect=1.0)[0]
    return {
        "AUC above .5: two-way bootstrap": interval.low > 0.5,
        "AUC not .5: two-way bootstrap": not interval.low <= 0.5 <= interval.high,
    }


def _two_way(rng, *, target, originals, records, effect):
    """The interval and the expected AUC: the same records of each role are queried at all originals.

    Originals differ in their leak (.5) and in the level of all scores (.3), records by `effect`. Inside an original,
    as 1 / m of the comparisons are, its level cancels.
    """
    m, R, leak = originals, records, ndtri(target) * np.sqrt(2 + 0.5**2 + 2 * 0.3**2 + 2 * effect**2)
    level = 0.3 * rng.standard_normal((m, 1))
    deleted = leak + 0.5 * rng.standard_normal((m, 1)) + level + effect * rng.standard_normal((1, R))
    unseen = level + effect * rng.standard_normal((1, R))
    score = np.concatenate([x + rng.standard_normal((m, R)) for x in (deleted, unseen)], axis=None)
    record = np.concatenate([np.tile(np.arange(R), m), R + np.tile(np.arange(R), m)])
    original = np.tile(np.repeat(np.arange(m), R), 2)
    interval = auc_interval_two_way(score, record < R, original, record, rng=rng, n_boot=N_BOOT)
    inside = ndtr(leak / np.sqrt(2 + 0.5**2 + 2 * effect**2))
    return interval, (inside + (m - 1) * target) / m


# Leak-free: one canary per original


def of_canaries(draw, rng):
    """Every bound on epsilon; coins fall after the scores are there."""
    score = draw(rng)
    called = rng.random(score.size) < 0.5
    bounds = {name: bound(score, called, rng=rng, delta=0.0) for name, bound in BOUNDS.items()}
    return {
        "Clopper-Pearson, threshold fixed in advance": _fixed(score, called, 0.0, delta=0.0).low > 0,
        **{name: bound.low > 0 for name, bound in bounds.items()},
    }


def normal_canaries(rng, *, trials=1000):
    return rng.standard_normal(trials)


def digits_canaries(rng, *, trials):
    queries = digits_queries(rng, model="digits, tree", originals=trials, pairs=1)
    return queries.scores[0, ~queries.called]


def _fixed(score, is_deleted, threshold, *, delta):
    above, P = score > threshold, int(is_deleted.sum())
    tp, fp = int((above & is_deleted).sum()), int((above & ~is_deleted).sum())
    return epsilon_clopper_pearson(tp, P, fp, score.size - P, delta=delta)


def _bonferroni(score, is_deleted, *, rng, delta, thresholds=(-1.0, -0.5, 0.0, 0.5, 1.0)):
    return epsilon_bonferroni(score, is_deleted, np.arange(score.size), thresholds=thresholds, delta=delta)


def _split(score, is_deleted, *, rng, delta):
    return epsilon_split(score, is_deleted, np.arange(score.size), rng=rng, delta=delta)


def _fair(score, is_deleted, *, rng, delta):
    return epsilon_fair_coins(score, is_deleted, np.arange(score.size), shares=SHARES, rng=rng, delta=delta)


def _one_run(score, is_deleted, *, rng, delta, share=1.0):
    r = int(share * score.size)
    n_correct = one_run_guesses(score, is_deleted, n_guesses=r, rng=rng)
    return epsilon_one_run(n_correct, r, score.size, delta=delta)


BOUNDS = {
    "Bonferroni over declared thresholds": _bonferroni,
    "threshold from the other half": _split,
    "fair coins, three shares of guesses": _fair,
    "one run with many canaries": _one_run,
}


# Leak-free: one pair of models


def of_one_pair(draw, rng):
    """60 queries against 400 public ones; several tests at once are of the first 20."""
    score, public = draw(rng)
    p = conformal_p_value(score, public)
    return {
        "AUC above .5: DeLong over records": auc_interval_one_pair(score, public).low > 0.5,
        "scores of two laws: rank test": mann_whitney(score, public) <= 0.05,
        "conformal p-value of one record": p[0] <= 0.05,
        "any of 20 records: Benjamini-Hochberg": (benjamini_hochberg(p[:20]) <= 0.05).any(),
        "any of 20 records: Holm": (holm(p[:20]) <= 0.05).any(),
    }


def normal_pair(rng):
    return rng.standard_normal(60), rng.standard_normal(400)


def digits_pair(rng, *, model):
    queries = digits_queries(rng, model=model, originals=1, pairs=1, unseen=60, held_out=400)
    return queries.scores[0, ~queries.called], queries.scores[0, queries.called]


# Planted


def of_planted(rng, *, originals, auc=0.65):
    q = normal_queries(rng, originals=originals)
    score = q.scores[0] + q.called * ndtri(auc) * 2
    return {"found": auc_interval(score, q.called, q.original).low > 0.5}


# Coverage


def clustered_scores(rng, *, originals, target, pairs=20, spread=0.5, shift=0.3):
    """Originals differ in their leak (`spread`) and in the level of all their scores (`shift`); the expected AUC."""
    m, leak = originals, ndtri(target) * np.sqrt(2 + spread**2 + 2 * shift**2)
    level = shift * rng.standard_normal((m, 1))
    deleted = leak + spread * rng.standard_normal((m, 1)) + level + rng.standard_normal((m, pairs))
    unseen = level + rng.standard_normal((m, pairs))
    is_deleted = np.arange(2 * m * pairs) < m * pairs
    original = np.tile(np.repeat(np.arange(m), pairs), 2)
    inside = ndtr(leak / np.sqrt(2 + spread**2))
    return np.concatenate([deleted, unseen], axis=None), is_deleted, original, (inside + (m - 1) * target) / m


def primary_covers(rng, *, originals, target):
    *queries, truth = clustered_scores(rng, originals=originals, target=target)
    return {"covers": covers(auc_interval(*queries), truth)}


def others_cover(rng, *, originals, target):
    *queries, truth = clustered_scores(rng, originals=originals, target=target)
    return {
        "clustered DeLong": covers(delong_clustered(*queries), truth),
        "percentile bootstrap": covers(percentile_by_original(*queries, rng=rng, n_boot=N_BOOT), truth),
        "BCa": covers(bca_by_original(*queries, rng=rng, n_boot=N_BOOT), truth),
    }


def two_way_covers(rng, **design):
    return {"covers": covers(*_two_way(rng, **design))}


def clopper_pearson_covers(rng, *, rate, n=100):
    return {"covers": covers(clopper_pearson(int(rng.binomial(n, rate)), n), rate)}


def sequence_covers(rng, *, law, originals=300):
    """The interval after every original, or it does not count."""
    values, mean = LAWS[law](rng, originals)
    found = confidence_sequence(values)
    return {"covers": bool(((found.low <= mean + 1e-12) & (mean - 1e-12 <= found.high)).all())}


LAWS = {
    "a coin, .9": lambda rng, m: ((rng.random(m) < 0.9).astype(float), 0.9),
    "beta(9, 1)": lambda rng, m: (rng.beta(9, 1, m), 0.9),
    "normal, .5 ± .05": lambda rng, m: (np.clip(0.5 + 0.05 * rng.standard_normal(m), 0, 1), 0.5),
}


def rates_cover(rng, *, originals, fpr=0.1, queries=40):
    """Rates at a threshold from 1000 shadow queries: given these originals, whose mean rates are the truth."""
    level, leak = 0.3 * rng.standard_normal((originals, 1)), 1.0
    positive, negative = (level + x + rng.standard_normal((originals, queries)) for x in (leak, 0.0))
    calibration = np.sqrt(1 + 0.3**2) * rng.standard_normal(1000)
    found = rate_at_fpr(positive.ravel(), negative.ravel(), calibration, fpr=fpr)
    truth = [ndtr(level + x - found.threshold).mean() for x in (leak, 0.0)]
    return {"TPR": covers(found.tpr, truth[0]), "FPR": covers(found.realised_fpr, truth[1])}


def covers(interval, truth):
    return bool(interval.low <= truth <= interval.high)


# Mechanisms of known epsilon


def of_known_epsilon(rng, *, mechanism, epsilon, bound, trials):
    """One bound, from independent trials with a fair coin each."""
    spec = MECHANISMS[mechanism]
    is_deleted = rng.random(trials) < 0.5
    score, scale = spec.answer(is_deleted, epsilon, rng)
    if bound == "fixed":
        return {"low": _fixed(score, is_deleted, spec.threshold * scale + 0.5, delta=spec.delta).low}
    more = {}
    if bound == "bonferroni":
        more["thresholds"] = np.array(spec.thresholds) * scale + 0.5
    if bound == "one run":
        more["share"] = spec.share
    return {"low": OF_MECHANISMS[bound](score, is_deleted, rng=rng, delta=spec.delta, **more).low}


OF_MECHANISMS = {"bonferroni": _bonferroni, "split": _split, "fair coins": _fair, "one run": _one_run}


@dataclass(frozen=True)
class Mechanism:
    """What answers a bit, and what an auditor declares for it: thresholds around .5 in units of the noise.

    `share`: of guesses in one run, None where the bound's term in delta leaves nothing.
    """

    answer: Callable
    delta: float
    threshold: float
    thresholds: tuple[float, ...]
    share: float | None


def response(bit, epsilon, rng):
    return (bit == (rng.random(bit.size) < expit(epsilon))).astype(float), 1.0


def laplace(bit, epsilon, rng):
    return bit + rng.laplace(0, 1 / epsilon, bit.size), 1.0


def gaussian(bit, epsilon, rng, *, delta):
    sd = gaussian_sd(epsilon, delta)
    return bit + sd * rng.standard_normal(bit.size), sd


@cache
def gaussian_sd(epsilon, delta):
    """Of the noise whose true delta at this epsilon is `delta`, for a change of 1 (Balle and Wang 2018, theorem 8)."""

    def excess(sd):
        return ndtr(0.5 / sd - epsilon * sd) - np.exp(epsilon) * ndtr(-0.5 / sd - epsilon * sd) - delta

    return brentq(excess, 0.01, 100)


_NINE = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
MECHANISMS = {
    "randomised response": Mechanism(response, 0.0, 0.0, (0.0,), 1.0),
    "Laplace": Mechanism(laplace, 0.0, 0.5, (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5), 1.0),
    "Gaussian, delta .01": Mechanism(partial(gaussian, delta=1e-2), 1e-2, 1.5, _NINE, None),
    "Gaussian, delta 1e-5": Mechanism(partial(gaussian, delta=1e-5), 1e-5, 2.5, (*_NINE, 2.5, 3.0), 1 / 16),
}

BY_MECHANISM = ("fair coins", "fixed", "bonferroni", "split", "one run")
TRIALS = {  # as many as the median needs to reach half of epsilon, rounded up to 1, 2 or 5: for each of BY_MECHANISM
    "randomised response": {
        0.25: (2000, 2000, 2000, 5000, 1000),
        1.0: (200, 200, 200, 500, 100),
        4.0: (100, 100, 100, 200, 100),
    },
    "Laplace": {
        0.25: (2000, 5000, 5000, 10_000, 2000),
        1.0: (200, 500, 500, 1000, 200),
        4.0: (200, 200, 500, 500, 500),
    },
    "Gaussian, delta .01": {
        0.25: (10_000, 50_000, 50_000, 50_000, None),
        1.0: (2000, 5000, 5000, 10_000, None),
        4.0: (1000, 2000, 2000, 5000, None),
    },
    "Gaussian, delta 1e-5": {
        0.25: (500_000, 1_000_000, 1_000_000, 5_000_000, 200_000),
        1.0: (50_000, 200_000, 200_000, 1_000_000, 50_000),
        4.0: (20_000, 100_000, 200_000, 100_000, 20_000),
    },
}


def _cells():
    for m in (10, 30):
        yield (
            f"leak-free/originals/normal scores, {m}",
            Cell(partial(of_originals, partial(normal_queries, originals=m))),
        )
        for model, pairs in (("digits, tree", 10), ("digits, logistic", 5)):
            draw = partial(digits_queries, model=model, originals=m, pairs=pairs)
            yield f"leak-free/originals/{model}, {m}", Cell(partial(of_originals, draw))
    for m, R in ((10, 20), (20, 40)):
        yield f"leak-free/fixed pools/{m} x {R}", Cell(partial(of_fixed_pools, originals=m, records=R))
    yield "leak-free/canaries/normal scores, 1000", Cell(partial(of_canaries, normal_canaries))
    yield "leak-free/canaries/digits, tree, 100", Cell(partial(of_canaries, partial(digits_canaries, trials=100)))
    yield "leak-free/one pair/normal scores", Cell(partial(of_one_pair, normal_pair))
    for model in MODELS:
        yield f"leak-free/one pair/{model}", Cell(partial(of_one_pair, partial(digits_pair, model=model)))
    for m in (10, 30):
        yield f"planted/{m}", Cell(partial(of_planted, originals=m))
    for target in (0.5, 0.75, 0.9, 0.985):
        for m in (10, 30, 100):
            yield (
                f"coverage/primary/{target:g}/{m}",
                Cell(partial(primary_covers, originals=m, target=target), audits=2000, block=250),
            )
            if m < 100:
                yield f"coverage/others/{target:g}/{m}", Cell(partial(others_cover, originals=m, target=target))
    for m, R in ((10, 20), (20, 40)):
        for target in (0.5, 0.8):
            for effect in (0.0, 1.0):
                design = {"originals": m, "records": R, "target": target, "effect": effect}
                yield f"coverage/two-way/{m} x {R}/{target:g}/{effect:g}", Cell(partial(two_way_covers, **design))
    for rate in (0.01, 0.1, 0.5):
        yield f"coverage/clopper-pearson/{rate:g}", Cell(partial(clopper_pearson_covers, rate=rate), 2000, 1000)
    for law in LAWS:
        yield f"coverage/sequence/{law}", Cell(partial(sequence_covers, law=law))
    for m in (10, 30):
        yield f"coverage/rates/{m}", Cell(partial(rates_cover, originals=m))
    for words, audit in FEW.items():
        yield f"coverage/few/{words}", Cell(audit)
    for deleted, unseen in ((60, 100), (150, 150)):
        audit = partial(cross_fitted_alarms, deleted=deleted, unseen=unseen)
        yield f"leak-free/cross-fitted/{deleted} deleted, {unseen} unseen", Cell(audit, audits=500, block=25)
    for mechanism, by_epsilon in TRIALS.items():
        for epsilon, numbers in by_epsilon.items():
            for bound, trials in zip(BY_MECHANISM, numbers, strict=True):
                if trials is not None:
                    audit = partial(of_known_epsilon, mechanism=mechanism, epsilon=epsilon, bound=bound, trials=trials)
                    block = max(4, min(100, 10_000_000 // trials))
                    yield f"epsilon/{mechanism}/{epsilon:g}/{bound}", Cell(audit, block=block)


CELLS = dict(_cells())
