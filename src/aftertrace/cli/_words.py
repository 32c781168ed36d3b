"""The library's words, which name arguments of Python, as those of a command, which has options."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_type_hints

from typer.models import OptionInfo

from aftertrace._spelling import as_options

if TYPE_CHECKING:
    from aftertrace._finished import Audit


def options_of(command: Callable[..., Any]) -> Mapping[str, str]:
    """What a command's options are called when they are typed, by the names of its parameters."""
    return {
        name: _typed(name, each)
        for name, hint in get_type_hints(command, include_extras=True).items()
        for each in getattr(hint, "__metadata__", ())
        if isinstance(each, OptionInfo)
    }


def in_options(audit: "Audit", command: Callable[..., Any]) -> "Audit":
    """A finished audit whose verdict and notes name options of that command."""
    options, result = options_of(command), audit.result
    verdict = replace(result.verdict, sentence=as_options(result.verdict.sentence, options))
    notes = tuple(as_options(note, options) for note in result.notes)
    return replace(audit, result=replace(result, verdict=verdict, notes=notes))


def _typed(name: str, option: OptionInfo) -> str:
    """Where it is written after the type, as in `Annotated[str, Option("--set")]`, typer takes it for the default."""
    said = [word for word in map(str, (option.default, *(option.param_decls or ()))) if word.startswith("--")]
    return said[0] if said else f"--{name.replace('_', '-')}"
