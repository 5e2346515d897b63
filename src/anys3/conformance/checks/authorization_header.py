"""SigV4 in the Authorization header: AUTH-01 to AUTH-07."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote

from anys3.client import signing
from anys3.client.signing import (
    ALGORITHM,
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    UNSIGNED_PAYLOAD,
)
from anys3.conformance.drafting import Draft
from anys3.conformance.kit.bent import Bend, forge, resigned, unknown_identity, with_other_secret
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check

_MALFORMED = "400 AuthorizationHeaderMalformed"
_MISMATCH = "403 SignatureDoesNotMatch"
# Where a check is about the effect of a forgery; `wrong_signatures_are_refused` is about the code.
_REFUSED = "403"
_DOTTED_REFUSALS = ("400 BadRequest", "400 InvalidArgument", "400 InvalidURI")
_CRC32_TRAILER = (("x-amz-checksum-crc32", "AAAAAA=="),)


def _fields(authorization: str) -> list[str]:
    """Return Credential=..., SignedHeaders=... and Signature=... of a header."""
    return authorization.removeprefix(f"{ALGORITHM} ").split(", ")


def _rewritten(change: Callable[[str], str]) -> Bend:
    """Return a bend that rewrites the Authorization header."""

    def bend(headers: dict[str, str]) -> None:
        headers["authorization"] = change(headers["authorization"])

    return bend


def _with_fields(choose: Callable[[list[str]], list[str]], comma: str = ", ") -> Bend:
    """Return a bend that sends other fields, or the same in another order."""
    return _rewritten(lambda line: f"{ALGORITHM} " + comma.join(choose(_fields(line))))


def _picked(order: Sequence[int], fields: list[str]) -> list[str]:
    return [fields[at] for at in order]


@check("AUTH-01", operation="GetObject")
def white_space_after_commas(probe: Probe) -> None:
    """A valid Authorization header is accepted with and without white space after its commas."""
    path = probe.path(probe.shared_object())
    for comma in (",", ",   "):
        reply = probe.request("GET", path, bend=_with_fields(lambda fields: fields, comma))
        reply.expect("200", about=f"a valid signature, its fields joined with {comma!r}")


@check("AUTH-01", operation="GetObject")
def fields_in_any_order(probe: Probe) -> None:
    """Credential, SignedHeaders and Signature of an Authorization header may come in any order."""
    path = probe.path(probe.shared_object())
    for order in ((0, 2, 1), (1, 0, 2), (2, 1, 0)):
        reply = probe.request("GET", path, bend=_with_fields(partial(_picked, order)))
        reply.expect("200", about=f"a valid signature, its fields in the order {order}")


def _expect_keys_are_signed(probe: Probe, *names: str) -> None:
    for name in names:
        about = f"a signed request for a key that ends in {name!r}"
        probe.put(probe.key(name), name.encode()).expect("200", about=f"PUT, {about}")
        probe.expect_content(probe.key(name), name.encode(), about=f"GET, {about}")


@check("AUTH-02", operation="PutObject")
def special_characters_in_keys(probe: Probe) -> None:
    """Keys with space, `+`, `%`, `~ ' ( ) * !` and four-byte UTF-8 are signed as they are sent."""
    _expect_keys_are_signed(probe, "a b+c", "100% %2Fb ~'(*)!'", "\U0001f600é")


@check("AUTH-02", operation="PutObject")
def slashes_and_dots_in_keys(probe: Probe) -> None:
    """Keys with `//`, `/./` and `/../` are signed as they are sent: nothing in them is normalised."""
    _expect_keys_are_signed(probe, "a//b")
    for name in ("a/../b", "a/./b"):
        about = f"a signed request for a key that ends in {name!r}"
        put = probe.put(probe.key(name), name.encode())
        put.expect("200", *_DOTTED_REFUSALS, about=f"PUT, {about}")
        if put.status == 200:
            probe.expect_content(probe.key(name), name.encode(), about=f"GET, {about}")
        else:  # KEY-08 allows it; that another key's data is never touched is checked there
            probe.report(f"keys with dot segments are refused, with {put.said}")


@check("AUTH-02", operation="GetObject")
def needless_escapes_in_paths(probe: Probe) -> None:
    """A path that escapes more than it has to is decoded once and encoded once for the signature."""
    path = probe.path(probe.given_object("a~b"))
    for tail in ("a%7Eb", "%61%7eb"):
        reply = probe.request("GET", path.removesuffix("a~b") + tail)
        reply.expect("200", about=f"GET of a~b, sent as {tail}, signed as a~b")


@check("AUTH-03", operation="ListObjectsV2")
def query_sorted_and_encoded(probe: Probe) -> None:
    """The query is signed sorted by name and then value, encoded anew, and `name` as `name=`."""
    prefix = quote(probe.prefix, safe="")
    for query, what in (
        (f"prefix={prefix}&max-keys=2&list-type=2&delimiter=%2F", "parameters out of order"),
        (f"list-type=2&prefix={prefix}&start-after", "a parameter without a value"),
        (f"list-type=2&prefix={prefix}&start-after=~!'()*", "characters that need no escape"),
        (f"list-type=2&prefix={prefix}&start-after=%c3%a9%f0%9f%98%80", "escapes in lower case"),
    ):
        probe.request("GET", probe.path(), query).expect("200", about=f"a signed query with {what}")
    query = f"list-type=2&prefix={prefix}&x-a3=2&x-a3=10&x-a3=1"
    repeated = probe.request("GET", probe.path(), query)
    if repeated.status == 400:
        probe.report(f"a query parameter that is sent several times is refused, with {repeated.said}")
    else:
        repeated.expect("200", about="a signed query with a repeated parameter")


@check("AUTH-03", operation="GetObject")
def white_space_in_headers(probe: Probe) -> None:
    """The values of signed headers are trimmed, and their inner runs of spaces collapsed."""
    path = probe.path(probe.shared_object())
    for value in ("a  b   c", "   a", "a   "):
        reply = probe.request("GET", path, headers={"x-a3-words": value})
        reply.expect("200", about=f"a signed header with the value {value!r}")


@check("AUTH-03", operation="GetObject")
def repeated_headers_are_joined(probe: Probe) -> None:
    """A header that is sent twice is signed as one, its values joined with a comma."""
    path = probe.path(probe.shared_object())
    reply = probe.request("GET", path, headers=[("x-a3-list", "1"), ("x-a3-list", "2")])
    reply.expect("200", about="a signed header that is sent twice")


@check("AUTH-03", operation="GetObject")
def header_names_in_any_case(probe: Probe) -> None:
    """Header names are signed in lower case and sorted, however they are sent."""

    def bend(headers: dict[str, str]) -> None:
        lines = [(name.title(), value) for name, value in reversed(headers.items())]
        headers.clear()
        headers.update(lines)

    path = probe.path(probe.shared_object())
    reply = probe.request("GET", path, headers={"x-a3-b": "1", "x-a3-a": "2"}, bend=bend)
    reply.expect("200", about="signed headers with capitals, in no order")


_NOT_SIGNED = ("403 AccessDenied", _MISMATCH)


@check("AUTH-04", operation="GetObject")
def host_must_be_signed(probe: Probe) -> None:
    """A signature that does not cover `host` is refused."""
    path = probe.path(probe.shared_object())
    reply = probe.request("GET", path, signed_names=("x-amz-content-sha256", "x-amz-date"))
    reply.expect(*_NOT_SIGNED, about="a signature without host")


@check("AUTH-04", operation="PutObject")
def amz_headers_must_be_signed(probe: Probe) -> None:
    """An `x-amz-*` header that was added to a signed request is refused, and nothing is stored."""
    source = f"/{probe.bucket}/{quote(probe.shared_object())}"
    for name, value in (
        ("x-amz-copy-source", source),
        ("x-amz-tagging", "a=b"),
        ("x-amz-acl", "private"),
        ("x-amz-a3-unknown", "1"),
    ):
        reply = probe.request("PUT", probe.path(probe.key()), body=CONTENT, unsigned={name: value})
        reply.expect(*_NOT_SIGNED, about=f"PUT with {name} added after it was signed")
    probe.expect_no_object(probe.key(), about="the object of a refused PUT")


@check("AUTH-04", operation="GetObject")
def date_and_hash_must_be_signed(probe: Probe) -> None:
    """`x-amz-date` and `x-amz-content-sha256`, too, must be among the signed headers."""
    path = probe.path(probe.shared_object())
    for name in ("x-amz-date", "x-amz-content-sha256"):
        names = {"host", "x-amz-date", "x-amz-content-sha256"} - {name}
        probe.request("GET", path, signed_names=names).expect(
            *_NOT_SIGNED, about=f"a signature without {name}"
        )


@check("AUTH-05", operation="GetObject")
def wrong_signatures_are_refused(probe: Probe) -> None:
    """A signature that is wrong in any digit, or made with another secret, opens nothing."""
    path = probe.path(probe.shared_object())
    flip = _rewritten(lambda line: line[:-1] + ("0" if line[-1] != "0" else "1"))
    for bend, what in ((forge, "only zeros"), (flip, "one wrong digit")):
        probe.request("GET", path, bend=bend).expect(_MISMATCH, about=f"a signature with {what}")
    reply = probe.request("GET", path, identity=with_other_secret(probe.main))
    reply.expect(_MISMATCH, about="a signature by another secret")


@check("AUTH-05", operation="PutObject")
def forged_writes_have_no_effect(probe: Probe) -> None:
    """PUT and DELETE with a wrong signature are refused, and change nothing."""
    key = probe.given_object("there")
    probe.request("PUT", probe.path(probe.key("new")), body=CONTENT, bend=forge).expect(
        _REFUSED, about="PUT with a wrong signature"
    )
    probe.request("PUT", probe.path(key), body=b"other", bend=forge).expect(
        _REFUSED, about="PUT over an object with a wrong signature"
    )
    probe.request("DELETE", probe.path(key), bend=forge).expect(
        _REFUSED, about="DELETE with a wrong signature"
    )
    probe.expect_no_object(probe.key("new"), about="the object of a refused PUT")
    probe.expect_content(key, CONTENT, about="the object that forged requests were about")


def _with_header(draft: Draft, name: str, value: str) -> Draft:
    """Return a draft with another value of a header that it has."""
    headers = tuple((found, value if found == name else other) for found, other in draft.headers)
    return replace(draft, headers=headers)


def _other_second(amz_date: str) -> str:
    """Return another time of the same minute.

    >>> _other_second("20260101T120059Z")
    '20260101T120000Z'
    """
    return f"{amz_date[:13]}{(int(amz_date[13:15]) + 1) % 60:02}Z"


@check("AUTH-05", operation="GetObject")
def signature_is_for_one_request(probe: Probe) -> None:
    """A signature is refused for another method, key, query, time or payload than it was made for."""
    key = probe.given_object()
    path = probe.path(key)
    draft = probe.draft("GET", path)
    other = probe.path(probe.shared_object())
    probe.send(replace(draft, method="DELETE")).expect(_REFUSED, about="DELETE with the signature of GET")
    probe.send(replace(draft, target=other)).expect(_REFUSED, about="the signature of another key")
    bent = replace(draft, target=f"{path}?response-content-type=text%2Fhtml")
    probe.send(bent).expect(_REFUSED, about="a query added after signing")
    hashed = _with_header(draft, "x-amz-content-sha256", UNSIGNED_PAYLOAD)
    probe.send(hashed).expect(_REFUSED, about="another payload hash than was signed")
    later = _with_header(draft, "x-amz-date", _other_second(draft.header("x-amz-date")))
    probe.send(later).expect(_REFUSED, about="another time than was signed")
    probe.expect_content(key, CONTENT, about="the object that a borrowed signature was to delete")


def _forged_stream(probe: Probe, key: str, mode: str, more: Mapping[str, str]) -> None:
    """Send a well-formed stream whose headers have no right signature; it must be refused."""
    trailers = _CRC32_TRAILER if mode.endswith("TRAILER") else ()
    announced = {"x-amz-trailer": "x-amz-checksum-crc32"} if trailers else {}
    headers = {"x-amz-decoded-content-length": "0", **announced, **more}
    who = with_other_secret(probe.main)
    date = who.amz_date()
    wire = b"" if mode == UNSIGNED_PAYLOAD else signing.chunked(
        [], mode=mode, seed="0" * 64, credentials=who.credentials, scope=who.scope(date), amz_date=date,
        trailers=trailers,
    )  # fmt: skip
    draft = probe.draft(
        "PUT", probe.path(key), (), headers, payload_hash=mode, unsigned={"content-length": str(len(wire))},
        bend=forge,
    )  # fmt: skip
    probe.send(draft, wire).expect(_REFUSED, about=f"PUT with a wrong signature and {mode}")


@check("AUTH-05", operation="PutObject")
def forged_streams_are_refused(probe: Probe) -> None:
    """A known key id with a wrong signature stores nothing, whatever x-amz-content-sha256 says."""
    for mode in (STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, UNSIGNED_PAYLOAD):
        _forged_stream(probe, probe.key(), mode, {})
    # Some servers unpack archives that come with this header, and had a verifier of its own for them.
    unpacked = {"x-amz-meta-snowball-auto-extract": "true"}
    _forged_stream(probe, probe.key(), STREAMING_UNSIGNED_TRAILER, unpacked)
    probe.expect_no_object(probe.key(), about="the object of refused streams")


def _put_by_forged_url(probe: Probe, path: str) -> None:
    """PUT streams by URLs with a wrong signature, the payload token in a header or in the query."""
    length = {"x-amz-decoded-content-length": "0", "x-amz-trailer": "x-amz-checksum-crc32"}
    token = ("x-amz-content-sha256", STREAMING_UNSIGNED_TRAILER)
    wire = signing.chunked([], mode=STREAMING_UNSIGNED_TRAILER, trailers=_CRC32_TRAILER)
    for headers, query in (({**length, token[0]: token[1]}, ()), (length, [token])):
        url = probe.presign("PUT", path, query, headers)
        reply = probe.open("PUT", url[:-64] + "0" * 64, headers, wire)
        reply.expect("4xx", "501", about="PUT of a stream by a URL with a wrong signature")


@check("AUTH-05", operation="PutObject")
def forged_urls_are_refused(probe: Probe) -> None:
    """A wrong signature in the query opens and stores nothing, alone or beside a second one."""
    key = probe.given_object("there")
    known = probe.main.credentials.access_key_id
    v2 = f"AWSAccessKeyId={quote(known, safe='')}&Expires=9999999999&Signature=AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"
    forged = probe.presign("GET", probe.path(key))[:-64] + "0" * 64
    repeated = f"{forged}&X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256"
    for target in (forged, f"{forged}&{v2}", repeated, f"{probe.path(key)}?{v2}"):
        # Who offers no presigned URLs may say so.
        probe.open("GET", target).expect("400", "403", "501", about="GET by a URL with a wrong signature")
    _put_by_forged_url(probe, probe.path(probe.key("new")))
    probe.expect_no_object(probe.key("new"), about="the object of a refused URL")


@check("AUTH-06", operation="GetObject")
def unknown_key_id(probe: Probe) -> None:
    """An access key id that nobody has is refused, for reading and for writing."""
    path = probe.path(probe.shared_object())
    nobody = unknown_identity(probe.main)
    unkept = replace(nobody, credentials=replace(nobody.credentials, secret_access_key=""))
    expected = "403 InvalidAccessKeyId"
    probe.request("GET", path, identity=nobody).expect(expected, about="an unknown access key id")
    probe.request("GET", path, identity=unkept).expect(expected, about="an unknown key id, empty secret")
    new = probe.path(probe.key("new"))
    probe.request("PUT", new, body=CONTENT, identity=unkept).expect(
        expected, about="PUT by an unknown key id"
    )
    probe.expect_no_object(probe.key("new"), about="the object of an unknown key id")


@check("AUTH-07", operation="GetObject")
def scope_of_another_day(probe: Probe) -> None:
    """A scope whose date is not that of `x-amz-date` is refused."""
    path = probe.path(probe.shared_object())
    day = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y%m%d")
    bend = resigned(probe, "GET", path, scope=lambda scope: replace(scope, day=day))
    probe.request("GET", path, bend=bend).expect(_MALFORMED, about="a scope of the day before yesterday")


@check("AUTH-07", operation="GetObject")
def scope_of_another_service(probe: Probe) -> None:
    """A scope of another service than s3 is refused."""
    path = probe.path(probe.shared_object())
    reply = probe.request("GET", path, identity=replace(probe.main, service="ec2"))
    reply.expect(_MALFORMED, about="a scope of the service ec2")


@check("AUTH-07", operation="GetObject")
def scope_with_another_end(probe: Probe) -> None:
    """A scope that does not end in aws4_request is refused."""
    path = probe.path(probe.shared_object())
    bend = resigned(probe, "GET", path, scope=lambda scope: replace(scope, terminator="aws5_request"))
    probe.request("GET", path, bend=bend).expect(_MALFORMED, about="a scope that ends in aws5_request")


@check("AUTH-07", operation="GetObject")
def missing_fields(probe: Probe) -> None:
    """An Authorization header without Credential, SignedHeaders or Signature is refused."""
    path = probe.path(probe.shared_object())
    for at, name in enumerate(("Credential", "SignedHeaders", "Signature")):
        others = tuple(number for number in range(3) if number != at)
        bend = _with_fields(partial(_picked, others))
        probe.request("GET", path, bend=bend).expect(_MALFORMED, about=f"a header without {name}")


@check("AUTH-07", operation="GetObject")
def unparsable_headers(probe: Probe) -> None:
    """An Authorization header that can't be parsed is refused as malformed."""
    path = probe.path(probe.shared_object())
    for change, what in (
        (lambda line: line.replace("/aws4_request", ""), "a scope that is too short"),
        (lambda line: f"{ALGORITHM} {'; '.join(_fields(line))}", "fields joined with semicolons"),
        (lambda _: f"{ALGORITHM} x", "a text in place of the fields"),
        (lambda _: f"{ALGORITHM} =,=,=", "fields without names"),
    ):
        probe.request("GET", path, bend=_rewritten(change)).expect(_MALFORMED, about=what)


@check("AUTH-07", operation="GetObject")
def damaged_headers_open_nothing(probe: Probe) -> None:
    """No fragment of an Authorization header opens anything, nor one with empty or repeated names."""
    path = probe.path(probe.shared_object())
    known = probe.main.credentials.access_key_id
    bends: list[Bend] = [
        *(partial(_replace_header, line) for line in (ALGORITHM, "AWS", f"AWS{known}:AAAA", f"AWS {known}:")),
        _rewritten(lambda line: line.replace("SignedHeaders=", "SignedHeaders=;")),
        _rewritten(lambda line: line.replace("SignedHeaders=host;", "SignedHeaders=host;;")),
        _rewritten(lambda line: line[:-64]),
    ]
    for bend in bends:
        probe.request("GET", path, bend=bend).expect("400", "403", about="a damaged Authorization header")


def _replace_header(line: str, headers: dict[str, str]) -> None:
    headers["authorization"] = line
