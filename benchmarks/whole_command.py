"""The whole command of the tree experiment on Adult against the plain sequential script (issue-sized and larger).

    AFTERTRACE_DATA=... python benchmarks/whole_command.py [--rounds 3]

Interleaved rounds, medians; both commands do every cell (5 features and the classical attack with 4 classifiers);
ours also does the attacks without training, all statistics and the controls, and writes no report. Memory: the
largest resident set of any single process, and of the whole process tree (sum of proportional set sizes).
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


def measure(command):
    """Seconds, MiB of the largest process, MiB of the tree."""
    peak, done = [0], threading.Event()
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def watch():
        while not done.wait(0.2):
            peak[0] = max(peak[0], proportional(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{error.decode()[-2000:]}")
    return seconds, usage.ru_maxrss / 1024, peak[0] / 1024


def ours(originals, jobs, out):
    sizes = [f"--set=scenario.{side}.originals={originals}" for side in ("shadow", "target")]
    shutil.rmtree(out, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("aftertrace")), "run", "adult-tree", *sizes]
    return [*command, "--set=scenario.pools=fixed", "--out", str(out), "--jobs", str(jobs), "--no-report"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    adult = Path(os.environ.get("AFTERTRACE_DATA", "")) / "adult"
    if not (adult / "adult.data").is_file():
        sys.exit("Set AFTERTRACE_DATA to a folder that holds adult/adult.data and adult/adult.test.")
    import sklearn.tree  # noqa: F401 - so that its libraries are listed

    for pool in threadpool_info():
        print(pool["internal_api"], pool.get("version"), pool.get("architecture", ""), pool["num_threads"], "threads")
    print(f"{'case':<34}{'sequential s':>14}{'ours s':>9}{'ratio':>8}{'one process':>13}{'all':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for originals, jobs in ((10, 1), (10, 2), (100, 2)):
            slow, fast = [], []
            for _ in range(rounds):
                slow.append(measure([sys.executable, str(HERE / "sequential.py"), str(adult), str(originals)]))
                fast.append(measure(ours(originals, jobs, Path(folder) / "run")))
            ratio = statistics.median(a[0] / b[0] for a, b in zip(slow, fast, strict=True))
            seconds = [statistics.median(each[0] for each in column) for column in (slow, fast)]
            memory = [max(each[k] for each in fast) for k in (1, 2)]
            print(
                f"{originals} + {originals} originals, --jobs {jobs:<9}{seconds[0]:>14.1f}{seconds[1]:>9.1f}"
                f"{ratio:>8.2f}{memory[0]:>9.0f} MiB{memory[1]:>5.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
