"""No silent fall-through, no silent ignore: every name of botocore's S3 model, sent to every operation."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from anys3.spec import catalogue
from tests.exemplars import Exemplar, Scene
from tests.keepalive import KeepAlive
from tests.rawclient import RawClient, Response

OPERATIONS = sorted(catalogue.operations())
SIGNED_OPERATIONS = [name for name in OPERATIONS if name != "CorsPreflight"]
"""A preflight asks about a URL: it carries no signature and no header but its own, and does nothing."""

IGNORED = {
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "x-amz-user-agent",
    "x-amz-checksum-mode",
    "x-amz-request-payer",
    "x-amz-te",
    "x-amz-optional-object-attributes",
    "x-amz-bypass-governance-retention",
    "x-amz-cf-id",
    "x-amz-api-version",
}
"""HTTP-16 and HTTP-27, whatever they say."""
WITHOUT_MEANING_HERE = {
    "cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires",
    "content-length", "content-md5", "range", "if-modified-since",
    "x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm",
}  # fmt: skip
"""Describe a message or a body (HTTP), or are verified as part of one (PAY); other tests hold them."""
CONDITIONS = {"if-match", "if-none-match", "if-unmodified-since"}
"""Of a read of what has no validator they mean nothing; of a write they are never ignored."""
VALUES = {
    "x-amz-acl": "public-read",
    "x-amz-storage-class": "GLACIER",
    "x-amz-object-ownership": "ObjectWriter",
    "x-amz-bucket-object-lock-enabled": "true",
    "x-amz-server-side-encryption-bucket-key-enabled": "true",
    "x-amz-bucket-namespace": "account-regional",
    "x-amz-checksum-type": "COMPOSITE",
}
"""Values that ask for behaviour; for all others any value does."""


@functools.cache
def model() -> Any:
    """Return botocore's model of S3."""
    return botocore.session.get_session().get_service_model("s3")


@functools.cache
def model_headers() -> tuple[str, ...]:
    """Return every request header of the model."""
    found = set()
    for name in model().operation_names:
        shape = model().operation_model(name).input_shape
        members = shape.members.values() if shape is not None else ()
        found |= {
            member.serialization["name"].lower()
            for member in members
            if member.serialization.get("location") == "header"
        }
    return tuple(sorted(found))


@functools.cache
def model_subresources() -> tuple[str, ...]:
    """Return every sub-resource of the model: what stands in a request URI."""
    uris = (model().operation_model(name).http["requestUri"] for name in model().operation_names)
    queries = (uri.partition("?")[2] for uri in uris)
    return tuple(
        sorted({item.partition("=")[0] for query in queries for item in query.split("&") if item} - {"x-id"})
    )


def answered(wire: KeepAlive, scene: Scene, exemplar: Exemplar, extra_query: str = "") -> Response:
    """Send an exemplar; whatever it changed is made good."""
    response = wire.exchange(exemplar.render(scene.s3, extra_query), exemplar.method)
    if response.status < 400 and exemplar.method not in ("GET", "HEAD"):
        scene.prepare()
    return response


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


@pytest.mark.requirement("HTTP-03")
def test_the_exemplars_are_of_all_operations_and_succeed(scene: Scene, wire: KeepAlive) -> None:
    assert sorted(one.operation for one in scene.exemplars()) == OPERATIONS
    verdicts = {name: answered(wire, scene, scene.exemplar(name)).status for name in OPERATIONS}
    assert verdicts == {one.operation: one.status for one in scene.exemplars()}


def test_the_model_has_the_names_that_the_catalogue_counts() -> None:
    assert len(model_headers()) >= 130
    assert len(model_subresources()) >= 38


def is_allowed_to_be_ignored(operation: catalogue.Operation, header: str) -> bool:
    """Whether an operation may answer as if a header had not been sent."""
    is_bodiless = operation.body == "none"
    if (
        header in IGNORED
        or header in WITHOUT_MEANING_HERE
        or any(one.wire == header for one in operation.input)
    ):
        return True
    if header.startswith("x-amz-checksum-"):
        return is_bodiless
    return header in CONDITIONS and not operation.is_write


