"""Clients that stall, vanish or say half of it, at every phase of a request and of its answer."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.processes import ServerProcess, signed
from tests.rawclient import RawClient, read_response, render
from tests.torture.faults.ground import HUGE, SMALL, Ground, body
from tests.torture.faults.matrix import descriptors, left_behind

PATIENCE_S = 30.0
ANSWER = 8_000_000
"""More than a socket's buffers hold: whoever does not read it keeps the server waiting."""
_CHUNK = 65_536
_UNSIGNED = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
"""So that nothing but its length tells a body that was cut short."""
_SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


@dataclass(frozen=True, slots=True)
class Phase:
    """How far a client gets, and what it is told if it then waits, or ends its side."""

    name: str
    sent: Callable[[RawClient, str], bytes]
    if_stalled: tuple[int, str] = (400, "RequestTimeout")
    if_half_closed: tuple[int, str] | None = (400, "IncompleteBody")
    """None: nothing, the connection is closed."""
    may_be_stored: bool = False


def _cut(
    size: int, at: int | None, headers: dict[str, str] | None = None
) -> Callable[[RawClient, str], bytes]:
    """Send a PUT up to `at` bytes of its body (None: all of them)."""

    def sent(s3: RawClient, path: str) -> bytes:
        whole = signed(s3, "PUT", path, headers={**_UNSIGNED, **(headers or {})}, body=body(size, path))
        return whole if at is None else whole[: len(whole) - size + at]

    return sent


def _head(share: float) -> Callable[[RawClient, str], bytes]:
    def sent(s3: RawClient, path: str) -> bytes:
        whole = signed(s3, "PUT", path, body=b"x")[:-5]
        return whole[: int(len(whole) * share)]

    return sent


