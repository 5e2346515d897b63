"""CreateBucket, HeadBucket and GetBucketLocation: CB-01 to CB-07, HB-01, HB-02, LOC-01."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from anys3.conformance.digests import md5_base64
from anys3.conformance.kit import spare
from anys3.conformance.outcomes import Skipped
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import NAMESPACE, Reply, equal, require

_ALIAS = "us-east-1"
_AUTOMATIC = "auto"
_NOT_SERVED = ("400 InvalidLocationConstraint", "400 IllegalLocationConstraintException")
_NOT_OPENED = (
    "400 InvalidBucketAclWithObjectOwnership",
    "400 AccessControlListNotSupported",
    "400 InvalidRequest",
    "501 NotImplemented",
)
_CORS = (
    f'<CORSConfiguration xmlns="{NAMESPACE}"><CORSRule><AllowedOrigin>https://a.example</AllowedOrigin>'
    "<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
).encode()


@check("CB-01", operation="CreateBucket", needs=("buckets",), lock="spare", quick=True)
def portable_form(probe: Probe) -> None:
    """A bucket is created; the answer is empty, and its Location ends in the bucket's name."""
    with spare.trial(probe, probe.spare) as reply:
        reply.expect("200", about="CreateBucket")
        equal(reply.body, b"", "the body of the answer to CreateBucket")
        location = reply.need("location")
        require(
            _names(location, probe.spare),
            f"Location: expected /{probe.spare} or http(s)://{probe.spare}..., got {location!r}",
        )
        probe.request("HEAD", probe.path(bucket=probe.spare)).expect("200", about="HEAD of the new bucket")


@check("CB-01", operation="CreateBucket", needs=("buckets",), lock="spare")
def other_form(probe: Probe) -> None:
    """The other form, without a body or with an explicit us-east-1, is accepted or cleanly refused."""
    body = b"" if probe.location_document() else _location_of(_ALIAS)
    form = f"with LocationConstraint {_ALIAS}" if body else "without a body"
    with spare.trial(probe, probe.spare, body=body) as reply:
        reply.expect("200", *_NOT_SERVED, about=f"CreateBucket {form}")
        if reply.status != 200:
            probe.report(f"CreateBucket {form} is refused ({reply.said})")


@check("CB-02", operation="CreateBucket", needs=("buckets",), lock="spare")
def other_region(probe: Probe) -> None:
    """A LocationConstraint that is not served here is refused, and no bucket is made."""
    spare.refuse(
        probe,
        probe.spare,
        *_NOT_SERVED,
        about="CreateBucket with LocationConstraint mars-north-1",
        body=_location_of("mars-north-1"),
    )


@check("CB-03", "ERR-05", operation="CreateBucket", needs=("buckets",), lock="spare")
def another_document(probe: Probe) -> None:
    """A body that is not XML, or another document, is refused with 400 MalformedXML, and no bucket is made."""
    for body in (b"hello", b"<CreateBucketConfiguration>", b"<Delete/>", b"{}"):
        about = f"CreateBucket with the body {body.decode()}"
        spare.refuse(probe, probe.spare, "400 MalformedXML", about=about, body=body)


@check("CB-04", operation="CreateBucket", needs=("buckets",), lock="spare")
def again(probe: Probe) -> None:
    """Creating a bucket that one owns changes nothing in it: neither content nor configuration."""
    with spare.given(probe) as bucket:
        path = probe.path(probe.given_object(bucket=bucket), bucket)
        digest = md5_base64(_CORS)
        cors = probe.request("PUT", probe.path(bucket=bucket), "cors", {"content-md5": digest}, _CORS)
        reply = spare.create(probe, bucket)
        if probe.main.region == _ALIAS and reply.status == 200:
            probe.report("CreateBucket of a bucket that one owns is answered 200")
        else:
            reply.expect("409 BucketAlreadyOwnedByYou", about="CreateBucket of a bucket that one owns")
        found = probe.request("GET", path).expect("200", about="GET after the bucket was created again")
        equal(found.body, CONTENT, "the object after its bucket was created again")
        if cors.status == 200:  # where rules can't be set, there is no configuration that could be lost
            rules = probe.request("GET", probe.path(bucket=bucket), "cors").expect(
                "200", about="GetBucketCors after the bucket was created again"
            )
            equal(rules.text("CORSRule/AllowedOrigin"), "https://a.example", "the origin that CORS allows")


