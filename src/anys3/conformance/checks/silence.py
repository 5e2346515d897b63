"""No silent fall-through, and what asks for nothing is ignored: HTTP-14, HTTP-16 and HTTP-27."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from anys3.conformance.digests import md5_base64
from anys3.conformance.kit import spare
from anys3.conformance.kit.together import together
from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import CONTENT, Probe, SentPart, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

OBJECT_SUBRESOURCES = {
    "GET": ("acl", "annotation", "attributes", "legal-hold", "retention", "tagging", "torrent"),
    "PUT": ("acl", "annotation", "encryption", "legal-hold", "renameObject", "retention", "tagging"),
    "POST": ("restore", "select"),
    "DELETE": ("annotation", "tagging", "uploadId"),
}
BUCKET_SUBRESOURCES = {
    "GET": (
        "abac", "accelerate", "acl", "analytics", "cors", "encryption", "intelligent-tiering", "inventory",
        "lifecycle", "location", "logging", "metadataConfiguration", "metadataTable", "metrics",
        "notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock",
        "replication", "requestPayment", "tagging", "uploads", "versioning", "versions", "website",
    ),
    "PUT": (
        "abac", "accelerate", "acl", "analytics", "cors", "encryption", "intelligent-tiering", "inventory",
        "lifecycle", "logging", "metadataAnnotationTable", "metadataInventoryTable", "metadataJournalTable",
        "metrics", "notification", "object-lock", "ownershipControls", "policy", "publicAccessBlock",
        "replication", "requestPayment", "tagging", "versioning", "website",
    ),
    "POST": ("delete", "metadataConfiguration", "metadataTable"),
    "DELETE": (
        "analytics", "cors", "encryption", "intelligent-tiering", "inventory", "lifecycle",
        "metadataConfiguration", "metadataTable", "metrics", "ownershipControls", "policy",
        "publicAccessBlock", "replication", "tagging", "website",
    ),
}  # fmt: skip
"""What S3's model has, by method. tests/conformance/test_subresources.py holds it against the catalogue."""
UNASKED = {
    "list-type": "it is a listing itself",
    "select-type": "it stands beside select",
    "session": "its answer holds credentials",
}
"""Sub-resources that no check asks for, and why."""
_IGNORED = {
    "amz-sdk-invocation-id": "7c1fbd7e-8d4f-4a9e-9c0e-1f6c1e1f7c1f",
    "amz-sdk-request": "attempt=1; max=3",
    "x-amz-user-agent": "anys3-check",
    "x-amz-checksum-mode": "ENABLED",
    "x-amz-request-payer": "requester",
    "x-amz-te": "append-md5",
    "x-amz-optional-object-attributes": "RestoreStatus",
    "x-amz-cf-id": "of-a-proxy",
    "x-amz-api-version": "2006-03-01",
}
_NO_OPS = {
    "x-amz-storage-class": "STANDARD",
    "x-amz-object-ownership": "BucketOwnerEnforced",
    "x-amz-bucket-object-lock-enabled": "false",
    "x-amz-server-side-encryption-bucket-key-enabled": "false",
    "x-amz-bypass-governance-retention": "true",
}
_NO_OP_ACLS = ("private", "bucket-owner-full-control")
_BASE_OF_PUT = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


# --- sub-resources ---------------------------------------------------------------------------------------


@check("HTTP-14", operation="GetObject")
def object_subresources(probe: Probe) -> None:
    """A sub-resource of an object is acted on or refused; the object itself is not read, written or deleted."""
    key = probe.given_object()
    asked = [(method, name) for method, names in OBJECT_SUBRESOURCES.items() for name in names]
    with together() as each:
        for method, name in asked:
            with each():
                _ask_object(probe, key, method, name)
    probe.expect_content(key, CONTENT, about="the object after these requests")
    equal(probe.list_keys().texts("Contents/Key"), [key], "the keys after these requests")


def _ask_object(probe: Probe, key: str, method: str, name: str) -> None:
    about = f"{method} of an object with ?{name}"
    reply = _ask(probe, method, probe.path(key), name)
    if method == "GET":
        require(reply.body != CONTENT, f"{about}: expected a refusal, got the object itself")
        return
    is_any_body_right = name == "annotation"
    if method != "DELETE" and not is_any_body_right:
        _expect_refusal(reply, about)
    if reply.status >= 300:
        return  # one look at the end shows whether something was done all the same
    found = probe.get(key)
    if found.body != CONTENT:
        probe.put(key)  # for the next trial
        raise Failed(f"{about}: expected the object to be as it was, got {found.said} with other content")


