"""What the records given to models say of themselves, for the blind control."""

from collections.abc import Sequence

from aftertrace.models._records import Records
from aftertrace.posteriors import Features, encoded_columns

MOST_FEATURES = 200
"""Columns of records beyond which the blind control sees the class alone: it would take long, and find little."""


def own_features(records: Records) -> tuple[Features | None, str]:
    """What the records themselves say to the blind control, and a note on what it does not see of them."""
    columns = records.columns or {}
    if records.array is not None and records.array.ndim == 2:
        columns = {f"column {k}": column for k, column in enumerate(records.array.T)}
    if 0 < len(columns) <= MOST_FEATURES:
        encoded, left_out = encoded_columns(columns)
        if 0 < len(encoded.names) <= MOST_FEATURES:
            return encoded, _unseen_columns(left_out)
    return None, (
        f"The control blind sees the records' classes alone: it takes 1 to {MOST_FEATURES} columns of numbers and "
        f"categories. Describe the records in fewer (`features`)."
    )


def _unseen_columns(names: Sequence[str]) -> str:
    if not names:
        return ""
    return (
        f"The control blind does not see {', '.join(names)}. If one of them says whose record each is, name it "
        f"(`person_column`): records of one person are not independent, and intervals and "
        f"controls would be too sure."
    )