def _chunks(size: int, at: float) -> Callable[[RawClient, str], bytes]:
    """Send an aws-chunked PUT up to the end of the chunk that lies there."""

    def sent(s3: RawClient, path: str) -> bytes:
        content = body(size, path)
        pieces = [content[start : start + _CHUNK] for start in range(0, size, _CHUNK)]
        lines = {
            "host": s3.host,
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": str(size),
        }
        lines = s3.sign("PUT", path, "", lines, b"", _SIGNED_CHUNKS)
        wire = s3.chunked(pieces, lines, mode=_SIGNED_CHUNKS, trailer=None)
        lines["content-length"] = str(len(wire))
        chunk = len(wire) // (size // _CHUNK + 1)
        end = wire.find(b"chunk-signature", int(len(wire) * at) // chunk * chunk)
        return render("PUT", path, lines) + wire[: wire.rfind(b"\r\n", 0, end)]

    return sent


def _completion(s3: RawClient, path: str) -> bytes:
    whole = signed(s3, "POST", path, [("uploadId", "x")], body=b"<CompleteMultipartUpload>" * 20)
    return whole[:-200]


PHASES = (
    Phase("in the request line", lambda s3, path: b"PUT " + path.encode()[:6], if_half_closed=None),
    Phase("in the headers", _head(0.6), if_half_closed=None),
    Phase("before a small body", _cut(SMALL, 0)),
    Phase("in a small body", _cut(SMALL, SMALL // 2)),
    Phase("before a large body", _cut(HUGE, 0)),
    Phase("in a large body", _cut(HUGE, HUGE * 3 // 4)),
    Phase("before a large body's last byte", _cut(HUGE, HUGE - 1)),
    Phase("between small chunks", _chunks(SMALL * 80, 0.5)),
    Phase("between large chunks", _chunks(HUGE * 2, 0.5)),
    Phase("while it is told to continue", _cut(SMALL, 0, {"expect": "100-continue"})),
    Phase("in the document of a completion", _completion),
    Phase("before the answer", _cut(SMALL, None), (200, ""), (200, ""), may_be_stored=True),
    Phase("before the answer to a large body", _cut(HUGE, None), (200, ""), (200, ""), may_be_stored=True),
)


class Clients:
    """One server that clients are bad to, while others use it."""

    def __init__(self, server: ServerProcess, patience_s: float = PATIENCE_S) -> None:
        self.server = server
        self._patience_s = patience_s
        self.s3 = server.s3
        self.tried = 0
        self.violations: list[str] = []
        self.s3.request("PUT", "/clients")
        self.s3.request("PUT", "/clients/answer", body=body(ANSWER, "answer"))
        self._make_parts()
        self._see_others()
        self.baseline = descriptors(server)

    def _make_parts(self) -> None:
        """Make an object of a part: whoever reads it keeps it by a pin."""
        ground = Ground(self.s3, "clients")
        upload_id, etag = ground.begin("parts", ANSWER)
        ground.complete("parts", upload_id, etag)

    def run(self) -> None:
        """Let clients stall, vanish and half-close at each phase, all at once for each way."""
        for way in (self._stall, self._half_close, self._vanish, self._reset):
            open_ = [
                (phase, f"/clients/{self.tried + at}", self.s3.connect()) for at, phase in enumerate(PHASES)
            ]
            for phase, path, connection in open_:
                connection.sendall(phase.sent(self.s3, path))
            self._see_others()
            for phase, path, connection in open_:
                with connection:
                    told = way(phase, connection)
                self._see_object(phase, way.__name__, path, told)
            self.tried += len(PHASES)
        self._readers()
        self.see_what_is_left()

    def _stall(self, phase: Phase, connection: socket.socket) -> tuple[int, str] | None:
        return self._expect(f"stalled {phase.name}", connection, phase.if_stalled)

    def _half_close(self, phase: Phase, connection: socket.socket) -> tuple[int, str] | None:
        connection.shutdown(socket.SHUT_WR)
        return self._expect(f"half-closed {phase.name}", connection, phase.if_half_closed)

    def _vanish(self, _: Phase, connection: socket.socket) -> None:
        connection.close()

    def _reset(self, _: Phase, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def _expect(
        self, name: str, connection: socket.socket, expected: tuple[int, str] | None
    ) -> tuple[int, str] | None:
        connection.settimeout(self._patience_s)
        try:
            told: tuple[int, str] | None = read_response(connection, "PUT").verdict
        except ConnectionError:
            told = None
        except TimeoutError:
            told = (0, "nothing within the harness's patience")
        if told != expected:
            self.violations.append(f"a client {name} was told {told}, not {expected}")
        return told

    def _see_object(self, phase: Phase, way: str, path: str, told: tuple[int, str] | None) -> None:
        """What was not sent whole is not there; what was is there whole, or not."""
        found = self.s3.request("GET", path)
        whole = body(len(found.body), path)
        is_right = found.status == 404
        if phase.may_be_stored:
            is_right = (found.status == 200 and found.body == whole) or (is_right and told != (200, ""))
        if not is_right:
            self.violations.append(f"{way} {phase.name}: {path} is {found.status}, {len(found.body)} bytes")

    def _readers(self) -> None:
        """Clients that ask for a large answer and take none of it, a little, or go."""
        for key in ("answer", "parts"):
            asked = signed(self.s3, "GET", f"/clients/{key}")
            stalled, gone, slow = (self.s3.connect() for _ in range(3))
            self.tried += 3
            for connection in (stalled, gone, slow):
                connection.sendall(asked)
            gone.recv(65_536)
            gone.close()
            self._see_others()
            with slow:
                got = _read_slowly(slow)
            if got[-1000:] != body(ANSWER, key)[-1000:]:
                self.violations.append(f"a slow reader of {key} got {len(got)} bytes")
            with stalled:
                stalled.settimeout(self._patience_s)
                time.sleep(2.5)  # longer than the server waits for a byte to be taken
                if not _ends_early(stalled):
                    self.violations.append(f"a reader of {key} that took nothing was waited for")

    def _see_others(self) -> None:
        """Others are served meanwhile."""
        path = f"/clients/other{self.tried}"
        put = self.s3.request("PUT", path, body=body(SMALL, path))
        got = self.s3.request("GET", path)
        if (put.status, got.body) != (200, body(SMALL, path)):
            self.violations.append(f"another client was answered {put.status} and {got.status}")

    def see_what_is_left(self) -> None:
        """Descriptors, incoming files, pins and connections are given back."""
        limit = time.monotonic() + self._patience_s
        while (
            left_behind(self.server.directory)
            or pins(self.server.directory)
            or descriptors(self.server) > self.baseline
        ):
            if time.monotonic() > limit:
                left = left_behind(self.server.directory) + pins(self.server.directory)
                self.violations.append(
                    f"left behind: {left}, {descriptors(self.server)} descriptors for {self.baseline}"
                )
                return
            time.sleep(0.05)


def _read_slowly(connection: socket.socket) -> bytes:
    data = b""
    while True:
        piece = connection.recv(400_000)
        if not piece:
            return data
        data += piece
        if len(data) > ANSWER and data.partition(b"\r\n\r\n")[2][ANSWER - 1 :]:
            return data
        time.sleep(0.02)


def _ends_early(connection: socket.socket) -> bool:
    got = 0
    try:
        while piece := connection.recv(1 << 20):
            got += len(piece)
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return got < ANSWER


def pins(directory: Path) -> list[str]:
    """Return what readers keep, as the control file has it: a number for each process of the store."""
    numbers = struct.iter_unpack("=Q", (directory / "control").read_bytes()[64:4096])
    return [f"pin of {slot} at {number}" for slot, (number,) in enumerate(numbers) if number]


def memory_kib(server: ServerProcess) -> int:
    """Return the anonymous memory of the process that was started."""
    return server.memory_kib("RssAnon")
