"""`scores.parquet` as CSV."""

import io
from typing import Any

from aftertrace.errors import StoreError
from aftertrace.results import Scores


def scores_to_csv(scores: Scores) -> bytes:
    """The content of `scores.parquet` as CSV (UTF-8): the same columns in the same order, numbers to the last digit."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    arrow_csv.write_csv(pq.read_table(pa.BufferReader(scores.to_parquet())), sink)
    return sink.getvalue()


def scores_from_csv(content: bytes) -> Scores:
    """The scores of what `scores_to_csv` wrote. Raises `StoreError` if it is damaged."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as pq

    try:
        with arrow_csv.open_csv(pa.BufferReader(content)) as reader:
            kinds = arrow_csv.ConvertOptions(column_types={name: _kind(name) for name in reader.schema.names})
        table = arrow_csv.read_csv(pa.BufferReader(content), convert_options=kinds)
    except pa.ArrowException as error:
        raise StoreError(f"Not a readable table of scores ({str(error).splitlines()[0]}).") from error
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return Scores.from_parquet(sink.getvalue())


def _kind(column: str) -> Any:
    """The type of a column, as `Scores` has it."""
    import pyarrow as pa

    if column in ("use", "role"):
        return pa.int8()
    return pa.float64() if column.startswith(("phi_", "score:")) else pa.int64()
