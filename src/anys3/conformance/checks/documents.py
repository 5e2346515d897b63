"""XML in both directions, and the forms of times and ETags: HTTP-17 to HTTP-22."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from anys3.conformance.digests import md5_base64
from anys3.conformance.kit.together import together
from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import NAMESPACE, Reply, equal, require

_IMF_FIXDATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
_XML_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_STRONG_ETAG = re.compile(r'"[^"]+"')
_BOM = b"\xef\xbb\xbf"
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
_DOCUMENT_BYTES = 2 * 1024 * 1024


def delete_objects(probe: Probe, document: bytes) -> Reply:
    """Send a DeleteObjects document."""
    digest = md5_base64(document)
    return probe.request("POST", probe.path(), "delete", {"content-md5": digest}, document)


# --- requests --------------------------------------------------------------------------------------------


@check("HTTP-17", operation="DeleteObjects")
def declarations_refused(probe: Probe) -> None:
    """A document with a DOCTYPE or an entity declaration is refused, and no entity is expanded."""
    key = probe.given_object()
    plain = f"<Delete><Object><Key>{key}</Key></Object></Delete>"
    named = "<Delete><Object><Key>&name;</Key></Object></Delete>"
    documents = {
        "a DOCTYPE": f"<!DOCTYPE Delete>{plain}",
        "an entity that is the key": f'<!DOCTYPE Delete [<!ENTITY name "{key}">]>{named}',
        "an external entity": f'<!DOCTYPE Delete [<!ENTITY name SYSTEM "file:///nowhere">]>{named}',
        "an entity of a parameter": (
            f'<!DOCTYPE Delete [<!ENTITY % name SYSTEM "file:///nowhere"> %name;]>{plain}'
        ),
    }
    with together() as each:
        for what, document in documents.items():
            with each():
                reply = delete_objects(probe, document.encode())
                reply.expect("400 MalformedXML", about=f"a document with {what}")
    probe.expect_content(key, CONTENT, about="the object that these documents name")


@check("HTTP-18", operation="DeleteObjects")
def documents_in_any_dress(probe: Probe) -> None:
    """A document is understood with and without namespace, prefix, white space, declaration and BOM."""
    key = probe.key()
    plain = f"<Delete><Object><Key>{key}</Key></Object></Delete>".encode()
    space = NAMESPACE.encode()
    prefixed = plain.replace(b"</", b"</s:").replace(b"<", b"<s:").replace(b"<s:/s:", b"</s:")
    documents = {
        "no namespace": plain,
        "the namespace": plain.replace(b"<Delete>", b'<Delete xmlns="%b">' % space),
        "a prefix": prefixed.replace(b"<s:Delete>", b'<s:Delete xmlns:s="%b">' % space),
        "white space": b"\n " + plain.replace(b"><", b">\r\n\t <") + b"\n",
        "a declaration": _DECLARATION + b"\n" + plain,
        "a byte order mark": _BOM + plain,
        "a byte order mark and a declaration": _BOM + _DECLARATION + plain,
    }
    with together() as each:
        for what, document in documents.items():
            with each():
                reply = delete_objects(probe, document).expect("200", about=f"a document with {what}")
                equal(reply.texts("Deleted/Key"), [key], f"the keys deleted by a document with {what}")


@check("HTTP-22", operation="DeleteObjects")
def document_of_2_mib(probe: Probe) -> None:
    """An XML body of 2 MiB is accepted."""
    filler = "k" * (1000 - len(probe.prefix))
    rows = "".join(f"<Object><Key>{probe.key(filler)}{number:04}</Key></Object>" for number in range(1000))
    head, tail = "<Delete><Quiet>true</Quiet>", f"{rows}</Delete>"
    padding = " " * (_DOCUMENT_BYTES - len(head) - len(tail))
    reply = delete_objects(probe, f"{head}{padding}{tail}".encode()).expect("200", about="2 MiB of XML")
    equal(reply.texts("Error/Code"), [], "the errors of 1,000 keys that do not exist")


# --- answers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is said of one object: the answers to PUT, GET and HEAD, and pages of both listings."""

    put: Reply
    get: Reply
    head: Reply
    pages: tuple[Reply, Reply]


