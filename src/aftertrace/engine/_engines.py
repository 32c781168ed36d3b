"""In this process, or in local ones."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aftertrace.errors import TrainingError

C = TypeVar("C")
T = TypeVar("T")
A = TypeVar("A")
START_SECONDS = 3.0
"""About what starting workers costs: less work than this is left stays in process."""
MOST_FAILURES = 3
"""How often in a row workers may die without finishing a task between."""


class Engine(Protocol):
    """Runs tasks and hands out answers as they finish."""

    def map(self, function: Callable[[C, T], A], context: C, tasks: Sequence[T]) -> Iterator[tuple[int, A]]: ...


@dataclass(frozen=True)
class InProcess:
    """One task after the other, in order: the reference."""

    def map(self, function: Callable[[C, T], A], context: C, tasks: Sequence[T]) -> Iterator[tuple[int, A]]:
        """Yield (number of the task, answer)."""
        for number, task in enumerate(tasks):
            yield number, _single_threaded(function, context, task)


@dataclass(frozen=True)
class Processes:
    """`jobs` worker processes (joblib's loky). A worker that dies costs its tasks, which run again, not the run.

    Workers start only when they pay: tasks run in process while, at their average pace, what is left would take
    less than starting workers does. Large arrays in `context` are shared through memory-mapped files.
    """

    jobs: int

    def map(self, function: Callable[[C, T], A], context: C, tasks: Sequence[T]) -> Iterator[tuple[int, A]]:
        """Yield (number of the task, answer) in the order of finishing.

        Raises `TrainingError` when workers die three times without finishing anything.
        """
        left, started = dict(enumerate(tasks)), time.monotonic()
        for number, task in enumerate(tasks):
            pace = (time.monotonic() - started) / number if number else 0.0
            if pace * len(left) > START_SECONDS:
                yield from self._in_workers(function, context, left)
                return
            yield number, _single_threaded(function, context, task)
            del left[number]

    def _in_workers(self, function: Callable[[C, T], A], context: C, left: dict[int, T]) -> Iterator[tuple[int, A]]:
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import BrokenProcessPool

        failures = 0
        while left:
            calls = (delayed(_numbered)(function, context, number, task) for number, task in list(left.items()))
            pool = Parallel(n_jobs=self.jobs, backend="loky", return_as="generator_unordered", batch_size=1)
            try:
                with closing(pool(calls)) as answers:
                    for number, answer in answers:
                        failures = 0
                        del left[number]
                        yield number, answer
            except BrokenProcessPool as error:
                failures += 1
                if failures == MOST_FAILURES:
                    raise TrainingError(
                        f"Worker processes died {MOST_FAILURES} times in a row (out of memory?). Finished units are "
                        f"kept; run again with fewer --jobs than {self.jobs}."
                    ) from error


def choose(jobs: int) -> Engine:
    """The engine for `jobs` workers: in process for one."""
    return Processes(jobs) if jobs > 1 else InProcess()


def _numbered(function: Callable[[C, T], A], context: C, number: int, task: T) -> tuple[int, A]:
    return number, _single_threaded(function, context, task)


def _single_threaded(function: Callable[[C, T], A], context: C, task: T) -> A:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return function(context, task)
