"""Private models keep what they promise, and the check says so when they do not."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from aftertrace.procedures import Retrain
from aftertrace.results import PrivacyResult
from aftertrace.scenarios import Experiment, run_experiment
from aftertrace.statistics import Interval
from aftertrace.trainers import MLP, Guarantee, PrivateLogisticTrainer, PrivateNetworkTrainer, Seeding, Size

EPSILONS = (0.5, 2.0, 8.0)
TRAINERS = {
    "logistic": lambda epsilon: PrivateLogisticTrainer(epsilon=epsilon),
    "network": lambda epsilon: PrivateNetworkTrainer(
        network=MLP(hidden=(8,)), epsilon=epsilon, sample_rate=0.1, steps=40
    ),
}


def experiment(originals=10, **more):
    side = {"originals": originals, "pairs": 6, "records": 120}
    return Experiment.from_dict(
        {
            "data": {"name": "breast-cancer"},
            "model": {"name": "private-logistic", "params": {"epsilon": 1.0}},
            "scenario": {"shadow": {**side, "originals": 1, "pairs": 1}, "target": side, "unseen_per_pair": 5},
            "attacks": {"features": [], "classifiers": [], "learned": [], "scores": ["LogitDrop"]},
            "verdict": {"attack": "LogitDrop"},
            **more,
        }
    )


@dataclass(frozen=True)
class Unchanged:
    """A private trainer as a procedure sees it, that may be asked for any seeding."""

    trainer: object
    silent: bool  # without noise

    promise = property(lambda self: self.trainer.promise)
    seedings = frozenset(Seeding)

    def fit(self, data, keep, *, streams, device="cpu", base=None):
        trainer = self.trainer
        if self.silent and isinstance(trainer, PrivateNetworkTrainer):
            trainer = replace(trainer, epsilon=None, noise_multiplier=1e-9)
        elif self.silent:
            trainer = replace(trainer, epsilon=1e9)
        return trainer.fit(data, keep, streams=streams, device=device)


FAITHLESS = {
    "logistic": PrivateLogisticTrainer(epsilon=0.2),
    # all records in every step: a deletion does not change which others are taken
    "network": PrivateNetworkTrainer(network=MLP(hidden=(8,)), epsilon=0.2, sample_rate=1.0, steps=20),
}


def checked(trainer, tmp_path, *, seeding=Seeding.FRESH, originals=10):
    """The trainer's promise against what an audit of it finds."""
    run = run_experiment(experiment(originals), out=tmp_path / "run", procedure=Retrain(trainer, seeding))
    own = trainer.trainer if isinstance(trainer, Unchanged) else trainer
    size = Size(records=120, features=30, classes=2, models=1)
    return PrivacyResult.of(own.guarantee(size), run.result.attack("LogitDrop").auc, models=1)


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("kind", TRAINERS)
def test_what_is_promised_is_kept(kind, epsilon, tmp_path):
    found = checked(TRAINERS[kind](epsilon), tmp_path)
    assert found.check.violated is False
    assert "does not refute it" in found.sentence


@pytest.mark.parametrize("kind", FAITHLESS)
def test_a_promise_without_noise_is_refuted(kind, tmp_path):
    found = checked(Unchanged(FAITHLESS[kind], silent=True), tmp_path, seeding=Seeding.SAME)
    assert found.check.violated is True
    assert "refutes it" in found.sentence


@pytest.mark.parametrize("kind", FAITHLESS)
def test_noise_shared_between_versions_is_refuted(kind, tmp_path):
    """It cancels in the difference."""
    found = checked(Unchanged(FAITHLESS[kind], silent=False), tmp_path, seeding=Seeding.SAME, originals=40)
    assert found.check.violated is True


def test_a_run_says_what_its_models_promise(tmp_path):
    result = run_experiment(experiment(), out=tmp_path / "run").result
    assert result.privacy.guarantee.adjacency == "substitution"
    assert result.privacy.models == 1
    assert result.privacy.check.ceiling == pytest.approx(1 / (1 + np.exp(-1)))


def test_guarantees_convert_and_compose():
    """For a record added or removed, epsilon counts twice; a retained record was part of two models."""
    auc = Interval(0.6, 0.55, 0.65, 0.95, 10, "t")
    each = Guarantee(epsilon=0.5, delta=0.0, adjacency="add_remove", account="by hand")
    assert PrivacyResult.of(each, auc, models=1).check.ceiling == pytest.approx(1 / (1 + np.exp(-1)))
    assert PrivacyResult.of(each, auc, models=2).check.ceiling == pytest.approx(1 / (1 + np.exp(-2)))
    sharp = replace(each, adjacency="substitution", epsilon=0.1)
    assert PrivacyResult.of(sharp, auc, models=1).check.violated is True


def test_a_person_is_a_group_of_records():
    auc = Interval(0.6, 0.55, 0.65, 0.95, 10, "t")
    each = Guarantee(epsilon=0.1, delta=0.01, adjacency="substitution", account="by hand")
    own = PrivacyResult.of(each, auc, models=1, records=(3, 3))
    delta = 0.01 * np.expm1(0.3) / np.expm1(0.1)
    assert own.check.ceiling == pytest.approx(1 - (1 - delta) ** 2 / (1 + np.exp(0.3)))
    assert own.check.violated is False
    assert "A person here has 3 records" in own.sentence
    twice = replace(each, adjacency="add_remove")
    delta = 0.01 * np.expm1(0.6) / np.expm1(0.1)
    ceiling = PrivacyResult.of(twice, auc, models=1, records=(3, 3)).check.ceiling
    assert ceiling == pytest.approx(1 - (1 - delta) ** 2 / (1 + np.exp(0.6)))


@pytest.mark.parametrize(
    ("records", "said"), [((100, 100), "there is no ceiling"), ((1, 30), "persons here have 1 to 30 records")]
)
def test_where_a_person_may_show_wholly_nothing_is_refuted(records, said):
    told_apart = Interval(0.999, 0.998, 1.0, 0.95, 10, "t")
    each = Guarantee(epsilon=1.0, delta=0.0, adjacency="substitution", account="by hand")
    found = PrivacyResult.of(each, told_apart, models=1, records=records)
    assert found.check.violated is False
    assert not found.has_ceiling
    assert said in found.sentence
    assert "exceed" not in found.sentence
