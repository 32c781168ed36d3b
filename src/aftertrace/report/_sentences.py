"""Sentences that the terminal and the page share."""

from aftertrace.results import Discoveries


def discoveries_sentence(found: Discoveries) -> str:
    """Which single deletions can be told, and what that figure needs."""
    head = (
        f"Single deletions told among the unseen records of their original, at a false discovery rate of "
        f"{found.fdr:.0%}: {found.after} of {found.deleted} from both versions, {found.before} from the original alone"
    )
    if found.unseen < found.needed and not (found.before or found.after):
        return (
            f"{head}. Only {found.unseen} unseen records stand beside an original: for one deletion of {found.deleted} "
            f"to stand out alone takes {found.needed}."
        )
    return f"{head}; {found.worse} because of the deletion."
