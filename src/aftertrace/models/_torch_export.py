"""Programs of torch.export, run without loading them as torch does.

`torch.export.load` unpickles, evaluates expressions of the file as Python and looks its functions up in all of torch:
whoever wrote the file can run what they like. A program is a list of operators, though, and weights are plain bytes.
Both are read here, and the operators called in turn: torch's `aten` operators that take no file name, and arithmetic
with sizes. The tests compare the answers with those of `torch.export.load`.
"""

import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aftertrace.errors import InputError, UnsupportedError
from aftertrace.models._batches import batches, joined
from aftertrace.models._files import file_digest
from aftertrace.models._protocol import Floats
from aftertrace.models._records import Records
from aftertrace.models._torch_answers import ASKING, as_tensor, message, released
from aftertrace.models._torch_archive import read_archive

if TYPE_CHECKING:
    import torch

PROGRAM, MAJOR = "models/model.json", 8
"""Where the program is, and the version of its format; torch raises that where old readers would misread."""

# fmt: off
DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16",
}
# fmt: on
LAYOUTS = {1: "sparse_coo", 2: "sparse_csr", 3: "sparse_csc", 4: "sparse_bsr", 5: "sparse_bsc", 7: "strided"}
MEMORY = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}
"""The format's numbers for names of torch."""

# fmt: off
OPERATORS = (
    "eq", "ne", "le", "ge", "lt", "gt", "neg", "pos", "add", "sub", "mul", "floordiv", "truediv", "mod", "pow", "and_",
    "or_", "lshift", "rshift",
)
# fmt: on
ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in OPERATORS},
    "math.trunc": math.trunc,
    "torch.sym_int": int,
    "torch.sym_float": float,
    "torch.sym_not": operator.not_,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_sqrt": math.sqrt,
    "torch.sym_ite": lambda condition, yes, no: yes if condition else no,
}
"""What programs do with sizes: symbols where they are exported, whole numbers where they run."""

Json = Mapping[str, Any]
Values = dict[str, Any]
Reader = Callable[[Values], Any]
"""An argument of a step, from the values that the steps before it have left under their names."""


@dataclass(frozen=True)
class _Step:
    function: Callable[..., Any]
    by_name: bool
    inputs: Sequence[tuple[str, Reader]]
    outputs: Sequence[str | Sequence[str]]

    def run(self, values: Values) -> None:
        given = [(name, read(values)) for name, read in self.inputs]
        answer = self.function(**dict(given)) if self.by_name else self.function(*(value for _, value in given))
        answers = answer if isinstance(answer, tuple) else (answer,)
        for name, value in zip(self.outputs, answers, strict=False):
            if isinstance(name, str):
                values[name] = value
            elif name:
                values.update(zip(name, value, strict=True))


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """A program of torch.export. Where it was exported for one number of records, it is asked for as many at a time."""

    name: str
    fingerprint: str
    steps: Sequence[_Step]
    state: Mapping[str, "torch.Tensor"]
    asked: str
    dtype: "torch.dtype"
    sizes: Sequence[int | None]
    answered: str
    classes: None = None

    def answer(self, records: Records) -> Floats:
        """[Q, K]. Raises `InputError` for records that it cannot take, `TrainingError` for answers of another shape."""
        import torch

        x = as_tensor(records.as_array(), self.dtype)
        try:
            with torch.inference_mode():
                return joined([self._run(x[rows]) for rows in batches(len(x), self.sizes[0])], len(x))
        except (*ASKING, KeyError) as error:
            shape = ", ".join(["Q", *("any" if size is None else str(size) for size in self.sizes[1:])])
            raise InputError(
                f"{self.name}: takes records [{shape}], got {list(x.shape)}: {message(error)}. Bring such records."
            ) from error

    def _run(self, x: "torch.Tensor") -> Floats:
        values = {**self.state, self.asked: x}
        for step in self.steps:
            step.run(values)
        return released(values[self.answered], self.name)


def open_exported(path: Path) -> ExportedModel:
    """The program in a .pt2 file that torch.export.save wrote.

    Raises `InputError` where the file is none, or was exported in training mode; `UnsupportedError` for operators that
    are not torch's own, and for weights that only unpickling can read.
    """
    contents = read_archive(path)
    if not {PROGRAM, "data/weights/model_weights_config.json"} <= set(contents):
        raise InputError(
            f"{path}: holds no program of torch.export in the format of torch 2.9 or later. Save it again with "
            f"torch.export.save, or name the file by what it holds (.ts for TorchScript)."
        )
    try:
        return _read(path, contents)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: is damaged, or no program of torch.export: {type(error).__name__}: {message(error)}. Save the "
            f"model again."
        ) from error


def _read(path: Path, contents: Mapping[str, bytes]) -> ExportedModel:
    program = json.loads(contents[PROGRAM])
    if program["schema_version"]["major"] != MAJOR:
        raise InputError(
            f"{path}: has format {program['schema_version']['major']} of torch.export, and {MAJOR} is read. Save the "
            f"model again with a recent torch."
        )
    graph, signature = program["graph_module"]["graph"], program["graph_module"]["signature"]
    asked, state = _inputs(path, contents, signature["input_specs"])
    answered = [each["user_output"]["arg"] for each in signature["output_specs"] if "user_output" in each]
    if len(answered) != 1 or "as_tensor" not in answered[0]:
        raise InputError(f"{path}: must answer with one tensor [Q, K], not with {len(answered)}.")
    meta = graph["tensor_values"][asked]
    return ExportedModel(
        name=path.name,
        fingerprint=file_digest(path),
        steps=[_step(path, node) for node in graph["nodes"]],
        state=state,
        asked=asked,
        dtype=_named(DTYPES, meta["dtype"]),
        sizes=[each.get("as_int") for each in meta["sizes"]],
        answered=answered[0]["as_tensor"]["name"],
    )


