"""POST policy browser uploads: POST."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from dataclasses import replace as changed
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.forms import (
    BOUNDARY,
    encode,
    expiration,
    policy_of,
    post,
    render_form,
    send_form,
    sign,
    signing_fields,
)
from tests.rawclient import RawClient, crc32_b64, md5_b64, md5_hex, render

KEY = {"key": "k"}
ETAG = f'"{md5_hex(b"hello")}"'


def keys(s3: RawClient, bucket: str) -> list[str]:
    """Return all keys of a bucket."""
    return s3.request("GET", f"/{bucket}", [("list-type", "2")]).texts("Contents/Key")


@pytest.mark.requirement("POST-01", "POST-02")
@pytest.mark.parametrize("content", [b"", b"hello", b"\r\n--\r\n" * 10, b"x" * 300_000, b"y" * 1_500_000])
def test_a_form_uploads_its_file(s3: RawClient, bucket: str, content: bytes) -> None:
    response = post(s3, bucket, KEY, content)
    assert (response.status, response.body) == (204, b"")
    assert response.headers["etag"] == f'"{md5_hex(content)}"'
    assert s3.request("GET", f"/{bucket}/k").body == content


@pytest.mark.requirement("POST-01")
@pytest.mark.parametrize("key", ["a/b c", "日本", "a+b%20", "<&>"])
def test_a_forms_key_is_taken_as_it_is(s3: RawClient, bucket: str, key: str) -> None:
    assert post(s3, bucket, {"key": key}).status == 204
    assert keys(s3, bucket) == [key]


@pytest.mark.requirement("POST-01")
def test_field_names_are_matched_in_any_case(s3: RawClient, bucket: str) -> None:
    signing = {name.title(): value for name, value in signing_fields(s3).items()}
    policy = policy_of(bucket, {"key": "k", **signing})
    signature = sign(s3, policy, signing["X-Amz-Credential"].partition("/")[2])
    sent = {"Key": "k", **signing, "Policy": policy, "X-Amz-Signature": signature}
    assert send_form(s3, f"/{bucket}", sent.items(), [("a", b"x")]).status == 204
    assert send_form(s3, f"/{bucket}/", sent.items(), [("a", b"x")]).status == 204


@pytest.mark.requirement("POST-02")
@pytest.mark.parametrize(
    ("asked", "status"), [("200", 200), ("201", 201), ("204", 204), ("404", 204), ("x", 204), ("", 204)]
)
def test_the_form_says_how_it_is_answered(s3: RawClient, bucket: str, asked: str, status: int) -> None:
    response = post(s3, bucket, {**KEY, "success_action_status": asked})
    assert (response.status, response.headers["etag"]) == (status, ETAG)


@pytest.mark.requirement("POST-02")
def test_201_tells_where_the_object_is(s3: RawClient, bucket: str) -> None:
    response = post(s3, bucket, {"key": "a b&c", "success_action_status": "201"})
    assert response.xml.tag == "PostResponse"
    assert (response.text("Bucket"), response.text("Key"), response.text("ETag")) == (bucket, "a b&c", ETAG)
    assert response.text("Location") == f"http://{s3.host}/{bucket}/a%20b%26c"
    assert response.headers["content-type"].split(";")[0] == "application/xml"


@pytest.mark.requirement("POST-02")
def test_a_redirect_wins_and_tells_what_was_uploaded(s3: RawClient, bucket: str) -> None:
    url = "https://example.com/done?x=1"
    response = post(s3, bucket, {**KEY, "success_action_redirect": url, "success_action_status": "201"})
    parts = urlsplit(response.headers["location"])
    assert (response.status, response.headers["etag"]) == (303, ETAG)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://example.com/done"
    assert parse_qs(parts.query) == {"x": ["1"], "bucket": [bucket], "key": ["k"], "etag": [ETAG]}
    assert '"' not in response.headers["location"]


@pytest.mark.requirement("POST-02")
@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "//example.com", "not a url", "https://a/\r\nx-injected: 1"]
)
def test_a_redirect_that_is_no_url_is_ignored(s3: RawClient, bucket: str, url: str) -> None:
    response = post(s3, bucket, {**KEY, "success_action_redirect": url})
    assert response.status == 204
    assert b"x-injected" not in response.raw_head


@pytest.mark.requirement("POST-03")
@pytest.mark.parametrize(
    ("file_name", "key"),
    [
        ("a.txt", "u/a.txt"),
        ("C:\\dir\\a.txt", "u/a.txt"),
        ("/tmp/a.txt", "u/a.txt"),
        ("日本.txt", "u/日本.txt"),
        (None, "u/${filename}"),
    ],
)
def test_filename_is_replaced_by_the_files_base_name(
    s3: RawClient, bucket: str, file_name: str | None, key: str
) -> None:
    starts = ["starts-with", "$key", "u/"]
    policy = policy_of(bucket, signing_fields(s3), [starts])
    assert post(s3, bucket, {"key": "u/${filename}"}, file_name=file_name, policy=policy).status == 204
    assert keys(s3, bucket) == [key]


@pytest.mark.requirement("POST-03", "POST-06", "ERR-08")
@pytest.mark.known_mistake(34)
def test_the_policy_judges_the_key_after_the_replacement(s3: RawClient, bucket: str) -> None:
    """CVE-2023-28434 (MinIO): what the policy says of the key was not enforced."""
    policy = policy_of(bucket, signing_fields(s3), [["starts-with", "$key", "u/"]])
    response = post(s3, bucket, {"key": "${filename}"}, file_name="other.txt", policy=policy)
    assert response.verdict == (403, "AccessDenied")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-04", "ERR-08")
def test_the_policys_signature_is_verified(s3: RawClient, bucket: str) -> None:
    wrong = post(s3, bucket, KEY, replace={"x-amz-signature": "0" * 64})
    other = post(
        s3, bucket, KEY, replace={"policy": policy_of(bucket, {**KEY, **signing_fields(s3)}, [{"x": "y"}])}
    )
    stranger = post(changed(s3, secret_access_key="wrong"), bucket, KEY)
    unknown = post(changed(s3, access_key_id="AKIANOBODYNOBODYNOBO"), bucket, KEY)
    assert wrong.verdict == (403, "SignatureDoesNotMatch")
    assert other.verdict == (403, "SignatureDoesNotMatch")
    assert stranger.verdict == (403, "SignatureDoesNotMatch")
    assert unknown.verdict == (403, "InvalidAccessKeyId")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-05", "ERR-08")
def test_an_expired_policy_is_refused(s3: RawClient, bucket: str) -> None:
    policy = policy_of(bucket, {**KEY, **signing_fields(s3)}, after_s=-5)
    assert post(s3, bucket, KEY, policy=policy).verdict == (403, "AccessDenied")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-06", "ERR-08")
@pytest.mark.parametrize(
    "policy",
    [
        "!",
        base64.b64encode(b"no json").decode(),
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b"\xff{}").decode(),
        encode({"conditions": []}),
        encode({"expiration": expiration()}),
        encode({"expiration": "tomorrow", "conditions": []}),
        encode({"expiration": expiration(), "conditions": {}}),
        encode({"expiration": expiration(), "conditions": [{"key": "k", "bucket": "b"}]}),
        encode({"expiration": expiration(), "conditions": [{}]}),
        encode({"expiration": expiration(), "conditions": ["key"]}),
        encode({"expiration": expiration(), "conditions": [["contains", "$key", "k"]]}),
        encode({"expiration": expiration(), "conditions": [["eq", "$key"]]}),
        encode({"expiration": expiration(), "conditions": [["content-length-range", "a", 2]]}),
    ],
    # Named, because the policies hold the time: parallel workers must collect the same names.
    ids=[
        "no base64",
        "no JSON",
        "a list",
        "no UTF-8",
        "no expiration",
        "no conditions",
        "no time",
        "conditions that are no list",
        "a condition with two properties",
        "a condition without property",
        "a condition that is a string",
        "an unknown operator",
        "a condition without operand",
        "a length that is no number",
    ],
)
def test_a_policy_that_is_none_is_refused(s3: RawClient, bucket: str, policy: str) -> None:
    assert post(s3, bucket, KEY, policy=policy).verdict == (400, "InvalidPolicyDocument")
    assert keys(s3, bucket) == []


FIELDS = {
    "key": "user/k",
    "content-type": "image/png",
    "x-amz-meta-a": "Value",
    "success_action_status": "201",
    "success_action_redirect": "https://example.com/",
}


@pytest.mark.requirement("POST-06", "POST-07")
def test_a_form_that_fits_each_kind_of_condition_is_accepted(s3: RawClient, bucket: str) -> None:
    conditions = [
        {"bucket": bucket},
        ["starts-with", "$key", "user/"],
        ["eq", "$content-type", "image/png"],
        ["starts-with", "$x-amz-meta-a", ""],
        {"success_action_status": "201"},
        ["starts-with", "$success_action_redirect", "https://"],
        ["content-length-range", 5, 5],
        *({name: value} for name, value in signing_fields(s3).items()),
    ]
    policy = encode({"expiration": expiration(), "conditions": conditions})
    assert post(s3, bucket, FIELDS, policy=policy).status == 303


@pytest.mark.requirement("POST-06", "ERR-08")
@pytest.mark.known_mistake(34)
@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(
    "condition",
    [
        lambda name, value: {name: value + "x"},
        lambda name, value: {name: value.swapcase()} if value.swapcase() != value else {name: "x"},
        lambda name, value: ["eq", f"${name}", value[:-1]],
        lambda name, value: ["starts-with", f"${name}", "x" + value],
        lambda name, value: ["starts-with", f"${name}", value + "x"],
    ],
)
def test_each_condition_is_enforced(
    s3: RawClient, bucket: str, name: str, condition: Callable[[str, str], object]
) -> None:
    """CVE-2023-28434 (MinIO), GHSA-w5fh (RustFS): conditions of a POST policy were not enforced."""
    response = post(s3, bucket, FIELDS, conditions=[condition(name, FIELDS[name])])
    assert response.verdict == (403, "AccessDenied")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-06", "ERR-08")
@pytest.mark.known_mistake(34)
def test_a_policy_for_one_bucket_holds_for_no_other(
    s3: RawClient, bucket: str, new_name: Callable[[], str]
) -> None:
    """CVE-2023-28434 (MinIO): the bucket that the policy names was not enforced."""
    other = new_name()
    s3.request("PUT", f"/{other}")
    policy = policy_of(other, {**KEY, **signing_fields(s3)})
    assert post(s3, bucket, KEY, policy=policy).verdict == (403, "AccessDenied")
    assert post(s3, bucket, {**KEY, "bucket": other}, policy=policy).verdict == (403, "AccessDenied")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-06", "ERR-08")
@pytest.mark.parametrize("operand", [1, None, ["k"], {"k": "k"}, True])
def test_an_operand_that_is_no_text_never_holds(s3: RawClient, bucket: str, operand: object) -> None:
    policy = policy_of(bucket, signing_fields(s3), [["eq", "$key", operand]])
    response = post(s3, bucket, KEY, policy=policy)
    assert response.verdict in ((403, "AccessDenied"), (400, "InvalidPolicyDocument"))
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-06", "ERR-08")
@pytest.mark.parametrize("name", ["content-type", "x-amz-meta-a", "success_action_status"])
def test_a_condition_on_a_field_that_is_missing_fails(s3: RawClient, bucket: str, name: str) -> None:
    policy = policy_of(bucket, {**KEY, **signing_fields(s3)}, [{name: "x"}])
    assert post(s3, bucket, KEY, policy=policy).verdict == (403, "AccessDenied")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-07", "ERR-08")
@pytest.mark.parametrize(
    "name",
    [
        "x-amz-meta-a",
        "content-type",
        "cache-control",
        "success_action_status",
        "x-amz-tagging",
        "tagging",
        "acl",
        "anything",
    ],
)
def test_a_field_without_a_condition_is_refused(s3: RawClient, bucket: str, name: str) -> None:
    policy = policy_of(bucket, {**KEY, **signing_fields(s3)})
    assert post(s3, bucket, {**KEY, name: "x"}, policy=policy).verdict == (403, "AccessDenied")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-07", "ERR-08")
@pytest.mark.parametrize("name", ["key", "x-amz-algorithm", "x-amz-credential", "x-amz-date"])
def test_the_key_and_the_signing_fields_need_conditions_too(s3: RawClient, bucket: str, name: str) -> None:
    covered = {**KEY, **signing_fields(s3)}
    del covered[name]
    assert post(s3, bucket, KEY, policy=policy_of(bucket, covered)).verdict == (403, "AccessDenied")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-07")
def test_x_ignore_fields_need_no_condition(s3: RawClient, bucket: str) -> None:
    policy = policy_of(bucket, {**KEY, **signing_fields(s3)})
    assert post(s3, bucket, {**KEY, "x-ignore-submit": "Upload"}, policy=policy).status == 204


@pytest.mark.requirement("POST-08", "ERR-08")
@pytest.mark.parametrize(
    ("size", "verdict"),
    [
        (9, (400, "EntityTooSmall")),
        (10, (204, "")),
        (20, (204, "")),
        (21, (400, "EntityTooLarge")),
        (1_500_000, (400, "EntityTooLarge")),
    ],
)
def test_the_length_of_the_file_is_held_to_its_range(
    s3: RawClient, bucket: str, size: int, verdict: tuple[int, str]
) -> None:
    response = post(s3, bucket, KEY, b"x" * size, conditions=[["content-length-range", 10, 20]])
    assert response.verdict == verdict
    assert len(keys(s3, bucket)) == (verdict[0] == 204)


@pytest.mark.requirement("POST-09", "ERR-08")
@pytest.mark.parametrize(
    "drop", ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "policy", "key"]
)
def test_a_form_lacks_nothing_that_it_needs(s3: RawClient, bucket: str, drop: str) -> None:
    fields = {name: value for name, value in KEY.items() if name != drop}
    covered = {name: value for name, value in {**KEY, **signing_fields(s3)}.items() if name != drop}
    response = post(s3, bucket, fields, policy=policy_of(bucket, covered), drop=[drop])
    assert response.verdict == (400, "InvalidArgument")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-09", "ERR-08")
def test_a_form_has_exactly_one_file(s3: RawClient, bucket: str) -> None:
    signing = signing_fields(s3)
    policy = policy_of(bucket, {**KEY, **signing})
    signature = sign(s3, policy, signing["x-amz-credential"].partition("/")[2])
    fields = {**KEY, **signing, "policy": policy, "x-amz-signature": signature}.items()
    none = send_form(s3, f"/{bucket}", fields, [])
    two = send_form(s3, f"/{bucket}", fields, [("a", b"1"), ("b", b"2")])
    assert none.verdict == (400, "InvalidArgument")
    assert two.status == 400
    assert two.code in ("InvalidArgument", "IncorrectNumberOfFilesInPostRequest")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-09", "ERR-08")
def test_a_form_with_a_version_2_signature_is_verified(s3: RawClient, bucket: str) -> None:
    policy = policy_of(bucket, KEY)
    digest = base64.b64encode(hmac.digest(s3.secret_access_key.encode(), policy.encode(), "sha1")).decode()
    fields = {**KEY, "AWSAccessKeyId": s3.access_key_id, "policy": policy, "signature": digest}
    wrong = {**fields, "signature": "A" * 27 + "="}
    assert send_form(s3, f"/{bucket}", wrong.items(), [("a", b"x")]).verdict == (403, "SignatureDoesNotMatch")
    assert keys(s3, bucket) == []
    assert send_form(s3, f"/{bucket}", fields.items(), [("a", b"x")]).status == 204


@pytest.mark.requirement("POST-09", "AUTH-12", "ERR-08")
def test_a_form_without_a_signature_is_refused(s3: RawClient, bucket: str) -> None:
    assert send_form(s3, f"/{bucket}", KEY.items(), [("a", b"x")]).verdict == (403, "AccessDenied")
    policy = {**KEY, "policy": policy_of(bucket, KEY)}
    assert send_form(s3, f"/{bucket}", policy.items(), [("a", b"x")]).status in (400, 403)
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-10", "ERR-08")
@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/mixed; boundary=x", ""]
)
def test_a_post_that_is_no_form_is_refused(s3: RawClient, bucket: str, content_type: str) -> None:
    headers = {"content-type": content_type}
    response = s3.request("POST", f"/{bucket}", headers=headers, body=render_form(KEY.items(), [("a", b"x")]))
    assert response.verdict == (412, "PreconditionFailed")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-10", "ERR-08")
@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=other"],
)
def test_a_form_without_its_boundary_is_refused(s3: RawClient, bucket: str, content_type: str) -> None:
    response = send_form(s3, f"/{bucket}", KEY.items(), [("a", b"x")], {"content-type": content_type})
    assert 400 <= response.status < 500
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-11", "ERR-08")
@pytest.mark.known_mistake(39)
@pytest.mark.parametrize("size", [20_481, 100_000, 3_000_000])
def test_fields_beyond_20_kb_are_refused(s3: RawClient, bucket: str, size: int) -> None:
    """CVE-2018-1000538 (MinIO), CVE-2026-39414: a form's fields filled the memory."""
    response = post(s3, bucket, {**KEY, "x-ignore-a": "x" * size})
    assert response.verdict == (400, "MaxPostPreDataLengthExceededError")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-11")
