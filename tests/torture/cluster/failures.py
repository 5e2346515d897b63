"""Failures under load: what is broken, how it is mended, and what may be seen meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engines.ceph import Ceph
from tests.engines.daemon import wait_until
from tests.engines.network import Network
from tests.engines.patroni import Patroni
from tests.engines.postgresql import Postgresql
from tests.processes import ServerProcess
from tests.torture.cluster.load import Load
from tests.torture.cluster.mixes import MIXES, Engines, Mix
from tests.torture.cluster.servers import Servers
from tests.torture.cluster.stalls import Felt, felt

BACK_S = 30.0
"""Everything answers again so soon after a repair, or the proof fails. A slow machine may take longer: see `patience`."""
CLIENT_TIMEOUT_S = 25.0
"""Longer than a server may take to say 503."""
CUT_TIMEOUT_S = 3.0
"""How long clients wait for a server whose cable is cut."""
SERVERS = ("server1", "server2", "server3")
NODES = ("node1", "node2", "node3")


def _none() -> Any:
    """Return what a small world has instead."""
    return None


@dataclass(slots=True)
class World:
    """All that can be broken: in a network with Patroni, or on loopback with one PostgreSQL."""

    ceph: Ceph
    servers: Servers
    network: Network = field(default_factory=_none)
    patroni: Patroni = field(default_factory=_none)
    postgresql: Postgresql = field(default_factory=_none)
    broken: list[int] = field(default_factory=list)
    """Numbers of what a failure has broken, for its repair."""

    def server(self, number: int) -> ServerProcess:
        """Return a server process."""
        return self.servers.processes[number]


@dataclass(frozen=True, slots=True)
class Failure:
    """One way to break something."""

    name: str
    sentence: str
    """What is broken, for the table."""
    broken: Callable[[World], None]
    repaired: Callable[[World], None]
    during_s: float = 8.0
    hit: Collection[int] = ()
    """Servers that are left out of the stalls: what is broken is theirs alone."""
    is_lost: bool = False
    """Whether their clients can't reach them."""

    def row(self, felt: Felt) -> dict[str, str]:
        """Return a row of the table of stalls."""
        return {
            "what fails under load": self.sentence,
            "longest stall of reads": f"{felt.read_stall_s:.1f} s",
            "longest stall of writes": f"{felt.write_stall_s:.1f} s",
            "answers that were no success": ", ".join(f"{n} x {name}" for name, n in felt.errors.items())
            or "none",
            "every server reads and writes again": f"{felt.back_s:.1f} s after the repair",
        }


# --- PostgreSQL -----------------------------------------------------------------------------------------


def _leader(world: World) -> int:
    wait_until(lambda: world.patroni.leader() is not None, "led")
    number = world.patroni.leader()
    assert number is not None
    return number


def _kill_leader(world: World) -> None:
    world.broken = [world.patroni.kill_leader()]


def _kill_replica(world: World) -> None:
    leader = _leader(world)
    world.broken = [next(number for number in range(len(NODES)) if number != leader)]
    world.patroni.kill(world.broken[0])


def _restart_node(world: World) -> None:
    for number in world.broken:
        world.patroni.restart(number)


def _cut_leader(world: World) -> None:
    world.broken = [_leader(world)]
    world.network.cut(world.network[NODES[world.broken[0]]])


def _heal_nodes(world: World) -> None:
    for number in world.broken:
        world.network.heal(world.network[NODES[number]])


def _kill_postgresql(world: World) -> None:
    world.postgresql.kill()


def _start_postgresql(world: World) -> None:
    world.postgresql.start()


# --- Ceph -----------------------------------------------------------------------------------------------


def _kill_osd(world: World) -> None:
    world.broken = [0]
    world.ceph.kill_osd(0)


def _kill_two_osds(world: World) -> None:
    world.broken = [0, 1]
    for number in world.broken:
        world.ceph.kill_osd(number)


def _start_osds(world: World) -> None:
    for number in world.broken:
        world.ceph.start_osd(number)


