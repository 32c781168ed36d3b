"""Modules of a user's own that code imports: their files are part of what the code is."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from zipimport import ZipImportError, zipimporter

from aftertrace.errors import UnsupportedError

_INSTALLED = {"site-packages", "dist-packages"}


def own_imports(code: bytes, package: str) -> Mapping[str, str]:
    """Digests, by name, of the user's own modules that `code` of `package` imports, and of those that these import.

    Own are modules outside the standard library and the folders of installed packages. Packages count with every module
    in them, as their `__init__` runs before it does. Imports are read, not run: one whose name is computed is not seen.
    Raises `UnsupportedError` where a file cannot be read.
    """
    found: dict[str, str] = {}
    ahead = [*_prefixes(package), *_imports(code, package)]
    while ahead:
        name = ahead.pop()
        module = None if name in found else _module(name)
        if module is not None:
            found[name] = module.digest
            ahead += module.imports
    return found


def code_at(path: str, loader: object) -> bytes:
    """The content of a module's file, also in a zip. Raises `UnsupportedError` where it cannot be read."""
    try:
        return loader.get_data(path) if isinstance(loader, zipimporter) else Path(path).read_bytes()
    except (OSError, ZipImportError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnsupportedError(
            f"{path}: must be a file that can be read, by which a run can be addressed, and is not ({reason}). Put it "
            f"back, mend its rights, or unpack the module into a folder."
        ) from error


def as_loaded(module: ModuleType | None, read: Callable[[], bytes]) -> bytes:
    """The text of a module, read once for every time that it was loaded, as what runs is not what it becomes later."""
    spec = getattr(module, "__spec__", None)
    if module is None or spec is None:
        return read()
    known = _TEXTS.get(module.__name__)
    if known is None or known[0] is not spec:
        known = _TEXTS[module.__name__] = (spec, read())
    return known[1]


_TEXTS: dict[str, tuple[ModuleSpec, bytes]] = {}


@dataclass(frozen=True)
class _Module:
    """A module as its file was read: once for every time that it was `loaded`, so that a file changed since does not
    pass for what runs; one that was not loaded, as often as its file `changed` or another may be found.

    `imports`: modules of the user's own among what it imports.
    """

    digest: str
    imports: tuple[str, ...]
    origin: str
    path: tuple[str, ...]
    loaded: ModuleSpec | None
    changed: tuple[int, int] | None

    def holds(self, loaded: ModuleSpec | None) -> bool:
        if loaded is not None or self.loaded is not None:
            return loaded is self.loaded  # every time that a module is loaded it has another
        return self.changed is not None and self.changed == _changed(self.origin) and self.path == tuple(sys.path)


_READ: dict[str, _Module] = {}
"""Every unit of a run asks for its address, and its modules may be hundreds."""


def _module(name: str) -> _Module | None:
    """A module of the user's own that lies in a file, or None."""
    loaded, known = _loaded(name), _READ.get(name)
    if known is not None and known.holds(loaded):
        return known
    spec = _own(name)
    if spec is None or spec.origin is None or not spec.has_location:
        return None
    changed = _changed(spec.origin)  # before it is read: what changes meanwhile is then read again
    text = code_at(spec.origin, spec.loader)
    imports = _imports(text, spec.parent or "") if spec.origin.endswith(".py") else ()
    _READ[name] = _Module(
        digest=hashlib.sha256(text).hexdigest(),
        imports=tuple(each for each in imports if _own(each) is not None),
        origin=spec.origin,
        path=tuple(sys.path),
        loaded=loaded,
        changed=changed,
    )
    return _READ[name]


def _loaded(name: str) -> ModuleSpec | None:
    return getattr(sys.modules.get(name), "__spec__", None)


def _changed(path: str) -> tuple[int, int] | None:
    """When a file was last changed, and its size; None for what is no file, as in a zip."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4096)  # a module that is loaded again may be the same
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
            yield from _prefixes(alias.name)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
        source = ".".join([*above, *([node.module] if node.module else [])])
        yield from _prefixes(source)
        yield from (f"{source}.{alias.name}" for alias in node.names)


def _prefixes(name: str) -> Iterator[str]:
    """A module and the packages around it, the outermost first."""
    return accumulate(name.split("."), "{}.{}".format)


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
        inner = f"{spec.name}.{part}"
        spec = _loaded(inner) or PathFinder.find_spec(inner, list(spec.submodule_search_locations))
    return None if spec is None or _is_installed(spec) else spec


def _is_installed(spec: ModuleSpec) -> bool:
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return any(_INSTALLED & set(Path(place).parts) for place in places)