def _seen(probe: Probe) -> _Seen:
    """Store an object and look at it, once for the checks of the forms of answers, which judge what was said."""
    key = probe.key("a & <b> \N{SNOWMAN}")

    def look() -> _Seen:
        put, get, head = probe.put(key), probe.get(key), probe.head(key)
        v1 = probe.request("GET", probe.path(), [("prefix", probe.prefix)])
        return _Seen(put, get, head, (probe.list_keys(), v1))

    return probe.asked_once("an object in all documents", look)


@check("HTTP-19", operation="ListObjectsV2")
def answers_in_namespace(probe: Probe) -> None:
    """Documents of success are well-formed UTF-8 in S3's namespace, of the type application/xml."""
    absent = f"<Delete><Object><Key>{probe.key('none')}</Key></Object></Delete>".encode()
    seen = _seen(probe)
    pages = [
        (seen.pages[0], "ListBucketResult"),
        (seen.pages[1], "ListBucketResult"),
        (probe.request("GET", probe.path(), "location"), "LocationConstraint"),
        (probe.request("GET", "/"), "ListAllMyBucketsResult"),
        (delete_objects(probe, absent), "DeleteResult"),
    ]
    pages[0][0].expect("200", about="a listing")
    with together() as each:
        for reply, root in pages:
            if reply.status == 200:  # a key that is scoped to its bucket can't list all, or ask where it is
                with each():
                    _expect_document(probe, reply, f"{{{NAMESPACE}}}{root}", ("application/xml",))


@check("HTTP-19", operation="GetObject")
def errors_without_namespace(probe: Probe) -> None:
    """Error documents are well-formed UTF-8 without a namespace, of the type application/xml."""
    for path in (probe.path(probe.key("a & <b> \N{SNOWMAN}")), probe.path(bucket=probe.missing_bucket)):
        reply = probe.request("GET", path).expect("404")
        _expect_document(probe, reply, "Error", ("application/xml", "text/xml"))
        if reply.need("content-type").startswith("text/xml"):
            probe.report("Errors have the type text/xml.")


def _expect_document(probe: Probe, reply: Reply, root: str, types: tuple[str, ...]) -> None:
    about = reply.exchange.summary
    found = reply.need("content-type").partition(";")[0].strip().lower()
    require(found in types, f"{about}: expected the type {' or '.join(types)}, got {found}")
    try:
        reply.body.decode()
    except UnicodeDecodeError as error:
        raise Failed(f"{about}: expected UTF-8, got {error}") from None
    equal(reply.root.tag, root, f"{about}: the root, its namespace in braces")
    if not reply.body.startswith(b"<?xml "):
        probe.report("XML answers have no declaration.")


@check("HTTP-20", operation="ListObjectsV2")
def times_name_one_instant(probe: Probe) -> None:
    """Last-Modified is an IMF-fixdate, XML has milliseconds, and both name the same instant."""
    seen = _seen(probe)
    header = seen.head.expect("200").need("last-modified")
    require(_IMF_FIXDATE.fullmatch(header), f"Last-Modified: expected an IMF-fixdate, got {header!r}")
    equal(seen.get.expect("200").need("last-modified"), header, "Last-Modified of GET beside HEAD's")
    for page in seen.pages:
        listed = page.expect("200").need_text("Contents/LastModified")
        require(
            _XML_TIME.fullmatch(listed),
            f"LastModified of {page.exchange.summary}: expected YYYY-MM-DDThh:mm:ss.sssZ, got {listed!r}",
        )
        instant = datetime.fromisoformat(listed).replace(microsecond=0)
        equal(instant, parsedate_to_datetime(header), "LastModified without its milliseconds")


@check("HTTP-21", operation="PutObject")
def etags_are_strong(probe: Probe) -> None:
    """ETags are strong and in double quotes, in headers and in XML, and the same everywhere."""
    seen = _seen(probe)
    etag = seen.put.expect("200").etag
    require(_STRONG_ETAG.fullmatch(etag), f'the ETag of PUT: expected "...", got {etag!r}')
    for reply in (seen.get.expect("200"), seen.head.expect("200")):
        equal(reply.etag, etag, f"the ETag of {reply.exchange.method} beside that of PUT")
    for page in seen.pages:
        found = page.expect("200").text("Contents/ETag")
        equal(found, etag, f"the ETag in {page.exchange.summary} beside that of PUT")
