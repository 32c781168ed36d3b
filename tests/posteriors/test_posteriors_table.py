"""The central table: checks, roles, phi, storing."""

import io
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import (
    PHI_LIMIT,
    Posteriors,
    Role,
    concatenate,
    from_parquet,
    log_loss,
    phi,
    to_parquet,
)


def table(size=6, K=3, V=2, seed=0, probes=None):
    rng = np.random.default_rng(seed)
    return Posteriors(
        log_values=np.log(rng.dirichlet(np.ones(K), size=(size, V))),
        member=rng.random((size, V)) < 0.5,
        label=rng.integers(0, K, size),
        classes=tuple("abcdefgh"[:K]),
        record=rng.integers(0, 99, size),
        pair=np.arange(size) // 2,
        original=np.zeros(size, dtype=np.int64),
        use=np.zeros(size, dtype=np.int8),
        probes=probes or {},
    )


def test_roles_follow_membership():
    member = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1], [0, 1, 0]], dtype=bool)
    rows = np.full((6, 3, 2), np.log(0.5))
    zeros = np.zeros(6, dtype=np.int64)
    made = Posteriors(
        log_values=rows, member=member, label=zeros, classes=("a", "b"), record=zeros, pair=zeros, original=zeros,
        use=zeros.astype(np.int8),
    )  # fmt: skip
    assert made.role.tolist() == [Role.DELETED, Role.UNSEEN, Role.RETAINED, Role.ADDED, Role.MIXED, Role.MIXED]


def test_phi_is_the_logit_of_the_true_class():
    values = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]])
    expected = [np.log(0.7 / 0.3), np.log(0.5 / 0.5)]
    assert np.allclose(phi(np.log(values), np.array([0, 2])), expected, atol=1e-14)


def test_phi_is_exact_near_one_and_bounded_at_the_ends():
    tiny = np.array([[np.log1p(-1e-9), np.log(1e-9)], [0.0, -np.inf], [-np.inf, 0.0]])
    assert np.allclose(phi(tiny, np.zeros(3, int)), [np.log((1 - 1e-9) / 1e-9), PHI_LIMIT, -PHI_LIMIT], rtol=1e-12)
    assert np.isclose(PHI_LIMIT, np.log((1 - 1e-12) / 1e-12), rtol=1e-4)


@settings(derandomize=True, deadline=None)
@given(st.integers(2, 6), st.integers(1, 30), st.integers(0, 10_000))
def test_equal_answers_differ_by_exactly_zero(K, size, seed):
    rng = np.random.default_rng(seed)
    rows = np.log(rng.dirichlet(np.full(K, 0.3), size))
    both = np.stack([rows, rows], axis=1)
    value = phi(both, rng.integers(0, K, size))
    assert (value[:, 0] - value[:, 1] == 0).all()


def test_phi_of_float32_rows_is_finite():
    rows = np.log(np.array([[1e-30, 1.0]], dtype=np.float32))
    assert np.isfinite(phi(rows, np.array([0]))).all()


def test_phi_of_many_rows_is_that_of_each():
    """More than one block of rows, of different ranks, against the plain formula."""
    rng = np.random.default_rng(0)
    rows, label = np.log(rng.dirichlet(np.ones(50), size=(3000, 2))), rng.integers(0, 50, 3000)
    rows[::7, 0, 3] = -np.inf
    fast = phi(rows, label)
    assert np.array_equal(fast, [phi(row[None], one[None])[0] for row, one in zip(rows, label, strict=True)])
    assert np.array_equal(fast[:, 1], phi(rows[:, 1], label))
    own = np.exp(rows[np.arange(3000), 1, label])
    assert np.allclose(fast[:, 1], np.log(own / (1 - own)), atol=1e-9)
    assert phi(rows[:0], label[:0]).shape == (0, 2)


def test_log_loss():
    assert np.allclose(log_loss(np.log([[0.25, 0.75]]), np.array([0])), [np.log(4)])
    with np.errstate(divide="ignore"):
        assert np.allclose(log_loss(np.log([[0.0, 1.0]]), np.array([0])), [-np.log(1e-12)])


def test_storing_keeps_everything_bit_by_bit():
    made = table(size=9, V=3, probes={"distance": np.random.default_rng(1).normal(size=(9, 3, 2))})
    again, facts = from_parquet(to_parquet(made, facts={"n": 1, "text": "ä"}))
    assert facts == {"n": 1, "text": "ä"}
    for name in ("log_values", "member", "label", "record", "pair", "original", "use"):
        assert np.array_equal(getattr(again, name), getattr(made, name))
        assert getattr(again, name).dtype == getattr(made, name).dtype
    assert np.array_equal(again.probes["distance"], made.probes["distance"])
    assert again.classes == made.classes


