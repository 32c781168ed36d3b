"""Networks of torch: living modules, factories with weights beside them, TorchScript and programs of torch.export."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace.errors import InputError
from aftertrace.models._callable import made
from aftertrace.models._classes import class_names
from aftertrace.models._files import file_digest
from aftertrace.models._imports import imported
from aftertrace.models._protocol import Floats
from aftertrace.models._records import Records
from aftertrace.models._torch_answers import ASKING, as_tensor, message, released
from aftertrace.models._torch_export import open_exported
from aftertrace.models._torch_script import load_torchscript

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["TorchModel", "open_exported", "open_factory", "open_torchscript", "wrap_module"]

SAFE = (2, 10)
"""Until this version of torch, `weights_only=True` could be got round (CVE-2025-32434, CVE-2026-24747)."""


@dataclass(frozen=True, eq=False)
class TorchModel:
    """A network, asked in evaluation mode and without gradients, and left in the mode that it was in.

    Records become of the type of its first parameter (numbers of words where that is an embedding's) and go to that
    parameter's device.
    """

    module: "nn.Module"
    name: str
    fingerprint: str
    classes: tuple[str, ...] | None = None

    def answer(self, records: Records) -> Floats:
        """[Q, K]. Raises `InputError` for records that it cannot take, `TrainingError` for answers of another shape."""
        array = records.as_array()
        x = as_tensor(array, _input_type(self.module, array))
        first = next(self.module.parameters(), None)
        try:
            with _evaluating(self.module):
                answer = self.module(x if first is None else x.to(first.device))
        except ASKING as error:
            raise InputError(
                f"{self.name}: cannot take records of shape {list(x.shape)}: {message(error)}. Bring them as in "
                f"training."
            ) from error
        return released(answer, self.name)


def wrap_module(module: "nn.Module", *, classes: Sequence[str] | None = None) -> TorchModel:
    """A living module that answers [Q, ...] with [Q, K]; its fingerprint is of its class, parameters and buffers.

    Names of classes are `classes`, else its attribute `classes` if it has one.
    """
    kind = type(module)
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    state = {name: _content(tensor) for name, tensor in held.items()}
    fingerprint = digest({"class": f"{kind.__module__}.{kind.__qualname__}", "state": state})
    return TorchModel(module, kind.__name__, fingerprint, _class_names(module, classes))


def open_torchscript(path: Path) -> TorchModel:
    """The model in a TorchScript file. Raises `InputError` where it is none, or could do more than compute."""
    module = load_torchscript(path)
    return TorchModel(module, path.name, file_digest(path), _class_names(module, None))


def open_factory(reference: str, weights: Path | None, *, classes: Sequence[str] | None = None) -> TorchModel:
    """The module that `package.module:factory` returns, with the weights of a file.

    The factory is called without arguments. Importing it runs its code, which is the user's own; weights (.safetensors,
    or .pt and .pth, read with `weights_only=True`) run none. Its fingerprint is of the reference and of all parameters
    and buffers.

    Raises `InputError` where there is no such factory, it makes no module, or the weights are not those of the module.
    """
    module = _module(reference)
    if weights is not None:
        _load_weights(module, reference, weights)
    living = wrap_module(module, classes=classes)
    fingerprint = digest({"reference": reference, "module": living.fingerprint})
    return TorchModel(module, reference, fingerprint, living.classes)


def _module(reference: str) -> "nn.Module":
    from torch import nn

    found = imported(reference)
    module = found if isinstance(found, nn.Module) or not callable(found) else made(found, reference)
    if not isinstance(module, nn.Module):
        raise InputError(f"{reference}: must make a torch.nn.Module, got {type(module).__name__}.")
    return module


def _load_weights(module: "nn.Module", reference: str, path: Path) -> None:
    state = _safetensors(path) if path.suffix == ".safetensors" else _pickled_weights(path)
    have, want = set(map(str, state)), set(module.state_dict())
    if have != want:
        raise InputError(
            f"{path}: must hold the weights of {reference}; {_some('missing', want - have)}"
            f"{' and ' if want - have and have - want else ''}{_some('unexpected', have - want)}. Save "
            f"`module.state_dict()` of the same class."
        )
    try:
        module.load_state_dict(state)
    except RuntimeError as error:  # shapes; torch names each on a line of its own, below a title
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError(f"{path}: does not fit {reference}: {lines[-1].rstrip('.')}.") from error


def _safetensors(path: Path) -> "Mapping[str, torch.Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: is no safetensors file ({message(error)}). Save the weights again.") from error


def _pickled_weights(path: Path) -> "Mapping[str, torch.Tensor]":
    """Weights by torch's own unpickler, which knows tensors and plain containers and calls nothing else."""
    import torch

    if tuple(map(int, torch.__version__.split(".")[:2])) < SAFE:
        raise InputError(
            f"{path}: torch {torch.__version__} can be made to run code by weights in a .pt file. Install torch "
            f"{SAFE[0]}.{SAFE[1]} or later, or save the weights with safetensors."
        )
    try:
        with warnings.catch_warnings():  # about pickles of other protocols, which are refused or read all the same
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle fails with anything
        reason = "" if isinstance(error, UnpicklingError) else f" ({message(error)})"  # torch's advises to run the code
        raise InputError(
            f"{path}: holds no plain weights{reason}, and nothing else is unpickled, since that runs the file's code. "
            f"Save `module.state_dict()` with safetensors."
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(each, torch.Tensor) for each in state.values()):
        raise InputError(
            f"{path}: must hold a mapping of names to tensors, got {type(state).__name__} of other things. Save "
            f"`module.state_dict()` alone."
        )
    return state


def _class_names(module: "nn.Module", classes: Sequence[str] | None) -> tuple[str, ...] | None:
    names = getattr(module, "classes", None) if classes is None else classes
    return class_names(names) if isinstance(names, (list, tuple)) else None


def _input_type(module: "nn.Module", records: NDArray[Any]) -> "torch.dtype":
    """The type of the first parameter. Frozen TorchScript has none: there int64 stays, as numbers of words are."""
    import torch

    for part in module.modules():
        if (first := next(part.parameters(recurse=False), None)) is not None:
            name = getattr(part, "original_name", type(part).__name__)  # TorchScript keeps the name of the class
            return torch.int64 if name in ("Embedding", "EmbeddingBag") else first.dtype
    return torch.int64 if records.dtype == np.int64 else torch.float32


@contextmanager
def _evaluating(module: "nn.Module") -> Iterator[None]:
    import torch

    training = [part for part in module.modules() if getattr(part, "training", False)]  # frozen TorchScript has no flag
    if training:
        module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for part in training:
            part.training = True


def _content(tensor: "torch.Tensor") -> Mapping[str, Any]:
    """A tensor as bytes with its type and shape: numpy has no name for some of torch's types."""
    import torch

    plain = tensor.detach().to("cpu").contiguous()
    return {"type": str(plain.dtype), "shape": list(plain.shape), "bytes": plain.reshape(-1).view(torch.uint8).numpy()}


def _some(word: str, names: set[str]) -> str:
    if not names:
        return ""
    first = ", ".join(sorted(names)[:3])
    return f"{word}: {first}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