@check("HTTP-14", operation="ListObjects")
def bucket_subresources(probe: Probe) -> None:
    """A sub-resource of a bucket is answered or refused; it is never answered with a listing."""
    with together() as each:
        for name in BUCKET_SUBRESOURCES["GET"]:
            with each():
                reply = _ask(probe, "GET", probe.path(), name)
                is_listing = reply.status == 200 and b"<ListBucketResult" in reply.body[:200]
                require(not is_listing, f"GET of a bucket with ?{name}: expected a refusal, got a listing")


@check("HTTP-14", operation="CreateBucket", needs=("buckets",), lock="spare")
def bucket_subresources_written(probe: Probe) -> None:
    """A sub-resource of a bucket is written or refused; the bucket itself is not made or deleted."""
    with spare.given(probe) as bucket:
        key = probe.given_object(bucket=bucket)  # so that a DELETE of the bucket can't do harm
        path = probe.path(bucket=bucket)
        asked = [
            (method, name) for method in ("PUT", "POST", "DELETE") for name in BUCKET_SUBRESOURCES[method]
        ]
        with together() as each:
            for method, name in asked:
                with each():
                    reply = _ask(probe, method, path, name)
                    about = f"{method} of a bucket with ?{name}"
                    if method != "DELETE":
                        _expect_refusal(reply, about)
                    is_base = reply.code in ("BucketNotEmpty", *_BASE_OF_PUT)
                    require(not is_base, f"{about}: expected a refusal of {name}, got {reply.said}")
        probe.request("GET", probe.path(key, bucket)).expect("200", about="the object after these requests")


def _ask(probe: Probe, method: str, path: str, name: str) -> Reply:
    """Send a request with a sub-resource, with a body that is right for none."""
    body = b"not a document" if method in ("PUT", "POST") else b""
    query = [(name, "none" if name == "uploadId" else "")]
    if name == "select":
        query.append(("select-type", "2"))
    headers = {"content-md5": md5_base64(body)}
    reply = probe.request(method, path, query, headers if body else (), body)
    return reply.expect("2xx", "3xx", "4xx", "501", about=f"{method} with ?{name}")


def _expect_refusal(reply: Reply, about: str) -> None:
    require(
        reply.status >= 400, f"{about} and a body that is no document: expected a refusal, got {reply.said}"
    )


# --- what asks for nothing -------------------------------------------------------------------------------


@check("HTTP-16", operation="PutObject")
def ignored_headers(probe: Probe) -> None:
    """Headers that ask for nothing, and names that are not in S3's model, change nothing."""
    key = probe.key()
    on_put = {**_IGNORED, "x-amz-checksum-algorithm": "CRC32"}
    _expect_accepted(on_put, "PUT", lambda headers: probe.put(key, CONTENT, headers))
    probe.head(key, _IGNORED).expect("200", about="HEAD with headers that ask for nothing")
    without_body = {**_IGNORED, "x-amz-checksum-crc32": "AAAAAA=="}
    reply = probe.get(key, without_body).expect("200", about="GET with headers that ask for nothing")
    equal(reply.body, CONTENT, "the object read with headers that ask for nothing")
    listed = probe.request("GET", probe.path(), [("list-type", "2"), ("prefix", probe.prefix)], _IGNORED)
    equal(listed.expect("200").texts("Contents/Key"), [key], "the keys listed with those headers")
    probe.delete(key, _IGNORED).expect("204", about="DELETE with headers that ask for nothing")


@check("HTTP-16", operation="PutObject")
def ignored_query_names(probe: Probe) -> None:
    """Query names that S3 does not know, and x-id, change nothing."""
    key = probe.key()
    probe.put(key, CONTENT, query=[("x-id", "PutObject")]).expect("200", about="PUT with ?x-id")
    for query in ("unknown", "unknown=1&other=2&x-id=GetObject"):
        reply = probe.request("GET", probe.path(key), query).expect("200", about=f"GET with ?{query}")
        equal(reply.body, CONTENT, f"the object read with ?{query}")
    listed = probe.list_keys(("unknown", "1")).expect("200", about="a listing with an unknown parameter")
    equal(listed.texts("Contents/Key"), [key], "the keys listed with an unknown parameter")
    probe.delete(key, query=[("x-id", "DeleteObject")]).expect("204", about="DELETE with ?x-id")


@check("HTTP-16", operation="GetObject")
def ignored_names_are_signed(probe: Probe) -> None:
    """A signed header, or a query name, that is ignored still takes part in the signature."""
    path = probe.path(probe.shared_object())

    def change(headers: dict[str, str]) -> None:
        headers["x-amz-cf-id"] = "changed"

    changed = probe.request("GET", path, (), {"x-amz-cf-id": "signed"}, bend=change)
    changed.expect("403", about="GET with a header that was changed after signing")
    draft = probe.draft("GET", path, "unknown=1")
    bent = type(draft)(draft.method, f"{path}?unknown=2", draft.headers, draft.identity)
    probe.send(bent).expect("403", about="GET with a query that was changed after signing")


