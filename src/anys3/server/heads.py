"""What a message's head must be beyond what llhttp checks: pure functions, most of which raise Refused."""

from __future__ import annotations

import httptools

from anys3.protocol.http import Request
from anys3.server.limits import Limits
from anys3.spec.errors import S3Error

_HOST_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()*+;=:[]"


class Refused(Exception):
    """Ends the parser: the message is not to be read further. `error` is None if nothing is to be said."""

    def __init__(self, error: S3Error | None) -> None:
        super().__init__(error)
        self.error = error


def refusal(code: str, message: str | None = None) -> Refused:
    """Return the exception that refuses a message."""
    return Refused(S3Error(code, message))


def check_sizes(target: bytes, headers: dict[bytes, bytes], limits: Limits) -> None:
    """Refuse a head beyond the limits (HTTP-22)."""
    if len(target) > limits.target_max:
        raise refusal("InvalidURI", "The request target is too long.")
    size = sum(map(len, headers)) + sum(map(len, headers.values())) + 4 * len(headers)
    if size > limits.header_section_max or len(headers) > limits.headers_max:
        raise refusal("RequestHeaderSectionTooLarge")


def check_authority(host: bytes) -> None:
    """Refuse a Host that holds what no authority holds: a slash, a comma, a user (RFC 9112 section 3.2)."""
    if host.translate(None, _HOST_BYTES):
        raise refusal("BadRequest", "The Host header is not an authority.")


def origin_form(method: bytes, target: bytes, headers: dict[bytes, bytes]) -> bytes:
    """Return path and query of an absolute target, whose authority replaces Host (RFC 9112 section 3.2.2)."""
    if method == b"CONNECT":
        raise refusal("MethodNotAllowed")
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise refusal("InvalidURI")
    ends = [at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0]
    end = min(ends, default=len(rest))
    if b"host" in headers:
        headers[b"host"] = rest[:end]
    path = rest[end:]
    return path if path[:1] == b"/" else b"/" + path


def body_length(headers: dict[bytes, bytes]) -> int | None:
    """Return the announced Content-Length; None if the body is chunked.

    Refuses both together (HTTP-09), and transfer encodings other than chunked. llhttp has seen to it that
    a Content-Length is one decimal number.
    """
    encoding = headers.get(b"transfer-encoding")
    if encoding is None:
        return int(headers[b"content-length"])
    if b"content-length" in headers:
        raise refusal("BadRequest", "Content-Length and Transfer-Encoding exclude each other.")
    if encoding.lower() != b"chunked":
        raise refusal("NotImplemented", "The only transfer encoding is chunked.")
    return None


def announced_length(request: Request | None) -> int:
    """Return what a head says with Content-Length; 0 if it does not."""
    return int(request.headers.get(b"content-length", b"0")) if request is not None else 0


def cause_of(error: Exception) -> BaseException | None:
    """Return what to refuse a message with, or what a callback raised, for an error of the parser."""
    if isinstance(error, httptools.HttpParserCallbackError):
        return error.__context__
    if isinstance(error, httptools.HttpParserInvalidURLError):
        return refusal("InvalidURI")
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return refusal("BadRequest", "The request does not begin with a method of HTTP.")
    return refusal("BadRequest", f"The request is not HTTP: {error}.")
