"""Noise that is the same whenever the same question is asked of the same version."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from aftertrace.defenses._protocol import Array, Keys
from aftertrace.defenses._release import normalised, number
from aftertrace.posteriors import Kind

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class KeyedNoise:
    """Gaussian noise of standard deviation `scale` on the logarithm of every posterior, then renormalised.

    Keyed by version and record: to ask again gives the same answer, so that averaging removes nothing, and another
    version or record gives other noise. Posteriors of 0 stay 0. Raises `ValueError` unless `scale` is above 0.
    """

    scale: float

    def __post_init__(self) -> None:
        if not 0 < self.scale < np.inf:
            raise ValueError(f"`scale` must be a number above 0, got {self.scale}.")

    def __str__(self) -> str:
        return f"KeyedNoise({number(self.scale)})"

    @property
    def kind(self) -> Kind:
        return Kind.POSTERIOR

    @property
    def class_symmetric(self) -> bool:
        return False  # its distribution is, but each class has its own noise

    def release(self, log_values: Array, key: Keys) -> Array:
        """[..., K] -> [..., K]"""
        classes = np.arange(log_values.shape[-1], dtype=np.uint64)
        shifted = log_values - log_values.max(axis=-1, keepdims=True)  # a sum beside 1 does not enter
        return normalised(shifted + self.scale * normal(mixed(key[..., None], classes)))


def mixed(key: Keys, word: Keys) -> Keys:
    """A new key of a key and a word, by the finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection in each."""
    with np.errstate(over="ignore"):
        z = np.asarray(key ^ _scrambled(word + _GOLDEN))
        return _scrambled(z + _GOLDEN)


def _scrambled(z: Keys) -> Keys:
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * _FIRST
        z = (z ^ (z >> np.uint64(27))) * _SECOND
        return np.asarray(z ^ (z >> np.uint64(31)))


def normal(key: Keys) -> NDArray[np.float64]:
    """A standard normal number for each key, by the inverse of its distribution at 52 bits, so that all are finite:
    within 8.3.
    """
    return np.asarray(ndtri(((key >> np.uint64(12)).astype(np.float64) + 0.5) / 2**52))