def _expect_accepted(
    headers: Mapping[str, str], operation: str, ask: Callable[[Mapping[str, str]], Reply]
) -> Reply:
    """Return the answer to a request with all those headers, which must be 200.

    If it is not, each header is tried alone, so that the failure names those that are to blame.
    """
    reply = ask(headers)
    if reply.status != 200:
        with together() as each:
            for name, value in headers.items():
                with each():
                    ask({name: value}).expect("200", about=f"{operation} with {name}: {value}")
    return reply.expect("200", about=f"{operation} with {', '.join(headers)} together")


# --- neutral values --------------------------------------------------------------------------------------


@check("HTTP-27", operation="PutObject")
def neutral_on_put(probe: Probe) -> None:
    """Values that change nothing are accepted by PUT and DELETE of an object."""
    with together() as each:
        with each():
            _expect_accepted(_NO_OPS, "PUT", lambda headers: probe.put(probe.key(), CONTENT, headers))
        for acl in _NO_OP_ACLS:
            with each():
                _expect_neutral_acl(probe, probe.put(probe.key(), CONTENT, {"x-amz-acl": acl}), "PUT", acl)
    probe.expect_content(probe.key(), CONTENT, about="the object written with values that change nothing")
    probe.delete(probe.key(), _NO_OPS).expect("204", about="DELETE with values that change nothing")


@check("HTTP-27", operation="CreateMultipartUpload")
def neutral_on_multipart(probe: Probe) -> None:
    """Values that change nothing are accepted by the start of an upload, by parts and by completion."""
    path = probe.path(probe.key())

    def start(headers: Mapping[str, str]) -> Reply:
        return probe.request("POST", path, "uploads", headers)

    begun = start(_NO_OPS)
    if begun.is_one_of("501", "405") and _is_absent(probe, start({}), "multipart uploads"):
        return
    if begun.status != 200:
        begun = _expect_accepted(_NO_OPS, "CreateMultipartUpload", start)
    upload = Upload(probe.bucket, probe.key(), begun.need_text("UploadId"))
    with together() as each:
        for acl in _NO_OP_ACLS:
            with each():
                _expect_neutral_acl(probe, start({"x-amz-acl": acl}), "CreateMultipartUpload", acl)
        with each():
            sent = _expect_accepted(
                _NO_OPS, "UploadPart", lambda headers: probe.put_part(upload, 1, CONTENT, headers)
            )
            done = probe.complete(upload, [SentPart(1, sent.etag, CONTENT)], _NO_OPS)
            done.expect("200", about="CompleteMultipartUpload with values that change nothing")
            probe.expect_content(upload.key, CONTENT, about="the object uploaded in one part")


@check("HTTP-27", operation="CopyObject")
def neutral_on_copy(probe: Probe) -> None:
    """Values that change nothing are accepted by copies."""
    source = {"x-amz-copy-source": probe.path(probe.shared_object())}
    copy = probe.path(probe.key("copy"))
    neutral = probe.request("PUT", copy, (), {**source, **_NO_OPS})
    if neutral.is_one_of("501", "405") and _is_absent(
        probe, probe.request("PUT", copy, (), source), "copies"
    ):
        return
    with together() as each:
        for acl in _NO_OP_ACLS:
            with each():
                reply = probe.request("PUT", copy, (), {**source, "x-amz-acl": acl})
                _expect_neutral_acl(probe, reply, "CopyObject", acl)
        with each():
            if neutral.status != 200:
                _expect_accepted(
                    _NO_OPS,
                    "CopyObject",
                    lambda headers: probe.request("PUT", copy, (), {**source, **headers}),
                )
    probe.expect_content(probe.key("copy"), CONTENT, about="the copy")


@check("HTTP-27", operation="CreateBucket", needs=("buckets",), lock="spare")
def neutral_on_create_bucket(probe: Probe) -> None:
    """Values that change nothing are accepted by CreateBucket."""
    with together() as each:
        for headers in (_NO_OPS, *({"x-amz-acl": acl} for acl in _NO_OP_ACLS)):
            with each(), spare.trial(probe, probe.spare, headers) as reply:
                shown = ", ".join(f"{name}: {value}" for name, value in headers.items())
                reply.expect("200", about=f"CreateBucket with {shown}")


def _expect_neutral_acl(probe: Probe, reply: Reply, operation: str, acl: str) -> None:
    reply.expect("200", "400 AccessControlListNotSupported", about=f"{operation} with x-amz-acl: {acl}")
    if reply.status != 200:
        probe.report(f"{operation} refuses x-amz-acl: {acl} with AccessControlListNotSupported.")


def _is_absent(probe: Probe, reply: Reply, what: str) -> bool:
    """Whether an operation beyond the core is not there at all, which other requirements judge."""
    if reply.is_one_of("501", "405"):
        probe.report(f"There are no {what}, so values for them were not tried.")
        return True
    reply.expect("200")
    return False
