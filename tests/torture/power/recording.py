"""Recordings of a real server under a workload: what it did to its files, and what it promised when."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import ServerProcess
from tests.rawclient import RawClient, Response
from tests.torture import journal as journals
from tests.torture.journal import Journal
from tests.torture.power import trace

END_TIMEOUT_S = 60.0


class NotingClient(RawClient):
    """A client that remembers, for each thread, which request was answered last."""

    def __init__(self, like: RawClient, last: threading.local) -> None:
        fields = {
            field.name: getattr(like, field.name) for field in dataclasses.fields(RawClient) if field.init
        }
        super().__init__(**fields)
        self._last = last

    def request(self, *arguments: Any, **options: Any) -> Response:
        """Send one request."""
        self._last.request_id = ""
        answer = super().request(*arguments, **options)
        self._last.request_id = answer.headers.get("x-amz-request-id", "")
        return answer


class PowerJournal(Journal):
    """A journal that also knows which answer ended an operation."""

    def __init__(self, last: threading.local) -> None:
        super().__init__()
        self._last = last
        self.request_ids: dict[int, str] = {}

    def end(self, operation: journals.Operation, outcome: str, note: str = "") -> None:
        """Note what came of it."""
        if outcome == "done":
            self.request_ids[operation.number] = self._last.request_id
        super().end(operation, outcome, note)


@dataclass(slots=True)
class Recorded:
    """A recording and what its workload was told."""

    operations: list[trace.Operation]
    journal: PowerJournal
    store: str
    """The store's name within the recording."""


class Session:
    """A server that is recorded, from the creation of its store on, over restarts."""

    def __init__(self, directory: Path, *options: str, entry: Iterable[str] = ("-m", "anys3")) -> None:
        self.directory = directory
        self._recording = directory.with_suffix(".recording")
        recorder = ("-m", "tests.torture.power.recorder", str(self._recording), str(directory))
        self.server = ServerProcess(directory, *options, under=(sys.executable, *recorder), entry=entry)
        last = threading.local()
        self.journal = PowerJournal(last)
        self.client = NotingClient(self.server.s3, last)

    def __enter__(self) -> Session:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()

    def stop(self) -> None:
        """End the server in good order."""
        self.server.stop()

    def kill(self) -> None:
        """Kill the server between two operations; the recorder ends with it."""
        os.kill(self.server.pid, signal.SIGUSR1)
        assert self.server._process is not None
        self.server._process.wait(END_TIMEOUT_S)

    def restart(self) -> None:
        """Start the server again, and go on with the same recording."""
        self.server.start()

    def recorded(self) -> Recorded:
        """Return what was recorded until now."""
        return Recorded(trace.read(self._recording), self.journal, self.directory.name)


def record(
    directory: Path, use: Callable[[Session], None], *options: str, entry: Iterable[str] = ("-m", "anys3")
) -> Recorded:
    """Record a server on a new directory while `use` uses it, and its orderly end."""
    with Session(directory, *options, entry=entry) as session:
        use(session)
        session.stop()
        return session.recorded()
