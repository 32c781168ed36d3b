"""What networks of torch have in common: what they are asked, and how answers and failures are said."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError, TrainingError
from aftertrace.models._batches import answer_table
from aftertrace.models._protocol import Floats

if TYPE_CHECKING:
    import torch

ASKING = (RuntimeError, ValueError, TypeError, IndexError)
"""What torch raises where a network cannot take what it is given."""


def as_tensor(records: NDArray[Any], dtype: "torch.dtype") -> "torch.Tensor":
    """A copy of records [Q, ...], so that no network can change them. Raises `InputError` unless they are numbers."""
    import torch

    if records.dtype.kind not in "biuf":
        raise InputError(
            f"Records for a network must be an array of numbers, got {records.dtype}. Encode them as in training."
        )
    return torch.from_numpy(np.array(records, dtype=records.dtype.newbyteorder("="), order="C")).to(dtype)


def released(answer: object, name: str) -> Floats:
    """A network's answer as float64 [Q, K]; one number per record becomes [Q, 1]. Raises `TrainingError`."""
    import torch

    if not isinstance(answer, torch.Tensor):
        raise TrainingError(
            f"{name}: must answer Q records with one tensor [Q, K], a column per class, got {type(answer).__name__}. "
            f"Wrap it in a module that returns only that."
        )
    return answer_table(answer.detach().to(device="cpu", dtype=torch.float64).numpy(), name)


def message(error: Exception) -> str:
    """What torch says, without its traces. TorchScript says it last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    last = next((line for line in reversed(lines) if line.startswith("RuntimeError: ")), lines[0])
    return last.removeprefix("RuntimeError: ").rstrip(".: ")
