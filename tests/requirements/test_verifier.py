"""Every route, by every way of authenticating, passes through the one verifier.

Over sockets and on both engines; tests/torture/access has more ways and more routes, in one process.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.exemplars import Scene
from tests.keepalive import KeepAlive
from tests.rawclient import RawClient, read_response, render
from tests.torture.access.table import FORGED, operations
from tests.torture.access.ways import sent, signed, url, without_headers

OPERATIONS = operations()


@pytest.fixture
def scene(s3: RawClient, bucket: str) -> Scene:
    """A bucket in which every operation succeeds."""
    made = Scene(s3, bucket)
    made.prepare()
    return made


@pytest.fixture
def wire(s3: RawClient) -> Iterator[KeepAlive]:
    """A connection that stays open."""
    with KeepAlive(s3) as connection:
        yield connection


@pytest.mark.requirement("AUTH-04", "AUTH-05", "AUTH-06", "AUTH-12", "AUTH-13", "ERR-04", "ERR-08")
@pytest.mark.known_mistake(1, 2, 3, 4, 8, 10, 15, 36)
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_route_skips_the_verifier(scene: Scene, wire: KeepAlive, s3: RawClient, name: str) -> None:
    """CVE-2025-31489, CVE-2026-41145, CVE-2026-40344, CVE-2026-55873, SeaweedFS 9729: a way forgotten."""
    one = without_headers(scene.exemplar(name))
    before = scene.state()
    verdicts = {way: wire.exchange(make(s3, one), one.method).verdict for way, (make, _) in FORGED.items()}
    expected = {
        way: {(status, "") for status, _ in allowed} if one.method == "HEAD" else allowed
        for way, (_, allowed) in FORGED.items()
    }
    assert {way: verdict for way, verdict in verdicts.items() if verdict not in expected[way]} == {}
    assert scene.state() == before


@pytest.mark.requirement("AUTH-01", "PRE-01")
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "PostObject"])
def test_every_route_takes_a_right_signature_in_either_place(
    scene: Scene, wire: KeepAlive, s3: RawClient, name: str
) -> None:
    one = scene.exemplar(name)
    header = wire.exchange(sent(s3, one, signed(s3, one)), one.method)
    scene.prepare()
    one = scene.exemplar(name)
    query = wire.exchange(sent(s3, one, dict(one.headers), url(s3, one)), one.method)
    assert (header.status, query.status) == (one.status, one.status)


def verdict_of(s3: RawClient, data: bytes) -> int:
    """Return the status of the answer to what may be no request at all."""
    with s3.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return read_response(connection, "PUT").status


@pytest.mark.requirement("AUTH-05", "PAY-02", "ERR-08")
@pytest.mark.known_mistake(1, 9)
@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_a_signed_request_with_any_byte_changed_is_refused(s3: RawClient, bucket: str, mask: int) -> None:
    """CVE-2025-31489 (MinIO), SeaweedFS 9910: not all that was signed was compared."""
    path, query = f"/{bucket}/k%20a", "x-id=PutObject"
    lines = {"host": s3.host, "content-type": "text/plain", "x-amz-meta-a": "1 2", "x-amz-tagging": "a=b"}
    head = render(
        "PUT", f"{path}?{query}", {**s3.sign("PUT", path, query, lines, b"hello"), "content-length": "5"}
    )
    data = head + b"hello"
    version = data.index(b"HTTP/1.1") + len("HTTP/1.")
    places = [at for at in range(len(data)) if at != version]
    changed = {at: data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :] for at in places}
    statuses = {at: verdict_of(s3, one) for at, one in changed.items()}
    assert {
        at: status for at, status in statuses.items() if status not in (400, 403, 404, 405, 411, 501)
    } == {}
    assert s3.request("GET", f"/{bucket}", [("list-type", "2")]).texts("Contents/Key") == []
    assert verdict_of(s3, data) == 200
