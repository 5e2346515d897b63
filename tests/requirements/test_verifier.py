"""Every route, by every way of authenticating, passes through the one verifier."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from anys3.spec import catalogue
from tests.exemplars import Exemplar, Scene
from tests.forms import BOUNDARY, render_form, signing_fields
from tests.keepalive import KeepAlive
from tests.rawclient import EMPTY_SHA256, UNSIGNED, RawClient, read_response, render

OPERATIONS = sorted(name for name in catalogue.operations() if name != "CorsPreflight")
TOKENS = [
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    UNSIGNED,
    EMPTY_SHA256,
]
MISMATCH = (403, "SignatureDoesNotMatch")
DENIED = (403, "AccessDenied")
Way = Callable[[RawClient, Exemplar], bytes]


def sent(
    s3: RawClient, one: Exemplar, lines: dict[str, str], query: str | None = None, body: bytes | None = None
) -> bytes:
    """Return the bytes of a request with exactly these headers."""
    query = one.raw_query if query is None else query
    body = one.body if body is None else body
    lines = {"host": s3.host, **lines, "content-length": str(len(body))}
    return render(one.method, one.path + (f"?{query}" if query else ""), lines) + body


def signed(
    s3: RawClient, one: Exemplar, token: str | None = None, method: str | None = None
) -> dict[str, str]:
    """Return the headers of the request, signed."""
    lines = {"host": s3.host, **one.headers}
    if token is not None and token.startswith("STREAMING"):
        lines["x-amz-decoded-content-length"] = str(len(one.body))
    return s3.sign(method or one.method, one.path, one.raw_query, lines, one.body, token)


def forged(lines: dict[str, str]) -> dict[str, str]:
    """Return the headers with a signature of zeros."""
    return {**lines, "authorization": lines["authorization"][:-64] + "0" * 64}


def url(
    s3: RawClient,
    one: Exemplar,
    method: str | None = None,
    headers: dict[str, str] | None = None,
    **options: object,
) -> str:
    """Return the query of the request as a presigned URL has it."""
    lines = {**one.headers, **(headers or {})}
    return s3.presign(method or one.method, one.path, one.query, lines, **options).partition("?")[2]  # type: ignore[arg-type]


def other(method: str) -> str:
    """Return another method."""
    return "GET" if method != "GET" else "DELETE"


def in_header(token: str) -> Way:
    """A forged header signature over a payload token."""
    return lambda s3, one: sent(s3, one, forged(signed(s3, one, token)))


def in_query(token: str) -> Way:
    """A forged URL with a payload token in a signed header, as CVE-2026-41145 has it."""

    def make(s3: RawClient, one: Exemplar) -> bytes:
        headers = {"x-amz-content-sha256": token, "x-amz-decoded-content-length": str(len(one.body))}
        return sent(s3, one, {**one.headers, **headers}, url(s3, one, headers=headers)[:-64] + "0" * 64)

    return make


def in_both(token: str) -> Way:
    """A forged URL with a payload token as a parameter."""
    return lambda s3, one: sent(
        s3, one, dict(one.headers), url(s3, one, replace={"X-Amz-Content-Sha256": token})[:-64] + "0" * 64
    )


def v2_query(s3: RawClient, one: Exemplar) -> str:
    """Return the query of a SigV2 URL with a signature of nothing."""
    signature = quote(base64.b64encode(bytes(20)).decode(), safe="")
    return f"AWSAccessKeyId={s3.access_key_id}&Expires=9999999999&Signature={signature}"


def with_form(s3: RawClient, one: Exemplar) -> bytes:
    """The route with a browser's form whose signature is forged."""
    fields = {"key": "form", **signing_fields(s3), "policy": "e30=", "x-amz-signature": "0" * 64}
    body = render_form(fields.items(), [("a", b"x")])
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return sent(s3, one, {**one.headers, **headers}, body=body)


