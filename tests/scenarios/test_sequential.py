"""Runs that go on until they are decided."""

from dataclasses import replace

import numpy as np
import pytest

from aftertrace import run
from aftertrace.errors import ExperimentError
from aftertrace.results import Outcome
from aftertrace.scenarios import Experiment

SIDE = {"originals": 4, "pairs": 8, "records": 60}


def experiment(model="tree", limit=0.6, **scenario):
    return Experiment.from_dict(
        {
            "data": {"name": "wine"},
            "model": {"name": model},
            "scenario": {"shadow": {**SIDE, "originals": 1}, "target": SIDE, **scenario},
            "attacks": {"features": [], "learned": []},
            "verdict": {"attack": "LogitDrop"},
            "limits": {} if limit is None else {"auc": limit},
        }
    )


def test_a_plain_case_is_decided_early_and_killed_runs_see_the_same(tmp_path):
    first = run(experiment(limit=0.7), out=tmp_path / "a", until_decided=True, most_originals=60)
    seen = first.result.sequence
    assert seen.decided
    assert first.outcome is Outcome.WITHIN
    assert seen.high[-1] <= 0.7
    assert seen.originals[-1] < 60
    assert first.result.counts.originals == seen.originals[-1]
    assert "confidence sequence" in first.result.verdict.sentence
    part = run(experiment(limit=0.7), out=tmp_path / "b", until_decided=True, most_originals=8)
    assert not part.result.sequence.decided
    assert part.outcome is Outcome.INCONCLUSIVE
    assert part.result.sequence.low == seen.low[:2]
    again = run(experiment(limit=0.7), out=tmp_path / "b", until_decided=True, most_originals=60)
    assert again.result == first.result
    assert len(list((tmp_path / "b" / "posteriors").glob("*.parquet"))) == 1 + seen.originals[-1]


def test_intervals_never_widen(tmp_path):
    found = run(experiment(limit=0.52), out=tmp_path / "a", until_decided=True, most_originals=16).result.sequence
    assert found.originals == (4, 8, 12, 16)
    assert (np.diff(found.low) >= 0).all()
    assert (np.diff(found.high) <= 0).all()


def test_without_a_limit_there_is_nothing_to_decide(tmp_path):
    with pytest.raises(ExperimentError, match=r"limits\.auc: .* needs a limit"):
        run(experiment(limit=None), out=tmp_path / "a", until_decided=True)


def test_an_inconclusive_verdict_says_how_many_more(tmp_path):
    six = {"target": {**SIDE, "originals": 6}}
    auc = run(experiment(limit=None, **six), out=tmp_path / "a").result.verdict
    near = run(experiment(limit=0.6, **six), out=tmp_path / "a").result
    assert near.attack(auc.attack).auc.low < 0.6 < near.attack(auc.attack).auc.high
    assert near.verdict.outcome is Outcome.INCONCLUSIVE
    assert near.verdict.more_originals > 0
    assert f"about {near.verdict.more_originals} more original" in near.verdict.sentence


def test_an_original_without_both_roles_has_no_auc_and_counts(tmp_path):
    """With a pair or two of candidates, coins hold out all that is unseen in some originals."""
    side = {"originals": 3, "pairs": 1, "records": 60}
    small = experiment(limit=0.6, adversary="per_record", shadow=side, target=side)
    small = replace(small, attacks=replace(small.attacks, per_record=()))
    seen = run(small, out=tmp_path / "a", until_decided=True, most_originals=9).result.sequence
    assert seen.originals == (3, 6, 9)


def test_readers_are_told_what_looking_does_to_other_figures(tmp_path):
    found = run(experiment(limit=0.52), out=tmp_path / "a", until_decided=True, most_originals=8).result
    assert any("confidence sequence allows that" in note for note in found.notes)
    plain = run(experiment(limit=0.52), out=tmp_path / "a").result
    assert plain.sequence is None
    assert not any("confidence sequence allows that" in note for note in plain.notes)
