"""Scenarios: who trains which model, who is deleted, what is queried; and the simulation itself.

experiment = Experiment.from_toml("adult-tree", changes=["model.name=forest"])
run = run_experiment(experiment, out=Path("runs/forest"), engine=Processes(2))
print(run.result.verdict.sentence)
units = draw_units(experiment.scenario, n_records=48_842, seed=0)          # records only, nothing trained
result, scores = audit_posteriors(Brought(table=table))                    # posteriors that you bring
rows, certificate = expose(data, Model(name="logistic").trainer())         # every record deleted in turn
"""

from aftertrace.scenarios._assess import Assessment, assess
from aftertrace.scenarios._audit import AuditSettings, Brought, audit_posteriors
from aftertrace.scenarios._canaries import check_canaries, guess_rules, judge_canaries, make_canaries
from aftertrace.scenarios._draw import Queries, Unit, draw_units
from aftertrace.scenarios._experiment import Experiment, examples, find_experiment
from aftertrace.scenarios._exposure import expose
from aftertrace.scenarios._identity import circumstances
from aftertrace.scenarios._plan import Plan, plan
from aftertrace.scenarios._risk import limits_of, read_limits
from aftertrace.scenarios._run import Run, run_experiment
from aftertrace.scenarios._sequential import MOST_ORIGINALS
from aftertrace.scenarios._settings import (
    AttackSettings,
    ProcedureSettings,
    Scenario,
    ShadowSettings,
    Side,
    VerdictSettings,
)
from aftertrace.scenarios._shadow import ShadowPlan, ShadowSide, check_taught, shadow_plan
from aftertrace.scenarios._simulate import Probe, Simulation, simulate
from aftertrace.scenarios._sweep import Cell, Sweep, is_sweep, run_cells, run_sweep
from aftertrace.scenarios._toml import nested, table_of, to_toml
from aftertrace.scenarios._verdict import Judgement, judge

__all__ = [
    "MOST_ORIGINALS",
    "Assessment",
    "AttackSettings",
    "AuditSettings",
    "Brought",
    "Cell",
    "Experiment",
    "Judgement",
    "Plan",
    "Probe",
    "ProcedureSettings",
    "Queries",
    "Run",
    "Scenario",
    "ShadowPlan",
    "ShadowSettings",
    "ShadowSide",
    "Side",
    "Simulation",
    "Sweep",
    "Unit",
    "VerdictSettings",
    "assess",
    "audit_posteriors",
    "check_canaries",
    "check_taught",
    "circumstances",
    "draw_units",
    "examples",
    "expose",
    "find_experiment",
    "guess_rules",
    "is_sweep",
    "judge",
    "judge_canaries",
    "limits_of",
    "make_canaries",
    "nested",
    "plan",
    "read_limits",
    "run_cells",
    "run_experiment",
    "run_sweep",
    "shadow_plan",
    "simulate",
    "table_of",
    "to_toml",
]
