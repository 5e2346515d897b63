"""Servers broken for the checks of XML, times and ETags."""

from __future__ import annotations

from collections.abc import Callable

from anys3.protocol import xml
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from tests.broken_servers import (
    Breakage,
    Proceed,
    accepting,
    answering,
    body_of,
    breaks,
    code_of,
    error_answer,
    header_of,
    hooked,
    patched,
    replace_in_body,
    saying,
    set_header,
    when,
)

NAMESPACE = b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
parse = xml.parse

# --- requests --------------------------------------------------------------------------------------------

breaks(
    "HTTP-17/declarations-refused",
    patched("entities are expanded", "anys3.protocol.xml._Builder._refuse", lambda *_: None),
)
breaks("HTTP-17/declarations-refused", saying("InvalidRequest", instead_of="MalformedXML"))


def understanding(sentence: str, is_understood: Callable[[bytes], bool]) -> Breakage:
    """A parser of documents that has never seen some of them."""

    def picky(body: bytes, root: str | None = None) -> xml.Node:
        if is_understood(body):
            return parse(body, root)
        raise S3Error("MalformedXML")

    return patched(sentence, "anys3.protocol.xml.parse", picky)


DRESS = "HTTP-18/documents-in-any-dress"
breaks(DRESS, understanding("the namespace is needed", lambda body: b"xmlns" in body))
breaks(DRESS, understanding("a namespace is not known", lambda body: b"xmlns" not in body))
breaks(DRESS, understanding("prefixes are not known", lambda body: b"xmlns:" not in body))
breaks(DRESS, understanding("no white space", lambda body: b"\t" not in body))
breaks(DRESS, understanding("a declaration is not known", lambda body: b"<?xml" not in body))
breaks(DRESS, understanding("a byte order mark is not known", lambda body: body[:1] != b"\xef"))
breaks(
    DRESS,
    answering(
        "elements with a prefix are not found",
        lambda request, answer: (
            replace_in_body(answer, "Deleted>", "Nothing>") if when(request, "POST", "delete") else None
        ),
    ),
)


async def one_mib(request: Request, proceed: Proceed) -> Answer:
    is_long = int(request.headers.get(b"content-length", b"0")) > 1 << 20
    return error_answer("MaxMessageLengthExceeded") if is_long else await proceed(request)


breaks("HTTP-22/document-of-2-mib", hooked("1 MiB for documents", one_mib))

# --- answers ---------------------------------------------------------------------------------------------

SUCCESS = "HTTP-19/answers-in-namespace"
ERRORS = "HTTP-19/errors-without-namespace"
breaks(
    (SUCCESS, ERRORS),
    answering(
        "documents are text/plain",
        lambda _, answer: (
            set_header(answer, "Content-Type", "text/plain")
            if header_of(answer, "content-type") == "application/xml"
            else None
        ),
    ),
)
breaks(
    (SUCCESS, ERRORS),
    answering(
        "characters are in ISO 8859-1",
        lambda _, answer: (
            replace_in_body(answer, b"</", b"\xe9</")
            if header_of(answer, "content-type") == "application/xml"
            else None
        ),
    ),
)
breaks(SUCCESS, answering("no namespace", lambda _, answer: replace_in_body(answer, NAMESPACE, b"")))
breaks(
    ERRORS,
    answering(
        "errors have a namespace",
        lambda _, answer: replace_in_body(answer, b"<Error>", b"<Error%b>" % NAMESPACE),
    ),
)
breaks(
    (ERRORS,),
    answering(
        "what an error quotes is not escaped",
        lambda _, answer: (
            replace_in_body(answer, b"</Error>", b"<Key>a & <b></Key></Error>") if code_of(answer) else None
        ),
    ),
)
TIMES = "HTTP-20/times-name-one-instant"
breaks(
    TIMES,
    answering(
        "no milliseconds in XML",
        lambda request, answer: (
            Answer(answer.status, answer.headers, without_milliseconds(body_of(answer)))
            if when(request, "GET", "prefix")
            else None
        ),
    ),
)
breaks(
    TIMES,
    answering(
        "another time in HEAD",
        lambda request, answer: (
            set_header(answer, "Last-Modified", "Mon, 01 Jan 2001 00:00:00 GMT")
            if when(request, "HEAD") and answer.status == 200
            else None
        ),
    ),
)
breaks(
    TIMES,
    answering(
        "Last-Modified in the form of XML",
        lambda request, answer: (
            set_header(answer, "Last-Modified", "2001-01-01T00:00:00.000Z") if when(request, "HEAD") else None
        ),
    ),
)


def without_milliseconds(body: bytes) -> bytes:
    before, mark, after = body.partition(b"</LastModified>")
    return before.rpartition(b".")[0] + b"Z" + mark + after if mark else body


def bare(request: Request, answer: Answer) -> Answer | None:
    etag = header_of(answer, "etag")
    return set_header(answer, "ETag", etag.strip('"')) if etag else None


def weak(request: Request, answer: Answer) -> Answer | None:
    etag = header_of(answer, "etag")
    return set_header(answer, "ETag", f"W/{etag}") if etag else None


ETAGS = "HTTP-21/etags-are-strong"
breaks(ETAGS, answering("ETags without quotes", bare))
breaks(ETAGS, answering("weak ETags", weak))
breaks(
    ETAGS,
    answering(
        "ETags without quotes in XML",
        lambda request, answer: (
            replace_in_body(replace_in_body(answer, b"<ETag>&quot;", b"<ETag>"), b"&quot;</ETag>", b"</ETag>")
            if when(request, "GET", "prefix")
            else None
        ),
    ),
)
breaks("HTTP-17/declarations-refused", accepting("MalformedXML"))
