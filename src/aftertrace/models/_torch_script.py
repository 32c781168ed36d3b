"""TorchScript files, of which only arithmetic is run.

TorchScript is a language of its own, without Python, but one with operators that write and map files, or call other
machines; and a file's `__setstate__` runs as it is loaded. So its code, which is text, is read first, and refused
where it names any of them. torch gets a copy of what was read, not the file: what was checked is what runs.
"""

import io
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aftertrace.errors import InputError
from aftertrace.models._torch_answers import message
from aftertrace.models._torch_archive import read_archive

if TYPE_CHECKING:
    from torch import nn

READ = re.compile(r"(data\.pkl|constants\.pkl|(\.data/)?version|byteorder|(data|constants)/\w+|code/.+\.py)")
"""Members that torch needs to run a model; others (debugging, traced inputs, files of the user) it does not get."""

OUTSIDE = re.compile(r"\b(save|from_file|rpc_async|rpc_sync|rpc_remote)\b")
"""Operators that reach files or other machines. `torch.save` writes wherever the file says."""

OPERATORS = re.compile(
    r"\bops\.((?:aten|quantized)\.\w+|prim\.(?:RaiseException|NumToTensor|TupleIndex|EnumName|EnumValue|data|device"
    r"|dtype|layout|type|name|index|grad|requires_grad|is_\w+|abs|min|max|tolist|unchecked_cast"
    r"|unchecked_unwrap_optional)\b)"
)
"""Operators that are written with their namespace. Of torch's own `prim` some call Python, or crash where code calls
them; of other namespaces we do not know what they do."""

NAMED = re.compile(r'\bgetattr\([\w.]+, "[\w.\-]*"\)')
"""How torch writes an attribute whose name is no identifier; anything else could spell `save` by escapes."""

CLASSES = re.compile(rb'(?:\.\s*|torch\n)classes\b(?![.\n]quantized[.\n])|"classes"')
"""Where classes written in C++ are looked up, in code or in a pickle; torch's own quantized layers are some."""


def load_torchscript(path: Path) -> "nn.Module":
    """The model in a TorchScript file, on the CPU. Raises `InputError` where it is none, or reaches out of itself."""
    import torch

    contents = {name: held for name, held in read_archive(path).items() if READ.fullmatch(name)}
    if "constants.pkl" not in contents or "data.pkl" not in contents:
        raise InputError(
            f"{path}: must be TorchScript, as torch.jit.save writes it, and is none. Give weights as "
            f"package.module:factory@{path.name}, and a program of torch.export as a file .pt2."
        )
    _check_code(path, contents)
    with warnings.catch_warnings():  # that TorchScript is deprecated is nothing that an audit can change
        warnings.simplefilter("ignore")
        try:
            return torch.jit.load(_packed(contents), map_location="cpu")  # type: ignore[no-untyped-call]  # torch
        except RuntimeError as error:
            raise InputError(f"{path}: cannot be loaded by torch {torch.__version__}: {message(error)}.") from error


def _check_code(path: Path, contents: Mapping[str, bytes]) -> None:
    for name, held in contents.items():
        found = CLASSES.search(held) if name.endswith((".py", ".pkl")) else None
        reason = "a class that is not written in TorchScript" if found else None
        if name.endswith(".py"):
            reason = reason or _reaches_out(held)
        if reason:
            raise InputError(
                f"{path}: was not run: its code ({name}) has {reason}, and a model under audit may only compute. "
                f"Export it without, or audit files of its posteriors."
            )


def _reaches_out(code: bytes) -> str | None:
    """What of a file's code could do more than compute, in words; None where nothing could."""
    if not all(32 <= byte < 127 or byte == 10 for byte in code):
        return "characters that torch does not write"
    text = code.decode("ascii")
    if found := OUTSIDE.search(text):
        return f"the word {found[0]!r}, an operator that reaches files or other machines"
    if len(re.findall(r"\bops\b", text)) != len(OPERATORS.findall(text)):
        return "an operator that is none of torch's arithmetic"
    if len(re.findall(r"\bgetattr\b", text)) != len(NAMED.findall(text)):
        return "an attribute written as torch does not write it"
    return None


def _packed(contents: Mapping[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, held in contents.items():
            archive.writestr(f"model/{name}", held)
    buffer.seek(0)
    return buffer
