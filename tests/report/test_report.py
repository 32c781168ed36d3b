"""The report: what is shown, that it is safe to share, and that a browser shows it."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

import aftertrace as at
from aftertrace.attacks import simulated_posteriors
from aftertrace.posteriors import pseudonyms
from aftertrace.report import as_text, render
from aftertrace.report._records import page, shown_names
from aftertrace.results import Outcome, Verdict
from aftertrace.scenarios import Experiment
from aftertrace.statistics import benjamini_hochberg

KEY = b"0" * 32
SIZES = {"originals": 6, "pairs": 6, "records": 60}
MANIFEST = {"libraries": {"numpy": "2.4"}, "python": "3.11", "seconds": {"training": 1.5}, "finished": "2026-01-01"}


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    experiment = Experiment.from_dict(
        {
            "data": {"name": "wine"},
            "procedure": {"seed": "same"},
            "scenario": {"retained_per_pair": 2, "unseen_per_pair": 3, "shadow": SIZES, "target": SIZES},
            "attacks": {"classifiers": ["tree", "forest"]},
        }
    )
    return at.run(experiment, out=tmp_path_factory.mktemp("report") / "run")


def html(audit, **changes):
    return render(replace(audit.result, **changes), audit.scores, manifest=MANIFEST, key=KEY)


@pytest.fixture(scope="module")
def shown(audit):
    return html(audit)


def one_pair():
    table = simulated_posteriors(leak=2, seed=0, originals=1, pairs=40)
    role = np.where(table.role == 0, "deleted", "unseen").tolist()
    return at.audit(table.values[:, 0], table.values[:, 1], label=table.label, role=role, classes=["<b>x", '"y"', "z&"])


def test_it_is_one_small_file_that_asks_for_nothing(shown):
    assert len(shown.encode()) < 2_000_000
    assert "<script" not in shown
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", shown)
    assert not re.search(r"url\((?!#)", shown)
    assert "@import" not in shown


def test_no_record_number_leaves_the_run(audit, shown):
    scores = audit.scores
    moved = replace(audit.scores, record=scores.record + 7_000_000)
    text = render(audit.result, moved, manifest=MANIFEST, key=KEY)
    assert "70000" not in text
    assert not set(re.findall(r"\b70\d{5}\b", text))


def test_pseudonyms_follow_the_key(audit):
    names = [[row[0] for row in page(audit.result, audit.scores, manifest={}, key=key).exposed] for key in (KEY, b"1")]
    assert names[0] != names[1]
    assert len(names[0]) == 20
    score = audit.scores.score[audit.result.verdict.attack]
    top = np.argsort(-np.where((audit.scores.role == 0), score, -np.inf), kind="stable")[0]
    expected = int(pseudonyms([str(audit.scores.record[top])], KEY)[0])
    assert names[0][0] == f"r-{expected:015x}"[:12]


def test_exposed_records_by_hand(audit):
    shown = page(audit.result, audit.scores, manifest={}, key=KEY)
    drop, score = audit.scores.phi[:, 0] - audit.scores.phi[:, 1], audit.scores.score[audit.result.verdict.attack]
    deleted, unseen = (np.flatnonzero((audit.scores.role == role) & (audit.scores.use == 0)) for role in (0, 1))
    top = deleted[score[deleted].argmax()]
    assert shown.exposed[0][4] == f"{drop[top]:+.3f}"
    assert shown.exposed[0][5] == f"{(score[unseen] < score[top]).mean():.1%}"


def test_the_page_says_who_was_made_worse(audit):
    scores, found = audit.scores, audit.result.discoveries
    told = scores.deletions(
        np.flatnonzero((scores.role == 0) & (scores.use == 0)),
        before=scores.score["SupersetClassical"],
        after=scores.score["Superset"],
    )
    adjusted = benjamini_hochberg(told.worse)
    assert (found.deleted, found.worse) == (len(told.record), (adjusted <= found.fdr).sum())
    shown = page(audit.result, scores, manifest={}, key=KEY)
    names = shown_names(told.record, KEY)
    for row in shown.exposed:
        assert float(row[6]) == pytest.approx(adjusted[names.index(row[0])], abs=0.005)


def test_movements_by_hand(audit):
    shown = page(audit.result, audit.scores, manifest={}, key=KEY)
    drop = audit.scores.phi[:, 0] - audit.scores.phi[:, 1]
    unseen = drop[(audit.scores.role == 1) & (audit.scores.use == 0)]
    row = {name: cells for name, *cells in shown.movement_rows}["Unseen"]
    assert row[0] == "108"
    assert row[1] == f"{(unseen == 0).mean():.0%}"
    assert row[3] == f"{np.median(unseen):+.4f}"
    assert [each.role for each in shown.movements] == ["Deleted", "Unseen", "Retained"]


def test_every_attack_has_a_row_and_figures(audit, shown):
    for attack in audit.result.attacks:
        assert f">{attack.name}<" in shown
        assert f"{attack.auc.estimate:.2f} ({attack.auc.low:.2f} to {attack.auc.high:.2f})" in shown
    assert "refused [1]" in shown
    assert "1000 evaluated unseen queries are needed" in shown


def test_nothing_is_empty_or_a_python_word(shown):
    text = re.sub(r"<svg.*?</svg>|<style.*?</style>", "", shown, flags=re.DOTALL)
    visible = re.sub(r"<[^>]+>", " ", text)
    assert not re.search(r"\b(None|nan|NaN|True|False|inf)\b", visible)
    assert not re.search(r"<t[dh][^>]*>\s*</t[dh]>", text)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_badge(audit, outcome):
    verdict = Verdict(outcome=outcome, sentence="So it is.", attack="LogitDrop", limit=0.7)
    changed = replace(audit.result, verdict=verdict)
    assert "So it is." in render(changed, audit.scores, manifest={}, key=KEY)
    assert "So it is." in as_text(changed)


def test_names_from_outside_are_text(audit):
    evil = "<script>alert(1)</script>"
    data = replace(audit.result.data, name=evil, classes=(evil, "b", "c"), notes=(evil,))
    text = html(audit, title=evil, data=data, settings={evil: {"a": evil}}, notes=(evil,))
    assert evil not in text
    assert "&lt;script&gt;" in text


def test_one_pair_says_what_it_is():
    audit = one_pair()
    page_text = render(audit.result, audit.scores, manifest=audit.manifest, key=KEY)
    assert "one pair of models" in page_text
    assert "&lt;b&gt;x" in page_text


def test_drawings_do_not_share_names(shown):
    names = re.findall(r'\bid="([^"]+)"', shown)
    assert len(names) == len(set(names))


def test_equal_results_give_equal_pages(audit):
    assert html(audit) == html(audit)


def test_terminal_text_fits_and_says_it(audit):
    text = as_text(audit.result, width=80, colour=False)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "LogitDrop" in text
    assert "Controls: unseen/unseen" in text
    assert "\x1b[" in as_text(audit.result, colour=True)


def test_the_page_of_an_exposure(exposed, tmp_path):
    text = exposed.to_html(tmp_path / "report.html").read_text()
    assert len(text.encode()) < 2_000_000
    assert "<script" not in text
    assert "Certificate" in text
    visible = re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>|<style.*?</style>", "", text, flags=re.DOTALL))
    assert not re.search(r"\b(None|nan|NaN|True|False|inf)\b", visible)
    names = re.findall(r"<th scope=\"row\">(r-\w+)</th>", text)
    assert len(names) == len(set(names)) == 20
    order = np.lexsort((-exposed.rows.logit_drop, exposed.rows.rank))
    expected = int(pseudonyms([str(exposed.rows.record[order[0]])], exposed.key)[0])
    assert names[0] == f"r-{expected:015x}"[:12]
    by_class = [(exposed.rows.label == k).sum() for k in range(3)]
    for name, number in zip(exposed.classes, by_class, strict=True):
        assert re.search(rf">{name}</th>\s*<td[^>]*>{number}<", text)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def exposed(tmp_path_factory):
    return at.exposure("wine", model="tree", unseen=19, out=tmp_path_factory.mktemp("exposure") / "run")


@pytest.mark.browser
@pytest.mark.parametrize(("width", "visible", "hidden"), [(1440, "wide", "narrow"), (390, "narrow", "wide")])
@pytest.mark.parametrize(("kind", "charts", "word"), [("audit", 3, "LogitDrop"), ("exposure", 1, "Logit drop")])
def test_a_browser_shows_it(browser, shown, exposed, tmp_path, kind, charts, word, width, visible, hidden):
    path = tmp_path / "report.html"
    if kind == "audit":
        path.write_text(shown)
    else:
        exposed.to_html(path)
    browser.get_log("performance")
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(path.as_uri())
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "data:", "chrome:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1

    def boxes(kind):
        sizes = "s => [s.getBoundingClientRect().width, s.querySelectorAll('path').length]"
        return browser.execute_script(f"return [...document.querySelectorAll('.{kind} svg')].map({sizes})")

    assert len(boxes(visible)) == charts
    assert all(drawn > 100 and paths > 4 for drawn, paths in boxes(visible))
    assert all(drawn == 0 for drawn, _ in boxes(hidden))
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert word in browser.execute_script("return document.body.innerText")
