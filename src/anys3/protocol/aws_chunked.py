"""Decode aws-chunked bodies, signed or not, however the bytes happen to be cut (PAY-05 to PAY-08).

Each chunk is a line with its size in hexadecimal (and its signature), its bytes, and CRLF; a chunk of size
zero, perhaps trailer lines, and an empty line end the body.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256

from anys3.protocol.sigv4 import Seal
from anys3.spec.errors import S3Error

MAX_LINE = 256
"""Longest line that starts a chunk or belongs to the trailer, in bytes, without its LF."""
MAX_TRAILER = 4096
"""Most bytes of the trailer."""
MIN_SIGNED_CHUNK = 8192
"""Fewest bytes of a signed chunk that is not the last (PAY-16)."""

_HEAD = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?(?:;[!-~]*)?")
_HEADER, _DATA, _AFTER_DATA, _TRAILER, _END = range(5)


class Decoder:
    """Decodes one body. The pieces that `feed` returns are slices of what it was fed.

    Nothing that was returned may be believed before `finish` has returned.
    """

    __slots__ = (
        "_announced",
        "_chunk_hash",
        "_chunk_left",
        "_chunk_signature",
        "_chunk_size",
        "_decoded_left",
        "_held",
        "_seal",
        "_state",
        "_trailer_bytes",
        "_trailer_signature",
        "trailer",
    )

    def __init__(self, seal: Seal | None, announced: bytes | None, decoded_length: int) -> None:
        """Expect chunk signatures of `seal` if there is one, and the trailer that x-amz-trailer announced."""
        self._seal = seal
        self._announced = announced
        self._decoded_left = decoded_length
        self._state = _HEADER
        self._held = b""
        self._chunk_size = self._chunk_left = 0
        self._chunk_signature = b""
        self._chunk_hash = sha256()
        self._trailer_bytes = 0
        self._trailer_signature: bytes | None = None
        self.trailer: bytes | None = None
        """The value of the announced trailer, once it was read."""

    def feed(self, data: bytes | memoryview) -> list[memoryview]:
        """Return the payload among the next bytes of the body, as slices of them.

        Raises S3Error:
            IncompleteBody: a line that starts no chunk, a missing CRLF, more or fewer bytes than
                x-amz-decoded-content-length, or bytes after the end (PAY-08).
            SignatureDoesNotMatch: a chunk's signature is missing or wrong (PAY-06).
            InvalidChunkSizeError: a signed chunk under 8 KiB that is not the last (PAY-16).
            MalformedTrailerError: a trailer that was not announced (PAY-11).
        """
        view = memoryview(data)
        pieces: list[memoryview] = []
        position, end = 0, len(view)
        while position < end:
            if self._state == _DATA:
                piece = view[position : position + self._chunk_left]
                position += len(piece)
                self._take(piece)
                pieces.append(piece)
            elif self._state == _END:
                raise _incomplete("bytes follow the end of the body")
            else:
                position = self._read_line(view, position)
        return pieces

    def finish(self) -> None:
        """Make sure that the body was complete.

        Raises S3Error:
            IncompleteBody: it ends early (PAY-08).
            MalformedTrailerError: the announced trailer is not there (PAY-11).
            SignatureDoesNotMatch: the trailer's signature is missing or wrong (PAY-07).
        """
        if self._state not in (_TRAILER, _END) or self._held:
            raise _incomplete("it ends early")
        if self._announced is not None and self.trailer is None:
            raise S3Error(
                "MalformedTrailerError", f"The trailer {self._announced.decode('latin-1')} is missing."
            )
        if self._state != _END:
            if self._needs_signature():
                raise _wrong_signature("the trailer has no signature")
            raise _incomplete("it ends early")

    def _take(self, piece: memoryview) -> None:
        if self._seal is not None:
            self._chunk_hash.update(piece)
        self._chunk_left -= len(piece)
        if not self._chunk_left:
            if self._seal is not None:
                self._check_signature(self._seal)
            self._state = _AFTER_DATA

    def _check_signature(self, seal: Seal) -> None:
        expected = seal.chunk(self._chunk_hash.hexdigest())
        if not hmac.compare_digest(expected, self._chunk_signature):
            raise _wrong_signature("the signature of a chunk is wrong")

    def _read_line(self, view: memoryview, position: int) -> int:
        """Take a line, or as much of it as there is; return where to go on."""
        window = bytes(view[position : position + MAX_LINE])
        index = window.find(b"\n")
        if index < 0:
            self._held += window
            if len(self._held) > MAX_LINE:
                raise _incomplete("a line is too long")
            return position + len(window)
        line = self._held + window[:index]
        self._held = b""
        if len(line) > MAX_LINE:  # as above: what is refused in pieces is refused as a whole
            raise _incomplete("a line is too long")
        if self._state == _TRAILER:
            self._read_trailer(line)
        elif not line.endswith(b"\r"):
            raise _incomplete("a line does not end in CRLF")
        elif self._state == _HEADER:
            self._start_chunk(line[:-1])
        elif line == b"\r":
            self._state = _HEADER
        else:
            raise _incomplete("a chunk is longer than its size")
        return position + index + 1

    def _start_chunk(self, line: bytes) -> None:
        match = _HEAD.fullmatch(line)
        if match is None:
            raise _incomplete("a chunk does not start with its size")
        size = int(match[1], 16)
        if self._seal is not None:
            if match[2] is None:
                raise _wrong_signature("a chunk has no signature")
            self._chunk_signature = match[2]
            self._chunk_hash = sha256()
        if size:
            if self._seal is not None and 0 < self._chunk_size < MIN_SIGNED_CHUNK:
                raise S3Error("InvalidChunkSizeError", BadChunkSizeInBytes=str(self._chunk_size))
            if size > self._decoded_left:
                raise _incomplete("there are more bytes than x-amz-decoded-content-length says")
            self._chunk_size = self._chunk_left = size
            self._decoded_left -= size
            self._state = _DATA
            return
        if self._decoded_left:
            raise _incomplete("there are fewer bytes than x-amz-decoded-content-length says")
        if self._seal is not None:
            self._check_signature(self._seal)
        self._state = _TRAILER

    def _needs_signature(self) -> bool:
        return self._announced is not None and self._seal is not None and self._trailer_signature is None

    def _read_trailer(self, line: bytes) -> None:
        """Take a line of the trailer, however it is written: LF or CRLF, any case, any space (PAY-18)."""
        self._trailer_bytes += len(line) + 1
        if self._trailer_bytes > MAX_TRAILER:
            raise S3Error("MalformedTrailerError", "The trailer is too long.")
        name, colon, value = line.partition(b":")
        name, value = name.strip().lower(), value.strip()
        if not name and not colon:
            is_done = self._announced is None or self.trailer is not None
            if is_done and not self._needs_signature():
                self._state = _END
        elif colon and name == self._announced and self.trailer is None:
            self.trailer = value
        elif colon and name == b"x-amz-trailer-signature" and self._seal and self.trailer is not None:
            self._check_trailer_signature(self._seal, value)
        else:
            raise S3Error("MalformedTrailerError")

    def _check_trailer_signature(self, seal: Seal, signature: bytes) -> None:
        if self._trailer_signature is not None:
            raise S3Error("MalformedTrailerError", "The trailer has two signatures.")
        self._trailer_signature = signature
        assert self._announced is not None
        assert self.trailer is not None
        expected = seal.trailer(b"%b:%b\n" % (self._announced, self.trailer))
        if not hmac.compare_digest(expected, signature):
            raise _wrong_signature("the signature of the trailer is wrong")


def _incomplete(reason: str) -> S3Error:
    return S3Error("IncompleteBody", f"The aws-chunked body is malformed: {reason}.")


def _wrong_signature(reason: str) -> S3Error:
    return S3Error("SignatureDoesNotMatch", f"The request signature does not match: {reason}.")
