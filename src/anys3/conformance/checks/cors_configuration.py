"""CORS rules by API: CORSC-01 to CORSC-06."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anys3.conformance.digests import crc32_base64
from anys3.conformance.kit.cors import (
    METHODS,
    configuration,
    delete_rules,
    expect_forbidden,
    md5_of,
    origin_of,
    preflight,
    put_rules,
    rule,
)
from anys3.conformance.kit.together import together
from anys3.conformance.probe import Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal

_NEEDS = ("whole-bucket",)
_MOST_RULES = 100
_REPEATED = ("AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader")


@contextmanager
def _bucket(probe: Probe) -> Iterator[str]:
    """Hand out the bucket of the run, whose rules are deleted at the end. The second one has the run's rules."""
    try:
        yield probe.bucket
    finally:
        delete_rules(probe, probe.bucket)


def _get(probe: Probe, bucket: str) -> Reply:
    return probe.request("GET", probe.path(bucket=bucket), "cors")


def _given(probe: Probe, bucket: str, name: str = "kept") -> str:
    """Set a rule, and return its origin. Raises Failed, as all here is about that."""
    origin = origin_of(probe, name)
    put_rules(probe, bucket, configuration(rule([origin], ["GET"]))).expect("200", about="PUT ?cors")
    return origin


def _expect_kept(probe: Probe, bucket: str, origin: str, about: str) -> None:
    found = _get(probe, bucket).expect("200").texts("CORSRule/AllowedOrigin")
    equal(found, [origin], f"the origins of the rules after {about}")


@check("CORSC-01", operation="PutBucketCors", needs=_NEEDS, lock="cors", quick=True)
def sets_rules(probe: Probe) -> None:
    """PUT ?cors sets the rules of a bucket, in place of those that it had."""
    with _bucket(probe) as bucket:
        for name in ("first", "second"):
            origin = origin_of(probe, name)
            reply = put_rules(probe, bucket, configuration(rule([origin], ["GET"])))
            reply.expect("200", about="PUT ?cors")
        _expect_kept(probe, bucket, origin, "a second PUT ?cors")


@check("CORSC-01", "CORSC-02", operation="DeleteBucketCors", needs=_NEEDS, lock="cors", quick=True)
def deletes_rules(probe: Probe) -> None:
    """DELETE ?cors answers 204, and takes the rules away."""
    bucket = probe.bucket
    _given(probe, bucket)
    delete_rules(probe, bucket).expect("204", about="DELETE ?cors")
    reply = _get(probe, bucket)
    reply.expect("404 NoSuchCORSConfiguration", about="GET ?cors after DELETE ?cors")


@check("CORSC-01", operation="PutBucketCors", needs=_NEEDS, lock="cors")
def integrity_value(probe: Probe) -> None:
    """PUT ?cors wants Content-MD5 or a checksum, and verifies it; a provider may be lenient."""
    body = configuration(rule([origin_of(probe, "new")], ["GET"]))
    crc32 = crc32_base64(body)
    with _bucket(probe) as bucket, together() as each:
        origin = _given(probe, bucket)
        with each():
            wrong = put_rules(probe, bucket, body, md5_of(b"other bytes"))
            wrong.expect("400 BadDigest", about="PUT ?cors with the Content-MD5 of other bytes")
            wrong = put_rules(probe, bucket, body, {"x-amz-checksum-crc32": "AAAAAA=="})
            wrong.expect("400 BadDigest", about="PUT ?cors with the CRC32 of other bytes")
            _expect_kept(probe, bucket, origin, "PUT ?cors with wrong checksums")
        with each():
            none = put_rules(probe, bucket, body, {})
            none.expect("400 InvalidRequest", "200", about="PUT ?cors without an integrity value")
            if none.status == 200:  # as with DeleteObjects (DELS-05)
                probe.report("PUT ?cors is accepted without Content-MD5 and without a checksum")
            else:
                _expect_kept(probe, bucket, origin, "PUT ?cors without an integrity value")
        with each():
            alone = put_rules(probe, bucket, body, {"x-amz-checksum-crc32": crc32})
            alone.expect("200", about="PUT ?cors with x-amz-checksum-crc32 alone")


@check("CORSC-02", operation="GetBucketCors", lock="cors")
def no_rules(probe: Probe) -> None:
    """GET ?cors of a bucket without rules answers NoSuchCORSConfiguration."""
    reply = _get(probe, probe.bucket)
    if probe.ground.is_scoped and reply.status == 200:
        probe.report("the bucket of the run has CORS rules, so that their absence was not seen")
        return
    reply.expect("404 NoSuchCORSConfiguration", about="GET ?cors of a new bucket")


