"""A result for the terminal."""

import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from aftertrace._figures import NBSP, percent, share
from aftertrace._spelling import harmless
from aftertrace.report._records import DASH, SHOWN, without_gaps
from aftertrace.report._sentences import discoveries_sentence, queried, release_sentences
from aftertrace.report._summary import NOT_MEASURED, measures
from aftertrace.results import AttackResult, ControlResult, Outcome, Result
from aftertrace.statistics import Interval

if TYPE_CHECKING:
    from rich.table import Table

MOST_GROUPS = 14
"""Of these, all are printed; of more, those where a leak is shown."""

_MARK = {
    Outcome.LEAKS: "LEAKS",
    Outcome.WITHIN: "WITHIN THE LIMITS",
    Outcome.TOO_COSTLY: "TOO COSTLY",
    Outcome.NOT_SHOWN: "NO LEAK SHOWN",
    Outcome.INCONCLUSIVE: "INCONCLUSIVE",
    Outcome.INVALID: "INVALID",
}
_COLOUR = {
    Outcome.LEAKS: "bold white on red",
    Outcome.WITHIN: "bold white on green",
    Outcome.TOO_COSTLY: "bold black on yellow",
    Outcome.NOT_SHOWN: "bold white on blue",
    Outcome.INCONCLUSIVE: "bold black on yellow",
    Outcome.INVALID: "bold white on magenta",
}

_Cells = Mapping[tuple[str | None, str | None], AttackResult]


def as_text(result: Result, *, width: int | None = None, colour: bool | None = None) -> str:
    """Verdict, attacks, controls and notes. `width` and `colour`: as the terminal has them, if not given."""
    from rich.console import Console
    from rich.text import Text

    columns = width or min(shutil.get_terminal_size((100, 24)).columns, 100)
    with_colour = sys.stdout.isatty() if colour is None else colour
    console = Console(
        width=columns,
        color_system="standard" if with_colour else None,
        force_terminal=with_colour,
        highlight=False,
        markup=False,
        emoji=False,
    )
    verdict, counts = result.verdict, result.counts
    with console.capture() as capture:
        console.print()
        console.print(Text(f" {_MARK[verdict.outcome]} ", style=_COLOUR[verdict.outcome]), verdict.sentence)
        console.print()
        size = f"{counts.originals} originals, {counts.pairs} pairs of versions" if counts.originals > 1 else "one pair"
        console.print(
            f"{result.title}: {size}; {queried(result)}.",
            markup=False,
        )
        for line in (*_limit_lines(result), *(f"Question: {each}" for each in result.questions)):
            console.print(line, markup=False)
        who = result.attacked.name.lower()
        console.print(
            f"AUC: how often a {who} {result.unit} is ranked above an unseen one; 0.50 is guessing.", style="dim"
        )
        console.print(
            "Classical attacks see the original model alone. TPR@10%: found at 10 % false alarms.", style="dim"
        )
        console.print()
        console.print(_main_table(result))
        if result.slices:
            console.print(_slices_table(result))
        trained = _trained_table(result)
        if trained is not None:
            console.print(trained)
            console.print("* differs from the classical attack with the same classifier (Holm, 5 %)", style="dim")
            console.print()
        for line in _closing_lines(result):
            console.print(line, markup=False)
    return harmless(capture.get()).replace(NBSP, " ").strip("\n")


def _main_table(result: Result) -> "Table":
    shown = [attack for attack in result.attacks if attack.classifier is None]
    confidence = percent(result.attacks[0].auc.confidence)
    heads, rows = without_gaps(
        ("AUC", f"{confidence} interval", "classical", "p (Holm)", "TPR@10%", "TPR@1%"),
        [(f"{each.auc.estimate:.2f}", _ends(each.auc), *_against(each, result), *_rates(each)) for each in shown],
    )
    names = [f"{attack.name} (classical)" if attack.classical else attack.name for attack in shown]
    return _table("Attack", heads, names, rows)


def _slices_table(result: Result) -> "Table":
    """For whom: the groups, or of many the telling ones."""
    shown = result.slices
    if len(shown) > MOST_GROUPS:
        shown = tuple(each for each in shown if each.p_holm is not None and each.p_holm <= SHOWN)
    heads, rows = without_gaps(
        (result.attacked.name.lower(), "AUC", "interval", "p (Holm)"),
        [(f"{each.deleted}", f"{each.auc.estimate:.2f}", _ends(each.auc), _p(each.p_holm)) for each in shown],
    )
    names = [f"{each.by}: {each.group}" for each in shown]
    rest = len(result.slices) - len(shown)
    note = f"{rest} more groups, where no leak is shown, in the report" if rest else ""
    return _table(f"For whom, by {result.verdict.attack}", heads, names, rows, note=note)


