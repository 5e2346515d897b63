"""The table: each way to say who one is, what it is answered, and every route that it is tried on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from anys3.spec import catalogue
from tests.exemplars import Exemplar, Scene
from tests.rawclient import UNSIGNED, RawClient, Response
from tests.torture.access import ways
from tests.torture.access.ways import (
    DENIED,
    ECDSA,
    INVALID,
    MALFORMED,
    MALFORMED_QUERY,
    MISMATCH,
    SIGNED_CHUNKS,
    SKEWED,
    TOKENS,
    Verdict,
    Way,
    by_authorization,
    by_header,
    by_query,
    elsewhere,
    forged,
    form,
    in_both,
    in_header,
    in_query,
    other,
    presigned,
    scoped,
    sent,
    signed,
    swapped,
    url,
    v2_header,
    v2_query,
    v2_url,
    with_signature,
)
from tests.torture.access.world import Client, World

Row = tuple[Way, set[Verdict]]
FORM_VERDICTS = {DENIED, MISMATCH, INVALID}
STRANGER = "AKIANOBODYNOBODYNOBO"


def _late(s3: RawClient, offset_s: int) -> RawClient:
    return replace(s3, clock_offset_s=offset_s)


FORGED: dict[str, Row] = {
    # A POST to a bucket that is no form is nobody's route; whether the bucket exists is not told.
    "none": (lambda s3, one: sent(s3, one, dict(one.headers)), {DENIED, (412, "PreconditionFailed")}),
    "wrong key id": (
        lambda s3, one: sent(s3, one, signed(replace(s3, access_key_id=STRANGER), one)),
        {(403, "InvalidAccessKeyId")},
    ),
    "wrong secret": (
        lambda s3, one: sent(s3, one, signed(replace(s3, secret_access_key="wrong"), one)),
        {MISMATCH},
    ),
    "wrong signature": (lambda s3, one: sent(s3, one, forged(signed(s3, one))), {MISMATCH}),
    **{f"header, {token}": (in_header(token), {MISMATCH}) for token in TOKENS},
    **{f"query, {token} in a header": (in_query(token), {MISMATCH}) for token in TOKENS},
    **{f"query, {token} in the query": (in_both(token), {MISMATCH}) for token in TOKENS},
    "query, wrong signature": (by_query(lambda query: query[:-64] + "0" * 64), {MISMATCH}),
    "query, no signature": (presigned(drop=["X-Amz-Signature"]), {MALFORMED_QUERY}),
    "header, expired": (lambda s3, one: sent(s3, one, signed(_late(s3, -1000), one)), {SKEWED}),
    "query, expired": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(_late(s3, -1000), one)),
        {DENIED},
    ),
    "header, replayed on another method": (
        lambda s3, one: sent(s3, one, signed(s3, one, method=other(one.method))),
        {MISMATCH},
    ),
    "query, replayed on another method": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(s3, one, method=other(one.method))),
        {MISMATCH},
    ),
    "header, an unsigned x-amz header": (
        by_header(lambda lines: {**lines, "x-amz-meta-unsigned": "1"}),
        {DENIED},
    ),
    "query, an unsigned x-amz header": (
        lambda s3, one: sent(s3, one, {**one.headers, "x-amz-meta-unsigned": "1"}, url(s3, one)),
        {DENIED},
    ),
    "version 2 header": (
        lambda s3, one: sent(
            s3,
            one,
            {**one.headers, "x-amz-date": s3.amz_date(), "authorization": f"AWS {s3.access_key_id}:AAAA"},
        ),
        {MISMATCH, DENIED},
    ),
    "version 2 query": (
        lambda s3, one: sent(
            s3, one, dict(one.headers), "&".join(filter(None, [one.raw_query, v2_query(s3, one)]))
        ),
        {MISMATCH},
    ),
    "a token beside the signature": (
        by_header(lambda lines: {**lines, "x-amz-security-token": "eyJhbGciOiJub25lIn0.e30."}),
        {(400, "InvalidToken")},
    ),
    "a bearer token": (
        lambda s3, one: sent(s3, one, {**one.headers, "authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}),
        {INVALID},
    ),
    "a form": (form(policy="e30=", x_amz_signature="0" * 64), {DENIED, MISMATCH}),
}
"""The ways that are tried over sockets, too."""

BENT: dict[str, Row] = {
    **{f"header, {token}": (in_header(token), {MISMATCH}) for token in ECDSA},
    "header, not yet valid": (lambda s3, one: sent(s3, one, signed(_late(s3, 1000), one)), {SKEWED}),
    "query, not yet valid": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(_late(s3, 1000), one)),
        {DENIED},
    ),
    "query, expired at once": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(_late(s3, -2), one, expires_s=1)),
        {DENIED},
    ),
    "query, for eight days": (presigned(expires_s=691_200), {MALFORMED_QUERY}),
    "query, for less than nothing": (presigned(expires_s="-1"), {MALFORMED_QUERY}),
    "header, replayed on another path": (
        lambda s3, one: sent(s3, one, signed(s3, replace(one, path=one.path + "x"))),
        {MISMATCH},
    ),
    "query, replayed on another path": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(s3, replace(one, path=one.path + "x"))),
        {MISMATCH},
    ),
    "header, replayed on another bucket": (
        lambda s3, one: sent(s3, one, signed(s3, elsewhere(one))),
        {MISMATCH},
    ),
    "query, replayed on another bucket": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(s3, elsewhere(one))),
        {MISMATCH},
    ),
    "header, replayed on another query": (
        lambda s3, one: sent(s3, one, signed(s3, replace(one, query=(*one.query, ("a", "b"))))),
        {MISMATCH},
    ),
    "query, a parameter more": (by_query(lambda query: query + "&response-expires=0"), {MISMATCH}),
    "header, replayed on another host": (
        by_header(lambda lines: {**lines, "host": "another.example"}),
        {MISMATCH},
    ),
    "query, replayed on another host": (
        lambda s3, one: sent(s3, one, {**one.headers, "host": "another.example"}, url(s3, one)),
        {MISMATCH},
    ),
    "header, host is not signed": (ways.without_host, {DENIED}),
    "query, host is not signed": (presigned(replace={"X-Amz-SignedHeaders": "date"}), {DENIED}),
    "Authorization twice": (ways.twice, {MALFORMED}),
    "header and query": (
        lambda s3, one: sent(s3, one, signed(s3, one), url(s3, one)),
        {INVALID},
    ),
    "header, another region": (scoped("us-east-1", "eu-west-9"), {MALFORMED}),
    "header, another service": (scoped("/s3/", "/ec2/"), {MALFORMED}),
    "header, another day": (scoped(r"^\d{8}", "20200101"), {MALFORMED}),
    "header, a scope that does not end": (scoped("aws4_request", "aws4"), {MALFORMED}),
    "query, another region": (
        lambda s3, one: sent(s3, one, dict(one.headers), url(s3, one).replace("us-east-1", "eu-west-9")),
        {MALFORMED_QUERY},
    ),
    "query, another service": (
        by_query(lambda query: query.replace("%2Fs3%2F", "%2Fec2%2F")),
        {MALFORMED_QUERY},
    ),
    "query, another day": (
        by_query(lambda query: re.sub(r"%2F2\d{7}%2F", "%2F20200101%2F", query)),
        {MALFORMED_QUERY},
    ),
    "query, another algorithm": (by_query(lambda query: query.replace("HMAC", "ECDSA")), {MALFORMED_QUERY}),
    "header, another algorithm": (by_authorization(lambda text: text.replace("HMAC", "ECDSA")), {INVALID}),
    "header, an empty signature": (by_header(lambda lines: with_signature(lines, lambda _: "")), {MISMATCH}),
    "header, a short signature": (
        by_header(lambda lines: with_signature(lines, lambda one: one[:63])),
        {MISMATCH},
    ),
    "header, half a signature": (
        by_header(lambda lines: with_signature(lines, lambda one: one[:8])),
        {MISMATCH},
    ),
    "header, an upper-case signature": (
        by_header(lambda lines: with_signature(lines, lambda one: one.upper().replace("0", "O"))),
        {MISMATCH},
    ),
    "header, a byte more": (
        by_header(lambda lines: with_signature(lines, lambda one: one + "0")),
        {MISMATCH},
    ),
    "header, a field more": (by_authorization(lambda text: text + ", Extra=1"), {MALFORMED}),
    "header, a comma more": (by_authorization(lambda text: text + ","), {MALFORMED}),
    "header, a name signed twice": (
        by_authorization(lambda text: text.replace("SignedHeaders=", "SignedHeaders=host;")),
        {MALFORMED},
    ),
    "header, an empty name": (
        by_authorization(lambda text: text.replace("SignedHeaders=", "SignedHeaders=;")),
        {MALFORMED},
    ),
    "header, no scheme": (by_authorization(lambda text: text.partition(" ")[2]), {INVALID}),
    "header, a scheme in lower case": (
        by_authorization(lambda text: text.replace("AWS4", "aws4")),
        {INVALID},
    ),
    "header, no digest of the body": (
        by_header(lambda lines: {n: v for n, v in lines.items() if n != "x-amz-content-sha256"}),
        {(400, "InvalidRequest")},
    ),
    "header, no date": (
        by_header(lambda lines: {n: v for n, v in lines.items() if n != "x-amz-date"}),
        {DENIED},
    ),
    "header, a password": (by_authorization(lambda _: "Basic cm9vdDpyb290"), {INVALID}),
    "query, an empty signature": (by_query(lambda query: query[:-64]), {MISMATCH}),
    "query, a short signature": (by_query(lambda query: query[:-1]), {MISMATCH}),
    "query, a byte more": (by_query(lambda query: query + "0"), {MISMATCH}),
    "query, a part of a signature": (
        lambda s3, one: sent(
            s3, one, dict(one.headers), "&".join(filter(None, [one.raw_query, "X-Amz-Signature=" + "0" * 64]))
        ),
        {MALFORMED_QUERY},
    ),
    "version 2 header, the case turned": (v2_header(swapped), {MISMATCH}),
    "version 2 header, cut short": (v2_header(lambda one: one[:-1]), {MISMATCH}),
    "version 2 header, a byte more": (v2_header(lambda one: one + "="), {MISMATCH}),
    "version 2 header, too old": (v2_header(late_s=-1000), {SKEWED}),
    "version 2 query, the case turned": (v2_url(swapped), {MISMATCH}),
    "version 2 query, replayed on another method": (v2_url(replayed=True), {MISMATCH}),
    "version 2 query, expired": (v2_url(after_s=-5), {DENIED}),
    "a form without a signature": (form(drop=("x-amz-signature",)), FORM_VERDICTS),
    "a form without any trace of one": (
        form(drop=("x-amz-signature", "x-amz-credential", "x-amz-algorithm", "x-amz-date", "policy")),
        FORM_VERDICTS,
    ),
    "a form that expired": (form(after_s=-10), FORM_VERDICTS),
    "a form for another bucket": (form(bucket="another-bucket"), FORM_VERDICTS),
    "a form for another key": (form(key="another"), FORM_VERDICTS),
    "a form with a field that nobody signed": (form(x_amz_meta_a="1"), FORM_VERDICTS),
}
"""More ways, each broken otherwise."""

REFUSED_BODIES: dict[str, Row] = {
    f"header, {token}, signed": (
        lambda s3, one, token=token: sent(s3, one, signed(s3, one, token)),  # type: ignore[misc]
        {INVALID},
    )
    for token in ECDSA
}
"""The signature is right, the body's mode is none of ours: proven, and refused."""

