"""Sentences that the terminal and the page share."""

from collections.abc import Iterator
from dataclasses import replace

from aftertrace._figures import share
from aftertrace.report._records import _interval, _shares
from aftertrace.results import Discoveries, Result
from aftertrace.statistics import Interval


def discoveries_sentence(found: Discoveries, who: str = "deleted", unit: str = "record") -> str:
    """How many records of a role are exposed before and after and made worse, beside what, and what that needs."""
    rate = f"at a false discovery rate of {share(found.fdr, 0)}"
    if found.unseen < found.needed and not (found.before or found.after):
        return (
            f"Whether single {unit}s can be told, {rate}, is open: for one of {found.deleted} {who} {unit}s to stand "
            f"out alone takes {found.needed} unseen {unit}s beside an original, and there are {found.unseen}."
        )
    head = (
        f"Single {unit}s, {rate}: of {found.deleted} {who} ones {found.before} are exposed before (by the original "
        f"alone), {found.after} after (by both versions), and {found.worse} made worse by the update"
    )
    itself, rest = found.compared_with_itself, found.deleted - found.compared_with_itself
    sentences = [f"{head}."]
    if itself:
        sentences.append(f"{itself} {unit}s are compared with themselves, by originals that never saw them.")
    if rest:
        sentences.append(f"{rest} {unit}s are compared with the unseen {unit}s of their original.")
    return " ".join(sentences)


def release_sentences(result: Result) -> Iterator[str]:
    """What the update and the defense cost, and what privacy promises."""
    if result.update is not None:
        update = result.update
        yield (
            f"Accuracy {_at_unseen(update.queries, result)}: {share(update.before)} before the update, "
            f"{share(update.after)} after it; {_lost(update.lost)}."
        )
    if result.utility is not None:
        cost = result.utility
        yield (
            f"The defense costs {_told(cost.accuracy_lost, _shares(cost.accuracy_lost))} of accuracy "
            f"{_at_unseen(cost.queries, result)} ({share(cost.accuracy)} without, {share(cost.defended_accuracy)} "
            f"with it) and adds {_told(cost.brier_added, _interval(cost.brier_added, digits=3))} to the Brier score, "
            f"the mean squared distance from the truth: 0 is certain and right, 2 certain and wrong."
        )
    if result.privacy is not None:
        yield result.privacy.sentence


def _lost(found: Interval) -> str:
    """Accuracy that was lost, or gained."""
    if found.estimate < 0:
        low, high = (None if end is None else -end for end in (found.high, found.low))
        return f"gained {_told(found, _shares(replace(found, estimate=-found.estimate, low=low, high=high)))}"
    return f"lost {_told(found, _shares(found))}"


def queried(result: Result) -> str:
    """How many records are compared; at several pairs the same one may be queried more than once."""
    counts, who = result.counts, result.attacked.name.lower()
    if counts.pairs > 1:
        return f"{getattr(counts, who)} queries of {who} and {counts.unseen} of unseen {result.unit}s"
    return f"{getattr(counts, who)} {who} and {counts.unseen} unseen {result.unit}s queried"


def _at_unseen(n: int, result: Result) -> str:
    return f"at {n} queries of unseen {result.unit}s" if result.counts.pairs > 1 else f"on {n} unseen {result.unit}s"


def why_no_interval(note: str) -> str:
    """The reason alone: notes of intervals say first that there is none."""
    return note.removeprefix("no interval: ")


def _told(interval: Interval, words: str) -> str:
    """`words` of it, and why it has no interval."""
    return words if interval.low is not None else f"{words}: {why_no_interval(interval.note)}"
