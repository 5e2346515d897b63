"""Content headers and user metadata: from a request to the header lines that are stored and sent back.

Lines have the form `Name: value`, each ending in CRLF. No value that comes in can add one.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from quopri import decodestring

from anys3.spec.errors import S3Error

MAX_BYTES = 2048
PREFIX = b"x-amz-meta-"
DEFAULT_CONTENT_TYPE = b"binary/octet-stream"

_CONTENT_HEADERS = (
    (b"cache-control", b"Cache-Control: %b\r\n"),
    (b"content-disposition", b"Content-Disposition: %b\r\n"),
    (b"content-language", b"Content-Language: %b\r\n"),
    (b"expires", b"Expires: %b\r\n"),
)
_CANONICAL = {
    name.lower(): name
    for name in (
        b"Cache-Control",
        b"Content-Disposition",
        b"Content-Encoding",
        b"Content-Language",
        b"Content-Type",
        b"Expires",
    )
}
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CONTROL_TEXT = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]*")
_PRINTABLE = re.compile(rb"[\x20-\x7e]+")

# RFC 2047
_WORD = re.compile(rb"=\?(utf-8|us-ascii|iso-8859-1)\?([bq])\?([!->@-~]*)\?=", re.IGNORECASE)
_WORDS = re.compile(rb"=\?[^?\s]+\?[bq]\?[!->@-~]*\?=(?:\s+=\?[^?\s]+\?[bq]\?[!->@-~]*\?=)*", re.IGNORECASE)
_BYTES_IN_WORD = 45
"""60 base64 digits and the frame stay within the 75 characters of a word."""


def stored_lines(content_headers: Mapping[bytes, bytes], metadata: Mapping[bytes, bytes]) -> bytes:
    """Return the lines that `Entry.stored` holds.

    `content_headers` has lower-case names; what is no content header is left alone, so that all headers of
    a request may be given. An absent or empty Content-Type becomes binary/octet-stream (PUT-07);
    `aws-chunked` leaves Content-Encoding (PAY-10); the rest stays as sent (PUT-08). `metadata` maps names
    without `x-amz-meta-` to values: names become lower case (META-01), empty values stay (META-04), bytes
    outside ASCII become RFC 2047 words (META-05), and such words of ASCII text that text (META-07).

    Raises S3Error:
        InvalidArgument: control characters in a value, or a name that is no header name.
        MetadataTooLarge: names and values of the metadata, as sent, exceed 2 KB (META-02).
    """
    if not metadata and _CANONICAL.keys().isdisjoint(content_headers):
        return b"Content-Type: %b\r\n" % DEFAULT_CONTENT_TYPE
    content_type = content_headers.get(b"content-type") or DEFAULT_CONTENT_TYPE
    lines = [b"Content-Type: %b\r\n" % content_type]
    for name, line in _CONTENT_HEADERS:
        value = content_headers.get(name)
        if value:
            lines.append(line % value)
    encoding = content_headers.get(b"content-encoding")
    if encoding:
        encoding = without_aws_chunked(encoding)
        if encoding:
            lines.append(b"Content-Encoding: %b\r\n" % encoding)
    if _CONTROL.search(b"".join([line[:-2] for line in lines])):
        raise S3Error("InvalidArgument", "A content header holds control characters.")
    if metadata:
        lines.extend(_metadata_lines(metadata))
    return b"".join(lines)


def of_headers(headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the user metadata among headers (lower-case names), by names without `x-amz-meta-`."""
    start = len(PREFIX)
    return {name[start:]: value for name, value in headers.items() if name.startswith(PREFIX)}


def without_aws_chunked(content_encoding: bytes) -> bytes:
    """Return a Content-Encoding without `aws-chunked`; the others stay in order; b"" if none is left.

    >>> without_aws_chunked(b"aws-chunked, gzip")
    b'gzip'
    """
    if b"aws-chunked" not in content_encoding.lower():
        return content_encoding
    codings = [coding.strip() for coding in content_encoding.split(b",")]
    return b", ".join([coding for coding in codings if coding and coding.lower() != b"aws-chunked"])


