"""Requests as the shell would hand them over, and the least request of every operation."""

from __future__ import annotations

from dataclasses import dataclass

from anys3.model import Target
from anys3.protocol.http import Request
from anys3.server.bodies import EmptyBody
from anys3.spec import catalogue

SERVICE = Target(None, None)
BUCKET = Target("photos", None)
OBJECT = Target("photos", b"a/b")
TARGETS = {"service": SERVICE, "bucket": BUCKET, "object": OBJECT, "any": OBJECT}


def a_request(method: bytes, headers: dict[bytes, bytes] | None = None) -> Request:
    """Return a request without a body."""
    return Request(method, b"/photos", b"/photos", b"", dict(headers or {}), EmptyBody(), "4711")


@dataclass(frozen=True, slots=True)
class Least:
    """What the router looks at in the least request of an operation."""

    operation: catalogue.Operation
    method: bytes
    target: Target
    query: dict[str, str]
    headers: dict[bytes, bytes]


_VALUES = {"list-type": "2", "partNumber": "1", "uploadId": "1"}


def least(operation: catalogue.Operation) -> Least:
    """Return the least request that asks for an operation."""
    query = {}
    headers = {}
    for selector in operation.selectors:
        if selector.startswith("header:"):
            name, _, value = selector.removeprefix("header:").partition("=")
            headers[name.encode()] = (value or "photos/a").encode()
        else:
            name = selector.partition("=")[0]
            query[name] = _VALUES.get(name, "")
    return Least(operation, operation.method.encode(), TARGETS[operation.resource], query, headers)


EVERY = tuple(least(operation) for operation in catalogue.operations().values())
EVERY_NAME = [one.operation.name for one in EVERY]
