"""What `aftertrace plan` says against what `aftertrace run` takes, as whole commands with the report.

    AFTERTRACE_DATA=... python benchmarks/plan.py [--rounds 3] [--only adult]

On an idle machine each estimate must be within 1.5 times of the measured time, either way.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("aftertrace"))
SECONDS = {"s": 1, "min": 60, "h": 3600}
CASES = {
    "demo": ["demo"],
    "adult-tree": ["adult-tree"],
    "adult-logistic": ["adult-logistic"],
    "adult-logistic, 60 + 60 originals": [
        "adult-logistic",
        *(f"--set=scenario.{side}.originals=60" for side in ("shadow", "target")),
    ],
    "adult-forest": ["adult-forest"],
    "adult mlp, 30 epochs": ["adult-tree", "--set=model.name=mlp", "--set=model.preset=working",
                             "--set=procedure.seed=fresh"],
    "location-tree": ["location-tree"],
    "digits, any scikit-learn classifier": ["demo", "--set=model.name=sklearn.naive_bayes:GaussianNB"],
}  # fmt: skip


def seconds_of(words):
    began = time.perf_counter()
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 4):
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - began, done.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(f"{'case':<40}{'jobs':>5}{'planned s':>11}{'measured s':>12}{'ratio':>8}{'planning s':>12}")
    for name, words in CASES.items():
        if options.only not in name:
            continue
        for jobs in (1, 2):
            for _ in range(options.rounds):
                took, text = seconds_of(["plan", *words, f"--jobs={jobs}"])
                number, unit = re.search(r"Time:\s+about ([\d.]+) (s|min|h)", text).groups()
                planned = float(number) * SECONDS[unit]
                folder = tempfile.mkdtemp()
                measured, _ = seconds_of(["run", *words, f"--jobs={jobs}", "--force", "--out", folder])
                shutil.rmtree(folder)
                ratio = planned / measured
                mark = "" if 1 / 1.5 <= ratio <= 1.5 else "  beyond 1.5"
                print(
                    f"{name:<40}{jobs:>5}{planned:>11.1f}{measured:>12.1f}{ratio:>8.2f}{took:>12.1f}{mark}", flush=True
                )


if __name__ == "__main__":
    main()
