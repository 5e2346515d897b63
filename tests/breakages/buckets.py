"""Servers broken for the checks of CreateBucket, HeadBucket and GetBucketLocation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anys3.model import Bucket
from anys3.operations.call import Call
from anys3.protocol.http import Answer, Request
from anys3.protocol.names import check_bucket_name
from anys3.spec.errors import S3Error
from anys3.wire import binding
from tests.broken_servers import (
    Breakage,
    Handler,
    Proceed,
    accepting,
    answering,
    breaks,
    error_answer,
    handled,
    hooked,
    patched,
    replace_in_body,
    saying,
    set_header,
    when,
    without_header,
)

_bind = binding.bind
SERVER: Any = None
"""`patched` looks at no server."""


def saying_status(status: int, *, instead_of: int = 200) -> Breakage:
    """A server that answers HEAD of a bucket with another status."""
    return answering(
        f"HEAD of a bucket is answered {status} in place of {instead_of}",
        lambda request, answer: (
            replace(answer, status=status) if when(request, "HEAD") and answer.status == instead_of else None
        ),
    )


def located_in(sentence: str, region: str) -> Breakage:
    """A server whose GetBucketLocation names that region."""
    return answering(
        sentence,
        lambda request, answer: (
            replace_in_body(answer, "</LocationConstraint>", f"{region}</LocationConstraint>")
            if when(request, "GET", "location")
            else None
        ),
    )


def is_creation(request: Request) -> bool:
    """Whether it is a CreateBucket."""
    return request.method == b"PUT" and request.path.count(b"/") == 1 and not request.query


def located(sentence: str, value: str) -> Breakage:
    """A server whose answers to CreateBucket have another Location."""
    return answering(
        sentence,
        lambda request, answer: (
            set_header(answer, "Location", value) if is_creation(request) and answer.status == 200 else None
        ),
    )


breaks("CB-01/portable-form", without_header("Location", method="PUT"))
breaks("CB-01/portable-form", located("Location is the server's own root", "/"))
breaks(
    "CB-01/portable-form",
    answering(
        "CreateBucket is answered with a document",
        lambda request, answer: replace(answer, body=b"<Bucket/>") if is_creation(request) else None,
    ),
)


async def only_saying_so(request: Request, proceed: Proceed) -> Answer:
    """Answer as if the bucket had been created."""
    if is_creation(request) and b"-spare" in request.path:
        return Answer(200, b"Location: %b\r\n" % request.path)
    return await proceed(request)


breaks("CB-01/portable-form", hooked("buckets are only said to be created", only_saying_so))


async def refusing_bodies(call: Call, want: Any, proceed: Handler) -> Any:
    """Create no bucket if there is a body."""
    if call.request.headers.get(b"content-length", b"0") != b"0":
        raise S3Error("NotImplemented")
    return await proceed(call, want)


breaks("CB-01/other-form", handled("bodies are not known", "CreateBucket", refusing_bodies))
breaks(
    ("CB-02/other-region", "CB-03/another-document"),
    patched(
        "bodies are not looked at", "anys3.operations.create_bucket._check_location", lambda call, body: None
    ),
)
breaks("CB-02/other-region", saying("InvalidArgument", instead_of="InvalidLocationConstraint"))


async def creating_all_the_same(call: Call, want: Any, proceed: Handler) -> Any:
    """Create the bucket, also if the request is refused after that."""
    name = call.target.bucket or ""
    check_bucket_name(name, is_new=True)
    try:
        answer = await proceed(call, want)
    except S3Error as error:
        if error.code != "BucketAlreadyOwnedByYou":
            await call.store.create_bucket(Bucket(name, 0, call.now_ms, owner=call.principal))
        raise
    return answer


breaks(
    ("CB-02/other-region", "CB-03/another-document"),
    handled("the bucket is made before its body is read", "CreateBucket", creating_all_the_same),
)
breaks("CB-03/another-document", saying("InvalidRequest", instead_of="MalformedXML"))


async def making_anew(call: Call, want: Any, proceed: Handler) -> Any:
    """Create a bucket over one that is there."""
    name = call.target.bucket or ""
    call.store.kept.spaces.pop(name, None)  # type: ignore[attr-defined]
    return await proceed(call, want)


async def taking_rules_away(call: Call, want: Any, proceed: Handler) -> Any:
    """Keep the content of a bucket that is created again, but not its configuration."""
    row = await call.store.bucket(call.target.bucket or "")
    if row is not None:
        await call.store.update_bucket(replace(row, cors=None))
    return await proceed(call, want)


async def handing_over(call: Call, want: Any, proceed: Handler) -> Any:
    """Give a bucket that is created again to whoever asks for it."""
    row = await call.store.bucket(call.target.bucket or "")
    if row is None:
        return await proceed(call, want)
    await call.store.update_bucket(replace(row, owner=call.principal))
    return Answer(200, b"Location: /%b\r\n" % row.name.encode())


breaks("CB-04/again", handled("a bucket that is created again is empty", "CreateBucket", making_anew))
breaks(
    "CB-04/again", handled("a bucket that is created again has no rules", "CreateBucket", taking_rules_away)
)
breaks("CB-04/again", saying("BucketAlreadyExists", instead_of="BucketAlreadyOwnedByYou"))
breaks(
    "CB-05/owned-by-another", handled("the last who creates a bucket owns it", "CreateBucket", handing_over)
)
breaks("CB-05/owned-by-another", saying("BucketAlreadyOwnedByYou", instead_of="BucketAlreadyExists"))
breaks("CB-05/owned-by-another", handled("it is emptied", "CreateBucket", making_anew))


def slowly(sentence: str, method: str, query: str = "") -> Breakage:
    """A server on which a new bucket is not there yet for one method."""

    async def hook(request: Request, proceed: Proceed) -> Answer:
        is_of_spare = b"-spare" in request.path and not is_creation(request)
        if is_of_spare and when(request, method, query):
            return error_answer("NoSuchBucket")
        return await proceed(request)

    return hooked(sentence, hook)


breaks("CB-06/visible-at-once", slowly("a new bucket takes no objects yet", "PUT"))
breaks("CB-06/visible-at-once", slowly("a new bucket is not there for HEAD yet", "HEAD"))
breaks(
    "CB-06/visible-at-once",
    answering(
        "a new bucket is not listed yet",
        lambda request, answer: (
            replace_in_body(answer, "-spare-", "-later-")
            if when(request, "GET") and request.path == b"/"
            else None
        ),
    ),
)


def ignoring(header: str) -> Breakage:
    """A server that does not look at a header."""

    def bind(operation: Any, request: Request, query: Any) -> Any:
        request.headers.pop(header.encode(), None)
        return _bind(operation, request, query)

    return patched(f"{header} is not looked at", "anys3.wire.binding.bind", bind)


def refusing(header: str, value: str, code: str) -> Breakage:
    """A server that refuses one value of a header of CreateBucket."""

    async def hook(request: Request, proceed: Proceed) -> Answer:
        is_one = is_creation(request) and request.headers.get(header.encode()) == value.encode()
        return error_answer(code) if is_one else await proceed(request)

    return hooked(f"{header}: {value} is refused with {code}", hook)


def creating_before_refusing(header: str) -> Breakage:
    """A server that refuses a header after it has created the bucket."""

    async def hook(request: Request, proceed: Proceed) -> Answer:
        if not is_creation(request) or header.encode() not in request.headers:
            return await proceed(request)
        with ignoring(header).enter(SERVER):
            await proceed(request)
        return error_answer("NotImplemented")

    return hooked(f"{header} is refused after the bucket was created", hook)


for _name, _value in (("x-amz-acl", "private"), ("x-amz-bucket-object-lock-enabled", "false")):
    breaks("CB-07/values-without-effect", refusing(_name, _value, "NotImplemented"))
for _check, _name, _value in (
    ("CB-07/public-acl", "x-amz-acl", "public-read"),
    ("CB-07/object-lock", "x-amz-bucket-object-lock-enabled", "true"),
):
    breaks(_check, ignoring(_name))
    breaks(_check, refusing(_name, _value, "InternalError"))
    breaks(_check, creating_before_refusing(_name))

# --- HeadBucket and GetBucketLocation -------------------------------------------------------------------------

breaks("HB-01/region-of-bucket", without_header("x-amz-bucket-region", method="HEAD"))
breaks(
    "HB-01/region-of-bucket",
    answering(
        "the region is another",
        lambda request, answer: (
            set_header(answer, "x-amz-bucket-region", "eu-west-1") if when(request, "HEAD") else None
        ),
    ),
)
breaks("HB-01/region-of-bucket", saying_status(405))
breaks("HB-02/missing-bucket", saying_status(200, instead_of=404))
breaks("HB-02/missing-bucket", saying_status(403, instead_of=404))
breaks("HB-02/bucket-of-another", saying_status(404, instead_of=403))
breaks("HB-02/bucket-of-another", patched("all may read", "anys3.server.application.may", lambda *_: True))
breaks("LOC-01/region-in-document", located_in("the region is another", "eu-west-1"))
breaks("LOC-01/region-in-document", located_in("us-east-1 is spelt out", "us-east-1"))
breaks(
    "LOC-01/region-in-document",
    answering(
        "the document has no namespace",
        lambda request, answer: (
            replace_in_body(answer, ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', "")
            if when(request, "GET", "location")
            else None
        ),
    ),
)
breaks(
    "LOC-01/signed-for-alias",
    answering(
        "us-east-1 is refused, and no region named",
        lambda request, _: (
            error_answer("AuthorizationHeaderMalformed") if when(request, "GET", "location") else None
        ),
    ),
)
breaks(
    "LOC-01/signed-for-alias",
    answering(
        "us-east-1 is refused as if the secret were wrong",
        lambda request, _: (
            error_answer("SignatureDoesNotMatch") if when(request, "GET", "location") else None
        ),
    ),
)
breaks("LOC-01/location-of-missing", saying("NoSuchKey", instead_of="NoSuchBucket", query="location"))
breaks("LOC-01/location-of-missing", accepting("NoSuchBucket", query="location"))
