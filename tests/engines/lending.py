"""One running engine for all the workers of a test run: the first that asks starts it, the last that leaves ends it.

A lender process runs the engine. Every borrower holds the writing end of a named pipe open, so that the lender sees
when the last of them has ended, also when it was killed. `python -m tests.engines.lending KIND DIRECTORY` is the lender.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.engines.ceph import Ceph
from tests.engines.daemon import WAIT_S, EngineFailed, tail, wait_until
from tests.engines.postgresql import Postgresql

ROOT = Path(__file__).parents[2]


@contextmanager
def _postgresql(directory: Path) -> Iterator[str]:
    with Postgresql(directory, is_durable=False) as engine:
        yield engine.dsn


@contextmanager
def _ceph(directory: Path) -> Iterator[str]:
    with Ceph(directory) as engine:
        yield str(engine.conf)


ENGINES: dict[str, Callable] = {"postgresql": _postgresql, "ceph": _ceph}
"""Each yields the address of a running engine."""


@contextmanager
def borrowed(kind: str, directory: Path) -> Iterator[str]:
    """Return the address of an engine that everybody shares who names this directory."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with _locked(directory, kind):
            writer = _joined(directory, kind) or _started(directory, kind)
            stack.callback(os.close, writer)
            address = directory / kind
            # There already, unless the first borrower was killed while it waited.
            wait_until(address.exists, f"lent: {kind}")
            running = address.read_text()
        yield running


def _joined(directory: Path, kind: str) -> int | None:
    try:
        return os.open(directory / f"{kind}.pipe", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # there is no pipe yet, or no lender that reads it
        return None


def _started(directory: Path, kind: str) -> int:
    pipe, log = directory / f"{kind}.pipe", directory / f"{kind}.log"
    for left in (pipe, directory / kind):
        left.unlink(missing_ok=True)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)
    try:
        with log.open("ab") as output:
            code = subprocess.run(
                [sys.executable, "-m", "tests.engines.lending", kind, str(directory)],
                cwd=ROOT,
                stdin=reader,
                stdout=output,
                stderr=output,
                timeout=2 * WAIT_S,
                check=False,
            ).returncode
        if code != 0:
            raise EngineFailed(f"{kind} could not be started\n{tail(log)}")
    except BaseException:
        os.close(writer)
        raise
    finally:
        os.close(reader)
    return writer


@contextmanager
def _locked(directory: Path, kind: str) -> Iterator[None]:
    with (directory / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lend(kind: str, directory: Path) -> int:
    """Go on in a child; return when its engine runs, with 0, or could not be started."""
    said, say = os.pipe()
    if os.fork():
        os.close(say)
        return 0 if os.read(said, 1) else 1
    os.setsid()
    os.close(said)
    data = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=directory))
    address = directory / kind
    try:
        with ENGINES[kind](data) as running:
            (data / "address").write_text(running)
            (data / "address").rename(address)
            os.write(say, b"+")
            os.close(say)
            _wait_for_borrowers(kind, directory, address)
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return 0


def _wait_for_borrowers(kind: str, directory: Path, address: Path) -> None:
    """Return when the last one has gone. Under the lock nobody can join, so a second look is certain."""
    while True:
        select.select([0], [], [])
        with _locked(directory, kind):
            try:
                os.read(0, 1)
            except BlockingIOError:  # another one has joined
                continue
            address.unlink()
            os.close(0)
            return


if __name__ == "__main__":
    sys.exit(lend(sys.argv[1], Path(sys.argv[2])))