def _inputs(
    path: Path, contents: Mapping[str, bytes], specs: Sequence[Json]
) -> tuple[str, Mapping[str, "torch.Tensor"]]:
    """The name of the records among a program's inputs, and the weights by the names that its steps have for them."""
    held = {**_tensors(path, contents, "weights"), **_tensors(path, contents, "constants")}
    asked, state = [], {}
    for spec in specs:
        ((kind, named),) = spec.items()
        match kind:
            case "parameter" | "buffer" | "tensor_constant":
                state[named["arg"]["name"]] = held[named[f"{kind}_name"]]
            case "user_input" if "as_tensor" in named["arg"]:
                asked.append(named["arg"]["as_tensor"]["name"])
            case _:
                raise UnsupportedError(
                    f"{path}: has an input of the kind {kind}; export a module that takes one tensor, [Q, ...]."
                )
    if len(asked) != 1:
        raise InputError(f"{path}: takes {len(asked)} tensors; it must take one, the records [Q, ...].")
    return asked[0], state


def _tensors(path: Path, contents: Mapping[str, bytes], kind: str) -> Mapping[str, "torch.Tensor"]:
    entries = json.loads(contents[f"data/{kind}/model_{kind}_config.json"])["config"]
    for name, entry in entries.items():
        if entry["use_pickle"] or entry["tensor_meta"] is None:
            raise UnsupportedError(
                f"{path}: holds {name!r} as a pickle, which could run code. Export the model with plain tensors."
            )
    return {
        name: _tensor(contents[f"data/{kind}/{entry['path_name']}"], entry["tensor_meta"])
        for name, entry in entries.items()
    }


def _tensor(held: bytes, meta: Json) -> "torch.Tensor":
    import torch

    dtype = _named(DTYPES, meta["dtype"])
    sizes, strides = ([each["as_int"] for each in meta[key]] for key in ("sizes", "strides"))
    if not held:
        return torch.zeros(sizes, dtype=dtype)
    return torch.frombuffer(bytearray(held), dtype=dtype).as_strided(sizes, strides, meta["storage_offset"]["as_int"])


def _step(path: Path, node: Json) -> _Step:
    target, inputs = node["target"], node["inputs"]
    if any(each["name"] in ("training", "train") and each["arg"].get("as_bool") for each in inputs):
        raise InputError(f"{path}: was exported in training mode: call `module.eval()` first, and export it again.")
    function = ARITHMETIC.get(target) or _aten(target)
    if function is None:
        raise UnsupportedError(
            f"{path}: was not run: it has the operator {target[:100]!r}, and only torch's aten operators are, those "
            f"without files. Export the model without it, or as ONNX."
        )
    readers = [(each["name"], _reader(path, each["arg"])) for each in inputs]
    return _Step(function, target not in ARITHMETIC, readers, [_names(each) for each in node["outputs"]])


def _aten(target: str) -> Callable[..., Any] | None:
    import torch

    found = re.fullmatch(r"torch\.ops\.aten\.(\w+)\.(\w+)", target)
    function = getattr(getattr(torch.ops.aten, found[1], None), found[2], None) if found else None
    if not isinstance(function, torch._ops.OpOverload):
        return None
    return None if any(each.name == "filename" for each in function._schema.arguments) else function


def _names(output: Json) -> str | Sequence[str]:
    """Under which names a step leaves an answer: one, or as many as a list of tensors is long."""
    match output:
        case {"as_tensor": {"name": name}} | {"as_sym_int": {"as_name": name}} | {"as_sym_float": {"as_name": name}}:
            return str(name)
        case {"as_sym_bool": {"as_name": name}}:
            return str(name)
        case {"as_tensors": several}:
            return [str(each["name"]) for each in several]
    return []  # nothing, or a size that is known


def _reader(path: Path, argument: Json) -> Reader:
    ((kind, held),) = argument.items()
    match kind:
        case "as_tensor" | "as_optional_tensor" | "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return _one(held)
        case "as_tensors" | "as_optional_tensors" | "as_sym_ints" | "as_sym_floats" | "as_sym_bools":
            readers = [_one(each) for each in held]
            return lambda values: [read(values) for read in readers]
    constant = _constant(path, kind, held)
    return lambda values: constant


def _one(held: Json) -> Reader:
    """A value by its name, or as it is."""
    match held:
        case {"name": name} | {"as_name": name} | {"as_tensor": {"name": name}}:
            return operator.itemgetter(name)
        case {"as_none": _}:
            return lambda values: None
    ((_, plain),) = held.items()
    return lambda values: plain


def _constant(path: Path, kind: str, held: Any) -> Any:
    """What the format calls `kind`, as torch takes it. Devices are the CPU, wherever the program was exported."""
    import torch

    match kind:
        case "as_int" | "as_ints" | "as_bool" | "as_bools" | "as_string":
            return held
        case "as_float":
            return float(held)  # infinities are texts
        case "as_floats":
            return [float(each) for each in held]
        case "as_none":
            return None
        case "as_scalar_type":
            return _named(DTYPES, held)
        case "as_layout":
            return _named(LAYOUTS, held)
        case "as_memory_format":
            return _named(MEMORY, held)
        case "as_device":
            return torch.device("cpu")
    raise UnsupportedError(f"{path}: was not run: an operator takes {kind}, which is not read. Export it as ONNX.")


def _named(names: Mapping[int, str], number: int) -> Any:
    import torch

    return getattr(torch, names[number])
