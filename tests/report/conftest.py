"""A small audit and a browser, for all tests of pages."""

import shutil

import pytest

import aftertrace as at
from aftertrace.report import render
from aftertrace.scenarios import Experiment

KEY = b"0" * 32
SIZES = {"originals": 6, "pairs": 6, "records": 60}
MANIFEST = {
    "libraries": {"numpy": "2.4"},
    "python": "3.11",
    "seconds": {"training": 1.5},
    "finished": "2026-01-01T00:00:00+00:00",
    "models": [{"name": "before.onnx", "fingerprint": "abc123"}, {"name": "after.onnx", "fingerprint": "def456"}],
}


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def html_of():
    """The page of a result and its scores, under a fixed key."""
    return lambda result, scores: render(result, scores, manifest=MANIFEST, key=KEY)


@pytest.fixture(scope="session")
def shown(audit, html_of):
    return html_of(audit.result, audit.scores)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Headless Chromium that keeps its log and all that it asked for."""
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
