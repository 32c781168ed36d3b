"""Audit two models of a Privacy Meter run: the original, and its update after the deletions.

    python privacy_meter.py LOG_DIR BEFORE AFTER

LOG_DIR is the `log_dir` of the run (attack RMIA); BEFORE and AFTER are the numbers of the two models, from 0.
"""

import sys
from pathlib import Path

from aftertrace.interchange import Signal, read_privacy_meter
from aftertrace.report import as_text
from aftertrace.scenarios import Brought, audit_posteriors


def main(log_dir: Path, before: int, after: int) -> None:
    """Print the verdict and what it rests on."""
    population = log_dir / "signals" / "rmia_signals_pop.npy"
    table = read_privacy_meter(
        log_dir / "signals" / "rmia_signals.npy",
        log_dir / "models" / "memberships.npy",
        before=before,
        after=after,
        signal=Signal.SOFTMAX,
        population=population if population.is_file() else None,
    )
    result, _ = audit_posteriors(Brought(table=table))
    print(as_text(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