def test_fields_of_nearly_20_kb_are_accepted(s3: RawClient, bucket: str) -> None:
    policy = policy_of(bucket, {**KEY, **signing_fields(s3)})
    assert post(s3, bucket, {**KEY, "x-ignore-a": "x" * 18_000}, policy=policy).status == 204


@pytest.mark.known_mistake(39)
def test_a_form_whose_fields_never_end_is_refused(s3: RawClient, bucket: str) -> None:
    """CVE-2018-1000538 (MinIO), CVE-2026-39414: a body without structure filled the memory."""
    body = b"x" * 3_000_000
    headers = {
        "host": s3.host,
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "content-length": str(len(body)),
    }
    response = s3.send(render("POST", f"/{bucket}", headers) + body, "POST")
    assert response.verdict == (400, "MaxPostPreDataLengthExceededError")


CONTENT = {
    "Content-Type": "image/png",
    "Cache-Control": "no-cache",
    "Content-Disposition": "inline",
    "Content-Encoding": "gzip",
    "Content-Language": "de",
    "Expires": "Thu, 01 Dec 2044 16:00:00 GMT",
    "x-amz-meta-a": "a b",
}


@pytest.mark.requirement("POST-12")
def test_the_fields_that_describe_the_content_are_stored(s3: RawClient, bucket: str) -> None:
    assert post(s3, bucket, {**KEY, **CONTENT}).status == 204
    head = s3.request("HEAD", f"/{bucket}/k").headers
    assert {name: head[name.lower()] for name in CONTENT} == CONTENT


