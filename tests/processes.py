"""The server as a process of its own, to be killed and started again, and connections that stay open."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.engines.hosts import LOOPBACK, Host
from tests.rawclient import RawClient, Response, encode_query, read_response, render

ACCESS_KEY_ID = "AKIATESTSOFANYS30000"
SECRET_ACCESS_KEY = "a-secret-for-tests-that-is-long-enough-00"
START_TIMEOUT_S = 60.0
READY = b"rclone lsd"
"""Stands at the end of the first screen."""


@dataclass
class From(RawClient):
    """A client whose connections come from a host, which may be in a network of its own."""

    source: Host = LOOPBACK

    def connect(self) -> socket.socket:
        """Return a connection to the endpoint."""
        with self.source.entered():
            return RawClient.connect(self)


class ServerProcess:
    """`python -m anys3 serve DIR` on a port that stays the same over restarts."""

    def __init__(
        self,
        directory: Path,
        *options: str,
        under: Iterable[str] = (),
        entry: Iterable[str] = ("-m", "anys3"),
        environment: Mapping[str, str] | None = None,
        store: Iterable[str] | None = None,
        host: Host = LOOPBACK,
    ) -> None:
        """Prepare it; `under` is a command line that runs it, such as a tracer's.

        `entry` is what Python starts, such as `tests.torture.server.entry(...)`; `environment` is added.
        `store` are options that say where the store lies, if that is not DIR; `host` is where it runs.
        """
        self.directory = directory
        self.options = options
        self._under = tuple(under)
        self._entry = tuple(entry)
        self._added = dict(environment or {})
        self._store = (str(directory),) if store is None else tuple(store)
        self.host = host
        self.port = free_port() if host is LOOPBACK else host.port(9000)
        self.s3: RawClient = From(
            f"http://{host.address}:{self.port}", ACCESS_KEY_ID, SECRET_ACCESS_KEY, source=host
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when all its workers are ready, as its first screen says, and it answers."""
        log = self.directory.with_suffix(".log")
        with log.open("ab") as output:
            before = output.tell()
            self._process = subprocess.Popen(
                self.host.command(
                    [
                        *(*self._under, sys.executable, *self._entry, "serve", *self._store),
                        *("--listen", f"{self.host.address}:{self.port}", *self.options),
                    ]
                ),
                env={**_environment(), **self._added},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        limit = time.monotonic() + START_TIMEOUT_S
        # Another test's server may have come to the port meanwhile, and would answer as well.
        while not (READY in log.read_bytes()[before:] and self._answers()):
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < limit, log.read_text()
            time.sleep(0.02)

    @property
    def key_options(self) -> tuple[str, ...]:
        """What says to `anys3 key` where the store lies."""
        return ("--dir", str(self.directory))

    @property
    def pid(self) -> int:
        """The process that was started: the server, or what it runs under."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process that was started has not ended."""
        return self._process is not None and self._process.poll() is None

    def workers(self) -> list[int]:
        """Return the processes that the supervisor has forked and that live (Linux)."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(word) for word in children.read_text().split()] if children.exists() else []

    def memory_kib(self, field: str) -> int:
        """Return a figure of /proc/PID/status of the process that was started, such as RssAnon (Linux)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))

    def _answers(self) -> bool:
        try:
            return self.s3.request("GET", "/").status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """End all its processes at once, as a crash would: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator would: SIGTERM."""
        assert self._process is not None
        if self._process.poll() is None:
            if self._under:
                os.killpg(self._process.pid, signal.SIGTERM)
            else:
                self._process.terminate()
            self._process.wait(START_TIMEOUT_S)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def close(self) -> None:
        """End what still runs."""
        if self._process is not None and self._process.poll() is None:
            self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself, and no worker is left
            os.killpg(self._process.pid, number)
        self._process.wait(START_TIMEOUT_S)


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANYS3_", "AWS_", "MINIO_"))
    }
    return {**kept, "ANYS3_ACCESS_KEY_ID": ACCESS_KEY_ID, "ANYS3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}


@contextmanager
def serving(
    directory: Path,
    *options: str,
    under: Iterable[str] = (),
    entry: Iterable[str] = ("-m", "anys3"),
    environment: Mapping[str, str] | None = None,
) -> Iterator[ServerProcess]:
    """Run a server process; whatever happens, nothing of it is left."""
    process = ServerProcess(directory, *options, under=under, entry=entry, environment=environment)
    try:
        process.start()
        yield process
    finally:
        process.close()


class Connections:
    """Connections that stay open. A burst sends a request on each of them before any answer is read."""

    def __init__(self, s3: RawClient, count: int) -> None:
        self._s3 = s3
        self._sockets = [s3.connect() for _ in range(count)]

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._sockets:
            connection.close()

    def burst(self, requests: Iterable[bytes], method: str = "PUT") -> list[Response]:
        """Send at most one request a connection, all of them at once, and return the answers in order."""
        pairs = list(zip(self._sockets, requests, strict=False))
        for connection, data in pairs:
            connection.sendall(data)
        return [read_response(connection, method) for connection, _ in pairs]


def signed(
    s3: RawClient,
    method: str,
    path: str,
    query: Iterable[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> bytes:
    """Return the bytes of a signed request, for `Connections.burst`."""
    raw_query = encode_query(query)
    lines = s3.sign(method, path, raw_query, {"host": s3.host, **(headers or {})}, body)
    lines["content-length"] = str(len(body))
    return render(method, path + (f"?{raw_query}" if raw_query else ""), lines) + body
