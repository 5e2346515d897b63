"""A network of hosts that can be cut: a network namespace for each, joined by a bridge in one more (root, Linux).

The namespaces have no names and no file: they end with their processes, whatever is killed. 198.51.100.0/24 is
reserved for documentation (RFC 5737), and no interface of this machine is touched.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.engines.daemon import Daemon, EngineFailed, not_installed, program, run

CLONE_NEWNET = 0x40000000
PROGRAMS = ("ip", "unshare", "nsenter")


def missing() -> str | None:
    """Return why it can't be made here."""
    absent = not_installed(*PROGRAMS)
    if absent is not None:
        return absent
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "network namespaces need root"


class Namespace:
    """A network namespace, and the process that keeps it."""

    def __init__(self, log: Path) -> None:
        self._keeper = Daemon(["unshare", "--net", "--", "sleep", "infinity"], log)

    def start(self) -> None:
        self._keeper.start()
        outside = _identity("self")
        self._keeper.wait(lambda: _identity(self.pid) not in {outside, None}, "in a namespace of its own")

    @property
    def pid(self) -> int:
        return self._keeper.pid

    def close(self) -> None:
        self._keeper.kill()

    def command(self, argv: Iterable[str]) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *argv]

    def ip(self, *lines: str) -> None:
        """Run lines of `ip -batch` in it."""
        run(self.command([str(program("ip")), "-batch", "-"]), text="\n".join(lines) + "\n")


def _identity(pid: int | str) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None


class NetworkHost(Namespace):
    """A host of a network. Ports are the usual ones: nobody else is there."""

    def __init__(self, name: str, address: str, log: Path) -> None:
        super().__init__(log)
        self.name = name
        self.address = address

    def port(self, usual: int, /) -> int:
        return usual

    @contextmanager
    def entered(self) -> Iterator[None]:
        with ExitStack() as files:
            inside, outside = (
                files.enter_context(Path(f"/proc/{owner}/ns/net").open("rb"))
                for owner in (self.pid, "thread-self")
            )
            _enter(inside.fileno())
            try:
                yield
            finally:
                _enter(outside.fileno())


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise EngineFailed(f"setns: {os.strerror(ctypes.get_errno())}")


class Network:
    """Hosts with addresses 198.51.100.1 and so on, as a context manager.

    `command(argv)` of a host is a command line that runs there, such as a server's; within `entered()` of a host,
    the sockets that this thread makes, and the processes and threads that it starts, belong to it, and go on to.
    """

    def __init__(self, directory: Path, *names: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._bridge = Namespace(directory / "bridge.log")
        self.hosts = [
            NetworkHost(name, f"198.51.100.{number}", directory / f"{name}.host.log")
            for number, name in enumerate(names, 1)
        ]

    def __getitem__(self, name: str) -> NetworkHost:
        return next(host for host in self.hosts if host.name == name)

    def __enter__(self) -> Network:
        try:
            self._bridge.start()
            self._bridge.ip("link add bridge type bridge", "link set bridge up")
            for number, host in enumerate(self.hosts):
                host.start()
                self._bridge.ip(
                    f"link add port{number} type veth peer name eth0 netns {host.pid}",
                    f"link set port{number} master bridge up",
                )
                host.ip("link set lo up", f"address add {host.address}/24 dev eth0", "link set eth0 up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the namespaces; what still runs in one is alone there."""
        for namespace in (*self.hosts, self._bridge):
            namespace.close()

    def cut(self, host: NetworkHost) -> None:
        """Unplug a host's cable."""
        self._bridge.ip(f"link set port{self.hosts.index(host)} down")

    def heal(self, host: NetworkHost) -> None:
        self._bridge.ip(f"link set port{self.hosts.index(host)} up")
