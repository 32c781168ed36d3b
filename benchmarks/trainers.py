"""Trainers on one pinned core against sequential refits: ratios of times per model, as medians of interleaved rounds.

    AFTERTRACE_DATA=... python benchmarks/trainers.py [--only SUBSTRING] [--rounds 5]

(a) against a loop of scikit-learn refits at its default tolerance, or a tight torch loop; (b) against scikit-learn at
equal accuracy. A round times ours, (a) and (b) after one another; the first round compiles and is not counted. Ours
trains all models of a case, while (a) and (b) train a few of the same models each round: both are divided by their
number of models. A ratio is the median over rounds, with the lowest and highest beside it. "deviation" is how far our
posteriors of some of the models are from the slow twin; "of (b)" is how far those of the equally accurate loop are.
Without AFTERTRACE_DATA, tables of the same shapes are made up.
"""

import argparse
import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "torch")
HEAD = (
    f"{'case':<52}{'ours':>9}{'(a)':>9}{'ratio (a)':>22}{'floor':>7}{'aim':>6}"
    f"{'(b)':>9}{'ratio (b)':>22}{'floor':>7}{'deviation':>11}{'of (b)':>9}"
)


def pin():
    """To one core and one thread; before numpy is imported, which reads the limits then."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    os.environ.update(dict.fromkeys(THREADS, "1"))
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    return core


def settings(core):
    from sklearn.utils import _openmp_helpers  # noqa: F401 - so that its OpenMP is listed
    from threadpoolctl import threadpool_info

    cpu = Path("/proc/cpuinfo").read_text().partition("model name")[2].partition("\n")[0].strip("\t :")
    print(f"{cpu}, pinned to core {core} of {os.cpu_count()}; {', '.join(f'{name}=1' for name in THREADS)}")
    for pool in threadpool_info():
        words = (pool["internal_api"], pool.get("version"), pool.get("architecture"), f"{pool['num_threads']} thread")
        print("  " + ", ".join(word for word in words if word) + f" ({Path(pool['filepath']).name})")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in PACKAGES))


def measure(case, rounds):
    """Seconds per model by round, of ours, (a) and, where there is one, (b)."""
    works = [work for work in (case.ours, case.plain, case.equal) if work]
    return list(zip(*[[work() for work in works] for _ in range(rounds + 1)][1:], strict=True))


def ratio(theirs, ours):
    """Median, lowest and highest."""
    each = [a / b for a, b in zip(theirs, ours, strict=True)]
    return statistics.median(each), min(each), max(each)


def line(case, rounds):
    """The case's line, and whether it holds what it should."""
    ours, *others = measure(case, rounds)
    ratios, floors = [ratio(each, ours) for each in others], (case.floor, case.floor_equal)
    deviations = case.deviations()
    low = any(floor and found[0] < floor for found, floor in zip(ratios, floors, strict=False))
    off = deviations[0] > case.allowed
    cells = [f"{case.name:<52}", milliseconds(ours)]
    for theirs, found, limits in zip(others, ratios, ((case.floor, case.aim), (case.floor_equal,)), strict=False):
        cells += [milliseconds(theirs), f"{found[0]:8.2f} [{found[1]:5.1f}-{found[2]:5.1f}]"]
        cells += [f"{limit or '-':>{width}}" for limit, width in zip(limits, (7, 6), strict=False)]
    cells += [f"{'-':>9}{'-':>22}{'-':>7}"] * (2 - len(others))
    cells += [f"{each:>{width}.0e}" for each, width in zip(deviations, (11, 9), strict=False)]
    marks = "  < floor" * low + "  > allowed deviation" * off
    return "".join(cells) + marks, not marks


def milliseconds(rounds):
    return f"{1e3 * statistics.median(rounds):9.3f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="cases whose names hold it")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    core = pin()
    from _trainer_cases import cases, tables

    settings(core)
    print(f"Tables: {tables()}")
    chosen = [case for case in cases() if arguments.only in case.name]
    print(f"Milliseconds per model, medians of {arguments.rounds} interleaved rounds [lowest - highest ratio]\n{HEAD}")
    missed = []
    for case in chosen:
        text, holds = line(case, arguments.rounds)
        print(text, flush=True)
        missed += [] if holds else [case.name]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} hold" + f"; not: {'; '.join(missed)}" * bool(missed))


if __name__ == "__main__":
    main()
