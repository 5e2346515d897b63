"""Ceph: monitors and OSDs with a replicated pool and an erasure-coded one, without a manager."""

from __future__ import annotations

import base64
import ctypes
import itertools
import os
import struct
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.engines.daemon import WAIT_S, Daemon, EngineFailed, not_installed, program, run, wait_until
from tests.engines.hosts import LOOPBACK, Host
from tests.engines.rados_commands import LIBRARY, Commands

PROGRAMS = ("ceph-mon", "ceph-osd", "monmaptool")
DATA, EC = "data", "ec"
PLACEMENT_GROUPS = 8
CONF = """[global]
fsid = {fsid}
mon_host = {mon_host}
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = false
run_dir = {directory}/run
crash_dir = {directory}/run
# Commands to an OSD come in through its socket's thread. A path may not be long, so it is relative.
admin_socket = run/$name.asok
chdir =
osd_pool_default_size = 3
osd_pool_default_min_size = 2
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_objectstore = {store}
# OSDs report one that has been silent so long, and monitors wait as long; the default is 20 seconds.
osd_heartbeat_interval = 1
osd_heartbeat_grace = 4
mon_osd_adjust_heartbeat_grace = false

[mon]
# How soon a leader is missed; the default is 5 seconds for either.
mon_lease = 2
mon_election_timeout = 2
mon_data = {directory}/mon.$id
log_file = {directory}/mon.$id.log
mon_allow_pool_delete = true
mon_max_pg_per_osd = 1000
# It would stop on a disk that is nearly full.
mon_data_avail_warn = 2
mon_data_avail_crit = 1
# Every change of a map waits this long for others; the default is a second.
paxos_propose_interval = 0.05
mon_osd_crush_smoke_test = false
mon_osd_down_out_interval = 3600
mon_osd_min_down_reporters = 1
mon_osd_reporter_subtree_level = osd

[osd]
osd_data = {directory}/osd.$id
log_file = {directory}/osd.$id.log
osd_recovery_delay_start = 0
# Else a stopped one ends at once, and memstore loses what it has.
osd_fast_shutdown = false
osd_class_load_list = *
osd_class_default_list = *
memstore_device_bytes = {device_bytes}
# A sparse file: a few MB are really used.
bluestore_block_size = {device_bytes}
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
osd_memory_target = 939524096

[client]
admin_socket =
"""