WAYS: dict[str, tuple[Way, set[tuple[int, str]]]] = {
    # A POST to a bucket that is no form is nobody's route; whether the bucket exists is not told.
    "none": (lambda s3, one: sent(s3, one, dict(one.headers)), {DENIED, (412, "PreconditionFailed")}),
    "wrong key id": (
        lambda s3, one: sent(s3, one, signed(replace(s3, access_key_id="AKIANOBODYNOBODYNOBO"), one)),
        {(403, "InvalidAccessKeyId")},
    ),
    "wrong secret": (
        lambda s3, one: sent(s3, one, signed(replace(s3, secret_access_key="wrong"), one)),
        {MISMATCH},
    ),
    "wrong signature": (lambda s3, one: sent(s3, one, forged(signed(s3, one))), {MISMATCH}),
    **{f"header, {token}": (in_header(token), {MISMATCH}) for token in TOKENS},
    **{f"query, {token} in a header": (in_query(token), {MISMATCH}) for token in TOKENS},
    **{f"query, {token} in the query": (in_both(token), {MISMATCH}) for token in TOKENS},
    "query, wrong signature": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(s3, one)[:-64] + "0" * 64),
        {MISMATCH},
    ),
    "query, no signature": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(s3, one, drop=["X-Amz-Signature"])),
        {(400, "AuthorizationQueryParametersError")},
    ),
    "header, expired": (
        lambda s3, one: sent(s3, one, signed(replace(s3, clock_offset_s=-1000), one)),
        {(403, "RequestTimeTooSkewed")},
    ),
    "query, expired": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(replace(s3, clock_offset_s=-1000), one)),
        {DENIED},
    ),
    "header, replayed on another method": (
        lambda s3, one: sent(s3, one, signed(s3, one, method=other(one.method))),
        {MISMATCH},
    ),
    "query, replayed on another method": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(s3, one, method=other(one.method))),
        {MISMATCH},
    ),
    "header, an unsigned x-amz header": (
        lambda s3, one: sent(s3, one, {**signed(s3, one), "x-amz-meta-unsigned": "1"}),
        {DENIED},
    ),
    "query, an unsigned x-amz header": (
        lambda s3, one: sent(s3, one, {**one.headers, "x-amz-meta-unsigned": "1"}, url(s3, one)),
        {DENIED},
    ),
    "version 2 header": (
        lambda s3, one: sent(
            s3,
            one,
            {**one.headers, "x-amz-date": s3.amz_date(), "authorization": f"AWS {s3.access_key_id}:AAAA"},
        ),
        {MISMATCH, DENIED},
    ),
    "version 2 query": (
        lambda s3, one: sent(
            s3, one, dict(one.headers), "&".join(filter(None, [one.raw_query, v2_query(s3, one)]))
        ),
        {MISMATCH},
    ),
    "a token beside the signature": (
        lambda s3, one: sent(
            s3, one, {**signed(s3, one), "x-amz-security-token": "eyJhbGciOiJub25lIn0.e30."}
        ),
        {(400, "InvalidToken")},
    ),
    "a bearer token": (
        lambda s3, one: sent(s3, one, {**one.headers, "authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}),
        {(400, "InvalidArgument")},
    ),
    "a form": (with_form, {DENIED, MISMATCH}),
}


@pytest.fixture
def scene(s3: RawClient, bucket: str) -> Scene:
    """A bucket in which every operation succeeds."""
    made = Scene(s3, bucket)
    made.prepare()
    return made


@pytest.fixture
def wire(s3: RawClient) -> Iterator[KeepAlive]:
    """A connection that stays open."""
    with KeepAlive(s3) as connection:
        yield connection


def unprotected(one: Exemplar) -> Exemplar:
    """Return the request without the signature that a form carries in its fields."""
    return replace(one, headers={}, body=b"") if one.is_form else one


@pytest.mark.requirement("AUTH-04", "AUTH-05", "AUTH-06", "AUTH-12", "AUTH-13", "ERR-04", "ERR-08")
@pytest.mark.known_mistake(1, 2, 3, 4, 8, 10, 15, 36)
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_route_skips_the_verifier(scene: Scene, wire: KeepAlive, s3: RawClient, name: str) -> None:
    """CVE-2025-31489, CVE-2026-41145, CVE-2026-40344, CVE-2026-55873, SeaweedFS 9729: a way forgotten."""
    one = unprotected(scene.exemplar(name))
    before = scene.state()
    verdicts = {way: wire.exchange(make(s3, one), one.method).verdict for way, (make, _) in WAYS.items()}
    expected = {
        way: {(status, "") for status, _ in allowed} if one.method == "HEAD" else allowed
        for way, (_, allowed) in WAYS.items()
    }
    assert {way: verdict for way, verdict in verdicts.items() if verdict not in expected[way]} == {}
    assert scene.state() == before


@pytest.mark.requirement("AUTH-01", "PRE-01")
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "PostObject"])
def test_every_route_takes_a_right_signature_in_either_place(
    scene: Scene, wire: KeepAlive, s3: RawClient, name: str
) -> None:
    one = scene.exemplar(name)
    header = wire.exchange(sent(s3, one, signed(s3, one)), one.method)
    scene.prepare()
    one = scene.exemplar(name)
    query = wire.exchange(sent(s3, one, dict(one.headers), url(s3, one)), one.method)
    assert (header.status, query.status) == (one.status, one.status)


def verdict_of(s3: RawClient, data: bytes) -> int:
    """Return the status of the answer to what may be no request at all."""
    with s3.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return read_response(connection, "PUT").status


@pytest.mark.requirement("AUTH-05", "PAY-02", "ERR-08")
@pytest.mark.known_mistake(1, 9)
@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_a_signed_request_with_any_byte_changed_is_refused(s3: RawClient, bucket: str, mask: int) -> None:
    """CVE-2025-31489 (MinIO), SeaweedFS 9910: not all that was signed was compared."""
    path, query = f"/{bucket}/k%20a", "x-id=PutObject"
    lines = {"host": s3.host, "content-type": "text/plain", "x-amz-meta-a": "1 2", "x-amz-tagging": "a=b"}
    head = render(
        "PUT", f"{path}?{query}", {**s3.sign("PUT", path, query, lines, b"hello"), "content-length": "5"}
    )
    data = head + b"hello"
    version = data.index(b"HTTP/1.1") + len("HTTP/1.")
    places = [at for at in range(len(data)) if at != version]
    changed = {at: data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :] for at in places}
    statuses = {at: verdict_of(s3, one) for at, one in changed.items()}
    assert {
        at: status for at, status in statuses.items() if status not in (400, 403, 404, 405, 411, 501)
    } == {}
    assert s3.request("GET", f"/{bucket}", [("list-type", "2")]).texts("Contents/Key") == []
    assert verdict_of(s3, data) == 200
