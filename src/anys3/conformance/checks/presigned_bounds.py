"""What a presigned URL is good for, and how long: PRE-05 to PRE-07."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from anys3.conformance.kit.times import http_time
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal

_HOUR_S = 3600
_TOO_EARLY_S = 960
_MISMATCH = "403 SignatureDoesNotMatch"
_TYPE = "response-content-type=text%2Fplain"


def _dated(probe: Probe, method: str, key: str, offset_s: int, life_s: int) -> str:
    """Return a URL that is dated so many seconds from now."""
    who = replace(probe.main, clock_offset_s=offset_s)
    return probe.presign(method, probe.path(key), identity=who, expires_s=life_s)


@check("PRE-05", operation="GetObject")
def expired_urls(probe: Probe) -> None:
    """A URL whose life is over opens nothing, and stores nothing."""
    reply = probe.open("GET", _dated(probe, "GET", probe.shared_object(), -_HOUR_S, 60))
    reply.expect("403 AccessDenied", about="a presigned GET that expired an hour ago")
    if reply.text("Message") != "Request has expired":
        probe.report('the refusal of an expired URL does not say "Request has expired"')
    for name in ("Expires", "ServerTime"):
        if not reply.text(name):
            probe.report(f"the refusal of an expired URL has no {name}")
    writing = probe.open("PUT", _dated(probe, "PUT", probe.key(), -_HOUR_S, 60), body=CONTENT)
    writing.expect("403 AccessDenied", about="a presigned PUT that expired an hour ago")
    probe.expect_no_object(probe.key(), about="the object of a presigned PUT that had expired")


@check("PRE-05", operation="GetObject")
def old_urls_live_on(probe: Probe) -> None:
    """A URL that was made an hour ago for two is still good."""
    reply = probe.open("GET", _dated(probe, "GET", probe.shared_object(), -_HOUR_S, 2 * _HOUR_S))
    reply.expect("200", about="a presigned GET of an hour ago that lives for two")


@check("PRE-06", operation="GetObject")
def urls_of_the_future(probe: Probe) -> None:
    """A URL that is dated more than 15 minutes ahead of the server's time is refused."""
    key = probe.shared_object()
    date = probe.open("GET", _dated(probe, "GET", key, 0, 300)).expect("200").header("date")
    # By the server's clock: ours may be off.
    lead_s = round((http_time(date) - datetime.now(UTC)).total_seconds()) if date else 0
    reply = probe.open("GET", _dated(probe, "GET", key, lead_s + _TOO_EARLY_S, _HOUR_S))
    about = f"a presigned GET that is dated {_TOO_EARLY_S} s ahead"
    reply.expect("403 AccessDenied", "403 RequestTimeTooSkewed", about=about)


@check("PRE-07", operation="GetObject")
def one_method(probe: Probe) -> None:
    """A URL is good for the method that it was signed for, and for no other."""
    key = probe.given_object()
    url = probe.presign("GET", probe.path(key))
    with together() as each:
        for method in ("PUT", "DELETE", "HEAD"):
            with each():
                reply = probe.open(method, url, body=b"other" if method == "PUT" else b"")
                reply.expect(_MISMATCH, about=f"{method} by a URL that was signed for GET")
    probe.expect_content(key, CONTENT, about="the object after PUT and DELETE by a URL signed for GET")


@check("PRE-07", operation="GetObject")
def one_path_and_query(probe: Probe) -> None:
    """A URL is good for the path and the query that it was signed for, and for no other."""
    path = probe.path(probe.shared_object())
    url = probe.presign("GET", path, [("response-content-type", "text/plain")], expires_s=300)
    last = "0" if url[-1] != "0" else "1"
    altered: Mapping[str, str] = {
        "for another key": url.replace(path, path[:-1] + "-", 1),
        "with a longer life": url.replace("X-Amz-Expires=300", "X-Amz-Expires=301"),
        "with another parameter": f"{url}&versionId=null",
        "without a parameter that was signed": url.replace(f"{_TYPE}&", ""),
        "with another value of a signed parameter": url.replace(_TYPE, "response-content-type=text%2Fhtml"),
        "with a second value of a signed parameter": f"{url}&response-content-type=text%2Fhtml",
        "with another signature": url[:-1] + last,
    }
    with together() as each:
        for how, target in altered.items():
            with each():
                probe.open("GET", target).expect(_MISMATCH, about=f"a presigned GET {how}")
    reply = probe.open("GET", url).expect("200", about="the presigned GET itself")
    equal(reply.body, CONTENT, "the object that the presigned GET itself returns")


@check("PRE-07", operation="PutObject")
def signed_headers(probe: Probe) -> None:
    """A header that was signed must be sent, and with the value that was signed."""
    key = probe.key()
    signed = {"content-type": "text/plain", "x-amz-meta-a": "1"}
    url = probe.presign("PUT", probe.path(key), headers=signed)
    altered: Mapping[str, dict[str, str]] = {
        "another content-type": {**signed, "content-type": "text/html"},
        "another x-amz-meta-a": {**signed, "x-amz-meta-a": "2"},
        "no content-type": {"x-amz-meta-a": "1"},
        "no x-amz-meta-a": {"content-type": "text/plain"},
    }

    def put(headers: Mapping[str, str]) -> Reply:
        return probe.open("PUT", url, headers, CONTENT)

    with together() as each:
        for how, headers in altered.items():
            with each():
                put(headers).expect(_MISMATCH, about=f"a presigned PUT with {how} than was signed")
    probe.expect_no_object(key, about="the object of presigned PUTs with changed headers")
    put(signed).expect("200", about="the presigned PUT with the headers that were signed")
