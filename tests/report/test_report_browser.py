"""The page in a browser: it looks right, works by mouse and keyboard, asks for nothing, and needs no script."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import aftertrace as at
from aftertrace.report import render_history
from aftertrace.report._page import page
from aftertrace.results import History, LimitCheck, Outcome, Remedy, RemedyOption, Widening
from aftertrace.statistics import Interval

KEY = b"0" * 32  # of conftest.py
pytestmark = pytest.mark.browser


def find(browser, name):
    return browser.find_element(By.ID, name)


def first_column(browser):
    return [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#records-table tbody th")]


def column(browser, number):
    return [
        cell.text for cell in browser.find_elements(By.CSS_SELECTOR, f"#records-table tbody td:nth-child({number})")
    ]


def opened(browser, path, *, width=1440, dark=False, script=True, media="screen"):
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(path.as_uri())
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    return browser


def asked_for(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def path(shown, tmp_path_factory):
    made = tmp_path_factory.mktemp("page") / "report.html"
    made.write_text(shown)
    return made


@pytest.fixture(scope="module")
def exposed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exposure")
    made = at.exposure("wine", model="tree", unseen=19, out=folder / "run")
    return made.to_html(folder / "report.html")


@pytest.fixture(scope="module")
def names(audit):
    return [row[0] for row in page(audit.result, audit.scores, manifest={}, key=KEY).exposed.rows]


@pytest.mark.parametrize(("width", "visible", "hidden"), [(1440, "wide", "narrow"), (390, "narrow", "wide")])
@pytest.mark.parametrize(("kind", "charts"), [("audit", 2), ("exposure", 1)])
def test_a_browser_shows_it(browser, path, exposed, kind, charts, width, visible, hidden):
    opened(browser, path if kind == "audit" else exposed, width=width)
    assert browser.get_log("browser") == []
    asked = asked_for(browser)
    assert [url for url in asked if not url.startswith(("file:", "data:", "chrome:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1

    def boxes(kind):
        sizes = "s => [s.getBoundingClientRect().width, s.querySelectorAll('path').length]"
        return browser.execute_script(f"return [...document.querySelectorAll('.{kind} svg')].map({sizes})")

    assert len(boxes(visible)) == charts
    assert all(drawn > 100 and paths > 4 for drawn, paths in boxes(visible))
    assert all(drawn == 0 for drawn, _ in boxes(hidden))
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_the_first_screen_holds_the_first_part(browser, path):
    opened(browser, path)
    ends = "return [...document.querySelectorAll('.two')].map(e => e.getBoundingClientRect().bottom)"
    assert max(browser.execute_script(ends)) <= 900


def found(estimate, half=0.05):
    return Interval(estimate, estimate - half, estimate + half, 0.95, 6, "t over originals")


@pytest.fixture(scope="module")
def limited(audit):
    """A result with all limits, options and the advice for one pair."""
    checks = (
        LimitCheck.of("auc", 0.6, found(0.7)),
        LimitCheck.of("tpr_at_1pct", 0.03, found(0.12, 0.1)),
        LimitCheck.unmeasured("per_record", 0.05, "4319 unseen records are needed, got 120", confidence=0.95),
        LimitCheck.of("accuracy_loss", 0.01, found(-0.15)),
    )
    options = tuple(
        RemedyOption(
            name=f"groups of 10 and Rounding({k})",
            kind="both",
            what="Collect 10 deletions, and publish one update for all of them. Round posteriors to one decimal.",
            attack="Superset",
            auc=found(0.55 + 0.01 * k),
            checks=checks[:1],
            accuracy=0.6,
            accuracy_lost=found(-0.15),
            brier_added=found(-0.1),
        )
        for k in range(12)
    )
    verdict = replace(audit.result.verdict, outcome=Outcome.LEAKS, checks=checks, limit=0.6)
    widening = Widening(can=("A.",), cannot=("B.",), how="See `aftertrace plan`.", command="aftertrace run x.toml")
    return replace(audit.result, verdict=verdict, remedy=Remedy(sentence="So.", options=options), widening=widening)


@pytest.fixture(scope="module")
def pages(path, audit, limited, html_of, tmp_path_factory):
    """Pages by name: an audit, one with all that there can be, and a history."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "full.html").write_text(html_of(limited, audit.scores))
    releases = [(f"releases/2026-{month:02}", limited) for month in range(1, 5)]
    (folder / "history.html").write_text(render_history(History.of(releases, budget=0.3)))
    return {"audit": path, "full": folder / "full.html", "history": folder / "history.html"}


@pytest.mark.parametrize("name", ["full", "history"])
@pytest.mark.parametrize("width", [390, 1440])
def test_every_auc_stands_on_the_screen(browser, pages, name, width):
    """Without scrolling sideways, and no line of a limit is a word wide."""
    opened(browser, pages[name], width=width)
    seen = """return [...document.querySelectorAll('table')].flatMap(t => [...t.rows].flatMap(r => [...r.cells]))
        .filter(c => /^[+-]?\\d\\.\\d\\d\\s\\(/.test(c.textContent))
        .map(c => c.getBoundingClientRect()).filter(b => b.width).map(b => [b.left, b.right])"""
    edges = browser.execute_script(seen)
    assert len(edges) >= 4
    assert all(left >= 0 and right <= width for left, right in edges)
    sizes = "return [...document.querySelectorAll('.measures td')].map(c => c.getBoundingClientRect().width)"
    assert all(wide > 40 for wide in browser.execute_script(sizes))


