"""Answers as bytes: XML documents in S3's namespace, and errors as S3 tells them."""

from __future__ import annotations

from anys3.protocol.http import Answer, Request
from anys3.protocol.xml import escape
from anys3.spec.catalogue import Operation
from anys3.spec.errors import S3Error

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_XML = b"Content-Type: application/xml\r\n"
_BODILESS = frozenset({204, 304})
_LATER = b"Retry-After: 1\r\n"
"""With each 503, in seconds: clients back off by themselves, and others learn that it is worth another try."""


def xml_answer(status: int, root: str, body: str | bytes, headers: bytes = b"") -> Answer:
    """Return an answer with a document: `root` in S3's namespace, `body` in it, already escaped (HTTP-19).

    >>> xml_answer(200, "LocationConstraint", "eu").body.decode().splitlines()[1]
    '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu</LocationConstraint>'
    """
    inner = body.encode() if isinstance(body, str) else body
    name = root.encode()
    document = b'%b<%b xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%b</%b>' % (
        DECLARATION,
        name,
        inner,
        name,
    )
    return Answer(status, _XML + headers, document)


def encode(operation: Operation, output: Answer | None) -> Answer:
    """Return a handler's answer as it is; None becomes the operation's success status without a body."""
    if output is None:
        return Answer(operation.status)
    return output


def encode_error(error: S3Error, request: Request) -> Answer:
    """Return the answer that tells an error: an `<Error>` document without namespace (ERR-01, HTTP-19).

    Answers to HEAD, and 304, have no body (HTTP-04); 503 asks to try again later (HTTP-23). Details become
    elements, in the order given. What XML can't carry becomes U+FFFD. `error.log` stays here.
    """
    headers = error.headers + _LATER if error.status == 503 else error.headers
    if request.method == b"HEAD" or error.status in _BODILESS:
        return Answer(error.status, headers, must_close=error.must_close)
    details = "".join(
        f"<{name}>{escape(value)}</{name}>" for name, value in error.details.items() if name != "RequestId"
    )
    document = (
        f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
        f"{details}<RequestId>{escape(request.id)}</RequestId></Error>"
    )
    return Answer(
        error.status,
        _XML + headers,
        DECLARATION + document.encode(),
        must_close=error.must_close,
    )
