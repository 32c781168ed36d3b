"""aftertrace audits what machine unlearning gives away about the people who asked to be deleted.

import aftertrace as at

run = at.run("demo")                                  # simulate: train, unlearn, attack, judge
audit = at.audit(v1, v2, deleted=(x1, y1), unseen=(x2, y2), limits={"auc": 0.6})     # two models of your own
audit = at.audit("v1.csv", "v2.csv")                  # or what they answered
print(audit)                                          # verdict, AUC with interval, rates
audit.to_html("report.html")
grid = at.sweep("sweep")                              # many runs at once, sharing what they train
exposed = at.exposure("wine", model="tree")           # every record deleted in turn: how strongly does it show?

The concepts can be used by themselves: `aftertrace.posteriors`, `.attacks`, `.statistics`, `.trainers`,
`.procedures`, `.defenses`, `.scenarios`, `.engine`, `.store`, `.data`, `.results`, `.report`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aftertrace._api import Reproduction, SweepAudit, reproduce, run, sweep
    from aftertrace._audit import audit
    from aftertrace._exposed import ExposureAudit, exposure
    from aftertrace._finished import Audit
    from aftertrace.posteriors import Posteriors
    from aftertrace.results import Limits

__version__ = "0.1.0"
__all__ = [
    "Audit",
    "ExposureAudit",
    "Limits",
    "Posteriors",
    "Reproduction",
    "SweepAudit",
    "__version__",
    "audit",
    "exposure",
    "reproduce",
    "run",
    "sweep",
]

_HOMES = {
    "Audit": "_finished",
    "ExposureAudit": "_exposed",
    "Limits": "results",
    "Posteriors": "posteriors",
    "Reproduction": "_api",
    "SweepAudit": "_api",
    "audit": "_audit",
    "exposure": "_exposed",
    "reproduce": "_api",
    "run": "_api",
    "sweep": "_api",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that `import aftertrace` costs nothing."""
    if name in _HOMES:
        return getattr(import_module(f"aftertrace.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'aftertrace' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
