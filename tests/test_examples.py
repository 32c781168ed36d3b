"""Every folder of examples/, run as a user would: the commands of its README, in a copy, by a shell.

The folders `SLOW` are in `test_examples_slow.py`, so that two workers share the work.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from aftertrace.results import Outcome

EXAMPLES = Path(__file__).parent.parent / "examples"
FOLDERS = sorted(readme.parent.name for readme in EXAMPLES.glob("*/README.md"))
SLOW = ("command", "factory", "gate", "http", "torch", "torch-export", "torchscript", "versions")
JUDGES = ("aftertrace audit", "./publish.sh", "pytest")
"""What may also end with 1 (a limit is exceeded) or 3 (inconclusive); all else must end with 0."""
STAND_IN = """import numpy as np

class Target:
    dataset_name = "stand-in"

    def __getattr__(self, name):
        return None

    def load(self, folder):
        self.__dict__ |= dict(np.load(f"{folder}/target.npz"))
"""


def commands(folder):
    """The commands of a README's fenced blocks, each on one line."""
    blocks = re.findall(r"^```\n(.*?)^```", (EXAMPLES / folder / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return re.sub(r" *\\\n *", " ", "".join(blocks)).splitlines()


def run(lines, tmp_path):
    """Commands in a shell of their own, one after the other; what they say. Fails where one of them does.

    `pip` is left out: all is installed.
    """
    guarded = [f"{line}\nstatus=$?; [[ $status = {'[013]' if line.startswith(JUDGES) else 0} ]] || exit 99"
               for line in lines if not line.startswith("pip ")]  # fmt: skip
    own = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(tmp_path / "library"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    said = tmp_path / "said.txt"
    with said.open("w") as file:
        shell = subprocess.Popen(
            ["bash", "-xc", "\n".join(guarded)],
            cwd=tmp_path,
            env={**os.environ, **own},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = shell.wait(timeout=300)
        finally:
            with suppress(ProcessLookupError):  # a server that still runs
                os.killpg(shell.pid, signal.SIGKILL)
    assert status == 0, said.read_text()
    return said.read_text()


def prepare(folder, tmp_path):
    """A copy of the examples, and what a README takes for granted."""
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__", "work", "runs"))
    if folder == "http":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for path in (tmp_path / "examples" / "http").iterdir():
            path.write_text(path.read_text().replace("8765", str(port)))
    if folder == "interchange":
        privacy_meter_run(tmp_path / "demo_log")
        sacro_folders(tmp_path)


def privacy_meter_run(folder):
    """Signals of two models, the second without the first 30 points of the first, as Privacy Meter keeps them."""
    rng = np.random.default_rng(0)
    member = np.zeros((2, 150), dtype=bool)
    member[0, :60] = member[1, 30:60] = True
    for name, array in (
        (
            "signals/rmia_signals.npy",
            1 / (1 + np.exp(-rng.normal(1, 1, member.shape) - 2 * member)).T.astype(np.float32),
        ),
        ("models/memberships.npy", member),
    ):
        (folder / name).parent.mkdir(parents=True)
        np.save(folder / name, array)


def sacro_folders(tmp_path):
    """A stand-in for SACRO-ML, and its target folders of two models, the second without the first 30 records."""
    package = tmp_path / "library" / "sacroml" / "attacks"
    package.mkdir(parents=True)
    (package / "target.py").write_text(STAND_IN)
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 150)
    for name, train in (("target_before", np.arange(60)), ("target_after", np.arange(30, 60))):
        test = np.setdiff1d(np.arange(150), train)
        sides = {
            f"{kind}_{side}": array
            for side, rows in (("train", train), ("test", test))
            for kind, array in (
                ("indices", rows),
                ("y", label[rows]),
                ("proba", rng.dirichlet([1, 1], len(rows))),
                ("X", rows[:, None]),
            )
        }
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "target.npz", **sides)


def check(folder, tmp_path):
    """The commands of a README end well, and each audit leaves a verdict and its report."""
    prepare(folder, tmp_path)
    lines = commands(folder)
    said = run(lines, tmp_path)
    reports = [path for path in tmp_path.rglob("report.html") if (path.parent / "result.json").is_file()]
    assert len(reports) == sum(line.startswith(JUDGES[:2]) for line in lines) > 0, said
    for report in reports:
        verdict = json.loads((report.parent / "result.json").read_text())["verdict"]
        assert verdict["outcome"] in {each.value for each in Outcome} - {"invalid"}
        assert "<html" in report.read_text()[:200]


def test_no_folder_is_left_out():
    folders = [path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert sorted(folders) == FOLDERS
    assert set(SLOW) < set(FOLDERS)
    kinds = " ".join(line for folder in FOLDERS for line in commands(folder))
    for kind in (".skops", ".joblib", ".onnx", ".safetensors", ".pt2", ".ts", ".csv", "scorer:before", "endpoint-"):
        assert kind in kinds
    for option in ("--between", "--trust-pickle", "--outputs loss", "--shadow", "--records", "--fail-above"):
        assert option in kinds


@pytest.mark.parametrize("folder", [name for name in FOLDERS if name not in SLOW])
def test_an_example_runs_as_its_readme_says(folder, tmp_path):
    check(folder, tmp_path)


def test_a_pickle_is_refused_where_it_is_not_trusted(tmp_path):
    (audit,) = (line for line in commands("joblib") if line.startswith("aftertrace"))
    (tmp_path / "work").mkdir()
    for name in ("before.joblib", "after.joblib"):
        (tmp_path / "work" / name).write_bytes(b"\x80\x05.")
    for number, name in enumerate(("deleted.csv", "unseen.csv")):
        (tmp_path / "work" / name).write_text(f"label,x\na,{number}\n")
    with pytest.raises(AssertionError, match=r"before.joblib: is a pickle, and .* it was not read.*say --trust-pickle"):
        run([audit.replace(" --trust-pickle", "")], tmp_path)


def test_file_posteriors_take_three_commands():
    assert len(commands("posteriors")) == 3
