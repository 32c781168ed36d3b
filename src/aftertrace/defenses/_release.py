"""Defenses without randomness (arXiv 2005.02205, section 7, and rounding)."""

from dataclasses import dataclass

import numpy as np

from aftertrace.defenses._protocol import Array, Keys
from aftertrace.errors import UnsupportedError
from aftertrace.posteriors import Kind

MOST_DECIMALS = 15


@dataclass(frozen=True)
class TopK:
    """The `k` largest posteriors; what is left of 1 is spread evenly over the other classes.

    Of equal posteriors the earlier class counts as the larger. As the released code of arXiv 2005.02205 does it, for
    any k up to the number of classes - 1. Raises `ValueError` for k below 1, and `UnsupportedError` when there are not
    more than k classes.
    """

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"`k` must be at least 1, got {self.k}.")

    def __str__(self) -> str:
        return f"TopK({self.k})"

    @property
    def kind(self) -> Kind:
        return Kind.POSTERIOR

    @property
    def class_symmetric(self) -> bool:
        return True

    def release(self, log_values: Array, key: Keys) -> Array:
        """[..., K] -> [..., K]"""
        K = log_values.shape[-1]
        if self.k >= K:
            raise UnsupportedError(
                f"TopK({self.k}) must leave classes to hide: k can be at most {K - 1} for {K} classes, got {self.k}."
            )
        values = np.exp(log_values)
        rank = np.argsort(np.argsort(-log_values, axis=-1, kind="stable"), axis=-1, kind="stable")
        is_kept = rank < self.k
        left = np.maximum(1 - np.where(is_kept, values, 0).sum(axis=-1, keepdims=True), 0) / (K - self.k)
        with np.errstate(divide="ignore"):
            return np.where(is_kept, log_values, np.log(left))


@dataclass(frozen=True)
class LabelOnly:
    """The predicted class alone: 1 for the largest posterior, the earlier class of equal ones, and 0 for the others."""

    def __str__(self) -> str:
        return "LabelOnly"

    @property
    def kind(self) -> Kind:
        return Kind.LABEL

    @property
    def class_symmetric(self) -> bool:
        return True

    def release(self, log_values: Array, key: Keys) -> Array:
        """[..., K] -> [..., K]"""
        released = np.full_like(log_values, -np.inf)
        np.put_along_axis(released, log_values.argmax(axis=-1)[..., None], 0, axis=-1)
        return released


@dataclass(frozen=True)
class Temperature:
    """softmax(z / T) of the logits z: flatter posteriors for T above 1, the same predicted classes.

    From posteriors alone, log p / T renormalised: logits are not needed. Raises `ValueError` unless T is a number
    above 0.
    """

    t: float

    def __post_init__(self) -> None:
        if not 0 < self.t < np.inf:
            raise ValueError(f"`t` must be a number above 0, got {self.t}.")

    def __str__(self) -> str:
        return f"Temperature({number(self.t)})"

    @property
    def kind(self) -> Kind:
        return Kind.POSTERIOR

    @property
    def class_symmetric(self) -> bool:
        return True

    def release(self, log_values: Array, key: Keys) -> Array:
        """[..., K] -> [..., K]"""
        shifted = log_values - log_values.max(axis=-1, keepdims=True)
        with np.errstate(over="ignore"):  # a tiny T: all but the largest are 0
            return normalised(shifted / self.t)


@dataclass(frozen=True)
class Rounding:
    """Posteriors rounded to `decimals` places and divided by their sum; where all round to 0, the largest is given 1.

    Raises `ValueError` unless there are from 0 to 15 decimals, which is all that a posterior has.
    """

    decimals: int

    def __post_init__(self) -> None:
        if not 0 <= self.decimals <= MOST_DECIMALS:
            raise ValueError(f"`decimals` must lie in 0..{MOST_DECIMALS}, got {self.decimals}.")

    def __str__(self) -> str:
        return f"Rounding({self.decimals})"

    @property
    def kind(self) -> Kind:
        return Kind.POSTERIOR

    @property
    def class_symmetric(self) -> bool:
        return True

    def release(self, log_values: Array, key: Keys) -> Array:
        """[..., K] -> [..., K]"""
        values = np.round(np.exp(log_values), self.decimals)
        total = values.sum(axis=-1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            rounded = np.log(values / total)
        return np.where(total > 0, rounded, LabelOnly().release(log_values, key))


def number(value: float) -> str:
    """The shortest text that reads as `value`: 4 for 4.0."""
    return repr(float(value)).removesuffix(".0")


def normalised(logits: Array) -> Array:
    """Log of the softmax over the last axis; `-inf` stays."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
