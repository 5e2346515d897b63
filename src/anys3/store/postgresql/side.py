"""A thread with an event loop of its own, for what goes on beside the requests and for threads that must wait.

A thread that writes a blob waits here for a name, one that sends an object for its next parts: whichever thread it
is, even the one of the server's loop, the answer comes from another.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from anys3.store.errors import Unavailable

Result = TypeVar("Result")


class Side:
    """The thread. What runs in its loop is given as coroutines."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, work: Callable[[], object]) -> None:
        """Call a function in the side's loop, unless it has ended. For any thread."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(work)

    def begin(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Begin work in the side's loop. For any thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    async def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do work in the side's loop, and wait for it in the caller's."""
        return await asyncio.wrap_future(self.begin(work))

    def wait(self, work: Coroutine[Any, Any, Result], timeout_s: float) -> Result:
        """Do work in the side's loop, and block until it is done. Raises Unavailable."""
        future = self.begin(work)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise Unavailable(f"PostgreSQL has not answered in {timeout_s:.0f} s") from None

    def end(self) -> None:
        """End the thread. What still runs there is cancelled."""
        asyncio.run_coroutine_threadsafe(_cancel_others(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
