"""Every name of the public S3 model, sent to every operation: acted on, ignored on purpose, or refused.

What happens is read off the outcome and compared with what the catalogue says in words, so that neither the
router nor the binder can drop a name that asks for something.
"""

from __future__ import annotations

import pytest

from anys3.spec import catalogue
from anys3.spec.errors import S3Error
from anys3.wire.binding import bind
from anys3.wire.routing import Router
from tests.wire.requests import EVERY, EVERY_NAME, Least, a_request

ROUTER = Router()
HEADERS = catalogue.headers()
QUERY_NAMES = catalogue.query_names()
MODEL_HEADERS = sorted(name for name, header in HEADERS.items() if header.in_model)
MODEL_NAMES = sorted(name for name, row in QUERY_NAMES.items() if row.in_model)
PREFLIGHT = "CorsPreflight"


def outcome(one: Least, headers: dict[bytes, bytes], query: dict[str, str]) -> tuple[str, dict[str, object]]:
    """Return the operation that a request reaches and what it binds, or the code and no input."""
    try:
        operation = ROUTER.resolve(one.method, one.target, query, headers)
        return operation.name, vars(bind(operation, a_request(one.method, headers), query))
    except S3Error as error:
        assert 400 <= error.status < 500 or error.code == "NotImplemented"
        return "refused", dict(error.details)


def is_ignored_on_purpose(header: catalogue.Header, operation: catalogue.Operation) -> bool:
    """Return whether the catalogue lets the operation do nothing about a header, and why it may."""
    if operation.name == PREFLIGHT or header.layer:
        return True
    allowed = {
        "refused-on-writes": not operation.is_write,
        "refused-with-body": operation.body == "none",
        "refused": False,
        "ignored": True,
    }
    if header.kind == "refused":
        return header.when == "body" and operation.body == "none"
    return header.kind == "ignored" or (header.kind == "acted" and allowed[header.elsewhere])


def ignores_header(one: Least, name: str) -> bool:
    """Return whether an operation ignores a header for no reason that the catalogue gives."""
    plain, before = outcome(one, one.headers, one.query)
    found, after = outcome(one, one.headers | {name.encode(): b"some-value"}, one.query)
    is_acted_on = found == plain and after != before
    is_selector = any(name in selector for selector in one.operation.selectors)
    if found != plain or is_acted_on or is_selector:
        return False
    return not is_ignored_on_purpose(HEADERS[name], one.operation)


@pytest.mark.requirement("HTTP-15", "HTTP-16")
@pytest.mark.parametrize("one", EVERY, ids=EVERY_NAME)
def test_no_request_header_of_s3_is_silently_ignored(one: Least) -> None:
    assert [name for name in MODEL_HEADERS if ignores_header(one, name)] == []


@pytest.mark.requirement("HTTP-15")
def test_every_header_that_is_ignored_has_a_reason() -> None:
    silent = [
        header.name
        for header in HEADERS.values()
        if (header.kind == "ignored" or header.elsewhere in {"ignored", "refused-on-writes"})
        and not header.reason
    ]
    assert silent == []


def ignores_parameter(one: Least, name: str, value: str) -> bool:
    """Return whether an operation ignores a query name for no reason that the catalogue gives."""
    row = QUERY_NAMES[name]
    plain, before = outcome(one, one.headers, one.query)
    found, after = outcome(one, one.headers, {name: value} | one.query)
    is_acted_on = found == plain and (
        after != before or name in {member.wire for member in one.operation.input}
    )
    if found != plain or is_acted_on or name in one.query or one.operation.name == PREFLIGHT:
        return False
    return row.is_subresource or row.elsewhere != "ignored"


@pytest.mark.requirement("HTTP-14", "HTTP-16")
@pytest.mark.parametrize("value", ["", "1"])
@pytest.mark.parametrize("one", EVERY, ids=EVERY_NAME)
def test_no_query_name_of_s3_is_silently_ignored(one: Least, value: str) -> None:
    assert [name for name in MODEL_NAMES if ignores_parameter(one, name, value)] == []


@pytest.mark.requirement("HTTP-14")
@pytest.mark.parametrize("one", EVERY, ids=EVERY_NAME)
def test_a_sub_resource_never_runs_the_operation_without_it(one: Least) -> None:
    unselected = [
        row.name for row in QUERY_NAMES.values() if row.is_subresource and row.name not in one.query
    ]
    reached = {
        name
        for name in unselected
        if outcome(one, one.headers, one.query | {name: ""})[0] == one.operation.name
    }
    assert reached == (set(unselected) if one.operation.name == PREFLIGHT else set())
