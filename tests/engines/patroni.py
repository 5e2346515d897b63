"""Patroni: three nodes, each with etcd and PostgreSQL, that choose their leader themselves."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.engines import network, postgresql
from tests.engines.daemon import WAIT_S, Daemon, EngineFailed, give, not_installed, program, wait_until
from tests.engines.hosts import Host
from tests.engines.network import NetworkHost
from tests.engines.postgresql import USER, Database

API = 8008
PARAMETERS = {"max_connections": 200, "shared_buffers": "64MB", "dynamic_shared_memory_type": "mmap"}
SETTINGS = {
    # A leader that ends is replaced after ttl seconds at the latest; retry_timeout and loop_wait have to fit in.
    "ttl": 6,
    "loop_wait": 1,
    "retry_timeout": 3,
    "synchronous_mode": True,
    "postgresql": {"use_pg_rewind": True, "parameters": PARAMETERS},
}


def missing() -> str | None:
    """Return why it can't be started here."""
    return not_installed("patroni", "etcd") or postgresql.missing() or network.missing()


class Node:
    """A host of the cluster."""

    def __init__(self, directory: Path, host: NetworkHost, hosts: Sequence[NetworkHost]) -> None:
        self.host = host
        self._directory = directory / host.name
        self._conf = directory / f"{host.name}.json"
        self._conf.write_text(json.dumps(self._settings(hosts)))
        self.etcd = Daemon(self._etcd(hosts), directory / f"{host.name}.etcd.log", host, USER)
        argv = [str(program("patroni")), str(self._conf)]
        self.patroni = Daemon(argv, directory / f"{host.name}.patroni.log", host, USER)

    def takes_writes(self) -> bool:
        """Whether its PostgreSQL has been promoted; Patroni says that it leads a little before."""
        database = Database(f"postgresql://{USER}@{self.host.address}:5432/postgres", self.host)
        try:
            return database.psql("SELECT pg_is_in_recovery()") == "f"
        except EngineFailed:
            return False

    def _etcd(self, hosts: Sequence[NetworkHost]) -> list[str]:
        url = f"http://{self.host.address}"
        options = {
            "name": self.host.name,
            "data-dir": str(self._directory.with_suffix(".etcd")),
            "listen-client-urls": f"{url}:2379",
            "advertise-client-urls": f"{url}:2379",
            "listen-peer-urls": f"{url}:2380",
            "initial-advertise-peer-urls": f"{url}:2380",
            "initial-cluster": ",".join(f"{host.name}=http://{host.address}:2380" for host in hosts),
            "initial-cluster-state": "new",
            "heartbeat-interval": "100",
            "election-timeout": "1000",
        }
        return [str(program("etcd")), *(f"--{name}={value}" for name, value in options.items())]

    def _settings(self, hosts: Sequence[NetworkHost]) -> dict[str, Any]:
        address = self.host.address
        return {
            "scope": "anys3",
            "name": self.host.name,
            "restapi": {"listen": f"{address}:{API}", "connect_address": f"{address}:{API}"},
            "etcd3": {"hosts": [f"{host.address}:2379" for host in hosts]},
            "bootstrap": {
                "dcs": SETTINGS,
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"wal-segsize": "4"}, "no-sync"],
            },
            "postgresql": {
                "listen": f"{address}:5432",
                "connect_address": f"{address}:5432",
                "data_dir": str(self._directory),
                "bin_dir": str(Path(str(postgresql.program_path("postgres"))).parent),
                "pgpass": str(self._directory.with_suffix(".pgpass")),
                "authentication": {
                    "superuser": {"username": USER},
                    "replication": {"username": "replicator"},
                    "rewind": {"username": "rewinder"},
                },
                "parameters": {"unix_socket_directories": ""},
                "pg_hba": ["host all,replication all samenet trust"],
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
            },
        }


class Patroni(Database):
    """A cluster on the hosts of a network, as a context manager; its DSN leads to whoever leads.

    `client` is the host that `psql` runs on.
    """

    def __init__(self, directory: Path, hosts: Sequence[NetworkHost], client: Host | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        give(directory, USER)
        self.nodes = [Node(directory, host, hosts) for host in hosts]
        places = ",".join(f"{host.address}:5432" for host in hosts)
        super().__init__(
            f"postgresql://{USER}@{places}/postgres?target_session_attrs=read-write", client or hosts[0]
        )

    def __enter__(self) -> Patroni:
        try:
            for node in self.nodes:
                node.etcd.start()
            for node in self.nodes:
                node.etcd.wait(lambda node=node: _answers(node.host, 2379, "/health"), "healthy")
            for node in self.nodes:
                node.patroni.start()
            self.wait_healthy()
        except BaseException as error:
            for node in self.nodes:
                error.add_note(f"{node.etcd.state()}\n{node.patroni.state()}")
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all; nothing is saved."""
        for node in self.nodes:
            node.patroni.kill()
            node.etcd.kill()

    def leader(self, other_than: int | None = None) -> int | None:
        """Return the number of a node that says that it leads; one whose link was just cut may still do."""
        numbers = (number for number in range(len(self.nodes)) if number != other_than)
        return next(
            (number for number in numbers if _answers(self.nodes[number].host, API, "/primary")), None
        )

    def members(self) -> list[dict[str, Any]]:
        """Return what the leader says about all nodes."""
        leader = self.leader()
        body = None if leader is None else _get(self.nodes[leader].host, API, "/cluster")
        members: list[dict[str, Any]] = [] if body is None else json.loads(body)["members"]
        return members

    def kill_leader(self) -> int:
        """End Patroni and PostgreSQL of the leader at once, and return its number; its etcd goes on."""
        number = self.leader()
        assert number is not None, "nobody leads"
        self.kill(number)
        return number

    def kill(self, number: int) -> None:
        self.nodes[number].patroni.kill()

    def restart(self, number: int) -> None:
        """Start a killed node again, and don't wait until it follows."""
        self.nodes[number].patroni.start()

    def wait_other_leader(self, old: int, timeout_s: float = WAIT_S) -> int:
        """Return the number of the node that leads instead of the old leader, and takes writes."""
        leaders: list[int] = []

        def is_led() -> bool:
            leader = self.leader(other_than=old)
            if leader is not None and self.nodes[leader].takes_writes():
                leaders.append(leader)
            return bool(leaders)

        wait_until(is_led, "led by another node", timeout_s)
        return leaders[0]

    def wait_healthy(self, timeout_s: float = WAIT_S) -> None:
        """Return when all nodes run, one of them as leader and one as its synchronous standby."""

        def is_healthy() -> bool:
            members = self.members()
            roles = sorted(member["role"] for member in members)
            states = {member["state"] for member in members}
            right = sorted(["leader", "sync_standby", *["replica"] * (len(self.nodes) - 2)])
            return roles == right and states <= {"running", "streaming"}

        wait_until(is_healthy, "healthy", timeout_s)


def _get(host: NetworkHost, port: int, path: str) -> bytes | None:
    """Return the body of a 200, or None."""
    connection = http.client.HTTPConnection(host.address, port, timeout=2)
    try:
        with host.entered():
            connection.connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _answers(host: NetworkHost, port: int, path: str) -> bool:
    return _get(host, port, path) is not None