def missing() -> str | None:
    """Return why it can't be started here."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return f"{LIBRARY}: not installed (run .ci/install-engines)"
    return not_installed(*PROGRAMS)


class Cluster:
    """A cluster that runs, reached by its configuration file."""

    def __init__(self, conf: Path, host: Host = LOOPBACK) -> None:
        self.conf = conf
        self._host = host

    def commands(self) -> Commands:
        """Return a connection for commands to monitors and OSDs."""
        with self._host.entered():  # librados makes its threads here, and they its sockets
            return Commands(self.conf)

    def up(self) -> set[int]:
        """Return the numbers of the OSDs that the monitors say are up; empty if none of them answers."""
        try:
            with self.commands() as commands:
                return {osd["osd"] for osd in commands.mon("osd dump")["osds"] if osd["up"]}
        except EngineFailed:  # such as one that was just killed
            return set()

    def states(self) -> dict[str, str]:
        """Return the state of every placement group, such as "active+clean"; "unknown" if nobody can tell."""
        return dict(self._states())

    def wait_clean(self, timeout_s: float = WAIT_S) -> None:
        """Return when every object has all its replicas or shards again."""

        def is_clean() -> bool:  # the first that is not is enough to know
            return all(state == "active+clean" for _, state in self._states())

        wait_until(is_clean, "all active+clean", timeout_s)

    def _states(self) -> Iterator[tuple[str, str]]:
        with self.commands() as commands:
            for pool in commands.mon("osd dump")["pools"]:
                for number in range(pool["pg_num"]):
                    pgid = f"{pool['pool']}.{number:x}"
                    try:
                        yield pgid, commands.pg(pgid, "query")["state"]
                    except EngineFailed:
                        yield pgid, "unknown"


class Ceph(Cluster):
    """Monitors and OSDs, taking the hosts in turn, as a context manager.

    A killed OSD of memstore comes back empty, as one whose disk was replaced; one that is stopped comes back whole,
    as does either of bluestore, which is a file here.
    """

    def __init__(
        self,
        directory: Path,
        *,
        mons: int = 1,
        osds: int = 3,
        store: str = "memstore",
        device_bytes: int = 4 << 30,
        hosts: Sequence[Host] = (LOOPBACK,),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "run").mkdir()
        self.directory = directory
        super().__init__(directory / "ceph.conf", hosts[0])
        self._fsid = str(uuid.uuid4())
        self._addresses = {
            name: f"[v2:{host.address}:{host.port(3300)},v1:{host.address}:{host.port(6789)}]"
            for name, host in zip("abcdefg"[:mons], itertools.cycle(hosts), strict=False)
        }
        self._configure(store, device_bytes)
        self.mons = [
            self._daemon("mon", name, host)
            for name, host in zip(self._addresses, itertools.cycle(hosts), strict=False)
        ]
        self.osds = [
            self._daemon("osd", number, host)
            for number, host in zip(range(osds), itertools.cycle(hosts), strict=False)
        ]

    def __enter__(self) -> Ceph:
        try:
            self._make_directories()
            for daemon in (*self.mons, *self.osds):
                daemon.start()
            self._make_pools()
            self.wait_up()
            self.wait_clean()
        except BaseException as error:
            error.add_note("\n".join(daemon.state() for daemon in (*self.mons, *self.osds)))
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all daemons; nothing is saved."""
        for daemon in (*self.osds, *self.mons):
            daemon.kill()

    def wait_up(self, timeout_s: float = WAIT_S) -> None:
        """Return when every OSD that runs is up, and no other."""
        running = {number for number, daemon in enumerate(self.osds) if daemon.is_running}
        wait_until(lambda: self.up() == running, f"up: {sorted(running)}", timeout_s)

    def kill_osd(self, number: int) -> None:
        self.osds[number].kill()

    def stop_osd(self, number: int) -> None:
        """End an OSD as an operator would: it saves what it has."""
        self.osds[number].stop()

    def start_osd(self, number: int) -> None:
        """Start it again, and don't wait until it is up."""
        self.osds[number].start()

    def kill_mon(self, number: int) -> None:
        self.mons[number].kill()

    def start_mon(self, number: int) -> None:
        self.mons[number].start()

    def leader(self) -> int:
        """Return the number of the monitor that leads, as one of them knows; it may be one that has just ended."""
        with self.commands() as commands:
            return list(self._addresses).index(commands.mon("quorum_status")["quorum_leader_name"])

    def _configure(self, store: str, device_bytes: int) -> None:
        mon_host = ",".join(self._addresses.values())
        values = {"store": store, "device_bytes": device_bytes, "directory": self.directory}
        self.conf.write_text(CONF.format(fsid=self._fsid, mon_host=mon_host, **values))

    def _daemon(self, kind: str, number: str | int, host: Host) -> Daemon:
        addresses = (f"--public-addr={host.address}", f"--cluster-addr={host.address}")
        argv = (str(program(f"ceph-{kind}")), "-f", "-c", str(self.conf), "-i", str(number), *addresses)
        return Daemon(argv, self.directory / f"{kind}.{number}.log", host)

    def _make_directories(self) -> None:
        """Make what each daemon starts from, all at once: it is mostly waiting for the disk."""
        monmap, keyring = self.directory / "monmap", self.directory / "keyring"
        names = (part for item in self._addresses.items() for part in ("--addv", *item))
        run([str(program("monmaptool")), "--create", "--fsid", self._fsid, *names, str(monmap)])
        keyring.write_text(f'[mon.]\nkey = {_key()}\ncaps mon = "allow *"\n')
        commands = [
            ("ceph-mon", "-i", name, "--monmap", str(monmap), "--keyring", str(keyring))
            for name in self._addresses
        ]
        for number in range(len(self.osds)):
            (self.directory / f"osd.{number}").mkdir()
            commands.append(
                ("ceph-osd", "-i", str(number), "--osd-uuid", str(uuid.uuid4()), "--no-mon-config")
            )
        with ThreadPoolExecutor() as threads:
            list(
                threads.map(
                    lambda argv: run(
                        [str(program(argv[0])), "-c", str(self.conf), "--admin-socket=", "--mkfs", *argv[1:]]
                    ),
                    commands,
                )
            )

    def _connected(self) -> Commands:
        """Return a connection, as soon as the monitors have a quorum."""
        limit = time.monotonic() + WAIT_S
        while True:
            try:
                return self.commands()
            except EngineFailed:
                if time.monotonic() > limit:
                    raise

    def _make_pools(self) -> None:
        """Make the pools while the OSDs, which register themselves, come up."""
        with self._connected() as commands:
            profile = ["plugin=jerasure", "k=2", "m=1", "crush-failure-domain=osd"]
            commands.mon("osd erasure-code-profile set", name="ec21", profile=profile)
            pools = {
                DATA: {"pool_type": "replicated"},
                EC: {"pool_type": "erasure", "erasure_code_profile": "ec21"},
            }
            for name, form in pools.items():
                commands.mon(
                    "osd pool create", pool=name, pg_num=PLACEMENT_GROUPS, pgp_num=PLACEMENT_GROUPS, **form
                )
                commands.mon("osd pool application enable", pool=name, app="anys3")


def _key() -> str:
    """Return a key in Ceph's form. Monitors want one to begin with; with no authentication nobody is asked for it."""
    return base64.b64encode(struct.pack("<HIIH", 1, 0, 0, 16) + os.urandom(16)).decode()
