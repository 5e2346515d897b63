"""A thread receives a body while another one consumes it."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator

import pytest

from anys3.server.handover import Transfer
from anys3.spec.errors import S3Error
from anys3.store.buffers import BUFFER
from tests.spares import count_of_spares, no_spares

BYTES = random.Random(6).randbytes(3 * BUFFER + 77)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def send(theirs: socket.socket, data: bytes, *, then_close: bool = False) -> threading.Thread:
    def work() -> None:
        try:
            theirs.sendall(data)
        except OSError:
            return  # the other side had enough
        if then_close:
            theirs.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def received(ours: socket.socket, first: list[bytes], rest: int) -> bytes:
    found = bytearray()
    Transfer(ours).receive(first, rest, found.extend, 10)
    return bytes(found)


@pytest.mark.parametrize("size", [1, BUFFER - 1, BUFFER, BUFFER + 1, 2 * BUFFER, len(BYTES)])
@pytest.mark.parametrize("first", [0, 1, BUFFER + 5])
def test_a_body_is_consumed_whole_and_in_order(
    pair: tuple[socket.socket, socket.socket], size: int, first: int
) -> None:
    ours, theirs = pair
    thread = send(theirs, BYTES[first : first + size])
    data = BYTES[first : first + size]
    assert received(ours, [BYTES[:first]], len(data)) == BYTES[:first] + data
    thread.join()


def test_without_memory_to_spare_a_body_is_consumed_in_turn(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    with no_spares():
        thread = send(theirs, BYTES)
        assert received(ours, [], len(BYTES)) == BYTES
        thread.join()


@pytest.mark.parametrize("at_block", [0, 1, 3])
def test_what_consuming_raises_ends_the_transfer(
    pair: tuple[socket.socket, socket.socket], at_block: int
) -> None:
    ours, theirs = pair
    before = count_of_spares()
    blocks: list[int] = []

    def consume(view: memoryview) -> None:
        if len(blocks) == at_block:
            raise S3Error("SignatureDoesNotMatch")
        blocks.append(len(view))

    thread = send(theirs, BYTES)
    transfer = Transfer(ours)
    with pytest.raises(S3Error) as caught:
        transfer.receive([], len(BYTES), consume, 10)
    assert caught.value.code == "SignatureDoesNotMatch"
    assert blocks == [BUFFER] * at_block
    assert transfer.moved <= (at_block + 2) * BUFFER
    assert count_of_spares() == before
    theirs.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.requirement("HTTP-10")
@pytest.mark.parametrize("sent", [0, BUFFER, BUFFER + 1, 3 * BUFFER])
def test_a_body_that_ends_early_is_told_after_what_came_was_consumed(
    pair: tuple[socket.socket, socket.socket], sent: int
) -> None:
    ours, theirs = pair
    before = count_of_spares()
    found = bytearray()
    transfer = Transfer(ours)
    thread = send(theirs, BYTES[:sent], then_close=True)
    with pytest.raises(S3Error) as caught:
        transfer.receive([], len(BYTES), found.extend, 10)
    thread.join()
    assert caught.value.code == "IncompleteBody"
    assert transfer.moved == sent
    assert found == BYTES[: sent // BUFFER * BUFFER]
    assert count_of_spares() == before
