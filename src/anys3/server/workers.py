"""Prefork: one process a worker, kept alive by a supervisor that serves nothing itself.

The supervisor forks before any loop, thread or store is opened. If it dies without a word, its workers see
the end of a pipe (the lifeline) and stop in good order by themselves.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn, TypeVar

from anys3.server.refusals import Refusal

Run = Callable[[int, Callable[[], None], int], None]
"""`run(slot, is_ready, lifeline)`: serve as worker `slot`, call `is_ready` once connections are accepted,
return when told to stop by SIGTERM or when the descriptor `lifeline` becomes readable."""

_FIRST_DELAY_S = 0.1
_LAST_DELAY_S = 10.0
_STEADY_S = 5.0
"""A worker that lived that long is restarted at once."""
_LIKE_DAMAGE = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
"""How a process ends that reads a damaged page of the index, or one behind the end of its file."""
_STOPPING = (signal.SIGTERM, signal.SIGINT)


class WorkerFailed(RuntimeError):
    """A worker ended before it had ever been ready; the others were stopped."""


@dataclass(slots=True)
class _Worker:
    slot: int
    pid: int = 0
    started: float = 0.0
    delay_s: float = 0.0
    restart_at: float | None = None
    ready: int = -1
    """The descriptor that tells readiness."""
    was_ready: bool = False


def supervise(
    count: int,
    run: Run,
    *,
    log: logging.Logger,
    before_restart: Callable[[int], None] | None = None,
    on_ready: Callable[[], None] | None = None,
    grace_s: float = 40.0,
) -> None:
    """Run `count` workers until SIGTERM or SIGINT; restart those that die, with back-off.

    SIGTERM is forwarded, SIGHUP too; a second SIGTERM, or `grace_s`, kills. `on_ready` is called once, when
    all workers are ready, `before_restart(slot)` before a dead worker's place is taken.
    Raises WorkerFailed if a worker can't start in the first place.
    """
    _Supervisor(count, run, log, before_restart, on_ready, grace_s).supervise()


class _Supervisor:
    def __init__(
        self,
        count: int,
        run: Run,
        log: logging.Logger,
        before_restart: Callable[[int], None] | None,
        on_ready: Callable[[], None] | None,
        grace_s: float,
    ) -> None:
        self._run = run
        self._log = log
        self._before_restart = before_restart
        self._on_ready = on_ready
        self._grace_s = grace_s
        self._workers = [_Worker(slot) for slot in range(count)]
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._kill_at: float | None = None  # set when stopping
        self._failed: int | None = None

    def supervise(self) -> None:
        self._lifeline, self._life = os.pipe()
        self._waker, self._wakes = socket.socketpair()
        self._waker.setblocking(False)
        self._wakes.setblocking(False)
        self._selector.register(self._waker, selectors.EVENT_READ)
        watched = (*_STOPPING, signal.SIGHUP, signal.SIGCHLD)
        previous = {number: signal.signal(number, self._note) for number in watched}
        previous_wakes = signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        try:
            for worker in self._workers:
                self._start(worker)
            while any(worker.pid or worker.restart_at for worker in self._workers):
                self._turn()
        finally:
            self._signal_all(signal.SIGKILL)
            for worker in self._workers:
                if worker.pid:
                    os.waitpid(worker.pid, 0)
            signal.set_wakeup_fd(previous_wakes)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._close()
        if self._failed is not None:
            raise WorkerFailed(f"worker {self._failed} ended before it was ready")

    def _note(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def _turn(self) -> None:
        """Wait for the next thing to happen, and react."""
        for key, _ in self._selector.select(self._patience()):
            if key.fileobj is self._waker:
                with contextlib.suppress(BlockingIOError):
                    self._waker.recv(4096)
            else:
                self._hear(key.data)
        while self._signals:
            self._react(self._signals.pop(0))
        self._reap()
        now = time.monotonic()
        for worker in self._workers:
            if worker.restart_at is not None and now >= worker.restart_at:
                worker.restart_at = None
                if self._before_restart is not None:
                    self._before_restart(worker.slot)
                self._start(worker)
        if self._kill_at is not None and now >= self._kill_at:
            self._signal_all(signal.SIGKILL)

    def _patience(self) -> float | None:
        times = [worker.restart_at for worker in self._workers if worker.restart_at is not None]
        if self._kill_at is not None:
            times.append(self._kill_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _react(self, number: int) -> None:
        if number in _STOPPING:
            if self._kill_at is None:
                self._stop()
            else:
                self._kill_at = 0.0
        elif number == signal.SIGHUP:
            self._signal_all(signal.SIGHUP)

    def _stop(self) -> None:
        self._kill_at = time.monotonic() + self._grace_s
        for worker in self._workers:
            worker.restart_at = None
        self._signal_all(signal.SIGTERM)

    def _signal_all(self, number: int) -> None:
        for worker in self._workers:
            if worker.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, number)

    def _start(self, worker: _Worker) -> None:
        """Start a worker; later if the system has no process or descriptor for it now."""
        worker.started = time.monotonic()
        try:
            ready, tell = os.pipe()
        except OSError as error:
            self._not_started(worker, error)
            return
        try:
            self._fork(worker, ready, tell)
        except OSError as error:
            os.close(ready)
            self._not_started(worker, error)
            return
        finally:
            os.close(tell)
        worker.ready = ready
        self._selector.register(ready, selectors.EVENT_READ, worker)

    def _fork(self, worker: _Worker, ready: int, tell: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        # A stop that comes while there are two of us must not be lost, nor run the supervisor's handler.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (*_STOPPING, signal.SIGHUP))
        try:
            worker.pid = os.fork()
            if worker.pid == 0:
                os.close(ready)
                self._be_worker(worker, tell, blocked)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _not_started(self, worker: _Worker, error: OSError) -> None:
        """Try again after a while; but a server that can't even begin ends."""
        if not worker.was_ready:
            raise error
        self._restart_later(worker, f"worker {worker.slot} could not be started: {error.strerror}")

    def _be_worker(self, worker: _Worker, tell: int, mask: set[int | signal.Signals]) -> NoReturn:
        """Run in the child; never return into the supervisor's frames."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (*_STOPPING, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the worker knows what to do
            os.close(self._life)
            self._waker.close()
            self._wakes.close()
            self._selector.close()
            for other in self._workers:
                if other.ready >= 0:
                    os.close(other.ready)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._run(worker.slot, lambda: _tell(tell), self._lifeline)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except KeyboardInterrupt:
            code = 0
        except Refusal as refusal:
            self._log.error("worker %d: %s", worker.slot, refusal)
            code = refusal.exit_code
        except BaseException:  # noqa: BLE001  (the process ends here)
            self._log.exception("worker %d failed", worker.slot)
        finally:
            with contextlib.suppress(Exception):
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _hear(self, worker: _Worker) -> None:
        """Take a worker's word that it is ready, or the end of its pipe."""
        is_ready = os.read(worker.ready, 1) != b""
        self._forget(worker)
        if is_ready:
            worker.was_ready = True
            if self._on_ready is not None and all(each.was_ready for each in self._workers):
                on_ready, self._on_ready = self._on_ready, None
                on_ready()

    def _forget(self, worker: _Worker) -> None:
        if worker.ready >= 0:
            self._selector.unregister(worker.ready)
            os.close(worker.ready)
            worker.ready = -1

    def _reap(self) -> None:
        for worker in self._workers:
            if worker.pid:
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
                if pid:
                    self._ended(worker, os.waitstatus_to_exitcode(status))

    def _ended(self, worker: _Worker, code: int) -> None:
        worker.pid = 0
        if worker.ready >= 0:  # its word may still lie in the pipe
            self._hear(worker)
        if self._kill_at is not None:
            return
        if not worker.was_ready:
            self._failed = worker.slot
            self._stop()
            return
        why = f"worker {worker.slot} ended with {code}"
        if -code in _LIKE_DAMAGE:
            why += f" ({signal.Signals(-code).name}: most likely the index is damaged; stop, and run `anys3 scrub`)"
        self._restart_later(worker, why)

    def _restart_later(self, worker: _Worker, why: str) -> None:
        lived_s = time.monotonic() - worker.started
        worker.delay_s = (
            0.0 if lived_s > _STEADY_S else min(_LAST_DELAY_S, max(_FIRST_DELAY_S, 2 * worker.delay_s))
        )
        worker.restart_at = time.monotonic() + worker.delay_s
        self._log.error("%s; restarting in %.1f s", why, worker.delay_s)

    def _close(self) -> None:
        for worker in self._workers:
            self._forget(worker)
        self._selector.close()
        self._waker.close()
        self._wakes.close()
        os.close(self._lifeline)
        os.close(self._life)


