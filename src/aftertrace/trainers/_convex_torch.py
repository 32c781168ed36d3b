"""Where variants of a solution are solved on a GPU: the arrays of `_convex_variants` as torch's tensors, in float64."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aftertrace.trainers._convex import Solution
from aftertrace.trainers._convex_variants import Changes, Place
from aftertrace.trainers._links import Sigmoid

_MODELS = 2048  # per pass
_HELD = 2**25  # numbers that the updates of one pass may hold: 256 MiB
_ABSENT = 2**29  # bytes that tell which records each model lacks
_LOGITS = 2**24  # of one block of records: 128 MiB, and a few times that while residuals are formed


@dataclass(frozen=True, eq=False)
class OnDevice:
    """With torch. `target` [N, R] is what the link's mean is compared with."""

    solution: Solution
    rows: torch.Tensor
    inverse: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def of(cls, solution: Solution, rows: torch.Tensor) -> "OnDevice":
        """`rows` [N, F + 1] are on the device already."""
        problem = solution.problem
        classes = [1] if isinstance(problem.link, Sigmoid) else np.arange(problem.n_outputs)
        target = (problem.label[:, None] == classes).astype(np.float64)
        arrays = (solution.inverse, target, problem.weight)
        return cls(solution, rows, *(torch.as_tensor(each).to(rows.device) for each in arrays))

    @property
    def xp(self) -> ModuleType:
        return torch

    @property
    def most_models(self) -> int:
        return max(1, min(_MODELS, _ABSENT // len(self.rows)))

    @property
    def most_held(self) -> int:
        return _HELD

    def array(self, values: NDArray[Any]) -> torch.Tensor:
        """To the device."""
        return torch.as_tensor(values).to(self.rows.device)

    def host(self, values: torch.Tensor) -> NDArray[Any]:
        """From the device."""
        return values.cpu().numpy()

    def some(self, values: torch.Tensor, models: torch.Tensor) -> torch.Tensor:
        """By an index."""
        return values[..., models]

    def absent(self, changes: Changes) -> torch.Tensor:
        """A mask [N, M]: a device reads it faster than a list of pairs."""
        absent = self.array(~changes.base)[:, None].repeat(1, len(changes))
        absent[self.array(changes.record), self.array(changes.model)] = self.array(changes.sign < 0)
        return absent

    def gradient(self, theta: torch.Tensor, absent: torch.Tensor, models: torch.Tensor) -> torch.Tensor:
        """By blocks of records that fit the memory."""
        n_columns, n_outputs, n_models = theta.shape
        weights = theta.reshape(n_columns, -1)
        out = torch.zeros_like(weights)
        n_rows = max(1, _LOGITS // weights.shape[1])
        for start in range(0, len(self.rows), n_rows):
            block = slice(start, start + n_rows)
            rows = self.rows[block]
            residual = self._mean((rows @ weights).reshape(-1, n_outputs, n_models))
            residual -= self.target[block, :, None]
            residual *= self.weight[block, None, None]
            residual.masked_fill_(absent[block].index_select(1, models)[:, None, :], 0.0)
            out += rows.T @ residual.reshape(len(rows), -1)
        return out.reshape(theta.shape)

    def _mean(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities by the link. [B, R, M] -> [B, R, M]"""
        return torch.sigmoid(logits) if isinstance(self.solution.problem.link, Sigmoid) else torch.softmax(logits, 1)


def on_device(solutions: Sequence[Solution], *, device: str) -> list[Place]:
    """A place for the variants of each of an anchor's solutions, which have one design."""
    rows = torch.as_tensor(solutions[0].problem.design.rows).to(device)
    return [OnDevice.of(solution, rows) for solution in solutions]
