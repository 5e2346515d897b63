"""What a request asks for reaches its operation, typed; what nobody would act on is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.model import Target
from anys3.spec import catalogue
from anys3.spec.errors import S3Error
from anys3.wire import shapes
from anys3.wire.binding import bind
from anys3.wire.routing import Router
from tests.wire.requests import EVERY, EVERY_NAME, OBJECT, Least, a_request

OPERATIONS = catalogue.operations()
TIER_1 = Router(frozenset(catalogue.tiers()["tier-1"].profiles), frozenset())
WRITES = ("PutObject", "CopyObject", "CreateMultipartUpload", "CreateBucket")


def asked(name: str, headers: dict[bytes, bytes] | None = None, query: dict[str, str] | None = None) -> Any:
    """Return what an operation is asked for."""
    operation = OPERATIONS[name]
    return bind(operation, a_request(operation.method.encode(), headers), query or {})


def refusal(
    name: str, headers: dict[bytes, bytes] | None = None, query: dict[str, str] | None = None
) -> S3Error:
    """Return the error that a request gets."""
    with pytest.raises(S3Error) as caught:
        asked(name, headers, query)
    return caught.value


@pytest.mark.parametrize("one", EVERY, ids=EVERY_NAME)
def test_the_least_request_of_an_operation_binds_to_its_own_class(one: Least) -> None:
    want = bind(one.operation, a_request(one.method, one.headers), one.query)
    assert type(want) is getattr(shapes, f"{one.operation.name}Input")
    assert set(vars(want)) <= {member.attribute for member in one.operation.input}


def test_headers_stay_bytes_and_only_what_was_sent_is_set() -> None:
    want = asked("GetObject", {b"range": b"bytes=0-1", b"if-match": b'"e"', b"user-agent": b"x"})
    assert vars(want) == {"range": b"bytes=0-1", "if_match": b'"e"'}
    assert want.if_none_match is None


def test_query_values_have_their_types() -> None:
    want = asked(
        "ListObjectsV2",
        query={
            "list-type": "2",
            "prefix": "a/",
            "max-keys": "007",
            "fetch-owner": "True",
            "encoding-type": "url",
        },
    )
    assert vars(want) == {"prefix": "a/", "max_keys": 7, "fetch_owner": True, "encoding_type": "url"}


@pytest.mark.requirement("PUT-09", "META-04")
def test_metadata_is_collected_under_names_without_prefix() -> None:
    want = asked("PutObject", {b"x-amz-meta-a": b"1", b"x-amz-meta-": b"2", b"x-amz-meta-b": b""})
    assert want.metadata == {b"a": b"1", b"": b"2", b"b": b""}
    assert asked("PutObject").metadata == {}


@pytest.mark.requirement("CMU-02")
def test_metadata_and_content_headers_of_a_part_are_ignored() -> None:
    want = asked(
        "UploadPart",
        {b"x-amz-meta-a": b"1", b"content-type": b"text/plain", b"cache-control": b"no-store"},
        {"partNumber": "10000", "uploadId": "u"},
    )
    assert vars(want) == {"part_number": 10000, "upload_id": "u"}


@pytest.mark.requirement("LIST-09", "LMU-08", "UP-02", "PN-02", "LB-05")
@pytest.mark.parametrize("value", ["-1", "x", "1.0", "1_0", " 1", "+1", "\u0663", "\u00b2", "0x1", "9" * 30])
@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("ListObjects", "max-keys"),
        ("ListObjectsV2", "max-keys"),
        ("ListMultipartUploads", "max-uploads"),
        ("ListParts", "max-parts"),
        ("ListParts", "part-number-marker"),
        ("UploadPart", "partNumber"),
        ("GetObject", "partNumber"),
        ("ListBuckets", "max-buckets"),
    ],
)
def test_what_is_no_integer_in_range_is_refused(name: str, parameter: str, value: str) -> None:
    error = refusal(name, query={parameter: value})
    assert (error.code, error.details) == (
        "InvalidArgument",
        {"ArgumentName": parameter, "ArgumentValue": value},
    )


@pytest.mark.requirement("UP-02", "PN-02", "LB-05")
@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("UploadPart", "partNumber", "0"),
        ("UploadPart", "partNumber", "10001"),
        ("UploadPart", "partNumber", ""),
        ("GetObject", "partNumber", "0"),
        ("HeadObject", "partNumber", "10001"),
        ("ListBuckets", "max-buckets", "0"),
        ("ListBuckets", "max-buckets", "10001"),
        ("ListObjects", "max-keys", ""),
        ("ListObjects", "max-keys", "2147483648"),
    ],
)
def test_an_integer_out_of_range_is_refused(name: str, parameter: str, value: str) -> None:
    assert refusal(name, query={parameter: value}).code == "InvalidArgument"


@given(st.text(max_size=24))
def test_an_integer_is_read_as_decimal_digits_and_nothing_else(text: str) -> None:
    is_integer = text != "" and set(text) <= set("0123456789") and int(text) <= 2147483647 and len(text) <= 19
    try:
        found = asked("ListObjects", query={"max-keys": text}).max_keys
    except S3Error:
        found = None
    assert found == (int(text) if is_integer else None)


@pytest.mark.requirement("LP-04", "LIST-04")
def test_empty_values_that_count_as_absent_are_not_set() -> None:
    assert vars(asked("ListParts", query={"uploadId": "u", "max-parts": "", "part-number-marker": ""})) == {
        "upload_id": "u"
    }
    assert vars(asked("ListObjects", query={"delimiter": "", "prefix": ""})) == {"prefix": ""}


@pytest.mark.requirement("LIST-12")
def test_an_empty_continuation_token_is_refused_except_by_list_buckets() -> None:
    assert refusal("ListObjectsV2", query={"continuation-token": ""}).code == "InvalidArgument"
    assert asked("ListBuckets", query={"continuation-token": ""}).continuation_token == ""


@pytest.mark.requirement("LIST-17")
@pytest.mark.parametrize(
    "name", ["ListObjects", "ListObjectsV2", "ListMultipartUploads", "ListObjectVersions"]
)
@pytest.mark.parametrize("value", ["", "URL", "base64"])
def test_an_encoding_type_other_than_url_is_refused(name: str, value: str) -> None:
    error = refusal(name, query={"encoding-type": value})
    assert (error.code, error.details["ArgumentName"]) == ("InvalidArgument", "encoding-type")


@pytest.mark.requirement("ABT-03")
@pytest.mark.parametrize("name", ["AbortMultipartUpload", "ListParts", "CompleteMultipartUpload"])
def test_an_empty_upload_id_names_no_upload(name: str) -> None:
    assert refusal(name, query={"uploadId": ""}).code == "NoSuchUpload"


@pytest.mark.requirement("GET-06", "DEL-06")
@pytest.mark.parametrize("name", ["GetObject", "HeadObject", "DeleteObject", "GetObjectTagging"])
def test_the_only_version_is_null(name: str) -> None:
    assert asked(name, query={"versionId": "null"}).version_id == "null"
    assert refusal(name, query={"versionId": "3HL4kqtJlcpXroDTDmJ"}).code == "NoSuchVersion"
    assert refusal(name, query={"versionId": ""}).code == "InvalidArgument"


@pytest.mark.parametrize("name", ["PutObject", "CopyObject", "ListParts", "DeleteBucket"])
def test_an_operation_without_versions_refuses_a_version_id(name: str) -> None:
    assert refusal(name, query={"versionId": "null"}).code == "InvalidArgument"


@pytest.mark.parametrize("name", ["DeleteObject", "ListParts", "GetObjectTagging"])
def test_a_part_number_where_there_is_none_is_refused(name: str) -> None:
    error = refusal(name, query={"partNumber": "1"})
    assert (error.code, error.details["ArgumentName"]) == ("NotImplemented", "partNumber")


@pytest.mark.requirement("COPY-06")
def test_a_directive_is_one_of_two_words() -> None:
    assert asked("CopyObject", {b"x-amz-metadata-directive": b"REPLACE"}).metadata_directive == b"REPLACE"
    assert refusal("CopyObject", {b"x-amz-metadata-directive": b"MERGE"}).code == "InvalidArgument"


@pytest.mark.requirement("CMU-05", "CMU-06")
def test_a_checksum_algorithm_is_one_that_the_server_computes() -> None:
    want = asked("CreateMultipartUpload", {b"x-amz-checksum-algorithm": b"CRC64NVME"})
    assert want.checksum_algorithm == b"CRC64NVME"
    for value in (b"TEST", b"SHA512", b""):
        assert refusal("CreateMultipartUpload", {b"x-amz-checksum-algorithm": value}).code == "InvalidRequest"


@pytest.mark.requirement("CPL-17")
def test_the_size_of_a_multipart_object_is_a_number() -> None:
    assert (
        asked("CompleteMultipartUpload", {b"x-amz-mp-object-size": b"5368709121"}).mpu_object_size
        == 5368709121
    )
    assert refusal("CompleteMultipartUpload", {b"x-amz-mp-object-size": b"-1"}).code == "InvalidRequest"


@pytest.mark.requirement("HTTP-27", "CB-07", "PUT-12")
@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"x-amz-acl", b"private"),
        (b"x-amz-acl", b"bucket-owner-full-control"),
        (b"x-amz-storage-class", b"STANDARD"),
        (b"x-amz-object-ownership", b"BucketOwnerEnforced"),
        (b"x-amz-bucket-object-lock-enabled", b"false"),
        (b"x-amz-server-side-encryption-bucket-key-enabled", b"false"),
        (b"x-amz-bypass-governance-retention", b"true"),
    ],
)
def test_values_that_ask_for_nothing_are_accepted_on_every_write(
    name: str, header: bytes, value: bytes
) -> None:
    assert vars(asked(name, {header: value})) == {}


@pytest.mark.requirement("HTTP-15", "CB-07", "PUT-12")
@pytest.mark.parametrize(
    ("name", "header", "value", "code"),
    [
        ("PutObject", b"x-amz-acl", b"public-read", "AccessControlListNotSupported"),
        ("CreateBucket", b"x-amz-acl", b"public-read", "InvalidBucketAclWithObjectOwnership"),
        ("PutObject", b"x-amz-acl", b"nonsense", "InvalidArgument"),
        ("PutObject", b"x-amz-storage-class", b"GLACIER", "NotImplemented"),
        ("PutObject", b"x-amz-storage-class", b"FAKE_CLASS", "InvalidStorageClass"),
        ("PutObject", b"x-amz-storage-class", b"", "InvalidStorageClass"),
        ("CreateBucket", b"x-amz-object-ownership", b"ObjectWriter", "NotImplemented"),
        ("CreateBucket", b"x-amz-bucket-object-lock-enabled", b"true", "NotImplemented"),
        ("PutObject", b"x-amz-server-side-encryption", b"AES256", "NotImplemented"),
        ("PutObject", b"x-amz-server-side-encryption-customer-key", b"x", "NotImplemented"),
        ("GetObject", b"x-amz-server-side-encryption-customer-algorithm", b"AES256", "NotImplemented"),
        ("PutObject", b"x-amz-object-lock-mode", b"COMPLIANCE", "NotImplemented"),
        ("PutObject", b"x-amz-grant-read", b"id=x", "NotImplemented"),
        ("PutObject", b"x-amz-website-redirect-location", b"/", "NotImplemented"),
        ("PutObject", b"x-amz-write-offset-bytes", b"1", "NotImplemented"),
        ("GetObject", b"x-amz-expected-bucket-owner", b"123456789012", "NotImplemented"),
        ("DeleteObject", b"x-amz-mfa", b"x 1", "NotImplemented"),
        ("UploadPart", b"if-none-match", b"*", "NotImplemented"),
        ("DeleteObject", b"if-none-match", b"*", "NotImplemented"),
        ("PutObject", b"content-range", b"bytes 0-1/9", "NotImplemented"),
        ("PutObject", b"if-unmodified-since", b"x", "NotImplemented"),
        ("PutObjectTagging", b"x-amz-tagging", b"a=b", "NotImplemented"),
        ("CreateMultipartUpload", b"x-amz-copy-source", b"photos/a", "NotImplemented"),
        ("CopyObject", b"x-amz-copy-source-range", b"bytes=0-1", "NotImplemented"),
        ("AbortMultipartUpload", b"x-amz-if-match-initiated-time", b"x", "NotImplemented"),
    ],
)
def test_a_header_that_asks_for_what_nobody_does_is_refused_by_name(
    name: str, header: bytes, value: bytes, code: str
) -> None:
    error = refusal(name, {header: value})
    assert error.code == code
    assert header.decode() in {error.details.get("Header"), error.details.get("ArgumentName")}


@pytest.mark.requirement("HTTP-16")
@pytest.mark.known_mistake(37)
@pytest.mark.parametrize("one", EVERY, ids=EVERY_NAME)
def test_telemetry_and_names_that_s3_does_not_know_are_ignored(one: Least) -> None:
    noise = {
        b"amz-sdk-invocation-id": b"1",
        b"amz-sdk-request": b"attempt=1",
        b"x-amz-user-agent": b"x",
        b"x-amz-te": b"append-md5",
        b"x-amz-request-payer": b"requester",
        b"x-amz-optional-object-attributes": b"RestoreStatus",
        b"x-amz-cf-id": b"x",
        b"x-amz-api-version": b"2006-03-01",
        b"x-minio-source-mtime": b"x",
        b"x-amz-date": b"x",
        b"x-amz-content-sha256": b"x",
        b"authorization": b"x",
        b"host": b"x",
    }
    quiet = bind(one.operation, a_request(one.method, one.headers), one.query)
    noisy = bind(
        one.operation, a_request(one.method, one.headers | noise), one.query | {"x-id": "X", "foo": "1"}
    )
    assert vars(noisy) == vars(quiet)


@pytest.mark.requirement("HTTP-16", "PAY-13")
@pytest.mark.parametrize("header", [b"x-amz-checksum-crc32", b"x-amz-checksum-sha512", b"x-amz-checksum-new"])
@pytest.mark.parametrize("name", ["GetObject", "DeleteObject", "ListObjectsV2", "CopyObject"])
def test_a_checksum_without_a_body_is_ignored(name: str, header: bytes) -> None:
    assert vars(asked(name, {header: b"AAAA"})) == {}


@pytest.mark.requirement("PAY-13")
@pytest.mark.parametrize("name", ["PutObject", "UploadPart", "DeleteObjects", "CompleteMultipartUpload"])
def test_a_checksum_of_a_body_that_nobody_can_compute_is_refused(name: str) -> None:
    assert refusal(name, {b"x-amz-checksum-xxhash3": b"AAAA"}).code == "NotImplemented"
    assert refusal(name, {b"x-amz-checksum-new": b"AAAA"}).code == "InvalidRequest"


def bound_by_tier_1(
    method: bytes, target: Target, headers: dict[bytes, bytes], query: dict[str, str] | None = None
) -> dict[str, object]:
    """Return what a server of tier 1 binds, through its own router."""
    operation = TIER_1.resolve(method, target, query or {}, headers)
    return vars(bind(operation, a_request(method, headers), query or {}))


@pytest.mark.requirement("HTTP-15")
@pytest.mark.parametrize(
    ("method", "headers", "query", "profile"),
    [
        (b"PUT", {b"x-amz-tagging": b"a=b"}, {}, "tag"),
        (b"PUT", {b"if-none-match": b"*"}, {}, "cond"),
        (b"DELETE", {b"if-match": b"*"}, {}, "cond"),
        (b"GET", {}, {"response-content-type": "text/plain"}, "presign"),
        (b"GET", {}, {"partNumber": "1"}, "part-read"),
        (b"PUT", {b"x-amz-copy-source": b"b/k", b"x-amz-tagging-directive": b"REPLACE"}, {}, "tag"),
        (b"PUT", {b"x-amz-copy-source": b"b/k", b"x-amz-checksum-algorithm": b"CRC32"}, {}, "cksum"),
    ],
)
def test_a_strict_server_refuses_what_is_beyond_its_profiles(
    method: bytes, headers: dict[bytes, bytes], query: dict[str, str], profile: str
) -> None:
    profiles = frozenset(catalogue.profiles()) - {profile}
    operation = Router(profiles, frozenset()).resolve(method, OBJECT, query, headers)
    with pytest.raises(S3Error) as caught:
        bind(operation, a_request(method, headers), query)
    assert caught.value.code == "NotImplemented"
    owner = f"profile {profile} ({catalogue.requirements_of(profile)})"
    assert owner in caught.value.message
    assert f"{owner} is not served" in caught.value.log
    assert (
        vars(bind(Router().resolve(method, OBJECT, query, headers), a_request(method, headers), query)) != {}
    )


@pytest.mark.requirement("GET-04", "GET-05", "GET-07", "HTTP-16")
def test_a_strict_server_still_reads_ranges_and_conditions_and_ignores_checksum_mode() -> None:
    headers = {b"range": b"bytes=0-", b"if-match": b"*", b"x-amz-checksum-mode": b"ENABLED"}
    assert bound_by_tier_1(b"GET", OBJECT, headers) == {"range": b"bytes=0-", "if_match": b"*"}


@pytest.mark.requirement("COPY-05")
def test_a_strict_server_accepts_the_neutral_tagging_directive() -> None:
    headers = {b"x-amz-copy-source": b"b/k", b"x-amz-tagging-directive": b"COPY"}
    assert bound_by_tier_1(b"PUT", OBJECT, headers) == {"copy_source": b"b/k"}
