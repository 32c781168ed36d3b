"""Modules of a user's own that code imports: their files are part of what the code is."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_INSTALLED = {"site-packages", "dist-packages"}


def own_imports(code: bytes, package: str) -> Mapping[str, str]:
    """Digests, by name, of the user's own modules that `code` of `package` imports, and of those that these import.

    Own are modules outside the standard library and the folders of installed packages. Imports are read, not run: one
    whose name is computed is not seen.
    """
    found: dict[str, str] = {}
    ahead = [(code, package)]
    while ahead:
        for name in _imports(*ahead.pop()):
            spec = None if name in found else _own(name)
            if spec is None or spec.origin is None or not spec.has_location:
                continue
            text = Path(spec.origin).read_bytes()
            found[name] = hashlib.sha256(text).hexdigest()
            if spec.origin.endswith(".py"):
                ahead.append((text, spec.parent or ""))
    return found


@lru_cache(maxsize=4096)  # every unit of a run asks for its address, and its modules may be many
def _imports(code: bytes, package: str) -> tuple[str, ...]:
    """Names of modules that code may import; among them names of what is no module but stands in one."""
    try:
        nodes = ast.walk(ast.parse(code))
    except (SyntaxError, ValueError):  # no program, so nothing has imported it
        return ()
    return tuple(dict.fromkeys(name for node in nodes for name in _named(node, package)))


def _named(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            parts = alias.name.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
        source = ".".join([*above, *([node.module] if node.module else [])])
        yield source
        yield from (f"{source}.{alias.name}" for alias in node.names)


def _own(name: str) -> ModuleSpec | None:
    """Where a module of the user's own lies; None for another, and for a name of what is no module."""
    top, *rest = name.split(".")
    if top in sys.stdlib_module_names or top in ("", "aftertrace"):
        return None
    try:
        spec = importlib.util.find_spec(top)  # of a first name: it runs no code
    except (ImportError, ValueError):  # `__main__`, or a module that somebody put in place by hand
        return None
    for part in rest:
        if spec is None or _is_installed(spec) or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", list(spec.submodule_search_locations))
    return None if spec is None or _is_installed(spec) else spec


def _is_installed(spec: ModuleSpec) -> bool:
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return any(_INSTALLED & set(Path(place).parts) for place in places)