@check("CORSC-03", operation="PutBucketCors", needs=_NEEDS, lock="cors")
def documents_of_rules(probe: Probe) -> None:
    """100 rules and all five methods are accepted; 101, none, and rules without origin or method are not."""
    origins = [f"https://a{number}.example" for number in range(_MOST_RULES)]
    first = rule(origins[:1], METHODS)
    rest = [rule([origin], ["GET"]) for origin in origins[1:]]
    refused = {
        "101 rules": configuration(first, *rest, first),
        "no rules": configuration(),
        "a rule without AllowedMethod": configuration(rule(origins[:1], [])),
        "a rule without AllowedOrigin": configuration(rule([], ["GET"])),
    }
    with _bucket(probe) as bucket, together() as each:
        most = put_rules(probe, bucket, configuration(first, *rest))
        most.expect("200", about="PUT ?cors with 100 rules")
        for what, body in refused.items():
            with each():
                put_rules(probe, bucket, body).expect("400 MalformedXML", about=f"PUT ?cors with {what}")
        with each():
            found = _get(probe, bucket).expect("200").texts("CORSRule/AllowedOrigin")
            equal(found, origins, "the origins of 100 rules, after documents that should be refused")


@check("CORSC-04", operation="PutBucketCors", needs=_NEEDS, lock="cors")
def impossible_rules(probe: Probe) -> None:
    """A method that is not S3's, and a second `*` in an origin or header, are refused."""
    origin = origin_of(probe, "new")
    documents = {
        "the method PATCH": configuration(rule([origin], ["GET", "PATCH"])),
        "two * in an origin": configuration(rule(["https://*.*.example"], ["GET"])),
        "two * in a header": configuration(rule([origin], ["GET"], ("AllowedHeader", "x-*-*"))),
    }
    with _bucket(probe) as bucket, together() as each:
        kept = _given(probe, bucket)
        for what, body in documents.items():
            with each():
                reply = put_rules(probe, bucket, body)
                reply.expect("400 InvalidRequest", about=f"PUT ?cors with {what}")
        with each():
            _expect_kept(probe, bucket, kept, "documents that should be refused")


@check("CORSC-05", operation="GetBucketCors", needs=_NEEDS, lock="cors", quick=True)
def rules_in_order(probe: Probe) -> None:
    """GET ?cors returns the rules in their order, with all that they say."""
    rules: list[dict[str, list[str]]] = [
        {
            "ID": ["first &amp; foremost"],
            "AllowedOrigin": [origin_of(probe), "http://*"],
            "AllowedMethod": ["PUT", "GET"],
            "AllowedHeader": ["Content-*", "x-b"],
            "ExposeHeader": ["x-amz-request-id", "ETag"],
            "MaxAgeSeconds": ["3600"],
        },
        {"AllowedOrigin": ["*"], "AllowedMethod": ["HEAD"]},
    ]
    sent = [rule([], [], *((name, text) for name in one for text in one[name])) for one in rules]
    with _bucket(probe) as bucket:
        put_rules(probe, bucket, configuration(*sent)).expect("200", about="PUT ?cors with all elements")
        reply = _get(probe, bucket).expect("200", about="GET ?cors")
    equal(reply.xml.tag, "CORSConfiguration", "the root of the answer to GET ?cors")
    rules[0]["ID"] = ["first & foremost"]
    found = reply.xml.findall("CORSRule")
    equal(len(found), len(rules), "the number of rules in the answer to GET ?cors")
    for number, (element, expected) in enumerate(zip(found, rules, strict=True), 1):
        for name in (*_REPEATED, "ID", "MaxAgeSeconds"):
            texts = [child.text or "" for child in element.findall(name)]
            if name == "ID" and name not in expected:
                continue  # the server may name a rule that has no name
            equal(texts, expected.get(name, []), f"{name} of rule {number}")


@check("CORSC-06", operation="PutBucketCors", needs=_NEEDS, lock="cors")
def effective_at_once(probe: Probe) -> None:
    """Rules hold from the next request on, and in place of the operator's."""

    def expect_refused(origin: str, about: str) -> None:
        expect_forbidden(preflight(probe, bucket, origin), about, "403")  # the code is for CORS-04 to judge

    with _bucket(probe) as bucket:
        first = _given(probe, bucket, "first")
        reply = preflight(probe, bucket, first)
        reply.expect("200", about="a preflight that rules allow, right after PUT ?cors")
        operators = probe.ground.cors_origin
        if operators and operators not in (first, "*"):
            expect_refused(operators, "a preflight by the operator's origin, after PUT ?cors")
        second = _given(probe, bucket, "second")
        reply = preflight(probe, bucket, second)
        reply.expect("200", about="a preflight that new rules allow, right after PUT ?cors")
        expect_refused(first, "a preflight that old rules allowed, right after PUT ?cors")
        delete_rules(probe, bucket).expect("204")
        if not operators:  # whose rules hold again
            expect_refused(second, "a preflight right after DELETE ?cors")
