"""System calls of a request, counted on the real server."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from contextlib import ExitStack
from itertools import pairwise

import pytest

from tests.costs.conftest import Traced, syncs
from tests.costs.tracing import Call
from tests.keepalive import KeepAlive
from tests.processes import signed
from tests.rawclient import read_response

BODY = bytes(4096)
LARGE = bytes(600_000)
ROUNDS = 40
A_SMALL_READ = ("epoll_pwait", "read", "write")


def each_answer(calls: list[Call], thread: int) -> Counter[tuple[str, ...]]:
    """Return what one thread calls from the end of an answer to the end of the next, counted."""
    names = [call.name for call in calls if call.thread == thread]
    is_end = [call.name == "write" and call.file == "socket" for call in calls if call.thread == thread]
    ends = [index + 1 for index, is_it in enumerate(is_end) if is_it]
    return Counter(tuple(names[begin:end]) for begin, end in pairwise(ends))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_small_read_waits_once_reads_once_and_writes_once(durable: Traced, method: str) -> None:
    with KeepAlive(durable.s3) as connection:
        assert connection.request("PUT", "/photos/read", body=BODY).status == 200
        connection.request(method, "/photos/read")
        with durable.recorder.calls() as calls:
            statuses = {connection.request(method, "/photos/read").status for _ in range(ROUNDS)}
    assert statuses == {200}
    found = each_answer([call for call in calls if call.name != "epoll_wait"], durable.recorder.pid)
    # A timer of the loop may fall in between, which is a wait more: rarely, and by nothing else.
    assert found.pop(A_SMALL_READ) >= ROUNDS - 3
    assert set(found) <= {("epoll_pwait", *A_SMALL_READ)}


def test_a_small_read_does_not_wake_any_other_thread(durable: Traced) -> None:
    with KeepAlive(durable.s3) as connection:
        connection.request("PUT", "/photos/alone", body=BODY)
        connection.request("GET", "/photos/alone")
        with durable.recorder.calls() as calls:
            for _ in range(ROUNDS):
                connection.request("GET", "/photos/alone")
    others = Counter(call.thread for call in calls if call.thread != durable.recorder.pid)
    # The tracer's own beginning interrupts the waits of the others: once each.
    assert max(others.values(), default=0) <= 2


@pytest.mark.requirement("CON-04", "CON-05")
def test_a_put_alone_is_one_transaction_and_one_sync_of_the_index(durable: Traced) -> None:
    with KeepAlive(durable.s3) as connection:
        connection.request("PUT", "/photos/first", body=BODY)
        before = durable.transactions()
        with durable.recorder.calls() as calls:
            for number in range(10):
                assert connection.request("PUT", f"/photos/one{number}", body=BODY).status == 200
    assert durable.transactions() - before == 10
    assert syncs(calls, durable.server.directory) == ["index"] * 10
    assert meta_pages(calls) == 10


def meta_pages(calls: list[Call]) -> int:
    """Return how often LMDB wrote a meta page straight to the device: the end of a transaction."""
    return sum(call.is_synced and call.file.endswith("/index/data.mdb") for call in calls)


@pytest.mark.requirement("CON-04", "CON-05")
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_writes_that_arrive_together_share_a_few_transactions_of_one_sync_each(
    durable: Traced, method: str
) -> None:
    bodies = [BODY if method == "PUT" else b""] * 64
    requests = [
        signed(durable.s3, method, f"/photos/many{number}", body=body) for number, body in enumerate(bodies)
    ]
    seeds = [signed(durable.s3, "PUT", f"/photos/many{n}", body=BODY) for n in range(64)]
    with ExitStack() as stack:
        connections = [stack.enter_context(durable.s3.connect()) for _ in range(64)]
        with durable.recorder.calls():
            pass
        together(durable, connections, seeds, "PUT")
        before = durable.transactions()
        with durable.recorder.calls() as calls:
            answers = together(durable, connections, requests, method)
    transactions = durable.transactions() - before
    assert Counter(answers) == {200 if method == "PUT" else 204: 64}
    assert 1 <= transactions <= 4
    assert syncs(calls, durable.server.directory) == ["index"] * transactions
    assert meta_pages(calls) == transactions


def together(
    traced: Traced, connections: list[socket.socket], requests: list[bytes], method: str
) -> list[int]:
    """Send while the server stands still, so that it finds everything at once; return the statuses."""
    server = traced.recorder.pid
    os.kill(server, signal.SIGSTOP)
    for connection, data in zip(connections, requests, strict=True):
        connection.sendall(data)
    os.kill(server, signal.SIGCONT)
    return [read_response(connection, method).status for connection in connections]


@pytest.mark.requirement("CON-05")
def test_a_large_put_syncs_its_file_then_its_name_then_the_index(durable: Traced) -> None:
    durable.s3.request("PUT", "/photos/large-first", body=LARGE)  # reserves ids for the next ones
    with durable.recorder.calls() as calls:
        assert durable.s3.request("PUT", "/photos/large", body=LARGE).status == 200
    found = syncs(calls, durable.server.directory)
    # Afterwards the janitor may remove the incoming name, which needs no sync.
    assert found == ["incoming", "blobs", "index"]


def test_the_relaxed_mode_syncs_nothing_for_a_write(relaxed: Traced) -> None:
    with KeepAlive(relaxed.s3) as connection, relaxed.recorder.calls() as calls:
        statuses = {connection.request("PUT", f"/photos/k{n}", body=BODY).status for n in range(20)}
        statuses.add(connection.request("PUT", "/photos/large", body=LARGE).status)
    assert statuses == {200}
    assert (syncs(calls, relaxed.server.directory), meta_pages(calls)) == ([], 0)
    # The tracer saw the writes, so that it would have seen the syncs.
    assert any(call.file.endswith("/index/data.mdb") for call in calls)


def test_the_relaxed_mode_syncs_the_file_system_within_seconds(relaxed: Traced) -> None:
    relaxed.s3.request("PUT", "/photos/late", body=BODY)
    found: list[Call] = []
    for _ in range(20):
        with relaxed.recorder.calls() as calls:
            relaxed.s3.request("PUT", "/photos/late", body=BODY)
            time.sleep(0.5)
        found += calls
        if any(call.name == "syncfs" for call in found):
            break
    assert [call.file for call in found if call.name == "syncfs"] == [str(relaxed.server.directory)]
