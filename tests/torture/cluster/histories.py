"""Rounds and stories of the races, played over several servers on one store: each lane asks all of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.processes import signed
from tests.rawclient import UNSIGNED, read_response
from tests.torture.cluster.servers import Servers
from tests.torture.races import hunting, stories
from tests.torture.races.contents import body_of
from tests.torture.races.playing import Arena, Crew, Tally
from tests.torture.races.rounds import Maker


@contextmanager
def arena(servers: Servers, *, processes: int = 3, lanes: int = 4) -> Iterator[Arena]:
    """Start client processes, each lane of which has a connection to every server."""
    crew = Crew(servers.clients, processes, lanes, len(servers.processes))
    try:
        yield Arena(servers, crew, len(servers.processes))  # type: ignore[arg-type]
    finally:
        crew.close()


def play(servers: Servers, seed: int, *, seconds: float = 0.0, rounds: int = 1) -> Tally:
    """Play rounds of every kind, for a time or as often as asked; return what came of them."""
    tally = Tally()
    limit = time.monotonic() + seconds
    with arena(servers) as here:
        hunting.make_bucket(here)
        maker = Maker(servers.s3, seed, here.crew.lanes)
        while rounds > 0 or time.monotonic() < limit:
            rounds -= 1
            for kind in hunting.KINDS:
                hunting.play(here, maker, tally, kind)
    if tally.unanswered:
        tally.violations.append(f"{tally.unanswered} operations were not answered, or with 503")
    return tally


def tell(servers: Servers, seed: int, turns: int) -> list[str]:
    """Do each story: readers under overwrites, listings under change, keys that are rotated and deleted."""
    for bucket in ("readers", "listings"):
        assert servers.s3.request("PUT", f"/{bucket}").status == 200
    wrong, _ = stories.readers(servers, "readers", turns, seed)  # type: ignore[arg-type]
    more, _ = stories.listings(servers, "listings", 3 * turns, seed)  # type: ignore[arg-type]
    return [*wrong, *more, *keys_that_go(servers, max(turns // 3, 1))]


def keys_that_go(servers: Servers, turns: int) -> list[str]:
    """Rotate and delete keys beside the servers; none may take what is gone."""
    assert servers.s3.request("PUT", "/admin").status == 200
    return stories.keys_that_go(servers, "admin", turns, len(servers.processes))  # type: ignore[arg-type]


HELD = 24 << 20
"""More than the buffers of a connection take."""


def outlast(servers: Servers, seconds: float) -> list[str]:
    """Overwrite, by one server, what another is sending slowly; return what is wrong about what comes of it."""
    first, last = servers.clients[0], servers.clients[-1]
    path, body = "/outlast/held", body_of("held", HELD)
    assert first.request("PUT", "/outlast").status == 200
    assert first.request("PUT", path, body=body, payload_hash=UNSIGNED).status == 200
    with last.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, stories.SLOW_BUFFER)
        connection.sendall(signed(last, "GET", path))
        assert connection.recv(1, socket.MSG_PEEK)
        assert first.request("PUT", path, body=b"overwritten").status == 200
        time.sleep(seconds)
        try:
            answer = read_response(connection)
        except OSError as error:
            return [f"what was being sent when it was overwritten broke off: {error}"]
    is_whole = (answer.status, answer.body) == (200, body)
    return [] if is_whole else [f"what was being sent when it was overwritten: {answer.status}, other bytes"]
