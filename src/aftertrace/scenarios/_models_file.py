"""Models of a unit in a file, for those who ask for it: arrays only, nothing that runs when it is read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aftertrace.errors import UnsupportedError
from aftertrace.store import write_atomically
from aftertrace.trainers import Models, Saveable


def check_saveable(models: Models) -> Saveable:
    """The models as ones with arrays. Raises `UnsupportedError` for those that only pickle could keep."""
    if not isinstance(models, Saveable):
        raise UnsupportedError(
            f"`keep_models` keeps arrays, and {type(models).__name__} has none to give (only pickle could keep it). "
            f"Leave the option out, or name the model logistic, tree, forest, mlp or cnn."
        )
    return models


def save_models(path: Path, parts: Sequence[Models]) -> None:
    """Write all models of `parts`, numbered through, as safetensors: array `a` of model v is `v/a`."""
    from safetensors.numpy import save

    arrays, version = {}, 0
    for models in parts:
        saveable = check_saveable(models)
        for number in range(len(models)):
            for name, value in saveable.parameters(number).items():
                arrays[f"{version}/{name}"] = np.ascontiguousarray(value)
            version += 1
    write_atomically(path, save(arrays, metadata={"format": "1", "models": str(version)}))
