"""One worker: serves an application on listening sockets until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from anys3.server import platform
from anys3.server.connections import Application, Connections
from anys3.server.limits import Limits
from anys3.server.listeners import BACKLOG
from anys3.server.monitoring import Monitor
from anys3.server.protocol import HttpProtocol
from anys3.server.timeouts import Sweeper

_LAST_WORDS_S = 2.0
"""How long handlers may take to end after their connections were broken."""


async def serve(
    app: Application,
    sockets: Sequence[socket.socket],
    tls_context: ssl.SSLContext | None,
    stop: asyncio.Event,
    limits: Limits | None = None,
    *,
    on_ready: Callable[[], None] | None = None,
    monitor: Monitor | None = None,
) -> None:
    """Serve until `stop` is set; then accept no more, let requests in flight finish, and return.

    Idle connections are closed at once, busy ones after their answer, all of them after `drain_s`. The
    sockets are closed at the end. `on_ready` is called when connections are accepted. `monitor` goes on to tell
    until the last connection is closed.
    """
    limits = limits or Limits()
    loop = asyncio.get_running_loop()
    previous = loop.get_exception_handler()
    loop.set_exception_handler(_quieter(app))
    connections = Connections(app, limits, loop, monitor.tally if monitor else None)
    sweeper = Sweeper(connections)
    tls: dict[str, Any] = {}
    if tls_context is not None:
        tls = {
            "ssl": tls_context,
            "ssl_handshake_timeout": limits.handshake_timeout_s,
            "ssl_shutdown_timeout": limits.goodbye_timeout_s,
        }
    servers: list[asyncio.AbstractServer] = []
    try:
        for listener in sockets:
            servers.append(  # noqa: PERF401  (those that were made are closed below)
                await loop.create_server(
                    lambda: HttpProtocol(connections), sock=listener, backlog=BACKLOG, **tls
                )
            )
        sweeper.start()
        if monitor is not None:
            await monitor.begin(connections)
        if on_ready is not None:
            on_ready()
        await stop.wait()
        await _drain(connections, servers)
    finally:
        for server in servers:
            server.close()
        if monitor is not None:
            await monitor.end()
        sweeper.stop()
        connections.close()
        loop.set_exception_handler(previous)


async def _drain(connections: Connections, servers: Sequence[asyncio.AbstractServer]) -> None:
    connections.is_draining = True
    for server in servers:
        server.close()
    for connection in tuple(connections.open):
        connection.drain()
    deadline = connections.loop.time() + connections.limits.drain_s
    while (connections.open or connections.active) and connections.loop.time() < deadline:  # noqa: ASYNC110  (an event a request would cost more)
        await asyncio.sleep(0.01)
    if connections.open or connections.active:
        connections.log.warning(
            "%d requests did not finish within %g s", connections.active, connections.limits.drain_s
        )
    await _break(connections)


async def _break(connections: Connections) -> None:
    """Break what is left; handlers get an end of their body first, an exception if that is not enough."""
    left = tuple(connections.open)
    for connection in left:
        connection.abort()
    deadline = connections.loop.time() + _LAST_WORDS_S
    while connections.active and connections.loop.time() < deadline:  # noqa: ASYNC110  (as above)
        await asyncio.sleep(0.01)
    for connection in left:
        connection.throw(ConnectionAbortedError("the server stops"))


def _quieter(app: Application) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return an exception handler that takes what clients do (broken handshakes) as no error of ours."""

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, (ssl.SSLError, ConnectionError, TimeoutError)):
            app.log.debug("a connection broke: %s", error)
        else:
            app.log.error("%s", context.get("message"), exc_info=error)

    return handle


def run_worker(
    make_app: Callable[[], Awaitable[tuple[Application, Callable[[], Awaitable[None]]]]],
    sockets: Sequence[socket.socket],
    tls_context: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    *,
    reload: Callable[[], None] | None = None,
    on_ready: Callable[[], None] | None = None,
    lifeline: int | None = None,
    monitor: Monitor | None = None,
) -> None:
    """Run one worker in this process until SIGTERM or SIGINT; SIGHUP calls `reload` (certificates).

    `make_app` is awaited in the event loop, and returns the application and what closes it. `lifeline` is
    a descriptor that becomes readable when the supervisor is gone: that stops the worker, too.
    """
    platform.raise_open_files_limit()

    async def main() -> None:
        stop = asyncio.Event()
        _listen_to_signals(stop, reload)
        if lifeline is not None:
            asyncio.get_running_loop().add_reader(lifeline, _stop_orphan, lifeline, stop)
        app, close = await make_app()
        # What was made so far stays: the collector need not look at it again, and rarely at requests.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        try:
            await serve(app, sockets, tls_context, stop, limits, on_ready=on_ready, monitor=monitor)
        finally:
            await close()

    platform.run(main())


def _stop_orphan(lifeline: int, stop: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_reader(lifeline)
    stop.set()


def _listen_to_signals(stop: asyncio.Event, reload: Callable[[], None] | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None:
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(hangup, reload or (lambda: None))