@check("CB-05", operation="CreateBucket", needs=("buckets", "second"))
def owned_by_another(probe: Probe) -> None:
    """Creating a bucket of somebody else is refused with 409 BucketAlreadyExists, and it stays theirs."""
    bucket = probe.aside()
    path = probe.path(probe.given_object(bucket=bucket), bucket)
    reply = probe.request(
        "PUT", probe.path(bucket=bucket), body=probe.location_document(), identity=probe.second
    )
    if reply.is_one_of("403 AccessDenied"):
        raise Skipped("needs a second identity with the right to create buckets")
    reply.expect("409 BucketAlreadyExists", about="CreateBucket of a bucket of another")
    found = probe.request("GET", path).expect("200", about="GET by the owner after it")
    equal(found.body, CONTENT, "the object in the bucket that another tried to create")


@check("CB-06", operation="CreateBucket", needs=("buckets",), lock="spare")
def visible_at_once(probe: Probe) -> None:
    """A new bucket is there at once for HeadBucket, ListBuckets and PutObject."""
    with spare.trial(probe, probe.spare) as reply:
        reply.expect("200", about="CreateBucket")
        path = probe.path(probe.key(), probe.spare)
        probe.request("PUT", path, body=CONTENT).expect("200", about="PUT into a new bucket")
        probe.request("HEAD", probe.path(bucket=probe.spare)).expect("200", about="HEAD of a new bucket")
        names = probe.request("GET", "/").expect("200").texts("Buckets/Bucket/Name")
        require(
            probe.spare in names, f"ListBuckets: expected the new bucket {probe.spare}, got {names!r:.300}"
        )


@check("CB-07", operation="CreateBucket", needs=("buckets",), lock="spare")
def values_without_effect(probe: Probe) -> None:
    """`x-amz-acl: private` and `x-amz-bucket-object-lock-enabled: false` are accepted."""
    for name, value in (("x-amz-acl", "private"), ("x-amz-bucket-object-lock-enabled", "false")):
        with spare.trial(probe, probe.spare, {name: value}) as reply:
            reply.expect("200", about=f"CreateBucket with {name}: {value}")
            head = probe.request("HEAD", probe.path(bucket=probe.spare))
            head.expect("200", about=f"HEAD of a bucket that was created with {name}: {value}")


@check("CB-07", operation="CreateBucket", needs=("buckets",), lock="spare")
def public_acl(probe: Probe) -> None:
    """A public ACL takes effect, or is refused and the bucket is not created."""
    with spare.trial(probe, probe.spare, {"x-amz-acl": "public-read"}) as reply:
        if not _is_refused(probe, reply, "CreateBucket with x-amz-acl: public-read"):
            listing = probe.open("GET", f"{probe.path(bucket=probe.spare)}?list-type=2")
            listing.expect("200", about="an anonymous listing of a bucket that was created with public-read")


@check("CB-07", operation="CreateBucket", needs=("buckets",), lock="spare")
def object_lock(probe: Probe) -> None:
    """Object Lock takes effect, or is refused and the bucket is not created."""
    with spare.trial(probe, probe.spare, {"x-amz-bucket-object-lock-enabled": "true"}) as reply:
        if not _is_refused(probe, reply, "CreateBucket with x-amz-bucket-object-lock-enabled: true"):
            about = "GetObjectLockConfiguration of a bucket that was created with Object Lock"
            lock = probe.request("GET", probe.path(bucket=probe.spare), "object-lock")
            lock.expect("200", about=about)
            equal(lock.text("ObjectLockEnabled"), "Enabled", f"ObjectLockEnabled in {about}")


