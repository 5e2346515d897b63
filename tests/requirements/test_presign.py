"""Presigned URLs and response header overrides: PRE, OVR."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest

from tests.rawclient import UNSIGNED, RawClient, encode_query, key_path

SIX = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
]
OVERRIDES = {
    "response-content-type": "text/x-a; charset=utf-8",
    "response-content-language": "de, en",
    "response-expires": "Thu, 01 Dec 2044 16:00:00 GMT",
    "response-cache-control": "no-cache",
    "response-content-disposition": 'attachment; filename="a b.txt"',
    "response-content-encoding": "gzip",
}


def v2_url(s3: RawClient, method: str, path: str, expires: int, secret: str | None = None) -> str:
    """Return a SigV2 URL."""
    text = f"{method}\n\n\n{expires}\n{path}".encode()
    digest = base64.b64encode(hmac.digest((secret or s3.secret_access_key).encode(), text, "sha1")).decode()
    return f"{path}?AWSAccessKeyId={s3.access_key_id}&Expires={expires}&Signature={quote(digest, safe='')}"


@pytest.mark.requirement("PRE-01")
@pytest.mark.parametrize("key", ["k", "a b+c", "日本/%"])
def test_an_object_is_written_read_and_deleted_by_presigned_urls(
    s3: RawClient, bucket: str, key: str
) -> None:
    path = key_path(bucket, key)
    assert s3.open_url("PUT", s3.presign("PUT", path), body=b"hello").status == 200
    assert s3.open_url("GET", s3.presign("GET", path)).body == b"hello"
    assert s3.open_url("HEAD", s3.presign("HEAD", path)).headers["content-length"] == "5"
    listing = s3.open_url("GET", s3.presign("GET", f"/{bucket}", [("list-type", "2"), ("prefix", key)]))
    assert listing.texts("Contents/Key") == [key]
    assert s3.open_url("DELETE", s3.presign("DELETE", path)).status == 204
    assert s3.open_url("GET", s3.presign("GET", path)).verdict == (404, "NoSuchKey")


@pytest.mark.requirement("PRE-01")
def test_a_part_is_uploaded_by_a_presigned_url(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    upload_id = s3.open_url("POST", s3.presign("POST", path, [("uploads", "")])).text("UploadId") or ""
    part = s3.presign("PUT", path, [("partNumber", "1"), ("uploadId", upload_id)])
    assert s3.open_url("PUT", part, body=b"x").status == 200
    parts = s3.open_url("GET", s3.presign("GET", path, [("uploadId", upload_id)]))
    assert parts.texts("Part/PartNumber") == ["1"]


@pytest.mark.requirement("PRE-01")
@pytest.mark.parametrize("expires_s", [1, 604_800])
def test_a_url_lives_from_a_second_to_a_week(s3: RawClient, bucket: str, expires_s: int) -> None:
    url = replace(s3, clock_offset_s=5).presign("GET", f"/{bucket}", expires_s=expires_s)
    assert s3.open_url("GET", url).status == 200


@pytest.mark.requirement("PRE-01")
def test_a_url_may_be_used_more_than_once(s3: RawClient, bucket: str) -> None:
    url = s3.presign("GET", f"/{bucket}")
    assert [s3.open_url("GET", url).status for _ in range(3)] == [200, 200, 200]


@pytest.mark.requirement("PRE-02", "ERR-08")
@pytest.mark.parametrize("place", ["query", "header"])
def test_a_payload_hash_that_is_signed_is_verified(s3: RawClient, bucket: str, place: str) -> None:
    path = f"/{bucket}/k"
    digest = hashlib.sha256(b"hello").hexdigest()
    query = [("X-Amz-Content-Sha256", digest)] if place == "query" else []
    headers = {"x-amz-content-sha256": digest} if place == "header" else {}
    url = s3.presign("PUT", path, query, headers)
    assert s3.open_url("PUT", url, headers, b"other").verdict == (400, "XAmzContentSHA256Mismatch")
    assert s3.request("GET", path).verdict == (404, "NoSuchKey")
    assert s3.open_url("PUT", url, headers, b"hello").status == 200


@pytest.mark.requirement("PRE-02", "PRE-08")
@pytest.mark.parametrize("digest", [UNSIGNED, hashlib.sha256(b"hello").hexdigest()])
def test_an_unsigned_payload_hash_header_is_allowed(s3: RawClient, bucket: str, digest: str) -> None:
    url = s3.presign("PUT", f"/{bucket}/k")
    assert s3.open_url("PUT", url, {"x-amz-content-sha256": digest}, b"hello").status == 200


@pytest.mark.requirement("PRE-03")
@pytest.mark.parametrize("name", SIX)
def test_all_six_parameters_are_required(s3: RawClient, bucket: str, name: str) -> None:
    url = s3.presign("GET", f"/{bucket}", drop=[name])
    assert s3.open_url("GET", url).verdict == (400, "AuthorizationQueryParametersError")


@pytest.mark.requirement("PRE-03")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA1"),
        ("X-Amz-Algorithm", ""),
        ("X-Amz-Date", "2026-01-01"),
        ("X-Amz-Date", ""),
        ("X-Amz-SignedHeaders", ""),
    ],
)
def test_a_parameter_must_say_something(s3: RawClient, bucket: str, name: str, value: str) -> None:
    url = s3.presign("GET", f"/{bucket}", replace={name: value})
    assert s3.open_url("GET", url).verdict == (400, "AuthorizationQueryParametersError")


@pytest.mark.requirement("PRE-04")
@pytest.mark.parametrize(
    "expires", ["x", "", "-1", "604801", "1.5", "99999999999999999999", "1e3", " 60", "+60"]
)
def test_a_life_that_is_none_is_refused(s3: RawClient, bucket: str, expires: str) -> None:
    url = s3.presign("GET", f"/{bucket}", expires_s=expires)
    assert s3.open_url("GET", url).verdict == (400, "AuthorizationQueryParametersError")


@pytest.mark.requirement("PRE-05", "HTTP-25")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_expired_url_is_refused(s3: RawClient, bucket: str, method: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"before")
    url = replace(s3, clock_offset_s=-3600).presign(method, f"/{bucket}/k", expires_s=3599)
    response = s3.open_url(method, url)
    assert response.verdict == (403, "AccessDenied")
    assert response.text("Message") == "Request has expired"
    assert (response.text("Expires") or "").endswith("Z")
    assert (response.text("ServerTime") or "").endswith("Z")
    assert s3.request("GET", f"/{bucket}/k").body == b"before"


@pytest.mark.requirement("PRE-05")
def test_an_old_url_lives_as_long_as_it_says(s3: RawClient, bucket: str) -> None:
    url = replace(s3, clock_offset_s=-3600).presign("GET", f"/{bucket}", expires_s=3700)
    assert s3.open_url("GET", url).status == 200


@pytest.mark.requirement("PRE-06")
def test_a_url_from_the_future_is_refused(s3: RawClient, bucket: str) -> None:
    future = replace(s3, clock_offset_s=960).presign("GET", f"/{bucket}", expires_s=9000)
    close = replace(s3, clock_offset_s=840).presign("GET", f"/{bucket}", expires_s=9000)
    assert s3.open_url("GET", future).verdict in ((403, "AccessDenied"), (403, "RequestTimeTooSkewed"))
    assert s3.open_url("GET", close).status == 200


@pytest.mark.requirement("PRE-07")
@pytest.mark.known_mistake(15)
def test_a_url_is_for_one_method_path_and_query(s3: RawClient, bucket: str) -> None:
    """GHSA-75fx, GHSA-68cw, GHSA-c667 (RustFS): a signature was not bound to the method."""
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    s3.request("PUT", f"/{bucket}/other", body=b"secret")
    url = s3.presign("GET", f"/{bucket}/k")
    refused = (403, "SignatureDoesNotMatch")
    assert s3.open_url("PUT", url).verdict == refused
    assert s3.open_url("DELETE", url).verdict == refused
    assert s3.open_url("HEAD", url).status == 403
    assert s3.open_url("GET", url.replace("/k?", "/other?")).verdict == refused
    assert s3.open_url("GET", url + "&tagging").verdict == refused
    assert s3.open_url("GET", url + "&x=1").verdict == refused
    assert s3.open_url("GET", url + "&response-content-type=text/html").verdict == refused
    assert s3.open_url("GET", url.replace("Expires=300", "Expires=301")).verdict == refused
    assert s3.open_url("GET", url[:-1] + ("0" if url[-1] != "0" else "1")).verdict == refused
    assert s3.open_url("GET", url).body == b"x"


@pytest.mark.requirement("PRE-07")
def test_a_signed_header_must_come_as_it_was_signed(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    signed = {"content-type": "text/plain", "x-amz-meta-a": "1"}
    url = s3.presign("PUT", path, headers=signed)
    refused = (403, "SignatureDoesNotMatch")
    assert s3.open_url("PUT", url, {**signed, "content-type": "text/html"}).verdict == refused
    assert s3.open_url("PUT", url, {**signed, "x-amz-meta-a": "2"}).verdict == refused
    assert s3.open_url("PUT", url, {"content-type": "text/plain"}).verdict == refused
    assert s3.open_url("PUT", url, {**signed, "host": "evil.example.com"}).verdict == refused
    assert s3.request("GET", path).verdict == (404, "NoSuchKey")
    assert s3.open_url("PUT", url, signed, b"x").status == 200
    assert s3.request("HEAD", path).headers["x-amz-meta-a"] == "1"


@pytest.mark.requirement("PRE-08", "ERR-08")
@pytest.mark.known_mistake(8)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-meta-x", "1"),
        ("x-amz-copy-source", "/{bucket}/secret"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-acl", "private"),
        ("x-amz-date", "20260101T000000Z"),
        ("x-amz-unknown", "1"),
    ],
)
def test_an_unsigned_x_amz_header_is_refused(s3: RawClient, bucket: str, name: str, value: str) -> None:
    """CVE-2026-71191 (Swift): unsigned x-amz-* headers could be added to a presigned PUT."""
    s3.request("PUT", f"/{bucket}/secret", body=b"secret")
    url = s3.presign("PUT", f"/{bucket}/k")
    assert s3.open_url("PUT", url, {name: value.format(bucket=bucket)}).verdict == (403, "AccessDenied")
    assert s3.request("GET", f"/{bucket}/k").verdict == (404, "NoSuchKey")


@pytest.mark.requirement("PRE-08")
def test_other_headers_need_no_signature(s3: RawClient, bucket: str) -> None:
    url = s3.presign("PUT", f"/{bucket}/k")
    assert s3.open_url("PUT", url, {"content-type": "text/x-a", "user-agent": "a"}).status == 200
    assert s3.request("HEAD", f"/{bucket}/k").headers["content-type"] == "text/x-a"


@pytest.mark.requirement("PRE-09")
def test_x_amz_parameters_act_like_headers(s3: RawClient, bucket: str) -> None:
    query = [("x-amz-meta-foo", "a b"), ("x-amz-tagging", "a=b"), ("x-amz-storage-class", "STANDARD")]
    assert s3.open_url("PUT", s3.presign("PUT", f"/{bucket}/k", query), body=b"x").status == 200
    head = s3.request("HEAD", f"/{bucket}/k").headers
    assert (head["x-amz-meta-foo"], head["x-amz-tagging-count"]) == ("a b", "1")


@pytest.mark.requirement("PRE-09", "HTTP-15", "ERR-08")
@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("x-amz-server-side-encryption", "AES256", (501, "NotImplemented")),
        ("x-amz-acl", "public-read", (400, "AccessControlListNotSupported")),
        ("x-amz-storage-class", "NONE", (400, "InvalidStorageClass")),
        ("x-amz-checksum-crc32", "AAAAAA==", (400, "BadDigest")),
        ("x-amz-object-lock-mode", "GOVERNANCE", (501, "NotImplemented")),
    ],
)
def test_x_amz_parameters_are_refused_like_headers(
    s3: RawClient, bucket: str, name: str, value: str, verdict: tuple[int, str]
) -> None:
    url = s3.presign("PUT", f"/{bucket}/k", [(name, value)])
    assert s3.open_url("PUT", url, body=b"x").verdict == verdict
    assert s3.request("GET", f"/{bucket}/k").verdict == (404, "NoSuchKey")


@pytest.mark.requirement("PRE-09")
def test_a_copy_source_may_be_a_signed_parameter(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    url = s3.presign("PUT", f"/{bucket}/copy", [("x-amz-copy-source", f"/{bucket}/k")])
    assert s3.open_url("PUT", url).status == 200
    assert s3.request("GET", f"/{bucket}/copy").body == b"x"


@pytest.mark.requirement("PRE-10")
@pytest.mark.parametrize(
    "bend",
    [
        lambda text: text.replace("/s3/", "/ec2/"),
        lambda text: text.replace("/aws4_request", ""),
        lambda text: text.replace("/aws4_request", "/aws5_request"),
        lambda text: text.replace("us-east-1", "xx-nowhere-9"),
        lambda text: text.replace("/", "%2F"),
        lambda text: text.split("/")[0],
        lambda text: "",
        lambda text: text.replace("/us-east-1", ""),
    ],
)
def test_a_credential_of_a_wrong_form_is_refused(
    s3: RawClient, bucket: str, bend: Callable[[str], str]
) -> None:
    credential = f"{s3.access_key_id}/{s3.amz_date()[:8]}/us-east-1/s3/aws4_request"
    url = s3.presign("GET", f"/{bucket}", replace={"X-Amz-Credential": bend(credential)})
    assert s3.open_url("GET", url).verdict == (400, "AuthorizationQueryParametersError")


@pytest.mark.requirement("PRE-11")
def test_a_version_2_url_is_verified(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    s3.request("PUT", path, body=b"x")
    now = int(time.time())
    assert s3.open_url("GET", v2_url(s3, "GET", path, now + 300)).body == b"x"
    refused = (403, "SignatureDoesNotMatch")
    assert s3.open_url("GET", v2_url(s3, "GET", path, now + 300, "wrong")).verdict == refused
    assert s3.open_url("DELETE", v2_url(s3, "GET", path, now + 300)).verdict == refused
    assert (
        s3.open_url("GET", v2_url(s3, "GET", path, now + 300).replace("Expires=", "Expires=1")).verdict
        == refused
    )
    assert s3.open_url("GET", v2_url(s3, "GET", path, now - 10)).verdict == (403, "AccessDenied")
    assert s3.open_url(
        "GET", v2_url(s3, "GET", f"/{bucket}", now + 300) + "&x-amz-security-token=a"
    ).status in (400, 403)


@pytest.mark.requirement("PRE-11", "PRE-08")
@pytest.mark.parametrize("drop", ["AWSAccessKeyId", "Signature", "Expires"])
def test_a_part_of_a_version_2_url_is_not_anonymous(s3: RawClient, bucket: str, drop: str) -> None:
    path, _, query = v2_url(s3, "GET", f"/{bucket}", 9_999_999_999).partition("?")
    rest = "&".join(item for item in query.split("&") if not item.startswith(drop))
    assert s3.open_url("GET", f"{path}?{rest}").verdict == (403, "AccessDenied")


@pytest.mark.requirement("PRE-11", "PRE-08", "ERR-08")
@pytest.mark.known_mistake(8)
def test_an_unsigned_header_on_a_version_2_url_is_refused(s3: RawClient, bucket: str) -> None:
    """CVE-2026-71191 (Swift), by the older signature, which signs every x-amz-* header."""
    url = v2_url(s3, "PUT", f"/{bucket}/k", int(time.time()) + 300)
    response = s3.open_url("PUT", url, {"x-amz-meta-a": "1"})
    assert response.status == 403
    assert s3.request("GET", f"/{bucket}/k").verdict == (404, "NoSuchKey")


@pytest.mark.requirement("PRE-12", "ERR-08")
def test_a_header_never_overrides_a_parameter(s3: RawClient, bucket: str) -> None:
    url = s3.presign("PUT", f"/{bucket}/k", [("x-amz-meta-a", "1")])
    response = s3.open_url("PUT", url, {"x-amz-meta-a": "2"})
    assert response.verdict in ((403, "AccessDenied"), (403, "SignatureDoesNotMatch"))
    assert s3.request("GET", f"/{bucket}/k").verdict == (404, "NoSuchKey")


@pytest.mark.requirement("PRE-12")
def test_a_repeated_parameter_does_not_override_a_signed_one(s3: RawClient, bucket: str) -> None:
    url = s3.presign("PUT", f"/{bucket}/k", [("x-amz-meta-a", "1")])
    assert s3.open_url("PUT", url + "&x-amz-meta-a=2").verdict == (403, "SignatureDoesNotMatch")
    assert s3.open_url("PUT", url + "&X-Amz-Expires=9000").status in (400, 403)


@pytest.mark.requirement("PRE-13")
def test_an_unknown_key_another_day_and_a_token_are_refused(s3: RawClient, bucket: str) -> None:
    unknown = replace(s3, access_key_id="AKIANOBODYNOBODYNOBO").presign("GET", f"/{bucket}")
    day = {"X-Amz-Credential": f"{s3.access_key_id}/20200101/us-east-1/s3/aws4_request"}
    token = s3.presign("GET", f"/{bucket}", [("X-Amz-Security-Token", "token")])
    assert s3.open_url("GET", unknown).verdict == (403, "InvalidAccessKeyId")
    assert s3.open_url("GET", s3.presign("GET", f"/{bucket}", replace=day)).verdict == (
        400,
        "AuthorizationQueryParametersError",
    )
    assert s3.open_url("GET", token).verdict == (400, "InvalidToken")


@pytest.mark.requirement("OVR-01")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("how", ["header", "query"])
def test_overrides_replace_the_headers_of_one_answer(
    s3: RawClient, bucket: str, method: str, how: str
) -> None:
    stored = {name.removeprefix("response-"): "stored" for name in OVERRIDES}
    path = f"/{bucket}/k"
    s3.request("PUT", path, headers=stored, body=b"hello")
    query = list(OVERRIDES.items())
    response = (
        s3.request(method, path, query)
        if how == "header"
        else s3.open_url(method, s3.presign(method, path, query))
    )
    assert response.status == 200
    assert {name: response.headers[name.removeprefix("response-")] for name in OVERRIDES} == OVERRIDES
    plain = s3.request(method, path)
    assert {name: plain.headers[name] for name in stored} == stored


@pytest.mark.requirement("OVR-01")
def test_overrides_work_on_a_part_of_an_object_and_where_nothing_is_stored(
    s3: RawClient, bucket: str
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"hello")
    response = s3.request("GET", f"/{bucket}/k", list(OVERRIDES.items()), {"range": "bytes=1-2"})
    assert (response.status, response.body) == (206, b"el")
    assert {name: response.headers[name.removeprefix("response-")] for name in OVERRIDES} == OVERRIDES


@pytest.mark.requirement("OVR-01")
@pytest.mark.parametrize("name", OVERRIDES)
def test_overrides_without_a_signature_are_refused(s3: RawClient, bucket: str, name: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"hello")
    assert s3.open_url("GET", f"/{bucket}/k?{encode_query([(name, 'a')])}").verdict == (403, "AccessDenied")


@pytest.mark.requirement("OVR-02")
@pytest.mark.parametrize("name", OVERRIDES)
@pytest.mark.parametrize(
    "value", ["a\r\nx-injected: 1", "a\nx-injected: 1", "a\rx-injected: 1", "a\0", "日本", "\u0100"]
)
def test_overrides_never_inject_a_header(s3: RawClient, bucket: str, name: str, value: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"hello")
    response = s3.request("GET", f"/{bucket}/k", [(name, value)])
    assert response.verdict == (400, "InvalidArgument")
    assert b"x-injected" not in response.raw_head


@pytest.mark.requirement("OVR-02")
def test_a_latin_1_override_is_sent(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"hello")
    value = 'attachment; filename="caf\xe9.txt"'
    response = s3.request("GET", f"/{bucket}/k", [("response-content-disposition", value)])
    assert (response.status, response.headers["content-disposition"]) == (200, value)
