"""What a defense is."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aftertrace.posteriors import Kind

Array = NDArray[np.floating]
Keys = NDArray[np.uint64]


class Defense(Protocol):
    """What a deployer releases instead of a model's posteriors. A specification, like a trainer; `str` is its name.

    Guarantees, checked by `check_defense`: released rows are distributions; a row depends on that row and its key only;
    equal questions get equal answers; inputs are unchanged; renamed classes get the same answers under their new names
    where `class_symmetric` and no posteriors are equal.
    """

    @property
    def kind(self) -> Kind:
        """What a released row is: posteriors, or the predicted class alone."""
        ...

    @property
    def class_symmetric(self) -> bool:
        """Does the order of classes decide nothing but ties?"""
        ...

    def release(self, log_values: Array, key: Keys) -> Array:
        """Log of what is released in the place of `log_values` [..., K]; `key` [...] names the question: the same for
        the same record, model and input, and drawn from the run's seed.
        """
        ...
