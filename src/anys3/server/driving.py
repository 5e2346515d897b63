"""Drives coroutines without Tasks: one that never suspends costs one `send`.

A Task costs a loop turn and about 3 µs. What it offers beyond this driver (cancellation scopes,
`asyncio.timeout`, `current_task`) is not for handlers; futures, locks, events, executors and Tasks that a
handler awaits work as usual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Driver:
    """A coroutine that has suspended, resumed by the callbacks of what it awaits.

    `done(result, error)` is called once, when the coroutine has ended; exactly one of them is not None,
    unless the coroutine returned None.
    """

    __slots__ = ("_awaited", "_coroutine", "_done", "_is_ended", "_loop")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        awaited: Any,
        done: Callable[[Any, BaseException | None], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._coroutine = coroutine
        self._done = done
        self._loop = loop
        self._awaited: Any = None
        self._is_ended = False
        self._wait(awaited)

    def abort(self, error: BaseException) -> None:
        """Throw `error` into the coroutine where it waits, so that its `finally` clauses run."""
        if self._is_ended:
            return
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.remove_done_callback(self._wake)
            awaited.cancel()
        self._step(error)

    def _wait(self, awaited: Any) -> None:
        if awaited is None:  # a bare yield: asyncio.sleep(0)
            self._loop.call_soon(self._wake, None)
        elif getattr(awaited, "_asyncio_future_blocking", None):
            awaited._asyncio_future_blocking = False  # noqa: SLF001  (asyncio's protocol for drivers)
            self._awaited = awaited
            awaited.add_done_callback(self._wake)
        else:
            self._loop.call_soon(self._step, RuntimeError(f"a handler awaited {awaited!r}, not a future"))

    def _wake(self, _: Any) -> None:
        if not self._is_ended:
            self._awaited = None
            self._step(None)

    def _step(self, error: BaseException | None) -> None:
        try:
            awaited = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
        except StopIteration as end:
            self._end(end.value, None)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as failure:  # noqa: BLE001  (handed on; asyncio.CancelledError among them)
            self._end(None, failure)
        else:
            self._wait(awaited)

    def _end(self, result: Any, error: BaseException | None) -> None:
        self._is_ended = True
        self._done(result, error)


def drive(
    coroutine: Coroutine[Any, Any, Any],
    done: Callable[[Any, BaseException | None], None],
    loop: asyncio.AbstractEventLoop,
) -> Driver | None:
    """Run `coroutine`; return None if it ended at once (`done` was called), else its Driver."""
    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        done(end.value, None)
        return None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as failure:  # noqa: BLE001  (handed on)
        done(None, failure)
        return None
    return Driver(coroutine, awaited, done, loop)
