"""In this process, or in local ones."""

import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aftertrace.errors import InputError, TrainingError

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

C = TypeVar("C")
T = TypeVar("T")
A = TypeVar("A")
MOST_FAILURES = 3
"""How often in a row workers may die without finishing a task between."""


class Engine(Protocol):
    """Runs tasks and hands out answers as they finish."""

    @property
    def at_once(self) -> int:
        """How many tasks run at the same time."""
        ...

    def prepare(self, warm_up: Callable[[], None]) -> None:
        """Tasks will come soon: get ready in the background; `warm_up` is for each worker (imports, say)."""
        ...

    def limited(self, most: int) -> "Engine":
        """The same engine with at most that many tasks at once."""
        ...

    def map(self, function: Callable[[C, T], A], context: C, tasks: Sequence[T]) -> Iterator[tuple[int, A]]:
        """Yield (number of the task, answer) as tasks finish."""
        ...


@dataclass(frozen=True)
class InProcess:
    """One task after the other, in order: the reference."""

    @property
    def at_once(self) -> int:
        """One."""
        return 1

    def prepare(self, warm_up: Callable[[], None]) -> None:
        """Nothing to do: imports happen when they are needed."""

    def limited(self, most: int) -> "InProcess":
        """There is only one at once."""
        return self

    def map(self, function: Callable[[C, T], A], context: C, tasks: Sequence[T]) -> Iterator[tuple[int, A]]:
        """Yield (number of the task, answer)."""
        for number, task in enumerate(tasks):
            yield number, _single_threaded(function, context, task)


@dataclass(frozen=True)
class Processes:
    """`jobs` worker processes (joblib's loky). A worker that dies costs its tasks, which run again, not the run.

    Large arrays in `context` are shared through memory-mapped files. Workers stay for the next call of `map`.
    """

    jobs: int

    @property
    def at_once(self) -> int:
        """As many as there are workers."""
        return self.jobs

    def prepare(self, warm_up: Callable[[], None]) -> None:
        """Start the workers while the caller goes on; what they would fail at shows at the first task."""

        def start() -> None:
            from joblib import delayed

            list(_pool(self.jobs)(delayed(warm_up)() for _ in range(self.jobs)))

        threading.Thread(target=start, daemon=True).start()

    def limited(self, most: int) -> Engine:
        """Fewer workers, or none but this process."""
        return self if most >= self.jobs else choose(most)

    def map(self, function: Callable[[C, T], A], context: C, tasks: Sequence[T]) -> Iterator[tuple[int, A]]:
        """Yield (number of the task, answer) in the order of finishing.

        Raises `TrainingError` when workers die three times without finishing anything.
        """
        from joblib import delayed
        from joblib.externals.loky.process_executor import BrokenProcessPool

        left, failures = dict(enumerate(tasks)), 0
        while left:
            calls = [delayed(_numbered)(function, context, number, task) for number, task in left.items()]
            try:
                with closing(_pool(self.jobs)(calls)) as answers:
                    for number, answer in answers:
                        failures = 0
                        del left[number]
                        yield number, answer
            except BrokenProcessPool as error:
                failures += 1
                if failures == MOST_FAILURES:
                    reason = str(error).strip().splitlines()[0]
                    raise TrainingError(
                        f"Worker processes died {MOST_FAILURES} times in a row ({reason}). Finished units are kept; "
                        f"where memory is short, run again with fewer `jobs` than {self.jobs}."
                    ) from error


def choose(jobs: int) -> Engine:
    """The engine for `jobs` workers: in process for one. Raises `InputError` for less than one."""
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise InputError(f"`jobs` must be a number of worker processes, at least 1, got {jobs!r}.")
    return Processes(jobs) if jobs > 1 else InProcess()


def _pool(jobs: int) -> Any:
    from joblib import Parallel

    # A worker that has grown by 300 MB, or was long idle, makes room for a new one. Nobody need know; and where
    # warnings are errors, this one would end the thread that hands out tasks, and all would wait forever.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given", category=UserWarning)
    return Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered", batch_size=1)


def _numbered(function: Callable[[C, T], A], context: C, number: int, task: T) -> tuple[int, A]:
    return number, _single_threaded(function, context, task)


def _single_threaded(function: Callable[[C, T], A], context: C, task: T) -> A:
    with _thread_pools(len(sys.modules)).limit(limits=1):
        return function(context, task)


@lru_cache(maxsize=1)
def _thread_pools(n_modules: int) -> "ThreadpoolController":
    """The thread pools of libraries. Finding them takes milliseconds: again only when modules have come since."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
