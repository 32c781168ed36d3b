"""Options for a remedy on the page: each with its figures, the recommended one singled out, gaps named."""

import re
from dataclasses import replace

import pytest

from aftertrace.report import as_text
from aftertrace.report._advice import advice
from aftertrace.report._charts import NARROW, WIDE, _Box, _frontier, _labels, _Plot
from aftertrace.report._remedy import remedies
from aftertrace.results import LimitCheck, Outcome, Remedy, RemedyOption
from aftertrace.statistics import Interval


def interval(estimate, half):
    return Interval(estimate, estimate - half, estimate + half, 0.99, 6, "t over originals")


def option(name, auc, lost=0.0, half=0.03, **more):
    found = interval(auc, half)
    return RemedyOption(
        name=name,
        kind="release",
        what=f"Do {name}.",
        attack="LogitDrop",
        auc=found,
        checks=(LimitCheck.of("auc", 0.6, found),),
        accuracy=0.75 - lost,
        accuracy_lost=interval(lost, 0.01),
        brier_added=interval(0.125, 0.01),
        **more,
    )


OPTIONS = (
    option("as it is", 0.9),
    option("Rounding(1)", 0.59),
    option("LabelOnly", 0.52, 0.02),
    option("KeyedNoise(1)", 0.53, 0.2),
    RemedyOption(name="SISA", kind="training", what="Shards.", note="<Too few> records."),
)
CONFIRMED = Remedy(
    sentence="LabelOnly it is.",
    options=OPTIONS,
    recommended="LabelOnly",
    again=OPTIONS[2],
    attacks=("LogitDrop", "EucDist"),
    choosing=6,
    confirming=5,
    confidence=0.99,
)


def plain(text):
    return text.replace("\u00a0", " ")


def test_every_option_has_a_row_and_its_standing():
    rows = {row.name: row for row in remedies(CONFIRMED).rows}
    assert [(name, row.standing, row.mark) for name, row in rows.items()] == [
        ("as it is", "no", ""),
        ("Rounding(1)", "undecided", ""),
        ("LabelOnly", "yes", "recommended"),
        ("KeyedNoise(1)", "yes", ""),
        ("SISA", "–", ""),
    ]
    assert plain(rows["LabelOnly"].auc) == "0.52 (0.49 to 0.55)"
    assert [plain(cell) for cell in rows["LabelOnly"].cells] == [
        "2.0 % (1.0 % to 3.0 %)",
        "0.125 (0.115 to 0.135)",
        "73.0 %",
    ]
    assert rows["SISA"].cells == ("–", "–", "–")
    assert rows["SISA"].note == "<Too few> records."


def test_what_is_not_confirmed_is_not_recommended(audit):
    open_ = replace(CONFIRMED, again=OPTIONS[1])
    assert {row.mark for row in remedies(open_).rows} == {"", "cheapest, not confirmed"}
    none = replace(CONFIRMED, recommended=None, again=None, nearest="Rounding(1)")
    assert {row.name: row.mark for row in remedies(none).rows}["Rounding(1)"] == "nearest"
    verdict = replace(audit.result.verdict, outcome=Outcome.LEAKS)
    for remedy in (open_, none):
        lines = list(advice(replace(audit.result, verdict=verdict, remedy=remedy)))
        assert not any("Do LabelOnly." in line for line in lines)
        assert any("No remedy is confirmed" in line for line in lines)


def test_the_first_screen_says_what_to_do_and_what_it_costs(audit):
    verdict = replace(audit.result.verdict, outcome=Outcome.LEAKS)
    lines = list(advice(replace(audit.result, verdict=verdict, remedy=CONFIRMED)))
    assert lines[1].startswith("Do LabelOnly. On data that did not choose it")
    assert plain(lines[1]).endswith("and cost 2.0 % of accuracy.")
    assert not any("--what-if" in line for line in lines)


def test_the_frontier_is_of_those_that_none_other_beats():
    made = remedies(CONFIRMED)
    assert made.limit == 0.6
    assert [(point.number, point.is_frontier) for point in made.points] == [
        (1, False),
        (2, True),
        (3, True),
        (4, False),
    ]


def test_numbers_of_options_that_stand_together_share_a_label():
    points = remedies(replace(CONFIRMED, options=(OPTIONS[0], replace(OPTIONS[0], name="TopK(3)"), OPTIONS[2]))).points
    plot = _Plot.of(points, width=600, height=300)
    assert [each["words"] for each in _labels(points, plot)] == ["1, 2", "3"]


