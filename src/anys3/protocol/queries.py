"""The query part of a request target as a dictionary."""

from __future__ import annotations

from anys3.protocol import percent
from anys3.spec.errors import S3Error

MAX_PARAMETERS = 256

_NONE: dict[str, str] = {}


def parse(query: bytes) -> dict[str, str]:
    """Return the parameters of a query, decoded once; nobody may change the dictionary.

    `+` is a space, a name without `=` has the value "", the first value of a repeated name wins.

        >>> parse(b"uploads&prefix=a%2Fb+c")
        {'uploads': '', 'prefix': 'a/b c'}

    Raises S3Error:
        InvalidURI: a broken escape, not UTF-8 (KEY-12), or more than 256 parameters.
    """
    if not query:
        return _NONE
    if query.count(b"&") >= MAX_PARAMETERS:
        raise S3Error("InvalidURI", "The query has too many parameters.")
    try:
        text = query.decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidURI") from None
    has_escapes = "%" in text or "+" in text
    parameters: dict[str, str] = {}
    for piece in text.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            if has_escapes:
                name, value = _decode(name), _decode(value)
            parameters.setdefault(name, value)
    return parameters


def _decode(text: str) -> str:
    if "%" not in text:
        return text.replace("+", " ")
    decoded = percent.decode_utf8(text.replace("+", " ").encode())
    if decoded is None:
        raise S3Error("InvalidURI")
    return decoded