@pytest.mark.parametrize("width", [390, 1440])
def test_a_history_is_as_wide_as_the_screen(browser, pages, width):
    opened(browser, pages["history"], width=width)
    over = "return [...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
    assert max(browser.execute_script(over)) <= 0


@pytest.mark.parametrize("name", ["audit", "full", "history"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(browser, pages, name, width, dark):
    import axe_core_python

    source = next(Path(axe_core_python.__file__).parent.rglob("axe.min.js"))
    opened(browser, pages[name], width=width, dark=dark)
    browser.execute_script(source.read_text())
    found = browser.execute_async_script("axe.run({resultTypes: ['violations']}).then(arguments[0])")
    assert len(found["passes"]) > (10 if name == "history" else 20)
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []


def test_dark_is_dark(browser, path):
    opened(browser, path, dark=True)
    lightness = """return [...document.querySelectorAll('.chart, .wide svg text, body')].map(e => {
        const style = getComputedStyle(e), ink = e.tagName === 'text' ? style.fill : style.backgroundColor;
        return [e.tagName, ink.match(/[0-9]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3]})"""
    for name, value in browser.execute_script(lightness):
        assert (value > 140) == (name == "text"), (name, value)


def test_records_are_sorted_by_any_column(browser, path):
    opened(browser, path)
    head = browser.find_elements(By.CSS_SELECTOR, "#records-table thead th")[4]
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    drops = [float(text) for text in column(browser, 5)]
    assert drops == sorted(drops, reverse=True)
    head.find_element(By.TAG_NAME, "button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    drops = [float(text) for text in column(browser, 5)]
    assert drops == sorted(drops)
    browser.find_elements(By.CSS_SELECTOR, "#records-table thead button")[1].click()
    classes = column(browser, 2)
    assert classes == sorted(classes)
    assert len(set(classes)) > 1


def test_records_are_filtered_and_counted(browser, path, names, audit):
    opened(browser, path)
    assert first_column(browser) == names[:50]
    count = find(browser, "records-count")
    assert count.text == f"1 to {len(names)} of {len(names)}"
    assert count.get_attribute("aria-live") == "polite"
    find(browser, "records-text").send_keys(names[7][2:8])
    assert set(first_column(browser)) == {names[7]}
    find(browser, "records-text").send_keys("no such name")
    assert count.text == f"None (of {len(names)} in all)"
    find(browser, "records-text").send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE)
    find(browser, "records-class").send_keys(audit.result.data.classes[1])
    assert set(column(browser, 2)) == {audit.result.data.classes[1]}


def test_the_threshold_moves_the_marker_and_says_what_it_finds(browser, path, audit):
    opened(browser, path)
    slider, roc = find(browser, "roc-rate"), page(audit.result, audit.scores, manifest={}, key=KEY).data["roc"]
    place = "return [...document.querySelectorAll('.wide circle.marker')].map(e => Number(e.getAttribute('cx')))[0]"
    slider.send_keys(Keys.HOME)
    before = browser.execute_script(place)
    slider.send_keys(Keys.END)
    assert browser.execute_script(place) > before == 0
    assert find(browser, "roc-found").text == f"{roc['attacked']} of {roc['attacked']} (100.0 %)"
    for _ in range(20):
        slider.send_keys(Keys.ARROW_LEFT)
    rate = roc["least"] ** 0.2
    curve = roc["curves"][0]
    point = max(k for k, accused in enumerate(curve["accused"]) if accused <= rate * roc["unseen"])
    assert find(browser, "roc-accused").text.startswith(f"{curve['accused'][point]} of {roc['unseen']} (")
    assert f"{curve['found'][point]} of {roc['attacked']} (" in slider.get_attribute("aria-valuetext")


def test_without_a_script_all_is_there(browser, path, names):
    for _ in range(3):  # on a busy machine a browser may begin a page before it is told to run no script
        opened(browser, path, script=False)
        if not find(browser, "records-control").is_displayed():
            break
    assert first_column(browser) == names[:20]
    assert not find(browser, "records-control").is_displayed()
    assert not find(browser, "roc-control").is_displayed()
    assert f"And {len(names) - 20} more" in find(browser, "records-rest").text


def test_paper_has_no_controls(browser, path):
    opened(browser, path, media="print", dark=True)
    assert not find(browser, "records-control").is_displayed()
    assert browser.execute_script("return getComputedStyle(document.body).color") == "rgb(28, 32, 36)"


def many(audit, rows=10_000):
    """The audit's deleted and unseen queries over and over, of ever new records."""
    scores = audit.scores
    times = -(-rows // ((scores.role == 0) & (scores.use == 0)).sum())
    again = {name: np.tile(getattr(scores, name), times) for name in ("label", "pair", "original", "use", "role")}
    record = np.concatenate([scores.record + 1000 * k for k in range(times)])
    score = {name: np.tile(values, times) for name, values in scores.score.items()}
    return replace(scores, **again, record=record, phi=np.tile(scores.phi, (times, 1)), score=score)


def test_ten_thousand_records_open_in_three_seconds(browser, audit, html_of, tmp_path):
    text = html_of(audit.result, many(audit))
    assert len(text.encode()) <= 2_000_000
    path = tmp_path / "large.html"
    path.write_text(text)
    began = time.monotonic()
    opened(browser, path)
    assert "of 10000" in find(browser, "records-count").text
    assert time.monotonic() - began < 3
    assert len(first_column(browser)) == 50
    find(browser, "records-on").click()
    assert find(browser, "records-count").text == "51 to 100 of 10000"
