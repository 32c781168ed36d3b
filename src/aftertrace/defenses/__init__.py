"""Defenses: what is done to posteriors before anybody sees them.

defense = parse_defense("TopK(1)")                                  # or TopK(1); names as in experiment files
released = defend(table, defense, seed=0, side="target")            # every version, every class-valued probe
cost = utility_cost(table, released)                                # accuracy and Brier score, with intervals
check_defense(defense)                                              # conformance of your own
"""

from aftertrace.defenses._conformance import DEFENSE_CHECKS, check_defense
from aftertrace.defenses._cost import UtilityCost, utility_cost
from aftertrace.defenses._defend import defend
from aftertrace.defenses._names import DEFENSES, parse_defense
from aftertrace.defenses._noise import KeyedNoise
from aftertrace.defenses._protocol import Defense
from aftertrace.defenses._release import LabelOnly, Rounding, Temperature, TopK

__all__ = [
    "DEFENSES",
    "DEFENSE_CHECKS",
    "Defense",
    "KeyedNoise",
    "LabelOnly",
    "Rounding",
    "Temperature",
    "TopK",
    "UtilityCost",
    "check_defense",
    "defend",
    "parse_defense",
    "utility_cost",
]