@pytest.mark.requirement("POST-12")
def test_the_content_type_of_the_file_part_does_not_count(s3: RawClient, bucket: str) -> None:
    assert post(s3, bucket, KEY).status == 204
    assert s3.request("HEAD", f"/{bucket}/k").headers["content-type"] == "binary/octet-stream"


@pytest.mark.requirement("POST-12", "TAG-03")
def test_tags_come_as_a_document(s3: RawClient, bucket: str) -> None:
    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    assert post(s3, bucket, {**KEY, "tagging": tags}).status == 204
    assert s3.request("GET", f"/{bucket}/k", [("tagging", "")]).texts("TagSet/Tag/Key") == ["a"]
    assert post(s3, bucket, {"key": "bad", "tagging": "<Tagging>"}).verdict == (400, "MalformedXML")
    assert keys(s3, bucket) == ["k"]


@pytest.mark.requirement("POST-12", "PAY-12", "ERR-08")
def test_checksums_of_a_form_are_verified(s3: RawClient, bucket: str) -> None:
    wrong = post(s3, bucket, {**KEY, "x-amz-checksum-crc32": crc32_b64(b"other")})
    md5 = post(s3, bucket, {**KEY, "content-md5": md5_b64(b"other")})
    assert (wrong.verdict, md5.verdict) == ((400, "BadDigest"), (400, "BadDigest"))
    assert keys(s3, bucket) == []
    assert post(s3, bucket, {**KEY, "x-amz-checksum-crc32": crc32_b64(b"hello")}).status == 204
    head = s3.request("HEAD", f"/{bucket}/k", headers={"x-amz-checksum-mode": "ENABLED"}).headers
    assert head["x-amz-checksum-crc32"] == crc32_b64(b"hello")


