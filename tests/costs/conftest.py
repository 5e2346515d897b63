"""A server process under the tracer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lmdb
import pytest

from tests.costs.tracing import Call, Recorder, reason_to_skip
from tests.processes import ServerProcess, serving
from tests.rawclient import RawClient


@dataclass(frozen=True, slots=True)
class Traced:
    """A server whose system calls can be recorded."""

    server: ServerProcess
    recorder: Recorder

    @property
    def s3(self) -> RawClient:
        """A client with the root key."""
        return self.server.s3

    def transactions(self) -> int:
        """Return the number of the index's last transaction."""
        with lmdb.open(str(self.server.directory / "index"), readonly=True, max_dbs=16) as env:
            number: int = env.info()["last_txnid"]
            return number


@pytest.fixture(scope="session")
def can_trace() -> None:
    """Skip where the kernel lets nobody trace."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)


@contextmanager
def traced_server(directory: Path, *options: str) -> Iterator[Traced]:
    """Serve a new directory with one worker and the bucket `photos`."""
    # A socket's path must be short, and pytest's are not.
    with tempfile.TemporaryDirectory(prefix="anys3-") as short:
        recorder = Recorder(Path(short) / "tracer")
        with serving(directory, "--workers", "1", *options, under=recorder.command) as server:
            assert server.s3.request("PUT", "/photos").status == 200
            yield Traced(server, recorder)


@pytest.fixture(scope="module")
def durable(can_trace: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """A server with the default durability."""
    with traced_server(tmp_path_factory.mktemp("costs") / "data") as traced:
        yield traced


@pytest.fixture(scope="module")
def relaxed(can_trace: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """A server that does not sync each write."""
    with traced_server(tmp_path_factory.mktemp("costs") / "data", "--durability", "relaxed") as traced:
        yield traced


def syncs(calls: list[Call], directory: Path) -> list[str]:
    """Return what was synced, in order: `index` for LMDB's file, else the directory below DIR it lies in.

    A checkpoint's own syncs are left out: they are the clock's, not a request's.
    """
    names = {"fsync", "fdatasync", "msync", "sync_file_range", "sync", "syncfs"}
    files = [call.file for call in calls if call.name in names]
    below = [Path(file).relative_to(directory).parts for file in files if file.startswith(f"{directory}/")]
    return [parts[0] for parts in below if not parts[0].startswith("new-checkpoint")]