def _metadata_lines(metadata: Mapping[bytes, bytes]) -> Iterable[bytes]:
    size = sum(map(len, metadata)) + sum(map(len, metadata.values()))
    if size > MAX_BYTES:
        raise S3Error("MetadataTooLarge", Size=str(size), MaxSizeAllowed=str(MAX_BYTES))
    for sent_name, value in metadata.items():
        name = sent_name.lower()
        if not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise S3Error(
                "InvalidArgument",
                "A metadata name must be a header name, and its value must not hold control characters.",
                ArgumentName=(PREFIX + name).decode("utf-8", "replace"),
            )
        yield b"x-amz-meta-%b: %b\r\n" % (name, _metadata_value(value.strip()))


def _metadata_value(value: bytes) -> bytes:
    if not value.isascii():
        return _encode_words(value)
    if value.startswith(b"=?") and _WORDS.fullmatch(value):
        return _decode_ascii_words(value) or value
    return value


def _encode_words(value: bytes) -> bytes:
    """Return RFC 2047 words for bytes that are UTF-8 or, failing that, ISO 8859-1."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    chunks: list[bytes] = [b""]
    for character in text:
        encoded = character.encode()
        if len(chunks[-1]) + len(encoded) > _BYTES_IN_WORD:
            chunks.append(b"")
        chunks[-1] += encoded
    return b" ".join([b"=?UTF-8?B?%b?=" % b64encode(chunk) for chunk in chunks])


def _decode_ascii_words(value: bytes) -> bytes | None:
    """Return what the words say, None unless that is printable ASCII that a header can hold as it is."""
    words = [_WORD.fullmatch(word) for word in value.split()]
    decoded = b""
    for word in words:
        if word is None:
            return None
        try:
            decoded += (
                b64decode(word[3], validate=True) if word[2] in b"bB" else decodestring(word[3], header=True)
            )
        except Base64Error:
            return None
    is_plain = _PRINTABLE.fullmatch(decoded) is not None and decoded == decoded.strip()
    return decoded if is_plain else None


def parse_lines(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Return the (name, value) pairs of header lines, in order and as they are spelt.

    >>> parse_lines(b"Content-Type: text/plain\\r\\nx-amz-meta-empty: \\r\\n")
    [(b'Content-Type', b'text/plain'), (b'x-amz-meta-empty', b'')]
    """  # noqa: D301 (the backslashes are the example's)
    pairs = (line.partition(b": ") for line in lines.split(b"\r\n") if line)
    return [(name, value) for name, _, value in pairs]


def override(lines: bytes, overrides: Mapping[bytes, bytes]) -> bytes:
    """Return header lines in which those of `overrides` replace their namesakes (OVR-01).

    `overrides` maps content header names (`content-type`, any case) to decoded values in UTF-8, which are
    sent as ISO 8859-1, the charset of header fields. An empty value replaces nothing.

    Raises S3Error:
        InvalidArgument: a control character or a code point above U+00FF (OVR-02), or another header.
    """
    replaced = {name.lower(): _override_value(name, value) for name, value in overrides.items() if value}
    kept = [line for line in lines.split(b"\r\n") if line.partition(b":")[0].lower() not in replaced]
    added = [b"%b: %b\r\n" % (_CANONICAL[name], value) for name, value in replaced.items()]
    return b"\r\n".join(kept) + b"".join(added)


def _override_value(name: bytes, value: bytes) -> bytes:
    text = value.decode("utf-8", "replace")
    is_header = name.lower() in _CANONICAL
    if not is_header or _CONTROL_TEXT.search(text) or (not text.isascii() and max(text) > "\xff"):
        parameter = "response-" + name.decode("latin-1").lower()
        raise S3Error("InvalidArgument", f"Header value cannot be sent: {parameter}.", ArgumentName=parameter)
    return text.encode("latin-1")
