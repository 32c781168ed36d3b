"""Interchange: what other tools keep, read as posteriors, and what an audit found, for other tools.

Files of Privacy Meter and SACRO-ML become the same table as posteriors that a user brings. Nothing is unpickled.

    table = read_privacy_meter("signals/rmia_signals.npy", "models/memberships.npy", before=0, after=1,
                               signal=Signal.SOFTMAX)            # scores [Q, 2, 1], roles from memberships
    table = read_sacro("target_before", "target_after")          # posteriors [Q, 2, K], roles from training sets
    Path("scores.csv").write_bytes(scores_to_csv(audit.scores))  # as scores.parquet
    run = log_to_mlflow(audit, experiment="releases")            # params, metrics, report
"""

from aftertrace.interchange._mlflow import FinishedAudit, log_to_mlflow, metrics_of
from aftertrace.interchange._privacy_meter import Signal, read_privacy_meter
from aftertrace.interchange._sacro import read_sacro
from aftertrace.interchange._scores import scores_from_csv, scores_to_csv

__all__ = [
    "FinishedAudit",
    "Signal",
    "log_to_mlflow",
    "metrics_of",
    "read_privacy_meter",
    "read_sacro",
    "scores_from_csv",
    "scores_to_csv",
]
