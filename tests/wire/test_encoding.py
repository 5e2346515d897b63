"""Answers are well-formed and say what S3 says."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol.http import Answer, Request
from anys3.spec import catalogue
from anys3.spec.errors import ERRORS, S3Error
from anys3.wire.encoding import encode, encode_error, xml_answer
from tests.wire.requests import a_request

GET = a_request(b"GET")
HEAD = a_request(b"HEAD")


def document(answer: Answer) -> ET.Element:
    """Return the root of an answer's document."""
    assert isinstance(answer.body, bytes)
    return ET.fromstring(answer.body.decode())


@pytest.mark.requirement("ERR-01", "HTTP-05", "HTTP-19")
def test_an_error_is_a_document_without_namespace() -> None:
    answer = encode_error(S3Error("NoSuchKey", Key="a<b>&\r\n"), GET)
    root = document(answer)
    assert (answer.status, answer.headers) == (404, b"Content-Type: application/xml\r\n")
    assert [(one.tag, one.text) for one in root] == [
        ("Code", "NoSuchKey"),
        ("Message", "The key does not exist."),
        ("Key", "a<b>&\r\n"),
        ("RequestId", "4711"),
    ]
    assert (root.tag, answer.body[:38]) == ("Error", b'<?xml version="1.0" encoding="UTF-8"?>')


@given(st.text(), st.text())
def test_whatever_an_error_quotes_its_document_is_well_formed(message: str, key: str) -> None:
    root = document(encode_error(S3Error("NoSuchKey", message or None, Key=key), GET))
    assert root.findtext("Code") == "NoSuchKey"


@pytest.mark.requirement("HTTP-04")
@pytest.mark.parametrize("code", sorted(ERRORS))
def test_an_answer_to_head_never_has_a_body(code: str) -> None:
    answer = encode_error(S3Error(code), HEAD)
    assert (answer.status, answer.body) == (ERRORS[code].status, b"")


@pytest.mark.requirement("HTTP-04", "CONDR-07")
def test_not_modified_has_no_body_and_keeps_its_headers() -> None:
    error = S3Error("NotModified")
    error.headers = b'ETag: "e"\r\n'
    answer = encode_error(error, GET)
    assert (answer.status, answer.body, answer.headers) == (304, b"", b'ETag: "e"\r\n')


def test_an_errors_headers_and_its_wish_to_close_reach_the_answer() -> None:
    error = S3Error("InvalidRange")
    error.headers = b"Content-Range: bytes */9\r\n"
    error.must_close = True
    answer = encode_error(error, GET)
    assert answer.headers == b"Content-Type: application/xml\r\nContent-Range: bytes */9\r\n"
    assert answer.must_close


@pytest.mark.known_mistake(42)
def test_what_is_for_the_log_is_not_told() -> None:
    answer = encode_error(S3Error("AccessDenied", log="the secret is hunter2"), GET)
    assert isinstance(answer.body, bytes)
    assert b"hunter2" not in answer.body + answer.headers


def test_nobody_can_set_the_request_id_of_an_error() -> None:
    root = document(encode_error(S3Error("NoSuchKey", RequestId="forged"), GET))
    assert [one.text for one in root.iter("RequestId")] == ["4711"]


@pytest.mark.requirement("HTTP-19")
@pytest.mark.parametrize("body", ["<Name>é</Name>", "<Name>é</Name>".encode()])
def test_a_document_is_in_the_namespace_of_s3(body: str | bytes) -> None:
    answer = xml_answer(200, "ListBucketResult", body, b"X: y\r\n")
    root = document(answer)
    assert root.tag == "{http://s3.amazonaws.com/doc/2006-03-01/}ListBucketResult"
    assert root[0].text == "é"
    assert answer.headers == b"Content-Type: application/xml\r\nX: y\r\n"


def test_an_answer_passes_through_and_none_is_the_status_of_success() -> None:
    operation = catalogue.operations()["DeleteObject"]
    answer = Answer(200, b"", b"x")
    assert encode(operation, answer) is answer
    assert encode(operation, None) == Answer(204)


@pytest.mark.requirement("HTTP-23")
@pytest.mark.parametrize("request_", [GET, HEAD])
def test_only_what_may_work_later_says_when(request_: Request) -> None:
    busy, broken = (encode_error(S3Error(code), request_) for code in ("SlowDown", "InternalError"))
    assert b"Retry-After: 1\r\n" in busy.headers
    assert b"Retry-After" not in broken.headers
