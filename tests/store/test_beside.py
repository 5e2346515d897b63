"""Work beside other work ends with its result, or with its error."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from anys3.store.beside import THREADS_MAX, Threads, step_back


def test_the_result_of_work_is_returned_from_another_thread() -> None:
    assert Threads().start(threading.get_ident).result() != threading.get_ident()


def test_the_error_of_work_is_raised() -> None:
    started = Threads().start(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        started.result()


def test_work_beyond_the_threads_waits_for_its_turn() -> None:
    threads = Threads(2)
    names = [threads.start(lambda: threading.current_thread().ident) for _ in range(50)]
    assert len({started.result() for started in names}) <= 2


def test_threads_are_used_again() -> None:
    threads = Threads()
    before = threading.active_count()
    for _ in range(100):
        threads.start(int).result()
    assert threading.active_count() - before <= THREADS_MAX


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    threads = Threads(1)
    threads.start(int).result()
    child = os.fork()
    if not child:
        os._exit(threads.start(lambda: 7).result())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="priorities of threads are Linux's")
def test_its_threads_step_back_once_and_the_others_stay() -> None:
    usual = os.getpriority(os.PRIO_PROCESS, os.getpid())

    def priority() -> int:
        step_back()
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    started = Threads(1)
    assert [started.start(priority).result() for _ in range(2)] == [min(usual + 5, 19)] * 2
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == usual
