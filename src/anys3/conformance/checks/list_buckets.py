"""ListBuckets: LB-01 to LB-05."""

from __future__ import annotations

import re
import time

from anys3.conformance.kit import spare
from anys3.conformance.probe import Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_MAX_PAGE = 10_000
_SECOND_S = 1.1
"""Longer than the resolution of times, so that one that changes is seen to change."""


@check("LB-01", operation="ListBuckets", needs=("buckets",), quick=True)
def owner_name_and_date(probe: Probe) -> None:
    """`GET /` returns ListAllMyBucketsResult with the Owner's ID, and Name and CreationDate of each bucket."""
    reply = _listed(probe)
    equal(reply.xml.tag, "ListAllMyBucketsResult", "the document of ListBuckets")
    reply.need_text("Owner/ID")
    dates = _dates(reply)
    require(
        probe.bucket in dates, f"ListBuckets: expected the bucket {probe.bucket}, got {list(dates)!r:.300}"
    )
    date = dates[probe.bucket]
    require(_TIME.fullmatch(date), f"CreationDate: expected a time as in 2026-01-31T12:00:00Z, got {date!r}")


@check("LB-02", operation="ListBuckets", needs=("buckets",), lock="spare")
def ascending_by_name(probe: Probe) -> None:
    """Buckets are listed by name, in whichever order they were made."""
    made = {probe.bucket, probe.aside(), f"a2-{probe.ground.journal.run_id}"}
    with spare.trial(probe, min(made)) as reply:
        with probe.setting_up("a bucket could not be made"):
            reply.expect("200")
        names = _names(_listed(probe))
    own = [name for name in names if name in made]
    equal(own, sorted(made), "the buckets of this run in ListBuckets")
    equal(names, sorted(names), "the names in ListBuckets, against the sorted ones")


@check("LB-02", operation="ListBuckets", needs=("buckets", "second"))
def buckets_of_another(probe: Probe) -> None:
    """The buckets of somebody else are not listed."""
    reply = probe.request("GET", "/", identity=probe.second)
    names = _names(reply.expect("200", about="ListBuckets by the second identity"))
    require(
        probe.bucket not in names,
        f"ListBuckets by the second identity: expected its own buckets, got {probe.bucket} among them",
    )


@check("LB-03", operation="ListBuckets", needs=("buckets",))
def date_does_not_change(probe: Probe) -> None:
    """CreationDate stays as it is, whatever is done with the bucket."""
    bucket = probe.aside()
    before = _dates(_listed(probe)).get(bucket)
    time.sleep(_SECOND_S)
    probe.given_object(bucket=bucket)
    probe.request("PUT", probe.path(bucket=bucket), body=probe.location_document())
    require(before, f"ListBuckets: expected the bucket {bucket} with its CreationDate, got {before!r}")
    equal(_dates(_listed(probe)).get(bucket), before, "CreationDate after a PUT, against the one before")


@check("LB-04", operation="ListBuckets", needs=("buckets",), lock="spare")
def all_without_parameters(probe: Probe) -> None:
    """Without parameters all buckets are in one answer, up to 10,000."""
    made = {probe.bucket, probe.aside(), probe.spare}
    with spare.given(probe):
        reply = _listed(probe)
    names = _names(reply)
    require(
        made <= set(names), f"ListBuckets: expected {sorted(made)}, got all but {sorted(made - set(names))}"
    )
    if len(names) < _MAX_PAGE:
        equal(reply.text("ContinuationToken"), None, f"ContinuationToken after {len(names)} buckets")


@check("LB-05", operation="ListBuckets", needs=("buckets",))
def pages(probe: Probe) -> None:
    """`max-buckets` limits a page, and `continuation-token` leads to the next."""
    aside = probe.aside()
    page = (("prefix", probe.bucket), ("max-buckets", "1"))
    first = _listed(probe, *page)
    equal(_names(first), [probe.bucket], "the buckets on the first page of 1")
    token = first.need_text("ContinuationToken")
    following = _names(_listed(probe, *page, ("continuation-token", token)))
    require(
        following and probe.bucket not in following and following[0] <= aside,
        f"the second page of 1 bucket: expected the one after {probe.bucket}, got {following}",
    )


@check("LB-05", operation="ListBuckets", needs=("buckets",))
def prefix(probe: Probe) -> None:
    """`prefix` selects the buckets whose names begin with it."""
    aside = probe.aside()
    equal(_names(_listed(probe, ("prefix", aside))), [aside], f"the buckets with the prefix {aside}")
    found = _names(_listed(probe, ("prefix", probe.missing_bucket)))
    equal(found, [], f"the buckets with the prefix {probe.missing_bucket}, which none has")


@check("LB-05", operation="ListBuckets", needs=("buckets",))
def bucket_region(probe: Probe) -> None:
    """`bucket-region` selects the buckets of a region, and BucketRegion names it."""
    with probe.setting_up("the region of the bucket is not known"):
        region = probe.request("HEAD", probe.path()).expect("200").need("x-amz-bucket-region")
    reply = _listed(probe, ("prefix", probe.bucket), ("bucket-region", region))
    require(
        probe.bucket in _names(reply), f"bucket-region={region}: expected {probe.bucket}, got {_names(reply)}"
    )
    equal(set(reply.texts("Buckets/Bucket/BucketRegion")), {region}, "the BucketRegion of all buckets listed")
    other = "eu-west-1" if region != "eu-west-1" else "us-west-2"
    reply = probe.request("GET", "/", [("prefix", probe.bucket), ("bucket-region", other)])
    reply.expect("200", "400", about=f"ListBuckets with bucket-region={other}")
    if reply.status == 200:
        equal(_names(reply), [], f"the buckets of this run with bucket-region={other}")


@check("LB-05", operation="ListBuckets")
def values_out_of_range(probe: Probe) -> None:
    """Values out of range are refused with 400 InvalidArgument."""
    for name, value in (
        ("max-buckets", "0"),
        ("max-buckets", "-1"),
        ("max-buckets", "10001"),
        ("max-buckets", "x"),
        ("continuation-token", "never-issued"),
    ):
        reply = probe.request("GET", "/", [(name, value)])
        reply.expect("400 InvalidArgument", about=f"ListBuckets with {name}={value}")


def _listed(probe: Probe, *query: tuple[str, str]) -> Reply:
    return probe.request("GET", "/", query).expect("200", about="ListBuckets")


def _names(reply: Reply) -> list[str]:
    return reply.texts("Buckets/Bucket/Name")


def _dates(reply: Reply) -> dict[str, str]:
    rows = reply.xml.findall("Buckets/Bucket")
    return {row.findtext("Name") or "": row.findtext("CreationDate") or "" for row in rows}
