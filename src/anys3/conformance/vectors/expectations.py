"""What a step expects of its answer, held against it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from anys3.conformance.vectors import matchers
from anys3.conformance.vectors.content import Blob
from anys3.protocol import xml
from anys3.spec.errors import ERRORS, S3Error

_MAX_KEPT = 1 << 20
_MAX_SHOWN = 200
_STATUSES = frozenset(HTTPStatus)


@dataclass(frozen=True, slots=True)
class Observed:
    """One answer as expectations see it: repeated headers are joined, `response` is the parsed document.

    `code` is None where no error was told; `is_bodiless` says that the answer could tell none (HEAD, 304).
    """

    status: int
    headers: Mapping[str, str]
    code: str | None = None
    message: str = ""
    response: Any = field(default_factory=dict)
    reason: str = ""
    is_bodiless: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether the request failed; an error may come with status 200."""
        return self.status >= 300 or self.code is not None

    @property
    def text(self) -> str:
        """Status and error, for a report."""
        parts = [str(self.status), self.code or "", f"({self.message})" if self.message else ""]
        return " ".join(part for part in parts if part)


Expected = Blob | Mapping[str, Any] | None
"""What a body is expected to be: bytes, a size and digests, or nothing in particular."""


class BodyTaker:
    """Takes a body piece by piece and holds it against what is expected; keeps the beginning of it."""

    def __init__(self, expected: Expected = None, *, is_open: bool = False) -> None:
        """Expect that; with `is_open` what is expected is known only once the body is whole."""
        self._expected = expected
        self._hashes = is_open or isinstance(expected, Mapping)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256(usedforsecurity=False)
        self._first_difference: int | None = None
        self.size = 0
        self.beginning = b""

    def take(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._hashes:
            self._md5.update(data)
            self._sha256.update(data)
        elif self._expected is not None and self._first_difference is None:
            assert not isinstance(self._expected, Mapping)
            wanted = self._expected.read(self.size, len(data))
            if wanted != data:
                self._first_difference = self.size + _common(wanted, data)
        if len(self.beginning) < _MAX_KEPT:
            self.beginning += data[: _MAX_KEPT - len(self.beginning)]
        self.size += len(data)

    def close(self, expected: Expected) -> None:
        """Say what is expected of a body that was taken open. For bodies of up to a mebibyte, or digests."""
        self._expected = expected
        if expected is not None and not isinstance(expected, Mapping):
            wanted = expected.read(0, len(self.beginning))
            if wanted != self.beginning:
                self._first_difference = _common(wanted, self.beginning)

    def mismatches(self) -> list[str]:
        """Return a sentence for each thing that is not as expected, once the body is whole."""
        if self._expected is None:
            return []
        if isinstance(self._expected, Mapping):
            return self._digest_mismatches(self._expected)
        if self._first_difference is None and self.size == self._expected.size:
            return []
        at = min(self.size, self._expected.size) if self._first_difference is None else self._first_difference
        wanted = _shown(self._expected.read(0, _MAX_SHOWN + 1))
        return [
            (
                f"body: expected {self._expected.size} bytes {wanted}, got {self.size} bytes "
                f"{_shown(self.beginning)}; they differ from byte {at}"
            )
        ]

    def _digest_mismatches(self, expected: Mapping[str, Any]) -> list[str]:
        got = {"$size": str(self.size), "$md5": self._md5.hexdigest(), "$sha256": self._sha256.hexdigest()}
        return [
            f"body: expected {name} {wanted}, got {got[name]}"
            for name, wanted in expected.items()
            if got[name] != str(wanted).lower()
        ]


def _common(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))


def _shown(data: bytes) -> str:
    return f"{data[:_MAX_SHOWN]!r}" + ("..." if len(data) > _MAX_SHOWN else "")


def told_error(body: bytes) -> tuple[str | None, str]:
    """Return code and message of an S3 error document; None if the body is none."""
    try:
        root = xml.parse(body)
    except S3Error:
        return None, ""
    if root.name != "Error":
        return None, ""
    return root.text_of("Code"), root.text_of("Message")


def mismatches(expect: Mapping[str, Any], observed: Observed, body: BodyTaker) -> list[str]:
    """Return a sentence for each expectation that does not hold; `expect` has its placeholders filled in."""
    found = _status_mismatches(expect, observed)
    if "error" in expect:
        found += _error_mismatches(expect["error"], observed)
    if "headers" in expect:
        headers = dict(observed.headers)
        found += matchers.mismatches(expect["headers"], headers, "headers", is_text=True)
    if "response" in expect:
        found += matchers.mismatches(expect["response"], observed.response, "response")
    return found + body.mismatches()


def _status_mismatches(expect: Mapping[str, Any], observed: Observed) -> list[str]:
    wanted = expect.get("status")
    if wanted is not None:
        found = matchers.mismatches(wanted, observed.status, "status")
        if found and observed.code:
            return [f"{found[0]} ({observed.text})"]
        is_hidden_error = observed.status < 300 and observed.code is not None and "error" not in expect
        return found or ([f"expected success, got {observed.text}"] if is_hidden_error else [])
    if "error" not in expect and (observed.has_failed or observed.status < 200):
        return [f"expected success, got {observed.text}"]
    return []


def _error_mismatches(wanted: Any, observed: Observed) -> list[str]:
    if not observed.has_failed:
        return [f"error: expected {matchers.show(wanted)}, got success ({observed.status})"]
    row = {"code": wanted} if isinstance(wanted, str) else wanted
    found: list[str] = []
    if "code" in row:
        codes = _codes(observed)
        tried = [matchers.mismatches(row["code"], code, "error") for code in codes]
        if all(tried):
            found += [f"{tried[0][0]} ({observed.text})"]
    if "message" in row and not observed.is_bodiless:
        found += matchers.mismatches(row["message"], observed.message, "error.message")
    return found


def _codes(observed: Observed) -> list[str]:
    """Return the codes that the answer may have: one, unless it had no body to tell it in (HTTP-04)."""
    if not observed.is_bodiless:
        return [observed.code or ""]
    phrase = HTTPStatus(observed.status).phrase if observed.status in _STATUSES else observed.reason
    named = [code for code, row in ERRORS.items() if row.status == observed.status]
    return [str(observed.status), phrase.replace(" ", ""), *named]
