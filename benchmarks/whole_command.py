"""The whole command on Adult against the plain sequential script, at the size of the released code and at ten times it.

    AFTERTRACE_DATA=... python benchmarks/whole_command.py [--only tree] [--rounds 3]

Interleaved rounds, medians; both commands do every cell (5 features and the classical attack with 4 classifiers); ours
also does the attacks without training, all statistics, the controls and the certificate, and writes no report. Memory:
the largest resident set of any single process, and of the whole process tree (sum of proportional set sizes).

Where the sequential script would need many minutes, it trains and queries 10 originals a side, and the time of that
part is multiplied; its attacks are at full size. Such a row says so.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_info

HERE = Path(__file__).parent


def proportional(pid):
    """Proportional set size of a process and all below it, in KiB."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += proportional(child)
    except OSError:
        pass
    return total


def measure(command, *, watched=False):
    peak, done = [0], threading.Event()
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def watch():
        while not done.wait(0.2):
            peak[0] = max(peak[0], proportional(process.pid))

    watcher = threading.Thread(target=watch)
    if watched:
        watcher.start()
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if watched:
        done.set()
        watcher.join()
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{output[-2000:]}")
    return Measured(seconds, usage.ru_maxrss / 1024, peak[0] / 1024, output)


@dataclass(frozen=True)
class Measured:
    """Seconds, MiB of the largest process, MiB of all, and what was printed."""

    seconds: float
    process: float
    tree: float
    output: str


@dataclass(frozen=True)
class Case:
    name: str
    model: str  # of sequential.py
    settings: tuple[str, ...]
    originals: int
    jobs: int
    timed_at: int | None = None  # originals that the sequential script trains, if not all

    def __str__(self):
        return f"{self.name}, {self.originals} + {self.originals} originals, --jobs {self.jobs}"


PAPER = ("scenario.pools=fixed", "procedure.seed=same")
MODELS = {
    "tree": ("tree", ("model.name=tree", *PAPER)),
    "logistic": ("logistic", ("model.name=logistic", *PAPER)),
    "mlp, 30 epochs": ("mlp", ("model.name=mlp", "scenario.pools=fixed", "procedure.seed=fresh")),
    "forest, coupled": ("forest", ("model.name=forest", "scenario.pools=fixed", "procedure.seed=coupled")),
    "forest, fresh": ("forest", ("model.name=forest", "scenario.pools=fixed", "procedure.seed=fresh")),
}
FLOORS = {"tree": 5, "logistic": 6, "mlp, 30 epochs": 5, "forest, coupled": 20, "forest, fresh": 4}


def cases():
    for jobs in (1, 2):
        yield Case("tree", *MODELS["tree"], originals=10, jobs=jobs)
    for name, (model, settings) in MODELS.items():
        for jobs in (1, 2):
            yield Case(
                name, model, settings, originals=100, jobs=jobs, timed_at=10 if model in ("forest", "mlp") else None
            )


def sequential(case, adult):
    """Seconds of the sequential script, at the case's size."""

    trained = case.timed_at or case.originals
    script = [sys.executable, str(HERE / "sequential.py"), str(adult)]
    found = measure([*script, str(case.originals), case.model, str(trained)])
    training = float(found.output.split()[0])
    return found.seconds + training * (case.originals / trained - 1)


def ours(case, out):
    """The command, for a folder that is not there yet."""
    shutil.rmtree(out, ignore_errors=True)
    settings = [*case.settings, *(f"scenario.{side}.originals={case.originals}" for side in ("shadow", "target"))]
    command = [str(Path(sys.executable).with_name("aftertrace")), "run", "adult-tree", "--set=model.preset=working"]
    settings += ["attacks.learned=[]", "verdict.attack=LogitDrop"]  # the script has no attack that learns more
    changes = [f"--set={setting}" for setting in settings]
    return [*command, *changes, "--out", str(out), "--jobs", str(case.jobs), "--no-report"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose line starts so")
    options = parser.parse_args()
    adult = Path(os.environ.get("AFTERTRACE_DATA", "")) / "adult"
    if not (adult / "adult.data").is_file():
        sys.exit("Set AFTERTRACE_DATA to a folder that holds adult/adult.data and adult/adult.test.")
    import sklearn.tree  # noqa: F401 - so that its libraries are listed

    for pool in threadpool_info():
        print(pool["internal_api"], pool.get("version"), pool.get("architecture", ""), pool["num_threads"], "threads")
    print(f"{'case':<52}{'sequential s':>14}{'ours s':>9}{'ratio':>8}{'floor':>7}{'one process':>14}{'all':>10}")
    known = {}  # a sequential time serves both numbers of jobs at ten times the size: it takes long
    with tempfile.TemporaryDirectory() as folder:
        for case in cases():
            if not str(case).startswith(options.only):
                continue
            slow, fast = [], []
            for number in range(options.rounds):
                again = (case.model, case.originals, number)
                if again not in known or case.originals == 10:
                    known[again] = sequential(case, adult)
                slow.append(known[again])
                fast.append(measure(ours(case, Path(folder) / "run")))
            ratio = statistics.median(a / b.seconds for a, b in zip(slow, fast, strict=True))
            # reading a process's pages holds it up: memory is that of one more round
            last = measure(ours(case, Path(folder) / "run"), watched=True)
            memory = [last.process, last.tree]
            floor = str(FLOORS[case.name]) if case.originals == 100 else "-"
            note = (
                ""
                if case.timed_at is None
                else f"  sequential training of {case.timed_at} + {case.timed_at} multiplied"
            )
            print(
                f"{case!s:<52}{statistics.median(slow):>14.1f}{statistics.median(each.seconds for each in fast):>9.1f}"
                f"{ratio:>8.2f}{floor:>7}{memory[0]:>10.0f} MiB{memory[1]:>6.0f} MiB{note}",
                flush=True,
            )


if __name__ == "__main__":
    main()