RIGHT: dict[str, Way] = {
    "header": lambda s3, one: sent(s3, one, signed(s3, one)),
    f"header, {UNSIGNED}": lambda s3, one: sent(s3, one, signed(s3, one, UNSIGNED)),
    "query": lambda s3, one: sent(s3, one, dict(one.headers), url(s3, one)),
    "version 2 header": v2_header(),
    "version 2 query": v2_url(),
}
"""Ways that every operation but PostObject takes."""


# --- routes -----------------------------------------------------------------------------------------------------


def operations() -> list[str]:
    """Return the operations that need a signature."""
    return sorted(name for name in catalogue.operations() if name != "CorsPreflight")


def refused_routes(bucket: str) -> Iterator[Exemplar]:
    """Yield what no operation is: sub-resources that are not served (501), or not there (405, 400, 412)."""
    names = sorted(name for name, row in catalogue.query_names().items() if row.is_subresource)
    places = {"/": "service", f"/{bucket}": "bucket", f"/{bucket}/k": "object"}
    served = {
        (one.method, one.resource, tuple(sorted(each.partition("=")[0] for each in one.selectors)))
        for one in catalogue.operations().values()
    }
    for path, resource in places.items():
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            for name in names:
                if (method, resource, (name,)) not in served and resource != "service":
                    yield Exemplar(f"{method} {resource}?{name}", method, path, ((name, ""),), status=0)
    for method, path in [
        ("POST", "/"),
        ("PUT", "/"),
        ("DELETE", "/"),
        ("PATCH", f"/{bucket}/k"),
        ("POST", f"/{bucket}/k"),
    ]:
        yield Exemplar(f"{method} {path}", method, path, status=0)
    for method in ("GET", "PUT"):
        yield Exemplar(f"{method} unknown list-type", method, f"/{bucket}", (("list-type", "7"),), status=0)
    yield Exemplar("PUT part without upload", "PUT", f"/{bucket}/k", (("partNumber", "1"),), status=0)
    yield Exemplar("two sub-resources", "GET", f"/{bucket}", (("acl", ""), ("cors", "")), status=0)


