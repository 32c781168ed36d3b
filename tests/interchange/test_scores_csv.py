"""Scores as CSV: what Parquet holds, in text."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from aftertrace.errors import StoreError
from aftertrace.interchange import scores_from_csv, scores_to_csv
from aftertrace.results import Scores

Q = 50


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    return Scores(
        record=rng.integers(0, 2**63 - 1, Q),
        label=rng.integers(0, 3, Q),
        pair=np.repeat(np.arange(5), 10),
        original=np.repeat(np.arange(5), 10),
        use=rng.integers(0, 2, Q).astype(np.int8),
        role=rng.integers(0, 4, Q).astype(np.int8),
        phi=rng.normal(size=(Q, 2)) * 10.0 ** rng.integers(-300, 300, (Q, 2)),
        score={
            "LogitDrop": rng.normal(size=Q),
            'SortedDiff, "tree"': np.array([np.inf, -np.inf, 0.0] + [1 / 3] * (Q - 3)),
        },
    )


def test_nothing_is_lost(scores):
    back = scores_from_csv(scores_to_csv(scores))
    assert back.to_parquet() == scores.to_parquet()
    assert back.use.dtype == back.role.dtype == np.int8
    assert back.score.keys() == scores.score.keys()


def test_columns_are_those_of_parquet_in_order(scores):
    table = arrow_csv.read_csv(pa.BufferReader(scores_to_csv(scores)))
    assert table.column_names == pq.read_table(io.BytesIO(scores.to_parquet())).column_names
    assert table.column_names[:8] == ["record", "label", "pair", "original", "use", "role", "phi_before", "phi_after"]
    assert scores_to_csv(scores).count(b"\n") == Q + 1


def test_whole_numbers_stay_numbers_of_their_kind(scores):
    """A column whose values all happen to be whole, or none at all."""
    whole = Scores(**{**vars(scores), "score": {"a": np.zeros(Q)}, "phi": np.ones((Q, 2))})
    assert scores_from_csv(scores_to_csv(whole)).to_parquet() == whole.to_parquet()
    none = Scores(
        **{name: value[:0] for name, value in vars(scores).items() if name != "score"}, score={"a": np.zeros(0)}
    )
    assert scores_from_csv(scores_to_csv(none)).to_parquet() == none.to_parquet()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Not a readable table of scores"),
        (b"record,label\n1,2\n", "Not a readable table of scores"),
        (b"record,label\nann,2\n", "Not a readable table of scores .*ann"),
        (b"record,label\n1\n", "Not a readable table of scores"),
        (b"\xff\xfe\x00", "Not a readable table of scores"),
    ],
)
def test_what_is_no_table_of_scores(content, message):
    with pytest.raises(StoreError, match=message) as caught:
        scores_from_csv(content)
    assert "\n" not in str(caught.value)
