"""Sentences that the terminal and the page share."""

from collections.abc import Iterator

from aftertrace.results import Discoveries, Result
from aftertrace.statistics import Interval


def discoveries_sentence(found: Discoveries, who: str = "deleted", unit: str = "record") -> str:
    """How many records of a role are exposed before and after and made worse, beside what, and what that needs."""
    what = "deletions" if who == "deleted" else f"{unit}s"
    head = (
        f"Single {what}, at a false discovery rate of {found.fdr:.0%}: of {found.deleted} {who} {unit}s "
        f"{found.before} are exposed before (by the original alone), {found.after} after (by both versions), and "
        f"{found.worse} made worse by the deletion"
    )
    if found.unseen < found.needed and not (found.before or found.after):
        return (
            f"{head}. Only {found.unseen} unseen {unit}s stand beside an original: for one deletion of {found.deleted} "
            f"to stand out alone takes {found.needed}."
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
            f"Accuracy on {update.queries} unseen queries: {update.before:.3f} before the update, {update.after:.3f} "
            f"after it; lost {_signed(update.lost)}."
        )
    if result.utility is not None:
        cost = result.utility
        yield (
            f"The defense costs {_signed(cost.accuracy_lost)} of accuracy on unseen records ({cost.accuracy:.3f} "
            f"without, {cost.defended_accuracy:.3f} with it; {cost.queries} queries) and adds "
            f"{_signed(cost.brier_added)} to the Brier score, which is 0 for certain and right answers."
        )
    if result.privacy is not None:
        yield result.privacy.sentence


def queried(result: Result) -> str:
    """How many records are compared."""
    counts, who = result.counts, result.attacked.name.lower()
    return f"{getattr(counts, who)} {who} and {counts.unseen} unseen {result.unit}s queried"


def _signed(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:.3f} (no interval: {interval.note})"
    return f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"
