"""What can go wrong, as a tree. The command line turns each into one line and an exit code.

    AftertraceError
    ├── InputError               wrong use or bad input                                   exit 2
    │   ├── ExperimentError      an experiment file or setting; carries all problems
    │   ├── DataError            a data set that is absent, damaged or not as described
    │   └── PosteriorsError      a table of posteriors, or two that disagree
    ├── UnsupportedError         a combination that no part of aftertrace can do          exit 2
    ├── StoreError               a run folder: foreign, damaged, no space                 exit 2
    └── TrainingError            a model could not be trained or queried                  exit 4

Every message says what, what it must be, what came, and how to go on, in one line.
"""

from collections.abc import Sequence


class AftertraceError(Exception):
    """Base of all errors that a caller may want to catch."""


class InputError(AftertraceError, ValueError):
    """Wrong use or bad input."""


class ExperimentError(InputError):
    """An experiment file or setting is wrong. `problems` lists all that was found, a line each."""

    def __init__(self, problems: Sequence[str], *, source: str = "experiment") -> None:
        self.problems = tuple(problems)
        self.source = source
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))

    def __reduce__(self) -> tuple[type, tuple[object, ...], dict[str, object]]:
        return type(self), (self.problems,), {"source": self.source}


class DataError(InputError):
    """A data set is absent, damaged or not as described."""


class PosteriorsError(InputError):
    """A table of posteriors is not one, or two tables disagree."""


class UnsupportedError(AftertraceError):
    """A combination that no part of aftertrace can do; refused by name, never replaced silently."""


class StoreError(AftertraceError):
    """A run folder is foreign or damaged, or cannot be written."""


class TrainingError(AftertraceError):
    """A model could not be trained or queried."""