@pytest.mark.requirement("HTTP-14", "HTTP-15", "HTTP-16", "PAY-13")
@pytest.mark.known_mistake(37)
@pytest.mark.parametrize("name", SIGNED_OPERATIONS)
def test_no_operation_ignores_a_header_silently(scene: Scene, wire: KeepAlive, name: str) -> None:
    """CVE-2026-34204 (MinIO) and others: headers that nobody should send were obeyed, or dropped."""
    operation = catalogue.operations()[name]
    exemplar = scene.exemplar(name)
    asking = [header for header in model_headers() if not is_allowed_to_be_ignored(operation, header)]
    before = scene.state()
    answers = {
        header: answered(wire, scene, exemplar.with_headers(**{header: VALUES.get(header, "1")}))
        for header in asking
    }
    silent = {
        header: answer.verdict for header, answer in answers.items() if answer.status not in (400, 403, 501)
    }
    unnamed = [
        header
        for header, answer in answers.items()
        if answer.code == "NotImplemented" and answer.text("Header") != header
    ]
    assert len(asking) > 60
    assert (silent, unnamed) == ({}, [])
    assert scene.state() == before


@pytest.mark.requirement("HTTP-16", "HTTP-27")
@pytest.mark.parametrize("name", [name for name in SIGNED_OPERATIONS if name != "PostObject"])
def test_every_operation_ignores_what_asks_for_nothing(scene: Scene, wire: KeepAlive, name: str) -> None:
    operation = catalogue.operations()[name]
    harmless = sorted(header for header in IGNORED if not any(one.wire == header for one in operation.input))
    verdicts = {
        header: answered(wire, scene, scene.exemplar(name).with_headers(**{header: "1"})).status
        for header in harmless
    }
    assert verdicts == dict.fromkeys(harmless, scene.exemplar(name).status)


@pytest.mark.requirement("HTTP-14")
@pytest.mark.parametrize("name", SIGNED_OPERATIONS)
def test_no_operation_falls_through_with_a_foreign_subresource(
    scene: Scene, wire: KeepAlive, name: str
) -> None:
    exemplar = scene.exemplar(name)
    here = {query for query, _ in exemplar.query}
    foreign = [
        query
        for query in model_subresources()
        if query not in here and not any(one.wire == query for one in catalogue.operations()[name].input)
    ]
    theirs = {
        (one.method, re.sub("/[^/]+", "/x", one.path), query)
        for one in scene.exemplars()
        for query, _ in one.query
    }
    place = exemplar.method, re.sub("/[^/]+", "/x", exemplar.path)
    refused = [
        query for query in foreign if exemplar.query or exemplar.headers or (*place, query) not in theirs
    ]
    before = scene.state()
    verdicts = {query: answered(wire, scene, exemplar, query).status for query in refused}
    assert {query: status for query, status in verdicts.items() if status not in (400, 405, 501)} == {}
    assert len(refused) > 25
    assert scene.state() == before


@pytest.mark.requirement("HTTP-14")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/{bucket}", "/{bucket}/k"])
def test_a_subresource_that_is_not_implemented_is_501(
    scene: Scene, wire: KeepAlive, method: str, path: str
) -> None:
    known = {query for one in scene.exemplars() for query, _ in one.query}
    unknown = [query for query in model_subresources() if query not in known]
    before = scene.state()
    target = path.format(bucket=scene.bucket)
    verdicts = {
        f"{query}{value}": answered(wire, scene, Exemplar("", method, target), f"{query}{value}").verdict
        for query in unknown
        for value in ("", "=", "=1")
    }
    code = "" if method == "HEAD" else "NotImplemented"
    assert set(verdicts.values()) == {(501, code)}
    assert scene.state() == before
