"""CORS rules for checks: set by API on the run's second bucket, or the operator's on the run's own."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from anys3.conformance.outcomes import Failed, Skipped
from anys3.conformance.probe import Probe
from anys3.conformance.replies import NAMESPACE, Reply, equal, require

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
VARY = frozenset({"origin", "access-control-request-headers", "access-control-request-method"})
ALLOWED_ORIGIN = "access-control-allow-origin"
ALLOWED_CREDENTIALS = "access-control-allow-credentials"
_PREFIX = "access-control-"
EXPOSED = ("ETag", "x-amz-request-id")
_EFFECT_S = 5.0
"""Within which rules should be effective everywhere (CORSC-06); checks of CORS wait for them."""
_NEEDED = (
    "needs CORS rules: an endpoint that has PutBucketCors, for buckets of the run's own, or an origin that the "
    "operator's rules allow (--cors-origin, and --cors-bucket if they are those of another bucket)"
)


@dataclass(frozen=True, slots=True)
class Ruled:
    """A bucket with rules. `origin` may GET there; `is_own` says that the rules are the run's: `run_rules`."""

    bucket: str
    origin: str
    is_own: bool


def origin_of(probe: Probe, name: str = "app") -> str:
    """Return an origin that no rules but those of this run name."""
    return f"https://{name}-{probe.ground.journal.run_id}.example"


def rule(origins: Iterable[str], methods: Iterable[str], *more: tuple[str, str]) -> str:
    """Return a CORSRule; `more` are its other elements."""
    rows = [
        *(("AllowedOrigin", origin) for origin in origins),
        *(("AllowedMethod", method) for method in methods),
        *more,
    ]
    return f"<CORSRule>{''.join(f'<{name}>{text}</{name}>' for name, text in rows)}</CORSRule>"


def configuration(*rules: str) -> bytes:
    """Return a CORSConfiguration."""
    return f'<CORSConfiguration xmlns="{NAMESPACE}">{"".join(rules)}</CORSConfiguration>'.encode()


def md5_of(body: bytes) -> dict[str, str]:
    """Return Content-MD5 for a body."""
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return {"content-md5": b64encode(digest).decode()}


def put_rules(probe: Probe, bucket: str, body: bytes, integrity: Mapping[str, str] | None = None) -> Reply:
    """Send PutBucketCors with Content-MD5, or with the given headers in its place."""
    headers = md5_of(body) if integrity is None else integrity
    return probe.request("PUT", probe.path(bucket=bucket), "cors", headers, body)


def delete_rules(probe: Probe, bucket: str) -> Reply:
    """Send DeleteBucketCors."""
    return probe.request("DELETE", probe.path(bucket=bucket), "cors")


def given_rules(probe: Probe) -> Ruled:
    """Return a bucket with rules: the run's, set by API at their first use, or the operator's.

    They stay as long as the bucket: checks that set rules do it elsewhere. Raises Skipped if there are none.
    """
    if not probe.ground.is_scoped:
        bucket = probe.aside()
        with suppress(Failed):
            probe.ground.once("CORS rules", lambda: _set(probe, bucket))
            return Ruled(bucket, origin_of(probe), is_own=True)
    if probe.ground.cors_origin:
        bucket = probe.ground.cors_bucket or probe.bucket
        return Ruled(bucket, probe.ground.cors_origin, is_own=False)
    raise Skipped(_NEEDED)


def run_rules(probe: Probe) -> tuple[str, ...]:
    """Return the rules of the run: in order, so that the first that matches can be told from the others."""
    app = origin_of(probe)
    wild = origin_of(probe, "*.wild")
    headers = [("AllowedHeader", "Content-Type"), ("AllowedHeader", "x-amz-*")]
    exposed = [("ExposeHeader", name) for name in EXPOSED]
    return (
        rule([app], ["GET", "PUT"], *headers, *exposed, ("MaxAgeSeconds", "600")),
        rule([app, origin_of(probe, "second")], ["GET", "DELETE"], ("MaxAgeSeconds", "5")),
        rule([wild], ["GET"], ("MaxAgeSeconds", "7")),
        rule(["*"], ["HEAD"]),
    )


def _set(probe: Probe, bucket: str) -> None:
    """Set the rules of the run, and wait for a while until they are effective. Raises Failed."""
    put_rules(probe, bucket, configuration(*run_rules(probe))).expect("200")
    probe.until(lambda: preflight(probe, bucket, origin_of(probe)).status == 200, _EFFECT_S)


def preflight(
    probe: Probe,
    bucket: str,
    origin: str | None,
    method: str | None = "GET",
    request_headers: str | None = None,
    target: str | None = None,
) -> Reply:
    """Send what a browser asks before a request, unsigned; None leaves a header out."""
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": request_headers,
    }
    given = {name: value for name, value in headers.items() if value is not None}
    return probe.open("OPTIONS", target or probe.path(probe.key(), bucket), given)


def cors_headers(reply: Reply) -> dict[str, str]:
    """Return the CORS headers of an answer, without what all begin with."""
    return {
        name.removeprefix(_PREFIX): value for name, value in reply.answer.headers if name.startswith(_PREFIX)
    }


def names_of(value: str | None) -> set[str]:
    """Return the names of a list in a header, in lower case."""
    return {name.strip().lower() for name in (value or "").split(",") if name.strip()}


def expect_allowed(reply: Reply, origin: str, about: str, varies: frozenset[str] = VARY) -> None:
    """Expect that an answer names the origin, or all, and in Vary at least these headers."""
    found = reply.header(ALLOWED_ORIGIN)
    require(found in (origin, "*"), f"{ALLOWED_ORIGIN} of {about}: expected {origin!r}, got {found!r}")
    named = names_of(",".join(reply.answer.header_values("vary")))
    require(
        named >= varies or "*" in named,
        f"Vary of {about}: expected {', '.join(sorted(varies))}, got {', '.join(sorted(named)) or 'none'}",
    )


def expect_none(reply: Reply, about: str) -> None:
    """Expect that an answer allows no origin."""
    equal(reply.header(ALLOWED_ORIGIN), None, f"{ALLOWED_ORIGIN} of {about}")


def expect_forbidden(reply: Reply, about: str, *expected: str) -> None:
    """Expect that a preflight is refused, by default as CORS-04 has it, and allows no origin."""
    reply.expect(*(expected or ("403 AccessForbidden",)), about=about)
    expect_none(reply, about)
