"""The start of an experiment that widens one pair of models to many: all that an audit knows, and blanks."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from textwrap import fill
from typing import Any

from aftertrace.results import Claim, DeletionUnit, Limits
from aftertrace.scenarios._blanks import BLANK
from aftertrace.scenarios._recipe import Recipe
from aftertrace.scenarios._toml import literal
from aftertrace.statistics import MIN_ORIGINALS
from aftertrace.trainers._presets import NONE

SIMULATION = "simulation.toml"
"""What the file is called wherever it is spoken of."""
ORIGINALS = 10
_DELETED = 20  # queries of an original that deletions of single records bring by default; groups reach them sooner
_WIDTH = 100
_UNSEEN = 100  # of a pair, at most: with 10 originals and two pairs enough for a rate at 1 % false alarms


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What an audit of one pair knows of a simulation: `deleted` units left between `versions` of a model.

    `scores`: the models answer with one number for each record, which no trainer of a simulation does. `limits`: as
    given, without that of the `claim`.
    """

    deleted: int
    versions: int = 2
    unit: DeletionUnit = "record"
    classes: tuple[str, ...] = ()
    scores: bool = False
    recipe: Recipe = field(default_factory=Recipe)
    limits: Limits = field(default_factory=Limits)
    claim: Claim | None = None
    confidence: float = 0.95

    @property
    def group(self) -> int:
        """Deletions of one update."""
        return -(-self.deleted // (self.versions - 1))

    @property
    def pairs(self) -> int:
        """Updates of an original: enough for as many deleted queries as single deletions have, and at least two."""
        return max(2, -(-_DELETED // self.group))

    @property
    def unseen(self) -> int:
        """Unseen records of a pair that are queried, and as many that are held out."""
        return min(self.group * (self.versions - 1), _UNSEEN)

    def models(self, originals: int = ORIGINALS) -> int:
        """How many the starter trains on both sides, with that many originals on each."""
        return 2 * originals * (1 + self.pairs)

    def product(self, originals: int = ORIGINALS) -> str:
        """`models` as it comes about."""
        return f"2 x {originals} x {1 + self.pairs} = {self.models(originals)}"


def starter(pair: Pair) -> str:
    """The text of an experiment file. It is one as soon as its blanks are filled in."""
    sections = [_head(pair), _data(pair), _model(pair.recipe), _procedure(pair.recipe), *_scenario(pair)]
    return "\n\n".join([*sections, *_verdict(pair)]) + "\n"


def _head(pair: Pair) -> str:
    return "\n".join(
        [
            "# Many pairs of models like yours, by your own training: the start of an experiment, made by an audit.",
            f'# 1. Fill in what says "{BLANK}".',
            f"# 2. aftertrace plan {SIMULATION}    how long does it take?",
            f"# 3. aftertrace run {SIMULATION}     the audit of all pairs",
            f"# It trains {pair.product()} models: on two sides {ORIGINALS} originals, each with {pair.pairs} updates.",
            f"# The fewest that have an interval are {MIN_ORIGINALS} originals on either side:"
            f" {pair.product(MIN_ORIGINALS)} models.",
            "# All settings: docs/simulation.md and docs/experiments.md.",
        ]
    )


def _data(pair: Pair) -> str:
    room = (
        f"a CSV file of records like yours; best with twice as many {pair.unit}s as trained your model, and "
        f"{4 * pair.unseen} more; with fewer, see `records` below"
    )
    classes = f": {', '.join(map(_short, pair.classes[:5]))}{', ...' if len(pair.classes) > 5 else ''}"
    lines = [
        _line("name", "csv"),
        _line("path", BLANK, room),
        _line("target", pair.recipe.target, f"its column of classes{classes if pair.classes else ''}"),
    ]
    if pair.unit == "person":
        lines.append(_line("person", pair.recipe.person, "its column that says whose record each is"))
    if pair.recipe.frame:
        lines.append(_line("encoding", "frame", "your model takes a table, with texts and names of columns"))
    return "\n".join(["[data]", *lines, '# drop = ["number"]: columns that your model does not see'])


def _model(recipe: Recipe) -> str:
    unknown = "" if recipe.remarks else "how you train: import path of a class or function, or command"
    note = unknown if recipe.name == BLANK else "as your model says itself"
    lines = [*map(_comment, recipe.remarks), _line("name", recipe.name, note)]
    is_none = '"None" is Python\'s None, which TOML has no word for' if NONE in recipe.params.values() else ""
    return "\n".join(["[model]", *lines, *([_line("params", recipe.params, is_none)] if recipe.params else [])])


def _procedure(recipe: Recipe) -> str:
    if recipe.repeats:
        return "[procedure]\n" + _line("seed", "same", 'your models have one fixed seed; "fresh": a new one every time')
    said = "a new seed in every training" if recipe.repeats is None else "your models were trained with different seeds"
    return "[procedure]\n" + _line("seed", "fresh", f'{said}; "same" if you fix yours')


def _scenario(pair: Pair) -> Iterator[str]:
    last = pair.versions - 1
    lines = [_line("group", pair.group, f"{pair.unit}s deleted at once, as in your pair; 1: one by one")]
    if last > 1:
        lines.append(_line("versions", [0, last], "the first and the last of yours are compared"))
        lines.append(_line("deleted_per_pair", pair.group * last))
    if pair.unseen > 1:
        lines.append(_line("unseen_per_pair", pair.unseen))
        lines.append(_line("held_out_per_pair", pair.unseen))
    yield "\n".join(["[scenario]", *lines])
    for side, room in (("shadow", _room(pair)), ("target", [])):
        yield "\n".join(
            [
                *room,
                f"[scenario.{side}]",
                _line("originals", ORIGINALS),
                _line("pairs", pair.pairs, "updates of each original"),
                _line("records", BLANK, f"how many {pair.unit}s your model was trained on"),
            ]
        )


def _room(pair: Pair) -> Iterator[str]:
    """What to do where the table is too small."""
    yield _comment(
        f"Each side has half of the table: `records` to train on, and {2 * pair.unseen} more {pair.unit}s. If the "
        f"table is too small, give the same smaller number on both sides. The result is then of models trained on so "
        f"few {pair.unit}s: it may be larger or smaller than yours, and says nothing about a limit of yours. Runs with "
        f"a half and a quarter of what fits show which way it goes. Or keep the number, and take "
        f"the attacker's {pair.unit}s from another table with the same classes, in a section [shadow.data] like "
        f"[data]: the whole table is then the target side's."
    )


def _verdict(pair: Pair) -> Iterator[str]:
    verdict: dict[str, Any] = {} if pair.confidence == Pair.confidence else {"confidence": pair.confidence}
    if pair.claim is not None:
        verdict["claim"] = asdict(pair.claim)
    if verdict:
        yield "\n".join(["[verdict]", *(_line(name, value) for name, value in verdict.items())])
    given = pair.limits.given()
    if given:
        note = "# As in the audit. Where this file is the --shadow of one, they are passed over for that audit's own."
        yield "\n".join(["[limits]", note, *(_line(name, value) for name, value in given.items())])


def _short(name: str) -> str:
    """A name of the user's, as a comment can hold it."""
    plain = _printable(name)
    return plain if len(plain) <= 24 else f"{plain[:23]}…"


def _printable(text: str) -> str:
    """Without the signs that no comment of TOML may hold."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _line(key: str, value: object, comment: str = "") -> str:
    text = f"{key} = {literal(value)}"
    if not comment:
        return text
    return f"{text}  # {_printable(comment)}" if len(text) + len(comment) < _WIDTH else f"{_comment(comment)}\n{text}"


def _comment(text: str) -> str:
    return fill(_printable(text), _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
