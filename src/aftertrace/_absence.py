"""What a table's texts say where they say nothing."""

NOTHING = (
    "",
    *("#N/A", "#N/A N/A", "#NA", "<NA>", "N/A", "NA", "n/a"),
    *("NULL", "None", "null"),
    *("NaN", "-NaN", "nan", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""Texts that stand for nothing, as `pandas.read_csv` has it: models were trained on that."""


def is_nobody(name: str) -> bool:
    """Whether that cannot be whose a record is: all records of an empty name would be one person's."""
    return name.strip() in ("?", *NOTHING)
