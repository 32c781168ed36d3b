"""Engines give the same answers, survive dead workers, and use one thread a task."""

import os
import signal
import time

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 - loads a BLAS whose threads are counted
from threadpoolctl import threadpool_info

from aftertrace.engine import InProcess, Processes, choose
from aftertrace.errors import TrainingError


def square(context, task):
    return context * task**2


def slow_square(context, task):
    time.sleep(0.02)
    return float(np.linalg.norm(context) * task**2)


def threads(context, task):
    return max(pool["num_threads"] for pool in threadpool_info())


def test_in_process_is_in_order():
    assert list(InProcess().map(square, 2, [3, 1, 2])) == [(0, 18), (1, 2), (2, 8)]


def test_processes_equal_in_process():
    context = np.arange(200_000.0)
    answers = dict(Processes(2).map(slow_square, context, range(12)))
    assert answers == dict(InProcess().map(slow_square, context, range(12)))


def note(folder=None):
    """Warming up leaves a mark for each worker."""
    import tempfile

    tempfile.mkstemp(prefix="warm-", dir=os.environ["WARM_FOLDER"])


def test_prepared_workers_are_the_ones_that_work(monkeypatch, tmp_path):
    monkeypatch.setenv("WARM_FOLDER", str(tmp_path))
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)  # workers of other tests do not know the folder
    engine = Processes(2)
    engine.prepare(note)
    assert dict(engine.map(square, 2, range(6))) == {k: 2 * k**2 for k in range(6)}
    deadline = time.monotonic() + 20
    while len(list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("engine", [InProcess(), Processes(2)], ids=repr)
def test_one_thread_a_task(engine):
    assert {answer for _, answer in engine.map(threads, None, range(4))} == {1}


def die_once(context, task):
    marker = context / f"died-{task}"
    if task == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return task


def test_a_killed_worker_costs_its_task_not_the_run(tmp_path):
    answers = dict(Processes(2).map(die_once, tmp_path, range(8)))
    assert answers == {k: k for k in range(8)}


def always_die(context, task):
    if task:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return task


def test_workers_that_always_die_end_the_run_with_advice():
    with pytest.raises(TrainingError, match="died 3 times in a row .* fewer `jobs` than 2"):
        list(Processes(2).map(always_die, None, range(4)))


def grow(context, task):
    held = np.__dict__.setdefault("held_by_a_test", [])
    held.append(b"x" * 350_000_000)
    time.sleep(1.1)  # loky looks once a second
    return task


def test_a_worker_that_grew_and_was_replaced_stops_nothing():
    """Warnings are errors here: loky's, of a worker that stopped, once ended the thread that hands out tasks."""
    pytest.importorskip("psutil")
    assert sorted(answer for _, answer in Processes(2).map(grow, None, range(6))) == list(range(6))


def fail(context, task):
    time.sleep(0.01)
    if task == 2:
        raise TrainingError("no")
    return task


@pytest.mark.parametrize("engine", [InProcess(), Processes(2)], ids=repr)
def test_errors_of_tasks_reach_the_caller(engine):
    with pytest.raises(TrainingError, match="^no$"):
        list(engine.map(fail, None, range(4)))


def test_choose():
    assert choose(1) == InProcess()
    assert choose(3) == Processes(3)
