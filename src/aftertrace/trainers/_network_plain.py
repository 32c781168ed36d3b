"""Plain ReLU networks without torch, whose import takes a second and 200 MiB: their first weights and their answers."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[Any]]


def initial(widths: Sequence[int], seed: int) -> dict[str, NDArray[np.generic]]:
    """First weights of layers of `widths`, by the names of torch's `Sequential` of linear layers and ReLUs.

    All are uniform within 1 / sqrt(inputs), which is torch's default for linear layers.
    """
    rng = np.random.default_rng(seed)
    state: dict[str, NDArray[np.generic]] = {}
    for number, (inputs, units) in enumerate(pairwise(widths)):
        bound = 1 / np.sqrt(inputs)
        for name, shape in (("weight", (units, inputs)), ("bias", (units,))):
            state[f"{2 * number}.{name}"] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return state


def logits(state: State, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """In the precision of the weights. [Q, F] -> [Q, K]"""
    last = len(state) // 2 - 1
    out = x.astype(state["0.weight"].dtype)
    for number in range(last + 1):
        out = out @ state[f"{2 * number}.weight"].T + state[f"{2 * number}.bias"]
        if number < last:
            np.maximum(out, 0, out=out)
    return out.astype(np.float64)
