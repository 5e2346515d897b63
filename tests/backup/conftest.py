"""A served store, and what looks at backups of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import ServerProcess, _environment, serving

PATIENCE_S = 20.0


def anys3(*words: object, entry: tuple[str, ...] = ("-m", "anys3")) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, *entry, *map(str, words)],
        capture_output=True, text=True, timeout=120, check=False, env=_environment(),
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Wait, for a bounded time, and tell whether it came to hold."""
    limit = time.monotonic() + patience_s
    while not (holds := condition()) and time.monotonic() < limit:
        time.sleep(0.02)
    return holds


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of two workers, with one bucket."""
    with serving(tmp_path / "store", "--workers", "2", "--buckets", "bucket") as process:
        yield process
