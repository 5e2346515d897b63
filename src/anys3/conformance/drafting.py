"""Requests before they are sent: what they say, signed or bent, as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from anys3.client import signing
from anys3.client.signing import Headers
from anys3.conformance.ground import Identity

Query = Iterable[tuple[str, str]] | str
Fields = Mapping[str, str] | Headers


@dataclass(frozen=True, slots=True)
class Nobody:
    """Stands for the identity of the run in a signature's default."""


OWN = Nobody()


class Bending(TypedDict, total=False):
    """What a request may have of its own: who signs it, and what is wrong with it.

    `identity` None leaves it unsigned. `payload_hash` takes the place of the body's SHA-256 in
    x-amz-content-sha256. `unsigned` headers are added after signing. `signed_names` says which headers are
    signed. `bend` changes the headers last, signature included. `host` takes the place of the endpoint's.
    """

    identity: Identity | Nobody | None
    payload_hash: str | None
    unsigned: Fields
    signed_names: Iterable[str] | None
    bend: Callable[[dict[str, str]], None] | None
    host: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A request before it is sent: what it says, and the bytes of its head."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    identity: str

    @property
    def head(self) -> bytes:
        """The request line and header lines, with the empty line that ends them."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"{self.method} {self.target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def header(self, name: str) -> str:
        """Return the value of a header; "" if it has none of that name."""
        return next((value for found, value in self.headers if found == name), "")

    @property
    def signature(self) -> str:
        """The signature in its Authorization header, the seed of a chain of chunks."""
        return self.header("authorization").rpartition("Signature=")[2]


def signed(
    who: Identity,
    method: str,
    path: str,
    raw_query: str,
    headers: list[tuple[str, str]],
    body: bytes,
    payload_hash: str | None,
    signed_names: Iterable[str] | None,
) -> list[tuple[str, str]]:
    """Return the headers with x-amz-date, x-amz-content-sha256 and Authorization."""
    given = dict(headers)
    date = given.get("x-amz-date") or who.amz_date()
    digest = payload_hash or given.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest()
    lines = list(headers)
    for name, value in (("x-amz-date", date), ("x-amz-content-sha256", digest)):
        if name not in given:
            lines.append((name, value))
    if who.credentials.session_token and "x-amz-security-token" not in given:
        lines.append(("x-amz-security-token", who.credentials.session_token))
    authorization = signing.sign(
        method, path, raw_query, lines, credentials=who.credentials, scope=who.scope(date), amz_date=date,
        payload_hash=digest, signed_names=signed_names,
    )  # fmt: skip
    return [*lines, ("authorization", authorization)]


def pairs_of(headers: Fields) -> list[tuple[str, str]]:
    """Return headers as pairs, their names in lower case."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name.lower(), value) for name, value in pairs]


def merged(first: Mapping[str, str], second: Fields) -> list[tuple[str, str]]:
    """Return the headers of both; where both have one, the second's."""
    pairs = pairs_of(second)
    names = {name for name, _ in pairs}
    return [*((name, value) for name, value in first.items() if name not in names), *pairs]
