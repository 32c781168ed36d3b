"""Objects by import path, as users name their own code."""

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from aftertrace.errors import InputError
from aftertrace.models._files import first_line

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_reference(text: str) -> bool:
    """Whether a text has the form `package.module:name`."""
    return _REFERENCE.fullmatch(text) is not None


def imported(reference: str) -> Any:
    """The object `package.module:name`, from what is installed or else from the current folder.

    This runs the module's code, which the user names as their own. The current folder stays at the end of the path:
    a module may import others when it is called, and none there hides one that is installed. Raises `InputError`
    where there is no such object, or its module fails.
    """
    module, _, name = reference.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{reference}: there is no {name!r} in module {module!r} ({error}). A module of your own must be in the "
            f"current folder, installed, or its folder be in PYTHONPATH."
        ) from error
    except SystemExit as error:
        raise InputError(
            f"{reference}: module {module!r} ends the process when it is imported. Put what it does as a program below "
            f"`if __name__ == '__main__':`."
        ) from error
    except Exception as error:  # the user's own code: it may fail with anything
        raise InputError(f"{reference}: module {module!r} fails when it is imported ({first_line(error)}).") from error
