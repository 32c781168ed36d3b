"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any, Self

LINE_SECONDS = 10.0
_WORDS = {
    "models": ("Training", "models"),
    "certificate": ("Checking", "models"),
    "attacks": ("Attacking", "attacks"),
    "deletions": ("Deleting", "records"),
}


class ProgressDisplay:
    """Call it as `display(stage, done, total)`; a stage that is not known is a note, shown as a line.

    The pace counts what was done in this process, not what was found finished.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._stage, self._began, self._start, self._shown = "", 0.0, 0, 0.0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` are finished."""
        if stage not in _WORDS:
            self._line(stage)
            return
        if stage != self._stage:
            self._stage, self._began, self._start, self._shown = stage, time.monotonic(), done, 0.0
            self._new_bar(stage, done, total)
        if self._terminal:
            self._bar.update(self._task, completed=done, pace=self._pace(done))
        elif done == total or time.monotonic() - self._shown > LINE_SECONDS:
            self._shown = time.monotonic()
            verb, noun = _WORDS[stage]
            self._line(f"{verb}: {done} of {total} {noun}{self._pace(done, total)}")

    def _new_bar(self, stage: str, done: int, total: int) -> None:
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
        verb, noun = _WORDS[stage]
        self._task = self._bar.add_task(verb, total=total, completed=done, noun=noun, pace="")

    def _pace(self, done: int, total: int | None = None) -> str:
        seconds = time.monotonic() - self._began
        if done == self._start or seconds < 0.5:
            return ""
        pace = (done - self._start) / seconds
        left = f", about {(total - done) / pace:.0f} s left" if total is not None and total > done else ""
        return f", {pace:.3g} per second{left}"

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is where lines are printed