def verdict_of(response: Response) -> Verdict:
    """Return status and error code; "" where something was served."""
    return response.status, response.code if response.status >= 400 else ""


@dataclass(slots=True)
class Tally:
    """What was tried, and what went wrong."""

    combinations: int = 0
    refusals: int = 0
    violations: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Keep a violation."""
        self.violations.append(what)


class Table:
    """A world with a scene in it; each trial is compared with what the store held before."""

    def __init__(self, world: World, client: Client, bucket: str = "table-bucket") -> None:
        """Prepare the scene."""
        self.world = world
        self.client = client
        self.scene = Scene(client, bucket)
        self.scene.prepare()
        self.tally = Tally()
        self._before = world.dump()

    def routes(self, every: int = 1) -> list[Exemplar]:
        """Return every operation, and each so many-th of the routes that no operation is."""
        served = [ways.without_headers(self.scene.exemplar(name)) for name in operations()]
        return [*served, *list(refused_routes(self.scene.bucket))[::every]]

    def own_verdict(self, one: Exemplar) -> Verdict:
        """Return how a route that no operation is answers somebody who may do everything."""
        verdict = verdict_of(self.client.send(sent(self.client, one, signed(self.client, one)), one.method))
        if not 400 <= verdict[0] <= 501 or verdict[0] == 403:
            self.tally.note(f"{one.operation}: no refusal, but {verdict}")
        self.settle(one.operation, "signed rightly")
        return verdict

    def refuse(self, one: Exemplar, way: str, row: Row, own: set[Verdict] = frozenset()) -> None:  # type: ignore[assignment]
        """Try a broken way on a route: it is asked at most once, never proven, and changes nothing."""
        make, allowed = row
        data = make(self.client, one)
        is_anonymous = way == "none" or way.startswith("a form")
        allowed = allowed | (own if is_anonymous or way in REFUSED_BODIES else set())
        verdict = verdict_of(self.client.send(data, one.method))
        self.tally.combinations += 1
        expected = {(status, "") for status, _ in allowed} if one.method == "HEAD" else allowed
        if verdict not in expected:
            self.tally.note(f"{one.operation}, {way}: {verdict}, expected {sorted(expected)}")
        else:
            self.tally.refusals += 1
        calls = self.world.app.calls
        most = ["asked", "proven"] if is_anonymous or way in REFUSED_BODIES else ["asked"]
        if calls != most[: len(calls)]:
            self.tally.note(f"{one.operation}, {way}: the verifier was {calls}")
        self.settle(one.operation, way)

    def settle(self, operation: str, way: str) -> None:
        """Note what has changed though it must not."""
        after = self.world.dump()
        if after != self._before:
            self.tally.note(f"{operation}, {way}: the store has changed")
            self._before = after


__all__ = ["BENT", "FORGED", "REFUSED_BODIES", "RIGHT", "SIGNED_CHUNKS", "Table", "Tally", "operations"]
