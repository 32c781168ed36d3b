"""The rest of `test_examples.py`, for another worker."""

import pytest
from test_examples import SLOW, check


@pytest.mark.parametrize("folder", SLOW)
def test_an_example_runs_as_its_readme_says(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SCORING_TOKEN", "any-word")
    check(folder, tmp_path)
