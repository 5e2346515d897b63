"""Whole requests, signed on the way: routed, bound and answered over a store in memory."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from anys3.model import AccessKey, Grant
from anys3.spec.errors import S3Error
from tests.torture.access.world import LOOP, World, content_of
from tests.torture.fuzz.kit import KEY, NOW_S, REGION, hold, read_request, same, signature_of

READER = AccessKey("AKIAREAD", KEY.secret_access_key, "reader", grants={"bucket": Grant(read=True)})
DATE = b"20260101T000000Z"
LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[^\x00-\x08\x0a-\x1f\x7f]*")


def make() -> World:
    """Return a world with a bucket and an object."""
    world = World(KEY, READER, clock=lambda: float(NOW_S))
    world.bucket("bucket")
    world.bucket("open", is_public=True)
    for path in (b"/bucket/k", b"/open/k"):
        request = read_request(b"PUT " + path + b"\nhost: s3.localhost\nx-amz-tagging: a=b\n\nhello")
        assert request is not None
        sign(request, b"AKIAFUZZ")
        answer = world.handle(request)
        assert answer.status == 200, answer
    return world


def sign(request, key: bytes) -> None:  # type: ignore[no-untyped-def]
    """Sign a request as it is."""
    headers = request.headers
    headers.setdefault(b"host", b"s3.localhost")
    headers.setdefault(b"x-amz-date", DATE)
    headers.setdefault(b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD")
    names = sorted({name for name in headers if name.startswith(b"x-amz-")} | {b"host"})
    scope = b"20260101/%b/s3/aws4_request" % REGION.encode()
    signature = signature_of(request, names, headers[b"x-amz-content-sha256"], headers[b"x-amz-date"], scope)
    headers[b"authorization"] = b"AWS4-HMAC-SHA256 Credential=%b/%b, SignedHeaders=%b, Signature=%b" % (
        key,
        scope,
        b";".join(names),
        signature or b"",
    )


def whole_request(data: bytes) -> None:
    """Answer a request: the first word is root, reader or nobody, the rest as `read_request` has it."""
    who, _, text = data.partition(b" ")
    request = read_request(text)
    if request is None or who not in (b"root", b"reader", b"nobody"):
        return
    world = make()
    if who != b"nobody" and b"authorization" not in request.headers:
        sign(request, b"AKIAFUZZ" if who == b"root" else b"AKIAREAD")
    before = world.dump()
    method = request.method
    answer = world.handle(request)
    body = content_of(answer.body)
    hold(answer.status not in (500, 503), f"{answer.status}: {body[:300]!r}")
    for line in answer.headers.split(b"\r\n")[:-1]:
        hold(LINE.fullmatch(line) is not None, f"a line of the head: {line!r}")
    if answer.status >= 400 and method != b"HEAD":
        code = ElementTree.fromstring(body).findtext("Code") or ""
        same(S3Error(code).status, answer.status, code)
    if answer.status >= 400 and not world.app.calls[1:] and method != b"OPTIONS":
        same(world.dump(), before, "refused, but something changed")
    if who != b"root" and b"authorization" not in dict(read_request(text).headers):  # type: ignore[union-attr]
        after = world.dump()
        same(after, before, "changed without the right to")
    if who == b"nobody" and b"Signature" not in request.query and answer.status < 400:
        is_open = request.path.startswith(b"/open") or request.headers.get(b"host", b"").startswith(b"open.")
        hold(is_open and method in (b"GET", b"HEAD"), "somebody unknown was served")


__all__ = ["LOOP", "whole_request"]
