"""Audits for `_soundness_cells.py` of what single pairs of models and few changes allow to say."""

from functools import partial

import numpy as np
from scipy.special import expit, ndtr, ndtri

from aftertrace.attacks import Superset
from aftertrace.posteriors import Posteriors
from aftertrace.scenarios._crossfit import FOLDS, CrossFitted
from aftertrace.statistics import (
    auc_difference_one_pair,
    auc_interval,
    auc_interval_one_pair,
    cross_fitted_interval,
    rate_at_fpr,
    share_difference,
)

AUDITORS = CrossFitted(Superset(), "auditor"), CrossFitted(Superset(classical=True), "classical")


def covers(interval, truth):
    return bool(interval.low <= truth + 1e-12 and truth - 1e-12 <= interval.high)


def pair_covers(rng, *, deleted, unseen, target):
    positive = rng.standard_normal(deleted) + ndtri(target) * np.sqrt(2)
    return {"covers": covers(auc_interval_one_pair(positive, rng.standard_normal(unseen)), target)}


def moved_pair_covers(rng, *, deleted, unseen, moved):
    """After deterministic retraining: only a share of the deleted records moves."""
    positive = (rng.random(deleted) < moved).astype(float)
    return {"covers": covers(auc_interval_one_pair(positive, np.zeros(unseen)), 0.5 + moved / 2)}


def seldom_covers(rng, *, originals, chance, pairs=10):
    """Originals leak all of their deletions with a small chance, and else nothing moves."""
    original = np.arange(2 * originals * pairs) // (2 * pairs)
    is_deleted = np.arange(original.size) % 2 == 0
    score = ((rng.random(originals) < chance)[original] & is_deleted).astype(float)
    return {"covers": covers(auc_interval(score, is_deleted, original), 0.5 + chance / 2)}


def difference_covers(rng, *, deleted, unseen, leaks):
    """Two scores that share half of their noise."""
    is_deleted = np.arange(deleted + unseen) < deleted
    common, noise = rng.standard_normal(is_deleted.size), rng.standard_normal((2, is_deleted.size))
    score, other = (np.sqrt(0.5) * (common + own) + leak * is_deleted for own, leak in zip(noise, leaks, strict=True))
    truth = ndtr(leaks[0] / np.sqrt(2)) - ndtr(leaks[1] / np.sqrt(2))
    return {"covers": covers(auc_difference_one_pair(score, other, is_deleted).interval, truth)}


def threshold_covers(rng, *, originals, calibration, fpr, queries=40, leak=1.0, spread=0.3):
    """The rate at the threshold that has exactly this FPR: for these originals, and for new ones."""
    level, own = spread * rng.standard_normal((2, originals, 1))
    positive = level + leak + own + rng.standard_normal((originals, queries))
    negative, unseen = (np.sqrt(1 + spread**2) * rng.standard_normal(size) for size in (1000, calibration))
    original = np.repeat(np.arange(originals), queries)
    found = rate_at_fpr(positive.ravel(), negative, unseen, fpr=fpr, original_positive=original)
    threshold = -ndtri(fpr) * np.sqrt(1 + spread**2)
    return {
        "these": covers(found.tpr, ndtr(level + leak + own - threshold).mean()),
        "new": covers(found.tpr_new_originals, ndtr((leak - threshold) / np.sqrt(1 + 2 * spread**2))),
    }


