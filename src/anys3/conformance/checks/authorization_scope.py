"""The region and the time of a signature: AUTH-08 to AUTH-11, AUTH-15 and AUTH-16."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime

from anys3.conformance.kit.bent import resigned
from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_NOWHERE = "xx-nowhere-9"
_MALFORMED = "400 AuthorizationHeaderMalformed"
_TOO_FAR_S = 960
_NEAR_S = 840
_LONG_AGO = "Mon, 01 Jan 2001 00:00:00 GMT"


@check("AUTH-08", operation="ListObjectsV2")
def foreign_region(probe: Probe) -> None:
    """A scope of a region that the server does not serve is refused, and the right region is named."""
    stranger = replace(probe.main, region=_NOWHERE)
    query = [("list-type", "2"), ("max-keys", "1"), ("prefix", probe.prefix)]
    reply = probe.request("GET", probe.path(), query, identity=stranger)
    if reply.status == 200:
        probe.report(f"a scope of the region {_NOWHERE} is accepted; that must be documented")
        return
    reply.expect(_MALFORMED, about=f"a scope of the region {_NOWHERE}")
    region = reply.need_text("Region")
    require(region != _NOWHERE, f"<Region> of the refusal: expected the right region, got {region!r}")
    head = probe.request("HEAD", probe.path(), identity=stranger).expect("400", about="HEAD, likewise")
    for method, answer in (("GET", reply), ("HEAD", head)):
        if answer.header("x-amz-bucket-region") != region:
            probe.report(f"{method} of a bucket by a foreign region: no x-amz-bucket-region: {region}")


def _lead_s(reply: Reply) -> float:
    """Return how many seconds the server's clock is ahead of ours; 0 if it does not tell."""
    try:
        moment = parsedate_to_datetime(reply.header("date") or "")
    except ValueError:
        return 0
    return (moment - datetime.now(UTC)).total_seconds() if moment.tzinfo else 0


@check("AUTH-09", operation="GetObject")
def request_of_another_time(probe: Probe) -> None:
    """A request that is dated more than 15 minutes before or after the server's time is refused."""
    key = probe.shared_object()
    lead_s = round(_lead_s(probe.get(key)))
    for offset_s in (-_TOO_FAR_S, _TOO_FAR_S, -86_400):
        who = replace(probe.main, clock_offset_s=lead_s + offset_s)
        reply = probe.request("GET", probe.path(key), identity=who)
        reply.expect("403 RequestTimeTooSkewed", about=f"a request dated {offset_s} s from now")
    for offset_s in (-_NEAR_S, _NEAR_S):
        who = replace(probe.main, clock_offset_s=lead_s + offset_s)
        reply = probe.request("GET", probe.path(key), identity=who)
        if reply.status != 200:
            probe.report(f"a request dated {offset_s} s from now is refused, with {reply.said}")


@check("AUTH-10", operation="GetObject")
def no_date(probe: Probe) -> None:
    """A signed request without any date is refused."""
    path = probe.path(probe.shared_object())
    now = probe.main.amz_date()
    bend = resigned(probe, "GET", path, without=("x-amz-date",), amz_date=now)
    probe.request("GET", path, bend=bend).expect("403 AccessDenied", about="a request without a date")


@check("AUTH-10", operation="GetObject")
def unparsable_date(probe: Probe) -> None:
    """A signed request whose `x-amz-date` is no time is refused."""
    path = probe.path(probe.shared_object())
    now = probe.main.amz_date()
    for date in (now[:8], f"{now[:8]}Tnoon", f"{now[:8]}T256199Z"):
        bend = resigned(probe, "GET", path, adding={"x-amz-date": date}, amz_date=now)
        reply = probe.request("GET", path, bend=bend)
        reply.expect("403 AccessDenied", about=f"a request with x-amz-date: {date}")


@check("AUTH-11", operation="GetObject")
def date_header_alone(probe: Probe) -> None:
    """A request that is dated by its Date header alone is accepted."""
    path = probe.path(probe.shared_object())
    moment = datetime.now(UTC).replace(microsecond=0)
    date = formatdate(moment.timestamp(), usegmt=True)
    bend = resigned(
        probe, "GET", path, without=("x-amz-date",), adding={"date": date},
        amz_date=moment.strftime("%Y%m%dT%H%M%SZ"),
    )  # fmt: skip
    probe.request("GET", path, bend=bend).expect("200", about="a request with Date, without x-amz-date")


@check("AUTH-11", operation="GetObject")
def amz_date_wins(probe: Probe) -> None:
    """Of `x-amz-date` and an old `Date` in one request, the former counts."""
    path = probe.path(probe.shared_object())
    reply = probe.request("GET", path, headers={"date": _LONG_AGO})
    reply.expect("200", about=f"a request of now with a signed Date: {_LONG_AGO}")
    reply = probe.request("GET", path, unsigned={"date": _LONG_AGO})
    reply.expect("200", about=f"a request of now with a Date: {_LONG_AGO} that is not signed")


def _location(reply: Reply) -> str:
    """Return the region that GetBucketLocation answers."""
    text = (reply.root.text or "").strip()
    return {"": "us-east-1", "EU": "eu-west-1"}.get(text, text)


@check("AUTH-15", operation="GetBucketLocation")
def one_canonical_region(probe: Probe) -> None:
    """The bucket's region has one name, in its location and its headers, and is accepted in scopes."""
    head = probe.request("HEAD", probe.path()).expect("200", about="HEAD of the bucket by the run's region")
    location = probe.request("GET", probe.path(), "location").expect("200", about="the bucket's location")
    named = _location(location)
    header = head.header("x-amz-bucket-region")
    if header is not None:
        equal(header, named, "x-amz-bucket-region, beside the region that GetBucketLocation names")
    if named != probe.main.region:
        probe.report(f"the run's region is {probe.main.region}; the server calls it {named}")
    reply = probe.request("HEAD", probe.path(), identity=replace(probe.main, region=named))
    reply.expect("200", about=f"a scope of the region {named}, which the server named itself")


@check("AUTH-16", operation="GetObject")
def us_east_1_in_scopes(probe: Probe) -> None:
    """A scope of us-east-1 is accepted, as unconfigured clients use it."""
    path = probe.path(probe.shared_object())
    reply = probe.request("GET", path, identity=replace(probe.main, region="us-east-1"))
    reply.expect("200", about="a scope of us-east-1")


@check("AUTH-16", operation="CreateBucket", needs=("buckets",), lock="spare")
def us_east_1_as_location(probe: Probe) -> None:
    """CreateBucket accepts us-east-1 as LocationConstraint."""
    body = (
        b'<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>"
    )
    path = probe.path(bucket=probe.spare)
    reply = probe.request("PUT", path, body=body)
    try:
        reply.expect("200", about="CreateBucket with the LocationConstraint us-east-1")
    except Failed:
        probe.request("DELETE", path)
        raise
    probe.request("DELETE", path).expect("204", about="DELETE of the bucket")
