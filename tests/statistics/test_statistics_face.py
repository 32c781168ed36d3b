"""The public face: names, records, examples."""

import dataclasses
import doctest
import importlib
import pkgutil

import numpy as np
import pytest

from aftertrace import statistics

MODULES = [
    "aftertrace.statistics",
    *(f"aftertrace.statistics.{m.name}" for m in pkgutil.iter_modules(statistics.__path__)),
]


def test_all_is_what_one_can_see():
    seen = {name for name in vars(statistics) if name.isidentifier() and not name.startswith("_")}
    assert sorted(statistics.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n)) == statistics.__all__
    assert set(statistics.__all__) == seen


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_results_are_frozen_and_hold_plain_numbers():
    rng = np.random.default_rng(0)
    score, original = rng.standard_normal(200), np.arange(200) // 20
    is_deleted = np.arange(200) % 2 == 0
    rates = statistics.rate_at_fpr(score, score, score, fpr=0.1, original_positive=original)
    for record in (
        statistics.auc_interval(score, is_deleted, original),
        statistics.auc_interval_one_pair(score[:9], score[9:]),
        statistics.clopper_pearson(np.int64(3), np.int64(9)),
        statistics.sign_flip_test(score, rng=rng),
        statistics.delong_clustered(score, is_deleted, original),
        statistics.bca_by_original(score, is_deleted, original, rng=rng),
        statistics.percentile_by_original(score, is_deleted, original, rng=rng),
        statistics.auc_interval_two_way(score, is_deleted, original, np.arange(200), rng=rng),
        statistics.epsilon_split(score, is_deleted, np.arange(200), rng=rng),
        statistics.epsilon_bonferroni(score, is_deleted, np.arange(200), thresholds=[0.0]),
        statistics.epsilon_clopper_pearson(9, 9, 0, 9),
        statistics.epsilon_one_run(9, 9, 9),
        statistics.variance_components(score, is_deleted, original, np.arange(200) // 2),
        statistics.degradation(rng.random(200), rng.random(200), is_deleted),
        rates,
        rates.tpr_new_originals,
    ):
        for field in dataclasses.fields(record):
            value = getattr(record, field.name)
            assert value is None or type(value) in (int, float, str, statistics.Interval), field.name
        with pytest.raises(dataclasses.FrozenInstanceError):
            record.n = 0
