"""CORS rules for checks: set by API on the run's second bucket, or the operator's on the run's own."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from anys3.conformance.outcomes import Skipped
from anys3.conformance.probe import Probe
from anys3.conformance.replies import NAMESPACE, Reply, equal, require

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
VARY = frozenset({"origin", "access-control-request-headers", "access-control-request-method"})
ALLOWED_ORIGIN = "access-control-allow-origin"
ALLOWED_CREDENTIALS = "access-control-allow-credentials"
_PREFIX = "access-control-"
_EFFECT_S = 5.0
"""Within which rules should be effective everywhere (CORSC-06); checks of CORS wait for them."""
_NEEDED = (
    "needs CORS rules: an endpoint that has PutBucketCors, for buckets of the run's own, or an origin that the "
    "operator's rules for the bucket allow (--cors-origin)"
)


@dataclass(frozen=True, slots=True)
class Ruled:
    """A bucket with rules. `origin` may GET there; `is_own` says that the rules are the check's."""

    bucket: str
    origin: str
    is_own: bool


def origin_of(probe: Probe, name: str = "app") -> str:
    """Return an origin that no rules but those of this attempt name."""
    return f"https://{name}-{hashlib.sha256(probe.prefix.encode()).hexdigest()[:8]}.example"


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


@contextmanager
def ruled(probe: Probe, *rules: str) -> Iterator[Ruled]:
    """Set rules by API, and take them away at the end; else hand out the bucket with the operator's.

    The first rule must allow `origin_of(probe)` to GET. The check declares lock="cors". Raises Skipped if
    there is neither. Waits for a while until the rules are effective.
    """
    if not probe.ground.is_scoped and (bucket := _set(probe, configuration(*rules))):
        origin = origin_of(probe)
        try:
            probe.until(lambda: preflight(probe, bucket, origin).status == 200, _EFFECT_S)
            yield Ruled(bucket, origin, is_own=True)
        finally:
            delete_rules(probe, bucket)
    elif probe.ground.cors_origin:
        yield Ruled(probe.bucket, probe.ground.cors_origin, is_own=False)
    else:
        raise Skipped(_NEEDED)


def _set(probe: Probe, body: bytes) -> str | None:
    """Set the rules of the run's second bucket; return its name, None if that can't be done."""
    bucket = probe.aside()
    return bucket if put_rules(probe, bucket, body).status in (200, 204) else None


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


def expect_forbidden(reply: Reply, about: str) -> None:
    """Expect that a preflight is refused, and allows no origin."""
    reply.expect("403 AccessForbidden", about=about)
    expect_none(reply, about)
