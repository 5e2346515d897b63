"""PostObject: a browser's form upload, allowed by a signed policy (POST-01 to POST-13)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

from anys3.operations.call import DEFAULT_CHECKSUM, MAX_SINGLE_BYTES, Call
from anys3.operations.publishing import publish, received_entry
from anys3.operations.receiving import Incoming, write_pieces
from anys3.protocol import metadata, names, payload, tagging, xml
from anys3.protocol.http import Answer
from anys3.protocol.xml import escape, escape_key
from anys3.spec.errors import S3Error
from anys3.wire.encoding import DECLARATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from anys3.operations.call import PostForm
    from anys3.wire.shapes import PostObjectInput


async def post_object(call: Call, want: PostObjectInput) -> Answer:
    """Store the file of the form; its policy was verified and its conditions hold already.

    Raises S3Error EntityTooLarge and EntityTooSmall (POST-08), and what the payload is guilty of.
    """
    del want
    form = call.form
    assert form is not None
    names.check_key(call.key)
    fields = {name.encode(): value.encode() for name, value in form.fields.items()}
    stored = metadata.stored_lines(fields, metadata.of_headers(fields))
    tags: tuple[tuple[str, str], ...] = ()
    if "tagging" in form.fields:
        tags = tagging.parse_document(xml.parse(form.fields["tagging"].encode(), root="Tagging"))
    incoming = await _receive(call, form)
    try:
        received = incoming.received
        _check_length(form, received.size)
        entry = received_entry(call, received, stored, tags)
    except BaseException:
        incoming.discard()
        raise
    await publish(call, entry, incoming)
    return _answer(call, form, received.md5_hex)


async def _receive(call: Call, form: PostForm) -> Incoming:
    """Receive the file, through the form's decoder."""
    pipeline = payload.Payload(call.plan, algorithm=DEFAULT_CHECKSUM)
    limit = MAX_SINGLE_BYTES if form.length_range is None else min(form.length_range[1], MAX_SINGLE_BYTES)
    size = 0
    held: list[bytes] = []

    async def pump(write: Callable[[memoryview], None]) -> None:
        def take(pieces: list[memoryview]) -> None:
            nonlocal size
            for piece in pieces:
                size += len(piece)
                if size > limit:
                    raise S3Error("EntityTooLarge", MaxSizeAllowed=str(limit), ProposedSize=str(size))
                for decoded in pipeline.feed(piece):
                    write(decoded)

        take([memoryview(form.file_head)] if form.file_head else [])
        await call.request.body.pump(lambda data: take(form.decoder.feed(data)))
        form.decoder.finish()

    if call.request.body.buffered is not None and len(call.request.body.buffered) <= call.store.inline_max:

        def hold(piece: memoryview) -> None:
            held.append(bytes(piece))

        await pump(hold)
        return Incoming(b"".join(held), pipeline.finish())
    content, writer = await write_pieces(call, None, pump)
    try:
        return Incoming(content, pipeline.finish(), writer.discard)
    except BaseException:
        writer.discard()
        raise


def _check_length(form: PostForm, size: int) -> None:
    if form.length_range is not None and size < form.length_range[0]:
        raise S3Error("EntityTooSmall", MinSizeAllowed=str(form.length_range[0]), ProposedSize=str(size))


def _answer(call: Call, form: PostForm, etag: str) -> Answer:
    """Answer as the form asks: redirect, 200, 201 with a document, or 204 (POST-02)."""
    key = quote(call.key, safe="-_.~/")
    scheme = "https" if call.request.is_secure else "http"
    host = call.request.headers.get(b"host", b"").decode("latin-1")
    path = key if call.target.is_virtual_host else f"{call.bucket.name}/{key}"
    location = f"{scheme}://{host}/{path}"
    headers = f'ETag: "{etag}"\r\n'
    redirect = _redirect(
        call, form.fields.get("success_action_redirect") or form.fields.get("redirect"), etag
    )
    if redirect is not None:
        return Answer(303, f"{headers}Location: {redirect}\r\n".encode("latin-1"))
    headers += f"Location: {location}\r\n"
    status = form.fields.get("success_action_status", "")
    if status == "201":
        document = (
            f"{DECLARATION.decode()}<PostResponse><Location>{escape(location)}</Location>"
            f"<Bucket>{escape(call.bucket.name)}</Bucket><Key>{escape_key(call.key).decode()}</Key>"
            f"<ETag>&quot;{etag}&quot;</ETag></PostResponse>"
        )
        return Answer(201, f"{headers}Content-Type: application/xml\r\n".encode(), document.encode())
    return Answer(200 if status == "200" else 204, headers.encode())


def _redirect(call: Call, url: str | None, etag: str) -> str | None:
    """Return where to send the browser, or None if the URL is not one."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if (
        parts.scheme not in ("http", "https")
        or not parts.netloc
        or not url.isascii()
        or not url.isprintable()
    ):
        return None
    added = (
        f"bucket={quote(call.bucket.name, safe='')}&key={quote(call.key, safe='')}"
        f"&etag={quote(chr(34) + etag + chr(34), safe='')}"
    )
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit(parts._replace(query=query)).replace(" ", "%20")
