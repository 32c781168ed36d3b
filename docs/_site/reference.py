"""Writes the pages that are made from the code: `python docs/_site/reference.py`. A test compares them with it."""

import ast
import importlib
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer

PACKAGES = (
    "results",
    "models",
    "posteriors",
    "attacks",
    "statistics",
    "scenarios",
    "defenses",
    "procedures",
    "trainers",
    "data",
    "engine",
    "store",
    "report",
    "reproduction",
    "interchange",
    "errors",
)
_SELF = ("self", "cls")
API = """# Python interface

Everything public, from the code's own words. Names that start with an underscore are not public, and may change.
Three levels, each complete: `aftertrace` itself; the objects of its packages (attacks, trainers, procedures); plain
functions on arrays. Going down a level you gain freedom, and what the level above took care of becomes yours: controls,
intervals, the order of versions, which records may set a threshold.
"""
CLI = """# Commands

Every command and every option, as `aftertrace COMMAND --help` says it. What the exit codes mean:
[the gate](gate.md#the-gate) for audits, [all of them](experiments.md#exit-codes).

`--jobs` is the number of cores unless said otherwise (of `audit`: 1). Options marked *may be repeated* are given
once for each value.

## Completion in your shell

`aftertrace --install-completion` lets your shell (bash, zsh, fish, PowerShell) complete commands and options with the
Tab key, from its next start on. `aftertrace --show-completion` prints what it would install.
"""


def api() -> str:
    """The page of the Python interface."""
    packages = (line for name in PACKAGES for line in _package(f"aftertrace.{name}"))
    return "\n".join([API, *_face(), *packages])


def cli() -> str:
    """The page of the commands."""
    from aftertrace.cli import app

    return "\n".join([CLI, *_commands(app, "aftertrace")])


def _package(name: str) -> Iterator[str]:
    """A package's docstring, and a line for each of its names."""
    module = importlib.import_module(name)
    yield f"## {name}\n"
    yield from _docstring(inspect.getdoc(module) or "")
    for public in _public(module):
        found = getattr(module, public)
        yield _line(found, public)
    yield ""


def _line(found: Any, name: str) -> str:
    """Its arguments and the first paragraph of what is said of it."""
    text = " ".join(next(_docstring(_own_docstring(found)), "").split())
    return f"* `{_brief(found, name)}`{': ' + text if text else ''}"


def _own_docstring(found: Any) -> str:
    return (inspect.getdoc(found) or "") if inspect.isclass(found) or inspect.isfunction(found) else ""


def _face() -> Iterator[str]:
    """The names of `aftertrace` itself, with all that is said of them."""
    module = importlib.import_module("aftertrace")
    yield "## aftertrace\n"
    for public in _public(module):
        found = getattr(module, public)
        yield f"### {public}\n"
        yield f"```text\n{_signature(found, public)}\n```\n"
        yield from _docstring(_own_docstring(found))
        if inspect.isclass(found):
            yield from (_line(each, name) for name, each in _methods(found))
            yield ""


