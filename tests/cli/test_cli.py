"""The command line: exit codes, one line per mistake, nothing lost."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import aftertrace._api
from aftertrace.cli import ExitCode, app
from aftertrace.errors import ExperimentError, StoreError, TrainingError
from aftertrace.results import Claim
from aftertrace.scenarios import Experiment, table_of

SMALL = [
    *(f"--set=scenario.{side}.{key}" for side in ("shadow", "target") for key in ("originals=6", "pairs=3")),
    "--set=attacks.classifiers=['tree']",
    "--set=attacks.learned=[]",
    "--set=verdict.attack=LogitDrop",
    "--jobs=1",
]
COMMAND = str(Path(sys.executable).with_name("aftertrace"))


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def versions(tmp_path):
    """Two files of posteriors with a strong leak, and their folder."""
    rng = np.random.default_rng(0)
    own = rng.uniform(0.6, 0.95, 300)
    after = np.where(np.arange(300) < 150, own - 0.2, own - 0.01 * rng.random(300))
    for name, values in (("v1", own), ("v2", after)):
        rows = [
            f"{k},yes,{'deleted' if k < 150 else 'unseen'},{value:.9f},{1 - value:.9f}"
            for k, value in enumerate(values)
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["record,label,role,yes,no", *rows]))
    return tmp_path


def audit(folder, *more):
    return invoke("audit", "--before", folder / "v1.csv", "--after", folder / "v2.csv", *more)


def test_audit_of_two_files(versions):
    done = audit(versions)
    assert done.exit_code == ExitCode.OK
    assert "LEAKS" in done.stdout
    assert "One pair of models: intervals are over records" in done.stdout


def test_the_gate(versions):
    assert audit(versions, "--fail-above", "auc=0.6").exit_code == ExitCode.LIMIT_EXCEEDED
    (versions / "v2.csv").write_text((versions / "v1.csv").read_text() + "\n")
    assert audit(versions, "--fail-above", "auc=0.6").exit_code == ExitCode.OK


def test_a_claim_of_differential_privacy_is_refuted_or_not(versions):
    done = audit(versions, "--claim", "epsilon=0.5, delta=1e-5")
    assert done.exit_code == ExitCode.LIMIT_EXCEEDED
    text = " ".join(done.stdout.split())
    assert "lies beyond the limit of 0.7311." in text
    assert "The AUC refutes the claim of (0.5, 1e-05)-differential privacy for adding or removing a record" in text
    (versions / "v2.csv").write_text((versions / "v1.csv").read_text() + "\n")
    done = audit(versions, "--claim", "epsilon=0.5")
    assert done.exit_code == ExitCode.OK
    assert "allows this AUC; an audit can refute a claim, and never prove it" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--claim", "1"), "--claim must be epsilon=E or epsilon=E,delta=D"),
        (("--claim", "epsilon=x"), "--claim must be epsilon=E or epsilon=E,delta=D"),
        (("--claim", "epsilon=1,alpha=2"), "--claim must be epsilon=E or epsilon=E,delta=D"),
        (("--claim", "epsilon=-1"), "A claim must have a finite epsilon above 0 and a delta from 0 to below 1"),
        (("--claim", "epsilon=400"), "allows every AUC: no audit can refute it. Give a limit instead."),
        (("--claim", "epsilon=1", "--fail-above", "auc=0.6"), "Give a limit of the AUC or a claim, which is one too"),
    ],
)
def test_claims_that_are_none(versions, more, message):
    done = audit(versions, *more)
    assert done.exit_code == ExitCode.WRONG_USE
    assert message in done.stderr


def test_an_undecided_gate(versions):
    """Ten records a role with drops that overlap cannot decide a limit near their AUC."""
    drop = np.concatenate([np.linspace(0.00, 0.10, 10) + 0.02, np.linspace(0.00, 0.10, 10)])
    for name, values in (("v1", np.full(20, 0.8)), ("v2", 0.8 - drop)):
        rows = [f"{k},yes,{'deleted' if k < 10 else 'unseen'},{v:.6f},{1 - v:.6f}" for k, v in enumerate(values)]
        (versions / f"{name}.csv").write_text("\n".join(["record,label,role,yes,no", *rows]))
    done = audit(versions, "--fail-above", "auc=0.65")
    assert done.exit_code == ExitCode.INCONCLUSIVE
    assert "INCONCLUSIVE" in done.stdout


def test_audit_keeps_what_it_found_without_real_names(versions):
    out = versions / "audit"
    done = audit(versions, "--out", out)
    assert done.exit_code == ExitCode.OK
    assert (out / "report.html").is_file()
    assert (out / "pseudonyms.key").stat().st_mode & 0o777 == 0o600
    again = audit(versions, "--out", out)
    assert again.exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("auc", "must be NAME=X, a number with a point, such as auc=0.6, got 'auc'"),
        ("auc=60", "The limit `auc` must be an AUC above 0.5 and below 1, such as 0.6, got 60 (is 0.6 meant?)"),
        ("auc=60%", "a number with a point, such as auc=0.6, got 'auc=60%'"),
        ("auc=0.5", "The limit `auc` must be an AUC above 0.5 and below 1, such as 0.6, got 0.5"),
        ("tpr_at_1pct=3", "a rate above 0.01 (guessing) and below 1, such as 0.03, got 3 (is 0.03 meant?)"),
        ("accuracy_loss=nan", "such as 0.01, got nan"),
        ("tpr=0.1", "tpr: unknown key"),
        ("auc=x", "got 'auc=x'"),
        ("per_record=0", "a share above 0 and below 1, such as 0.05, got 0"),
    ],
)
def test_bad_limits(versions, text, says):
    done = audit(versions, "--fail-above", text)
    assert done.exit_code == ExitCode.WRONG_USE
    assert "--fail-above" in done.stderr
    assert says in done.stderr
    assert ("meant?" in done.stderr) is ("meant?" in says)
    assert len(done.stderr.splitlines()) == 1


def test_a_run_and_its_report(tmp_path):
    done = invoke("run", "demo", "--out", tmp_path / "run", *SMALL)
    assert done.exit_code == ExitCode.OK, done.output
    assert "LogitDrop" in done.stdout
    assert done.stdout.splitlines()[-1] == f"Report: {tmp_path / 'run' / 'report.html'}"
    (tmp_path / "run" / "report.html").unlink()
    again = invoke("report", tmp_path / "run")
    assert again.exit_code == ExitCode.OK
    assert (tmp_path / "run" / "report.html").is_file()
    assert "LogitDrop" in again.stdout


MISTAKES = {
    "unknown example": (["run", "demmo"], "no such file or example (is 'demo' meant?)"),
    "unknown keys": (
        ["run", "demo", "--set", "modle.name=x", "--set", "sede=1"],
        "unknown key 'sede' (is 'seed' meant?)",
    ),
    "too large": (["run", "demo", "--set", "scenario.target.records=5000"], "at most 893 would fit, got 5000"),
    "no such target": (["run", "{csv}", "--out", "{out}"], "'incme'"),
    "one class only": (["run", "{csv}", "--set", "data.target=same", "--out", "{out}"], "class"),
    "most without until": (["run", "demo", "--most", "30", "--out", "{out}"], "give --until decided too"),
    "until without a limit": (
        ["run", "demo", "--until", "decided", "--out", "{out}", "--jobs", "1"],
        "limits.auc: going on until decided needs a limit, such as 0.6, got none",
    ),
    "slices of no column": (
        ["run", "demo", "--set", "verdict.slices=['pixel']", "--out", "{out}", "--jobs", "1"],
        "the data have no column 'pixel'",
    ),
    "candidates of two sizes": (
        ["run", "demo", "--set", "scenario.adversary=per_record", "--set", "scenario.shadow.pairs=7"],
        "it must equal scenario.target.pairs = 20, got 7",
    ),
    "per-record attack without such an adversary": (
        ["run", "demo", "--set", "attacks.per_record=['LiRA']"],
        "LiRA needs shadow models of the candidate records",
    ),
    "no such run": (["report", "{out}"], "run the experiment again"),
    "unknown listing": (["list", "nothing"], "nothing"),
    "no files": (["audit", "--before", "{out}/a.csv", "--after", "{out}/b.csv"], "there is no such file"),
    "wrong parameter": (
        ["run", "demo", "--set", "model.params.max_leaf_nodes=many", "--out", "{out}", "--jobs", "1"],
        "model.params: `max_leaf_nodes` must be a whole number of at least 2, got 'many'",
    ),
    "wrong parameter of scikit-learn's": (
        [
            "run",
            "demo",
            "--set",
            "model.name=sklearn.tree:DecisionTreeClassifier",
            "--set",
            "model.params.max_leaf_nodes=many",
            "--out",
            "{out}",
            "--jobs",
            "1",
        ],
        "The 'max_leaf_nodes' parameter of DecisionTreeClassifier must be an int",
    ),
    "no classifier": (
        ["run", "demo", "--set", "model.name=math:pi"],
        "must be a class or a function, got math:pi, which is a float",
    ),
    "a regressor": (
        ["run", "demo", "--set", "model.name=sklearn.linear_model:LinearRegression"],
        "must be a torch.nn.Module or a classifier with scikit-learn's interface",
    ),
    "no change": (["run", "demo", "--set", "seed"], "--set: a change must be KEY=VALUE"),
    "negative seed": (["run", "demo", "--set", "seed=-1"], "seed: must be at least 0, got -1"),
    "a file for a folder": (["run", "demo", "--out", "{csv}", "--jobs", "1"], "a run needs a folder"),
    "unknown parameter": (["run", "demo", "--set", "model.params.max_leafs=3"], "is 'max_leaf_nodes' meant?"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_lines_not_tracebacks(name, tmp_path):
    table = "age,income,same\n" + "\n".join(f"{20 + k},{'high' if k % 3 else 'low'},x" for k in range(60))
    (tmp_path / "t.csv").write_text(table)
    csv = tmp_path / "x.toml"
    csv.write_text(f"[data]\nname = 'csv'\npath = '{tmp_path / 't.csv'}'\ntarget = 'incme'\n")
    words, message = MISTAKES[name]
    done = invoke(*(word.format(csv=csv, out=tmp_path / "out") for word in words))
    assert done.exit_code == ExitCode.WRONG_USE
    assert message in done.stderr
    assert "Traceback" not in done.output


def test_all_problems_come_together():
    done = invoke("run", "demo", "--set", "modle.name=x", "--set", "sede=1", "--set", "data.nme=3")
    assert len(done.stderr.strip().splitlines()) == 3


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (StoreError("x: no space left on the disk."), ExitCode.WRONG_USE, "aftertrace: x: no space left"),
        (TrainingError("diverged"), ExitCode.INVALID, "aftertrace: diverged"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "Finished units are kept"),
        (RuntimeError("surprise"), ExitCode.DEFECT, "this is a defect of aftertrace"),
    ],
)
def test_exit_codes(monkeypatch, error, code, text):
    monkeypatch.setattr(aftertrace._api, "run", raising(error))
    done = invoke("run", "demo")
    assert done.exit_code == code
    assert text in done.stderr
    assert ("Traceback" in done.stderr) == (code == ExitCode.DEFECT)


@pytest.mark.parametrize(
    ("part", "words", "says"),
    [
        ("aftertrace._api.run", ["run", "demo"], " Finished units are kept: run the same command again to go on."),
        ("aftertrace._exposed.exposure", ["exposure", "iris"], " Finished units are kept: run the same command again"),
        (
            "aftertrace._audit.audit",
            ["audit", "--before", "a", "--after", "b"],
            " What was not judged yet is lost. Shadow models and",
        ),
        ("aftertrace.trainers.compile_all", ["compile"], ""),
    ],
)
def test_what_is_kept_of_interrupted_work(monkeypatch, part, words, says):
    """An audit keeps no units, which it must not claim."""
    monkeypatch.setattr(part, raising(KeyboardInterrupt()))
    done = invoke(*words)
    assert done.exit_code == ExitCode.INTERRUPTED
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"aftertrace: interrupted.{says}")
    assert ("units" in last) == ("units" in says)


def test_listings():
    for what in ("attacks", "models", "procedures", "examples"):
        done = invoke("list", what)
        assert done.exit_code == 0
        assert len(done.stdout.splitlines()) >= 1
    assert "48842" in invoke("data", "list").stdout.replace(" ", "")


def test_verify_says_what_is_absent(tmp_path):
    done = invoke("data", "verify", "--data-dir", tmp_path)
    assert done.exit_code == 0
    assert "absent" in done.stdout


@pytest.mark.skipif(not os.environ.get("AFTERTRACE_DATA"), reason="needs the data files")
def test_verify_knows_complete_and_partial_files():
    done = invoke("data", "verify")
    assert "complete" in done.stdout
    assert "known subset" in done.stdout
    assert "unknown" not in done.stdout


def test_version():
    assert invoke("--version").stdout.startswith("aftertrace 0.")


def test_help_is_quick():
    best = min(timed_help() for _ in range(3))
    assert best < 1.5


def timed_help():
    started = time.perf_counter()
    subprocess.run([COMMAND, "--help"], check=True, capture_output=True)
    return time.perf_counter() - started


def demo(out):
    return [
        COMMAND,
        "run",
        "demo",
        "--out",
        str(out),
        "--jobs",
        "1",
        "--no-report",
        "--set=attacks.classifiers=['tree']",
        "--set=attacks.learned=[]",
        "--set=verdict.attack=LogitDrop",
    ]


def wait_for_units(out, count):
    deadline = time.monotonic() + 60
    while len(list(out.glob("posteriors/*.parquet"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def heeds_interrupts():
    """Shells start what runs in the background with interrupts ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_loses_nothing_and_the_run_goes_on(tmp_path):
    out = tmp_path / "run"
    long = [*demo(out), "--set=scenario.target.originals=40"]  # not over before the signal comes
    process = subprocess.Popen(
        long, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeds_interrupts
    )
    wait_for_units(out, 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert errors.strip().splitlines()[-1].startswith("aftertrace: interrupted. Finished units are kept")
    assert "Traceback" not in errors
    kept = {path.name: path.stat().st_mtime_ns for path in (out / "posteriors").iterdir()}
    assert len(kept) >= 3
    subprocess.run(long, check=True, capture_output=True)
    again = {path.name: path.stat().st_mtime_ns for path in (out / "posteriors").iterdir()}
    assert len(again) == 52
    assert kept.items() <= again.items()


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The folder of a run that nobody disturbed, and what it said."""
    out = tmp_path_factory.mktemp("straight") / "run"
    return out, subprocess.run(demo(out), check=True, capture_output=True, text=True)


def test_killed_at_any_moment_gives_the_same_bytes(straight, tmp_path):
    """Before the first unit, in the middle and near the end, one after the other."""
    out = tmp_path / "run"
    for units in (0, 5, 23):
        process = subprocess.Popen(demo(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_units(out, units)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not (out / "result.json").exists()
    subprocess.run(demo(out), check=True, capture_output=True)
    assert (out / "result.json").read_bytes() == (straight[0] / "result.json").read_bytes()


def test_plain_lines_without_a_terminal_and_a_bar_with_one(straight):
    out, plain = straight
    assert "Training: 504 of 504 models" in plain.stderr
    assert "\x1b" not in plain.stdout + plain.stderr
    leader, follower = pty.openpty()
    process = subprocess.Popen(demo(out), stdout=subprocess.DEVNULL, stderr=follower)
    os.close(follower)
    seen = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    process.wait()
    assert b"\x1b[" in seen
    assert b"504/504" in seen


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can be mounted by root only")
def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        done = subprocess.run(demo(disk / "run"), capture_output=True, text=True, check=False)
        assert done.returncode == ExitCode.WRONG_USE
        assert "no space left on the disk. Make room and run the same command" in done.stderr
        assert "Traceback" not in done.stderr
        assert list((disk / "run" / "posteriors").glob("*.parquet"))
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        subprocess.run(demo(disk / "run"), check=True, capture_output=True)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_output_that_nobody_reads():
    done = subprocess.run(f"{COMMAND} list examples | head -1", shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_exposure_of_a_known_set(tmp_path):
    done = invoke("exposure", "wine", "--model", "tree", "--unseen", 19, "--jobs", 1, "--out", tmp_path / "run")
    assert done.exit_code == ExitCode.OK, done.output
    assert "training records stand out when they are deleted" in done.stdout
    table = pq.read_table(tmp_path / "run" / "exposure.parquet")
    assert table.column_names == ["record", "label", "before", "after", "logit_drop", "rank", "p_value"]
    assert table.num_rows == 178 - 19
    result = json.loads((tmp_path / "run" / "exposure.json").read_text())
    assert result["certificate"]["passed"]
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("exposure.*")}
    again = invoke("exposure", "wine", "--model", "tree", "--unseen", 19, "--jobs", 2, "--out", tmp_path / "run")
    assert again.exit_code == ExitCode.OK
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").glob("exposure.*")}
    wrong = invoke("report", tmp_path / "run")
    assert wrong.exit_code == ExitCode.WRONG_USE
    assert "holds an exposure" in wrong.stderr
    other = invoke("exposure", "wine", "--unseen", 19, "--out", tmp_path / "run")
    assert other.exit_code == ExitCode.WRONG_USE
    assert "holds another exposure (exposure." in other.stderr


def test_exposure_of_a_table(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'yes' if a + rng.normal() > 0 else 'no'}" for a, b in rng.normal(size=(80, 2))]
    path = tmp_path / "people.csv"
    path.write_text("\n".join(["age,height,bought", *rows]))
    words = ["exposure", path, "--unseen", 9, "--jobs", 1, "--out", tmp_path / "run"]
    missing = invoke(*words)
    assert missing.exit_code == ExitCode.WRONG_USE
    assert "--target must name the column" in missing.stderr
    done = invoke(*words, "--target", "bought", "--set", "model.params.C=0.5")
    assert done.exit_code == ExitCode.OK, done.output
    assert str(tmp_path) not in (tmp_path / "run" / "exposure.json").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wines"], "data.name: must be one of"),
        (["wine", "--model", "trees"], "unknown model 'trees' (is 'tree' meant?)"),
        (["wine", "--unseen", "178"], "together at most the 178 records"),
        (["wine", "--set", "scenario.pools=fixed"], "scenario: an exposure has settings below data and model only"),
        (["wine", "--set", "model.params.depth=2"], "unknown parameter 'depth' of logistic"),
    ],
)
def test_exposure_says_what_is_wrong(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = invoke("exposure", *words, "--jobs", 1)
    assert done.exit_code == ExitCode.WRONG_USE
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_plan_says_what_a_run_would_take(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = invoke("plan", "demo", *SMALL, "--memory", "2GiB", "--jobs", 2)
    assert done.exit_code == ExitCode.OK, done.output
    assert "Models:  48 in 12 units of work" in done.stdout
    assert "fewer at once with --jobs or --memory" in done.stdout
    assert "on this machine" in done.stdout
    assert "report" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert invoke("plan", "dem").exit_code == ExitCode.WRONG_USE


@pytest.mark.parametrize("text", ["0", "4 apples", "12KB", "-1GiB", ""])
def test_sizes_that_are_none(text):
    done = invoke("plan", "demo", f"--memory={text}")
    assert done.exit_code == ExitCode.WRONG_USE
    assert "--memory must be a size of at least 1MiB, such as 8GiB or 500MB" in done.stderr


def test_sizes():
    from aftertrace.cli._options import bytes_of

    assert [bytes_of(text) for text in ("8GiB", "8g", "500MB", "1.5 GiB")] == [2**33, 2**33, 5 * 10**8, 3 * 2**29]
    assert bytes_of(None) is None


def test_kept_models_and_a_device_that_is_not_there(tmp_path):
    done = invoke("run", "demo", *SMALL, "--keep-models", "--no-report", "--out", tmp_path / "run")
    assert done.exit_code == ExitCode.OK, done.output
    assert len(list((tmp_path / "run" / "models").glob("*.safetensors"))) == 12
    other = invoke("run", "demo", *SMALL, "--device", "cuda", "--out", tmp_path / "other")
    assert other.exit_code == ExitCode.WRONG_USE
    assert "Trees and forests are trained on device 'cpu', got 'cuda'" in other.stderr


def test_compiling_is_announced_where_it_is_still_to_come(tmp_path, monkeypatch):
    from aftertrace.scenarios import _run
    from aftertrace.trainers import is_compiled

    done = invoke("compile")
    assert done.exit_code == ExitCode.OK
    assert "Compiled in" in done.stdout
    assert is_compiled()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert not is_compiled()
    run = invoke("run", "demo", *SMALL, "--no-report", "--out", tmp_path / "run")
    assert run.exit_code == ExitCode.OK
    assert _run.COMPILING in run.stderr


@pytest.fixture
def another_year(tmp_path):
    """Unseen records that are older than deleted ones: age alone moves the posteriors, a deletion does not."""
    rng = np.random.default_rng(0)
    is_deleted = np.arange(400) < 200
    age = rng.normal(np.where(is_deleted, 40, 50), 10)
    before, after = rng.uniform(0.7, 0.8, 400), rng.uniform(0.55, 0.65, 400) + 0.01 * (age - 45)
    for name, values in (("v1", before), ("v2", after)):
        rows = [
            f"n{k},{'yes' if k % 3 else 'no'},{'deleted' if is_deleted[k] else 'unseen'},{p:.9f},{1 - p:.9f}"
            for k, p in enumerate(np.where(np.arange(400) % 3, values, 1 - values))
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["record,label,role,yes,no", *rows]))
    rows = [f"n{k},{age[k]:.1f},{'Zweibrücken' if rng.random() < 0.5 else ''}" for k in rng.permutation(400)]
    (tmp_path / "known.csv").write_text("\n".join(["record,years_of_age,town", *rows]))
    return tmp_path


def test_features_show_that_records_are_not_comparable_and_matching_repairs_it(another_year):
    gate, known = ("--fail-above", "auc=0.65"), ("--features", another_year / "known.csv")
    assert audit(another_year, *gate).exit_code == ExitCode.LIMIT_EXCEEDED
    seen = audit(another_year, *gate, *known)
    assert seen.exit_code == ExitCode.INVALID
    assert "the control blind tells them apart" in " ".join(seen.stdout.split())
    assert "without a counterpart: --match." in " ".join(seen.stdout.split())
    matched = audit(another_year, *gate, *known, "--match")
    assert matched.exit_code == ExitCode.OK
    assert "Matched by classes and features:" in " ".join(matched.stdout.split())
    assert "All figures hold for those kept only" in " ".join(matched.stdout.split())
    assert "--match" not in matched.stdout


def test_nothing_of_the_features_is_kept(another_year):
    out = another_year / "audit"
    known = ("--features", another_year / "known.csv", "--out", out)
    assert audit(another_year, *known).exit_code == ExitCode.INVALID
    first = json.loads((out / "result.json").read_text())
    refused = audit(another_year, *known, "--match")
    assert refused.exit_code == ExitCode.WRONG_USE
    assert "another audit (match = True instead of False)" in refused.stderr
    assert audit(another_year, *known, "--match", "--force").exit_code == ExitCode.OK
    second = json.loads((out / "result.json").read_text())
    assert first["data"]["fingerprint"] == second["data"]["fingerprint"]
    assert second["counts"]["deleted"] < first["counts"]["deleted"] == 200
    kept = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert b"years_of_age" not in kept
    assert "Zweibrücken".encode() not in kept
    assert set(pq.read_table(out / "scores.parquet").column_names).isdisjoint({"years_of_age", "town"})


def test_matching_leaves_retained_records_and_is_repeatable(another_year):
    text = (another_year / "v1.csv").read_text().replace("unseen", "retained", 60)
    (another_year / "v1.csv").write_text(text)
    (another_year / "v2.csv").write_text((another_year / "v2.csv").read_text().replace("unseen", "retained", 60))
    found = [
        aftertrace.audit(
            another_year / "v1.csv", another_year / "v2.csv", features=another_year / "known.csv", match=True
        )
        for _ in range(2)
    ]
    assert found[0].result == found[1].result  # although the pseudonyms differ
    assert found[0].result.counts.retained == 60
    assert found[0].result.settings["match"] is True


def test_too_few_that_can_be_compared(another_year):
    rows = [f"n{k},{k // 200}.{k}" for k in range(400)]
    (another_year / "known.csv").write_text("\n".join(["record,year", *rows]))
    done = audit(another_year, "--features", another_year / "known.csv", "--match")
    assert done.exit_code == ExitCode.WRONG_USE
    assert "Matching must leave at least 20 deleted and 20 unseen queries" in done.stderr
    assert "Traceback" not in done.output


def test_arrays_of_posteriors_have_arrays_of_features():
    rng = np.random.default_rng(0)
    before, after = rng.dirichlet([2, 2], 80), rng.dirichlet([2, 2], 80)
    given = {"label": [0, 1] * 40, "role": ["deleted"] * 40 + ["unseen"] * 40}
    with pytest.raises(aftertrace.errors.InputError, match=r"`features` must be an array \[Q, F\], and is a file"):
        aftertrace.audit(before, after, **given, features="x.csv")
    with pytest.raises(aftertrace.errors.InputError, match="a row for each of 80 queries"):
        aftertrace.audit(before, after, **given, features=[[1.0]])
    found = aftertrace.audit(before, after, **given, features=np.arange(80)[:, None])
    assert found.outcome == "invalid"
    by_class = aftertrace.audit(before, after, **given, match=True)
    assert by_class.result.notes[0].startswith("Matched by classes: 0 of 40 deleted and 0 of 40 unseen")


def test_a_claim_is_not_dropped_for_a_limit_but_can_be_taken_out():
    claimed = ("run", "demo", "--set", "verdict.claim={ epsilon = 1.0 }", "--fail-above", "auc=0.99")
    done = CliRunner().invoke(app, claimed)
    assert done.exit_code == ExitCode.WRONG_USE
    assert "claim" in done.stderr
    table = {"data": {"name": "wine"}, "verdict": {"claim": {"epsilon": 1.0}}}
    assert Experiment.from_dict(table).verdict.claim == Claim(epsilon=1.0)
    taken = Experiment.from_dict(table_of(table, ["verdict.claim={}", "limits.auc=0.9"]))
    assert taken.verdict.claim is None
    with pytest.raises(ExperimentError, match="data"):
        Experiment.from_dict({**table, "data": {}})  # not everything may be absent
