"""A server under measurement: started fresh, pinned to a core, its CPU time and memory read from /proc."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ACCESS_KEY_ID, SECRET = "BENCHBENCHBENCHBENCH", "bench-secret-bench-secret-bench-secret-0"
TICK = os.sysconf("SC_CLK_TCK")
SERVER_CORE, CLIENT_CORE = {0}, {1}


def pin(cores: set[int]) -> None:
    """Keep this process on some cores, where there are as many."""
    if (os.cpu_count() or 1) > max(cores):
        os.sched_setaffinity(0, cores)


class Serving:
    """`anys3 serve` as a subprocess, or another `command` that listens on the port behind it."""

    def __init__(self, directory: Path, *more: str, command: list[str] | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {
            **os.environ,
            "ANYS3_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "ANYS3_SECRET_ACCESS_KEY": SECRET,
        }
        if command is None:
            command = [sys.executable, "-m", "anys3", "serve", str(directory), "--workers", "1", *more]
            command += ["--listen", f"127.0.0.1:{self.port}"]
        else:
            command = [*command, str(self.port)]
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: pin(SERVER_CORE),  # noqa: PLW1509 (no threads run yet)
        )
        self._wait()
        self.start_s = time.perf_counter() - begin

    @property
    def endpoint(self) -> str:
        """Return the endpoint URL."""
        return f"http://127.0.0.1:{self.port}"

    def _wait(self) -> None:
        """Wait for the first answered request."""
        for _ in range(2000):
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with exit code {self.process.returncode}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    if connection.recv(100).startswith(b"HTTP/1.1 "):
                        return
            except OSError:
                time.sleep(0.005)
        raise RuntimeError("the server did not answer")

    def pids(self) -> list[int]:
        """Return the server's processes."""
        found, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting.extend(int(child) for child in task.read_text().split())
        return found

    def cpu_s(self) -> float:
        """Return user and system time of all processes so far, from the scheduler's own clock."""
        total = 0.0
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                total += int(task.read_text().split()[0]) / 1e9
        return total

    def memory_mib(self, *, is_peak: bool = False) -> float:
        """Return resident memory of the largest process, now or at its peak."""
        field = "VmHWM" if is_peak else "VmRSS"
        sizes = []
        for pid in self.pids():
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            sizes.extend(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))
        return max(sizes)

    def stop(self) -> None:
        """End the server."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
