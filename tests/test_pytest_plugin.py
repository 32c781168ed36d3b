"""The fixture, in tests of its own: what passes, what fails and with which words, and that it costs nothing before."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from one_pair import write_release

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent


@pytest.fixture
def project(pytester, monkeypatch):
    """A project whose tests know the plug-in, as where aftertrace is installed, and no other one."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester


def run(project, code):
    project.makepyfile(code)
    return project.runpytest_inprocess("-p", "aftertrace.pytest_plugin", "-p", "no:cacheprovider")


def said(done):
    return " ".join(" ".join(done.outlines).split())


def release(limits='{"auc": 0.6}', after="candidate.csv"):
    return f"""
        def test_release(assert_no_deletion_leak):
            found = assert_no_deletion_leak(before="published.csv", after="{after}", limits={limits})
            assert found.result.verdict.checks[0].name == "auc"
        """


def test_what_lies_within_its_limits_passes(project):
    write_release(project.path, leak=0)
    run(project, release()).assert_outcomes(passed=1)


def test_a_leak_fails_with_the_verdict_and_no_traceback(project):
    write_release(project.path, leak=2)
    done = run(project, release('{"auc": 0.6, "accuracy_loss": 0.2}'))
    done.assert_outcomes(failed=1)
    text = said(done)
    assert "Deletions show more than allowed" in text
    assert "exceeded: auc: AUC must be at most 0.6 and at least 0.4, and is 0." in text
    assert "passed: accuracy_loss:" in text
    assert "Traceback" not in text
    assert "pytest_plugin.py" not in text


def test_what_cannot_be_told_fails_too(project):
    write_release(project.path, leak=0, pairs=30)
    done = run(project, release('{"auc": 0.55}'))
    done.assert_outcomes(failed=1)
    assert "inconclusive: auc: " in said(done)


def test_no_limit_is_no_gate(project):
    write_release(project.path, leak=0)
    done = run(project, release("{}"))
    done.assert_outcomes(failed=1)
    assert "not tested: none: " in said(done)


def test_bad_input_fails_with_one_line(project):
    write_release(project.path, leak=0)
    done = run(project, release(after="nowhere.csv"))
    done.assert_outcomes(failed=1)
    assert "aftertrace: nowhere.csv" in said(done)
    assert "Traceback" not in said(done)


def test_limits_are_not_optional(project):
    done = run(project, "def test_it(assert_no_deletion_leak): assert_no_deletion_leak('a.csv', 'b.csv')")
    done.assert_outcomes(failed=1)
    assert "limits" in said(done)


def test_the_example_runs(project):
    write_release(project.path, leak=0)
    done = run(project, (ROOT / "examples/gate/test_release.py").read_text())
    done.assert_outcomes(passed=1)


def test_nothing_heavy_is_imported_before_it_is_called():
    code = (
        "import sys, aftertrace.pytest_plugin\n"
        "print(sorted({'numpy', 'scipy', 'torch', 'sklearn', 'pyarrow', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pytest_finds_it_where_aftertrace_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"aftertrace": "aftertrace.pytest_plugin"}