@pytest.mark.requirement("POST-12", "HTTP-15", "ERR-08")
@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("acl", "public-read", (400, "AccessControlListNotSupported")),
        ("x-amz-server-side-encryption", "AES256", (501, "NotImplemented")),
        ("x-amz-storage-class", "GLACIER", (501, "NotImplemented")),
        ("x-amz-website-redirect-location", "/x", (501, "NotImplemented")),
        ("x-amz-object-lock-mode", "GOVERNANCE", (501, "NotImplemented")),
        ("x-amz-meta-a", "v" * 2100, (400, "MetadataTooLarge")),
    ],
)
def test_no_field_that_asks_for_behaviour_is_ignored(
    s3: RawClient, bucket: str, name: str, value: str, verdict: tuple[int, str]
) -> None:
    assert post(s3, bucket, {**KEY, name: value}).verdict == verdict
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-12")
@pytest.mark.parametrize(("name", "value"), [("acl", "private"), ("x-amz-storage-class", "STANDARD")])
def test_fields_that_ask_for_nothing_are_accepted(s3: RawClient, bucket: str, name: str, value: str) -> None:
    assert post(s3, bucket, {**KEY, name: value}).status == 204


@pytest.mark.requirement("POST-07", "AUTH-04", "ERR-08")
@pytest.mark.known_mistake(8, 34)
@pytest.mark.parametrize(
    "name", ["x-amz-meta-a", "x-amz-tagging", "x-amz-acl", "x-amz-copy-source", "x-amz-storage-class"]
)
def test_a_header_beside_the_form_is_not_obeyed(s3: RawClient, bucket: str, name: str) -> None:
    """CVE-2026-71191 (Swift): what nobody signed was obeyed. A policy covers fields, and no header."""
    response = post(s3, bucket, KEY, headers={name: "a=b"})
    assert response.verdict == (403, "AccessDenied")
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-12")
def test_content_headers_beside_the_form_describe_the_form(s3: RawClient, bucket: str) -> None:
    assert post(s3, bucket, KEY, headers={"cache-control": "no-store", "expires": "0"}).status == 204
    head = s3.request("HEAD", f"/{bucket}/k").headers
    assert ("cache-control" in head, "expires" in head) == (False, False)


