"""Opening models by what they are called."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from aftertrace._spelling import nearest_file
from aftertrace.errors import InputError
from aftertrace.models._callable import is_factory, made
from aftertrace.models._files import check_no_pickle
from aftertrace.models._imports import imported, is_reference
from aftertrace.models._living import living_model
from aftertrace.models._pickled import open_pickle
from aftertrace.models._protocol import Model
from aftertrace.posteriors._readable import check_file, is_folder


def open_model(reference: object, *, trust_pickle: bool = False, classes: Sequence[str] | None = None) -> Model:
    """The model that `reference` stands for.

    * A file: `.skops`, `.onnx`, `.pt2` (torch.export), `.ts` or `.torchscript`, `.toml` (an HTTP endpoint); `.joblib`,
      `.pkl` and `.pickle` with `trust_pickle` only. No code of another file is run, whatever it holds.
    * An address: `https://...`.
    * `package.module:name`, also from the current folder: an estimator, a torch module, a function of records [Q, ...]
      that returns [Q, K], or a factory, which is called without arguments and returns one of these.
    * `package.module:factory@weights.safetensors` (or `.pt`): the torch module that the factory returns, with these
      weights.
    * A living object: a fitted estimator, a torch module, a function, or a `Model`.

    `classes`: names of the classes in the order of the answers, for torch modules and functions that do not say them.
    Raises `InputError` for anything else, and for files that are absent, damaged or not what their name says.
    """
    if not isinstance(reference, str | Path):
        return living_model(reference, classes=classes)
    text = str(reference)
    if text.startswith(("http://", "https://")):
        return _endpoint(text)
    code, at, weights = text.partition("@")
    if not is_reference(code):
        return _open_file(Path(text), trust_pickle)
    return _open_weights(code, Path(weights), classes) if at else _open_code(code, classes)


def _open_file(path: Path, trust_pickle: bool) -> Model:
    if is_folder(path):
        raise InputError(f"{path}: is a folder; give the file of the model in it.")
    suffix = path.suffix.lower()
    if suffix not in _OPENERS and suffix not in PICKLES:
        meant = "" if path.exists() else nearest_file(path)
        raise InputError(
            f"{path}: a model must be a file ending in {', '.join((*_OPENERS, *PICKLES))}, or package.module:name"
            f"{meant}.{_HINTS.get(suffix, '')}"
        )
    check_file(path)
    if suffix in PICKLES:
        return open_pickle(path, trusted=trust_pickle)
    check_no_pickle(path)
    return _OPENERS[suffix](path)


def _open_code(reference: str, classes: Sequence[str] | None) -> Model:
    found = imported(reference)
    return living_model(made(found, reference) if is_factory(found) else found, classes=classes)


def _open_weights(reference: str, weights: Path, classes: Sequence[str] | None) -> Model:
    from aftertrace.models._torch import open_factory

    check_file(weights)
    return open_factory(reference, weights, classes=classes)


def _skops(path: Path) -> Model:
    from aftertrace.models._skops import open_skops

    return open_skops(path)


def _onnx(path: Path) -> Model:
    from aftertrace.models._onnx import open_onnx

    return open_onnx(path)


def _exported(path: Path) -> Model:
    from aftertrace.models._torch import open_exported

    return open_exported(path)


def _torchscript(path: Path) -> Model:
    from aftertrace.models._torch import open_torchscript

    return open_torchscript(path)


def _endpoint(reference: str | Path) -> Model:
    from aftertrace.models._http import open_endpoint

    return open_endpoint(reference)


_OPENERS: Mapping[str, Callable[[Path], Model]] = {
    ".skops": _skops,
    ".onnx": _onnx,
    ".pt2": _exported,
    ".ts": _torchscript,
    ".torchscript": _torchscript,
    ".toml": _endpoint,
}
PICKLES = (".joblib", ".pkl", ".pickle")
_WEIGHTS = " Weights belong to their code: package.module:factory@weights.safetensors, or @weights.pt."
_TABLE = " Files of posteriors must be given for all versions."
_HINTS = {
    ".pt": _WEIGHTS,
    ".pth": _WEIGHTS,
    ".safetensors": _WEIGHTS,
    ".csv": _TABLE,
    ".parquet": _TABLE,
    ".npz": _TABLE,
}
