"""What went over the wire for a check, as a report shows it: secrets taken out, long bodies cut."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SHOWN_BYTES = 4096
_HIDDEN_HEADERS = frozenset({"x-amz-security-token", "cookie", "set-cookie"})
_SIGNATURES = (
    re.compile(r"(?i)(signature=)[0-9a-f]{16,}"),
    re.compile(r"(?i)(x-amz-trailer-signature:\s*)[0-9a-f]{16,}"),
    re.compile(r"(?i)(<(?:SignatureProvided|StringToSign|StringToSignBytes|CanonicalRequest|"
               r"CanonicalRequestBytes)>)[^<]*"),
    re.compile(r"(?i)(X-Amz-Security-Token=)[^&\s]+"),
    re.compile(r"(?is)(name=\"(?:x-amz-)?(?:signature|security-token)\"\r\n\r\n)[^\r\n]*"),
    re.compile(r"(?i)(^AWS [^:\s]+:)\S+"),
)  # fmt: skip
REDACTED = "(redacted)"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, redacted. `status` is 0 where no answer came, and `error` says why."""

    method: str
    target: str
    identity: str
    request_headers: tuple[tuple[str, str], ...]
    request_body: str
    request_size: int
    status: int
    answer_headers: tuple[tuple[str, str], ...] = ()
    answer_body: str = ""
    answer_size: int = 0
    error: str = ""
    seconds: float = 0.0

    @property
    def summary(self) -> str:
        """One line: method and target, shortened."""
        return f"{self.method} {shortened(self.target, 120)}"


def redacted(text: str) -> str:
    """Return a text without signatures and tokens.

    >>> redacted("AWS4-HMAC-SHA256 Credential=AK/20260101, Signature=0123456789abcdef0123")
    'AWS4-HMAC-SHA256 Credential=AK/20260101, Signature=(redacted)'
    """
    for pattern in _SIGNATURES:
        text = pattern.sub(rf"\g<1>{REDACTED}", text)
    return text


def redacted_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return headers without signatures and tokens."""
    return tuple(
        (name, REDACTED if name.lower() in _HIDDEN_HEADERS else redacted(value)) for name, value in headers
    )


def shown(body: bytes) -> str:
    """Return a body as a report shows it: text if it is text, its beginning if it is long."""
    piece = body[:_SHOWN_BYTES]
    try:
        text = piece.decode()
    except UnicodeDecodeError as error:
        is_cut = len(body) > _SHOWN_BYTES and error.start > _SHOWN_BYTES - 4
        text = piece[: error.start].decode() if is_cut else ascii(piece)[2:-1]
    text = redacted(text)
    left = len(body) - len(piece)
    return f"{text} ... ({left} more bytes)" if left else text


def shortened(text: str, most: int) -> str:
    """Return a text of at most that many characters, its middle left out."""
    if len(text) <= most:
        return text
    half = (most - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"
