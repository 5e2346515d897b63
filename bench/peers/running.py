"""The processes of one peer: each in a process group of its own, their output in one log, ended together."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.peers.certificate import Certificate

START_LIMIT_S = 60.0
# What is stopped is thrown away: a server that waits for idle connections is not waited for.
STOP_LIMIT_S = 3.0
LOG_LINES = 25
# What a user's shell has for other servers must not reach a peer, or the command that is run against it.
FOREIGN = ("AWS_", "ANYS3_", "MINIO_", "RCLONE_", "CEPH_", "SWIFT_", "ROOT_ACCESS_", "ROOT_SECRET_", "VGW_")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what speaks of S3 servers."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listened on a moment ago, all different.

    They lie below the range that outgoing connections take, so that no connection of the peer's own can take
    one of them first.
    """
    begin = 20_000 + os.getpid() * 37 % 10_000
    found: list[int] = []
    for port in range(begin, 32_000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports between {begin} and 32000")


def answers(port: int, path: str = "/", certificate: Certificate | None = None) -> int:
    """Return the status that `path` is answered with, or 0 when there is no answer yet."""
    connection: http.client.HTTPConnection
    if certificate is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    else:
        context = ssl.create_default_context(cafile=str(certificate.authority))
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status
    except ssl.SSLCertVerificationError:
        raise
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class Running:
    """Starts processes, waits for them within bounds, and ends every one of them."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._processes: list[subprocess.Popen[bytes]] = []

    def spawn(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start a process that stays, in a process group of its own: a terminal's Ctrl-C does not reach it."""
        with self.log.open("ab") as output:
            self._processes.append(
                subprocess.Popen(
                    [str(word) for word in command],
                    cwd=cwd,
                    env={**clean_environment(), **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )

    def call(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        limit_s: float = START_LIMIT_S,
    ) -> str:
        """Run a command to its end and return what it wrote to stdout.

        Raises RuntimeError with its last lines when it fails or takes longer than `limit_s`; it has then been
        killed with all its children.
        """
        words = [str(word) for word in command]
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**clean_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{words[0]} did not end within {limit_s:g} s\n{self.last_lines()}") from None
        finally:
            if process.poll() is None:
                _signal_group(process, signal.SIGKILL)
                process.wait(STOP_LIMIT_S)
        if process.returncode:
            said = _tail(errors.decode("utf-8", "replace") + output.decode("utf-8", "replace"))
            raise RuntimeError(f"{' '.join(words).splitlines()[0]} ended with {process.returncode}:\n{said}")
        return output.decode("utf-8", "replace")

    def wait_until(self, claim: str, is_so: Callable[[], object], limit_s: float = START_LIMIT_S) -> None:
        """Return when `is_so` returns something true.

        Raises RuntimeError, with the log's last lines, when a process has ended or `limit_s` has passed.
        """
        end = time.monotonic() + limit_s
        while not is_so():
            for process in self._processes:
                if process.poll() is not None:
                    name = Path(str(process.args[0])).name  # type: ignore[index]
                    raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.last_lines()}")
            if time.monotonic() > end:
                raise RuntimeError(f"{claim}: not within {limit_s:g} s\n{self.last_lines()}")
            time.sleep(0.05)

    def last_lines(self) -> str:
        """Return the end of the log."""
        return _tail(self.log.read_text("utf-8", "replace")) if self.log.exists() else ""

    def pids(self) -> list[int]:
        """Return the living processes, children included, in the order of their start."""
        groups = {process.pid for process in self._processes}
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, group = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(group) in groups and state not in "ZX":
                found.append(int(stat.parent.name))
        return sorted(found)

    def stop(self) -> None:
        """End all processes: SIGTERM to their groups, SIGKILL to what is left. Signals wait until it is done."""
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            for process in reversed(self._processes):
                _signal_group(process, signal.SIGTERM)
            end = time.monotonic() + STOP_LIMIT_S
            for process in self._processes:
                try:
                    process.wait(max(0.0, end - time.monotonic()))
                except subprocess.TimeoutExpired:
                    pass
            for process in self._processes:
                # The leader may be gone and a child of its group not.
                _signal_group(process, signal.SIGKILL)
                process.wait(STOP_LIMIT_S)
            while self.pids() and time.monotonic() < end + STOP_LIMIT_S:
                time.sleep(0.02)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-LOG_LINES:])
