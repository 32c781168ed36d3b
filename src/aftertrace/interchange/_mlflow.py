"""An audit as a run of MLflow."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from aftertrace.errors import StoreError
from aftertrace.interchange._optional import optional
from aftertrace.results import AttackResult, Result
from aftertrace.statistics import Interval

LONGEST_VALUE = 500
"""Of a setting, in characters: what every store of MLflow 2 and 3 takes."""


class FinishedAudit(Protocol):
    """What `aftertrace.audit` and `aftertrace.run` give."""

    @property
    def result(self) -> Result:
        """What was found."""
        ...

    def to_html(self, path: Path | str) -> Path:
        """Write the report."""
        ...


def log_to_mlflow(audit: FinishedAudit, *, experiment: str | None = None, run_name: str | None = None) -> str:
    """Keep an audit as a run of MLflow, and return the run's id. Needs mlflow or mlflow-skinny.

    Where to (a server, a database, a folder) is MLflow's own setting, `MLFLOW_TRACKING_URI`. `experiment`: by name,
    made where there is none; by default MLflow's current one. Where a run is active, the new one becomes its child.

    Params: the settings, with dotted names; metrics: `metrics_of`; tags: `aftertrace.outcome`, `aftertrace.attack` and
    `aftertrace.data` (fingerprint), and the verdict's sentence as the run's description; artifacts: `result.json` and
    `report.html`. The key of the report's pseudonyms stays where it is.

    Raises `UnsupportedError` where MLflow is not installed, `StoreError` where it does not take the run.
    """
    mlflow = optional("mlflow", package="mlflow-skinny", purpose="Keeping an audit in MLflow")
    result = audit.result
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "result.json").write_text(result.to_json(), encoding="utf-8")
        audit.to_html(Path(folder, "report.html"))
        try:
            home = None if experiment is None else _experiment(mlflow, experiment)
            with mlflow.start_run(experiment_id=home, run_name=run_name, nested=True) as run:
                mlflow.log_params(_params(result.settings))
                mlflow.log_metrics(metrics_of(result))
                mlflow.set_tags(_tags(result))
                mlflow.log_artifacts(folder)
        except mlflow.exceptions.MlflowException as error:
            # its address stays out of the message: it may hold a password
            raise StoreError(f"MLflow did not take the run ({' '.join(str(error).split())}).") from error
    return str(run.info.run_id)


def metrics_of(result: Result) -> dict[str, float]:
    """The figures of a result under MLflow's kind of names; what could not be computed is left out.

    `auc`, `auc_low`, `auc_high` and likewise `tpr_at_1pct` and so on, of the verdict's attack; the same below
    `attacks/NAME/` for every attack; `limits/NAME` with `_limit`, `_low` and `_high`; `accuracy_before`,
    `accuracy_after` and `accuracy_lost` on unseen records; `deleted`, `unseen`, `originals`.
    """
    counts = result.counts
    figures: dict[str, float | None] = {
        "deleted": counts.deleted,
        "unseen": counts.unseen,
        "originals": counts.originals,
        **_of_attack(result.attack(result.verdict.attack), ""),
    }
    for attack in result.attacks:
        figures |= _of_attack(attack, f"attacks/{attack.name}/")
    for check in result.verdict.checks:
        at = f"limits/{check.name}"
        figures |= {at: check.estimate, f"{at}_limit": check.limit, f"{at}_low": check.low, f"{at}_high": check.high}
    if result.update is not None:
        figures |= {"accuracy_before": result.update.before, "accuracy_after": result.update.after}
        figures |= _of_interval(result.update.lost, "accuracy_lost")
    return {_name(name): float(value) for name, value in figures.items() if value is not None}


def _of_attack(attack: AttackResult, at: str) -> dict[str, float | None]:
    figures = _of_interval(attack.auc, f"{at}auc")
    for rate in attack.rates:
        if rate.tpr is not None:
            figures |= _of_interval(rate.tpr, f"{at}tpr_at_{100 * rate.fpr:g}pct")
    return figures


def _of_interval(found: Interval, name: str) -> dict[str, float | None]:
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def _experiment(mlflow: Any, name: str) -> str:
    known = mlflow.get_experiment_by_name(name)
    return str(mlflow.create_experiment(name) if known is None else known.experiment_id)


def _params(settings: Mapping[str, Any]) -> dict[str, str]:
    return {_name(name): value[:LONGEST_VALUE] for name, value in _flat(settings)}


def _flat(settings: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names, and values as JSON, texts as they are."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{at}{name}.")
        else:
            yield f"{at}{name}", value if isinstance(value, str) else json.dumps(value)


def _tags(result: Result) -> dict[str, str]:
    return {
        "aftertrace.outcome": result.verdict.outcome.value,
        "aftertrace.attack": result.verdict.attack,
        "aftertrace.data": result.data.fingerprint,
        "mlflow.note.content": result.verdict.sentence,
    }


def _name(name: str) -> str:
    """A name that every store takes."""
    return re.sub(r"[^\w\-. /]", "_", name)
