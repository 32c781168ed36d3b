"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from aftertrace._spelling import harmless

P = ParamSpec("P")
T = TypeVar("T")
LINE_SECONDS = 10.0
_WORDS = {
    "models": ("Training", "models"),
    "certificate": ("Checking", "models"),
    "attacks": ("Attacking", "attacks"),
    "answers": ("Asking", "answers"),
    "what if": ("Trying", "remedies"),
    "deletions": ("Deleting", "records"),
    "runs": ("Running", "runs"),
    "files": ("Fetching", "bytes"),
}


class ProgressDisplay:
    """Call it as `display(stage, done, total)`; a stage that is not known is a note, shown as a line.

    "run 3 of 20: models" is the stage "models" of one of many runs: it has a bar only while it lasts, and lines only
    where it takes long. The pace counts what was done in this process, not what was found finished.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._stage, self._began, self._start, self._shown = "", 0.0, 0, 0.0
        self._bar: Any = None
        self._task: Any = None
        self._passing: Any = None  # the bar of a run among many
        self._runs: Any = None  # and that of all of them

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` are finished."""
        place, _, inner = stage.rpartition(": ")
        if inner not in _WORDS or place.startswith("note"):
            self._line(stage)
            return
        if stage != self._stage:
            self._stage, self._began, self._start = stage, time.monotonic(), done
            self._shown = time.monotonic() if place else 0.0
            self._new_bar(place, inner, done, total)
        if self._terminal:
            self._bar.update(self._task, completed=done, pace=self._pace(done))
        elif (done == total and not place) or time.monotonic() - self._shown > LINE_SECONDS:
            self._shown = time.monotonic()
            verb, noun = _WORDS[inner]
            self._line(f"{place and place + ': '}{verb}: {done} of {total} {noun}{self._pace(done, total)}")

    def _new_bar(self, place: str, stage: str, done: int, total: int) -> None:
        if not self._terminal:
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description:<10}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[noun]}{task.fields[pace]}"),
                TimeRemainingColumn(compact=True),
                console=Console(stderr=True),
                transient=False,
            )
            self._bar.start()
        if self._passing is not None:
            self._bar.remove_task(self._passing)
            self._passing = None
        verb, noun = _WORDS[stage]
        if stage == "runs" and self._runs is not None:
            self._task = self._runs
            return
        self._task = self._bar.add_task(verb, total=total, completed=done, noun=noun, pace="")
        if stage == "runs":
            self._runs = self._task
        if place:
            self._passing = self._task

    def _pace(self, done: int, total: int | None = None) -> str:
        seconds = time.monotonic() - self._began
        if done == self._start or seconds < 0.5:
            return ""
        pace = (done - self._start) / seconds
        left = f", about {(total - done) / pace:.0f} s left" if total is not None and total > done else ""
        return f", {pace:.3g} per second{left}"

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(harmless(text), highlight=False)
        else:
            print(harmless(text), file=sys.stderr, flush=True)  # noqa: T201 - this is where lines are printed


def with_progress(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns, its argument `progress` shown while it lasts."""
    with ProgressDisplay() as display:
        kwargs["progress"] = display
        return work(*args, **kwargs)
