"""Hosts of a network reach each other until a cable is cut, and this process is none of them."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from tests.engines import network
from tests.engines.daemon import WAIT_S
from tests.engines.fixtures import need
from tests.engines.network import Network, NetworkHost
from tests.engines.processes import processes_of

PORT = 8000
OWN = Path("/proc/thread-self/ns/net")


@pytest.fixture(autouse=True)
def _possible() -> None:
    need(network.missing())


def test_a_host_is_reached_until_its_cable_is_cut_and_again_when_it_is_healed(tmp_path: Path) -> None:
    with Network(tmp_path, "server", "client") as hosts:
        server, client = hosts.hosts
        with server.entered():
            listener = socket.create_server((server.address, PORT))
        with listener:
            _connect(client, server.address, WAIT_S)
            hosts.cut(client)
            with pytest.raises(TimeoutError):
                _connect(client, server.address, 0.3)
            hosts.heal(client)
            _connect(client, server.address, WAIT_S)


def test_what_is_started_within_a_host_belongs_to_it_and_this_thread_only_meanwhile(tmp_path: Path) -> None:
    before = OWN.readlink()
    with Network(tmp_path, "n1") as hosts:
        with hosts["n1"].entered():
            within = OWN.readlink()
            started = subprocess.run(
                ["readlink", str(OWN)], stdout=subprocess.PIPE, text=True, check=True
            ).stdout
        assert within != before
        assert started.strip() == str(within)
        assert OWN.readlink() == before
        assert subprocess.check_output(hosts["n1"].command(["readlink", str(OWN)]), text=True) == started


def test_a_network_leaves_nothing(tmp_path: Path) -> None:
    with Network(tmp_path, "n1", "n2"):
        assert len(processes_of(tmp_path)) == 6  # one that keeps each, on a leash; the bridge has one too
    assert processes_of(tmp_path) == []


def _connect(client: NetworkHost, address: str, timeout_s: float) -> None:
    with client.entered(), socket.create_connection((address, PORT), timeout_s):
        pass