@pytest.mark.requirement("POST-13", "ERR-08")
def test_a_form_for_a_missing_bucket_another_region_or_a_long_key_is_refused(
    s3: RawClient, bucket: str, new_name: Callable[[], str]
) -> None:
    assert post(s3, new_name(), KEY).verdict == (404, "NoSuchBucket")
    assert post(changed(s3, region="xx-nowhere-9"), bucket, KEY).status in (400, 403)
    service = signing_fields(s3)["x-amz-credential"].replace("/s3/", "/ec2/")
    assert post(s3, bucket, KEY, replace={"x-amz-credential": service}).status in (400, 403)
    assert post(s3, bucket, {"key": "k" * 1025}).verdict == (400, "KeyTooLongError")
    assert keys(s3, bucket) == []


def a_form(s3: RawClient, bucket: str, content: bytes) -> bytes:
    """Return the body of a signed form."""
    signing = signing_fields(s3)
    policy = policy_of(bucket, {**KEY, **signing})
    signature = sign(s3, policy, signing["x-amz-credential"].partition("/")[2])
    fields = {**KEY, **signing, "policy": policy, "x-amz-signature": signature}
    return render_form(fields.items(), [("a.txt", content)])


@pytest.mark.requirement("POST-01", "HTTP-08", "HTTP-11")
@pytest.mark.parametrize("size", [5, 2_000_000])
def test_a_form_may_come_in_http_chunks(s3: RawClient, bucket: str, size: int) -> None:
    body = a_form(s3, bucket, b"x" * size)
    pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    wire = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    headers = {
        "host": s3.host,
        "content-type": content_type,
        "transfer-encoding": "chunked",
        "expect": "100-continue",
    }
    assert s3.send(render("POST", f"/{bucket}", headers) + wire, "POST").status == 204
    assert s3.request("HEAD", f"/{bucket}/k").headers["content-length"] == str(size)


