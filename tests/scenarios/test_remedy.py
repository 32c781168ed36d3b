"""What would pass: adaptive attackers, honest choosing, confirmation on what nobody saw, costs, and other trainings."""

import itertools
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from aftertrace.attacks import (
    Adversary,
    EucDist,
    Feature,
    FeatureAttack,
    LogitDrop,
    OriginalLogit,
    Superset,
    simulated_posteriors,
)
from aftertrace.data import load
from aftertrace.defenses import KeyedNoise, LabelOnly, defend, utility_cost
from aftertrace.engine import InProcess
from aftertrace.errors import InputError
from aftertrace.posteriors import Kind, Posteriors
from aftertrace.results import Limits, Standing
from aftertrace.results._json import json_of, record_of
from aftertrace.results._remedy import Remedy, RemedyOption
from aftertrace.scenarios import Experiment, Judgement
from aftertrace.scenarios import _remedy_options as judging
from aftertrace.scenarios import _units as running
from aftertrace.scenarios._assess import assess
from aftertrace.scenarios._crossfit import CrossFitted, can_be_fitted
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._remedy import _half, what_if
from aftertrace.scenarios._remedy_candidates import RELEASES, left_out, release_candidates
from aftertrace.scenarios._remedy_options import Trained, Yardstick, judged_one
from aftertrace.scenarios._remedy_training import Workshop, training_candidates, varied, what_if_training
from aftertrace.scenarios._remedy_words import excess, recommendation
from aftertrace.statistics import Interval
from aftertrace.store import RunFolder

OPTIONS = len(RELEASES)  # of three classes, which have no three largest, and as it is


def judgement(**limits):
    seed = limits.pop("seed", 0)
    return Judgement(attack="LogitDrop", limits=Limits(**limits or {"auc": 0.7}), confidence=0.95, seed=seed)


def brought(leak, *, seed=0, originals=24, pairs=60, **sizes):
    """Posteriors without models."""
    return simulated_posteriors(leak=leak, seed=seed, originals=originals, pairs=pairs, **sizes)


