"""Take a request's payload into the store: decoded, hashed, judged, and durable before it is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anys3.operations.call import MAX_SINGLE_BYTES, Call, in_thread
from anys3.protocol import payload
from anys3.protocol.payload import Received
from anys3.spec.errors import S3Error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from anys3.model import ChecksumAlgorithm
    from anys3.store.interface import ContentWriter, Opened


@dataclass(slots=True)
class Incoming:
    """A content that no commit has named yet, and what was found out about its bytes."""

    content: object
    received: Received
    forget: Callable[[], None] | None = None
    """What takes the content back, if anything must."""

    def discard(self) -> None:
        """Forget the bytes; does nothing once a commit has named them."""
        if self.forget is not None:
            self.forget()


async def receive(call: Call, algorithm: ChecksumAlgorithm | None) -> Incoming:
    """Return the payload of PutObject or UploadPart as a content.

    `algorithm` is computed where the client sent no checksum. Nothing stays behind on failure (ERR-08).
    Raises S3Error MissingContentLength (HTTP-06), EntityTooLarge (PUT-05) and what the payload is guilty of.
    """
    request, plan = call.request, call.plan
    headers = request.headers
    if b"content-length" not in headers and b"transfer-encoding" not in headers:
        raise S3Error("MissingContentLength")
    length = plan.decoded_length if plan.decoded_length is not None else request.body.length
    if length is not None and length > MAX_SINGLE_BYTES:
        raise S3Error("EntityTooLarge", MaxSizeAllowed=str(MAX_SINGLE_BYTES), ProposedSize=str(length))
    buffered = request.body.buffered
    if buffered is None:
        return await _stream(call, length, algorithm)
    if len(buffered) <= call.store.inline_max:
        return Incoming(*payload.whole(plan, buffered, algorithm))
    # Hashing takes more than a millisecond for each MiB: not while small requests wait for the loop.
    return await in_thread(lambda: _take(call, buffered, algorithm))


def _take(call: Call, body: bytes, algorithm: ChecksumAlgorithm | None) -> Incoming:
    """Return a body in memory as a content, in the calling thread."""
    data, received = payload.whole(call.plan, body, algorithm)
    if len(data) <= call.store.inline_max:
        return Incoming(data, received)
    writer = call.store.writer(len(data))
    return Incoming(_write(writer, (data,)), received, writer.discard)


async def _stream(call: Call, length: int | None, algorithm: ChecksumAlgorithm | None) -> Incoming:
    """Receive a large body, piece by piece, through a worker thread."""
    pipeline = payload.Payload(call.plan, algorithm=algorithm)
    writer = call.store.writer(length)
    size = 0

    def consume(data: memoryview) -> None:
        nonlocal size
        for piece in pipeline.feed(data):
            size += len(piece)
            if size > MAX_SINGLE_BYTES:
                raise S3Error("EntityTooLarge", MaxSizeAllowed=str(MAX_SINGLE_BYTES))
            writer.write(piece)

    try:
        await call.request.body.pump(consume)
        received = pipeline.finish()
        return Incoming(await in_thread(writer.finish), received, writer.discard)
    except BaseException:
        writer.discard()
        raise


async def write_pieces(
    call: Call, length: int | None, pump: Callable[[Callable[[memoryview], None]], object]
) -> tuple[object, ContentWriter]:
    """Write what `pump` delivers as one content. The caller discards the writer if it does not commit."""
    writer = call.store.writer(length)
    try:
        await pump(writer.write)  # type: ignore[misc]
        return await in_thread(writer.finish), writer
    except BaseException:
        writer.discard()
        raise


def _write(writer: ContentWriter, pieces: Iterable[bytes | memoryview]) -> object:
    try:
        for piece in pieces:
            writer.write(piece)
        return writer.finish()
    except BaseException:
        writer.discard()
        raise


async def duplicate(
    call: Call, opened: Opened, start: int, length: int, algorithm: ChecksumAlgorithm | None
) -> Incoming:
    """Return a slice of an opened object as a content of its own, read and hashed anew (COPY-10, CK-10).

    The source is verified block by block while it is read. Closes `opened`.
    """
    pipeline = payload.Payload(payload.PLAIN, algorithm=algorithm)
    if opened.inline is not None:
        data = opened.inline[start : start + length]
        pipeline.feed(data)
        return Incoming(data, pipeline.finish())
    source = opened.source
    assert source is not None
    content = source.slice(start, length)

    def pieces() -> Iterator[memoryview]:
        for block in content.blocks():
            pipeline.feed(block)
            yield block

    try:
        if length <= call.store.inline_max:
            data = await in_thread(lambda: b"".join(bytes(piece) for piece in pieces()))
            return Incoming(data, pipeline.finish())
        writer = call.store.writer(length)
        written = await in_thread(lambda: _write(writer, pieces()))
        return Incoming(written, pipeline.finish(), writer.discard)
    finally:
        content.close()
