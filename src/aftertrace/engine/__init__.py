"""Engines: where units of work run. An engine knows no method and no file.

    for number, answer in Processes(2).map(function, context, tasks):    # as they finish, in any order
        ...

`function(context, task)` must be importable or picklable by cloudpickle, and a function of its arguments
alone: the answers are the same on every engine, with every number of workers. BLAS and OpenMP use one thread
inside a task.
"""

from aftertrace.engine._engines import Engine, InProcess, Processes, choose

__all__ = ["Engine", "InProcess", "Processes", "choose"]