def test_a_table_without_queries_can_be_stored():
    empty = table().select(np.zeros(6, dtype=bool))
    again, _ = from_parquet(to_parquet(empty))
    assert len(again) == 0
    assert again.log_values.shape == (0, 2, 3)


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -50])
def test_truncated_files_are_refused(cut):
    with pytest.raises(PosteriorsError, match="Not a readable table of posteriors"):
        from_parquet(to_parquet(table())[:cut])


def test_flipped_bits_are_refused():
    content = bytearray(to_parquet(table(size=400)))
    content[600] ^= 0xFF
    with pytest.raises(PosteriorsError, match="Not a readable table of posteriors"):
        from_parquet(bytes(content))


def test_tables_are_immutable():
    made = table()
    with pytest.raises(ValueError, match="read-only"):
        made.log_values[0, 0, 0] = 1


def test_select_and_concatenate_are_inverse():
    made = table(size=8, probes={"p": np.arange(16.0).reshape(8, 2)})
    joined = concatenate([made.select(np.arange(3)), made.select(np.arange(3, 8))])
    assert np.array_equal(joined.log_values, made.log_values)
    assert np.array_equal(joined.probes["p"], made.probes["p"])


def test_tables_that_disagree_cannot_be_joined():
    with pytest.raises(PosteriorsError, match="must agree in kind, classes"):
        concatenate([table(K=3), table(K=2)])


@pytest.mark.parametrize(
    ("before", "after", "more", "message"),
    [
        ([[0.5, 0.6]], [[0.5, 0.5]], {}, "row 0 of version 0 sums to 1.1"),
        ([[0.5, 0.5]], [[0.5, np.nan]], {}, "row 0, class 1 of version 1 is nan"),
        ([[0.5, 0.5]], [[-2.0, 3.0]], {}, r"is -2.0 \(logits\? apply a softmax first\)"),
        ([[0.5, 0.5]], [[0.2, 0.2, 0.6]], {}, r"got \(1, 2\) and \(1, 3\)"),
        ([[0.5, 0.5]], [[0.5, 0.5]], {"label": [2]}, r"Labels must lie in 0..1, got 2"),
        ([[0.5, 0.5]], [[0.5, 0.5]], {"role": ["gone"]}, "A role must be one of deleted, unseen"),
        ([[0.5, 0.5]], [[0.5, 0.5]], {"label": [0.5]}, "must be whole numbers"),
        ([[1.0]], [[1.0]], {}, "at least two classes"),
        ([[0.5, 0.5]], [[0.5, 0.5]], {"classes": ["a", "a"]}, "Names of classes must differ"),
        ([[0.5, 0.5]], [[0.5, 0.5]], {"record": [1, 2]}, "`record` must hold one whole number per query"),
    ],
)
def test_bad_tables_are_refused(before, after, more, message):
    arguments = {"label": [0], "role": ["deleted"], **more}
    with pytest.raises(PosteriorsError, match=message):
        Posteriors.from_pair(before, after, **arguments)


def test_sums_are_checked_with_a_tolerance_that_is_recorded():
    made = Posteriors.from_pair([[0.5, 0.5005]], [[0.5, 0.5]], label=[0], role=["deleted"])
    assert np.isclose(made.sum_deviation, 5e-4)


def with_class_probe(size=6):
    rows = np.log(np.random.default_rng(1).dirichlet(np.ones(3), size=(size, 2, 4)))
    made = table(size=size, probes={"copies": rows, "distance": np.zeros((size, 2))})
    return replace(made, class_probes=frozenset({"copies"}))


def test_probes_of_log_posteriors_are_stored_selected_and_joined_as_such():
    made = with_class_probe()
    again, _ = from_parquet(to_parquet(made))
    assert made.class_probes == again.class_probes == {"copies"}
    assert np.array_equal(again.probes["copies"], made.probes["copies"])
    parts = made.select(np.arange(2)), made.select(np.arange(2, 6))
    assert all(part.class_probes == {"copies"} for part in parts)
    assert concatenate(parts).class_probes == {"copies"}
    with pytest.raises(PosteriorsError, match="must agree in kind, classes"):
        concatenate([made, replace(made, class_probes=frozenset())])


def test_files_from_before_probes_of_log_posteriors_have_none():
    arrow = pq.read_table(pa.BufferReader(to_parquet(with_class_probe())))
    manifest = json.loads(arrow.schema.metadata[b"aftertrace"])
    del manifest["class_probes"]
    sink = io.BytesIO()
    pq.write_table(arrow.replace_schema_metadata({"aftertrace": json.dumps(manifest)}), sink)
    assert from_parquet(sink.getvalue())[0].class_probes == frozenset()


@pytest.mark.parametrize("shape", [None, (6, 2), (6, 2, 4), (6, 2, 3, 4)])
def test_probes_of_log_posteriors_must_end_in_classes(shape):
    probes = {} if shape is None else {"copies": np.zeros(shape)}
    with pytest.raises(PosteriorsError, match=r"'copies' of log posteriors must be \[Q, V, ..., K\] with K = 3"):
        replace(table(), probes=probes, class_probes=frozenset({"copies"}))
