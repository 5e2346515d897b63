"""Ranges of blobs, streamed: one GET as long as its connection lasts, and another from where it ended."""

from __future__ import annotations

import re

from anys3.client.answers import Answer
from anys3.client.connections import Connection, ExchangeError, NoAnswer
from anys3.store.blobs import BlobMissing
from anys3.store.errors import StoreError, Unavailable
from anys3.store.s3 import refusals
from anys3.store.s3.address import MIB
from anys3.store.s3.requests import Request, Requester

_LOSSES = 6
"""How many connections in a row may end before a mebibyte more has come."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")


class Reader:
    """Reads a range of one blob; see BlobReader. The kernel's buffers are what is read ahead."""

    def __init__(self, requester: Requester, key: str, start: int, length: int) -> None:
        self._requester = requester
        self._key = key
        self._at = start
        self._end = start + length
        self._there = start + length  # where the blob ends, if that is before
        self._head: Answer | None = None
        self._connection: Connection | None = None
        self._losses = 0
        self._progress_from = start

    def read_into(self, view: memoryview) -> None:
        """Fill all of `view` with what comes next. Raises BlobMissing, Unavailable."""
        if len(view) > self._end - self._at:
            raise ValueError(f"{len(view)} bytes of the {self._end - self._at} that are left")
        while len(view):
            connection = self._connection or self._open()
            if self._at == self._there:
                self.close()
                raise BlobMissing(f"blob {self._key} ends at {self._at}, before {self._end}")
            try:
                count = connection.read_into(view[: self._there - self._at])
                if not count:
                    raise NoAnswer("the server closed the connection within the body")
            except ExchangeError as error:
                self._lose(str(error))
                continue
            self._at += count
            view = view[count:]
            self._requester.meter.received(count)
        if self._at == self._end:
            self._give_back()

    def close(self) -> None:
        """Let go. Idempotent. What was asked for and not read costs the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> Connection:
        """Ask for what is left. Raises BlobMissing, Unavailable."""
        wanted = ("range", f"bytes={self._at}-{self._end - 1}")
        head, connection = self._requester.open(Request("GetObject", "GET", self._key, headers=(wanted,)))
        if connection is None:
            raise _refusal(head, self._key)
        self._head, self._connection = head, connection
        found = _CONTENT_RANGE.fullmatch(head.header("content-range") or "")
        first, last = (int(found[1]), int(found[2])) if found else (-1, -1)
        length = head.header("content-length")
        if first != self._at or not first <= last < self._end or length != str(last - first + 1):
            self.close()
            raise Unavailable(
                f"{self._requester.where}: {wanted[1]} of {self._key} was answered with"
                f" {head.header('content-range')}, {length} bytes"
            )
        self._there = last + 1
        return connection

    def _lose(self, reason: str) -> None:
        """Give a connection up, to go on with another. Raises Unavailable: too many were lost."""
        self.close()
        if self._at - self._progress_from >= MIB:
            self._losses = 0
        self._progress_from = self._at
        self._losses += 1
        if self._losses > _LOSSES:
            raise Unavailable(
                f"{self._requester.where}: {self._key} could not be read at {self._at}: {reason}"
            )
        self._requester.pause(self._losses)

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._head is not None:
            self._requester.pool.give(connection, self._head)


def _refusal(answer: Answer, key: str) -> StoreError:
    """Return what an answer without the range means. Only the blob's own absence is one."""
    if (answer.status, refusals.code(answer)) == (404, "NoSuchKey"):
        return BlobMissing(f"blob {key} does not exist")
    if answer.status == 416:
        return BlobMissing(f"blob {key} is shorter than its range")
    return refusals.error(answer, f"GetObject of {key}")
