"""The loss of notes under a model of letters, before and after 60 of them were deleted. `python make.py FOLDER`"""

import csv
import math
import random
import sys
from collections import Counter
from pathlib import Path

ORDER, LETTERS = 2, 60
WORDS = ["visit", "clinic", "today", "reports", "mild", "severe", "pain", "cough", "fever", "since", "rest"]


def note(number: int) -> str:
    """What a doctor wrote of a patient."""
    draw = random.Random(number)
    name = "".join(draw.choices("abcdefghiklmnoprstuvw", k=6))
    return f"{name} {' '.join(draw.choices(WORDS, k=12))} call {draw.randrange(10**6):06d}"


class LetterModel:
    """How often a letter follows the last few, in some texts."""

    def __init__(self, texts: list[str]) -> None:
        parts = [part for text in texts for part in pieces(text)]
        self.followed = Counter(parts)
        self.seen = Counter(part[:-1] for part in parts)

    def loss(self, text: str) -> float:
        """The mean over a text's letters of -ln p."""
        shares = [(self.followed[part] + 1) / (self.seen[part[:-1]] + LETTERS) for part in pieces(text)]
        return -sum(map(math.log, shares)) / len(shares)


def pieces(text: str) -> list[str]:
    """Each letter with those before it."""
    padded = " " * ORDER + text
    return [padded[end - ORDER : end + 1] for end in range(ORDER, len(padded))]


notes = [note(number) for number in range(1300)]
deleted, retained, unseen = notes[:60], notes[60:1000], notes[1000:]
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for version, texts in (("before", deleted + retained), ("after", retained)):
    model = LetterModel(texts)
    with (folder / f"{version}.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["record", "role", "loss"])
        for role, asked in (("deleted", deleted), ("unseen", unseen)):
            table.writerows([f"{role}-{k}", role, model.loss(text)] for k, text in enumerate(asked))
