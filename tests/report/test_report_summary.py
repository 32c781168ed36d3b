"""The first screen: it says what a verdict means and what to do, and never says more than the verdict does."""

from dataclasses import replace

import pytest

from aftertrace._figures import beside, bound
from aftertrace.posteriors import Role
from aftertrace.report import as_text
from aftertrace.report._advice import advice, headline, meaning
from aftertrace.report._attacks import evidence
from aftertrace.report._forest import AucScale
from aftertrace.report._sentences import discoveries_sentence, release_sentences
from aftertrace.report._summary import measures, summary
from aftertrace.results import Discoveries, LimitCheck, Outcome, UpdateCost, Verdict, Widening
from aftertrace.statistics import Interval, RateAtFpr

TOLD = "36 deleted records can be told one by one by both versions"


def of(audit, outcome, **changes):
    verdict = Verdict(outcome=outcome, sentence="So it is.", attack="LogitDrop", limit=None)
    return replace(audit.result, verdict=verdict, **changes)


def interval(estimate, low, high):
    return Interval(estimate, low, high, 0.95, 6, "t over originals")


def plain(text):
    return text.replace("\u00a0", " ")


def with_auc(result, auc):
    attacks = tuple(replace(each, auc=auc) if each.name == "LogitDrop" else each for each in result.attacks)
    return replace(result, attacks=attacks)


@pytest.fixture(scope="module")
def checked(audit):
    """Every limit, and every standing."""
    checks = (
        LimitCheck.of("auc", 0.6, interval(0.75, 0.65, 0.85)),
        LimitCheck.of("tpr_at_1pct", 0.03, interval(0.02, 0.01, 0.025)),
        LimitCheck.unmeasured("per_record", 0.05, "900 unseen records are needed, got 18", confidence=0.95),
        LimitCheck.of("accuracy_loss", 0.01, interval(0.0, -0.02, 0.02)),
    )
    result = of(
        audit, Outcome.LEAKS, update=UpdateCost(queries=90, before=0.5, after=0.5, lost=interval(0, -0.02, 0.02))
    )
    return replace(result, verdict=replace(result.verdict, checks=checks, limit=0.6))


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_headline_a_meaning_and_a_next_step(audit, outcome):
    result = of(audit, outcome)
    assert headline(result).endswith(".")
    assert list(meaning(result))
    assert list(advice(result))
    assert not any("{" in line for line in (headline(result), *meaning(result), *advice(result)))


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.WITHIN])
def test_only_an_audit_within_its_limits_lets_a_model_go(audit, outcome):
    assert not any("may be published" in line for line in advice(of(audit, outcome)))
    assert any("may be published" in line for line in advice(of(audit, Outcome.WITHIN)))


def test_an_invalid_audit_says_nothing_of_persons_and_shows_no_figure(audit):
    result = of(audit, Outcome.INVALID)
    assert [line for line in meaning(result) if any(letter.isdigit() for letter in line)] == []
    assert summary(result).dot is None


def test_the_failed_control_is_named(audit):
    failed = tuple(replace(each, passed=each.name != "blind") for each in audit.result.controls)
    for settings, can_match in (({}, True), ({"match": True}, False), (audit.result.settings, False)):
        lines = "\n".join(advice(of(audit, Outcome.INVALID, controls=failed, settings=settings)))
        assert "bring other unseen ones" in lines
        assert ("--match" in lines) == can_match
    failed = tuple(replace(each, passed=each.name != "permuted") for each in audit.result.controls)
    assert any("permuted" in line for line in advice(of(audit, Outcome.INVALID, controls=failed)))


def test_comparisons_are_counted_from_the_right_side(audit):
    result = of(audit, Outcome.LEAKS)
    over, under = (with_auc(result, interval(x, x - 0.1, x + 0.1)) for x in (0.8, 0.2))
    assert "names the deleted one in 80 of 100" in next(meaning(over))
    assert "finds the unseen one more suspicious in 80 of 100" in next(meaning(under))
    assert "names the deleted one in 50 of 100" in next(meaning(with_auc(result, interval(0.497, 0.4, 0.6))))


@pytest.mark.parametrize(
    ("before", "after", "worse", "unseen", "needed", "words"),
    [
        (
            1,
            3,
            2,
            18,
            700,
            f"3 of {TOLD}, 1 by the original alone; of 2 it is shown one by one that the update made it so.",
        ),
        (0, 3, 0, 18, 700, f"3 of {TOLD}, 0 by the original alone."),
        (2, 0, 0, 18, 700, f"0 of {TOLD}, 2 by the original alone."),
        (
            0,
            0,
            0,
            18,
            700,
            "Whether a single record can be told for certain is open: too few unseen ones stand beside it.",
        ),
        (0, 0, 0, 900, 700, "No single record can be told for certain."),
    ],
)
def test_single_records(audit, before, after, worse, unseen, needed, words):
    found = Discoveries(fdr=0.05, deleted=36, before=before, after=after, worse=worse, unseen=unseen, needed=needed)
    assert words in meaning(of(audit, Outcome.LEAKS, discoveries=found))


