"""Stored checksums: CK."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable
from importlib import import_module

import pytest

from tests.rawclient import RawClient, Response, crc32_b64, md5_hex, sha256_b64
from tests.uploads import MIN_PART, Upload, begin, filler


def reflected(polynomial: int, bits: int) -> Callable[[bytes], str]:
    """Return a slow CRC, written here so that it shares nothing with the server's."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    everything = (1 << bits) - 1

    def compute(data: bytes) -> str:
        crc = everything
        for byte in data:
            crc = crc >> 8 ^ table[(crc ^ byte) & 255]
        return base64.b64encode((crc ^ everything).to_bytes(bits // 8, "big")).decode()

    return compute


crc32c_b64 = reflected(0x82F63B78, 32)
crc64nvme_b64 = reflected(0x9A6C9329AC4BC9B5, 64)


def sha1_b64(data: bytes) -> str:
    """Return a SHA-1 as x-amz-checksum-sha1 has it."""
    return base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


VALUE_OF = {
    "CRC32": crc32_b64,
    "CRC32C": crc32c_b64,
    "CRC64NVME": crc64nvme_b64,
    "SHA1": sha1_b64,
    "SHA256": sha256_b64,
}
BODY = b"123456789"
PUBLISHED = {
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}
ALGORITHMS = pytest.mark.parametrize("algorithm", VALUE_OF)
ENABLED = {"x-amz-checksum-mode": "ENABLED"}


def header(algorithm: str) -> str:
    """Return the name of an algorithm's header."""
    return f"x-amz-checksum-{algorithm.lower()}"


def composite(algorithm: str, bodies: Iterable[bytes]) -> str:
    """Return the digest of the concatenated digests of parts, with their number."""
    digests = [base64.b64decode(VALUE_OF[algorithm](body)) for body in bodies]
    return f"{VALUE_OF[algorithm](b''.join(digests))}-{len(digests)}"


def checksums(response: Response) -> dict[str, str]:
    """Return the checksum headers of an answer."""
    return {name: value for name, value in response.headers.items() if name.startswith("x-amz-checksum-")}


def put(s3: RawClient, path: str, body: bytes = BODY, headers: dict[str, str] | None = None) -> Response:
    """Send PutObject."""
    return s3.request("PUT", path, headers=headers, body=body, payload_hash="UNSIGNED-PAYLOAD")


def head(s3: RawClient, path: str, query: str = "") -> dict[str, str]:
    """Return the checksum headers that HEAD shows in checksum mode."""
    return checksums(s3.request("HEAD", path, query, ENABLED))


@pytest.fixture
def path(bucket: str) -> str:
    """The path of an object that is not there yet."""
    return f"/{bucket}/k"


@pytest.fixture
def no_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the least size of a part for this server, which runs in this process."""
    monkeypatch.setattr(import_module("anys3.operations.complete_multipart_upload"), "MIN_PART_BYTES", 0)


# --- objects --------------------------------------------------------------------------------------------


@pytest.mark.requirement("CK-01", "CK-02", "CK-03")
@ALGORITHMS
def test_the_published_test_vector_is_accepted_and_returned(s3: RawClient, path: str, algorithm: str) -> None:
    value = base64.b64encode(bytes.fromhex(PUBLISHED[algorithm])).decode()
    response = put(s3, path, BODY, {header(algorithm): value})
    assert (response.status, response.headers.get(header(algorithm))) == (200, value)
    assert head(s3, path) == {header(algorithm): value, "x-amz-checksum-type": "FULL_OBJECT"}


@pytest.mark.requirement("CK-01")
@ALGORITHMS
@pytest.mark.parametrize("size", [0, 9, 200_000, 1_200_000])
def test_a_wrong_checksum_stores_nothing(s3: RawClient, path: str, algorithm: str, size: int) -> None:
    assert put(s3, path, b"old").status == 200
    refused = put(s3, path, b"n" * size, {header(algorithm): VALUE_OF[algorithm](b"other")})
    assert refused.verdict == (400, "BadDigest")
    assert s3.request("GET", path).body == b"old"


@pytest.mark.requirement("CK-01")
@ALGORITHMS
@pytest.mark.parametrize(
    "mode", ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"]
)
def test_a_checksum_in_a_trailer_is_verified_and_stored(
    s3: RawClient, path: str, algorithm: str, mode: str
) -> None:
    chunks = [filler("1", 70_000), filler("2", 10_000)]
    value = VALUE_OF[algorithm](b"".join(chunks))
    response = s3.put_streaming(path, chunks, mode=mode, trailer=(header(algorithm), value))
    assert response.verdict == (200, "")
    assert head(s3, path)[header(algorithm)] == value
    wrong = (header(algorithm), VALUE_OF[algorithm](b"other"))
    assert s3.put_streaming(path, chunks, mode=mode, trailer=wrong).verdict == (400, "BadDigest")


@pytest.mark.requirement("CK-03")
def test_without_checksum_mode_head_shows_no_checksum(s3: RawClient, path: str) -> None:
    assert put(s3, path, BODY, {"x-amz-checksum-sha256": sha256_b64(BODY)}).status == 200
    assert checksums(s3.request("HEAD", path)) == {}
    expected = {"x-amz-checksum-sha256": sha256_b64(BODY), "x-amz-checksum-type": "FULL_OBJECT"}
    assert checksums(s3.request("GET", path, headers=ENABLED)) == expected


@pytest.mark.requirement("CK-04")
def test_two_checksum_headers_are_refused(s3: RawClient, path: str) -> None:
    both = {"x-amz-checksum-crc32": crc32_b64(BODY), "x-amz-checksum-sha256": sha256_b64(BODY)}
    assert put(s3, path, BODY, both).verdict == (400, "InvalidRequest")
    assert s3.request("HEAD", path).status == 404


@pytest.mark.requirement("CK-04")
@pytest.mark.parametrize("name", ["x-amz-checksum-crc32", "x-amz-checksum-sha256"])
def test_a_checksum_header_and_a_trailer_are_refused(s3: RawClient, path: str, name: str) -> None:
    value = {"x-amz-checksum-crc32": crc32_b64, "x-amz-checksum-sha256": sha256_b64}[name](BODY)
    response = s3.put_streaming(
        path,
        [BODY],
        mode="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        trailer=("x-amz-checksum-crc32", crc32_b64(BODY)),
        headers={name: value},
    )
    assert response.verdict == (400, "InvalidRequest")
    assert s3.request("HEAD", path).status == 404


@pytest.mark.requirement("CK-05")
@pytest.mark.parametrize("size", [0, 9, 140_000])
def test_without_a_checksum_the_server_computes_crc64nvme(s3: RawClient, path: str, size: int) -> None:
    body = filler("body", size)
    assert put(s3, path, body).status == 200
    expected = {"x-amz-checksum-crc64nvme": crc64nvme_b64(body), "x-amz-checksum-type": "FULL_OBJECT"}
    assert head(s3, path) == expected


# --- uploads --------------------------------------------------------------------------------------------


def begin_with(s3: RawClient, path: str, algorithm: str, kind: str | None = None) -> Upload:
    """Create an upload with checksum settings that must be accepted."""
    settings = {"x-amz-checksum-algorithm": algorithm, **({"x-amz-checksum-type": kind} if kind else {})}
    bucket, key = path.lstrip("/").split("/", 1)
    return begin(s3, bucket, key, settings)


def put_parts(upload: Upload, algorithm: str, bodies: list[bytes]) -> list[tuple[int, str, str]]:
    """Upload parts with their checksums, and return what a completion lists."""
    value = VALUE_OF[algorithm]
    return [
        (
            number,
            upload.put(number, body, {header(algorithm): value(body)}),
            f"<Checksum{algorithm}>{value(body)}</Checksum{algorithm}>",
        )
        for number, body in enumerate(bodies, 1)
    ]


@pytest.mark.requirement("CK-06")
@pytest.mark.parametrize(
    ("algorithm", "kind", "expected"),
    [
        ("CRC32", None, "COMPOSITE"),
        ("CRC32C", None, "COMPOSITE"),
        ("SHA1", None, "COMPOSITE"),
        ("SHA256", None, "COMPOSITE"),
        ("CRC64NVME", None, "FULL_OBJECT"),
        ("CRC32", "FULL_OBJECT", "FULL_OBJECT"),
        ("CRC32C", "FULL_OBJECT", "FULL_OBJECT"),
        ("CRC64NVME", "FULL_OBJECT", "FULL_OBJECT"),
        ("SHA256", "COMPOSITE", "COMPOSITE"),
    ],
)
def test_an_upload_tells_its_checksum_type(
    s3: RawClient, path: str, algorithm: str, kind: str | None, expected: str
) -> None:
    settings = {"x-amz-checksum-algorithm": algorithm, **({"x-amz-checksum-type": kind} if kind else {})}
    response = s3.request("POST", path, "uploads", settings)
    assert response.status == 200
    assert checksums(response) == {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": expected}


@pytest.mark.requirement("CK-06")
@pytest.mark.parametrize(
    ("algorithm", "kind"), [("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")]
)
def test_a_type_that_the_algorithm_does_not_have_is_refused(
    s3: RawClient, path: str, algorithm: str, kind: str
) -> None:
    settings = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind}
    assert s3.request("POST", path, "uploads", settings).verdict == (400, "InvalidRequest")


@pytest.mark.requirement("CK-06")
def test_a_type_without_an_algorithm_is_refused(s3: RawClient, path: str) -> None:
    settings = {"x-amz-checksum-type": "COMPOSITE"}
    assert s3.request("POST", path, "uploads", settings).verdict == (400, "InvalidRequest")


@pytest.mark.requirement("CK-07", "CK-06", "CK-01")
@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_a_composite_checksum_is_that_of_the_parts_checksums(
    s3: RawClient, path: str, algorithm: str
) -> None:
    bodies = [filler("1", MIN_PART), b"tail"]
    upload = begin_with(s3, path, algorithm)
    response = upload.complete(put_parts(upload, algorithm, bodies))
    expected = composite(algorithm, bodies)
    assert (response.status, response.text(f"Checksum{algorithm}")) == (200, expected)
    assert response.text("ChecksumType") == "COMPOSITE"
    assert head(s3, path) == {header(algorithm): expected, "x-amz-checksum-type": "COMPOSITE"}


@pytest.mark.requirement("CK-07", "CK-06")
@pytest.mark.parametrize("algorithm", ["CRC32C", "CRC32", "SHA1", "SHA256"])
def test_a_composite_checksum_of_one_part_has_its_number_too(
    s3: RawClient, path: str, algorithm: str
) -> None:
    upload = begin_with(s3, path, algorithm)
    assert upload.complete(put_parts(upload, algorithm, [BODY])).verdict == (200, "")
    assert head(s3, path)[header(algorithm)] == composite(algorithm, [BODY])


@pytest.mark.requirement("CK-06", "CK-09")
def test_a_full_object_checksum_is_that_of_the_whole(s3: RawClient, path: str) -> None:
    bodies = [filler("1", MIN_PART), filler("2", MIN_PART + 3), b"tail"]
    upload = begin_with(s3, path, "CRC32", "FULL_OBJECT")
    value = crc32_b64(b"".join(bodies))
    sent = {"x-amz-checksum-crc32": value, "x-amz-checksum-type": "FULL_OBJECT"}
    response = upload.complete(put_parts(upload, "CRC32", bodies), sent)
    assert (response.status, response.text("ChecksumCRC32"), response.text("ChecksumType")) == (
        200,
        value,
        "FULL_OBJECT",
    )
    assert head(s3, path) == {"x-amz-checksum-crc32": value, "x-amz-checksum-type": "FULL_OBJECT"}


@pytest.mark.requirement("CK-06", "CK-05")
@pytest.mark.usefixtures("no_minimum")
@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_crcs_of_parts_combine_into_the_crc_of_the_whole(s3: RawClient, path: str, algorithm: str) -> None:
    bodies = [b"", b"a", filler("2", 5000), b"", filler("4", 77)]
    upload = begin_with(s3, path, algorithm, "FULL_OBJECT")
    parts = [(number, upload.put(number, body)) for number, body in enumerate(bodies, 1)]
    assert upload.complete(parts).verdict == (200, "")
    assert head(s3, path)[header(algorithm)] == VALUE_OF[algorithm](b"".join(bodies))


@pytest.mark.requirement("CK-08")
@pytest.mark.parametrize("sent", ["CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_a_part_checksum_of_another_algorithm_is_refused(s3: RawClient, path: str, sent: str) -> None:
    upload = begin_with(s3, path, "CRC32")
    assert upload.send_part(1, BODY, {header(sent): VALUE_OF[sent](BODY)}).verdict == (400, "InvalidRequest")
    assert upload.part_numbers() == []


@pytest.mark.requirement("CK-08")
@ALGORITHMS
def test_any_part_checksum_will_do_where_none_was_declared(s3: RawClient, path: str, algorithm: str) -> None:
    bucket, key = path.lstrip("/").split("/", 1)
    upload = begin(s3, bucket, key)
    response = upload.send_part(1, BODY, {header(algorithm): VALUE_OF[algorithm](BODY)})
    assert (response.status, response.headers[header(algorithm)]) == (200, VALUE_OF[algorithm](BODY))
    assert upload.complete([(1, response.headers["etag"])]).verdict == (200, "")
    assert s3.request("GET", path).body == BODY


@pytest.mark.requirement("CK-09")
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-checksum-crc32": crc32_b64(b"x"), "x-amz-checksum-type": "FULL_OBJECT"}, "BadDigest"),
        ({"x-amz-checksum-crc32": crc32_b64(BODY), "x-amz-checksum-type": "COMPOSITE"}, "InvalidRequest"),
        ({"x-amz-checksum-type": "COMPOSITE"}, "InvalidRequest"),
    ],
)
def test_a_completion_with_a_wrong_checksum_or_type_completes_nothing(
    s3: RawClient, path: str, headers: dict[str, str], code: str
) -> None:
    upload = begin_with(s3, path, "CRC32", "FULL_OBJECT")
    parts = put_parts(upload, "CRC32", [BODY])
    assert upload.complete(parts, headers).verdict == (400, code)
    assert s3.request("HEAD", path).status == 404
    assert upload.complete(parts).verdict == (200, "")


@pytest.mark.requirement("CK-09", "CPL-16")
@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
def test_a_completion_with_a_wrong_part_checksum_completes_nothing(
    s3: RawClient, path: str, kind: str
) -> None:
    upload = begin_with(s3, path, "CRC32", kind)
    [(number, etag, _)] = put_parts(upload, "CRC32", [BODY])
    wrong = f"<ChecksumCRC32>{crc32_b64(b'x')}</ChecksumCRC32>"
    assert upload.complete([(number, etag, wrong)]).verdict == (400, "InvalidPart")
    assert s3.request("HEAD", path).status == 404


@pytest.mark.requirement("CK-13")
def test_part_numbers_with_gaps_are_refused_with_part_checksums(s3: RawClient, path: str) -> None:
    upload = begin_with(s3, path, "CRC32")
    first = upload.put(1, filler("1", MIN_PART))
    third = upload.put(3, b"tail")
    assert upload.complete([(1, first), (3, third)]).verdict == (400, "InvalidPartOrder")
    assert s3.request("HEAD", path).status == 404


@pytest.mark.requirement("CK-13", "CK-07")
def test_a_composite_upload_may_be_completed_by_etags_alone(s3: RawClient, path: str) -> None:
    # AWS wants every part's checksum listed again; we have verified and kept them (200 is tolerated).
    bodies = [filler("1", MIN_PART), b"tail"]
    upload = begin_with(s3, path, "SHA256")
    parts = [(number, upload.put(number, body)) for number, body in enumerate(bodies, 1)]
    response = upload.complete(parts)
    assert (response.status, response.text("ChecksumSHA256")) == (200, composite("SHA256", bodies))


# --- copies and listings --------------------------------------------------------------------------------


@pytest.mark.requirement("CK-10")
@ALGORITHMS
def test_a_copy_keeps_the_algorithm_of_its_source(s3: RawClient, path: str, algorithm: str) -> None:
    value = VALUE_OF[algorithm](BODY)
    assert put(s3, path, BODY, {header(algorithm): value}).status == 200
    response = s3.request("PUT", f"{path}-2", headers={"x-amz-copy-source": path})
    observed = (response.status, response.text(f"Checksum{algorithm}"), response.text("ChecksumType"))
    assert observed == (200, value, "FULL_OBJECT")
    assert head(s3, f"{path}-2") == {header(algorithm): value, "x-amz-checksum-type": "FULL_OBJECT"}


@pytest.mark.requirement("CK-10")
@ALGORITHMS
def test_a_copy_may_name_another_algorithm(s3: RawClient, path: str, algorithm: str) -> None:
    assert put(s3, path, BODY).status == 200
    named = {"x-amz-copy-source": path, "x-amz-checksum-algorithm": algorithm}
    response = s3.request("PUT", f"{path}-2", headers=named)
    assert (response.status, response.text(f"Checksum{algorithm}")) == (200, VALUE_OF[algorithm](BODY))
    assert head(s3, f"{path}-2")[header(algorithm)] == VALUE_OF[algorithm](BODY)


@pytest.mark.requirement("CK-10")
def test_a_copy_of_an_object_of_parts_has_the_checksum_of_its_content(s3: RawClient, path: str) -> None:
    bodies = [filler("1", MIN_PART), b"tail"]
    upload = begin_with(s3, path, "SHA256")
    assert upload.complete(put_parts(upload, "SHA256", bodies)).status == 200
    response = s3.request("PUT", f"{path}-2", headers={"x-amz-copy-source": path})
    value = sha256_b64(b"".join(bodies))
    assert (response.text("ChecksumSHA256"), response.text("ETag")) == (
        value,
        f'"{md5_hex(b"".join(bodies))}"',
    )
    assert head(s3, f"{path}-2") == {"x-amz-checksum-sha256": value, "x-amz-checksum-type": "FULL_OBJECT"}


@pytest.mark.requirement("CK-11")
@pytest.mark.parametrize("query", ["list-type=2", ""])
def test_listings_show_algorithm_and_type(s3: RawClient, bucket: str, path: str, query: str) -> None:
    assert put(s3, path, BODY, {"x-amz-checksum-sha1": sha1_b64(BODY)}).status == 200
    upload = begin_with(s3, f"{path}-2", "CRC32")
    assert upload.complete(put_parts(upload, "CRC32", [BODY])).status == 200
    response = s3.request("GET", f"/{bucket}", query)
    assert response.texts("Contents/ChecksumAlgorithm") == ["SHA1", "CRC32"]
    assert response.texts("Contents/ChecksumType") == ["FULL_OBJECT", "COMPOSITE"]


@pytest.mark.requirement("CK-11")
def test_listings_of_uploads_and_parts_show_checksums(s3: RawClient, bucket: str, path: str) -> None:
    upload = begin_with(s3, path, "SHA256")
    upload.put(1, BODY, {"x-amz-checksum-sha256": sha256_b64(BODY)})
    upload.put(2, b"two")
    parts, uploads = upload.list_parts(), s3.request("GET", f"/{bucket}", "uploads")
    assert (parts.text("ChecksumAlgorithm"), parts.text("ChecksumType")) == ("SHA256", "COMPOSITE")
    assert parts.texts("Part/ChecksumSHA256") == [sha256_b64(BODY), sha256_b64(b"two")]
    assert (uploads.text("Upload/ChecksumAlgorithm"), uploads.text("Upload/ChecksumType")) == (
        "SHA256",
        "COMPOSITE",
    )


@pytest.mark.requirement("CK-12")
@pytest.mark.usefixtures("no_minimum")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_part_of_a_composite_object_has_its_own_checksum(s3: RawClient, path: str, method: str) -> None:
    upload = begin_with(s3, path, "CRC32")
    assert upload.complete(put_parts(upload, "CRC32", [b"one", b"two!"])).status == 200
    response = s3.request(method, path, "partNumber=2", ENABLED)
    assert (response.status, response.headers.get("x-amz-checksum-crc32")) == (206, crc32_b64(b"two!"))


@pytest.mark.requirement("CK-12")
@pytest.mark.usefixtures("no_minimum")
def test_a_part_of_a_full_object_upload_has_no_checksum(s3: RawClient, path: str) -> None:
    upload = begin_with(s3, path, "CRC32", "FULL_OBJECT")
    assert upload.complete(put_parts(upload, "CRC32", [b"one", b"two!"])).status == 200
    response = s3.request("GET", path, "partNumber=2", ENABLED)
    assert (response.status, checksums(response)) == (206, {})


@pytest.mark.requirement("CK-02")
@pytest.mark.parametrize(("algorithm", "known"), PUBLISHED.items())
def test_this_files_own_checksums_are_right(algorithm: str, known: str) -> None:
    assert base64.b64decode(VALUE_OF[algorithm](BODY)).hex() == known
    assert base64.b64decode(crc32_b64(BODY)) == zlib.crc32(BODY).to_bytes(4, "big")
