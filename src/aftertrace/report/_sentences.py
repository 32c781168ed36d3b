"""Sentences that the terminal and the page share."""

from aftertrace.results import Discoveries


def discoveries_sentence(found: Discoveries) -> str:
    """How many records are exposed before and after and made worse, beside what, and what that figure needs."""
    head = (
        f"Single deletions, at a false discovery rate of {found.fdr:.0%}: of {found.deleted} deleted records "
        f"{found.before} are exposed before (by the original alone), {found.after} after (by both versions), and "
        f"{found.worse} made worse by the deletion"
    )
    if found.unseen < found.needed and not (found.before or found.after):
        return (
            f"{head}. Only {found.unseen} unseen records stand beside an original: for one deletion of {found.deleted} "
            f"to stand out alone takes {found.needed}."
        )
    itself, rest = found.compared_with_itself, found.deleted - found.compared_with_itself
    sentences = [f"{head}."]
    if itself:
        sentences.append(f"{itself} records are compared with themselves, by originals that never saw them.")
    if rest:
        sentences.append(f"{rest} records are compared with the unseen records of their original.")
    return " ".join(sentences)