def test_more_originals_are_asked_for_where_they_would_decide(audit):
    result = of(audit, Outcome.INCONCLUSIVE)
    more = replace(result, verdict=replace(result.verdict, more_originals=40))
    assert any("about 40 more originals" in line for line in advice(more))
    widening = Widening(can=("a",), cannot=("b",), how="Simulate.", command="aftertrace run x.toml")
    assert any("simulate more pairs" in line for line in advice(replace(result, widening=widening)))


def test_one_pair_says_what_it_can_and_how_to_learn_more(audit, html_of):
    widening = Widening(
        can=("A.",),
        cannot=("B.",),
        how="Simulate.",
        cost="This trains 70 models.",
        steps=("Fill in `x.toml`.", "`aftertrace run <x>` is the audit."),
        command="aftertrace run <x>",
        models=70,
        starter="# <b>\n[data]\n",
    )
    text = html_of(replace(audit.result, widening=widening), audit.scores)
    assert "What one pair of models can say" in text
    assert "This trains 70 models." in text
    assert "<li>Fill in <code>x.toml</code>.</li><li><code>aftertrace run &lt;x&gt;</code> is the audit.</li>" in text
    assert "># &lt;b&gt;\n[data]\n</pre>" in text
    assert "What one pair" not in html_of(audit.result, audit.scores)


def test_persons_and_retained_records_are_called_so(audit):
    persons = of(audit, Outcome.LEAKS, unit="person")
    assert headline(persons) == "An outsider can tell which persons were deleted."
    assert "unseen person" in next(meaning(persons))
    retained = replace(persons, unit="record", settings={"scenario": {"attacked": "retained"}})
    assert retained.attacked is Role.RETAINED
    assert headline(retained) == "An outsider can tell which records stayed in the model."


def test_limits_stand_beside_what_was_found(checked):
    rows = [(plain(row.accepted), plain(row.found), row.standing, row.tone) for row in measures(checked)]
    assert rows == [
        ("0.40 to 0.60", "0.75 (0.65 to 0.85)", "Exceeded", "bad"),
        ("at most 3 %", "2.0 % (1.0 % to 2.5 %)", "Within", "good"),
        ("at most 5 %", "not measured", "Undecided", "doubt"),
        ("at most 1 %", "0.0 % (-2.0 % to 2.0 %)", "Undecided", "doubt"),
    ]
    assert [row.note for row in measures(checked)] == ["", "", "900 unseen records are needed, got 18", ""]
    assert list(measures(checked))[3].about == "50.0\u00a0% before, 50.0\u00a0% after"


def test_the_terminal_lists_limits(checked):
    text = as_text(checked, width=100, colour=False)
    assert "Limit: Told from unseen records: accepted 0.40 to 0.60, found 0.75 (0.65 to 0.85): exceeded." in text
    assert text.count("Limit: ") == 4


def test_without_limits_what_was_measured_is_shown(audit):
    result = of(audit, Outcome.NOT_SHOWN, discoveries=None, update=None)
    assert [(row.name, row.standing) for row in measures(result)] == [("Told from unseen records", "No limit set")]
    scale = summary(result).scale
    assert scale.limit_at is None


def test_places_on_the_scale():
    scale = AucScale.of([interval(0.9, 0.85, 0.95)], limit=0.6)
    assert (scale.least, scale.half, scale.limit_at) == (0.4, pytest.approx(16.67), pytest.approx(33.33))
    assert scale.place(1) == 100
    assert [words for words, _ in scale.ticks] == ["1.0", "0.8", "0.6", "0.4"]
    wide = AucScale.of([interval(0.3, 0.12, 0.4)], limit=None)
    assert wide.least == 0.1
    alone = wide.dot(Interval(0.3, None, None, 0.95, 1, "none"))
    assert alone.low == alone.high == alone.at


def with_checks(audit, outcome, *checks, **changes):
    result = of(audit, outcome, **changes)
    return replace(result, verdict=replace(result.verdict, checks=checks))


WITHIN = LimitCheck.of("auc", 0.6, interval(0.5, 0.45, 0.55))
OPEN = LimitCheck.of("auc", 0.6, interval(0.58, 0.55, 0.65))
COSTLY = LimitCheck.of("accuracy_loss", 0.01, interval(0.05, 0.03, 0.07))
COST_OPEN = LimitCheck.of("accuracy_loss", 0.01, interval(0.02, 0.0, 0.04))
UNMEASURED = LimitCheck.unmeasured("per_record", 0.05, "900 unseen records are needed, got 18", confidence=0.95)


