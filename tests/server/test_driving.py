"""The driver: what a Task does for a handler, without one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from anys3.server import platform
from anys3.server.driving import Driver, drive

LOOPS = [asyncio.new_event_loop, platform.loop_factory()]


def outcome(
    coroutine: Coroutine[Any, Any, Any], loop_factory: Any = None
) -> tuple[Any, BaseException | None]:
    """Drive a coroutine to its end; return its result and error."""

    async def main() -> tuple[Any, BaseException | None]:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
        drive(coroutine, lambda *end: ended.set_result(end), loop)
        return await asyncio.wait_for(ended, 10)

    with asyncio.Runner(loop_factory=loop_factory or platform.loop_factory()) as runner:
        return runner.run(main())


async def ready() -> int:
    return 1


def test_a_coroutine_that_never_suspends_ends_at_once() -> None:
    ends: list[tuple[Any, BaseException | None]] = []
    loop = asyncio.new_event_loop()
    assert drive(ready(), lambda *end: ends.append(end), loop) is None
    assert ends == [(1, None)]
    loop.close()


async def everything() -> list[object]:
    loop = asyncio.get_running_loop()
    lock = asyncio.Lock()
    results: list[object] = []
    async with lock:
        await asyncio.sleep(0)
        results.append(await asyncio.sleep(0.001, "slept"))
    results.append(await loop.run_in_executor(None, lambda: "ran"))
    results.append(await asyncio.gather(ready(), asyncio.sleep(0.001, 2)))
    results.append(await asyncio.create_task(ready()))
    done = loop.create_future()
    done.set_result("done")
    results.append(await done)
    return results


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_futures_tasks_locks_and_executors_can_be_awaited(loop_factory: Any) -> None:
    assert outcome(everything(), loop_factory) == (["slept", "ran", [1, 2], 1, "done"], None)


async def failing() -> None:
    await asyncio.sleep(0)
    raise KeyError("late")


async def failing_future() -> None:
    await asyncio.get_running_loop().run_in_executor(None, {}.__getitem__, "absent")


@pytest.mark.parametrize("coroutine", [failing, failing_future])
def test_an_exception_is_the_outcome(coroutine: Any) -> None:
    result, error = outcome(coroutine())
    assert result is None
    assert isinstance(error, KeyError)


class Odd:
    def __await__(self) -> Any:
        yield "not a future"


async def odd() -> None:
    await Odd()


def test_what_is_no_future_cannot_be_awaited() -> None:
    _, error = outcome(odd())
    assert isinstance(error, RuntimeError)


def test_an_abort_runs_finally_clauses_and_what_they_await() -> None:
    steps: list[str] = []

    async def waiting() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            steps.append("cleaning")
            await asyncio.sleep(0.001)
            steps.append("clean")
        return "never"

    async def main() -> BaseException | None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[BaseException | None] = loop.create_future()
        driver = drive(waiting(), lambda _, error: ended.set_result(error), loop)
        assert isinstance(driver, Driver)
        driver.abort(ConnectionAbortedError())
        error = await ended
        driver.abort(ConnectionAbortedError())  # nothing is left to abort
        return error

    assert isinstance(platform.run(main()), ConnectionAbortedError)
    assert steps == ["cleaning", "clean"]


def test_an_abort_ends_a_bare_yield_once() -> None:
    async def yielding() -> None:
        await asyncio.sleep(0)

    async def main() -> list[BaseException | None]:
        ends: list[BaseException | None] = []
        loop = asyncio.get_running_loop()
        driver = drive(yielding(), lambda _, error: ends.append(error), loop)
        assert driver is not None
        driver.abort(ConnectionAbortedError())
        await asyncio.sleep(0.01)
        return ends

    assert [type(error) for error in platform.run(main())] == [ConnectionAbortedError]
