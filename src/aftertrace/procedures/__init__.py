"""Procedures: how a deployer learns and forgets.

procedure = Retrain(trainer, Seeding.SAME)
original = procedure.learn(data, keep[:1], streams=streams[:1])                    # keep [B, N]
unlearned = procedure.forget(original, data, base, keep[1:], streams=streams[1:])  # base [M] into B
later = procedure.forget(unlearned, data, base, keep_later, streams=streams_later) # versions chain
sharded = Sisa(trainer, shards=10)                                                 # trains the touched shard anew
check_procedure(procedure)                                                         # conformance of your own
"""

from aftertrace.procedures._amnesiac import Amnesiac, LinearModels, Remembered
from aftertrace.procedures._conformance import PROCEDURE_CHECKS, check_procedure
from aftertrace.procedures._protocol import Memoryless, Procedure, State
from aftertrace.procedures._retrain import Retrain, Retrained
from aftertrace.procedures._sisa import Sharded, Sisa, SisaModels

__all__ = [
    "PROCEDURE_CHECKS",
    "Amnesiac",
    "LinearModels",
    "Memoryless",
    "Procedure",
    "Remembered",
    "Retrain",
    "Retrained",
    "Sharded",
    "Sisa",
    "SisaModels",
    "State",
    "check_procedure",
]
