"""Servers broken for the checks of buckets in the host name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from anys3.model import Target
from anys3.protocol import addressing
from anys3.server import tls
from tests.broken_servers import (
    HOST,
    BreakableServer,
    Breakage,
    accepting,
    answering,
    breaks,
    error_answer,
    patched,
    saying,
    when,
)

_parse = addressing.parse
_IN_HOST = b"." + HOST.encode()


def addressed(sentence: str, parse: Callable[[bytes, bytes, tuple[bytes, ...]], Target]) -> Breakage:
    """A server that reads path and Host otherwise."""
    return patched(sentence, "anys3.protocol.addressing.parse", parse)


def refusing(method: bytes, is_refused: Callable[[bytes, bytes], bool], sentence: str, code: str) -> Breakage:
    """A server that refuses some requests to a bucket's host, by path and query."""
    return answering(
        sentence,
        lambda request, _: (
            error_answer(code)
            if request.method == method
            and _IN_HOST in request.headers[b"host"]
            and is_refused(request.path, request.query)
            else None
        ),
    )


BY_PATH_ONLY = addressed("the host is not looked at", lambda path, host, domains: _parse(path, host, ()))

breaks(
    (
        "VH-01/object-operations",
        "VH-01/bucket-operations",
        "VH-01/creation-and-deletion",
        "VH-01/presigned-url",
        "VH-04/missing-bucket",
        "VH-05/whole-path-is-key",
        "VH-05/bucket-name-in-key",
        "VH-05/any-case-and-port",
    ),
    BY_PATH_ONLY,
)
breaks(
    "VH-01/object-operations",
    refusing(b"HEAD", lambda path, _: path != b"/", "HEAD works by path only", "NoSuchBucket"),
)
breaks(
    "VH-01/bucket-operations",
    refusing(
        b"GET", lambda _, query: b"location" in query, "the location is told by path only", "NotImplemented"
    ),
)
breaks(
    "VH-01/creation-and-deletion",
    refusing(b"PUT", lambda path, _: path == b"/", "buckets are created by path only", "MethodNotAllowed"),
)
breaks(
    "VH-01/presigned-url",
    refusing(
        b"GET",
        lambda _, query: b"X-Amz-Signature" in query,
        "presigned URLs are taken as if the bucket stood in the path",
        "SignatureDoesNotMatch",
    ),
)
breaks("VH-01/host-is-signed", accepting("SignatureDoesNotMatch"))


@contextlib.contextmanager
def narrow_certificate(server: BreakableServer) -> Iterator[None]:
    """A certificate for the endpoint's own name only, that the client trusts, too."""
    assert server.context is not None
    trusted = Path(server.ca_file)
    before = trusted.read_bytes()
    folder = trusted.parent / "narrow"
    folder.mkdir(exist_ok=True)
    chain, key = tls.self_signed_files(folder, ["localhost", "127.0.0.1", HOST], datetime.now(UTC))
    try:
        trusted.write_bytes(chain.read_bytes())
        tls.reload(server.context, chain, key)
        yield
    finally:
        trusted.write_bytes(before)
        tls.reload(server.context, trusted, trusted.with_suffix(".key"))


breaks("VH-02/certificate", Breakage("the certificate has no wildcard", narrow_certificate))
breaks(
    "VH-02/dotted-name-by-path",
    answering(
        "a bucket with dots takes no objects by path",
        lambda request, _: (
            error_answer("NoSuchBucket") if b".vhost/" in request.path and when(request, "PUT") else None
        ),
    ),
)
breaks(
    "VH-03/foreign-host",
    addressed(
        "the first label of any host is a bucket",
        lambda path, host, domains: _parse(
            path, host, (*domains, host.partition(b".")[2].partition(b":")[0])
        ),
    ),
)
breaks("VH-04/missing-bucket", saying("NoSuchKey", instead_of="NoSuchBucket", method="GET"))
breaks("VH-04/missing-bucket", accepting("NoSuchBucket", method="PUT"))
breaks("VH-04/missing-bucket", accepting("NoSuchBucket", method="DELETE"))


def without_own_name(path: bytes, host: bytes, domains: tuple[bytes, ...]) -> Target:
    """Drop the bucket's name at the beginning of the path, as if it were addressed twice."""
    target = _parse(path, host, domains)
    if not target.is_virtual_host or target.key is None or target.bucket is None:
        return target
    return target._replace(key=target.key.removeprefix(f"{target.bucket}/".encode()))


def without_folder(path: bytes, host: bytes, domains: tuple[bytes, ...]) -> Target:
    """Take the last two segments of the path for bucket and key."""
    target = _parse(path, host, domains)
    if not target.is_virtual_host or target.key is None:
        return target
    return target._replace(key=target.key.replace(b"/b/k", b"/k"))


breaks("VH-05/bucket-name-in-key", addressed("the bucket's name is cut off the key", without_own_name))
breaks(
    "VH-05/whole-path-is-key",
    addressed("what stands where a bucket would is cut off the key", without_folder),
)
breaks(
    "VH-05/any-case-and-port",
    addressed(
        "host names are compared letter by letter",
        lambda path, host, domains: _parse(path, host, domains if host == host.lower() else ()),
    ),
)
breaks(
    "VH-05/any-case-and-port",
    addressed(
        "the port is part of the name",
        lambda path, host, domains: _parse(path, host, domains if b":" in host else ()),
    ),
)
