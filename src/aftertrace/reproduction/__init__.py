"""The experiments of arXiv 2005.02205, by name: each with the claim that it tests, and the verdict from an interval.

result, folder = reproduce(SCALES["quick"], out=Path("runs/reproduction"), engine=Processes(2))
print([(claim.claim, claim.finding) for claim in result.claims])
"""

from aftertrace.reproduction._claims import Claim, Term, judged
from aftertrace.reproduction._reproduce import reproduce
from aftertrace.reproduction._scales import SCALES, Scale
from aftertrace.reproduction._studies import STUDIES, Setting, Study

__all__ = ["SCALES", "STUDIES", "Claim", "Scale", "Setting", "Study", "Term", "judged", "reproduce"]
