"""Response header overrides: OVR-01 and OVR-02."""

from __future__ import annotations

import gzip

from anys3.client.signing import encode_query
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_BODY = gzip.compress(CONTENT, mtime=0)
_PLAIN = {"accept-encoding": "gzip"}
_STORED = {
    "content-type": "text/plain",
    "content-language": "fr",
    "expires": "Fri, 01 Jan 2044 00:00:00 GMT",
    "cache-control": "max-age=60",
    "content-disposition": "inline",
}
_OVERRIDES = {
    "response-content-type": "text/x-a; charset=utf-8",
    "response-content-language": "de, en",
    "response-expires": "Thu, 01 Dec 2044 16:00:00 GMT",
    "response-cache-control": "no-cache",
    "response-content-disposition": 'attachment; filename="a b.txt"',
    "response-content-encoding": "gzip",
}
_INJECTED = "x-a3-injected"
_FREE = (
    "response-content-type",
    "response-expires",
    "response-cache-control",
    "response-content-disposition",
)
"""Overrides with values that a server may send as they are: the likeliest to be injected into."""


def _expect_overridden(reply: Reply, about: str) -> None:
    for name, value in _OVERRIDES.items():
        header = name.removeprefix("response-")
        equal(reply.header(header), value, f"{header} of {about} with {name}")


@check("OVR-01", operation="GetObject")
def overrides_replace_headers(probe: Probe) -> None:
    """The six parameters replace the headers of GET and HEAD, whole and in part; what is stored stays."""
    key = probe.shared_object(_BODY, _STORED)
    query = list(_OVERRIDES.items())
    with together() as each:
        with each():
            _expect_overridden(probe.get(key, _PLAIN, query).expect("200"), "GET")
        with each():
            _expect_overridden(probe.head(key, _PLAIN, query).expect("200"), "HEAD")
        with each():
            ranged = probe.get(key, {**_PLAIN, "range": "bytes=0-3"}, query).expect("206")
            _expect_overridden(ranged, "GET of a range")
        with each():
            url = probe.presign("GET", probe.path(key), query)
            _expect_overridden(probe.open("GET", url, _PLAIN).expect("200"), "a presigned GET")
    stored = probe.get(key, _PLAIN).expect("200")
    for name, value in _STORED.items():
        equal(stored.header(name), value, f"{name} of the object after GETs with overrides")


@check("OVR-01", operation="GetObject")
def unsigned_overrides(probe: Probe) -> None:
    """Without a signature, overrides are refused."""
    path = probe.path(probe.shared_object(_BODY, _STORED))
    with together() as each:
        for name in ("response-content-type", "response-content-disposition"):
            with each():
                target = f"{path}?{encode_query([(name, _OVERRIDES[name])])}"
                reply = probe.open("GET", target)
                reply.expect("403 AccessDenied", "400 InvalidRequest", about=f"GET with {name}, unsigned")


@check("OVR-02", operation="GetObject")
def no_header_injection(probe: Probe) -> None:
    """Line ends in an override are refused, or taken out: no header line can be added."""
    key = probe.shared_object(_BODY, _STORED)
    with together() as each:
        for name in _FREE:
            with each():
                bent = f"{_OVERRIDES[name]}\r\n{_INJECTED}: 1\r\n\r\n"
                reply = probe.get(key, _PLAIN, [(name, bent)])
                about = f"GET with line ends in {name}"
                reply.expect("400 InvalidArgument", "200", about=about)
                require(
                    reply.header(_INJECTED) is None,
                    f"{about}: expected no additional header line, got {_INJECTED}",
                )
                if reply.status == 200:
                    equal(reply.body, _BODY, f"the body of {about}")


@check("OVR-02", operation="GetObject")
def characters_beyond_latin_1(probe: Probe) -> None:
    """A value that no header can hold, with characters above U+00FF, is refused."""
    key = probe.shared_object(_BODY, _STORED)
    with together() as each:
        for name, value in (
            ("response-content-disposition", 'attachment; filename="\u65e5\u672c.txt"'),
            ("response-content-type", "text/\u0100"),
        ):
            with each():
                reply = probe.get(key, _PLAIN, [(name, value)])
                reply.expect("400 InvalidArgument", about=f"GET with characters above U+00FF in {name}")
