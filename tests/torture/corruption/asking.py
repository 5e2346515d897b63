"""Questions to a real server whose answers are known, asked again after each damage."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import socket
import time
from collections.abc import Iterable
from typing import NamedTuple

from tests.processes import ServerProcess, signed
from tests.rawclient import read_response

RIGHT, LOUD, CRASHED, WRONG = "right", "loud", "crashed", "WRONG"
_RESIGN_S = 300.0
_RESTART_S = 60.0
_PATIENCE_S = 3.0
# What differs from answer to answer. An answer is right if all else is what it was.
_PASSING = ("date", "x-amz-request-id", "connection", "x-amz-id-2")
_PASSING_TEXT = re.compile(rb"<(RequestId|HostId|LastModified|Message)>[^<]*</\1>|<UploadId>[^<]*</UploadId>")


class Question(NamedTuple):
    """One request. `is_write`: of its answer only the status and the ETag count."""

    name: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    is_write: bool = False


class Answer(NamedTuple):
    """What counts of an answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Asker:
    """Asks the same questions again and again, over one connection while that lasts."""

    def __init__(self, server: ServerProcess, questions: Iterable[Question]) -> None:
        self.questions = tuple(questions)
        self._server = server
        self._connection: socket.socket | None = None
        self._stream: io.BufferedReader | None = None
        self._signed: list[bytes] = []
        self._signed_at = 0.0
        self.answered = 0
        self.is_down = False
        self._workers = server.workers()
        self.expected = [self._one(number) for number in range(len(self.questions))]
        assert all(isinstance(answer, Answer) and answer.status < 500 for answer in self.expected), (
            self.expected
        )

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            assert self._stream is not None
            self._stream.close()
            self._connection.close()
            self._connection = None

    def ask(self) -> list[str]:
        """Ask everything and return a verdict for each question."""
        requests = self._requests()
        found: list[str] = []
        while len(found) < len(self.questions):
            if self.is_down:
                return [*found, *[CRASHED] * (len(self.questions) - len(found))]
            begun = len(found)
            try:
                connection = self._open()
                connection.sendall(b"".join(requests[begun:]))
                for number in range(begun, len(self.questions)):
                    verdict = self._judge(number, self._read(number))
                    found.append(verdict)
            except (OSError, ValueError):
                self.close()
                found.append(LOUD if self._is_up() else CRASHED)
        return found

    def _one(self, number: int) -> Answer | None:
        try:
            connection = self._open()
            connection.sendall(self._requests()[number])
            return self._read(number)
        except OSError:
            self.close()
            return None

    def _requests(self) -> list[bytes]:
        now = time.monotonic()
        if not self._signed or now - self._signed_at > _RESIGN_S:
            self._signed_at = now
            s3 = self._server.s3
            self._signed = [
                signed(s3, each.method, each.path, each.query, dict(each.headers)) for each in self.questions
            ]
        return self._signed

    def _open(self) -> socket.socket:
        if self._connection is None:
            self._connection = self._server.s3.connect()
            self._connection.settimeout(10)
            self._stream = self._connection.makefile("rb", 1 << 20)
        return self._connection

    def _read(self, number: int) -> Answer:
        question = self.questions[number]
        response = read_response(self._buffered(), question.method)
        self.answered += 1
        if response.is_closed:
            self.close()
        if question.is_write:
            return Answer(response.status, (), b"".join(re.findall(rb"<ETag>[^<]*</ETag>", response.body)))
        headers = tuple(sorted(pair for pair in response.headers.items() if pair[0] not in _PASSING))
        if response.status >= 400:
            return Answer(response.status, (), response.code.encode())
        return Answer(response.status, headers, _PASSING_TEXT.sub(b"", response.body))

    def _buffered(self) -> socket.socket:
        """Return what reads one answer of several that come together."""
        stream = self._stream
        assert stream is not None

        class Whole:
            """Gives `read_response` a line of the head at a time, and of the body what it lacks."""

            is_body = False
            left = 0

            def recv(self, _: int) -> bytes:
                if self.is_body:
                    data = stream.read1(min(self.left, 1 << 20)) if self.left else b""
                    self.left -= len(data)
                    return data
                line = stream.readline()
                if line.lower().startswith(b"content-length:"):
                    self.left = int(line.split(b":")[1])
                self.is_body = line == b"\r\n"
                return line

        return Whole()  # type: ignore[return-value]

    def _judge(self, number: int, answer: Answer) -> str:
        if answer == self.expected[number]:
            return RIGHT
        return LOUD if answer.status >= 500 else WRONG

    def _is_up(self) -> bool:
        """Tell whether the worker lives and answers. One that hangs is ended."""
        before = self._server.workers() if self._server.is_running else []
        limit = time.monotonic() + _PATIENCE_S
        while self._server.is_running and time.monotonic() < limit:
            try:
                if self._answers():
                    known, self._workers = self._workers or before, self._server.workers()
                    return self._workers == known
            except TimeoutError:
                for pid in self._server.workers():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            except OSError:
                time.sleep(0.02)
        self.is_down = True
        return False

    def _answers(self) -> bool:
        with self._server.s3.connect() as connection:
            connection.settimeout(5)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return bool(connection.recv(16))

    def revive(self) -> None:
        """Wait until the server answers again, now that the damage is gone; start it if it ended."""
        if not self.is_down:
            return
        self.close()
        limit = time.monotonic() + _RESTART_S
        while time.monotonic() < limit:
            if not self._server.is_running:
                self._server.start()
            try:
                if self._answers():
                    self.is_down, self._workers = False, self._server.workers()
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("the server does not come back")
