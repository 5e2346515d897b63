"""What connections may hold in memory together, and who lets go when that is full."""

from __future__ import annotations

import gc
import logging
import socket
import time
from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from anys3.server.budget import Budget
from anys3.server.limits import KIB, MIB, Limits
from anys3.server.protocol import HttpProtocol
from tests.server.wire_server import read_reply, serving, split_replies

HOST = b"Host: localhost\r\n"
LOG = logging.getLogger("anys3.test.budget")


class Shelf:
    """Holds bytes, and can let go of all but what it works on."""

    def __init__(self, budget: Budget, at_work: int = 0) -> None:
        self.budget = budget
        self.at_work = at_work
        self.held = 0

    def take(self, held: int) -> None:
        self.budget.change(self, held + self.at_work, 0.0)

    def let_go(self) -> None:
        self.budget.change(self, self.at_work, 0.0)


def test_the_one_that_has_held_some_for_longest_lets_go_first() -> None:
    budget = Budget(100, LOG)
    shelves = [Shelf(budget) for _ in range(4)]
    for shelf in shelves:
        shelf.take(30)
    assert [shelf.held for shelf in shelves] == [0, 0, 30, 30]
    shelves[2].take(0)
    shelves[2].take(30)  # it is the youngest now
    shelves[0].take(30)
    shelves[1].take(30)
    assert [shelf.held for shelf in shelves] == [30, 30, 0, 0]


def test_what_is_worked_on_is_not_taken_away() -> None:
    budget = Budget(100, LOG)
    busy, waiting = Shelf(budget, at_work=80), Shelf(budget)
    busy.take(10)
    waiting.take(20)
    assert (busy.held, waiting.held, budget.held) == (80, 0, 80)


def test_it_is_tight_above_a_half_until_below_a_quarter() -> None:
    budget = Budget(100, LOG)
    shelf = Shelf(budget)
    seen = []
    for held in (50, 51, 30, 26, 25, 50):
        shelf.take(held)
        seen.append(budget.is_tight)
    assert seen == [False, True, True, True, False, False]


def test_the_end_of_a_flood_is_said_once() -> None:
    budget = Budget(100, LOG)
    shelf = Shelf(budget)
    said = []
    for held in (20, 0, 60, 20, 15, 10, 40, 0):
        shelf.take(held)
        said.append(budget.ebb())
    assert said == [False, False, False, False, True, False, False, True]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=60))
def test_the_sum_is_always_that_of_all_and_within_the_limit(changes: list[tuple[int, int]]) -> None:
    budget = Budget(100, LOG)
    shelves = [Shelf(budget) for _ in range(10)]
    for number, held in changes:
        shelves[number].take(held)
        assert budget.held == sum(shelf.held for shelf in shelves) <= 100
    assert set(budget._holders) == {shelf for shelf in shelves if shelf.held}


def upload(length: int) -> bytes:
    """Return the head of a request whose handler wants the body whole."""
    return b"PUT /echo HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % length


def test_stalled_bodies_are_told_to_slow_down_and_others_are_served() -> None:
    with serving(Limits(buffered_max=4 * MIB)) as server, ExitStack() as held:
        stalled = [held.enter_context(server.connect()) for _ in range(12)]
        with server.connect() as bystander:
            for sock in stalled:
                sock.sendall(upload(MIB) + b"a" * 900 * KIB)
                bystander.sendall(upload(600_000))
                bystander.sendall(b"a" * 600_000)
                assert read_reply(bystander).status == 200
        answers = [read_reply(sock) for sock in stalled[:7]]  # at most four fit
        assert [(reply.status, b"<Code>SlowDown</Code>" in reply.body) for reply in answers] == [
            (503, True)
        ] * 7


def test_under_pressure_a_request_is_judged_before_its_body_is_received() -> None:
    """So that whoever holds no key holds no memory."""
    with serving(Limits(buffered_max=4 * MIB)) as server, ExitStack() as held:
        stalled = [held.enter_context(server.connect()) for _ in range(3)]
        for sock in stalled:
            sock.sendall(upload(MIB) + b"a" * 900 * KIB)
        until = time.monotonic() + 10
        reply = None
        while reply is None and time.monotonic() < until:  # until the stalled bytes have arrived
            stranger = held.enter_context(server.connect())
            stranger.sendall(b"PUT /refuse HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n")
            stranger.settimeout(0.2)
            try:
                reply = read_reply(stranger)
            except TimeoutError:
                continue
        assert reply is not None
        assert reply.status == 403


