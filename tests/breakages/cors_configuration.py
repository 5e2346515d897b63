"""Servers broken for the checks of CORS rules by API: CORSC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anys3.model import Bucket, CorsRule
from anys3.operations import bucket_cors
from anys3.operations.call import Call
from anys3.protocol import cors
from anys3.protocol.http import Answer
from anys3.spec.errors import S3Error
from tests.broken_servers import (
    Breakage,
    Handler,
    accepting,
    answering,
    breaks,
    handled,
    patched,
    saying,
    when,
)

parse_document = cors.parse_document
render = cors.render
rules_of = bucket_cors.rules_of


def to_cors(sentence: str, method: str, change: Callable[[Answer], Answer | None]) -> Breakage:
    """A server that answers a request for ?cors otherwise."""
    return answering(
        sentence, lambda request, answer: change(answer) if when(request, method, "cors") else None
    )


def keeping(sentence: str, keep: Callable[[CorsRule], CorsRule]) -> Breakage:
    """A server that keeps another rule than the one that was set."""
    return patched(
        sentence,
        "anys3.protocol.cors.parse_document",
        lambda document: tuple(map(keep, parse_document(document))),
    )


async def ignored(call: Call, want: Any, proceed: Handler) -> Any:
    """Answer as if the rules were set or deleted."""
    del want, proceed
    return Answer(204 if call.request.method == b"DELETE" else 200)


async def added(call: Call, want: Any, proceed: Handler) -> Any:
    """Keep the rules that are there before the new ones."""
    old = call.bucket.cors or ()
    answer = await proceed(call, want)
    current = await call.store.bucket(call.bucket.name)
    assert current is not None
    await call.store.update_bucket(replace(current, cors=old + (current.cors or ())), was=current)
    return answer


breaks("CORSC-01/sets-rules", handled("PUT ?cors has no effect", "PutBucketCors", ignored))
breaks("CORSC-01/sets-rules", handled("rules are added to those that are there", "PutBucketCors", added))
breaks("CORSC-01/sets-rules", to_cors("PUT ?cors is not there", "PUT", lambda _: Answer(501)))
breaks("CORSC-01/deletes-rules", handled("DELETE ?cors has no effect", "DeleteBucketCors", ignored))
breaks(
    "CORSC-01/deletes-rules",
    to_cors("DELETE ?cors answers 200", "DELETE", lambda answer: replace(answer, status=200)),
)
breaks("CORSC-01/integrity-value", saying("InvalidDigest", instead_of="BadDigest"))
breaks("CORSC-01/integrity-value", saying("MalformedXML", instead_of="InvalidRequest"))
breaks("CORSC-01/integrity-value", accepting("BadDigest", method="PUT"))
breaks(
    ("CORSC-01/deletes-rules", "CORSC-02/no-rules"),
    saying("NoSuchKey", instead_of="NoSuchCORSConfiguration"),
)
breaks(
    "CORSC-02/no-rules",
    to_cors(
        "a bucket without rules has an empty document",
        "GET",
        lambda answer: Answer(200, body=b"<CORSConfiguration/>") if answer.status == 404 else None,
    ),
)


def dropping(document: Any) -> Any:
    """Leave out the rules that are impossible."""
    try:
        return parse_document(document)
    except S3Error:
        return ()


for _most in (99, 1000):
    breaks(
        "CORSC-03/documents-of-rules",
        patched(f"{_most} rules are most", "anys3.protocol.cors.MAX_RULES", _most),
    )
breaks(
    "CORSC-03/documents-of-rules",
    patched("POST is no method", "anys3.protocol.cors.METHODS", ("GET", "PUT", "DELETE", "HEAD")),
)
breaks("CORSC-03/documents-of-rules", saying("InvalidRequest", instead_of="MalformedXML"))
breaks("CORSC-04/impossible-rules", saying("MalformedXML", instead_of="InvalidRequest"))
for _name in ("CORSC-03/documents-of-rules", "CORSC-04/impossible-rules"):
    breaks(_name, patched("impossible rules are left out", "anys3.protocol.cors.parse_document", dropping))
breaks(
    "CORSC-04/impossible-rules",
    patched("rules are not looked at", "anys3.protocol.cors._check", lambda _: None),
)


async def cleared_first(call: Call, want: Any, proceed: Handler) -> Any:
    """Delete the old rules before the new ones are looked at."""
    current = await call.store.bucket(call.bucket.name)
    assert current is not None
    await call.store.update_bucket(replace(current, cors=None), was=current)
    return await proceed(call, want)


breaks(
    ("CORSC-01/integrity-value", "CORSC-03/documents-of-rules", "CORSC-04/impossible-rules"),
    handled("old rules go before the new ones have been looked at", "PutBucketCors", cleared_first),
)
breaks(
    "CORSC-05/rules-in-order",
    patched(
        "rules come back in another order", "anys3.protocol.cors.render", lambda rules: render(rules[::-1])
    ),
)
for _field, _value in (
    ("id", "rule-1"),
    ("max_age_s", None),
    ("expose_headers", ()),
    ("allowed_headers", ("x-b",)),
    ("allowed_methods", ("GET",)),
    ("allowed_origins", ("*",)),
):
    breaks(
        "CORSC-05/rules-in-order",
        keeping(
            f"{_field} of rules is not kept",
            lambda rule, field=_field, value=_value: replace(rule, **{field: value}) if rule.id else rule,
        ),
    )

_seen: dict[tuple[str, int], Any] = {}


def late(bucket: Bucket | None) -> Any:
    """Return the rules that the bucket had when it was first asked for."""
    return _seen.setdefault((bucket.name, bucket.created_ms), rules_of(bucket)) if bucket else ()


breaks(
    "CORSC-06/effective-at-once",
    patched("rules are effective later", "anys3.operations.bucket_cors.rules_of", late),
)
breaks("CORSC-06/effective-at-once", handled("PUT ?cors has no effect", "PutBucketCors", ignored))
breaks(
    "CORSC-06/effective-at-once", handled("rules are added to those that are there", "PutBucketCors", added)
)
breaks("CORSC-06/effective-at-once", handled("DELETE ?cors has no effect", "DeleteBucketCors", ignored))