def loss_covers(rng, *, records, lost, gained, originals=1):
    """Right answers that an update loses and gains, each record for itself."""
    size = records * originals
    difference = rng.choice([1.0, -1.0, 0.0], size, p=[lost, gained, 1 - lost - gained])
    found = share_difference(difference, original=np.arange(size) // records)
    return {"covers": covers(found, lost - gained)}


def seldom_lost_covers(rng, *, originals, chance, loss, records):
    """Originals lose a share `loss` of their records with a small chance, and else nothing changes."""
    loses = np.repeat(np.where(rng.random(originals) < chance, loss, 0.0), records)
    lost = (rng.random(loses.size) < loses).astype(float)
    return {"covers": covers(share_difference(lost, original=np.arange(loses.size) // records), chance * loss)}


def cross_fitted_alarms(rng, *, deleted, unseen):
    """One pair without any leak: the auditor's attack, and the auditor's against that of the original alone."""
    label, before, drop = rng.integers(0, 2, deleted + unseen), *rng.standard_normal((2, deleted + unseen))
    is_deleted = np.arange(label.size) < deleted
    table = Posteriors.from_pair(
        *(_two_classes(logit, label) for logit in (1 + before, 1 + before - drop)),
        label=label,
        role=np.where(is_deleted, 0, 1),
        pair=np.zeros(label.size, dtype=int),
        original=np.zeros(label.size, dtype=int),
        record=np.arange(label.size),
    )
    score, other = (each.fit(None, rng=rng).score(table) for each in AUDITORS)
    interval = cross_fitted_interval(auc_interval_one_pair(score[is_deleted], score[~is_deleted]), folds=FOLDS)
    return {
        "AUC not .5: the auditor's attack": not covers(interval, 0.5),
        "not the original's AUC": auc_difference_one_pair(score, other, is_deleted, folds=FOLDS).p_value <= 0.05,
    }


def _two_classes(logit, label):
    own = np.arange(2) == label[:, None]
    return expit(np.where(own, logit[:, None], -logit[:, None]))


FEW = {
    "one pair, DeLong: 20 deleted, 20 unseen, AUC .5": partial(pair_covers, deleted=20, unseen=20, target=0.5),
    "one pair, DeLong: 20 deleted, 200 unseen, AUC .5": partial(pair_covers, deleted=20, unseen=200, target=0.5),
    "one pair, DeLong: 20 deleted, 200 unseen, AUC .8": partial(pair_covers, deleted=20, unseen=200, target=0.8),
    "one pair, DeLong: 50 deleted, 100 unseen, AUC .95": partial(pair_covers, deleted=50, unseen=100, target=0.95),
    "one pair, DeLong: 20 deleted, 1 in 20 of which moves": partial(
        moved_pair_covers, deleted=20, unseen=200, moved=0.05
    ),
    "one pair, DeLong: 50 deleted, 1 in 5 of which moves": partial(
        moved_pair_covers, deleted=50, unseen=200, moved=0.2
    ),
    "one pair, difference of AUCs: 20 deleted, 200 unseen, none": partial(
        difference_covers, deleted=20, unseen=200, leaks=(0.5, 0.5)
    ),
    "one pair, difference of AUCs: 50 deleted, 100 unseen, .13": partial(
        difference_covers, deleted=50, unseen=100, leaks=(0.8, 0.3)
    ),
    "one pair, difference of AUCs: 20 deleted, 2000 unseen, .96 and .92": partial(
        difference_covers, deleted=20, unseen=2000, leaks=(2.5, 2.0)
    ),
    "6 originals, 1 in 20 of which leaks all, the others nothing": partial(seldom_covers, originals=6, chance=0.05),
    "12 originals, 1 in 5 of which leaks all, the others nothing": partial(seldom_covers, originals=12, chance=0.2),
    "30 originals, 1 in 20 of which leaks all, the others nothing": partial(seldom_covers, originals=30, chance=0.05),
    "TPR at the true threshold for an FPR of 10 %, 100 calibration queries, 10 originals": partial(
        threshold_covers, originals=10, calibration=100, fpr=0.1
    ),
    "TPR at the true threshold for an FPR of 1 %, 1000 calibration queries, 10 originals": partial(
        threshold_covers, originals=10, calibration=1000, fpr=0.01
    ),
    "TPR at the true threshold for an FPR of 1 %, 1000 calibration queries, 30 originals": partial(
        threshold_covers, originals=30, calibration=1000, fpr=0.01
    ),
    "accuracy lost, 100 records, 1 in 100 lost": partial(loss_covers, records=100, lost=0.01, gained=0.0),
    "accuracy lost, 100 records, 1 in 20 lost and gained": partial(loss_covers, records=100, lost=0.05, gained=0.05),
    "accuracy lost, 10 originals with 20 records, 1 in 100 lost": partial(
        loss_covers, records=20, lost=0.01, gained=0.0, originals=10
    ),
    "accuracy lost, 30 originals with 20 records, 1 in 20 lost, 1 in 50 gained": partial(
        loss_covers, records=20, lost=0.05, gained=0.02, originals=30
    ),
    "accuracy lost, 10 originals with 100 records, 1 in 10 of which loses .3": partial(
        seldom_lost_covers, originals=10, chance=0.1, loss=0.3, records=100
    ),
    "accuracy lost, 20 originals with 50 records, 1 in 20 of which loses .4": partial(
        seldom_lost_covers, originals=20, chance=0.05, loss=0.4, records=50
    ),
    "accuracy lost, 40 originals with 50 records, 1 in 20 of which loses .4": partial(
        seldom_lost_covers, originals=40, chance=0.05, loss=0.4, records=50
    ),
}