@pytest.fixture(scope="module", autouse=True)
def no_auditor():
    """Its folds take long; where it belongs is tested by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "can_be_fitted", lambda target: False)
        yield


@pytest.fixture(scope="module")
def leaky():
    return brought(1.5), what_if(None, brought(1.5), LogitDrop(), judgement())


def test_a_leak_has_a_remedy_that_holds_again(leaky):
    _, remedy = leaky
    assert len(remedy.options) == OPTIONS
    assert not remedy.option("as it is").passes
    best = remedy.option(remedy.recommended)
    assert best.passes
    assert best.kind == "release"
    assert best.changes == ("defense=LabelOnly",)
    assert best.name == "predicted class only"
    assert remedy.confirmed
    assert remedy.again.name == best.name
    assert remedy.again.auc.confidence == 0.95
    assert "on 12 other originals, AUC" in remedy.sentence
    assert "lies within the limit of 0.7" in remedy.sentence


def test_the_recommended_option_is_the_cheapest_of_those_that_pass(leaky):
    _, remedy = leaky
    passing = [each for each in remedy.options if each.passes]
    assert len(passing) > 1
    assert remedy.option(remedy.recommended).cost == min(each.cost for each in passing)


def test_a_little_accuracy_is_not_worth_coarser_answers():
    def option(lost, added):
        parts = [Interval(value, None, None, 0.95, 1, "") for value in (lost, added)]
        return RemedyOption(name="", kind="release", what="", accuracy_lost=parts[0], brier_added=parts[1]).cost

    assert option(0.001, 0.01) < option(0.0, 0.1)
    assert option(0.0, 0.1) < option(0.01, 0.01)
    assert option(-0.1, -0.1) == option(0.0, 0.0) == RemedyOption(name="", kind="as it is", what="").cost


def test_choosing_pays_for_the_number_of_options(leaky):
    _, remedy = leaky
    assert remedy.confidence == pytest.approx(1 - 0.05 / OPTIONS)
    assert all(each.auc.confidence == remedy.confidence for each in remedy.options if each.auc)


def test_a_release_that_can_be_undone_is_no_remedy(leaky):
    _, remedy = leaky
    warm, plain = remedy.option("temperature of 2"), remedy.option("as it is")
    assert warm.auc.estimate == pytest.approx(plain.auc.estimate, abs=0.01)
    assert not warm.passes


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (2, ["three largest posteriors", "largest posterior only"]),
        (3, ["three largest posteriors"]),
        (4, ["three largest posteriors"]),
        (5, []),
    ],
)
def test_what_would_show_every_posterior_is_no_option(classes, names):
    tried = [each.name for each in release_candidates(classes)]
    assert [name for name, _ in RELEASES.values() if name not in tried] == names
    assert left_out(classes) == (
        (f"Not tried, since every posterior of {classes} classes would show: {', '.join(names)}.",) if names else ()
    )
    table = brought(1.0, K=classes)
    for defense, (name, _) in RELEASES.items():
        if name in names and defense.k < classes:
            assert np.allclose(defend(table, defense, seed=0, side="target").values, table.values, atol=1e-12)


def test_what_was_not_tried_is_said(leaky):
    assert "Not tried, since every posterior of 3 classes would show" in leaky[1].notes[0]


def test_without_a_leak_nothing_needs_to_be_changed():
    remedy = what_if(None, brought(0.0, seed=3, pairs=60), LogitDrop(), judgement())
    assert remedy.recommended == "as it is"
    assert remedy.option("as it is").accuracy_lost is None
    assert remedy.sentence.startswith("Nothing needs to be changed: on 12 other originals")


def test_where_nothing_passes_the_nearest_is_named_and_what_would_show_it():
    remedy = what_if(None, brought(1.5, pairs=10), LogitDrop(), judgement(auc=0.55))
    assert remedy.recommended is None
    assert remedy.again is None
    assert not remedy.confirmed
    assert remedy.nearest is not None
    assert remedy.sentence.startswith(f"None of {OPTIONS} options is shown to be within every limit by 12 originals")
    assert "originals to choose on, in place of 12, would show it" in remedy.sentence


def test_too_few_originals_have_no_interval_and_no_remedy():
    remedy = what_if(None, brought(1.5, originals=8), LogitDrop(), judgement())
    assert remedy.recommended is None
    assert "at least 6 originals are needed, got 4" in remedy.sentence


@pytest.mark.parametrize("seed", range(3))
def test_what_confirms_has_no_say_in_the_choice(seed):
    table = brought(1.5, pairs=10)
    chosen = _half(table, None, seed)
    assert chosen.sum() == len(table) / 2
    assert not set(table.original[chosen]) & set(table.original[~chosen])
    values = table.log_values.copy()
    values[~chosen] = values[~chosen][:, ::-1]
    changed = what_if(None, replace(table, log_values=values), LogitDrop(), judgement(seed=seed))
    assert changed.options == what_if(None, table, LogitDrop(), judgement(seed=seed)).options


def test_one_pair_halves_its_records_and_says_so():
    table = replace(brought(1.5, originals=1, pairs=800), pair=np.zeros(1600, dtype=np.int64))
    remedy = what_if(None, table, LogitDrop(), judgement())
    assert (remedy.unit, remedy.choosing, remedy.confirming) == ("records", 800, 800)
    assert remedy.confirmed
    assert "conditional on the pair" in remedy.again.auc.method
    assert "holds for that pair only" in remedy.notes[0]
    chosen = _half(table, None, 0)
    assert not set(table.record[chosen]) & set(table.record[~chosen])


def test_persons_are_halved_whole():
    table = replace(brought(1.5, originals=1, pairs=800), pair=np.zeros(1600, dtype=np.int64))
    person = np.where(table.is_attacked, 0, 1) + table.record // 4 * 2  # two records each, of one role
    chosen = _half(table, person, 0)
    assert not set(person[chosen]) & set(person[~chosen])
    remedy = what_if(None, table, LogitDrop(), judgement(), person=person)
    assert (remedy.unit, remedy.choosing, remedy.confirming) == ("persons", 400, 400)
    assert remedy.again.auc.n == 400


def test_a_record_or_two_cannot_be_halved():
    table = Posteriors.from_pair([[0.9, 0.1]] * 2, [[0.7, 0.3]] * 2, label=[0, 0], role=["deleted", "unseen"])
    remedy = what_if(None, table, LogitDrop(), judgement())
    assert remedy.options == ()
    assert "too few" in remedy.sentence


def test_no_limit_is_nothing_to_pass():
    with pytest.raises(InputError, match=r"give some, such as auc = 0\.6, got none"):
        what_if(None, brought(1.5), LogitDrop(), Judgement(attack="LogitDrop", confidence=0.95, seed=0))


def test_attackers_adapt(monkeypatch):
    """Each option is judged by what was learned from answers that are released alike."""
    monkeypatch.setattr(judging, "can_be_fitted", can_be_fitted)
    shadow, target = (brought(1.5, seed=seed, originals=12, pairs=10, held_out=1) for seed in range(2))
    alone = Trained(shadow=None, target=target)
    yardstick = Yardstick.of(LogitDrop(), judgement(), alone, adversary="none")
    assert [each.name for each in yardstick.attacks] == ["LogitDrop", "EucDist", "Auditor"]
    learned = what_if(shadow, target, LogitDrop(), judgement())
    assert learned.attacks == ("LogitDrop", "EucDist", "Superset")
    seen = []

    class Watching(EucDist):
        def fit(self, shadow, *, rng):
            seen.append(shadow.kind)
            return super().fit(shadow, rng=rng)

    what_if(shadow, target, Watching(), judgement())
    assert seen.count(Kind.LABEL) == 1
    assert len(seen) == OPTIONS


def moved_both_ways():
    """The logit drop sees none of these moves, the distance all."""
    table = brought(0.0, pairs=60)
    moved = table.log_values.copy()
    sign = np.where(np.arange(len(table)) % 4 < 2, 1.0, -1.0)
    moved[:, 1] = moved[:, 0]
    own = np.arange(len(table)), 1, table.label
    moved[own] += np.where(table.is_attacked, 2.0, 0.2) * sign
    moved[:, 1] -= np.log(np.exp(moved[:, 1]).sum(axis=1, keepdims=True))
    return replace(table, log_values=moved)


def test_an_option_must_hold_against_every_attack():
    trained = Trained(shadow=None, target=moved_both_ways())
    yardstick = Yardstick.of(LogitDrop(), judgement(), trained, adversary="none")
    alone = replace(yardstick, attacks=(LogitDrop(),))
    as_it_is = next(release_candidates(3))
    assert judged_one((alone, trained), as_it_is).checks[0].standing is not Standing.EXCEEDED
    option = judged_one((yardstick, trained), as_it_is)
    assert option.attack != "LogitDrop"
    assert option.checks[0].standing is Standing.EXCEEDED


def test_a_stronger_attack_than_the_verdicts_is_named():
    remedy = what_if(None, moved_both_ways(), LogitDrop(), judgement(auc=0.7))
    assert remedy.option("as it is").note == (
        "the verdict is by LogitDrop alone, which stays within every limit here too; EucDist does not"
    )
    assert remedy.sentence.endswith(
        '"As it is" does not pass, though the verdict may: the verdict is by LogitDrop alone, which stays within '
        "every limit here too; EucDist does not."
    )


def test_wider_intervals_than_the_verdicts_are_named():
    table = brought(0.6, pairs=20)
    remedy = what_if(None, table, LogitDrop(), judgement(auc=0.7))
    note = remedy.option("as it is").note
    assert "alone and narrower intervals; by those of 99.5\u00a0%, which hold for all options together" in note
    assert note in remedy.sentence


def test_a_leak_beyond_a_limit_needs_no_explanation(leaky):
    _, remedy = leaky
    assert remedy.option("as it is").note == ""
    assert "the verdict may" not in remedy.sentence


def test_the_verdicts_attack_is_not_replaced_by_another_of_its_name():
    class Own(Superset):
        pass

    trained = Trained(shadow=brought(1.0), target=brought(1.0, seed=1))
    yardstick = Yardstick.of(Own(), judgement(), trained, adversary="population")
    assert [type(each) for each in yardstick.attacks] == [Own, LogitDrop, EucDist]


def test_pseudonyms_change_nothing(leaky):
    table, remedy = leaky
    other = np.random.default_rng(5).permutation(10**6)[table.record]
    again = what_if(None, replace(table, record=other), LogitDrop(), judgement())
    assert json_of(again) == json_of(remedy)


def test_it_is_kept_as_json(leaky):
    _, remedy = leaky
    assert record_of(Remedy, json_of(remedy), "a remedy") == remedy


@pytest.mark.parametrize("defense", [KeyedNoise(1), LabelOnly()])
def test_costs_are_those_of_the_defense(defense):
    table = brought(1.0)
    trained = Trained(shadow=None, target=table)
    yardstick = Yardstick.of(LogitDrop(), judgement(), trained, adversary="none")
    candidate = next(each for each in release_candidates(3) if each.defense == defense)
    option = judged_one((yardstick, trained), candidate)
    cost = utility_cost(table, defend(table, defense, seed=0, side="target"))
    assert option.accuracy == pytest.approx(cost.defended_accuracy)
    mine, reference = option.brier_added, cost.brier_added
    assert (mine.estimate, mine.low, mine.high) == pytest.approx((reference.estimate, reference.low, reference.high))
    mine, reference = option.accuracy_lost, cost.accuracy_lost
    assert mine.estimate == pytest.approx(reference.estimate)
    assert mine.low <= reference.low + 1e-12  # not nearer where hardly anything changed
    assert mine.high >= reference.high - 1e-12


def test_accuracy_is_held_against_its_limit_too():
    remedy = what_if(None, brought(1.5), LogitDrop(), judgement(auc=0.7, accuracy_loss=0.05))
    noisy = remedy.option("noise of 100 %")
    by_name = {check.name: check for check in noisy.checks}
    assert by_name["auc"].standing is Standing.WITHIN
    assert by_name["accuracy_loss"].standing is Standing.EXCEEDED
    assert not noisy.passes


@pytest.mark.parametrize(
    ("name", "limit", "sizes"), [("tpr_at_1pct", 0.5, (10, 40)), ("per_record", 0.9, (1, 250))], ids=["rate", "single"]
)
def test_other_limits_are_measured_where_there_are_queries(name, limit, sizes):
    for pairs, held_out in (sizes, (2, 1)):
        table = brought(1.5, originals=12, pairs=pairs, held_out=held_out)
        trained = Trained(shadow=None, target=replace(table, use=np.zeros_like(table.use)))
        yardstick = Yardstick.of(LogitDrop(), judgement(**{name: limit}), trained, adversary="none")
        (check,) = judged_one((yardstick, trained), next(release_candidates(3))).checks
        assert check.name == name
        assert (check.estimate is None) is (held_out == 1)
        assert ("needed" in check.note) is (held_out == 1)


def test_costs_count_each_person_once():
    """A person with half of the unseen records is one person."""
    table = replace(brought(1.0, originals=1, pairs=100), pair=np.zeros(200, dtype=np.int64))
    person = np.where(table.is_attacked, 1000, 0) + np.maximum(np.arange(200), 100 * ~table.is_attacked)
    trained = Trained(shadow=None, target=table, person=person)
    yardstick = Yardstick.of(LogitDrop(), judgement(), trained, adversary="none")
    noise = next(each for each in release_candidates(3) if each.defense == KeyedNoise(1))
    option = judged_one((yardstick, trained), noise)
    shown, unseen = defend(table, KeyedNoise(1), seed=0, side="target"), ~table.is_attacked
    right, then = (each.values[unseen, -1].argmax(axis=1) == table.label[unseen] for each in (table, shown))
    lost, whose = right.astype(float) - then, person[unseen]
    by_person = [lost[whose == each].mean() for each in np.unique(whose)]
    assert len(by_person) < 60
    assert option.accuracy_lost.estimate == pytest.approx(np.mean(by_person))
    assert option.accuracy_lost.estimate != pytest.approx(lost.mean())
    assert option.accuracy_lost.n == option.brier_added.n == len(by_person)


@pytest.mark.parametrize(
    "attack",
    [LogitDrop(), CrossFitted(FeatureAttack(Feature.SORTED_DIFF, "logistic"), "Auditor")],
    ids=["drop", "folds"],
)
def test_persons_are_judged_as_the_audit_judges_them(attack):
    """Folds keep persons whole, and thresholds are of the shadow side's persons."""
    shadow, target = (brought(1.5, seed=seed, originals=1, pairs=120, held_out=4) for seed in range(2))
    shadow, target = (replace(table, pair=table.original) for table in (shadow, target))
    person, other = (table.record // 8 * 3 + table.role + table.use for table in (target, shadow))
    limits = judgement(auc=0.7, tpr_at_1pct=0.5, accuracy_loss=0.5)
    limits = replace(limits, attack=attack.name)
    found = assess(
        shadow,
        replace(target, record=person),
        [attack, OriginalLogit()],
        limits,
        engine=InProcess(),
        progress=lambda *_: None,
        persons=Persons.of(target, person),
        shadow_persons=Persons.of(shadow, other),
    )
    trained = Trained(shadow=shadow, target=target, person=person, shadow_person=other)
    yardstick = Yardstick.of(attack, limits, trained, adversary=Adversary.POPULATION)
    option = judged_one((replace(yardstick, attacks=(attack,)), trained), next(release_candidates(3)))
    assert option.auc == found.attacks[0].auc
    assert option.checks == found.verdict.checks


def test_scores_alone_have_no_release():
    table = brought(1.5)
    scores = table.phi[:, :, None]
    table = replace(table, log_values=scores, kind=Kind.SCORE, classes=("score",), label=np.zeros_like(table.label))
    from aftertrace.attacks import ScoreDrop

    remedy = what_if(None, table, ScoreDrop(), judgement())
    assert remedy.option("as it is").auc is not None
    assert remedy.option("as it is").accuracy is None
    assert [each.name for each in remedy.options] == ["as it is"]
    assert remedy.confidence == 0.95
    assert "one score per record" in remedy.notes[0]
    assert remedy.nearest == "as it is"
    assert remedy.sentence.startswith("None of 1 option is shown to be within")


def test_todays_defense_is_as_it_is_and_no_option():
    table = brought(1.0)
    trained = Trained(shadow=None, target=table)
    yardstick = Yardstick.of(LogitDrop(), judgement(), trained, adversary="none", today=LabelOnly())
    names = [each.name for each in release_candidates(3, today=LabelOnly())]
    assert "predicted class only" not in names
    today = judged_one((yardstick, trained), next(release_candidates(3, today=LabelOnly())))
    plain = Yardstick.of(LogitDrop(), judgement(), trained, adversary="none")
    candidate = next(each for each in release_candidates(3) if each.defense == LabelOnly())
    assert today.auc == judged_one((plain, trained), candidate).auc
    rounded = next(each for each in release_candidates(3, today=LabelOnly()) if each.name == "one decimal")
    assert judged_one((yardstick, trained), rounded).brier_added.estimate < 0  # better than the class alone


@pytest.mark.parametrize("originals", [1, 12])
def test_a_release_that_changes_nothing_says_so_and_costs_nothing(originals):
    """Answers of two decimals: rounding moves their last digits, and with these which of two equal ones leads."""
    table, rng = brought(1.0, originals=originals, pairs=100), np.random.default_rng(0)
    values = rng.permuted(rng.choice([[0.4, 0.4, 0.2], [0.5, 0.3, 0.2]], table.log_values.shape[:2]), axis=2)
    moved = np.log(values) + rng.normal(0, 1e-14, values.shape)
    trained = Trained(shadow=None, target=replace(table, log_values=moved, pair=table.original))
    yardstick = Yardstick.of(LogitDrop(), judgement(), trained, adversary="none")
    plain, rounded = (
        judged_one((yardstick, trained), each)
        for each in release_candidates(3)
        if each.name in ("as it is", "two decimals")
    )
    assert rounded.note == "releases what is released today"
    assert (rounded.auc, rounded.checks, rounded.accuracy) == (plain.auc, plain.checks, plain.accuracy)
    for cost in (rounded.accuracy_lost, rounded.brier_added):
        assert (cost.estimate, cost.low, cost.high, cost.method) == (0, 0, 0, "the same answers")
    assert rounded.cost == plain.cost


def test_noise_comes_with_what_was_not_tested(leaky):
    _, remedy = leaky
    noise = remedy.option("noise of 100 %")
    assert noise.passes
    said = recommendation(replace(remedy, recommended=noise.name, again=noise))
    assert "Not tested: slightly changed copies of a record get other noise" in said
    assert '"predicted class only" would cost less' not in said  # it passes, too


def test_the_frontier_holds_what_nothing_beats():
    rng = np.random.default_rng(0)
    options = tuple(
        RemedyOption(
            name=str(number),
            kind="release",
            what="",
            auc=Interval(float(auc), None, None, 0.95, 1, ""),
            accuracy=float(accuracy),
        )
        for number, (auc, accuracy) in enumerate(rng.integers(0, 6, (30, 2)) / 10 + [0.2, 0.4])
    )
    options += (RemedyOption(name="none", kind="release", what=""),)
    found = Remedy(sentence="", options=options).frontier
    for each in options[:-1]:
        beaten = any(
            (o.leak <= each.leak and o.accuracy > each.accuracy) or (o.leak < each.leak and o.accuracy >= each.accuracy)
            for o in options[:-1]
        )
        assert (each.name in found) is not beaten


def test_excess_is_the_worse_end(leaky):
    _, remedy = leaky
    for option, name in itertools.product(remedy.options, ["auc"]):
        for check in option.checks:
            assert check.name == name
            assert excess(check) == pytest.approx(max(check.high - 0.7, 0.3 - check.low))
            assert (excess(check) <= 0) is (check.standing is Standing.WITHIN)


# With a training


SIZES = {"originals": 6, "pairs": 4, "records": 60}
SETTINGS = {
    "data": {"name": "wine"},
    "model": {"name": "tree"},
    "procedure": {"seed": "same", "shards": 2},
    "scenario": {"shadow": SIZES, "target": SIZES},
    "verdict": {"attack": "LogitDrop"},
}


def experiment(**sections):
    return Experiment.from_dict({**json.loads(json.dumps(SETTINGS)), **sections})


def shop(path, **more):
    path.mkdir(exist_ok=True)
    (path / "posteriors").mkdir(exist_ok=True)
    return Workshop(read=partial(load, data_dir=None), folder=RunFolder(path), **more)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("what-if")
    return path, what_if_training(experiment(), LogitDrop(), judgement(auc=0.501), shop(path))


def test_trainings_are_options_and_combined_where_nothing_passes(trained):
    _, remedy = trained
    names = {each.name: each for each in remedy.options}
    plain = ["fresh seeds", *(f"{size} deletions at a time" for size in (2, 5, 10)), "SISA with 2 shards"]
    plain += ["private training, epsilon 8", "private training, epsilon 1"]
    assert [each.name for each in remedy.options if each.kind == "training"] == plain
    both = [each for each in remedy.options if each.kind == "both"]
    assert [each.name.rpartition(" and ")[0] for each in both] == plain
    assert len({each.name.rpartition(" and ")[2] for each in both}) == 1
    assert all(each.auc is not None for each in both)
    assert remedy.confidence == pytest.approx(1 - 0.05 / (OPTIONS + 2 * len(plain)))
    assert all(each.what[0].isupper() and each.what.endswith(".") for each in remedy.options)
    assert "on 1/2 of the records" in names["SISA with 2 shards"].what
    assert len(names) == len(remedy.options)
    assert names["5 deletions at a time"].changes == ("scenario.group=5",)
    assert both[0].changes[-1].startswith("defense=")


def test_groups_cost_the_originals_nothing_and_private_training_costs(trained):
    _, remedy = trained
    assert remedy.option("5 deletions at a time").accuracy_lost.estimate == 0
    assert remedy.option("private training, epsilon 1").accuracy_lost.estimate > 0.1
    assert remedy.option("private training, epsilon 1").brier_added.estimate > 0


def test_the_same_again_trains_nothing(trained, monkeypatch):
    path, remedy = trained

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(running, "simulate", never)
    assert what_if_training(experiment(), LogitDrop(), judgement(auc=0.501), shop(path)) == remedy


def test_changes_are_settings_of_an_experiment(trained):
    _, remedy = trained
    for option in remedy.options:
        if option.auc is not None:
            changed = varied(experiment(), option.changes)
            assert (changed == experiment()) is (option.kind == "as it is")


def test_what_is_recommended_is_confirmed_on_originals_trained_for_it(tmp_path):
    said = []
    workshop = shop(tmp_path / "run", progress=lambda stage, done, total: said.append((stage, done, total)))
    remedy = what_if_training(experiment(), LogitDrop(), judgement(auc=0.9, accuracy_loss=0.5), workshop)
    assert remedy.recommended is not None
    assert (remedy.choosing, remedy.confirming) == (6, 6)
    assert remedy.again.auc.n == 6
    assert remedy.again.auc != remedy.option(remedy.recommended).auc
    assert any(stage == "what if: models" for stage, *_ in said)
    assert not any(each.kind == "both" for each in remedy.options)


def test_a_training_that_cannot_be_is_an_entry_with_its_reason(tmp_path):
    small = {"originals": 6, "pairs": 4, "records": 8}
    wanted = experiment(scenario={"shadow": small, "target": small})
    remedy = what_if_training(wanted, LogitDrop(), judgement(auc=0.501), shop(tmp_path / "run"))
    option = remedy.option("10 deletions at a time")
    assert "10 records leave up to version 1" in option.note
    assert option.auc is None


def test_only_other_trainings_are_tried():
    wanted = experiment(
        model={"name": "mlp", "params": {"hidden": [8]}},
        procedure={"name": "sisa", "seed": "fresh"},
        scenario={"group": 5, "shadow": SIZES, "target": SIZES},
    )
    found = list(training_candidates(wanted))
    assert [each.name for each in found] == [
        "10 deletions at a time",
        "private training, epsilon 8",
        "private training, epsilon 1",
    ]
    assert "model.params={ epsilon = 8.0, hidden = [8] }" in found[1].changes
    assert varied(wanted, found[1].changes).model.params == {"epsilon": 8.0, "hidden": [8]}


def test_a_users_own_procedure_has_releases_alone(tmp_path):
    procedure = experiment().build_procedure()
    remedy = what_if_training(
        experiment(), LogitDrop(), judgement(auc=0.501), shop(tmp_path / "run", procedure=procedure)
    )
    assert {each.kind for each in remedy.options} == {"as it is", "release"}
