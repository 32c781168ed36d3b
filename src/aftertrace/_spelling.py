"""Names in messages: some of many, what was probably meant, how arguments are typed, and nothing that moves a terminal.

A message names arguments between backquotes, as Python has them: `match=True`. Whatever else it names stands in quotes:
keys of files, arrays, columns, and what is called as an option of a command is and is not that.
"""

import ast
import difflib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_CONTROL = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")  # no tab, line end or colour
_LIKENESS = 0.8
"""How much alike names of files must be (0 to 1), many of which differ by a letter on purpose."""
_ARGUMENT = r"(?<![^\s(])`([a-z_]+)(?:=([^`]+))?`(?=[.,:;?!)]*(?:\s|$))"
"""A word of its own: backquotes within a file's name are the file's."""


def harmless(text: str) -> str:
    """Text for a terminal: names that a user's files bring may hold sequences that clear it or type into it."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def as_options(text: str, options: Mapping[str, str], *, given: Iterable[str] = ()) -> str:
    """A message whose arguments are typed as a command's `options`, by name; others stay as they are.

    So does whatever was `given` to the command, such as files' names, where the message repeats it.
    """

    def typed(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in options:
            return found[0]
        return options[name] if value in (None, "True") else f"{options[name]} {_typed(value)}"

    own = sorted({each for each in given if "`" in each}, key=len, reverse=True)
    return re.sub("|".join([*map(re.escape, own), _ARGUMENT]), typed, text)


def _typed(value: str) -> str:
    """A value of Python as it is typed in a shell."""
    try:
        return shlex.quote(str(ast.literal_eval(value)))
    except (ValueError, SyntaxError):
        return value


def nearest(name: str, known: Iterable[str]) -> str:
    """` (is 'x' meant?)` for the nearest known name, or nothing."""
    names = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f" (is {names[near[0]]!r} meant?)" if near else ""


def nearest_file(path: Path) -> str:
    """` (is 'x' meant?)` for what is called nearly so in the folder of an absent file, or nothing.

    Endings do not make two names alike, but decide between those that are.
    """
    try:
        beside = [each.name for each in path.parent.iterdir()]
    except (OSError, ValueError):  # there is no such folder, or there can be none
        return ""
    near = difflib.get_close_matches(_stem(path.name), sorted({_stem(name) for name in beside}), n=1, cutoff=_LIKENESS)
    alike = sorted(name for name in beside if _stem(name) in near)
    found = difflib.get_close_matches(path.name, alike, n=1, cutoff=0)
    return f" (is {found[0]!r} meant?)" if found else ""


def _stem(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).stem


def some(names: Sequence[str], most: int = 6) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(repr(str(name)) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