@pytest.mark.parametrize("width", [620, 220])
def test_numbers_of_options_overlap_neither_each_other_nor_a_dot(width):
    crowd = tuple(option(f"o{k}", 0.5 + 0.013 * k, 0.002 * (k % 3)) for k in range(20))
    points = remedies(replace(CONFIRMED, options=crowd)).points
    plot = _Plot.of(points, width=width, height=320)
    boxes = []
    for each in _labels(points, plot):
        x = width * (each["right"] - plot.across[0]) / (plot.across[1] - plot.across[0])
        y = 320 * (each["level"] - plot.up[0]) / (plot.up[1] - plot.up[0])
        boxes.append(_Box(x, x + 7 * len(each["words"]), y))
    dots = [_Box(x - 5, x + 5, y) for x, y in map(plot.place, points)]
    assert len(boxes) > 10
    assert not any(box.meets(other) for k, box in enumerate(boxes) for other in (*boxes[:k], *dots))
    assert all(0 <= box.y <= 320 for box in boxes)


def test_what_costs_nothing_is_shown_as_exactly_nothing():
    nothing = interval(0.0, 0.0)
    options = (
        replace(OPTIONS[0], kind="as it is", accuracy_lost=None, brier_added=None),
        replace(OPTIONS[1], accuracy_lost=nothing, brier_added=nothing),
        replace(OPTIONS[2], accuracy_lost=interval(-0.0001, 0.0003), brier_added=interval(-0.0001, 0.0003)),
    )
    costs = [[plain(cell) for cell in row.cells[:2]] for row in remedies(replace(CONFIRMED, options=options)).rows]
    assert costs == [["0 %", "0"], ["0 %", "0"], ["0.0 % (0.0 % to 0.0 %)", "0.000 (0.000 to 0.000)"]]


def test_costs_that_no_option_has_are_no_column(audit, html_of):
    bare = [replace(each, brier_added=None) for each in OPTIONS]
    made = remedies(replace(CONFIRMED, options=tuple(bare)))
    assert made.costs == ("Accuracy it costs", "Accuracy")
    assert {len(row.cells) for row in made.rows} == {2}
    assert "Brier added" not in html_of(
        replace(audit.result, remedy=replace(CONFIRMED, options=tuple(bare))), audit.scores
    )
    assert "Brier added: what the option adds" in remedies(CONFIRMED).notes[0]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_chart_draws_a_dot_per_option_that_was_tried(width):
    drawn = _frontier(remedies(CONFIRMED), width).to_dict()
    by_mark = {layer["mark"]["type"]: drawn["datasets"][layer["data"]["name"]] for layer in drawn["layer"]}
    assert [row["auc"] for row in by_mark["point"]] == [0.9, 0.59, 0.52, 0.53]
    assert [row["auc"] for row in by_mark["line"]] == [0.59, 0.52]
    assert drawn["datasets"][drawn["layer"][0]["data"]["name"]] == [{"level": 0.6}]


def test_the_page_and_the_terminal_hold_the_comparison(audit, html_of):
    result = replace(audit.result, remedy=CONFIRMED)
    text = html_of(result, audit.scores)
    assert "What would help" in text
    assert "LabelOnly it is." in text
    assert "&lt;Too few&gt; records." in text
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names))
    assert "Remedy: LabelOnly it is." in as_text(result, colour=False)
    assert "What would help" not in html_of(audit.result, audit.scores)


def test_nothing_tried_is_no_chart(audit, html_of):
    bare = Remedy(sentence="Too few records to try anything.")
    text = html_of(replace(audit.result, remedy=bare), audit.scores)
    assert "Too few records to try anything." in text
    assert "Each dot is an option" not in text
    assert "remedy-table" not in re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)


@pytest.mark.browser
def test_options_are_sorted_and_filtered(audit, html_of, browser, tmp_path):
    from selenium.webdriver.common.by import By

    path = tmp_path / "report.html"
    path.write_text(html_of(replace(audit.result, remedy=CONFIRMED), audit.scores))
    browser.get_log("browser")
    browser.get(path.as_uri())
    assert browser.get_log("browser") == []

    def names():
        cells = browser.find_elements(By.CSS_SELECTOR, "#remedy-table tbody th")
        return [cell.text.split("\n")[0].removesuffix(" recommended") for cell in cells if cell.is_displayed()]

    browser.find_elements(By.CSS_SELECTOR, "#remedy-table thead button")[3].click()
    assert names() == ["as it is", "Rounding(1)", "KeyedNoise(1)", "LabelOnly", "SISA"]
    browser.find_element(By.ID, "remedy-within").click()
    assert names() == ["KeyedNoise(1)", "LabelOnly"]


def test_what_could_not_be_measured_is_said_once_with_its_reason():
    unmeasured = LimitCheck.unmeasured("per_record", 0.01, "399 unseen records are needed, got 185", confidence=0.99)
    blind = [replace(each, checks=(*each.checks, unmeasured)) for each in OPTIONS[:2]]
    notes = remedies(replace(CONFIRMED, options=(*blind, *OPTIONS[2:]))).notes
    assert notes.count("Share told one by one: not measured, 399 unseen records are needed, got 185.") == 1
    assert not any("not measured" in note for note in remedies(CONFIRMED).notes)