@check("HB-01", operation="HeadBucket", quick=True)
def region_of_bucket(probe: Probe) -> None:
    """HEAD of a bucket is answered 200 without a body, and x-amz-bucket-region names its region."""
    reply = probe.request("HEAD", probe.path()).expect("200", about="HEAD of the bucket")
    shown = reply.need("x-amz-bucket-region")
    if probe.main.region not in (_ALIAS, _AUTOMATIC):
        equal(shown, probe.main.region, "x-amz-bucket-region")
    elif shown != probe.main.region:  # these names may stand for another, which the endpoint tells (AUTH-16)
        equal(shown, _location_text(probe), "x-amz-bucket-region, against GetBucketLocation")


@check("HB-02", operation="HeadBucket")
def missing_bucket(probe: Probe) -> None:
    """HEAD of a bucket that does not exist is answered 404."""
    reply = probe.request("HEAD", probe.path(bucket=probe.missing_bucket))
    reply.expect("404", about="HEAD of a bucket that does not exist")


@check("HB-02", operation="HeadBucket", needs=("second",))
def bucket_of_another(probe: Probe) -> None:
    """HEAD of a bucket of somebody else is answered 403."""
    reply = probe.request("HEAD", probe.path(), identity=probe.second)
    reply.expect("403", about="HEAD of a bucket of another")


@check("LOC-01", operation="GetBucketLocation", quick=True)
def region_in_document(probe: Probe) -> None:
    """GetBucketLocation returns a LocationConstraint with the region, empty for us-east-1."""
    reply = probe.request("GET", probe.path(), "location").expect("200", about="GetBucketLocation")
    equal(reply.root.tag, f"{{{NAMESPACE}}}LocationConstraint", "the document's element and namespace")
    region = probe.request("HEAD", probe.path()).expect("200").header("x-amz-bucket-region")
    canonical = region if region and probe.main.region in (_ALIAS, _AUTOMATIC) else probe.main.region
    equal(reply.root.text or "", "" if canonical == _ALIAS else canonical, "the region in LocationConstraint")


@check("LOC-01", operation="GetBucketLocation")
def signed_for_alias(probe: Probe) -> None:
    """GetBucketLocation signed for us-east-1 is answered, or the error names the region."""
    asking = replace(probe.main, region=_ALIAS)
    reply = probe.request("GET", probe.path(), "location", identity=asking)
    reply.expect("200", "400 AuthorizationHeaderMalformed", about=f"GetBucketLocation signed for {_ALIAS}")
    if reply.status == 200:
        equal(reply.xml.tag, "LocationConstraint", f"the document of GetBucketLocation signed for {_ALIAS}")
    else:
        region = reply.need_text("Region")
        require(
            probe.main.region in (region, _ALIAS, _AUTOMATIC),
            f"Region in the error: expected {probe.main.region}, got {region}",
        )


@check("LOC-01", operation="GetBucketLocation")
def location_of_missing(probe: Probe) -> None:
    """GetBucketLocation of a bucket that does not exist is answered 404 NoSuchBucket."""
    reply = probe.request("GET", probe.path(bucket=probe.missing_bucket), "location")
    reply.expect("404 NoSuchBucket", about="GetBucketLocation of a bucket that does not exist")


def _location_of(region: str) -> bytes:
    return (
        f'<CreateBucketConfiguration xmlns="{NAMESPACE}">'
        f"<LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    ).encode()


def _names(location: str, bucket: str) -> bool:
    """Whether a Location ends in the bucket's name as path, or has it as host label."""
    parts = urlsplit(location)
    is_path = parts.path.rstrip("/").endswith(f"/{bucket}")
    return is_path or (parts.hostname or "").startswith(f"{bucket}.")


def _is_refused(probe: Probe, reply: Reply, about: str) -> bool:
    """Whether a creation is refused, in one of the allowed ways and without effect."""
    reply.expect("200", *_NOT_OPENED, about=about)
    if reply.status != 200:
        head = probe.request("HEAD", probe.path(bucket=probe.spare))
        head.expect("404", about=f"HEAD of the bucket after a refused {about}")
    return reply.status != 200


def _location_text(probe: Probe) -> str:
    reply = probe.request("GET", probe.path(), "location").expect("200", about="GetBucketLocation")
    return reply.root.text or _ALIAS
