"""Servers broken for the checks of GetObject and HeadObject."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import replace

from anys3.protocol.http import Answer, Request
from tests.broken_servers import (
    Breakage,
    Proceed,
    accepting,
    answering,
    body_of,
    breaks,
    error_answer,
    header_of,
    hooked,
    ignoring,
    patched,
    replace_in_body,
    saying,
    set_header,
    when,
    without_header,
)


def of_objects(method: str, change: Callable[[Answer], Answer]) -> Callable[[Request, Answer], Answer | None]:
    """Return what changes the successful answers to a method on objects."""

    def changed(request: Request, answer: Answer) -> Answer | None:
        is_object = request.path.count(b"/") > 1
        return change(answer) if is_object and when(request, method) and answer.status in (200, 206) else None

    return changed


def reading(sentence: str, change: Callable[[Answer], Answer], *, method: str = "GET") -> Breakage:
    """Changes the successful answers to a method on objects."""
    return answering(sentence, of_objects(method, change))


def refusing(header: str, *, method: str) -> Breakage:
    """Answers 501 to a header."""

    def change(request: Request, _: Answer) -> Answer | None:
        return Answer(501) if when(request, method, header=header) else None

    return answering(f"{method} refuses {header}", change)


def cut(answer: Answer, count: int) -> Answer:
    """Return the answer without the last bytes of its body."""
    return replace(answer, body=body_of(answer)[:-count], length=None)


# --- GET-01 to GET-03: the whole object --------------------------------------------------------------------

for _name in ("ETag", "Last-Modified", "Content-Type", "Cache-Control", "Content-Disposition", "Expires"):
    breaks("GET-01/success", without_header(_name, method="GET"))
breaks("GET-01/success", ignoring("x-amz-meta-colour"))
breaks("GET-01/success", reading("the last byte is lost", lambda answer: cut(answer, 1)))
breaks(
    "GET-01/success",
    reading(
        "a date of another format",
        lambda answer: set_header(answer, "Last-Modified", "2026-01-01T00:00:00.000Z"),
    ),
)
breaks(
    "GET-01/success",
    reading("another ETag than the PUT's", lambda answer: set_header(answer, "ETag", '"0"')),
)
breaks("GET-02/accept-ranges", without_header("Accept-Ranges"))
breaks(
    "GET-02/accept-ranges",
    reading("ranges are said to be none", lambda answer: set_header(answer, "Accept-Ranges", "none")),
)


def compress(request: Request, answer: Answer) -> Answer | None:
    """Compress as a proxy does for a client that accepts it."""
    if not when(request, "GET", header="accept-encoding") or header_of(answer, "content-encoding"):
        return None
    if b"gzip" not in request.headers[b"accept-encoding"] or answer.status != 200:
        return None
    packed = replace(answer, body=gzip.compress(body_of(answer)), length=None)
    return set_header(packed, "Content-Encoding", "gzip")


def decompress(request: Request, answer: Answer) -> Answer | None:
    """Decompress for a client that does not say that it accepts the coding."""
    accepted = request.headers.get(b"accept-encoding", b"")
    if not when(request, "GET") or b"gzip" in accepted or header_of(answer, "content-encoding") != "gzip":
        return None
    return replace(answer, body=gzip.decompress(body_of(answer)), length=None)


breaks("GET-03/no-compression", answering("answers are compressed", compress))
breaks("GET-03/no-decompression", answering("answers are decompressed", decompress))

# --- GET-04 to GET-07: what a read may ask for -------------------------------------------------------------

breaks(("GET-04/range-is-honoured", "RNG-02/open-or-clipped-end", "RNG-03/last-bytes"), ignoring("range"))
breaks(
    ("GET-04/range-is-honoured", "RNG-02/open-or-clipped-end", "RNG-03/last-bytes"),
    reading("206 becomes 200", lambda answer: replace(answer, status=200)),
)
breaks(
    ("GET-04/range-is-honoured", "RNG-02/open-or-clipped-end", "RNG-03/last-bytes"),
    reading(
        "the last byte of a range is lost", lambda answer: cut(answer, 1) if answer.status == 206 else answer
    ),
)
breaks(
    ("GET-04/range-is-honoured", "RNG-02/open-or-clipped-end", "RNG-03/last-bytes"),
    without_header("Content-Range"),
)
breaks(
    ("GET-04/range-is-honoured", "RNG-02/open-or-clipped-end", "RNG-03/last-bytes"),
    patched(
        "Content-Range tells the byte behind the last",
        "anys3.operations.reading.content_range",
        lambda start, length, size: b"Content-Range: bytes %d-%d/%d\r\n" % (start, start + length, size),
    ),
)
breaks("GET-05/if-match", ignoring("if-match"))
breaks("GET-05/if-match", accepting("PreconditionFailed", method="GET"))
breaks("GET-05/if-match", saying("NotImplemented", instead_of="PreconditionFailed"))
breaks("GET-05/if-none-match", ignoring("if-none-match"))
breaks("GET-05/if-modified-since", ignoring("if-modified-since"))
breaks("GET-05/if-unmodified-since", ignoring("if-unmodified-since"))
breaks(
    ("GET-05/if-none-match", "GET-05/if-modified-since"),
    answering(
        "HEAD never answers 304",
        lambda request, answer: Answer(200) if when(request, "HEAD") and answer.status == 304 else None,
    ),
)
breaks(
    "CONDR-03/if-modified-since",
    answering(
        "304 for any date",
        lambda request, answer: Answer(304) if when(request, "GET", header="if-modified-since") else None,
    ),
)
for _header in ("if-match", "if-none-match", "if-unmodified-since"):
    breaks(f"GET-05/{_header}", refusing(_header, method="HEAD"))


def refuse_null(request: Request, _: Answer) -> Answer | None:
    """Know no version of that name."""
    return error_answer("NoSuchVersion") if when(request, "GET", "versionId=null") else None


breaks("GET-06/version-null", answering("the version null is unknown", refuse_null))
breaks("GET-06/other-versions", ignoring("versionId"))
breaks("GET-06/other-versions", saying("NoSuchKey", instead_of="NoSuchVersion"))
for _method in ("GET", "HEAD"):
    breaks("GET-07/checksum-mode", refusing("x-amz-checksum-mode", method=_method))

# --- GET-08: a race ----------------------------------------------------------------------------------------


class TornReads:
    """While an overwrite is under way, a GET gets the new headers and a body that begins with the old one."""

    def __init__(self, change: Callable[[Answer, Answer], Answer]) -> None:
        """Make what a GET gets with `change(now, before)`."""
        self.change = change
        self.before: dict[bytes, Answer] = {}
        self.last: dict[bytes, Answer] = {}
        self.put_count = 0

    async def __call__(self, request: Request, proceed: Proceed) -> Answer:
        """Answer."""
        if request.method == b"PUT":
            self.put_count += 1
            try:
                answer = await proceed(request)
                await asyncio.sleep(0.05)
            finally:
                self.put_count -= 1
            return answer
        answer = await proceed(request)
        if request.method != b"GET" or answer.status != 200:
            return answer
        held = replace(answer, body=body_of(answer), length=None)
        before = self.last.get(request.path, held)
        if before.body != held.body:
            self.before[request.path] = before
        self.last[request.path] = held
        if self.put_count and request.path in self.before:
            return self.change(held, self.before[request.path])
        return held


def bodies_mixed(now: Answer, before: Answer) -> Answer:
    """Return the first block of one version and the rest of the other."""
    return replace(now, body=body_of(before)[:1000] + body_of(now)[1000:])


def headers_mixed(now: Answer, before: Answer) -> Answer:
    """Return the headers of one version and the body of the other."""
    return replace(now, headers=before.headers)


breaks("CON-02/no-torn-reads", hooked("bodies are mixed", TornReads(bodies_mixed)))
breaks("CON-02/no-torn-reads", hooked("headers are another version's", TornReads(headers_mixed)))

# --- HEAD --------------------------------------------------------------------------------------------------

for _name in ("ETag", "Last-Modified", "Content-Type", "Accept-Ranges", "Cache-Control", "x-amz-meta-colour"):
    breaks("HEAD-01/headers-of-get", without_header(_name, method="HEAD"))
breaks(
    "HEAD-01/headers-of-get",
    reading("HEAD tells no length", lambda answer: replace(answer, length=0), method="HEAD"),
)
breaks(
    "HEAD-02/equals-get-and-list",
    reading("HEAD tells no length", lambda answer: replace(answer, length=0), method="HEAD"),
)
for _name in ("ETag", "Last-Modified", "x-amz-meta-size"):
    breaks("HEAD-02/equals-get-and-list", without_header(_name, method="HEAD"))


async def with_a_body(request: Request, proceed: Proceed) -> Answer:
    """Send bytes behind the answer to a HEAD."""
    answer = await proceed(request)
    if request.method == b"HEAD" and answer.status == 200 and answer.length:
        request.method = b"GET"
        return replace(answer, body=b"x" * answer.length)
    return answer


breaks("HEAD-01/no-body", hooked("HEAD is answered with a body", with_a_body))


def listing(sentence: str, old: str, new: str) -> Breakage:
    """Other text in listings."""
    return answering(
        sentence,
        lambda request, answer: (
            replace_in_body(answer, old, new) if when(request, "GET", "list-type=2") else None
        ),
    )


breaks("HEAD-02/equals-get-and-list", listing("listed ETags have no quotes", "&quot;", ""))
breaks("HEAD-02/equals-get-and-list", listing("listed sizes are in blocks", "<Size>", "<Size>1"))
breaks(
    "HEAD-02/equals-get-and-list",
    listing("listed times are a century late", "<LastModified>20", "<LastModified>21"),
)
breaks(
    "HEAD-02/equals-get-and-list",
    listing("listed times are no ISO times", "<LastModified>", "<LastModified>about "),
)
