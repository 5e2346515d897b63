"""PutObject: PUT-01 to PUT-12."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import time

from anys3.client.connections import ExchangeError
from anys3.client.signing import UNSIGNED_PAYLOAD
from anys3.conformance.digests import md5_etag
from anys3.conformance.outcomes import Failed, Skipped
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_ETAG_OF_NOTHING = '"d41d8cd98f00b204e9800998ecf8427e"'
_MOST_BYTES = 5 << 30
_PATIENCE_S = 3.0
"""How long a server that was told of a large body may take to refuse it; not a measure of anything else."""
_EFFECT_S = 0.4
"""For half a body to be received, and for the loss of the rest to have an effect, if it has any."""
_BLOCK = bytes(range(251))
_CONTENT_HEADERS = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "max-age=60, no-transform",
    "content-disposition": 'attachment; filename="report 1.txt"',
    "content-language": "de, en",
    "expires": "Thu, 01 Dec 2044 16:00:00 GMT",
}
_REFUSALS = ("501 NotImplemented", "400 InvalidStorageClass", "400 InvalidArgument", "400 InvalidRequest")
_OTHER_CLASSES = ("REDUCED_REDUNDANCY", "STANDARD_IA")


@check("PUT-01", operation="PutObject", quick=True)
def success(probe: Probe) -> None:
    """A PUT answers 200 with an ETag and an empty body."""
    reply = probe.put(probe.key()).expect("200", about="PUT of a small object")
    require(reply.etag, "PUT of a small object: expected an ETag, got an empty one")
    equal(reply.body, b"", "the body of the answer to a PUT")


@check("PUT-02", operation="PutObject")
def etag_is_md5(probe: Probe) -> None:
    """The ETag of an object put in one request is the MD5 of its content, in quotes and lower case."""
    expected = md5_etag(CONTENT)
    reply = probe.put(probe.key()).expect("200")
    _skip_if_encrypted(reply)
    equal(reply.etag, expected, "the ETag in the answer to a PUT")
    equal(probe.get(probe.key()).expect("200").etag, expected, "the ETag in the answer to a GET")


@check("PUT-03", operation="PutObject")
def zero_bytes(probe: Probe) -> None:
    """An object of zero bytes is stored, and its ETag is the MD5 of nothing."""
    reply = probe.put(probe.key(), b"").expect("200", about="PUT of zero bytes")
    _skip_if_encrypted(reply)
    equal(reply.etag, _ETAG_OF_NOTHING, "the ETag of zero bytes")
    probe.expect_content(probe.key(), b"", about="GET of zero bytes")


@check("PUT-04", operation="PutObject")
def five_gib_announced(probe: Probe) -> None:
    """A PUT that announces exactly 5 GiB is not refused for its size."""
    reply = _announce(probe, probe.key(), _MOST_BYTES)
    if reply is not None:
        reply.expect("100", about=f"PUT that announces {_MOST_BYTES} bytes, the most that is allowed")


@check("PUT-04", operation="PutObject")
def several_megabytes(probe: Probe) -> None:
    """An object of some megabytes is stored by one PUT."""
    body = _BLOCK * (3 * 1024 * 1024 // len(_BLOCK) + 1)
    probe.put(probe.key(), body).expect("200", about=f"PUT of {len(body)} bytes")
    probe.expect_content(probe.key(), body, about=f"GET of {len(body)} bytes")


@check("PUT-05", operation="PutObject")
def more_than_five_gib(probe: Probe) -> None:
    """A PUT of more than 5 GiB is refused with EntityTooLarge, and the object that was there stays."""
    key = probe.given_object(body=CONTENT)
    reply = _announce(probe, key, _MOST_BYTES + 1, is_final=True)
    tried = f"PUT that announces {_MOST_BYTES + 1} bytes, one more than 5 GiB"
    if reply is None:
        raise Failed(f"{tried}: expected 400 EntityTooLarge, got no refusal")
    reply.expect("400 EntityTooLarge", about=tried)
    probe.expect_content(key, CONTENT, about="the object that was there before a PUT that is too large")


@check("PUT-06", operation="PutObject")
def overwrite_replaces_all(probe: Probe) -> None:
    """Overwriting an object replaces its content, its headers and its metadata together."""
    old = {"cache-control": "no-cache", "content-type": "text/old", "x-amz-meta-old": "1"}
    new = {"content-language": "de", "x-amz-meta-new": "2"}
    key = probe.given_object(body=b"the old content, which is longer", headers=old)
    probe.put(key, b"new", new).expect("200", about="PUT over an object")
    reply = probe.expect_content(key, b"new", about="the object after it was overwritten")
    for name in ("cache-control", "x-amz-meta-old"):
        equal(reply.header(name), None, f"{name}, which only the old object had, after an overwrite")
    for name, value in new.items():
        equal(reply.header(name), value, f"{name} of the new object")
    require(
        reply.header("content-type") != "text/old",
        "content-type after an overwrite without one: expected the default, got that of the old object",
    )


@check("PUT-07", operation="PutObject")
def default_content_type(probe: Probe) -> None:
    """An object put without a Content-Type is served as binary/octet-stream."""
    key = probe.shared_object()
    reply = probe.get(key).expect("200")
    equal(reply.header("content-type"), "binary/octet-stream", "content-type of an object put without one")


@check("PUT-08", operation="PutObject")
def content_headers(probe: Probe) -> None:
    """The content headers of a PUT come back with GET and HEAD as they were sent."""
    key = probe.key()
    probe.put(key, headers=_CONTENT_HEADERS).expect("200", about="PUT with content headers")
    for reply in (probe.get(key).expect("200"), probe.head(key).expect("200")):
        for name, value in _CONTENT_HEADERS.items():
            equal(reply.header(name), value, f"{name} of {reply.exchange.method}")


@check("PUT-08", operation="PutObject")
def content_encoding(probe: Probe) -> None:
    """A Content-Encoding is stored and returned as it was sent."""
    key = probe.key()
    body = gzip.compress(CONTENT, mtime=0)
    probe.put(key, body, {"content-encoding": "gzip"}).expect("200", about="PUT with Content-Encoding: gzip")
    reply = probe.get(key, {"accept-encoding": "gzip"}).expect("200")
    equal(reply.header("content-encoding"), "gzip", "content-encoding of GET")
    equal(probe.head(key).expect("200").header("content-encoding"), "gzip", "content-encoding of HEAD")


@check("PUT-09", operation="PutObject")
def user_metadata(probe: Probe) -> None:
    """User metadata in ASCII comes back with GET and HEAD as it was sent."""
    key = probe.key()
    sent = {"x-amz-meta-colour": "deep blue; #00f", "x-amz-meta-mtime": "1700000000.123456789"}
    probe.put(key, headers=sent).expect("200", about="PUT with user metadata")
    for reply in (probe.get(key).expect("200"), probe.head(key).expect("200")):
        for name, value in sent.items():
            equal(reply.header(name), value, f"{name} of {reply.exchange.method}")


@check("PUT-10", operation="PutObject")
def missing_bucket(probe: Probe) -> None:
    """A PUT into a bucket that does not exist answers NoSuchBucket."""
    reply = probe.request("PUT", probe.path(probe.key(), probe.missing_bucket), body=CONTENT)
    reply.expect("404 NoSuchBucket", about="PUT into a missing bucket")


@check("PUT-11", operation="PutObject")
def lost_connection_keeps_object(probe: Probe) -> None:
    """When the connection is lost in mid-body, the object that was there stays as it was."""
    key = probe.given_object(body=CONTENT)
    etag = probe.head(key).expect("200").etag
    _put_half(probe, key)
    reply = probe.expect_content(key, CONTENT, about="the object after an overwrite that was cut off")
    equal(reply.etag, etag, "the ETag after an overwrite that was cut off")


@check("PUT-11", operation="PutObject")
def lost_connection_leaves_nothing(probe: Probe) -> None:
    """When the connection is lost in mid-body, a key that was absent stays absent."""
    key = probe.key()
    _put_half(probe, key)
    probe.expect_no_object(key, about="the key of a PUT that was cut off")
    found = probe.list_keys().expect("200").texts("Contents/Key")
    equal(found, [], "the keys that are listed after a PUT was cut off")


@check("PUT-12", operation="PutObject")
def standard_class(probe: Probe) -> None:
    """The storage class STANDARD is accepted."""
    reply = probe.put(probe.key(), headers={"x-amz-storage-class": "STANDARD"})
    reply.expect("200", about="PUT with x-amz-storage-class: STANDARD")
    probe.expect_content(probe.key(), CONTENT)


@check("PUT-12", operation="PutObject")
def unknown_class(probe: Probe) -> None:
    """A storage class that S3 does not have is refused with InvalidStorageClass, and nothing is stored."""
    reply = probe.put(probe.key(), headers={"x-amz-storage-class": "FAKE_CLASS"})
    reply.expect("400 InvalidStorageClass", about="PUT with x-amz-storage-class: FAKE_CLASS")
    probe.expect_no_object(probe.key(), about="the key of a PUT with an unknown storage class")


@check("PUT-12", operation="PutObject")
def other_classes(probe: Probe) -> None:
    """Another storage class of S3 is kept and listed as such, or refused."""
    for name in _OTHER_CLASSES:
        key = probe.key(name)
        reply = probe.put(key, headers={"x-amz-storage-class": name})
        about = f"PUT with x-amz-storage-class: {name}"
        reply.expect("200", *_REFUSALS, about=about)
        if reply.status == 200:
            listed = probe.list_keys(("prefix", key)).expect("200")
            equal(listed.text("Contents/StorageClass"), name, f"the StorageClass listed after a {about}")
        else:
            probe.expect_no_object(key, about=f"the key of a refused {about}")


def _skip_if_encrypted(reply: Reply) -> None:
    """Skip where the bucket encrypts by default with keys of a key service: ETags are then no MD5."""
    if (reply.header("x-amz-server-side-encryption") or "").startswith("aws:kms"):
        raise Skipped("needs a bucket that does not encrypt with KMS by default: ETags are no MD5 there")


def _announce(probe: Probe, key: str, size: int, *, is_final: bool = False) -> Reply | None:
    """Return the first answer to the head of a PUT of that size, None if the server waits for the body.

    With `is_final`, a `100 Continue` is passed over. The body is never sent; the connection is dropped.
    """
    digest = hashlib.sha256(b"a body that is never sent").hexdigest()
    lines = {"content-length": str(size), "expect": "100-continue"}
    draft = probe.draft("PUT", probe.path(key), payload_hash=digest, unsigned=lines)
    return probe.send_head(draft, _PATIENCE_S, is_final=is_final)


def _put_half(probe: Probe, key: str) -> None:
    """Send the head and half the body of a PUT, and lose the connection.

    `Expect` lets the server say that it has begun to receive: what is lost before is no lost body.
    """
    body = _BLOCK * 4000
    lines = {"content-length": str(len(body)), "expect": "100-continue"}
    draft = probe.draft("PUT", probe.path(key), payload_hash=UNSIGNED_PAYLOAD, unsigned=lines)
    probe.will_create(key)
    with probe.connect() as connection, contextlib.suppress(ExchangeError):
        connection.send(draft.head)
        connection.read_more(_PATIENCE_S)
        connection.send(body[: len(body) // 2])
        connection.read_more(_EFFECT_S)
        connection.end_sending()
        while connection.read_more(_PATIENCE_S):
            pass
    time.sleep(_EFFECT_S)
