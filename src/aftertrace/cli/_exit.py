"""Exit codes, and how errors become one line."""

import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import typer

from aftertrace._spelling import as_options, harmless
from aftertrace.cli._words import options_of
from aftertrace.errors import AftertraceError, ExperimentError, TrainingError

if TYPE_CHECKING:
    from aftertrace.results import Verdict


class ExitCode(IntEnum):
    """What a command's status means."""

    OK = 0  # done and, where a limit was asked for, within it
    LIMIT_EXCEEDED = 1
    WRONG_USE = 2  # or bad input
    INCONCLUSIVE = 3  # where a limit was asked for
    INVALID = 4  # a control failed, or the run is incomplete
    DEFECT = 70
    INTERRUPTED = 130


_UNITS = "Finished units are kept: run the same command again to go on."
_KEPT = {
    "run": _UNITS,
    "reproduce": _UNITS,
    "exposure": _UNITS,
    "audit": "What was not judged yet is lost. Shadow models and answers of endpoints are kept; the next call begins "
    "all else anew.",
}
"""What a command that is interrupted leaves of its work, by its function; others leave nothing."""


def guarded(command: Callable[..., ExitCode]) -> Callable[..., None]:
    """A command that returns an exit code, as typer wants it; errors of use become one line each."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
            sys.stdout.flush()
        except AftertraceError as error:
            code = ExitCode.INVALID if isinstance(error, TrainingError) else ExitCode.WRONG_USE
            text = as_options(str(error), options_of(command), given=_texts(kwargs.values()))
            _say(text if isinstance(error, ExperimentError) else f"aftertrace: {text}")
        except KeyboardInterrupt:
            code = ExitCode.INTERRUPTED
            _say(f"aftertrace: interrupted. {_KEPT.get(command.__name__, '')}".rstrip())
        except BrokenPipeError:  # the reader of our output has gone, as `| head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = ExitCode.OK
        except typer.Exit:
            raise
        except SystemExit:  # code that the user named: what it ends with must not be taken for a verdict
            code = ExitCode.WRONG_USE
            _say("aftertrace: code of a model ended the process (sys.exit), so there is no verdict. Make it return.")
        except Exception:  # the last line of defence: anything else is our own defect, and keeps its traceback
            traceback.print_exc()
            code = ExitCode.DEFECT
            _say(
                "aftertrace: this is a defect of aftertrace, not of your input; please report it with the lines above."
            )
        raise typer.Exit(int(code))

    return run


def verdict_code(verdict: "Verdict") -> ExitCode:
    """The exit code of a verdict: limits and doubts count only where a limit was asked for."""
    from aftertrace.results import Outcome

    match verdict.outcome:
        case Outcome.INVALID:
            return ExitCode.INVALID
        case Outcome.LEAKS | Outcome.TOO_COSTLY if verdict.checks:
            return ExitCode.LIMIT_EXCEEDED
        case Outcome.INCONCLUSIVE if verdict.checks:
            return ExitCode.INCONCLUSIVE
    return ExitCode.OK


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """What was typed for a command's parameters, each by itself."""
    for value in values:
        yield from map(str, value if isinstance(value, list | tuple) else [value])


def _say(text: str) -> None:
    typer.echo(harmless(text), err=True)