@pytest.mark.requirement("POST-01", "HTTP-10", "ERR-08")
@pytest.mark.parametrize("size", [5, 2_000_000])
@pytest.mark.parametrize("cut", [1, 10, 40, 100])
def test_a_form_that_ends_early_stores_nothing(s3: RawClient, bucket: str, size: int, cut: int) -> None:
    body = a_form(s3, bucket, b"x" * size)[: -cut - 4]
    headers = {
        "host": s3.host,
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "content-length": str(len(body)),
    }
    assert s3.send(render("POST", f"/{bucket}", headers) + body, "POST").status == 400
    assert keys(s3, bucket) == []


@pytest.mark.requirement("POST-01", "AUTH-13")
@pytest.mark.known_mistake(3)
def test_a_forms_signature_counts_whatever_the_headers_say(s3: RawClient, bucket: str) -> None:
    """CVE-2026-40344 (MinIO fork): one kind of upload skipped a kind of authentication."""
    body = render_form([*KEY.items()], [("a", b"x")])
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    signed = s3.request("POST", f"/{bucket}", headers={"content-type": content_type}, body=body)
    url = s3.presign("POST", f"/{bucket}")
    assert signed.status in (400, 403)
    assert s3.open_url("POST", url, {"content-type": content_type}, body).status in (400, 403)
    assert keys(s3, bucket) == []
