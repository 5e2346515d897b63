"""A daemon of an engine: a process that stays in the foreground, on a leash, with a log."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.engines.hosts import LOOPBACK, Host

LEASH = Path(__file__).with_name("leash.py")
WAIT_S = 120.0
"""How long anything may take on a slow machine; on a quiet one nothing takes more than seconds."""
TAIL_LINES = 15
# As this user it still passes directories that only root may, such as pytest's.
CAPABILITIES = "+dac_override,+dac_read_search"


class EngineFailed(AssertionError):
    """An engine did not do what it was asked to; the message ends with the last lines of its log."""


class Daemon:
    """A command on a host. It ends with the process that started it, and takes its children along."""

    def __init__(
        self, argv: Iterable[str], log: Path, host: Host = LOOPBACK, user: str | None = None
    ) -> None:
        self.log = log
        self.pid = 0
        self._argv = host.command(as_user(user, argv))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and don't wait until it answers."""
        assert not self.is_running, self._argv
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LEASH), *self._argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(),
                cwd=self.log.parent,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        with self._process.stdout as output:
            self.pid = int(output.readline() or b"0")

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send its first process a signal, such as SIGSTOP."""
        assert self._process is not None
        assert self._process.stdin is not None
        os.write(self._process.stdin.fileno(), bytes([number]))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it as an operator would."""
        if self.is_running:
            try:
                self.send(number)
            except BrokenPipeError:
                pass  # it has just ended
            assert self._process is not None
            try:
                self._process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                raise self.failed(f"does not end on {number.name}") from None
        self.kill()

    def kill(self) -> None:
        """End all its processes at once: SIGKILL."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(WAIT_S)

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
        """Return when the condition holds; fail when the daemon ends before."""
        limit = time.monotonic() + timeout_s
        while not condition():
            if not self.is_running:
                raise self.failed(f"has ended before it was {what}")
            if time.monotonic() > limit:
                raise self.failed(f"was not {what} after {timeout_s:.0f} s")
            time.sleep(0.03)

    def state(self) -> str:
        """Return whether it runs, and the end of its log."""
        return f"{self.log.name}: {'runs' if self.is_running else 'has ended'}\n{tail(self.log)}"

    def failed(self, what: str) -> EngineFailed:
        """Return an error with the end of the log."""
        return EngineFailed(f"{self._argv!r} {what}\n{tail(self.log)}")


def as_user(user: str | None, argv: Iterable[str]) -> list[str]:
    """Return a command line that runs as another user, where this process is root's."""
    if user is None or os.geteuid() != 0:
        return list(argv)
    change = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return [*change, f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}", *argv]


def give(directory: Path, user: str) -> None:
    """Make the directory the user's, where this process is root's."""
    if os.geteuid() == 0:
        record = pwd.getpwnam(user)
        os.chown(directory, record.pw_uid, record.pw_gid)


def run(argv: Iterable[str], host: Host = LOOPBACK, user: str | None = None, text: str = "") -> str:
    """Run a command to its end and return what it says; fail with that if its exit code is not 0."""
    argv = host.command(as_user(user, argv))
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=WAIT_S, env=environment(), check=False
    )
    if done.returncode != 0:
        raise EngineFailed(f"{argv!r} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
    """Return when the condition holds; `what` says in an error what it is."""
    limit = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > limit:
            raise EngineFailed(f"not {what} after {timeout_s:.0f} s")
        time.sleep(0.05)


def environment() -> dict[str, str]:
    """Return what engines get: nothing of this process's PG*, CEPH_*, PYTHON* reaches them."""
    path = os.pathsep.join(
        (os.environ.get("PATH", ""), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
    )
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    if not log.exists():
        return f"({log} was not written)"
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:])


def program(name: str, *directories: str) -> str | None:
    """Return the path of a program of an engine, or None."""
    return shutil.which(name, path=os.pathsep.join((*directories, environment()["PATH"])))


def not_installed(*names: str) -> str | None:
    """Return which of the programs are not here and how to get them, or None if all are."""
    absent = [name for name in names if program(name) is None]
    return f"{', '.join(absent)}: not installed (run .ci/install-engines)" if absent else None
