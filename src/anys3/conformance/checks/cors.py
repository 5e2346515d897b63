"""CORS by rules, however they were set: CORS-01 to CORS-10."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from anys3.conformance.kit.cors import (
    ALLOWED_CREDENTIALS,
    ALLOWED_ORIGIN,
    EXPOSED,
    Ruled,
    cors_headers,
    expect_allowed,
    expect_forbidden,
    expect_none,
    given_rules,
    names_of,
    origin_of,
    preflight,
)
from anys3.conformance.kit.together import together
from anys3.conformance.outcomes import Skipped
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_EXPOSED = {name.lower() for name in EXPOSED}
_VARY_OF_ACTUAL = frozenset({"origin"})


@check("CORS-01", "CORS-04", operation="CorsPreflight", needs=("whole-bucket",), lock="cors")
def no_rule_by_default(probe: Probe) -> None:
    """A new bucket allows no origin: preflights are forbidden, and requests answered without CORS headers."""
    origin = origin_of(probe)
    reply = preflight(probe, probe.bucket, origin)
    if probe.ground.cors_origin and reply.status == 200:
        probe.report(
            "the operator's rules allow every origin in every bucket, so that no default can be seen"
        )
        return
    expect_forbidden(reply, "a preflight in a new bucket")
    actual = probe.get(probe.shared_object(), {"origin": origin}).expect("200")
    expect_none(actual, "GET with an Origin in a new bucket")


@check("CORS-01", "CORS-05", operation="CorsPreflight", quick=True)
def match_is_answered(probe: Probe) -> None:
    """A preflight that a rule allows is answered with 200, and all that the rule says."""
    where = given_rules(probe)
    asked = "content-type, x-amz-date" if where.is_own else None
    method = "PUT" if where.is_own else "GET"
    about = f"a preflight of {method} by an allowed origin"
    reply = preflight(probe, where.bucket, where.origin, method, asked).expect("200", about=about)
    expect_allowed(reply, where.origin, about)
    found = cors_headers(reply)
    allowed = {"get", "put"} if where.is_own else {"get"}
    require(
        names_of(found.get("allow-methods")) >= allowed,
        f"Access-Control-Allow-Methods of {about}: expected {sorted(allowed)}, got {found.get('allow-methods')}",
    )
    if not where.is_own:
        probe.report("the operator's rules were seen, but not set: headers and max age were not tried")
        return
    names = names_of(found.get("allow-headers"))
    require(
        names >= names_of(asked),
        f"Access-Control-Allow-Headers of {about}: expected {asked}, got {found.get('allow-headers')}",
    )
    equal(found.get("max-age"), "600", f"Access-Control-Max-Age of {about}")


@check("CORS-02", operation="CorsPreflight", anonymous=True)
def unsigned_is_no_error(probe: Probe) -> None:
    """A preflight needs no signature: it is judged by rules, of which a missing bucket has none."""
    reply = preflight(probe, probe.missing_bucket, origin_of(probe))
    expected = ("403 AccessForbidden", "404 NoSuchBucket", "2xx")
    reply.expect(*expected, about="an unsigned preflight in a missing bucket")


@check("CORS-02", operation="CorsPreflight")
def any_url_may_be_asked_about(probe: Probe) -> None:
    """An unsigned preflight is answered for listings and presigned URLs, too."""
    where = given_rules(probe)
    with together() as each:
        path = probe.path(bucket=where.bucket)
        urls = {
            "a listing": f"{path}?list-type=2",
            "a presigned GET": probe.presign("GET", probe.path(probe.key(), where.bucket)),
        }
        for what, target in urls.items():
            with each():
                reply = preflight(probe, where.bucket, where.origin, target=target)
                reply.expect("200", about=f"an unsigned preflight of {what}")


@check("CORS-03", operation="CorsPreflight", lock="cors")
def no_origin(probe: Probe) -> None:
    """A preflight without an Origin is a bad request, whether there are rules or not."""
    for method in ("GET", None):
        reply = preflight(probe, probe.bucket, None, method)
        reply.expect("400 BadRequest", about="a preflight without Origin")
        expect_none(reply, "a preflight without Origin")


@check("CORS-03", operation="CorsPreflight")
def no_method(probe: Probe) -> None:
    """Where there are rules, a preflight without a method of S3 is a bad request."""
    where = given_rules(probe)
    with together() as each:
        for method in (None, "PATCH"):
            with each():
                about = f"a preflight with {method or 'no'} Access-Control-Request-Method"
                reply = preflight(probe, where.bucket, where.origin, method).expect(
                    "400 BadRequest", about=about
                )
                expect_none(reply, about)
        with each():
            reply = preflight(probe, where.bucket, None)
            reply.expect("400 BadRequest", about="a preflight without Origin, where there are rules")


@check("CORS-04", "CORS-06", operation="CorsPreflight")
def no_matching_rule(probe: Probe) -> None:
    """An origin, method or header that no rule allows is forbidden; origins have a case, headers have none."""
    where = given_rules(probe)
    _need_picky_rules(probe, where)
    with together() as each:
        origin = where.origin
        refused: dict[str, tuple[str, str, str | None]] = {
            "another origin": (origin_of(probe, "other"), "GET", None),
            "an origin in capitals": (origin.upper(), "GET", None),
            "an origin that only begins like the allowed one": (f"{origin}.example.com", "GET", None),
        }
        if where.is_own:
            refused["another method"] = (origin, "POST", None)
            refused["another header"] = (origin, "PUT", "content-type, x-other")
        for what, (sent, method, headers) in refused.items():
            with each():
                reply = preflight(probe, where.bucket, sent, method, headers)
                expect_forbidden(reply, f"a preflight with {what}")
        if where.is_own:
            with each():
                reply = preflight(probe, where.bucket, origin, "PUT", "CONTENT-TYPE, X-Amz-Meta-Any")
                reply.expect("200", about="a preflight with allowed headers in capitals")


def _need_picky_rules(probe: Probe, where: Ruled) -> None:
    """Skip where the operator's rules allow every origin, so that none can be refused."""
    if not where.is_own and preflight(probe, where.bucket, where.origin).header(ALLOWED_ORIGIN) == "*":
        raise Skipped("needs rules that do not allow every origin")


