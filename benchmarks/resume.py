"""Kills a run with SIGKILL at random moments, resumes it, and compares every byte of its result.

    python benchmarks/resume.py [--kills 20] [--seed 0]

Also runs with one and two workers. Ends with a line per comparison; exits with 1 if any differs.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = [f"--set=scenario.{side}.{key}" for side in ("shadow", "target") for key in ("originals=30", "pairs=20")]


def command(out, jobs=2):
    aftertrace = str(Path(sys.executable).with_name("aftertrace"))
    return [aftertrace, "run", "demo", *SIZES, "--out", str(out), "--jobs", str(jobs), "--no-report"]


def finish(out, jobs=2):
    subprocess.run(command(out, jobs), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (out / "result.json").read_bytes()


def kill_after(seconds, out):
    """Start the command in a group of its own and kill all of it. Did it live that long?"""
    process = subprocess.Popen(
        command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        reference = finish(Path(folder) / "straight", jobs=1)
        whole = time.perf_counter() - started
        print(f"straight, --jobs 1: {whole:.1f} s, result.json of {len(reference)} bytes")
        same = {"--jobs 2": finish(Path(folder) / "two", jobs=2) == reference}
        number = 0
        while number < arguments.kills:
            out = Path(folder) / f"killed-{number}"
            moment = moments.uniform(0.3, whole)
            if not kill_after(moment, out):  # had finished: another moment
                shutil.rmtree(out)
                continue
            number += 1
            units = len(list((out / "posteriors").glob("*.parquet"))) if out.exists() else 0
            same[f"{number:2d}. killed after {moment:4.1f} s, {units:2d} of 60 units kept"] = finish(out) == reference
    for name, equal in same.items():
        print(f"{name}: {'byte-identical' if equal else 'DIFFERENT'}")
    print(f"{sum(same.values())} of {len(same)} identical")
    sys.exit(not all(same.values()))


if __name__ == "__main__":
    main()
