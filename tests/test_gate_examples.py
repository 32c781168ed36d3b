"""The GitHub Action and the examples beside it: read as YAML, and their shell run as a runner and a user would."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from one_pair import write_release

from aftertrace.results import Limits

ROOT = Path(__file__).parent.parent
GATE = ROOT / "examples" / "gate"
yaml = pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def action():
    return yaml.safe_load((ROOT / "action.yml").read_text())


def step(action, name="audit"):
    return next(each for each in action["runs"]["steps"] if each.get("id") == name)


def release(folder, *, leak):
    """Posteriors of a published model and of a candidate, and limits."""
    write_release(folder, leak=leak, candidate="the candidate.csv")
    shutil.copy(GATE / "limits.toml", folder)


def shell(command, folder, **environment):
    """As a runner starts a step, with the `aftertrace` of these tests first on the path."""
    path = f"{folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", *command],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def given_to(action, folder, **inputs):
    """The step's environment, from inputs and defaults, as a runner fills it in."""
    values = {name: str(each.get("default", "")) for name, each in action["inputs"].items()} | inputs
    found = {name: re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text) for name, text in step(action)["env"].items()}
    assert all(found.values())
    return {name: values[match[1]] for name, match in found.items()}


def pretend(folder, code=0, name="aftertrace"):
    """A stand-in for a command that writes down what it is given, one argument a line."""
    stand_in = folder / "bin" / name
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > given.txt\nexit {code}\n')
    stand_in.chmod(0o755)


def test_the_action_reads_no_input_in_a_script(action):
    """`${{ }}` inside a script would run whatever an input holds."""
    steps = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite"
    assert all(each["shell"] == "bash" for each in steps if "run" in each)
    assert not [each["run"] for each in steps if "${{" in each.get("run", "")]
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(action["inputs"])


def test_the_action_uses_what_is_pinned_or_githubs_own(action):
    uses = [each["uses"] for each in action["runs"]["steps"] if "uses" in each]
    jobs = yaml.safe_load((GATE / "workflow.yml").read_text())["jobs"].values()
    uses += [each["uses"] for job in jobs for each in job["steps"] if "uses" in each]
    for name in uses:
        assert re.search(r"@[0-9a-f]{40}$", name) or name.startswith(("github/", "your-organisation/"))


def test_the_workflow_gives_what_the_action_takes(action):
    jobs = yaml.safe_load((GATE / "workflow.yml").read_text())["jobs"]
    (with_,) = [each["with"] for each in jobs["audit"]["steps"] if each["uses"].startswith("your-organisation/")]
    assert set(with_) <= set(action["inputs"])
    assert {name for name, each in action["inputs"].items() if each.get("required")} <= set(with_)
    outputs = set(re.findall(r"steps\.audit\.outputs\.(\w+)", (GATE / "workflow.yml").read_text()))
    assert outputs <= set(action["outputs"])
    assert jobs["publish"]["needs"] == "audit"


@pytest.mark.parametrize(
    ("extras", "wanted"),
    [
        ("", ""),
        ("onnx,skops", "[onnx,skops]"),
        ("x]; touch stolen; $(touch stolen)", "[x]; touch stolen; $(touch stolen)]"),
    ],
)
def test_the_action_installs_itself_with_extras(action, tmp_path, extras, wanted):
    pretend(tmp_path, name="python")
    (install,) = [each for each in action["runs"]["steps"] if "pip install" in each.get("run", "")]
    assert install["env"] == {"EXTRAS": "${{ inputs.extras }}"}
    done = shell(["-c", install["run"]], tmp_path, EXTRAS=extras, GITHUB_ACTION_PATH="/a path/aftertrace")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "given.txt").read_text().splitlines()[-1] == f"/a path/aftertrace{wanted}"
    assert not (tmp_path / "stolen").exists()


@pytest.mark.parametrize(
    ("more", "further"),
    [
        ({}, []),
        (
            {"deleted": "a b.csv", "unseen": "$(touch stolen)", "args": "--match --label-column class"},
            ["--deleted", "a b.csv", "--unseen", "$(touch stolen)", "--match", "--label-column", "class"],
        ),
        (
            {"args": "--match\n--attack LogitDrop   --claim '*'; touch stolen\n"},
            ["--match", "--attack", "LogitDrop", "--claim", "'*';", "touch", "stolen"],
        ),
    ],
)
def test_the_step_gives_arguments_as_they_are(action, tmp_path, more, further):
    pretend(tmp_path)
    inputs = {"before": "v 1.csv", "after": "`touch stolen`", "limits": "limits.toml", **more}
    done = shell(["-c", step(action)["run"]], tmp_path, **given_to(action, tmp_path, **inputs))
    assert done.returncode == 0, done.stderr
    given = (tmp_path / "given.txt").read_text().splitlines()
    out = "aftertrace-audit"
    own = ["--before", "v 1.csv", "--after", "`touch stolen`", "--limits", "limits.toml", "--out", out]
    files = ["--junit", f"{out}/junit.xml", "--sarif", f"{out}/aftertrace.sarif"]
    assert sorted(given) == sorted(["audit", *own, *files, *further])
    assert not (tmp_path / "stolen").exists()


def test_the_step_fails_as_the_audit_does(action, tmp_path):
    pretend(tmp_path, code=3)
    done = shell(["-c", step(action)["run"]], tmp_path, **given_to(action, tmp_path))
    assert done.returncode == 3


def test_the_step_audits_files(action, tmp_path):
    release(tmp_path, leak=2)
    inputs = {"before": "published.csv", "after": "the candidate.csv", "limits": "limits.toml", "out": "audit"}
    done = shell(["-c", step(action)["run"]], tmp_path, **given_to(action, tmp_path, **inputs))
    assert done.returncode == 1, done.stdout + done.stderr
    for name in ("result.json", "report.html", "junit.xml", "aftertrace.sarif"):
        assert (tmp_path / "audit" / name).is_file()


def test_the_script_publishes_what_passes(tmp_path):
    release(tmp_path, leak=0)
    done = shell([str(GATE / "publish.sh"), "--before", "published.csv", "--after", "the candidate.csv"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("Within all limits: publishing.\n")
    assert len(list((tmp_path / "audits").glob("*/report.html"))) == 1


@pytest.mark.parametrize(
    ("code", "words"), [(1, "exceeded"), (2, "no audit"), (3, "cannot tell"), (4, "invalid"), (70, "no audit")]
)
def test_the_script_publishes_nothing_else(tmp_path, code, words):
    pretend(tmp_path, code)
    done = shell([str(GATE / "publish.sh"), "--before", "a", "--after", "b"], tmp_path)
    assert done.returncode == code
    assert re.search(f"^Not published: .*{words}", done.stdout, flags=re.MULTILINE)


def test_the_limits_are_limits():
    assert Limits(**tomllib.loads((GATE / "limits.toml").read_text())["limits"]).auc == 0.6