@check("CORS-06", operation="CorsPreflight")
def first_rule_wins(probe: Probe) -> None:
    """Of several rules the first that matches counts; an origin may have one `*`."""
    where = given_rules(probe)
    if not where.is_own:
        probe.report("the operator's rules were seen, but not set: their order was not tried")
        return
    second = origin_of(probe, "second")
    with together() as each:
        for origin, method, age in (
            (where.origin, "GET", "600"),
            (where.origin, "DELETE", "5"),
            (second, "GET", "5"),
            (origin_of(probe, "a.b.wild"), "GET", "7"),
        ):
            with each():
                about = f"a preflight of {method} by {origin}"
                reply = preflight(probe, where.bucket, origin, method).expect("200", about=about)
                equal(cors_headers(reply).get("max-age"), age, f"Access-Control-Max-Age of {about}")
                expect_allowed(reply, origin, about, frozenset())
        with each():
            outside = preflight(probe, where.bucket, origin_of(probe, "wild"))
            expect_forbidden(outside, "a preflight by an origin without what stands for *")


@check("CORS-07", operation="GetObject")
def actual_requests(probe: Probe) -> None:
    """A request whose origin and method a rule allows gets CORS headers, whatever becomes of it."""
    where = given_rules(probe)
    with together() as each:
        key = probe.given_object(bucket=where.bucket)
        path = probe.path(key, where.bucket)
        headers = {"origin": where.origin}
        cases: Mapping[str, Callable[[], Reply]] = {
            "GET of an object": lambda: probe.request("GET", path, (), headers).expect("200"),
            "GET of a missing object": lambda: probe.request("GET", f"{path}-none", (), headers).expect("404"),
            "GET without a signature": lambda: probe.open("GET", path, headers),
            "GET with a wrong If-Match": lambda: probe.request("GET", path, (), {**headers, "if-match": '"0"'}),
            "GET of a range behind the end": lambda: probe.request(
                "GET", path, (), {**headers, "range": "bytes=1000-"}
            ),
        }  # fmt: skip
        for about, ask in cases.items():
            with each():
                reply = ask()
                expect_allowed(reply, where.origin, about, _VARY_OF_ACTUAL)
                if where.is_own:
                    _expect_exposed(reply, about)


