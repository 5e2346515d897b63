"""CopyObject: COPY."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.rawclient import RawClient, Response, key_path, md5_hex
from tests.uploads import MIN_PART, filler, finished

SOURCE_HEADERS = {
    "content-type": "text/plain",
    "cache-control": "max-age=60",
    "content-disposition": "inline",
    "content-encoding": "gzip",
    "content-language": "de",
    "expires": "Thu, 01 Dec 2044 16:00:00 GMT",
    "x-amz-meta-a": "1",
}
REQUEST_HEADERS = {
    "content-type": "text/html",
    "cache-control": "no-cache",
    "content-language": "fr",
    "x-amz-meta-b": "2",
}
OF_THE_OBJECT = {*SOURCE_HEADERS, *REQUEST_HEADERS}


def put(s3: RawClient, bucket: str, key: str, body: bytes = b"x", **headers: str) -> None:
    """Put an object that must be accepted."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    assert s3.request("PUT", key_path(bucket, key), headers=lines, body=body).verdict == (200, "")


def copy(s3: RawClient, source: str, path: str, **headers: str) -> Response:
    """Send CopyObject; `source` is sent as it is."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return s3.request("PUT", path, headers={"x-amz-copy-source": source, **lines})


def described(s3: RawClient, path: str) -> dict[str, str]:
    """Return the content headers and metadata of an object."""
    headers = s3.request("HEAD", path).headers
    return {name: value for name, value in headers.items() if name in OF_THE_OBJECT}


def body_of(s3: RawClient, path: str) -> bytes:
    """Return the content of an object."""
    return s3.request("GET", path).body


@pytest.mark.requirement("COPY-01", "COPY-10")
@pytest.mark.parametrize("size", [0, 5, 131_073, 1_500_000])
def test_a_copy_answers_with_its_etag_and_time_and_has_the_same_bytes(
    s3: RawClient, bucket: str, size: int
) -> None:
    content = filler("source", size)
    put(s3, bucket, "a", content)
    response = copy(s3, f"{bucket}/a", f"/{bucket}/b")
    assert (response.status, response.xml.tag) == (200, "CopyObjectResult")
    assert response.text("ETag") == f'"{md5_hex(content)}"'
    head = s3.request("HEAD", f"/{bucket}/b").headers
    listed = s3.request("GET", f"/{bucket}", [("list-type", "2"), ("prefix", "b")])
    assert (response.text("ETag"), response.text("LastModified")) == (
        head["etag"],
        listed.text("Contents/LastModified"),
    )
    assert body_of(s3, f"/{bucket}/b") == content


@pytest.mark.requirement("COPY-01")
def test_a_copy_outlives_its_source(s3: RawClient, bucket: str) -> None:
    content = filler("outlives", 300_000)
    put(s3, bucket, "a", content)
    assert copy(s3, f"{bucket}/a", f"/{bucket}/b").status == 200
    put(s3, bucket, "a", b"another")
    assert s3.request("DELETE", f"/{bucket}/a").status == 204
    assert body_of(s3, f"/{bucket}/b") == content


@pytest.mark.requirement("COPY-01")
def test_an_object_is_copied_from_bucket_to_bucket(
    s3: RawClient, bucket: str, new_name: Callable[[], str]
) -> None:
    other = new_name()
    s3.request("PUT", f"/{other}")
    put(s3, bucket, "a", b"content")
    assert copy(s3, f"/{bucket}/a", f"/{other}/a").status == 200
    assert body_of(s3, f"/{other}/a") == b"content"


@pytest.mark.requirement("COPY-02")
@pytest.mark.parametrize(
    ("form", "key"),
    [
        ("{bucket}/a/b", "a/b"),
        ("/{bucket}/a/b", "a/b"),
        ("{bucket}/a%2Fb", "a/b"),
        ("{bucket}%2Fa/b", "a/b"),
        ("/{bucket}%2Fa%2Fb", "a/b"),
        ("%2F{bucket}%2Fa%2Fb", "a/b"),
        ("{bucket}/a%2Bb", "a+b"),
        ("{bucket}/a%20b", "a b"),
        ("{bucket}/a%3Fb", "a?b"),
        ("{bucket}/a%252Bb", "a%2Bb"),
        ("{bucket}/%C3%BC", "ü"),
        ("{bucket}/%61", "a"),
        ("{bucket}//a", "/a"),
        ("{bucket}/a/../b", "a/../b"),
        ("{bucket}/a/b?versionId=null", "a/b"),
        ("{bucket}/a%3FversionId=x", "a?versionId=x"),
    ],
)
def test_the_source_is_decoded_exactly_once(s3: RawClient, bucket: str, form: str, key: str) -> None:
    put(s3, bucket, key, key.encode())
    assert copy(s3, form.format(bucket=bucket), f"/{bucket}/copy").verdict == (200, "")
    assert body_of(s3, f"/{bucket}/copy") == key.encode()


@pytest.mark.requirement("COPY-03", "ERR-02", "ERR-03")
def test_what_is_missing_is_named(s3: RawClient, bucket: str, new_name: Callable[[], str]) -> None:
    put(s3, bucket, "a")
    verdicts = [
        copy(s3, f"{new_name()}/a", f"/{bucket}/b").verdict,
        copy(s3, f"{bucket}/none", f"/{bucket}/b").verdict,
        copy(s3, f"{bucket}/a", f"/{new_name()}/b").verdict,
    ]
    assert verdicts == [(404, "NoSuchBucket"), (404, "NoSuchKey"), (404, "NoSuchBucket")]
    assert s3.request("HEAD", f"/{bucket}/b").status == 404


@pytest.mark.requirement("COPY-04")
@pytest.mark.parametrize(
    "source",
    [
        "",
        "/",
        "{bucket}",
        "/{bucket}",
        "{bucket}/",
        "/{bucket}/",
        "a",
        "//{bucket}/a",
        "{bucket}/%ZZ",
        "{bucket}/%FF",
        "{bucket}/a%00",
        "UPPER/a",
        "{bucket}/a?versionId=1",
        "http://{bucket}/a",
        "../{bucket}/a",
    ],
)
def test_a_source_that_is_not_bucket_and_key_is_refused(s3: RawClient, bucket: str, source: str) -> None:
    put(s3, bucket, "a")
    put(s3, bucket, "b", b"old")
    response = copy(s3, source.format(bucket=bucket), f"/{bucket}/b")
    assert response.verdict == (400, "InvalidArgument")
    assert body_of(s3, f"/{bucket}/b") == b"old"


@pytest.mark.requirement("COPY-05")
@pytest.mark.parametrize("directive", [{}, {"x-amz-metadata-directive": "COPY"}])
def test_headers_and_metadata_come_from_the_source_by_default(
    s3: RawClient, bucket: str, directive: dict[str, str]
) -> None:
    put(s3, bucket, "a", **SOURCE_HEADERS)
    assert copy(s3, f"{bucket}/a", f"/{bucket}/b", **REQUEST_HEADERS, **directive).status == 200
    assert described(s3, f"/{bucket}/b") == SOURCE_HEADERS


@pytest.mark.requirement("COPY-06")
def test_replaced_headers_and_metadata_come_from_the_request_alone(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", **SOURCE_HEADERS)
    response = copy(s3, f"{bucket}/a", f"/{bucket}/b", **REQUEST_HEADERS, x_amz_metadata_directive="REPLACE")
    assert response.status == 200
    assert described(s3, f"/{bucket}/b") == REQUEST_HEADERS


@pytest.mark.requirement("COPY-06", "PUT-07")
def test_a_replacement_without_content_type_is_binary(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", **SOURCE_HEADERS)
    assert copy(s3, f"{bucket}/a", f"/{bucket}/b", x_amz_metadata_directive="REPLACE").status == 200
    assert described(s3, f"/{bucket}/b") == {"content-type": "binary/octet-stream"}


@pytest.mark.requirement("COPY-06")
@pytest.mark.parametrize("directive", ["replace", "KEEP", ""])
def test_another_directive_is_refused(s3: RawClient, bucket: str, directive: str) -> None:
    put(s3, bucket, "a")
    response = copy(s3, f"{bucket}/a", f"/{bucket}/b", x_amz_metadata_directive=directive)
    assert response.verdict == (400, "InvalidArgument")
    assert s3.request("HEAD", f"/{bucket}/b").status == 404


@pytest.mark.requirement("COPY-07")
@pytest.mark.parametrize("source", ["{bucket}/a", "/{bucket}/%61", "{bucket}/a?versionId=null"])
def test_a_copy_onto_itself_without_change_is_refused(s3: RawClient, bucket: str, source: str) -> None:
    put(s3, bucket, "a", b"content", **SOURCE_HEADERS)
    response = copy(s3, source.format(bucket=bucket), f"/{bucket}/a", **REQUEST_HEADERS)
    assert response.verdict == (400, "InvalidRequest")
    assert described(s3, f"/{bucket}/a") == SOURCE_HEADERS


@pytest.mark.requirement("COPY-08")
@pytest.mark.parametrize("size", [7, 500_000])
def test_a_copy_onto_itself_may_replace_the_metadata(s3: RawClient, bucket: str, size: int) -> None:
    content = filler("itself", size)
    put(s3, bucket, "a", content, **SOURCE_HEADERS)
    response = copy(s3, f"{bucket}/a", f"/{bucket}/a", **REQUEST_HEADERS, x_amz_metadata_directive="REPLACE")
    assert response.status == 200
    assert (described(s3, f"/{bucket}/a"), body_of(s3, f"/{bucket}/a")) == (REQUEST_HEADERS, content)


@pytest.mark.requirement("COPY-09", "COPY-10")
def test_a_multipart_object_is_copied_whole_and_gets_the_md5_of_its_content(
    s3: RawClient, bucket: str
) -> None:
    bodies = [filler("one", MIN_PART), filler("two", 70_000)]
    finished(s3, bucket, "a", bodies)
    content = b"".join(bodies)
    response = copy(s3, f"{bucket}/a", f"/{bucket}/b")
    assert (response.status, response.text("ETag")) == (200, f'"{md5_hex(content)}"')
    copied = s3.request("GET", f"/{bucket}/b")
    assert (copied.headers["etag"], md5_hex(copied.body)) == (f'"{md5_hex(content)}"', md5_hex(content))
    listed = s3.request("GET", f"/{bucket}", [("list-type", "2"), ("prefix", "b")])
    assert listed.texts("Contents/ETag") == [copied.headers["etag"]]


@pytest.mark.requirement("COPY-11", "CON-02")
@pytest.mark.parametrize("size", [900, 300_000])
def test_the_destination_is_at_every_moment_one_complete_object(
    s3: RawClient, bucket: str, size: int
) -> None:
    bodies = {letter: letter.encode() * size for letter in "ab"}
    put(s3, bucket, "a", bodies["a"], x_amz_meta_is="a")
    put(s3, bucket, "b", bodies["b"], x_amz_meta_is="b")
    put(s3, bucket, "copy", bodies["a"], x_amz_meta_is="a")
    stop = threading.Event()
    statuses: set[int] = set()

    def overwrite() -> None:
        while not stop.is_set():
            statuses.update(copy(s3, f"{bucket}/{name}", f"/{bucket}/copy").status for name in "ba")

    writer = threading.Thread(target=overwrite)
    writer.start()
    try:
        seen = [s3.request("GET", f"/{bucket}/copy") for _ in range(40)]
    finally:
        stop.set()
        writer.join()
    assert statuses == {200}
    assert [r for r in seen if r.body != bodies[r.headers["x-amz-meta-is"]]] == []


@pytest.mark.requirement("COPY-11", "ERR-08")
@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({"x-amz-copy-source-if-match": '"0"'}, (412, "PreconditionFailed")),
        ({"x-amz-storage-class": "FAKE"}, (400, "InvalidStorageClass")),
        ({"x-amz-acl": "public-read"}, (400, "AccessControlListNotSupported")),
        ({"x-amz-tagging-directive": "OTHER"}, (400, "InvalidArgument")),
        ({"x-amz-server-side-encryption": "aws:kms"}, (501, "NotImplemented")),
        ({"x-amz-checksum-algorithm": "MD4"}, (400, "InvalidRequest")),
    ],
)
def test_a_failed_copy_leaves_the_destination_unchanged(
    s3: RawClient, bucket: str, headers: dict[str, str], verdict: tuple[int, str]
) -> None:
    put(s3, bucket, "a", b"new")
    put(s3, bucket, "b", b"old", **SOURCE_HEADERS)
    assert copy(s3, f"{bucket}/a", f"/{bucket}/b", **headers).verdict == verdict
    assert (described(s3, f"/{bucket}/b"), body_of(s3, f"/{bucket}/b")) == (SOURCE_HEADERS, b"old")


@pytest.mark.requirement("COPY-01", "PAY-01")
def test_a_copy_with_a_body_is_refused(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a")
    response = s3.request("PUT", f"/{bucket}/b", headers={"x-amz-copy-source": f"{bucket}/a"}, body=b"x")
    assert response.status == 400
    assert s3.request("HEAD", f"/{bucket}/b").status == 404


@pytest.mark.requirement("COPY-12", "AUTH-17")
@pytest.mark.known_mistake(19)
@pytest.mark.parametrize(
    "source", ["{bucket}/secret", "/{bucket}%2Fsecret", "{bucket}/secret?versionId=null"]
)
def test_a_source_that_the_caller_may_not_read_is_not_copied(
    root: RawClient, stranger: RawClient, root_bucket: str, new_name: Callable[[], str], source: str
) -> None:
    """CVE-2026-39360 (RustFS), GHSA-wfxj: the source of a copy was not authorised."""
    own = new_name()
    assert stranger.request("PUT", f"/{own}").status == 200
    put(root, root_bucket, "secret")
    assert copy(stranger, source.format(bucket=root_bucket), f"/{own}/k").verdict == (403, "AccessDenied")
    assert stranger.request("HEAD", f"/{own}/k").status == 404


@pytest.mark.requirement("COPY-12")
def test_a_caller_without_rights_does_not_learn_which_keys_exist(
    root: RawClient, stranger: RawClient, root_bucket: str, new_name: Callable[[], str]
) -> None:
    own = new_name()
    stranger.request("PUT", f"/{own}")
    assert copy(stranger, f"{root_bucket}/none", f"/{own}/k").verdict == (403, "AccessDenied")


@pytest.mark.requirement("COPY-12")
def test_the_right_to_read_the_source_is_enough(
    root: RawClient,
    root_bucket: str,
    operator: Callable[..., dict[str, str]],
    new_name: Callable[[], str],
) -> None:
    put(root, root_bucket, "a", b"shared")
    made = operator("key", "create", new_name(), "--bucket", root_bucket, "--read", "--create-buckets")
    reader = RawClient(root.endpoint, made["access_key_id"], made["secret_access_key"])
    own = new_name()
    reader.request("PUT", f"/{own}")
    assert copy(reader, f"{root_bucket}/a", f"/{own}/a").status == 200
    assert body_of(reader, f"/{own}/a") == b"shared"
    assert copy(reader, f"{own}/a", f"/{root_bucket}/b").verdict == (403, "AccessDenied")


@pytest.mark.known_mistake(20)
@pytest.mark.parametrize(
    "source",
    ["{own}/../{bucket}/secret", "{own}%2F..%2F{bucket}%2Fsecret", "{own}/%2e%2e/{bucket}/secret",
     "{own}//{bucket}/secret", "{own}/..%2F{bucket}/secret", "./{bucket}/secret", "{own}/.%2e/{bucket}/secret"],
)  # fmt: skip
def test_a_source_never_reaches_into_another_bucket(
    root: RawClient, stranger: RawClient, root_bucket: str, new_name: Callable[[], str], source: str
) -> None:
    """CVE-2026-55874 (SeaweedFS): `..` in x-amz-copy-source crossed buckets behind the authorisation."""
    own = new_name()
    stranger.request("PUT", f"/{own}")
    put(root, root_bucket, "secret", b"secret")
    response = copy(stranger, source.format(own=own, bucket=root_bucket), f"/{own}/k")
    assert response.status in (400, 404)
    assert stranger.request("HEAD", f"/{own}/k").status == 404