def _table(
    first: str, heads: Iterable[str], names: Iterable[str], rows: Iterable[tuple[str, ...]], *, note: str = ""
) -> "Table":
    """Names, the figures of each, and a last line."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for name, row in zip(names, rows, strict=True):
        table.add_row(name, *row)
    table.add_row(note)
    return table


def _trained_table(result: Result) -> "Table | None":
    """Features by classifiers: AUC, and a star where it differs from the classical attack."""
    from rich.table import Table

    trained: _Cells = {(each.feature, each.classifier): each for each in result.attacks if each.classifier is not None}
    if not trained:
        return None
    features = list(dict.fromkeys(feature for feature, _ in trained))
    classifiers = list(dict.fromkeys(classifier for _, classifier in trained))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Trained on shadow models, AUC")
    for classifier in classifiers:
        table.add_column(str(classifier), justify="right")
    for feature in features:
        name = "Classical" if feature == "Classical" else str(feature)
        table.add_row(name, *(_cell(trained, feature, classifier) for classifier in classifiers))
    return table


def _cell(trained: "_Cells", feature: str | None, classifier: str | None) -> str:
    attack = trained.get((feature, classifier))
    if attack is None:
        return "-"
    p_value = attack.against.p_holm if attack.against else None
    return f"{attack.auc.estimate:.2f}{'*' if p_value is not None and p_value <= SHOWN else ' '}"


def _ends(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return "none"
    return f"{interval.low:.2f} to {interval.high:.2f}"


def _against(attack: AttackResult, result: Result) -> tuple[str, str]:
    if attack.against is None:
        return "", ""
    opponent = result.attack(attack.against.opponent)
    return f"{opponent.auc.estimate:.2f}", _p(attack.against.p_holm)


def _p(value: float | None) -> str:
    if value is None:
        return DASH
    return "<.0001" if value < 0.0001 else f"{value:.4f}".lstrip("0") if value < 0.1 else f"{value:.2f}"


def _rates(attack: AttackResult) -> Iterable[str]:
    for rate in attack.rates:
        yield "refused" if rate.refused or rate.tpr is None else share(rate.tpr.estimate, 0)


def _closing_lines(result: Result) -> Iterable[str]:
    yield "Controls: " + "; ".join(map(_control, result.controls)) + "."
    if result.discoveries is not None:
        yield discoveries_sentence(result.discoveries, result.attacked.name.lower(), result.unit)
    if result.overfitting is not None:
        train, test = result.overfitting.train_accuracy, result.overfitting.test_accuracy
        yield (f"Target models: accuracy {share(train.mean)} on training records, {share(test.mean)} on unseen ones.")
    yield from release_sentences(result)
    if result.remedy is not None:
        yield f"Remedy: {result.remedy.sentence}"
    if result.widening is not None:
        own = result.widening
        yield f"One pair of models tells of this pair only. {own.how} {own.cost}"
        yield from (f"{number}. {step}" for number, step in enumerate(own.steps, 1))
    if result.training is not None and result.training.certificate is not None:
        yield f"Certificate: {result.training.certificate.sentence}"
    refused = {rate.refused for attack in result.attacks for rate in attack.rates if rate.refused}
    refused -= {check.note for check in result.verdict.checks}  # said beside the limit
    for line in (*(f"{reason}." for reason in sorted(refused)), *result.notes):
        yield f"Note: {line}"


def _limit_lines(result: Result) -> Iterable[str]:
    """Every limit beside what was found."""
    for row in measures(result):
        if row.accepted:
            found = row.found if row.found == NOT_MEASURED else f"found {row.found}"
            why = f"; {row.note}" if row.note else ""
            yield f"Limit: {row.name}: accepted {row.accepted}, {found}: {row.standing.lower()}{why}."


def _control(control: ControlResult) -> str:
    word = {True: "passed", False: "FAILED", None: "not testable"}[control.passed]
    return (
        f"{control.name} {word} ({control.auc.estimate:.2f})"
        if control.passed is not None
        else f"{control.name} {word}"
    )
