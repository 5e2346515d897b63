"""Addressing, answers and what identifies them, methods and limits: HTTP-03 to -05, -13, -22, -24, -25."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree as ET

from anys3.client.connections import Connection
from anys3.conformance.kit import spare
from anys3.conformance.kit.together import together
from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_IMF_FIXDATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r" \d{4} \d\d:\d\d:\d\d GMT"
)
_OWN_TO_EACH = ("RequestId", "HostId", "Resource")
_OF_THE_OBJECT = frozenset(
    (
        "accept-ranges", "cache-control", "content-disposition", "content-encoding", "content-language",
        "content-length", "content-type", "etag", "expires", "last-modified",
    )
)  # fmt: skip
_IDS = frozenset(("x-amz-request-id", "x-amz-id-2"))
_SKEW_S = 15 * 60
_BUSY_S = 60.0
_PATHS_OF_SERVERS = (
    "/health", "/healthz", "/status", "/metrics", "/admin", "/console", "/favicon.ico",
    "/minio/health/live", "/minio/v2/metrics/cluster",
)  # fmt: skip


# --- addressing ------------------------------------------------------------------------------------------


@check("HTTP-03", operation="ListObjectsV2", anonymous=True)
def slash_without_key(probe: Probe) -> None:
    """A bucket that does not exist is the same with and without a slash behind it."""
    path = probe.path(bucket=probe.missing_bucket)
    one = probe.request("GET", path, identity=None)
    other = probe.request("GET", f"{path}/", identity=None)
    equal(other.said, one.said, f"the answer to an unsigned GET of {path}/ beside that of {path}")


@check("HTTP-03", operation="ListObjectsV2")
def bucket_with_slash(probe: Probe) -> None:
    """`/{bucket}` and `/{bucket}/` give the same answers."""
    key = probe.given_object()
    path = probe.path()
    v2 = [("list-type", "2"), ("prefix", probe.prefix)]
    for query in (v2, "location"):
        one = probe.request("GET", path, query)
        other = probe.request("GET", f"{path}/", query)
        about = f"the answer to GET {path}/ with {query!r} beside that without the slash"
        equal(other.said, one.said, about)
        if one.status == 200:
            equal(_canonical(other), _canonical(one), about)
        if query is v2:
            equal(other.texts("Contents/Key"), [key], "the keys that are listed with a slash")
    probe.request("HEAD", f"{path}/").expect("200", about="HEAD with a slash")


def _canonical(reply: Reply) -> str:
    root = reply.root
    for name in _OWN_TO_EACH:
        for child in root.findall(f"{{*}}{name}"):
            root.remove(child)
    return ET.canonicalize(ET.tostring(root))


@check("HTTP-03", operation="PutObject")
def service_bucket_object(probe: Probe) -> None:
    """`/` is the service, `/{bucket}` a bucket, and `/{bucket}/{key}` an object."""
    service = probe.request("GET", "/").expect("200", "403", about="GET of the service")
    if service.status == 200:
        equal(service.xml.tag, "ListAllMyBucketsResult", "the document at /")
    probe.request("HEAD", probe.path()).expect("200", about="HEAD of the bucket")
    probe.put(probe.key()).expect("200", about="PUT of an object")
    probe.expect_content(probe.key(), CONTENT, about="GET of the object")
    probe.delete(probe.key()).expect("204", about="DELETE of the object")
    probe.expect_no_object(probe.key(), about="HEAD of the deleted object")


@check("HTTP-03", operation="CreateBucket", needs=("buckets",), lock="spare")
def made_and_deleted_with_slash(probe: Probe) -> None:
    """A bucket is made and deleted as `/{bucket}/` too."""
    path = probe.path(bucket=probe.spare)
    replies: list[Reply] = []

    def is_answered() -> bool:
        replies.append(probe.request("PUT", f"{path}/", body=probe.location_document()))
        return not replies[-1].is_one_of("409 OperationAborted")  # the name was deleted just before

    try:
        probe.until(is_answered, _BUSY_S)
        replies[-1].expect("200", about="PUT of a bucket with a slash")
        probe.request("HEAD", path).expect("200", about="HEAD of that bucket without a slash")
        probe.request("DELETE", f"{path}/").expect("204", about="DELETE of the bucket with a slash")
        probe.request("HEAD", path).expect("404", about="HEAD of the deleted bucket")
    finally:
        spare.discard(probe, probe.spare)


# --- what every answer has -------------------------------------------------------------------------------


@check("HTTP-04", operation="HeadObject")
def head_equals_get(probe: Probe) -> None:
    """HEAD of an object carries the headers that GET carries."""
    key = probe.given_object(headers={"content-type": "text/plain", "cache-control": "no-cache"})
    got, head = probe.get(key).expect("200"), probe.head(key).expect("200")
    for name, value in dict(got.answer.headers).items():
        is_s3 = name in _OF_THE_OBJECT or (name.startswith("x-amz-") and name not in _IDS)
        if is_s3:
            equal(head.header(name), value, f"{name} of HEAD beside that of GET")
    equal(head.need("content-length"), str(len(CONTENT)), "content-length of HEAD")


@check("HTTP-04", operation="HeadObject")
def bodiless_answers(probe: Probe) -> None:
    """Answers to HEAD, errors included, and 204 and 304 have no body."""
    key = probe.shared_object()
    etag = probe.head(key).expect("200").etag
    missing = probe.path(probe.key("none"))
    with_reply = [
        ("HEAD", probe.path(key), {}, "200"),
        ("HEAD", missing, {}, "404"),
        ("HEAD", probe.path(probe.key(), probe.missing_bucket), {}, "404"),
        ("GET", probe.path(key), {"if-none-match": etag}, "304"),
        ("DELETE", missing, {}, "204"),
    ]
    for method, path, headers, status in with_reply:
        with probe.connect() as connection:
            reply = probe.request(method, path, headers=headers, on=connection)
            # Whatever else comes where a body would be is none of the next answer.
            extra = connection.unread or connection.read_more(3.0 if reply.answer.closes else 0.1)
        require(not extra, f"{method} {path}: expected no body after the {reply.said}, got {extra!r}")
        if not reply.is_one_of(status):
            probe.report(f"{method} {path} answered {reply.said}, not {status}.")


@check("HTTP-05", operation="GetObject")
def own_request_id(probe: Probe) -> None:
    """Every answer has an x-amz-request-id of its own, which error documents repeat."""
    _expect_ids(*_answers(probe))


@check("HTTP-05", operation="ListBuckets", anonymous=True)
def own_request_id_unsigned(probe: Probe) -> None:
    """Answers to unsigned requests have an x-amz-request-id of their own too."""
    _expect_ids(*_unsigned_answers(probe))


def _answers(probe: Probe) -> tuple[Reply, ...]:
    """Return answers of many kinds; asked for once for the checks of what all answers have."""

    def ask() -> tuple[Reply, ...]:
        key, missing = probe.key(), probe.key("none")
        put = probe.put(key).expect("200")
        return (
            put, probe.get(key), probe.head(key), probe.get(key, {"if-none-match": put.etag}),
            probe.get(missing), probe.head(missing), probe.request("POST", probe.path(key)),
            probe.delete(key), probe.list_keys(),
            probe.request("GET", probe.path(bucket=probe.missing_bucket)),
        )  # fmt: skip

    return probe.asked_once("answers of many kinds", ask)


def _unsigned_answers(probe: Probe) -> tuple[Reply, ...]:
    """Return answers to unsigned requests; asked for once for the checks of what all answers have."""
    path = probe.path(bucket=probe.missing_bucket)
    asked = (("GET", "/"), ("GET", path), ("HEAD", path), ("DELETE", f"{path}/k"))
    return probe.asked_once(
        "unsigned answers",
        lambda: tuple(probe.request(method, where, identity=None) for method, where in asked),
    )


def _expect_ids(*replies: Reply) -> None:
    seen: set[str] = set()
    with together() as each:
        for reply in replies:
            with each():
                id = reply.need("x-amz-request-id")
                about = f"{reply.exchange.summary}, answered {reply.said}"
                require(id.strip(), f"{about}: expected an x-amz-request-id that is not empty, got {id!r}")
                require(id not in seen, f"{about}: expected an id of its own, got {id!r} once more")
                seen.add(id)
                if reply.status >= 400 and reply.body:
                    equal(reply.text("RequestId"), id, f"{about}: <RequestId> beside x-amz-request-id")


@check("HTTP-25", operation="GetObject")
def date_of_answers(probe: Probe) -> None:
    """Every answer has a Date, and a refusal of a wrong clock says what time it is."""
    late = replace(probe.main, clock_offset_s=-3600)
    skewed = probe.request("GET", probe.path(probe.key("none")), identity=late)
    _expect_dates(skewed, *_answers(probe))
    if skewed.code == "RequestTimeTooSkewed" and not skewed.text("ServerTime"):
        probe.report("RequestTimeTooSkewed has no <ServerTime>.")


@check("HTTP-25", operation="ListBuckets", anonymous=True)
def date_unsigned(probe: Probe) -> None:
    """Answers to unsigned requests have a Date; a clock that differs from ours is reported."""
    replies = _unsigned_answers(probe)
    _expect_dates(*replies)
    off_s = (parsedate_to_datetime(replies[-1].need("date")) - datetime.now(UTC)) / timedelta(seconds=1)
    if abs(off_s) > _SKEW_S:
        probe.report(f"The server's clock differs from ours by {off_s:.0f} s: signatures will be refused.")


def _expect_dates(*replies: Reply) -> None:
    for reply in replies:
        date = reply.need("date")
        about = f"{reply.exchange.summary}, answered {reply.said}"
        require(_IMF_FIXDATE.fullmatch(date), f"{about}: expected an IMF-fixdate in GMT, got {date!r}")


# --- methods ---------------------------------------------------------------------------------------------


@check("HTTP-13", operation="PutObject")
def methods_without_meaning(probe: Probe) -> None:
    """Methods that mean nothing for a service, bucket or object are refused, and nothing changes."""
    key = probe.given_object()
    pairs = [
        ("POST", "/"), ("DELETE", "/"), ("PUT", "/"), ("POST", probe.path(key)), ("PATCH", probe.path(key)),
        ("PATCH", probe.path()),
    ]  # fmt: skip
    with together() as each:
        for method, path in pairs:
            with each():
                reply = probe.request(method, path, body=b"other")
                is_refused = reply.is_one_of("405 MethodNotAllowed")  # 501 is not absent here, but wrong
                require(is_refused, f"{method} {path}: expected 405 MethodNotAllowed, got {reply.said}")
    probe.expect_content(key, CONTENT, about="the object after these requests")


@check("HTTP-13", operation="PutObject")
def unregistered_methods(probe: Probe) -> None:
    """POST on a bucket without a sub-resource, and methods that S3 does not have, are refused."""
    key = probe.given_object()
    reply = probe.request("POST", probe.path(), body=b"other")
    require(reply.is_one_of("4xx"), f"POST on a bucket without sub-resource: expected 4xx, got {reply.said}")
    for method in ("BREW", "COPY"):
        probe.request(method, probe.path(key), body=b"other").expect("4xx", "501")
    probe.expect_content(key, CONTENT, about="the object after these requests")


# --- limits ----------------------------------------------------------------------------------------------


@check("HTTP-22", operation="ListObjectsV2")
def target_of_6000_bytes(probe: Probe) -> None:
    """A request target of 6,000 bytes is accepted."""
    key = probe.given_object()
    query = f"list-type=2&prefix={probe.prefix.replace('/', '%2F')}&unknown="
    query += "a" * (6000 - len(f"{probe.path()}?{query}"))
    reply = probe.request("GET", probe.path(), query).expect("200", about="a target of 6,000 bytes")
    equal(reply.texts("Contents/Key"), [key], "the keys listed by a target of 6,000 bytes")


@check("HTTP-22", operation="PutObject")
def header_section_of_7000_bytes(probe: Probe) -> None:
    """A header section of 7,000 bytes, 2 KB of metadata included, is accepted and not cut."""
    value = "v" * 2000
    draft = probe.draft(
        "PUT", probe.path(probe.key()), (), {"x-amz-meta-a": value}, CONTENT,
        unsigned={"content-length": str(len(CONTENT))},
    )  # fmt: skip
    left = 7000 - len(draft.head.partition(b"\r\n")[2])
    fillers = [(f"x-filler-{number}", "f" * 900) for number in range(left // 1000)]
    left -= sum(len(name) + len(text) + 4 for name, text in fillers)
    fillers.append(("x-filler", "f" * (left - len("x-filler: \r\n"))))
    draft = replace(draft, headers=(*draft.headers, *fillers))
    probe.send(draft, CONTENT).expect("200", about="a header section of 7,000 bytes")
    equal(probe.head(probe.key()).expect("200").header("x-amz-meta-a"), value, "the metadata that was sent")


@check("HTTP-22", operation="PutObject")
def beyond_the_limits(probe: Probe) -> None:
    """What is longer than the server takes is refused, never cut."""
    key = probe.given_object()
    query = f"list-type=2&prefix={probe.prefix.replace('/', '%2F')}&unknown={'a' * 100_000}"
    filler = {"x-filler": "f" * 100_000}
    with probe.connect() as connection:
        long_target = probe.request("GET", probe.path(), query, on=connection)
    with probe.connect() as connection:
        long_header = probe.request("GET", probe.path(key), unsigned=filler, on=connection)
    for reply in (long_target, long_header):
        reply.expect("4xx", "200", about="100,000 bytes in the head of a request")
    if long_target.status == 200:
        equal(long_target.texts("Contents/Key"), [key], "the keys listed by a target of 100,000 bytes")
    metadata = {"x-amz-meta-a": "v" * 100_000}
    other = probe.key("other")
    with probe.connect() as connection:
        refused = probe.request("PUT", probe.path(other), (), metadata, CONTENT, on=connection)
    refused.expect("4xx", "200", about="100,000 bytes of metadata")
    if refused.status == 200:
        kept = probe.head(other).expect("200").header("x-amz-meta-a")
        equal(kept, metadata["x-amz-meta-a"], "the 100,000 bytes of metadata that were accepted")
    else:
        probe.expect_no_object(other, about="the object with 100,000 bytes of metadata")


# --- names -----------------------------------------------------------------------------------------------


@check("HTTP-24", operation="GetObject", anonymous=True)
def no_name_is_taken(probe: Probe) -> None:
    """No path that can name a bucket or an object is a page of the server's own."""
    with together() as each:
        for path in _PATHS_OF_SERVERS:
            with each(), probe.connect() as connection:
                _expect_s3(probe, path, connection)


def _expect_s3(probe: Probe, path: str, connection: Connection) -> None:
    reply = probe.request("GET", path, identity=None, on=connection)
    try:
        root = reply.xml.tag if reply.body else ""
    except Failed:
        root = "no XML"
    is_s3 = root == "Error" or (reply.status == 200 and root == "ListBucketResult")
    require(
        is_s3,
        f"GET {path}: expected S3's answer about a bucket of that name, got {reply.status} with "
        f"{reply.body[:60]!r}",
    )
