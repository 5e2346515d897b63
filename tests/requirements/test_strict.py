"""Strict mode: a server serves what it claims, and refuses the rest with 501, naming the requirements."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import anys3
from anys3.model import CorsRule
from anys3.server.strictness import parse_profiles
from anys3.spec import catalogue
from tests.rawclient import RawClient, Response, crc32_b64, md5_b64, md5_hex
from tests.uploads import finished

APP = "https://app.example"
DELETION = b"<Delete><Object><Key>x</Key></Object></Delete>"


def client_of(server: anys3.Server) -> RawClient:
    """Return a client with the root key."""
    return RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)


@pytest.fixture(scope="module")
def tier_1() -> Iterator[RawClient]:
    """A client of a server that claims Tier 1 and nothing more; `kept` holds one object."""
    rule = CorsRule((APP,), ("GET",))
    with anys3.Server(buckets=["kept"], profiles="tier-1", cors=[rule], domains=["s3.test"]) as server:
        s3 = client_of(server)
        assert s3.request("PUT", "/kept/k", body=b"old").status == 200
        yield s3


Send = Callable[[RawClient], Response]

BEYOND: dict[str, tuple[Send, str]] = {
    "CreateMultipartUpload": (lambda s3: s3.request("POST", "/kept/k", "uploads"), "CMU-01"),
    "UploadPart": (lambda s3: s3.request("PUT", "/kept/k", "partNumber=1&uploadId=x", body=b"new"), "UP-01"),
    "UploadPartCopy": (
        lambda s3: s3.request("PUT", "/kept/k", "partNumber=1&uploadId=x", {"x-amz-copy-source": "/kept/k"}),
        "UPC-01",
    ),
    "CompleteMultipartUpload": (
        lambda s3: s3.request("POST", "/kept/k", "uploadId=x", body=b"<a/>"),
        "CPL-01",
    ),
    "AbortMultipartUpload": (lambda s3: s3.request("DELETE", "/kept/k", "uploadId=x"), "ABT-01"),
    "ListParts": (lambda s3: s3.request("GET", "/kept/k", "uploadId=x"), "LP-01"),
    "ListMultipartUploads": (lambda s3: s3.request("GET", "/kept", "uploads"), "LMU-01"),
    "partNumber": (lambda s3: s3.request("GET", "/kept/k", "partNumber=1"), "PN-01"),
    "a presigned URL": (lambda s3: s3.open_url("GET", s3.presign("GET", "/kept/k")), "PRE-01"),
    "a presigned PUT": (lambda s3: s3.open_url("PUT", s3.presign("PUT", "/kept/k"), body=b"new"), "PRE-01"),
    "an override": (lambda s3: s3.request("GET", "/kept/k", "response-content-type=text/html"), "OVR-01"),
    "If-None-Match on PUT": (
        lambda s3: s3.request("PUT", "/kept/k", headers={"if-none-match": "*"}, body=b"new"),
        "CONDW-01",
    ),
    "If-Match on PUT": (
        lambda s3: s3.request("PUT", "/kept/k", headers={"if-match": f'"{md5_hex(b"old")}"'}, body=b"new"),
        "CONDW-01",
    ),
    "If-Match on DELETE": (
        lambda s3: s3.request("DELETE", "/kept/k", headers={"if-match": f'"{md5_hex(b"old")}"'}),
        "CONDW-01",
    ),
    "x-amz-tagging": (
        lambda s3: s3.request("PUT", "/kept/k", headers={"x-amz-tagging": "a=1"}, body=b"new"),
        "TAG-01",
    ),
    "GetObjectTagging": (lambda s3: s3.request("GET", "/kept/k", "tagging"), "TAG-01"),
    "DeleteObjectTagging": (lambda s3: s3.request("DELETE", "/kept/k", "tagging"), "TAG-01"),
    "GetBucketCors": (lambda s3: s3.request("GET", "/kept", "cors"), "CORSC-01"),
    "DeleteBucketCors": (lambda s3: s3.request("DELETE", "/kept", "cors"), "CORSC-01"),
    "a form": (
        lambda s3: s3.open_url(
            "POST", "/kept", {"content-type": "multipart/form-data; boundary=b"}, b"--b--"
        ),
        "POST-01",
    ),
    "a bucket in the host name": (lambda s3: s3.request("GET", "/k", host="kept.s3.test"), "VH-01"),
    "the algorithm of a copy's checksum": (
        lambda s3: s3.request(
            "PUT", "/kept/k2", headers={"x-amz-copy-source": "/kept/k", "x-amz-checksum-algorithm": "CRC32"}
        ),
        "CK-01",
    ),
}


@pytest.mark.requirement("HTTP-14", "HTTP-15", "ERR-08")
@pytest.mark.parametrize("what", BEYOND)
def test_what_is_beyond_tier_1_is_refused_with_the_name_of_its_requirements(
    tier_1: RawClient, what: str
) -> None:
    send, requirement = BEYOND[what]
    response = send(tier_1)
    assert response.verdict == (501, "NotImplemented")
    row = catalogue.requirement(requirement)
    assert f"profile {row.profile} (" in (response.text("Message") or "")
    assert f"{requirement} to " in (response.text("Message") or "")
    assert tier_1.request("GET", "/kept/k").body == b"old"
    assert tier_1.request("GET", "/kept", "list-type=2").texts("Contents/Key") == ["k"]


@pytest.mark.parametrize(
    ("method", "path", "query", "annex"),
    [
        ("GET", "/kept", "versioning", "versioning"),
        ("GET", "/kept", "versions", "versions"),
        ("GET", "/kept", "acl", "acl"),
        ("GET", "/kept/k", "acl", "acl"),
        ("GET", "/kept/k", "attributes", "attributes"),
        ("GET", "/kept", "object-lock", "object-lock"),
    ],
)
def test_the_annex_is_left_out_of_strict_mode(
    tier_1: RawClient, method: str, path: str, query: str, annex: str
) -> None:
    response = tier_1.request(
        method, path, query, {"x-amz-object-attributes": "ETag"} if query == "attributes" else {}
    )
    assert response.verdict == (501, "NotImplemented")
    assert f"annex call {annex}," in (response.text("Message") or "")


@pytest.mark.requirement("HTTP-14")
def test_all_of_tier_1_is_served(tier_1: RawClient) -> None:
    s3, etag = tier_1, f'"{md5_hex(b"old")}"'
    statuses = {
        "CreateBucket": s3.request("PUT", "/tier-1-bucket").status,
        "HeadBucket": s3.request("HEAD", "/tier-1-bucket").status,
        "ListBuckets": s3.request("GET", "/").status,
        "GetBucketLocation": s3.request("GET", "/tier-1-bucket", "location").status,
        "PutObject": s3.request("PUT", "/tier-1-bucket/a", headers={"x-amz-meta-a": "1"}, body=b"old").status,
        "HeadObject": s3.request("HEAD", "/tier-1-bucket/a").status,
        "GetObject": s3.request("GET", "/tier-1-bucket/a").status,
        "a range": s3.request("GET", "/tier-1-bucket/a", headers={"range": "bytes=0-0"}).status,
        "a condition": s3.request("GET", "/tier-1-bucket/a", headers={"if-none-match": etag}).status,
        "CopyObject": s3.request(
            "PUT",
            "/tier-1-bucket/b",
            headers={"x-amz-copy-source": "/kept/k", "x-amz-copy-source-if-match": etag},
        ).status,
        "ListObjects": s3.request("GET", "/tier-1-bucket").status,
        "ListObjectsV2": s3.request("GET", "/tier-1-bucket", "list-type=2").status,
        "DeleteObjects": s3.request(
            "POST", "/tier-1-bucket", "delete", {"content-md5": md5_b64(DELETION)}, DELETION
        ).status,
        "DeleteObject": s3.request("DELETE", "/tier-1-bucket/a").status,
        "the other": s3.request("DELETE", "/tier-1-bucket/b").status,
        "DeleteBucket": s3.request("DELETE", "/tier-1-bucket").status,
        "CorsPreflight": s3.open_url(
            "OPTIONS", "/kept/k", {"origin": APP, "access-control-request-method": "GET"}
        ).status,
    }
    special = {"a range": 206, "a condition": 304}
    deletions = dict.fromkeys(("DeleteObject", "the other", "DeleteBucket"), 204)
    assert statuses == {**dict.fromkeys(statuses, 200), **special, **deletions}


@pytest.mark.requirement("PAY-08", "GET-07", "HTTP-16")
def test_what_sdks_send_by_default_works_in_tier_1(tier_1: RawClient) -> None:
    s3 = tier_1
    headers = {"x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": crc32_b64(b"x")}
    put = s3.request("PUT", "/kept/sdk", "x-id=PutObject", headers, b"x")
    got = s3.request("GET", "/kept/sdk", "x-id=GetObject", {"x-amz-checksum-mode": "ENABLED"})
    assert (put.status, got.status, got.body) == (200, 200, b"x")
    assert s3.request("DELETE", "/kept/sdk", "versionId=null").status == 204


@pytest.mark.requirement("CORS-02")
def test_a_preflight_of_a_presigned_url_is_no_presigned_request(tier_1: RawClient) -> None:
    headers = {"origin": APP, "access-control-request-method": "GET"}
    assert tier_1.open_url("OPTIONS", tier_1.presign("GET", "/kept/k"), headers).status == 200


@pytest.mark.requirement("AUTH-13")
def test_version_2_signatures_are_off_in_strict_mode(tier_1: RawClient) -> None:
    lines = {"authorization": f"AWS {tier_1.access_key_id}:AAAA", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}
    assert tier_1.open_url("GET", "/kept/k", lines).verdict == (400, "InvalidRequest")


@pytest.mark.requirement("CB-08")
@pytest.mark.parametrize(("method", "path"), [("PUT", "/new-bucket"), ("DELETE", "/kept"), ("GET", "/")])
def test_buckets_that_are_managed_out_of_band_are_not_managed_by_api(method: str, path: str) -> None:
    with anys3.Server(buckets=["kept"], profiles="tier-2-bucket-admin") as server:
        s3 = client_of(server)
        response = s3.request(method, path)
        assert response.verdict == (501, "NotImplemented")
        assert "profile bucket-admin (" in (response.text("Message") or "")
        assert s3.request("HEAD", "/kept").status == 200
        assert s3.request("PUT", "/kept/k", body=b"x").status == 200


def test_a_tier_and_what_is_added_to_it_are_served_together() -> None:
    with anys3.Server(buckets=["kept"], profiles="tier-2+presign") as server:
        s3 = client_of(server)
        finished(s3, "kept", "k", [b"part"])
        assert s3.open_url("GET", s3.presign("GET", "/kept/k")).body == b"part"
        assert s3.request("GET", "/kept/k", "tagging").verdict == (501, "NotImplemented")


def test_profiles_may_be_given_as_a_set_and_the_annex_be_added() -> None:
    with anys3.Server(buckets=["kept"], profiles=parse_profiles("tier-1"), annex="acl") as server:
        s3 = client_of(server)
        assert s3.request("GET", "/kept", "acl").status == 200
        assert s3.request("GET", "/kept", "versioning").verdict == (501, "NotImplemented")


def test_a_server_without_strict_mode_serves_everything(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    statuses = [
        s3.request("GET", f"/{bucket}/k", "tagging").status,
        s3.request("GET", f"/{bucket}", "versioning").status,
        s3.request("POST", f"/{bucket}/k", "uploads").status,
        s3.open_url("GET", s3.presign("GET", f"/{bucket}/k")).status,
    ]
    assert statuses == [200] * 4


@pytest.mark.parametrize("wrong", ["tier-9", "", "tag", "tier-1-core"])
def test_a_set_of_profiles_that_is_none_is_told_at_once(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"profiles|core|expected"):
        anys3.Server(profiles=wrong)