def test_a_leak_that_is_open_is_not_called_acceptable(audit):
    both = "\n".join(advice(with_checks(audit, Outcome.TOO_COSTLY, OPEN, COSTLY)))
    assert "whether the leak is within your limits is open" in both
    assert "the leak is within it" not in both
    assert "the leak is within them" in "\n".join(advice(with_checks(audit, Outcome.TOO_COSTLY, WITHIN, COSTLY)))
    assert "shows" not in headline(with_checks(audit, Outcome.TOO_COSTLY, OPEN, COSTLY))


def test_an_invalid_audit_is_within_no_limit(audit):
    rows = list(measures(with_checks(audit, Outcome.INVALID, WITHIN, UNMEASURED, COSTLY)))
    assert {(row.standing, row.tone) for row in rows if row.accepted} == {("Invalid", "none")}


def test_where_the_cost_alone_is_open_the_leak_is_not(audit):
    lines = list(advice(with_checks(audit, Outcome.INCONCLUSIVE, WITHIN, COST_OPEN)))
    assert lines[0].startswith("The leak is within your limits.")
    assert "as if deletions showed" in next(advice(with_checks(audit, Outcome.INCONCLUSIVE, OPEN, COST_OPEN)))


def test_more_originals_decide_the_auc_and_not_what_could_not_be_measured(audit):
    result = with_checks(audit, Outcome.INCONCLUSIVE, OPEN, UNMEASURED)
    more = replace(result, verdict=replace(result.verdict, more_originals=11))
    (line,) = [line for line in advice(more) if "11 more originals" in line]
    assert "decide the AUC" in line
    assert "what it takes to measure the rest" in line
    assert "measure the rest" not in "\n".join(advice(with_checks(audit, Outcome.INCONCLUSIVE, OPEN)))


def test_persons_are_asked_for_where_persons_are_judged(audit):
    widening = Widening(can=("a",), cannot=("b",), how="Simulate.", command="aftertrace run x.toml")
    lines = "\n".join(advice(of(audit, Outcome.INCONCLUSIVE, unit="person", widening=widening)))
    assert "with more persons" in lines


def test_why_there_is_no_interval_is_said_once(audit):
    none = Interval(0.7, None, None, 0.95, 3, "jackknife", "no interval: at least 6 originals are needed, got 3")
    (row, *_) = measures(with_checks(audit, Outcome.INCONCLUSIVE, LimitCheck.of("auc", 0.6, none)))
    assert (plain(row.found), row.note) == ("0.70 (no interval)", "at least 6 originals are needed, got 3")


def test_the_terminal_says_what_it_takes_to_measure_a_limit(checked):
    text = " ".join(as_text(checked, width=100, colour=False).split())
    assert "accepted at most 5 %, not measured: undecided; 900 unseen records are needed, got 18." in text


def test_the_terminal_says_a_reason_once(audit):
    reason = next(rate.refused for rate in audit.result.attacks[0].rates if rate.refused)
    check = LimitCheck.unmeasured("tpr_at_1pct", 0.05, reason, confidence=0.95)
    text = as_text(with_checks(audit, Outcome.INCONCLUSIVE, check), width=500, colour=False)
    assert text.count(reason) == 1


def test_a_record_that_cannot_be_told_yet_is_not_called_unexposed():
    found = Discoveries(fdr=0.05, deleted=40, before=0, after=0, worse=0, unseen=369, needed=799)
    sentence = plain(discoveries_sentence(found, unit="person"))
    assert "false discovery rate of 5 %, is open" in sentence
    assert "takes 799 unseen persons beside an original, and there are 369." in sentence
    assert "exposed" not in sentence


def test_a_rate_has_its_interval_and_what_the_original_alone_finds(audit):
    verdict = audit.result.attack("LogitDrop")
    opponent = verdict.against.opponent
    found = {verdict.name: interval(0.72, 0.1, 0.89), opponent: interval(0.42, 0.3, 0.6)}

    def told(found):
        attacks = tuple(
            replace(each, rates=(RateAtFpr(0.1, 0.0, found[each.name], None, 6, 6, 6),)) if each.name in found else each
            for each in audit.result.attacks
        )
        return " ".join(meaning(of(audit, Outcome.LEAKS, attacks=attacks)))

    assert "finds 72 of 100 deleted ones (10 to 89; from the original model alone, 42); guessing" in told(found)
    bare = {**found, verdict.name: interval(0.72, None, None)}
    assert "finds 72 of 100 deleted ones; guessing" in told(bare)


