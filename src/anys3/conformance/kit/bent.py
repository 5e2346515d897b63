"""Requests bent on purpose: signed rightly for something else, or with no right signature at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from anys3.client import signing
from anys3.client.signing import EMPTY_SHA256, Scope
from anys3.conformance.ground import Identity
from anys3.conformance.probe import Probe

SIGNATURE_DIGITS = 64
Bend = Callable[[dict[str, str]], None]


def forge(headers: dict[str, str]) -> None:
    """Replace the signature of an Authorization header by zeros."""
    headers["authorization"] = headers["authorization"][:-SIGNATURE_DIGITS] + "0" * SIGNATURE_DIGITS


def resigned(
    probe: Probe,
    method: str,
    path: str,
    *,
    scope: Callable[[Scope], Scope] = lambda scope: scope,
    amz_date: str | None = None,
    without: Iterable[str] = (),
    adding: Mapping[str, str] | None = None,
    payload_hash: str | None = None,
) -> Bend:
    """Return a bend that signs a request anew, after headers were taken out and others added.

    `scope` changes the scope of its time; `amz_date` is that time where the headers give none, and the
    time of the scope's day in any case. The signature is right for what is sent.
    """

    def bend(headers: dict[str, str]) -> None:
        for name in (*without, "authorization"):
            headers.pop(name, None)
        headers.update(adding or {})
        date = amz_date or headers["x-amz-date"]
        headers["authorization"] = signing.sign(
            method, path, "", list(headers.items()), credentials=probe.main.credentials,
            scope=scope(probe.main.scope(date)), amz_date=headers.get("x-amz-date", date),
            payload_hash=payload_hash or headers.get("x-amz-content-sha256", EMPTY_SHA256),
        )  # fmt: skip

    return bend


def with_other_secret(identity: Identity) -> Identity:
    """Return an identity with the same key id, and a secret that is not its own."""
    secret = identity.credentials.secret_access_key
    last = "y" if secret.endswith("x") else "x"
    credentials = replace(identity.credentials, secret_access_key=secret[:-1] + last)
    return replace(identity, credentials=credentials)


def unknown_identity(identity: Identity) -> Identity:
    """Return an identity with a key id that looks like those of the endpoint, and belongs to nobody."""
    known = identity.credentials.access_key_id
    end = "Q7Q7" if not known.endswith("Q7Q7") else "7Q7Q"
    credentials = replace(identity.credentials, access_key_id=known[:-4] + end, session_token=None)
    return replace(identity, name="nobody known", credentials=credentials)
