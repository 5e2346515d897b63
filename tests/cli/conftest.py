"""The command line as people meet it: real processes in a directory of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rawclient import RawClient

ANYS3 = (sys.executable, "-m", "anys3")


class Serving:
    """An `anys3 serve` that has shown its first screen."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "rclone lsd" in line:
                break
        self.screen = "".join(lines)
        assert "rclone lsd" in self.screen, process.communicate()[1]
        self.secret = self._secret()

    def value(self, name: str) -> str:
        """Return what the first screen says behind `name`."""
        return next(line for line in self.screen.splitlines() if name in line).split(name)[1].strip(" =")

    def _secret(self) -> str:
        """Return the root key's secret: it is on the screen of a store in memory, else in its directory, if any."""
        if "  store " not in self.screen:
            return ""
        if "AWS_SECRET_ACCESS_KEY" in self.screen:
            return self.value("AWS_SECRET_ACCESS_KEY")
        kept = (Path(self.value("  store ")) / "credentials").read_text().splitlines()
        return next(line.split(" = ")[1] for line in kept if line.startswith("aws_secret"))

    @property
    def root(self) -> RawClient:
        return RawClient(self.value("endpoint "), self.value("AWS_ACCESS_KEY_ID"), self.secret)

    def rest(self) -> str:
        """End it in good order and return what stood behind the clients' lines of the first screen."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def stop(self) -> str:
        """End it in good order and return what it wrote to stderr."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=60)[1]


class CommandLine:
    """Runs `anys3` in one directory, with nothing of ours in its environment but what a test gives it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANYS3_", "AWS_", "MINIO_"))
        }
        self.started: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ANYS3, *arguments],
            cwd=self.directory,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def serve(self, *arguments: str, **environment: str) -> Serving:
        process = subprocess.Popen(
            [*ANYS3, "serve", *arguments],
            cwd=self.directory,
            env={"ANYS3_LISTEN": "127.0.0.1:0", "ANYS3_WORKERS": "1", **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return Serving(process)


@pytest.fixture
def anys3_cli(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line, in an empty directory; servers that a test leaves running are ended."""
    commands = CommandLine(tmp_path)
    yield commands
    for process in commands.started:
        if process.poll() is None:
            process.terminate()
        print(process.communicate(timeout=60)[1])  # shown where a test has failed