def test_a_body_that_drips_holds_no_place_against_one_that_flows() -> None:
    with serving(Limits(buffered_max=2 * MIB)) as server, server.connect() as dripping:
        dripping.sendall(upload(MIB) + b"a" * 900 * KIB)
        flowing = [server.connect() for _ in range(2)]
        for sock in flowing:
            sock.sendall(upload(MIB) + b"a" * 800 * KIB)
            time.sleep(0.1)
        assert read_reply(dripping).status == 503
        for sock in flowing[1:]:
            sock.sendall(b"a" * (MIB - 800 * KIB))
            assert read_reply(sock).status == 200
        for sock in flowing:
            sock.close()


def test_thousands_of_messages_in_one_write_are_parsed_as_they_are_answered() -> None:
    one = b"GET /turns/1 HTTP/1.1\r\n" + HOST + b"\r\n"
    last = b"GET /echo HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    with serving() as server:
        replies = split_replies(server.talk(one * 6000 + last))
    assert replies == [(200, b"/turns/1")] * 6000 + [(200, b"GET /echo ")]


def test_messages_that_wait_are_few_however_many_come() -> None:
    seen = []
    with serving() as server, server.connect() as sock:
        sock.sendall(b"GET /sleep/20 HTTP/1.1\r\n" + HOST + b"\r\n")
        sock.sendall(b"GET /echo HTTP/1.1\r\n%b\r\n" % HOST * 8000)
        until = time.monotonic() + 15
        while time.monotonic() < until and len([count for count in seen if count]) < 8:
            waiting = [each for each in gc.get_objects() if type(each) is HttpProtocol]
            seen.append(max((len(each.queue) for each in waiting), default=0))
            time.sleep(0.05)
    assert 0 < max(seen) < 1000


def test_headers_without_number_are_refused_before_they_end() -> None:
    with serving() as server, server.connect() as sock:
        sock.sendall(b"GET /echo HTTP/1.1\r\n" + HOST + b"".join(b"%x:\r\n" % n for n in range(4000)))
        assert b"<Code>RequestHeaderSectionTooLarge</Code>" in read_reply(sock).body


def test_trailers_are_not_kept() -> None:
    with serving() as server, server.connect() as sock:
        head = b"PUT /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        sock.sendall(head + b"1\r\na\r\n0\r\n" + b"".join(b"%x:\r\n" % n for n in range(150)) + b"\r\n")
        assert read_reply(sock).body == b"PUT /echo a"
        kept = [each for each in gc.get_objects() if type(each) is HttpProtocol]
        assert [len(each._headers) for each in kept if not each.is_lost] == [0]


def test_a_connection_that_waits_long_for_its_request_makes_room_for_a_new_one() -> None:
    limits = Limits(connections_max=3, room_after_s=0.0, tick_s=0.05)
    with serving(limits) as server, ExitStack() as held:
        waiting = [held.enter_context(server.connect()) for _ in range(3)]
        waiting[0].sendall(b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_reply(waiting[0]).status == 200
        waiting[1].sendall(b"GET /ec")
        waiting[2].sendall(b"GET /sleep/3 HTTP/1.1\r\n" + HOST + b"\r\n")
        time.sleep(0.3)
        for _ in range(6):
            with server.connect() as sock:
                sock.sendall(b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n")
                assert read_reply(sock).status == 200
        assert read_reply(waiting[2]).status == 200  # it was at work


def first_status(sock: socket.socket) -> bytes:
    """Return the status of the first answer; nothing if the connection was closed without one."""
    try:
        return sock.recv(12)[9:]
    except ConnectionResetError:
        return b""


def test_connections_far_beyond_the_limit_are_closed_without_a_word() -> None:
    limits = Limits(connections_max=2, refused_connections_max=2, room_after_s=3600.0)
    with serving(limits) as server, ExitStack() as held:
        socks = [held.enter_context(server.connect()) for _ in range(8)]
        for sock in socks[:2]:
            sock.sendall(b"GET /sleep/1 HTTP/1.1\r\n" + HOST + b"\r\n")
        refused = [first_status(sock) for sock in socks[2:]]
    assert refused == [b"503", b"503", b"", b"", b"", b""]


def test_messages_by_the_thousand_let_others_have_their_turn() -> None:
    """A hundred connections with 240 KiB of messages each kept a worker busy for half a minute."""
    one = b"GET /refuse HTTP/1.1\r\n" + HOST + b"\r\n"
    with serving() as server, ExitStack() as held:
        floods = [held.enter_context(server.connect()) for _ in range(10)]
        for sock in floods:
            sock.sendall(one * 4000)
        with server.connect() as bystander:
            bystander.sendall(b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n")
            assert read_reply(bystander).status == 200
        assert len(server.app.handled) < 20_000
