"""A grid of runs as text and as a page: every figure, honest gaps, and nothing that asks for a network."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from aftertrace.defenses import UtilityCost
from aftertrace.report import render_sweep, sweep_text
from aftertrace.report._sweep import COLUMNS, _aucs, _Figure, _page, _panels
from aftertrace.results import (
    AgainstClassical,
    Axis,
    CellResult,
    Outcome,
    Overfitting,
    PrivacyResult,
    Spread,
    SweepResult,
)
from aftertrace.statistics import Interval
from aftertrace.trainers import Guarantee

EVIL = "<script>alert(1)</script>[red]&"


def interval(estimate, half=0.0625):
    ends = (None, None) if half is None else (estimate - half, estimate + half)
    return Interval(estimate, *ends, 0.95, 8, "t over originals")


def cell(values, auc=0.75, *, half=0.0625, **more):
    spread = Spread(mean=0.625, low=0.5, high=0.75)
    own = {
        "outcome": Outcome.LEAKS,
        "sentence": f"Deletions show with {auc}.",
        "attack": "LogitDrop",
        "auc": interval(auc, half),
        "classical": interval(0.5, half),
        "against": AgainstClassical(
            opponent="OriginalLogit", difference=0.25, p_value=0.03, p_holm=0.0321, method="sign flips"
        ),
        "models": 60,
        "overfitting": Overfitting(train_accuracy=spread, test_accuracy=spread, gap=spread),
    }
    return CellResult(values=values, folder="runs/a", **{**own, **more})


def grid(*axes, cells):
    made = tuple(Axis(setting=name, values=tuple(values)) for name, *values in axes)
    return SweepResult(title="digits", axes=made, cells=tuple(cells), settings={"data": {"name": "digits"}, "seed": 0})


def cost(lost):
    return UtilityCost(
        queries=90,
        accuracy=0.625,
        defended_accuracy=0.625 - lost,
        accuracy_lost=interval(lost),
        brier_added=interval(0.125, None),
    )


FAILED = CellResult(
    values={"model.name": "logistic", "defense": "TopK(3)"}, folder="runs/b", error="TopK(3): there are 2 classes."
)
AXES = ("model.name", "tree", "logistic"), ("defense", "none", "TopK(3)")


@pytest.fixture(scope="module")
def result():
    tree, logistic = {"model.name": "tree"}, {"model.name": "logistic"}
    return grid(
        *AXES,
        cells=[
            cell({**tree, "defense": "none"}, 0.8125),
            cell({**tree, "defense": "TopK(3)"}, 0.6875, utility=cost(0.03125)),
            cell({**logistic, "defense": "none"}, 0.5625, half=None, outcome=Outcome.NOT_SHOWN),
            FAILED,
        ],
    )


@pytest.fixture(scope="module")
def shown(result):
    return render_sweep(result)


def rows_of(text):
    """The cells of the table of all figures, a list per row."""
    body = re.search(r"<tbody>(.*?)</tbody>", text, flags=re.DOTALL)[1]
    rows = body.replace("\u00a0", " ").split("</tr>")[:-1]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in rows]


def test_text_has_a_row_per_run(result):
    lines = sweep_text(result, width=100, colour=False).splitlines()
    assert max(map(len, lines)) <= 100
    first = next(line for line in lines if line.startswith("tree") and "none" in line)
    assert first.split() == ["tree", "none", "LEAKS", "0.81", "0.75", "to", "0.88", "0.50", ".0321", "62.5", "%"]
    assert "model.name (tree, logistic) and defense (none, TopK(3))" in lines[0]
    assert next(line for line in lines if "NOT DONE" in line).split() == ["logistic", "TopK(3)", "NOT", "DONE"]


def test_text_gives_reasons_and_says_where_there_is_no_interval(result):
    text = sweep_text(result, width=100, colour=False)
    assert "Not done: model.name = logistic, defense = TopK(3): TopK(3): there are 2 classes." in text
    without = next(line for line in text.splitlines() if "NO LEAK SHOWN" in line)
    assert re.search(r"0\.56 +none +0\.50", without)
    assert "Intervals and p are of each run alone" in text


def test_text_fits_and_takes_colour_only_where_asked(result):
    assert max(map(len, sweep_text(result, width=60, colour=False).splitlines())) <= 60
    assert "\x1b" not in sweep_text(result, width=60, colour=False)
    assert "\x1b[" in sweep_text(result, colour=True)


def test_axes_of_equal_last_words_are_told_apart():
    both = ("scenario.target.records", "50"), ("scenario.shadow.records", "60")
    one = cell({"scenario.target.records": "50", "scenario.shadow.records": "60"})
    text = sweep_text(grid(*both, cells=[one]), width=140, colour=False)
    assert text.splitlines()[2].split()[:2] == ["scenario.target.records", "scenario.shadow.records"]


def test_brackets_in_values_are_text():
    failed = CellResult(values={"model.params": "{}"}, folder="runs/a", error=EVIL)
    one = grid(("model.params", EVIL, "{}"), cells=[cell({"model.params": EVIL}), failed])
    assert "[red]&" in sweep_text(one, width=140, colour=False)
    page = render_sweep(one)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 4  # in the sentence, a panel, the table and as a reason


def test_the_page_is_one_small_file_that_asks_for_nothing(shown):
    assert len(shown.encode()) < 500_000
    assert "<script" not in shown
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", shown)
    assert not re.search(r"url\((?!#)", shown)
    names = re.findall(r'\bid="([^"]+)"', shown)
    assert len(names) == len(set(names))


def test_every_figure_is_in_the_table(shown):
    first, defended, without, failed = rows_of(shown)
    assert first == [
        "tree", "none", "Leaks", "0.81 (0.75 to 0.88)", "0.50 (0.44 to 0.56)", "0.0321", "62.5 %", "–", "–",
        "LogitDrop", "60",
    ]  # fmt: skip
    assert defended[7:9] == ["3.1 % (-3.1 % to 9.4 %)", "0.125 (no interval)"]
    assert without[2:4] == ["No leak shown", "0.56 (no interval)"]
    assert failed == ["logistic", "TopK(3)", "Not done", *["–"] * 8]


def test_nothing_is_empty_or_a_python_word(shown):
    text = re.sub(r"<svg.*?</svg>|<style.*?</style>", "", shown, flags=re.DOTALL)
    assert not re.search(r"\b(None|nan|NaN|True|False|inf|-0\.000)\b", re.sub(r"<[^>]+>", " ", text))
    assert not re.search(r"<t[dh][^>]*>\s*</t[dh]>", text)


def test_what_happened_is_counted_and_explained(result, shown):
    page = _page(result)
    assert page.badges == (("2 × Leaks", "bad"), ("1 × No leak shown", "neutral"), ("1 × Not done", "doubt"))
    assert page.failed == (("model.name = logistic, defense = TopK(3)", "TopK(3): there are 2 classes."),)
    assert page.settings == (("data.name", "digits"), ("seed", "0"))
    assert "Deletions show with 0.8125." in shown
    assert "The largest AUC of a grid is too large on average" in shown
    assert "95\u00a0% interval" in shown


def test_costs_and_privacy_stand_only_where_there_are_some(shown):
    values = {"model.name": "tree"}
    plain = render_sweep(grid(("model.name", "tree"), cells=[cell(values)]))
    for word in ("Accuracy lost", "What the defense costs", "AUC ceiling", "Not done"):
        assert word not in plain
    assert "What the defense costs" in shown
    guarantee = Guarantee(epsilon=1.5, delta=1e-5, adjacency="substitution", account="by hand")
    for auc, half, word in ((0.95, 0.02, "yes"), (0.6, 0.02, "no"), (0.95, None, "no interval")):
        privacy = PrivacyResult.of(guarantee, interval(auc, half), models=1)
        page = _page(grid(("model.name", "tree"), cells=[cell(values, auc, half=half, privacy=privacy)]))
        row = dict(zip(page.heads, page.rows[0], strict=True))
        assert (row["Promise (ε, δ)"], row["Refuted"]) == ("1.5, 1e-05", word)
        assert row["AUC ceiling"] == f"{privacy.check.ceiling:.3f}"


def test_runs_of_different_confidence_are_not_given_one():
    cells = [cell({"seed": "0"}), replace(cell({"seed": "1"}), auc=replace(interval(0.75), confidence=0.9))]
    page = render_sweep(grid(("seed", "0", "1"), cells=cells))
    assert "95% interval" not in page
    assert "as sure as its run asks" in page


def drawn(result, width):
    """The chart as a mapping, and its rows."""
    chart = _panels(_Figure("AUC", 0.5, {"both versions": "#000"}, tuple(_aucs(result))), result, width).to_dict()
    (rows,) = chart["datasets"].values() if "datasets" in chart else [chart["data"]["values"]]
    return chart, rows


def test_a_panel_per_outer_combination_and_a_row_per_value_of_the_last_axis():
    axes = ("a.x", "1", "2"), ("b.y", "3", "4"), ("c.z", "10", "9", "11")
    cells = [
        cell({"a.x": x, "b.y": y, "c.z": z}, 0.5 + 0.01 * k)
        for k, (x, y, z) in enumerate((x, y, z) for x in "12" for y in "34" for z in ("10", "9", "11"))
    ]
    result = grid(*axes, cells=cells)
    (wide, rows), (narrow, _) = drawn(result, 700), drawn(result, 300)
    assert wide["facet"]["sort"] == [f"a.x: {x}\nb.y: {y}" for x in "12" for y in "34"]
    assert (wide["columns"], narrow["columns"]) == (COLUMNS, 1)
    blue = [row for row in rows if row["series"] == "both versions"]
    assert [row["estimate"] for row in blue] == [each.auc.estimate for each in cells]
    assert [(row["low"], row["high"]) for row in blue] == [(each.auc.low, each.auc.high) for each in cells]
    assert [row["panel"] for row in blue[:3]] == ["a.x: 1\nb.y: 3"] * 3
    domains = [layer["encoding"]["y"]["scale"]["domain"] for layer in wide["spec"]["layer"] if "y" in layer["encoding"]]
    assert domains[0] == ["10", "9", "11"]  # in the order of the file
    assert "NaN" not in json.dumps(wide)


def test_runs_without_figures_are_marked_in_the_chart(result):
    _, rows = drawn(result, 700)
    assert [row["row"] for row in rows if row["missing"]] == ["TopK(3)"]
    (without,) = (row for row in rows if row["estimate"] == 0.5625)
    assert without["low"] == without["high"] == 0.5625
    assert "not done" in render_sweep(result)


def test_one_axis_and_nothing_but_failures_can_be_shown():
    failed = [CellResult(values={"defense": name}, folder="runs/a", error="no") for name in ("none", "TopK(3)")]
    page = render_sweep(grid(("defense", "none", "TopK(3)"), cells=failed))
    assert "2 × Not done" in page
    assert "<svg" in page
    assert "NOT DONE" in sweep_text(grid(("defense", "none", "TopK(3)"), cells=failed), width=80, colour=False)


def test_equal_results_give_equal_pages_also_from_the_file(result, shown):
    assert render_sweep(SweepResult.from_json(result.to_json())) == shown


@pytest.mark.browser
@pytest.mark.parametrize(("width", "seen"), [(1200, "true,false,true,false"), (500, "false,true,false,true")])
def test_a_browser_shows_one_of_both_drawings_and_no_sideways_scroll(shown, tmp_path, width, seen):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    path = tmp_path / "sweep.html"
    drawings = "[...document.querySelectorAll('.chart svg')].map(s => s.getBoundingClientRect().width > 100)"
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    path.write_text(
        shown.replace("</body>", f"<script>document.title = {drawings} + ' ' + ({fits})</script></body>", 1)
    )
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--window-size={width},900", "--dump-dom", path.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert f"<title>{seen} true</title>" in done.stdout
