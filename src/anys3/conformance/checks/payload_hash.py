"""x-amz-content-sha256 of bodies that are not framed: PAY-01 to PAY-04."""

from __future__ import annotations

import hashlib

from anys3.client.signing import EMPTY_SHA256, UNSIGNED_PAYLOAD
from anys3.conformance.digests import md5_base64
from anys3.conformance.kit.bent import resigned
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check

_HASH = "x-amz-content-sha256"
_WRONG = hashlib.sha256(b"other").hexdigest()
_MISMATCH = "400 XAmzContentSHA256Mismatch"
_NO_TOKENS = (
    "unsigned-payload",
    "STREAMING-UNSIGNED-PAYLOAD",
    "streaming-aws4-hmac-sha256-payload",
    "g" * 64,
    "0" * 63,
    "x",
)


@check("PAY-01", operation="PutObject")
def hash_is_required(probe: Probe) -> None:
    """A request with an Authorization header and without `x-amz-content-sha256` is refused."""
    path, there = probe.path(probe.key()), probe.path(probe.shared_object())
    digest = hashlib.sha256(CONTENT).hexdigest()
    for method, target, body, right in (("PUT", path, CONTENT, digest), ("GET", there, b"", EMPTY_SHA256)):
        bend = resigned(probe, method, target, without=(_HASH,), payload_hash=right)
        reply = probe.request(method, target, body=body, bend=bend)
        reply.expect("400 InvalidRequest", about=f"{method} without {_HASH}")
    probe.expect_no_object(probe.key(), about="the object of a refused PUT")


@check("PAY-02", operation="PutObject")
def hash_is_verified(probe: Probe) -> None:
    """A body that is not the one whose SHA-256 was signed is refused, and nothing is stored or replaced."""
    there = probe.given_object("there")
    for key, body, wrong in (
        (probe.key("new"), CONTENT, _WRONG),
        (probe.key("new"), CONTENT, _WRONG.upper()),
        (probe.key("new"), CONTENT, EMPTY_SHA256),
        (there, b"changed", _WRONG),
    ):
        reply = probe.request("PUT", probe.path(key), body=body, payload_hash=wrong)
        reply.expect(_MISMATCH, about=f"PUT of a body that is not the one with the SHA-256 {wrong[:12]}...")
    probe.expect_no_object(probe.key("new"), about="the object of a refused PUT")
    probe.expect_content(there, CONTENT, about="the object that a refused PUT was to replace")


@check("PAY-02", operation="PutObject")
def hash_in_capitals(probe: Probe) -> None:
    """The SHA-256 of the body is accepted in capital digits, too."""
    digest = hashlib.sha256(CONTENT).hexdigest().upper()
    reply = probe.request("PUT", probe.path(probe.key()), body=CONTENT, payload_hash=digest)
    reply.expect("200", about="PUT with its SHA-256 in capital digits")
    probe.expect_content(probe.key(), CONTENT)


@check("PAY-02", operation="DeleteObjects")
def hash_of_a_document(probe: Probe) -> None:
    """A document whose SHA-256 is not the one that was signed is not obeyed."""
    key = probe.given_object()
    body = f"<Delete><Object><Key>{key}</Key></Object></Delete>".encode()
    md5 = md5_base64(body)
    reply = probe.request("POST", probe.path(), "delete=", {"content-md5": md5}, body, payload_hash=_WRONG)
    reply.expect("400", about="DeleteObjects with another body than was signed")
    probe.expect_content(key, CONTENT, about="the object that a false document was to delete")


@check("PAY-03", operation="PutObject")
def unsigned_payload(probe: Probe) -> None:
    """`UNSIGNED-PAYLOAD` is accepted, with a body and without one."""
    path = probe.path(probe.key())
    reply = probe.request("PUT", path, body=CONTENT, payload_hash=UNSIGNED_PAYLOAD)
    reply.expect("200", about=f"PUT with {UNSIGNED_PAYLOAD}")
    reply = probe.request("GET", path, payload_hash=UNSIGNED_PAYLOAD)
    reply.expect("200", about=f"GET with {UNSIGNED_PAYLOAD}")
    probe.expect_content(probe.key(), CONTENT)


@check("PAY-04", operation="PutObject")
def other_tokens_are_refused(probe: Probe) -> None:
    """A PUT whose `x-amz-content-sha256` is no digest and no known token is refused, and stores nothing."""
    for token in _NO_TOKENS:
        reply = probe.request("PUT", probe.path(probe.key()), body=CONTENT, payload_hash=token)
        reply.expect("400 InvalidArgument", about=f"PUT with {_HASH}: {token[:40]}")
    probe.expect_no_object(probe.key(), about="the object of a refused PUT")


@check("PAY-04", operation="GetObject")
def tokens_of_any_method(probe: Probe) -> None:
    """An `x-amz-content-sha256` that is no digest and no known token is refused for any method."""
    key = probe.given_object()
    for method, path, query in (
        ("GET", probe.path(key), ""),
        ("HEAD", probe.path(key), ""),
        ("DELETE", probe.path(key), ""),
        ("GET", probe.path(), "list-type=2&max-keys=1"),
        ("POST", probe.path(probe.key("upload")), "uploads="),
    ):
        reply = probe.request(method, path, query, payload_hash="UNSIGNED-PAYLOADS")
        unoffered = ["501"] if query == "uploads=" else []
        reply.expect("400 InvalidArgument", *unoffered, about=f"{method} with {_HASH}: UNSIGNED-PAYLOADS")
    probe.expect_content(key, CONTENT, about="the object that a refused request was to delete")
