"""What addresses things that users bring as code: names, the values that they hold, and the files they stand in."""

import hashlib
import inspect
import sys
from collections.abc import Mapping
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from aftertrace._hashing import canonical
from aftertrace.errors import UnsupportedError
from aftertrace.trainers._own_modules import as_loaded, code_at, own_imports

_VERSIONED = {"numpy", "sklearn"}
"""Libraries whose classes need no digest of their files: their versions are part of every address."""


def described(value: Any) -> Any:
    """A class, function or scikit-learn object as plain values: by name, parameters and digests of files.

    Raises `UnsupportedError` for what a run cannot be addressed by.
    """
    from sklearn.base import BaseEstimator
    from sklearn.compose import make_column_selector

    match value:
        case BaseEstimator():
            kind = type(value)
            parameters = {name: described(item) for name, item in value.get_params(deep=False).items()}
            return {"class": _path(kind), **_class_code(kind), "parameters": parameters}
        case list() | tuple():
            return [described(item) for item in value]
        case type():
            code = _class_code(value)
            return {"class": _path(value), **code} if code else _path(value)
        case slice():
            return repr(value)
        case make_column_selector():
            return {"class": _path(make_column_selector), "parameters": described(vars(value))}
        case partial():
            return {"partial": described([value.func, value.args, value.keywords])}
        case Mapping():
            return {name: described(item) for name, item in value.items()}
        case FunctionType():
            return _described(value)
        case MethodType():
            return {"method": described(value.__func__), "of": _held(value.__qualname__, value.__self__)}
    return _compiled(value) if callable(value) and hasattr(value, "__name__") else value


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _compiled(function: Any) -> Mapping[str, Any]:
    """A function whose library's version says what it does, with the function that it wraps, as `lru_cache` does."""
    owner, inner = getattr(function, "__self__", None), inspect.unwrap(function)
    name = getattr(function, "__qualname__", function.__name__)
    of = {} if owner is None or isinstance(owner, ModuleType) else {"of": _held(name, owner)}
    wraps = {} if inner is function else {"wraps": described(inner)}
    return {"function": f"{getattr(function, '__module__', None)}.{name}", **of, **wraps}


def _described(function: FunctionType) -> Mapping[str, Any]:
    """A function by its name and digests of its file and of that of what it decorates; also by what it holds, where
    its module has not made it.
    """
    name, inner = f"{function.__module__}.{function.__qualname__}", inspect.unwrap(function)
    wraps = {"wraps": _function_code(inner)} if inner is not function and isinstance(inner, FunctionType) else {}
    said = {"function": name, **_function_code(function), **wraps}
    if _made_by_module(function):
        return said
    held = [*(_content(cell) for cell in function.__closure__ or ()), function.__defaults__, function.__kwdefaults__]
    return {**said, "holds": [_held(name, value) for value in held]}


def _made_by_module(function: FunctionType) -> bool:
    """Whether the function's module has it by its name, itself or decorated."""
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    while found is not None and found is not function:
        found = getattr(found, "__wrapped__", None)
    return found is function


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _held(name: str, value: Any) -> Any:
    """A value that a function holds. Raises `UnsupportedError` where a run cannot be addressed by it."""
    try:
        return canonical(described(value))
    except (UnsupportedError, RecursionError) as error:
        raise UnsupportedError(
            f"{name} must hold plain values, arrays or functions, by which a run can be addressed; it holds a "
            f"{type(value).__name__}. Make that inside the function, or write a transformer class with parameters."
        ) from error


def _function_code(function: FunctionType) -> Mapping[str, Any]:
    """Digests of the whole file, as a function may read globals and call what stands beside it, and of its imports."""
    module = sys.modules.get(function.__module__)
    try:
        text = as_loaded(
            module if function.__code__.co_filename == getattr(module, "__file__", None) else None,
            lambda: "".join(inspect.findsource(function)[0]).encode(),
        )
    except (OSError, IndexError) as error:
        raise UnsupportedError(
            f"{function.__module__}.{function.__qualname__} must have its source in a file, by which a run can be "
            f"addressed; none was found. Move it into a module."
        ) from error
    return _code(text, function.__module__)


def _class_code(kind: type) -> Mapping[str, Any]:
    """Digests of the file of a class and of its imports; of what made its methods where it has no file."""
    module = sys.modules.get(kind.__module__)
    path = getattr(module, "__file__", None)
    if kind.__module__.split(".")[0] in _VERSIONED or (path is not None and not path.endswith(".py")):
        return {}
    if path is not None:
        return _code(as_loaded(module, lambda: code_at(path, getattr(module, "__loader__", None))), kind.__module__)
    methods = [value for value in vars(kind).values() if isinstance(value, FunctionType)]
    return {"methods": [_function_code(method) for method in methods]} if methods else {}


def _code(text: bytes, module: str) -> Mapping[str, Any]:
    """A digest of a module's file, and those of the user's other modules that it imports, if any."""
    imports = own_imports(text, getattr(sys.modules.get(module), "__package__", None) or "")
    return {"code": hashlib.sha256(text).hexdigest(), **({"imports": imports} if imports else {})}