Result = TypeVar("Result")


def run_apart(work: Callable[[], Result]) -> Result:
    """Return what `work` returns in a process of its own, so that nothing of it stays in this one.

    Raises Refusal if it does, RuntimeError if it ends in another way.
    """
    ours, theirs = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(ours)
        _answer_through(theirs, work)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answer:
        told = answer.read()
    os.waitpid(child, 0)
    if not told:
        raise RuntimeError("the start failed; the log above says why")
    exit_code, result = pickle.loads(told)  # noqa: S301 (our own process wrote it)
    if exit_code is not None:
        raise Refusal(exit_code, result)
    made: Result = result
    return made


def _answer_through(descriptor: int, work: Callable[[], object]) -> NoReturn:
    """Run in the child; never return into the parent's frames."""
    code = 1
    try:
        try:
            told = pickle.dumps((None, work()))
        except Refusal as refusal:
            told = pickle.dumps((refusal.exit_code, str(refusal)))
        with os.fdopen(descriptor, "wb") as answer:
            answer.write(told)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        logging.getLogger("anys3.server").exception("the start failed")
    finally:
        with contextlib.suppress(Exception):
            logging.shutdown()
            sys.stderr.flush()
        os._exit(code)


def _tell(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, b"1")
        os.close(descriptor)