def _methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods that say what they do, in their order."""
    for name, found in vars(kind).items():
        function = getattr(found, "fget", None) or getattr(found, "__func__", found)
        if not name.startswith("_") and inspect.isfunction(function) and inspect.getdoc(function):
            yield name, function


def _public(module: Any) -> list[str]:
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not name.startswith("__")]
    own = (name for name, found in vars(module).items() if getattr(found, "__module__", None) == module.__name__)
    return [name for name in own if not name.startswith("_")]


def _signature(found: Any, name: str) -> str:
    """As it stands in the code: the same in all versions of Python. A line for each part if it is long."""
    parts, end = _parts(found, annotated=True)
    line = f"{name}({', '.join(parts)}){end}" if parts else name
    return line if len(line) <= 100 else "\n    ".join([f"{name}(", *(f"{part}," for part in parts)]) + f"\n){end}"


def _brief(found: Any, name: str) -> str:
    """Names and defaults alone."""
    parts, _ = _parts(found, annotated=False)
    return f"{name}({', '.join(parts)})" if parts else name


def _parts(found: Any, *, annotated: bool) -> tuple[list[str], str]:
    """Of a function its arguments and what it returns, of a class its fields."""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]
    except (OSError, TypeError):
        return [], ""
    if isinstance(node, ast.FunctionDef):
        end = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
        return _arguments(node.args, annotated), end
    fields = [each for each in getattr(node, "body", []) if isinstance(each, ast.AnnAssign)]
    public = [each for each in fields if not ast.unparse(each).startswith("_")]
    return [ast.unparse(each if annotated else each.target) for each in public], ""


def _arguments(node: ast.arguments, annotated: bool) -> list[str]:
    """Each with its default, and its annotation if that is wanted."""
    plain = [*node.posonlyargs, *node.args]
    defaults = [None] * (len(plain) - len(node.defaults)) + list(node.defaults)
    starred = [] if not node.kwonlyargs else ["*" if node.vararg is None else f"*{node.vararg.arg}"]
    pairs = [*zip(plain, defaults, strict=True)], [*zip(node.kwonlyargs, node.kw_defaults, strict=True)]
    before, after = ([_argument(*pair, annotated) for pair in part if pair[0].arg not in _SELF] for part in pairs)
    return [*before, *starred, *after]


def _argument(name: ast.arg, default: ast.expr | None, annotated: bool) -> str:
    spelled = ast.unparse(name) if annotated else name.arg
    sign = " = " if annotated and name.annotation is not None else "="
    return spelled + ("" if default is None else f"{sign}{ast.unparse(default)}")


def _docstring(text: str) -> Iterator[str]:
    """Paragraphs as Markdown: examples and indented lines are code."""
    for paragraph in re.split(r"\n\s*\n", text):
        if not paragraph:
            continue
        if paragraph.startswith((">>>", "    ")) or _is_code(paragraph):
            yield f"```text\n{textwrap.dedent(paragraph)}\n```\n"
        else:
            yield f"{paragraph}\n"


def _is_code(paragraph: str) -> bool:
    """Whether it is Python that does something, as sentences are not."""
    try:
        nodes = ast.walk(ast.parse(paragraph))
    except SyntaxError:
        return False
    return any(isinstance(node, ast.Assign | ast.Call | ast.Import | ast.ImportFrom) for node in nodes)


def _commands(app: typer.Typer, path: str) -> Iterator[str]:
    """The commands of an app, in the order of its help, then those of its groups."""
    for each in app.registered_commands:
        yield from _command(each.callback, f"{path} {each.name or each.callback.__name__}")
    for group in app.registered_groups:
        yield from _commands(group.typer_instance, f"{path} {group.name}")


def _command(callback: Any, path: str) -> Iterator[str]:
    """What it does, and a table of its options."""
    yield f"## {path}\n"
    yield f"{_joined(inspect.getdoc(callback) or '')}\n"
    hints = typing.get_type_hints(callback, include_extras=True)
    options = [(each, hints[each.name]) for each in inspect.signature(callback).parameters.values()]
    if options:
        yield "| option | what it is |\n|---|---|"
        yield from (f"| `{_spelled(each, hint)}` | {_meaning(each, hint)} |" for each, hint in options)
        yield ""


def _spelled(parameter: inspect.Parameter, hint: Any) -> str:
    """Such as `--out PATH`, or DATA for an argument."""
    kind, info = typing.get_args(hint)
    if isinstance(info, typer.models.ArgumentInfo):
        return parameter.name.upper()
    stated = (word for word in (info.default, *(info.param_decls or ())) if str(word).startswith("--"))
    name = next(stated, f"--{parameter.name.replace('_', '-')}")
    return name if kind is bool else f"{name} {info.metavar or _value(kind)}"


def _value(kind: Any) -> str:
    own = next((each for each in typing.get_args(kind) or (kind,) if each is not type(None)), str)
    if isinstance(own, type) and issubclass(own, Enum):
        return "|".join(each.value for each in own)
    return {Path: "PATH", int: "N", float: "X"}.get(own, "TEXT")


def _meaning(parameter: inspect.Parameter, hint: Any) -> str:
    kind, info = typing.get_args(hint)
    parts = [_joined(info.help or "").rstrip(".") + "."]
    if parameter.default is inspect.Parameter.empty:
        parts.append("*Required.*")
    elif parameter.name != "jobs" and parameter.default not in (None, False):
        parts.append(f"By default {getattr(parameter.default, 'value', parameter.default)}.")
    if "list[" in str(kind):
        parts.append("*May be repeated.*")
    return " ".join(parts).replace("|", "\\|")


def _joined(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def main() -> None:
    """Write both pages beside this folder."""
    folder = Path(__file__).parent.parent
    (folder / "api.md").write_text(api(), encoding="utf-8")
    (folder / "cli.md").write_text(cli(), encoding="utf-8")


if __name__ == "__main__":
    main()
