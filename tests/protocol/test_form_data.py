"""Forms as browsers send them, cut everywhere, and forms that are none."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from anys3.protocol.form_data import MAX_FIELD_BYTES, FormDecoder, boundary_of
from anys3.spec.errors import S3Error

FILE_HEAD = (
    b'Content-Disposition: form-data; name="file"; filename="C:\\\\dir\\\\a.txt"\r\nContent-Type: text/plain'
)


def form(fields: dict[str, str], content: bytes | None, end: bytes = b"--b--\r\n") -> bytes:
    """Return a form with the boundary `b`."""
    body = b""
    for name, value in fields.items():
        body += f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    if content is not None:
        body += b"--b\r\n" + FILE_HEAD + b"\r\n\r\n" + content + b"\r\n"
    return body + end


def decode(pieces: list[bytes]) -> tuple[FormDecoder, bytes]:
    decoder = FormDecoder(b"b")
    content = b"".join([bytes(view) for piece in pieces for view in decoder.feed(piece)])
    decoder.finish()
    return decoder, content


def refusal(body: bytes) -> str:
    with pytest.raises(S3Error) as caught:
        decode([body])
    return caught.value.code


@pytest.mark.requirement("POST-01", "POST-03")
def test_fields_and_file_are_told_apart() -> None:
    decoder, content = decode(
        [form({"Key": "a/${filename}", "x-amz-meta-A": "\u20ac", "empty": ""}, b"bytes")]
    )
    assert decoder.fields == {"key": "a/${filename}", "x-amz-meta-a": "\u20ac", "empty": ""}
    assert (decoder.file_name, content) == ("a.txt", b"bytes")


@pytest.mark.requirement("POST-01")
@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\n--", b"--", b"a\r\n\r\n--\r\r\n-b\r", b"\r" * 9])
def test_a_form_may_arrive_in_any_pieces(content: bytes) -> None:
    body = form({"key": "k", "empty": ""}, content)
    for cut in range(len(body) + 1):
        decoder, received = decode([body[:cut], body[cut:]])
        assert (decoder.fields, received) == ({"key": "k", "empty": ""}, content)
    assert decode([body[i : i + 1] for i in range(len(body))])[1] == content


@given(st.binary(max_size=80), st.integers(1, 30))
@example(b"\r\n--", 3)
def test_any_file_without_the_boundary_comes_out_as_it_went_in(content: bytes, step: int) -> None:
    assume(b"\r\n--b" not in b"\r\n" + content)
    body = form({"key": "k"}, content)
    assert decode([body[start : start + step] for start in range(0, len(body), step)])[1] == content


@pytest.mark.requirement("POST-09")
def test_a_form_has_exactly_one_file() -> None:
    assert refusal(form({"key": "k"}, None)) == "InvalidArgument"
    assert refusal(b"") == "InvalidArgument"
    two = form({}, b"one", end=b"") + form({}, b"two")
    assert refusal(two) == "IncorrectNumberOfFilesInPostRequest"
    assert decode([form({}, b"one", end=b"") + form({"late": "ignored"}, None)])[0].fields == {}


@pytest.mark.requirement("HTTP-10")
def test_a_file_without_its_end_is_refused() -> None:
    assert refusal(form({"key": "k"}, b"bytes", end=b"")[:-2]) == "IncompleteBody"


@pytest.mark.requirement("POST-11")
@pytest.mark.known_mistake(39)
def test_fields_beyond_20_kib_are_refused_before_they_are_complete() -> None:
    """CVE-2018-1000538: a form without an end filled the server's memory."""
    assert decode([form({"key": "x" * 19_000}, b"y" * 100_000)])[1] == b"y" * 100_000
    assert refusal(form({"key": "x" * 21_000}, b"y")) == "MaxPostPreDataLengthExceededError"
    decoder = FormDecoder(b"b")
    with pytest.raises(S3Error, match="MaxPostPreDataLengthExceededError"):
        decoder.feed(b"x" * (MAX_FIELD_BYTES + 1))
    assert refusal(form({}, b"f", end=b"") + form({"late": "x" * 21_000}, None)) == (
        "MaxPostPreDataLengthExceededError"
    )


@pytest.mark.requirement("POST-09")
@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: text/plain",
        b"Content-Disposition: form-data",
        b"Content-Disposition: form-data; name=x\xff",
        b"Content-Disposition: form-data; name=x\r\n--b\r\nContent-Disposition: form-data; name=y",
    ],
)
def test_a_part_without_a_readable_name_is_refused(head: bytes) -> None:
    body = b"--b\r\n" + head + b"\r\n\r\nvalue\r\n--b--\r\n"
    assert refusal(body) in {"MalformedPOSTRequest", "InvalidArgument"}


@pytest.mark.requirement("POST-10")
@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        (b"", "PreconditionFailed"),
        (b"application/x-www-form-urlencoded; boundary=b", "PreconditionFailed"),
        (b"multipart/mixed; boundary=b", "PreconditionFailed"),
        (b"multipart/form-data", "MalformedPOSTRequest"),
        (b"multipart/form-data; boundary=", "MalformedPOSTRequest"),
        (b"multipart/form-data; boundary=" + b"b" * 71, "MalformedPOSTRequest"),
    ],
)
def test_what_is_no_form_is_refused(content_type: bytes, code: str) -> None:
    with pytest.raises(S3Error, match=code):
        boundary_of(content_type)


def test_the_boundary_may_be_quoted() -> None:
    assert boundary_of(b'Multipart/Form-Data; charset=utf-8; Boundary="a b"') == b"a b"
    assert boundary_of(b"multipart/form-data; boundary=----WebKitFormBoundaryX") == b"----WebKitFormBoundaryX"


@pytest.mark.requirement("POST-11")
@pytest.mark.known_mistake(39)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (form({"a": "x" * 30_000}, b"f"), "MaxPostPreDataLengthExceededError"),
        (form({}, None) + b"x" * 30_000, "InvalidArgument"),
        (form({}, b"f") + b"x" * 30_000, ""),
        (form({}, b"f", end=b"--b\r\n" + b"x" * 30_000 + b"\r\n--b--"), "MaxPostPreDataLengthExceededError"),
        (
            form({"a": "x" * 20_400, "b": "?"}, b"f").replace(b"?", b"\xff"),
            "MaxPostPreDataLengthExceededError",
        ),
    ],
    ids=["fields", "no file", "epilogue", "behind the file", "two reasons"],
)
def test_a_form_is_refused_for_where_its_bytes_stand_and_not_for_how_they_were_cut(
    body: bytes, code: str
) -> None:
    """An epilogue of 30 KiB was refused if it came in one piece with the end of the form, else not."""
    for step in (len(body), 5_000, 100):
        pieces = [body[at : at + step] for at in range(0, len(body), step)]
        try:
            decode(pieces)
        except S3Error as error:
            assert error.code == code
        else:
            assert code == ""


@pytest.mark.requirement("POST-11")
@pytest.mark.known_mistake(39)
def test_thousands_of_fields_are_not_copied_for_each_of_them() -> None:
    """A body of 1 MiB that came in one piece was copied for each field: a worker was busy for half a second."""

    class Counted(FormDecoder):
        looked = 0

        def _next_part(self, held: bytes, position: int) -> tuple[bytes, int] | None:
            self.looked += 1
            return super()._next_part(held, position)

    decoder = Counted(b"b")
    with pytest.raises(S3Error, match="MaxPostPreDataLengthExceeded"):
        decoder.feed(b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n" * 20_000)
    assert decoder.looked <= MAX_FIELD_BYTES // 40
