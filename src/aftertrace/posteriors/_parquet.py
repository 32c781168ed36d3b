"""A table of posteriors as Parquet: columns for the queries, a JSON manifest in the file's metadata."""

import io
import json
import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from aftertrace._arrow import arrow_array
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors._posteriors import Kind, Posteriors

FORMAT = 1
"""Version of the file format. 1: first."""

_COLUMNS = {"label": "i8", "record": "i8", "pair": "i8", "original": "i8", "use": "i1"}


def to_parquet(table: Posteriors, *, facts: Mapping[str, Any] | None = None) -> bytes:
    """The content of a Parquet file. `facts`: a JSON object kept beside the table.

    Columns `label`, `record`, `pair`, `original`, `use`; `member` as a list of V; `log_values` and probes as
    lists of V·K and V·... numbers in C order. Pages carry checksums.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = len(table)
    columns: dict[str, Any] = {name: arrow_array(getattr(table, name)) for name in _COLUMNS}
    nested = {"member": table.member, "log_values": table.log_values}
    nested |= {f"probe:{name}": probe for name, probe in table.probes.items()}
    for name, array in nested.items():
        flat = np.ascontiguousarray(array).reshape(size, math.prod(array.shape[1:]))
        columns[name] = pa.FixedSizeListArray.from_arrays(arrow_array(flat.ravel()), flat.shape[1])
    manifest = {
        "format": FORMAT,
        "kind": table.kind.value,
        "classes": list(table.classes),
        "class_probes": sorted(table.class_probes),
        "shapes": {name: list(array.shape[1:]) for name, array in nested.items()},
        "facts": dict(facts or {}),
    }
    arrow = pa.table(columns).replace_schema_metadata({"aftertrace": json.dumps(manifest, sort_keys=True)})
    sink = io.BytesIO()
    # posteriors hardly repeat, and nobody searches in them: dictionaries and statistics only take time
    pq.write_table(
        arrow, sink, compression="zstd", write_page_checksum=True, use_dictionary=False, write_statistics=False
    )
    return sink.getvalue()


def from_parquet(content: bytes) -> tuple[Posteriors, dict[str, Any]]:
    """The table and the facts of a file written by `to_parquet`. Raises `PosteriorsError` if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        arrow = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
        manifest = json.loads((arrow.schema.metadata or {})[b"aftertrace"])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise PosteriorsError(f"Not a readable table of posteriors ({str(error).splitlines()[0]}).") from error
    if manifest["format"] != FORMAT:
        raise PosteriorsError(f"A table of posteriors must have format {FORMAT}, got {manifest['format']}.")
    size = arrow.num_rows
    nested = {name: _flat(arrow.column(name)).reshape(size, *shape) for name, shape in manifest["shapes"].items()}
    table = Posteriors(
        kind=Kind(manifest["kind"]),
        classes=tuple(manifest["classes"]),
        log_values=nested.pop("log_values"),
        member=nested.pop("member").astype(bool),
        probes={name.removeprefix("probe:"): array for name, array in nested.items()},
        class_probes=frozenset(manifest.get("class_probes", ())),
        **cast("dict[str, Any]", {name: np.array(arrow.column(name), dtype=kind) for name, kind in _COLUMNS.items()}),
    )
    return table, manifest["facts"]


def _flat(column: Any) -> np.ndarray:
    return np.array(column.combine_chunks().flatten().to_numpy(zero_copy_only=False))
