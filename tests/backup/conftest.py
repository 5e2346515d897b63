"""A served store, and what looks at backups of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ServerProcess, _environment, serving


def anys3(*words: object, entry: tuple[str, ...] = ("-m", "anys3")) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, *entry, *map(str, words)],
        capture_output=True, text=True, timeout=120, check=False, env=_environment(),
    )  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of two workers, with one bucket."""
    with serving(tmp_path / "store", "--workers", "2", "--buckets", "bucket") as process:
        yield process