def _kill_mon(world: World) -> None:
    world.broken = [world.ceph.leader()]
    world.ceph.kill_mon(world.broken[0])


def _start_mon(world: World) -> None:
    world.ceph.start_mon(world.broken[0])


def _stop_two_osds(world: World) -> None:
    world.broken = [0, 1]
    for number in world.broken:
        world.ceph.stop_osd(number)


# --- servers --------------------------------------------------------------------------------------------


def _kill_server(world: World) -> None:
    world.server(0).kill()


def _start_server(world: World) -> None:
    world.server(0).start()


def _cut_server(world: World) -> None:
    world.network.cut(world.network[SERVERS[0]])


def _heal_server(world: World) -> None:
    world.network.heal(world.network[SERVERS[0]])


def _routes(world: World, action: str, *servers: str) -> None:
    """Let nothing of servers reach PostgreSQL, or all again; clients and Ceph do reach them."""
    for name in servers:
        nodes = (world.network[node].address for node in NODES)
        world.network[name].ip(*(f"route {action} blackhole {address}/32" for address in nodes))


FAILURES = {
    failure.name: failure
    for failure in (
        Failure("leader", "PostgreSQL's leader killed, with its Patroni", _kill_leader, _restart_node, 15.0),
        Failure("replica", "a replica of PostgreSQL killed", _kill_replica, _restart_node),
        Failure(
            "database-cut",
            "all of PostgreSQL cut off from the servers",
            lambda world: _routes(world, "add", *SERVERS),
            lambda world: _routes(world, "del", *SERVERS),
            16.0,
        ),
        Failure("osd", "an OSD killed", _kill_osd, _start_osds),
        Failure("two-osds", "two OSDs of three killed", _kill_two_osds, _start_osds, 12.0),
        Failure("mon", "the leader of the monitors killed", _kill_mon, _start_mon),
        Failure("server", "a server killed", _kill_server, _start_server, 4.0, (0,), True),
        Failure("server-cut", "a server cut off from everybody", _cut_server, _heal_server, 10.0, (0,), True),
        Failure(
            "index-cut",
            "one server cut off from PostgreSQL only",
            lambda world: _routes(world, "add", SERVERS[0]),
            lambda world: _routes(world, "del", SERVERS[0]),
            16.0,
            (0,),
        ),
    )
}


OTHERS = {
    "leader-cut": Failure(
        "leader-cut", "PostgreSQL's leader cut off from everybody", _cut_leader, _heal_nodes, 15.0
    ),
}
"""Not among those that are to be survived: Patroni 3.0.2, which Debian 12 has, lets a leader that was cut off lead again
when the network heals, now and then, and with that forgets what the other one has acknowledged meanwhile."""
SMALL = {
    failure.name: failure
    for failure in (
        Failure("postgresql", "PostgreSQL killed", _kill_postgresql, _start_postgresql, 2.0),
        Failure("osd", "an OSD killed", _kill_osd, _start_osds, 3.0),
        # Stopped: one in memory that is killed comes back empty, and of two that would be everything.
        Failure("two-osds", "two OSDs of three stopped", _stop_two_osds, _start_osds, 8.0),
        Failure("server", "a server killed", _kill_server, _start_server, 1.0, (0,), True),
    )
}
"""Those of a small world."""


@contextmanager
def world(folder: Path, mix: Mix, *changes: str, store: str = "bluestore") -> Iterator[World]:
    """Start three nodes with PostgreSQL under Patroni, monitors and OSDs, and three servers, each a host of its own."""
    with ExitStack() as stack:
        names = (*NODES, *(f"storage{number}" for number in (1, 2, 3)), *SERVERS)
        network = stack.enter_context(Network(folder / "network", *names))
        nodes, disks, hosts = (
            [network[name] for name in names[first : first + 3]] for first in range(0, 9, 3)
        )
        patroni = stack.enter_context(Patroni(folder / "patroni", nodes, hosts[0]))
        ceph = stack.enter_context(Ceph(folder / "ceph", mons=3, store=store, hosts=disks))
        engines = stack.enter_context(Engines(folder, patroni, ceph))
        place = engines.place(mix)
        options = ("--plain-http",)
        servers = stack.enter_context(Servers(place, len(hosts), *options, changes=changes, hosts=hosts))
        for client in servers.clients:
            client.timeout_s = CLIENT_TIMEOUT_S
        yield World(ceph, servers, network, patroni)


