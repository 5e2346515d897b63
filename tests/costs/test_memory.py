"""Memory after thousands of requests: nothing grows with their number."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import anys3
from tests.keepalive import KeepAlive
from tests.processes import ServerProcess, serving
from tests.rawclient import RawClient

REQUESTS = 2_000
KEYS = 50
BODY = bytes(4096)
BUFFERS_KIB = 1024
"""Room for what the allocator keeps; 2,000 requests that kept one KiB each would take twice as much."""
Send = Callable[[KeepAlive, int], int]


def get(connection: KeepAlive, number: int) -> int:
    return connection.request("GET", f"/photos/k{number % KEYS}").status


def head(connection: KeepAlive, number: int) -> int:
    return connection.request("HEAD", f"/photos/k{number % KEYS}").status


def put(connection: KeepAlive, number: int) -> int:
    return connection.request("PUT", f"/photos/k{number % KEYS}", body=BODY).status


def delete(connection: KeepAlive, number: int) -> int:
    return connection.request("DELETE", f"/photos/none{number % KEYS}").status


def list_keys(connection: KeepAlive, number: int) -> int:
    return connection.request("GET", "/photos", f"list-type=2&max-keys={1 + number % 5}").status


def miss(connection: KeepAlive, number: int) -> int:
    return connection.request("GET", f"/photos/none{number % KEYS}").status


def lie(connection: KeepAlive, number: int) -> int:
    headers = {"authorization": f"AWS4-HMAC-SHA256 Credential=x{number % KEYS}"}
    return connection.request("GET", "/photos/k1", headers=headers, sign=False).status


KINDS: dict[str, tuple[Send, int]] = {
    "get": (get, 200),
    "head": (head, 200),
    "put": (put, 200),
    "delete": (delete, 204),
    "list": (list_keys, 200),
    "miss": (miss, 404),
    "lie": (lie, 400),
}
each_kind = pytest.mark.parametrize("kind", list(KINDS))


def fill(s3: RawClient) -> None:
    """Make the bucket and its keys."""
    with KeepAlive(s3) as connection:
        assert connection.request("PUT", "/photos").status == 200
        assert {put(connection, number) for number in range(KEYS)} == {200}


def send_many(connection: KeepAlive, kind: str, count: int) -> set[int]:
    """Send requests of one kind and return the statuses."""
    send = KINDS[kind][0]
    return {send(connection, number) for number in range(count)}


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    """A client of a server whose objects this process can count."""
    with anys3.Server(tmp_path_factory.mktemp("memory") / "data") as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        fill(s3)
        yield s3


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server process."""
    with serving(tmp_path_factory.mktemp("memory") / "data", "--workers", "1") as server:
        fill(server.s3)
        yield server


def live_objects() -> Counter[str]:
    """Return the number of live objects by type, after a collection."""
    gc.collect()
    return Counter(type(one).__qualname__ for one in gc.get_objects())


@each_kind
def test_two_thousand_requests_leave_no_object_behind(in_process: RawClient, kind: str) -> None:
    with KeepAlive(in_process) as connection:
        counts = []
        for _ in range(3):
            assert send_many(connection, kind, REQUESTS) == {KINDS[kind][1]}
            counts.append(live_objects())
    # What is made once, at whatever time, is no growth: only what grew both times is. Threads of ours may be
    # in the middle of something: a few objects, not one for each request.
    grown = (counts[1] - counts[0]) & (counts[2] - counts[1])
    assert {name: count for name, count in grown.items() if count > 20} == {}


def resident_kib(server: ServerProcess) -> int:
    """Return the server's resident memory without pages of files, of which LMDB's map has as many as it reads."""
    return server.memory_kib("RssAnon")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@each_kind
def test_two_thousand_requests_take_no_memory(process: ServerProcess, kind: str) -> None:
    with KeepAlive(process.s3) as connection:
        send_many(connection, kind, REQUESTS)
        before = resident_kib(process)
        assert send_many(connection, kind, REQUESTS) == {KINDS[kind][1]}
        assert resident_kib(process) - before < BUFFERS_KIB


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_thousand_idle_connections_cost_under_20_mib(process: ServerProcess) -> None:
    before = resident_kib(process)
    with ExitStack() as stack:
        connections = [stack.enter_context(KeepAlive(process.s3)) for _ in range(1_000)]
        assert {get(connection, number) for number, connection in enumerate(connections)} == {200}
        assert resident_kib(process) - before < 20 * 1024
        assert get(connections[0], 0) == 200
