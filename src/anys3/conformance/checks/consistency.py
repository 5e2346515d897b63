"""Consistency: CON-01 to CON-03. What a kill or a loss of power shows can't be seen from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle

from anys3.client.connections import Connection, Unreachable
from anys3.client.signing import encode_path
from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_WRITERS = 6
_MAX_READS = 8


@check("CON-01", operation="PutObject")
def new_objects(probe: Probe) -> None:
    """A new object is there at once for GET, HEAD, listings and copies, over every address."""
    seen = _life(probe)
    equal(seen.before, _NOTHING, "what readers see before a first PUT")
    equal(seen.new, _all_see(_NEW), "what readers see after a first PUT")


@check("CON-01", "LIST-21", operation="PutObject")
def overwrites(probe: Probe) -> None:
    """An overwrite is seen at once by GET, HEAD, listings and copies, over every address."""
    equal(_life(probe).overwritten, _all_see(_OVERWRITTEN), "what readers see after an overwrite")


@check("CON-01", "DEL-04", "LIST-21", operation="DeleteObject")
def deletions(probe: Probe) -> None:
    """A deletion is seen at once by GET, HEAD, listings and copies, over every address."""
    seen = _life(probe)
    equal(seen.overwritten, _all_see(_OVERWRITTEN), "what readers see before a DELETE")
    equal(seen.deleted, _NOTHING, "what readers see after a DELETE")


@check("CON-02", "GET-08", operation="GetObject")
def no_torn_reads(probe: Probe) -> None:
    """While writers overwrite an object, each GET has content, length, ETag and headers of one write."""
    bodies = {f"{writer}-{turn}": _filled(writer, turn) for writer in range(4) for turn in range(3)}
    etags: dict[str, str | None] = {}
    done = threading.Event()
    key = probe.key()

    def put(name: str) -> None:
        with probe.setting_up("an object could not be stored"):
            headers = {"x-amz-meta-write": name, "content-type": f"text/x-{name}"}
            reply = probe.put(key, bodies[name], headers).expect("200")
        etags[name] = reply.header("etag")

    def write(writer: int) -> list[Reply]:
        try:
            for turn in range(1, 3):
                put(f"{writer}-{turn}")
        finally:
            done.set()
        return []

    def read() -> list[Reply]:
        replies: list[Reply] = []
        while len(replies) < _MAX_READS and not (replies and done.is_set()):
            replies.append(probe.get(key))
        return replies

    put("0-0")
    first = probe.get(key)
    calls = [lambda writer=writer: write(writer) for writer in range(4)]
    raced = probe.race(*calls, read, read)
    for reply in [first, *(reply for replies in raced for reply in replies), probe.get(key)]:
        _expect_one_write(reply, bodies, etags)


@check("CON-03", operation="PutObject")
def same_winner(probe: Probe) -> None:
    """After concurrent writers have all been answered, all readers see the same one of their writes."""
    key = probe.key()
    bodies = [b"writer %d " % writer * (writer + 1) for writer in range(_WRITERS)]

    def write(body: bytes) -> Reply:
        return probe.put(key, body)

    for reply in probe.race(*(lambda body=body: write(body) for body in bodies)):
        reply.expect("200", about=f"one of {_WRITERS} PUTs of a key at the same time")
    connections = _connections(probe)
    for number in range(2):
        seen = _seen(probe, key, connections)
        winner = seen["GET"]
        require(
            winner in bodies, f"a GET after {_WRITERS} PUTs: expected one of their bodies, got {winner!r}"
        )
        if number == 0:
            expected = _all_see(winner) if isinstance(winner, bytes) else {}
        equal(seen, expected, f"what readers see after {_WRITERS} PUTs at the same time")


# --- within --------------------------------------------------------------------------------------------------

_NEW, _OVERWRITTEN = b"new", b"overwritten"
_NOTHING: dict[str, object] = {"GET": "404 NoSuchKey", "HEAD": "404", "LIST": [], "copy": "404 NoSuchKey"}


def _all_see(body: bytes) -> dict[str, object]:
    return {"GET": body, "HEAD": str(len(body)), "LIST": [str(len(body))], "copy": body}


@dataclass(frozen=True, slots=True)
class _Life:
    """What readers see of an object, from before its first PUT until after its DELETE."""

    before: dict[str, object]
    new: dict[str, object]
    overwritten: dict[str, object]
    deleted: dict[str, object]


def _life(probe: Probe) -> _Life:
    """Return what readers see while an object is put, overwritten and deleted; or block.

    It lives once for all checks: what was read before a change could be remembered by a cache.
    """
    own = replace(probe, check="shared/life")

    def live() -> _Life:
        connections = _connections(own)
        key = own.key("a/object")
        seen = [_seen(own, key, connections)]
        for method, body in (("PUT", _NEW), ("PUT", _OVERWRITTEN), ("DELETE", b"")):
            with next(connections) as connection, own.setting_up(f"{method} of an object failed"):
                own.request(method, own.path(key), body=body, on=connection).expect("200", "204")
            seen.append(_seen(own, key, connections))
        return _Life(*seen)

    return probe.asked_once(own.prefix, live)


def _seen(probe: Probe, key: str, connections: Iterator[Connection]) -> dict[str, object]:
    """Return what each kind of reader sees of a key, each over a connection of its own."""
    with next(connections) as connection:
        listed = probe.request("GET", probe.path(), [("list-type", "2"), ("prefix", key)], on=connection)
    with next(connections) as connection:
        got = probe.request("GET", probe.path(key), on=connection)
    with next(connections) as connection:
        head = probe.request("HEAD", probe.path(key), on=connection)
    with next(connections) as connection:
        source = {"x-amz-copy-source": encode_path(probe.bucket, key)}
        copied = probe.request("PUT", probe.path(probe.key("copy")), headers=source, on=connection)
    return {
        "GET": got.body if got.status == 200 else got.said,
        "HEAD": head.header("content-length") if head.status == 200 else str(head.status),
        "LIST": listed.expect("200").texts("Contents/Size"),
        "copy": probe.get(probe.key("copy")).body if copied.status == 200 else copied.said,
    }


def _connections(probe: Probe) -> Iterator[Connection]:
    """Yield new connections, in turn to all addresses of the endpoint that can be reached."""
    reachable: list[str] = []
    for address in probe.ground.dialer.addresses():
        try:
            probe.connect(address=address).close()
            reachable.append(address)
        except Unreachable:
            continue
    for each in cycle(reachable or ("",)):
        yield probe.connect(address=each or None)


def _filled(writer: int, turn: int) -> bytes:
    """Return a content that shows which write it is of, in every byte and in its length."""
    return bytes((65 + writer * 3 + turn,)) * (10_000 + 4_000 * writer + 1_000 * turn)


def _expect_one_write(reply: Reply, bodies: dict[str, bytes], etags: dict[str, str | None]) -> None:
    """Raise Failed unless all that an answer shows is of one of the writes, which its content names."""
    reply.expect("200", about="a GET while writers overwrite the object")
    name = next((name for name in etags if bodies[name] == reply.body), None)
    if name is None:
        raise Failed(f"a GET during overwrites: expected one write, whole, got {len(reply.body)} bytes")
    for header, expected in (
        ("content-length", str(len(reply.body))),
        ("x-amz-meta-write", name),
        ("content-type", f"text/x-{name}"),
        ("etag", etags[name]),
    ):
        shown = reply.header(header)
        require(
            shown in (None, expected),
            f"{header} of a GET during overwrites: expected {expected}, got {shown}",
        )