def _expect_exposed(reply: Reply, about: str) -> None:
    found = cors_headers(reply).get("expose-headers")
    require(
        names_of(found) >= _EXPOSED,
        f"Access-Control-Expose-Headers of {about}: expected {', '.join(sorted(_EXPOSED))}, got {found}",
    )


@check("CORS-07", operation="PutObject")
def unmatched_requests(probe: Probe) -> None:
    """A request that no rule matches is executed as ever, without CORS headers."""
    where = given_rules(probe)
    _need_picky_rules(probe, where)
    path = probe.path(probe.key(), where.bucket)
    other = {"origin": origin_of(probe, "other")}
    # Where the rules are the run's, the second origin may GET, so that only the method tells.
    reading = {"origin": origin_of(probe, "second")} if where.is_own else other
    put = probe.request("PUT", path, (), reading, CONTENT)
    put.expect("200", about="PUT by an origin that no rule allows to PUT")
    expect_none(put, "PUT by an origin that no rule allows to PUT")
    reply = probe.request("GET", path, (), other).expect("200")
    equal(reply.body, CONTENT, "the object that an origin without a rule has put")
    expect_none(reply, "GET by an origin that no rule allows")


@check("CORS-08", operation="CorsPreflight")
def credentials_need_an_origin(probe: Probe) -> None:
    """Credentials are never allowed to every origin."""
    where = given_rules(probe)
    with together() as each:
        origin = origin_of(probe, "anybody") if where.is_own else where.origin
        method = "HEAD" if where.is_own else "GET"
        path = probe.path(probe.key("none"), where.bucket)
        asked = preflight(probe, where.bucket, origin, method).expect("200")
        actual = probe.request(method, path, (), {"origin": origin})
        app = preflight(probe, where.bucket, where.origin)
        for about, reply in (("a preflight", asked), (method, actual), ("another preflight", app)):
            with each():
                has_credentials = reply.header(ALLOWED_CREDENTIALS) == "true"
                allowed = reply.header(ALLOWED_ORIGIN)
                require(allowed, f"{ALLOWED_ORIGIN} of {about}: expected one, got none")
                require(
                    allowed != "*" or not has_credentials,
                    f"{about}: expected {ALLOWED_CREDENTIALS} only with a concrete origin, got it with *",
                )
                if where.is_own and reply is not app and has_credentials:
                    probe.report("a rule for * is answered with the origin that asks, and allows credentials")


@check("CORS-09", operation="GetObject")
def etag_can_be_exposed(probe: Probe) -> None:
    """Browsers can be let see ETag, which they need for multipart uploads, and x-amz-request-id."""
    where = given_rules(probe)
    path = probe.path(probe.key("none"), where.bucket)
    reply = probe.request("GET", path, (), {"origin": where.origin})
    _expect_exposed(reply, "GET by an allowed origin")


@check("CORS-10", operation="CorsPreflight", anonymous=True)
def missing_bucket(probe: Probe) -> None:
    """A preflight in a bucket that does not exist is forbidden, as in one without rules."""
    bucket = probe.missing_bucket
    reply = preflight(probe, bucket, origin_of(probe))
    reply.expect("403 AccessForbidden", "404 NoSuchBucket", about="a preflight in a missing bucket")
    expect_none(reply, "a preflight in a missing bucket")
    without = preflight(probe, bucket, None)
    without.expect("400 BadRequest", "404 NoSuchBucket", about="a preflight without Origin, likewise")
    for one in (reply, without):
        if one.status == 404:
            probe.report("a preflight tells everybody whether a bucket exists: 404 NoSuchBucket")
