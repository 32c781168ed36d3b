"""The one place where a table of posteriors becomes what is released."""

from dataclasses import replace

import numpy as np

from aftertrace._random import Stream, stream
from aftertrace.defenses._noise import mixed
from aftertrace.defenses._protocol import Defense, Keys
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Kind, Posteriors


def defend(table: Posteriors, defense: Defense, *, seed: int, side: str, first_is_original: bool = True) -> Posteriors:
    """What an outsider sees of `table` through `defense`: every version and every class-valued probe of it.

    A new table; `table` stays as it is. Other probes are left out: they were measured on answers that are not released,
    and an attack that needs them is refused by name. Questions are named by `seed`, `side`, original, version and
    record. The first version is the original, the same model for all its pairs, unless `first_is_original` is False
    (two later versions of a line); the others are models of their pair.

    Raises `PosteriorsError` for a table of scores, and `UnsupportedError` where the defense cannot be.
    """
    if table.kind is Kind.SCORE:
        raise PosteriorsError(f"{defense} releases a value per class, and this table holds one score per record.")
    questions = _questions(table, seed, side, first_is_original)
    probes = {}
    for name in sorted(table.class_probes):
        probe = table.probes[name]
        copies = probe.reshape(*probe.shape[:2], -1, probe.shape[-1])
        word = stream(seed, Stream.DEFENSE, name).generate_state(1, np.uint64).astype(np.uint64)
        key = mixed(mixed(questions, word)[:, :, None], np.arange(copies.shape[2], dtype=np.uint64))
        probes[name] = defense.release(copies, key).reshape(probe.shape)
    released = defense.release(table.log_values, questions)
    return replace(table, log_values=released, kind=defense.kind, probes=probes, class_probes=frozenset(probes))


def _questions(table: Posteriors, seed: int, side: str, first_is_original: bool) -> Keys:
    """A key per query and version [Q, V]."""
    root = stream(seed, Stream.DEFENSE, side).generate_state(1, np.uint64).astype(np.uint64)
    version = np.arange(table.n_versions, dtype=np.uint64)
    original, pair, record = (a[:, None].astype(np.uint64) for a in (table.original, table.pair, table.record))
    line = np.where((version == 0) & first_is_original, np.uint64(0), pair)
    return mixed(mixed(mixed(mixed(root, original), version), line), record)
