"""What every defense promises, as checks that authors of defenses run too."""

from collections.abc import Callable

import numpy as np

from aftertrace._hashing import digest
from aftertrace.defenses._protocol import Array, Defense, Keys
from aftertrace.posteriors import Kind


def check_defense(defense: Defense) -> None:
    """Run all checks, on posteriors of five classes; an `AssertionError` names what does not hold."""
    for check in DEFENSE_CHECKS:
        check(defense)


def _questions() -> tuple[Array, Keys]:
    """Posteriors of five classes, some of them equal, certain or impossible, and keys."""
    values = np.random.default_rng(0).dirichlet(np.full(5, 0.5), size=(40, 2))
    values[0], values[1], values[2] = 0.2, [1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0]
    with np.errstate(divide="ignore"):
        return np.log(values), np.arange(80, dtype=np.uint64).reshape(40, 2)


def rows_are_distributions(defense: Defense) -> None:
    """Released rows are numbers from 0 to 1 that sum to 1; with label only, a single 1."""
    log_values, key = _questions()
    released = np.exp(defense.release(log_values, key))
    assert released.shape == log_values.shape
    assert (released >= 0).all()
    assert np.allclose(released.sum(axis=-1), 1, rtol=0, atol=1e-12)
    if defense.kind is Kind.LABEL:
        assert set(np.unique(released)) == {0.0, 1.0}


def equal_questions_get_equal_answers(defense: Defense) -> None:
    """To ask again gives the same, and inputs are unchanged."""
    log_values, key = _questions()
    before = log_values.copy(), key.copy()
    first, second = (defense.release(log_values, key) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(before[0], log_values)
    assert np.array_equal(before[1], key)


def rows_are_released_alone(defense: Defense) -> None:
    """A row's release does not depend on the rows beside it, nor on their order."""
    log_values, key = _questions()
    together = defense.release(log_values, key)
    order = np.random.default_rng(1).permutation(len(log_values))
    assert np.array_equal(defense.release(log_values[order], key[order]), together[order])
    assert np.array_equal(defense.release(log_values[7:8], key[7:8]), together[7:8])


def classes_can_be_renamed(defense: Defense) -> None:
    """Where promised, the order of classes decides nothing but ties."""
    if not defense.class_symmetric:
        return
    log_values, key = _questions()
    log_values, key = log_values[3:], key[3:]  # without ties
    order = np.array([2, 0, 4, 1, 3])
    released = np.exp(defense.release(log_values, key))
    assert np.allclose(np.exp(defense.release(log_values[..., order], key)), released[..., order], rtol=0, atol=1e-12)


def has_a_name_and_an_address(defense: Defense) -> None:
    """A run can be addressed by the specification, and reports name it."""
    assert str(defense)
    assert digest(defense) == digest(defense)


DEFENSE_CHECKS: tuple[Callable[[Defense], None], ...] = (
    rows_are_distributions,
    equal_questions_get_equal_answers,
    rows_are_released_alone,
    classes_can_be_renamed,
    has_a_name_and_an_address,
)
"""All checks of `check_defense`."""