def beside_the_original(audit, *, p_value, difference, alone):
    """An audit of a leak, whose classical attack has the AUC `alone`."""
    against = audit.result.attack("LogitDrop").against
    attacks = [
        replace(each, against=replace(against, p_holm=p_value, difference=difference))
        if each.name == "LogitDrop"
        else replace(each, auc=alone)
        if each.name == against.opponent
        else each
        for each in audit.result.attacks
    ]
    return replace(of(audit, Outcome.LEAKS), attacks=tuple(attacks))


@pytest.mark.parametrize(
    ("p_value", "difference", "alone", "words"),
    [
        (0.48, 0.02, interval(0.89, 0.8, 0.95), "already does is not shown"),
        (0.001, 0.2, interval(0.7, 0.6, 0.8), "So the update tells more than the original model alone"),
        (0.001, -0.2, interval(0.7, 0.6, 0.8), ""),
        (0.48, 0.02, interval(0.52, 0.45, 0.6), ""),  # the original alone is not shown to tell anything
        (None, 0.02, interval(0.89, 0.8, 0.95), ""),
    ],
)
def test_what_the_update_adds_to_the_original_is_said(audit, p_value, difference, alone, words):
    said = "\n".join(meaning(beside_the_original(audit, p_value=p_value, difference=difference, alone=alone)))
    assert ("original model alone already does" in said) == bool(words)
    assert words in said


@pytest.mark.parametrize(
    ("low", "limits", "first"),
    [
        (0.8, {"auc": 0.6}, True),
        (0.55, {"auc": 0.6}, False),
        (0.55, {}, True),
        (0.8, {"tpr_at_1pct": 0.1}, False),  # of which the AUC says nothing
    ],
)
def test_a_public_original_comes_first_where_it_tells_by_itself(audit, low, limits, first):
    leaky = beside_the_original(audit, p_value=0.5, difference=0.0, alone=interval(0.89, low, 0.95))
    checks = [LimitCheck.of(name, limit, interval(0.9, 0.85, 0.95)) for name, limit in limits.items()]
    verdict = replace(leaky.verdict, limit=limits.get("auc"), checks=tuple(checks))
    lines = list(advice(replace(leaky, verdict=verdict)))
    assert lines[1].startswith("If the original model is public, begin with it: alone it tells") == first


def test_accuracy_that_was_gained_is_called_so(audit):
    lost = Interval(-0.015, -0.04, 0.01, 0.95, 50, "Newcombe")
    sentence = plain(
        "\n".join(
            release_sentences(replace(audit.result, update=UpdateCost(queries=100, before=0.8, after=0.815, lost=lost)))
        )
    )
    assert "gained 1.5 % (-1.0 % to 4.0 %)." in sentence


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        (0.6, 0.6049, "0.605"),
        (0.6, 0.5961, "0.596"),
        (0.6, 0.6, "0.60"),
        (0.6, 0.62, "0.62"),
        (0.6, 0.4004, "0.4004"),
        (0.7, 0.70004, "0.70004"),
    ],
)
def test_an_auc_near_its_limit_has_more_digits(limit, value, words):
    assert beside(limit, value) == words


def test_limits_keep_their_digits():
    limits = {0.6: "0.60", 0.55: "0.55", 1 - 0.55: "0.45", 0.605: "0.605", 0.6996: "0.6996", 0.7310586: "0.7311"}
    assert {limit: bound(limit) for limit in limits} == limits


def test_so_few_originals_that_no_p_is_telling_are_named(audit):
    compared = sum(each.against is not None for each in audit.result.attacks)
    few = evidence(audit.result, audit.scores).least_p
    assert f"6 originals and {compared} attacks compared" in few
    counts = replace(audit.result.counts, originals=20)
    assert evidence(replace(audit.result, counts=counts), audit.scores).least_p == ""


def test_what_is_exchanged_is_looked_at_first(audit):
    """Where models were brought: a simulation exchanges nothing."""
    under = with_auc(of(audit, Outcome.LEAKS), interval(0.2, 0.1, 0.3))
    assert "are not exchanged" not in "\n".join(advice(under))
    lines = list(advice(replace(under, settings={})))
    assert lines[1] == "First make sure that before and after, or deleted and unseen, are not exchanged."


def test_who_is_asked_about_at_several_pairs_is_counted_by_queries(audit):
    counts = audit.result.counts
    assert f"{counts.deleted} queries of deleted and {counts.unseen} of unseen records." in summary(audit.result).size
    one = replace(audit.result, counts=replace(counts, originals=1, pairs=1))
    assert f"{counts.deleted} deleted and {counts.unseen} unseen records queried." in summary(one).size
    update = UpdateCost(queries=100, before=0.8, after=0.8, lost=interval(0.0, -0.1, 0.1))
    said = [next(release_sentences(replace(each, update=update))) for each in (audit.result, one)]
    assert said[0].startswith("Accuracy at 100 queries of unseen records: ")
    assert said[1].startswith("Accuracy on 100 unseen records: ")