@contextmanager
def small_world(folder: Path, *changes: str, count: int = 2) -> Iterator[World]:
    """Start one PostgreSQL, a monitor with three OSDs in memory, and servers, on loopback."""
    with ExitStack() as stack:
        postgresql = stack.enter_context(Postgresql(folder / "postgresql", is_durable=False))
        ceph = stack.enter_context(Ceph(folder / "ceph"))
        engines = stack.enter_context(Engines(folder, postgresql, ceph))
        servers = stack.enter_context(
            Servers(engines.place(MIXES["postgresql+rados"]), count, changes=changes)
        )
        for client in servers.clients:
            client.timeout_s = CLIENT_TIMEOUT_S
        yield World(ceph, servers, postgresql=postgresql)


def recover(world: World) -> None:
    """Wait until every engine is whole again."""
    if world.patroni is not None:
        world.patroni.wait_healthy()
    world.ceph.wait_up()
    world.ceph.wait_clean()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a failure has shown."""

    felt: Felt
    violations: list[str]
    requests: int


def suffer(
    world: World,
    failure: Failure,
    seed: int,
    *,
    before_s: float = 3.0,
    after_s: float = 8.0,
    back_s: float = BACK_S,
    lanes: int = 2,
) -> Outcome:
    """Break something under load, mend it, and wait until every server reads and writes again; compare everything."""
    servers = world.servers
    for number in failure.hit if failure.is_lost else ():
        servers.clients[number].timeout_s = CUT_TIMEOUT_S
    load = Load(servers.clients, seed, name=f"{failure.name}-{seed}/", lanes=lanes, hit=failure.hit)
    pids = [process.pid for process in servers.processes]
    with load:
        time.sleep(before_s)
        broken_s = time.monotonic()
        failure.broken(world)
        time.sleep(failure.during_s)
        failure.repaired(world)
        repaired_s = time.monotonic()
        while not load.has_succeeded(repaired_s) and time.monotonic() < repaired_s + back_s:
            time.sleep(0.05)
        is_back = load.has_succeeded(repaired_s)
        time.sleep(after_s)
    for number in failure.hit:
        servers.clients[number].timeout_s = CLIENT_TIMEOUT_S
    violations = [*load.violations, *_illicit(load, failure, broken_s, repaired_s + back_s)]
    if not is_back:
        violations.append(f"not back {back_s:.0f} s after the repair")
    for number, process in enumerate(servers.processes):
        if not process.is_running or (process.pid != pids[number] and number not in failure.hit):
            violations.append(f"server {number} is another process than before")
    if is_back:
        load.violations.clear()
        load.verify()
        violations += load.violations
    figures = felt(load.events, len(servers.processes), broken_s, repaired_s, failure.hit)
    return Outcome(figures, [f"{failure.name}: {one}" for one in violations], len(load.events))


def _illicit(load: Load, failure: Failure, broken_s: float, back_s: float) -> list[str]:
    """Say which answers may not have come: anything but successes while nothing is broken, silence of a living server."""
    found = []
    for one in load.events:
        is_hit = one.server in failure.hit and failure.is_lost
        may_be = {"ok"} if one.ended_s < broken_s or one.begun_s > back_s else {"ok", "503"}
        if is_hit and one.ended_s >= broken_s:
            may_be |= {"lost", "refused", "silent", "503"}
        if one.outcome not in may_be and one.outcome != "wrong":  # (that has been said)
            moment = one.begun_s - broken_s
            found.append(
                f"{one.kind} to server {one.server}: {one.outcome}, from {moment:.1f} to"
                f" {one.ended_s - broken_s:.1f} s after the failure"
            )
    return found
