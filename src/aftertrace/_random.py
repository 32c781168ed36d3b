"""Random streams derived from the run's seed by meaning, never by order of execution.

So local, parallel, resumed and extended runs draw the same numbers.
"""

import hashlib
from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a stream is for. Members are appended, never renumbered."""

    SIDES = 0  # which records belong to the shadow and to the target side
    POOLS = 1  # the paper's fixed pools
    DRAW = 2  # the records of one original and its versions
    TRAIN = 3  # the randomness of one model's training
    ATTACK = 4  # the randomness of fitting one attack
    SIGN_FLIP = 5  # Monte Carlo sign flips
    CONTROL = 6  # which records of a control are called deleted
    PROBE = 7  # the randomness of one probe
    SPLIT = 8  # calibrate or evaluate, where the user brings the queries
    CERTIFY = 9  # which models are retrained by the reference
    CANDIDATES = 10  # the records that a per-record adversary knows
    DEFENSE = 11  # noise at release
    REMEDY = 12  # which half of the originals chooses a remedy


def stream(seed: int, purpose: Stream, *key: int | str) -> np.random.SeedSequence:
    """The stream of `seed` for a purpose and a key, e.g. `stream(7, Stream.TRAIN, "target", 3, 0)`.

    A stream is a value: making a generator from it twice gives the same numbers twice.
    """
    words = (_word(part) for part in key)
    return np.random.SeedSequence(seed, spawn_key=(int(purpose), *words))


def rng_for(seed: int, purpose: Stream, *key: int | str) -> np.random.Generator:
    """A new generator at the start of `stream(seed, purpose, *key)`."""
    return np.random.default_rng(stream(seed, purpose, *key))


def _word(part: int | str) -> int:
    if isinstance(part, str):
        return int.from_bytes(hashlib.sha256(part.encode()).digest()[:8])
    return part
