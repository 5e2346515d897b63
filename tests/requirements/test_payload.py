"""Payload hash, Content-MD5, checksums and aws-chunked: PAY."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import awscrt.checksums
import pytest

from tests.rawclient import (
    UNSIGNED,
    RawClient,
    Response,
    crc32_b64,
    md5_b64,
    md5_hex,
    render,
    sha256_b64,
)

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
MODES = [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER]
CHUNKS = [b"a" * 8192, b"b" * 8192, b"the end"]
BODY = b"".join(CHUNKS)
TRAILER = ("x-amz-checksum-crc32", crc32_b64(BODY))
HELLO = b"hello"


def b64(value: int, size: int) -> str:
    """Return a number as a checksum header has it."""
    return base64.b64encode(value.to_bytes(size, "big")).decode()


CHECKSUMS = {
    "crc32": crc32_b64,
    "crc32c": lambda data: b64(awscrt.checksums.crc32c(data), 4),
    "crc64nvme": lambda data: b64(awscrt.checksums.crc64nvme(data), 8),
    "sha1": lambda data: base64.b64encode(hashlib.sha1(data).digest()).decode(),
    "sha256": sha256_b64,
}


def trailer_of(mode: str, data: bytes = BODY) -> tuple[str, str] | None:
    """Return the trailer that a mode needs."""
    return ("x-amz-checksum-crc32", crc32_b64(data)) if mode.endswith("TRAILER") else None


def put(s3: RawClient, path: str, mode: str, bend: Callable[[bytes], bytes] | None = None) -> Response:
    """PUT the chunks in a streaming mode."""
    return s3.put_streaming(path, CHUNKS, mode=mode, trailer=trailer_of(mode), bend=bend)


def is_missing(s3: RawClient, path: str) -> bool:
    """Whether there is no object."""
    return s3.request("GET", path).verdict == (404, "NoSuchKey")


def put_raw(
    s3: RawClient, path: str, wire: bytes, headers: dict[str, str], mode: str = UNSIGNED_TRAILER
) -> Response:
    """PUT a body that is already framed; the payload token is `mode`."""
    lines = s3.sign("PUT", path, "", {"host": s3.host, **headers}, b"", mode)
    lines["content-length"] = str(len(wire))
    return s3.send(render("PUT", path, lines) + wire, "PUT")


@pytest.mark.requirement("PAY-01", "ERR-08")
def test_the_payload_hash_is_required(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    lines = {"host": s3.host, "x-amz-date": s3.amz_date()}
    names = sorted(lines)
    scope = f"{lines['x-amz-date'][:8]}/{s3.region}/s3/aws4_request"
    digest = hashlib.sha256(HELLO).hexdigest()
    signature = s3.signature("PUT", path, "", lines, names, digest, lines["x-amz-date"], scope)
    lines["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={s3.access_key_id}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )
    lines["content-length"] = "5"
    assert s3.send(render("PUT", path, lines) + HELLO, "PUT").verdict == (400, "InvalidRequest")
    assert is_missing(s3, path)


@pytest.mark.requirement("PAY-02")
@pytest.mark.parametrize("write", [str.lower, str.upper])
def test_the_hash_is_verified_in_either_case(s3: RawClient, bucket: str, write: Callable[[str], str]) -> None:
    path = f"/{bucket}/k"
    right = write(hashlib.sha256(HELLO).hexdigest())
    wrong = write(hashlib.sha256(b"other").hexdigest())
    assert s3.request("PUT", path, body=HELLO, payload_hash=wrong).verdict == (
        400,
        "XAmzContentSHA256Mismatch",
    )
    assert is_missing(s3, path)
    assert s3.request("PUT", path, body=HELLO, payload_hash=right).status == 200


@pytest.mark.requirement("PAY-02", "ERR-08")
def test_the_hash_of_a_large_body_and_of_a_document_is_verified(s3: RawClient, bucket: str) -> None:
    wrong = hashlib.sha256(b"other").hexdigest()
    large = b"x" * 1_500_000
    document = b"<Delete><Object><Key>k</Key></Object></Delete>"
    s3.request("PUT", f"/{bucket}/k", body=HELLO)
    refused = (400, "XAmzContentSHA256Mismatch")
    assert s3.request("PUT", f"/{bucket}/k", body=large, payload_hash=wrong).verdict == refused
    headers = {"content-md5": md5_b64(document)}
    delete = s3.request("POST", f"/{bucket}", [("delete", "")], headers, document, payload_hash=wrong)
    assert delete.verdict == refused
    assert s3.request("GET", f"/{bucket}/k").body == HELLO


@pytest.mark.requirement("PAY-03")
def test_an_unsigned_payload_is_accepted(s3: RawClient, bucket: str) -> None:
    assert s3.request("PUT", f"/{bucket}/k", body=HELLO, payload_hash=UNSIGNED).status == 200
    assert s3.request("GET", f"/{bucket}/k", payload_hash=UNSIGNED).body == HELLO


@pytest.mark.requirement("PAY-04")
@pytest.mark.parametrize(
    "token",
    [
        "unsigned-payload",
        "UNSIGNED-PAYLOAD ,",
        "STREAMING-UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
        "streaming-aws4-hmac-sha256-payload",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-",
        "g" * 64,
        "0" * 63,
        "0" * 65,
        "x",
    ],
)
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_any_other_payload_token_is_refused(s3: RawClient, bucket: str, method: str, token: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"before")
    response = s3.request(method, f"/{bucket}/k", payload_hash=token)
    assert response.verdict == (400, "InvalidArgument")
    assert s3.request("GET", f"/{bucket}/k").body == b"before"


@pytest.mark.requirement("PAY-05", "PAY-06", "PAY-07", "PAY-09", "HTTP-07")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [0, 1, 8192, 200_001, 1_500_000])
def test_what_is_stored_is_the_decoded_payload(s3: RawClient, bucket: str, mode: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    chunks = [body[at : at + 65536] for at in range(0, size, 65536)]
    path = f"/{bucket}/k"
    response = s3.put_streaming(path, chunks, mode=mode, trailer=trailer_of(mode, body))
    assert (response.status, response.headers.get("etag")) == (200, f'"{md5_hex(body)}"')
    got = s3.request("GET", path, headers={"x-amz-checksum-mode": "ENABLED"})
    assert (got.body == body, got.headers["content-length"]) == (True, str(size))
    assert "content-encoding" not in got.headers
    listed = s3.request("GET", f"/{bucket}", [("list-type", "2")])
    assert (listed.text("Contents/Size"), listed.text("Contents/ETag")) == (str(size), f'"{md5_hex(body)}"')


def stream(
    s3: RawClient,
    method: str,
    path: str,
    query: str,
    body: bytes,
    mode: str,
    trailer_value: str | None = None,
) -> Response:
    """Send a body to any operation in a streaming mode."""
    name, right = "x-amz-checksum-crc32", crc32_b64(body)
    trailer = (name, trailer_value or right) if mode.endswith("TRAILER") else None
    headers = {"x-amz-decoded-content-length": str(len(body)), **({"x-amz-trailer": name} if trailer else {})}
    lines = s3.sign(method, path, query, {"host": s3.host, **headers}, b"", mode)
    wire = s3.chunked([body], lines, mode=mode, trailer=trailer)
    lines["content-length"] = str(len(wire))
    return s3.send(render(method, f"{path}?{query}", lines) + wire, method)


@pytest.mark.requirement("PAY-05", "PAY-06", "PAY-07", "PAY-09", "DELS-05")
@pytest.mark.parametrize("mode", MODES)
def test_every_operation_with_a_body_takes_streams(s3: RawClient, bucket: str, mode: str) -> None:
    path = f"/{bucket}/k"
    upload_id = s3.request("POST", path, [("uploads", "")]).text("UploadId") or ""
    part = stream(s3, "PUT", path, f"partNumber=1&uploadId={upload_id}", BODY, mode)
    completion = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
        "</CompleteMultipartUpload>"
    ).encode()
    assert stream(s3, "POST", path, f"uploadId={upload_id}", completion, mode).status == 200
    assert s3.request("GET", path).body == BODY
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    assert stream(s3, "PUT", path, "tagging=", tags, mode).status == 200
    assert s3.request("HEAD", path).headers["x-amz-tagging-count"] == "1"
    document = b"<Delete><Object><Key>k</Key></Object></Delete>"
    deleted = stream(s3, "POST", f"/{bucket}", "delete=", document, mode)
    assert deleted.verdict == ((200, "") if mode.endswith("TRAILER") else (400, "InvalidRequest"))
    assert s3.request("HEAD", path).status == (404 if mode.endswith("TRAILER") else 200)


@pytest.mark.requirement("PAY-12", "DELS-06", "ERR-08")
@pytest.mark.parametrize("mode", [SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_a_document_with_a_wrong_trailer_is_not_obeyed(s3: RawClient, bucket: str, mode: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=HELLO)
    document = b"<Delete><Object><Key>k</Key></Object></Delete>"
    wrong = crc32_b64(b"other")
    assert stream(s3, "POST", f"/{bucket}", "delete=", document, mode, wrong).verdict == (400, "BadDigest")
    assert s3.request("GET", f"/{bucket}/k").body == HELLO


@pytest.mark.requirement("PAY-09", "PAY-12")
@pytest.mark.parametrize("mode", [SIGNED_TRAILER, UNSIGNED_TRAILER])
@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_a_checksum_in_the_trailer_is_verified(s3: RawClient, bucket: str, mode: str, algorithm: str) -> None:
    path = f"/{bucket}/k"
    name, right = f"x-amz-checksum-{algorithm}", CHECKSUMS[algorithm](BODY)
    wrong = CHECKSUMS[algorithm](b"other")
    refused = s3.put_streaming(path, CHUNKS, mode=mode, trailer=(name, wrong))
    broken = s3.put_streaming(path, CHUNKS, mode=mode, trailer=(name, "x"))
    assert (refused.verdict, broken.verdict) == ((400, "BadDigest"), (400, "InvalidRequest"))
    assert is_missing(s3, path)
    accepted = s3.put_streaming(path, CHUNKS, mode=mode, trailer=(name, right))
    assert accepted.status == 200
    got = s3.request("GET", path, headers={"x-amz-checksum-mode": "ENABLED"})
    assert (got.body, got.headers[name]) == (BODY, right)


@pytest.mark.requirement("PAY-12", "ERR-08")
@pytest.mark.parametrize("algorithm", CHECKSUMS)
@pytest.mark.parametrize("body", [HELLO, b"", b"x" * 1_200_000], ids=["small", "empty", "large"])
def test_a_checksum_in_a_header_is_verified(s3: RawClient, bucket: str, algorithm: str, body: bytes) -> None:
    path = f"/{bucket}/k"
    name = f"x-amz-checksum-{algorithm}"
    wrong = {name: CHECKSUMS[algorithm](b"other")}
    assert s3.request("PUT", path, headers=wrong, body=body).verdict == (400, "BadDigest")
    assert is_missing(s3, path)
    assert s3.request("PUT", path, headers={name: CHECKSUMS[algorithm](body)}, body=body).status == 200


@pytest.mark.requirement("PAY-12", "ERR-08")
@pytest.mark.parametrize("algorithm", CHECKSUMS)
@pytest.mark.parametrize(
    "value",
    ["", "x", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", "!!!!!!==", "AAA AAA=="],
)
def test_a_checksum_that_is_none_is_refused(s3: RawClient, bucket: str, algorithm: str, value: str) -> None:
    path = f"/{bucket}/k"
    headers = {f"x-amz-checksum-{algorithm}": value}
    assert s3.request("PUT", path, headers=headers, body=HELLO).verdict == (400, "InvalidRequest")
    assert is_missing(s3, path)


@pytest.mark.requirement("PAY-06", "ERR-08")
@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER])
@pytest.mark.parametrize(
    "bend",
    [
        lambda wire: wire.replace(b"aaaa", b"aaab", 1),
        lambda wire: wire.replace(b"bbbb", b"bbba", 1),
        lambda wire: wire.replace(b"the end", b"the End"),
        lambda wire: wire.replace(b"chunk-signature=", b"chunk-signature=0", 1),
        lambda wire: wire.replace(wire[22:86], b"0" * 64, 1),
        lambda wire: wire.replace(b";chunk-signature=", b";chunk-signaturx="),
        lambda wire: wire.replace(wire[4:86], b"", 1),
    ],
)
def test_every_chunk_is_verified(
    s3: RawClient, bucket: str, mode: str, bend: Callable[[bytes], bytes]
) -> None:
    assert put(s3, f"/{bucket}/k", mode, bend).verdict[0] in (400, 403)
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-06", "PAY-07", "ERR-08")
@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER])
@pytest.mark.parametrize("at", [b"aaaa", b"bbbb", b"the end"])
def test_a_changed_chunk_does_not_match_its_signature(
    s3: RawClient, bucket: str, mode: str, at: bytes
) -> None:
    response = put(s3, f"/{bucket}/k", mode, lambda wire: wire.replace(at, at[:-1] + b"!", 1))
    assert response.verdict == (403, "SignatureDoesNotMatch")
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-07", "ERR-08")
@pytest.mark.parametrize(
    "bend",
    [
        lambda wire: wire[:-4] + b"00\r\n\r\n"[2:] if wire[-5:-4] != b"0" else wire[:-5] + b"1\r\n\r\n",
        lambda wire: wire.replace(TRAILER[1].encode(), crc32_b64(b"other").encode()),
    ],
)
def test_the_trailer_is_signed(s3: RawClient, bucket: str, bend: Callable[[bytes], bytes]) -> None:
    def break_last(wire: bytes) -> bytes:
        bent = bend(wire)
        return bent if bent != wire else wire[:-5] + (b"0" if wire[-5:-4] != b"0" else b"1") + b"\r\n\r\n"

    response = put(s3, f"/{bucket}/k", SIGNED_TRAILER, break_last)
    assert response.verdict == (403, "SignatureDoesNotMatch")
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-07", "ERR-08")
def test_a_trailer_without_its_signature_is_refused(s3: RawClient, bucket: str) -> None:
    def drop(wire: bytes) -> bytes:
        return wire[: wire.index(b"x-amz-trailer-signature")] + b"\r\n"

    response = put(s3, f"/{bucket}/k", SIGNED_TRAILER, drop)
    assert response.status in (400, 403)
    assert response.code in ("MalformedTrailerError", "SignatureDoesNotMatch", "IncompleteBody")
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-08")
@pytest.mark.parametrize("mode", MODES)
def test_streaming_needs_the_decoded_length(s3: RawClient, bucket: str, mode: str) -> None:
    trailer = trailer_of(mode)
    headers = {"content-encoding": "aws-chunked", **({"x-amz-trailer": trailer[0]} if trailer else {})}
    lines = s3.sign("PUT", f"/{bucket}/k", "", {"host": s3.host, **headers}, b"", mode)
    wire = s3.chunked(CHUNKS, lines, mode=mode, trailer=trailer)
    lines["content-length"] = str(len(wire))
    response = s3.send(render("PUT", f"/{bucket}/k", lines) + wire, "PUT")
    assert response.verdict == (411, "MissingContentLength")
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-08", "ERR-08")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", [-1, 1, 1000])
def test_a_decoded_length_that_is_not_true_is_refused(
    s3: RawClient, bucket: str, mode: str, step: int
) -> None:
    headers = {"x-amz-decoded-content-length": str(len(BODY) + step)}
    path = f"/{bucket}/k"
    response = s3.put_streaming(path, CHUNKS, mode=mode, trailer=trailer_of(mode), headers=headers)
    assert response.verdict == (400, "IncompleteBody")
    assert is_missing(s3, path)


@pytest.mark.requirement("PAY-08")
@pytest.mark.parametrize("length", ["", "-1", "x", "1.5", "9" * 30, "+5"])
def test_a_decoded_length_that_is_no_length_is_refused(s3: RawClient, bucket: str, length: str) -> None:
    headers = {"x-amz-decoded-content-length": length}
    response = s3.put_streaming(
        f"/{bucket}/k", CHUNKS, mode=UNSIGNED_TRAILER, trailer=TRAILER, headers=headers
    )
    assert 400 <= response.status < 500
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-08", "ERR-08")
@pytest.mark.known_mistake(5)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "bend",
    [
        lambda wire: wire[: wire.rindex(b"the end\r\n") + 9],
        lambda wire: wire.replace(b"the end\r\n", b"the end"),
        lambda wire: wire.replace(b"the end\r\n", b"the end\n"),
        lambda wire: wire.replace(b"\r\nb", b"\nb"),
        lambda wire: b"",
        lambda wire: wire[:100],
        lambda wire: wire[:9000],
        lambda wire: b"7fffffff" + wire[4:],
        lambda wire: b"ffffffffffffffffff" + wire[4:],
        lambda wire: b"-1" + wire[4:],
        lambda wire: b"0x2000" + wire[4:],
        lambda wire: b" 2000" + wire[4:],
        lambda wire: b"20_00" + wire[4:],
        lambda wire: b"2000;" + b"x" * 20000 + wire[4:],
        lambda wire: b"x" * 20000,
        lambda wire: b"\r\n" + wire,
    ],
)
def test_a_broken_framing_is_refused(
    s3: RawClient, bucket: str, mode: str, bend: Callable[[bytes], bytes]
) -> None:
    """CVE-2021-21390 (MinIO): a huge false chunk size skipped the chunk's signature."""
    response = put(s3, f"/{bucket}/k", mode, bend)
    assert response.status in (400, 403)
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-08", "ERR-08")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "bend",
    [
        lambda wire: wire[: wire.rindex(b"the end\r\n") + 9],
        lambda wire: wire[: wire.rindex(b"the end\r\n") + 7],
        lambda wire: wire[:100],
        lambda wire: b"",
    ],
)
def test_a_stream_that_ends_early_is_an_incomplete_body(
    s3: RawClient, bucket: str, mode: str, bend: Callable[[bytes], bytes]
) -> None:
    assert put(s3, f"/{bucket}/k", mode, bend).verdict == (400, "IncompleteBody")
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-08", "HTTP-10")
@pytest.mark.known_mistake(6)
@pytest.mark.parametrize("mode", MODES)
def test_a_stream_cut_at_any_byte_ends_in_a_refusal(s3: RawClient, bucket: str, mode: str) -> None:
    """CVE-2026-49017 (Swift): a truncated aws-chunked body made the server loop without end."""
    chunks, path = [b"hello", b"you"], f"/{bucket}/k"

    def cut(at: int) -> tuple[int, str]:
        trailer = trailer_of(mode, b"helloyou")
        return s3.put_streaming(path, chunks, mode=mode, trailer=trailer, bend=lambda wire: wire[:at]).verdict

    sizes: list[int] = []
    s3.put_streaming(
        path,
        chunks,
        mode=mode,
        trailer=trailer_of(mode, b"helloyou"),
        bend=lambda wire: sizes.append(len(wire)) or wire,
    )
    s3.request("DELETE", path)
    # What is left of the last CRLF says nothing that is not known already.
    accepted = [at for at in range(sizes[0] - 2) if cut(at)[0] not in (400, 403)]
    assert (accepted, is_missing(s3, path)) == ([], True)


@pytest.mark.known_mistake(7)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"x",
        BODY,
        b"\r\n" * 100,
        b"\0" * 1000,
        b"5\r\nhello",
        b"5;;;\r\n",
        b"0\r\n\r\n",
        b"fffffffffffffffffffffffff\r\n",
    ],
)
def test_raw_data_in_a_streaming_mode_is_refused(s3: RawClient, bucket: str, mode: str, wire: bytes) -> None:
    """GHSA-v2ch-c8v8-fgr7 (VersityGW): data without aws-chunked framing ended the server."""
    response = put(s3, f"/{bucket}/k", mode, lambda _: wire)
    assert response.status in (400, 403)
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-10")
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("aws-chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip,aws-chunked", "gzip"),
        ("gzip, aws-chunked", "gzip"),
        ("gzip,aws-chunked,br", "gzip,br"),
        ("AWS-Chunked,gzip", "gzip"),
        ("gzip", "gzip"),
    ],
)
def test_the_framing_is_no_content_encoding(
    s3: RawClient, bucket: str, sent: str, stored: str | None
) -> None:
    headers = {"content-encoding": sent}
    path = f"/{bucket}/k"
    s3.put_streaming(path, CHUNKS, mode=UNSIGNED_TRAILER, trailer=TRAILER, headers=headers)
    encoding = s3.request("GET", path).headers.get("content-encoding")
    assert (encoding and encoding.replace(" ", "")) == stored


@pytest.mark.requirement("PAY-11", "ERR-08")
@pytest.mark.parametrize("mode", [SIGNED_TRAILER, UNSIGNED_TRAILER])
@pytest.mark.parametrize(
    "announced",
    ["x-amz-checksum-sha256", "x-amz-checksum-crc32x", "x-amz-checksum-crc32,x-amz-checksum-sha1", ""],
)
def test_the_trailer_must_be_the_announced_one(s3: RawClient, bucket: str, mode: str, announced: str) -> None:
    headers = {"x-amz-trailer": announced}
    path = f"/{bucket}/k"
    response = s3.put_streaming(path, CHUNKS, mode=mode, trailer=TRAILER, headers=headers)
    assert response.status == 400
    assert response.code in ("MalformedTrailerError", "InvalidRequest")
    assert is_missing(s3, path)


@pytest.mark.requirement("PAY-11", "ERR-08")
@pytest.mark.parametrize("mode", [SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_an_announced_trailer_must_come(s3: RawClient, bucket: str, mode: str) -> None:
    headers = {"x-amz-trailer": "x-amz-checksum-crc32"}
    response = s3.put_streaming(f"/{bucket}/k", CHUNKS, mode=mode, headers=headers)
    assert response.verdict == (400, "MalformedTrailerError")
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-11", "ERR-08")
def test_a_misspelt_or_unannounced_trailer_is_refused(s3: RawClient, bucket: str) -> None:
    wire = b"5\r\nhello\r\n0\r\n%b\r\n\r\n"
    line = f"x-amz-checksum-crc32:{crc32_b64(HELLO)}".encode()
    length = {"x-amz-decoded-content-length": "5"}
    announced = {**length, "x-amz-trailer": "x-amz-checksum-crc32"}
    path, refused = f"/{bucket}/k", (400, "MalformedTrailerError")
    assert put_raw(s3, path, wire % line.replace(b"crc32:", b"crc23:"), announced).verdict == refused
    assert put_raw(s3, path, wire % line.replace(b":", b" "), announced).verdict == refused
    assert put_raw(s3, path, wire % line, length).verdict == refused
    assert is_missing(s3, path)
    assert put_raw(s3, path, wire % line, announced).status == 200


@pytest.mark.requirement("PAY-05")
def test_a_trailer_mode_needs_no_trailer(s3: RawClient, bucket: str) -> None:
    response = put_raw(s3, f"/{bucket}/k", b"5\r\nhello\r\n0\r\n\r\n", {"x-amz-decoded-content-length": "5"})
    assert (response.status, s3.request("GET", f"/{bucket}/k").body) == (200, HELLO)


@pytest.mark.requirement("PAY-13", "ERR-08")
@pytest.mark.parametrize(
    "algorithm", ["md5", "sha512", "xxhash64", "xxhash3", "xxhash128", "crc16", "unknown"]
)
def test_an_algorithm_that_is_not_computed_is_refused(s3: RawClient, bucket: str, algorithm: str) -> None:
    path = f"/{bucket}/k"
    name = f"x-amz-checksum-{algorithm}"
    header = s3.request("PUT", path, headers={name: "AAAA"}, body=HELLO)
    trailer = s3.put_streaming(path, CHUNKS, mode=UNSIGNED_TRAILER, trailer=(name, "AAAA"))
    assert header.verdict in ((400, "InvalidRequest"), (501, "NotImplemented"))
    assert trailer.verdict in (
        (400, "InvalidRequest"),
        (501, "NotImplemented"),
        (400, "MalformedTrailerError"),
    )
    assert is_missing(s3, path)


@pytest.mark.requirement("PAY-13", "HTTP-16")
@pytest.mark.parametrize("algorithm", [*CHECKSUMS, "md5", "xxhash3", "unknown"])
@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("HEAD", 200), ("DELETE", 204)])
def test_a_checksum_without_a_body_is_ignored(
    s3: RawClient, bucket: str, method: str, status: int, algorithm: str
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=HELLO)
    headers = {f"x-amz-checksum-{algorithm}": "AAAAAA=="}
    assert s3.request(method, f"/{bucket}/k", headers=headers).status == status


@pytest.mark.requirement("PAY-14", "ERR-08")
@pytest.mark.parametrize("body", [HELLO, b"", b"x" * 1_200_000], ids=["small", "empty", "large"])
def test_content_md5_is_verified(s3: RawClient, bucket: str, body: bytes) -> None:
    path = f"/{bucket}/k"
    wrong = {"content-md5": md5_b64(b"other")}
    assert s3.request("PUT", path, headers=wrong, body=body).verdict == (400, "BadDigest")
    assert is_missing(s3, path)
    assert s3.request("PUT", path, headers={"content-md5": md5_b64(body)}, body=body).status == 200


@pytest.mark.requirement("PAY-14", "ERR-08")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "AAAA",
        "rL0Y20zC+Fzt72VPzMSk2A",
        "rL0Y20zC+Fzt72VPzMSk2A=!",
        "rL0Y20zC-Fzt72VPzMSk2A==",
        md5_hex(HELLO),
    ],
)
def test_content_md5_that_is_no_md5_is_refused(s3: RawClient, bucket: str, value: str) -> None:
    response = s3.request("PUT", f"/{bucket}/k", headers={"content-md5": value}, body=HELLO)
    assert response.verdict == (400, "InvalidDigest")
    assert is_missing(s3, f"/{bucket}/k")


@pytest.mark.requirement("PAY-15", "ERR-08")
@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "MD5", "none"])
def test_an_announced_algorithm_must_be_sent(s3: RawClient, bucket: str, algorithm: str) -> None:
    path = f"/{bucket}/k"
    alone = s3.request("PUT", path, headers={"x-amz-sdk-checksum-algorithm": algorithm}, body=HELLO)
    other = {"x-amz-sdk-checksum-algorithm": algorithm, "x-amz-checksum-crc32c": CHECKSUMS["crc32c"](HELLO)}
    assert alone.verdict == (400, "InvalidRequest")
    assert s3.request("PUT", path, headers=other, body=HELLO).verdict == (400, "InvalidRequest")
    assert is_missing(s3, path)


@pytest.mark.requirement("PAY-15")
@pytest.mark.parametrize("name", ["CRC32", "crc32"])
def test_an_announced_algorithm_that_is_sent_is_accepted(s3: RawClient, bucket: str, name: str) -> None:
    path = f"/{bucket}/k"
    headers = {"x-amz-sdk-checksum-algorithm": name}
    header = s3.request(
        "PUT", path, headers={**headers, "x-amz-checksum-crc32": crc32_b64(HELLO)}, body=HELLO
    )
    trailer = s3.put_streaming(path, CHUNKS, mode=UNSIGNED_TRAILER, trailer=TRAILER, headers=headers)
    assert (header.status, trailer.status) == (200, 200)


@pytest.mark.requirement("PAY-15")
def test_an_algorithm_in_a_presigned_query_and_on_put_object_has_no_effect(
    s3: RawClient, bucket: str
) -> None:
    path = f"/{bucket}/k"
    url = s3.presign("PUT", path, [("x-amz-sdk-checksum-algorithm", "CRC32")])
    assert s3.open_url("PUT", url, body=HELLO).status == 200
    assert s3.request("PUT", path, headers={"x-amz-checksum-algorithm": "SHA256"}, body=HELLO).status == 200


@pytest.mark.requirement("PAY-16", "ERR-08")
def test_a_small_signed_chunk_before_the_last_is_refused(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    response = s3.put_streaming(path, [b"a" * 100, b"b" * 8192, b"c"], mode=SIGNED)
    assert response.verdict == (403, "InvalidChunkSizeError")
    assert is_missing(s3, path)


@pytest.mark.requirement("PAY-17")
@pytest.mark.parametrize("mode", MODES)
def test_the_payload_token_alone_decides_about_the_framing(s3: RawClient, bucket: str, mode: str) -> None:
    path = f"/{bucket}/k"
    headers = {"content-encoding": "gzip"}
    s3.put_streaming(path, CHUNKS, mode=mode, trailer=trailer_of(mode), headers=headers)
    assert s3.request("GET", path).body == BODY


@pytest.mark.requirement("PAY-17", "PAY-10")
@pytest.mark.parametrize("token", [UNSIGNED, None])
def test_aws_chunked_without_a_streaming_token_frames_nothing(
    s3: RawClient, bucket: str, token: str | None
) -> None:
    body = b"5\r\nhello\r\n0\r\n\r\n"
    headers = {"content-encoding": "aws-chunked"}
    assert s3.request("PUT", f"/{bucket}/k", headers=headers, body=body, payload_hash=token).status == 200
    got = s3.request("GET", f"/{bucket}/k")
    assert (got.body, got.headers.get("content-encoding")) == (body, None)


@pytest.mark.requirement("PAY-18")
@pytest.mark.parametrize(
    "tail",
    [
        b"0\r\nx-amz-checksum-crc32:{}\r\n\r\n",
        b"0\r\nx-amz-checksum-crc32:{}\n\r\n",
        b"0\r\nx-amz-checksum-crc32: {}\r\n\r\n",
        b"0\r\nx-amz-checksum-crc32:\t {} \r\n\r\n",
        b"0\r\nX-Amz-Checksum-CRC32:{}\r\n\r\n",
        b"0\r\n\r\nx-amz-checksum-crc32:{}\r\n\r\n",
    ],
)
def test_the_trailer_may_be_written_in_these_ways(s3: RawClient, bucket: str, tail: bytes) -> None:
    path = f"/{bucket}/k"
    headers = {"x-amz-decoded-content-length": "5", "x-amz-trailer": "x-amz-checksum-crc32"}
    right = tail.replace(b"{}", crc32_b64(HELLO).encode())
    wrong = tail.replace(b"{}", crc32_b64(b"other").encode())
    assert put_raw(s3, path, b"5\r\nhello\r\n" + wrong, headers).verdict == (400, "BadDigest")
    assert is_missing(s3, path)
    assert put_raw(s3, path, b"5\r\nhello\r\n" + right, headers).status == 200


@pytest.mark.requirement("PAY-19", "ERR-08")
def test_two_checksums_are_refused(s3: RawClient, bucket: str) -> None:
    path, refused = f"/{bucket}/k", (400, "InvalidRequest")
    two = {"x-amz-checksum-crc32": crc32_b64(HELLO), "x-amz-checksum-sha256": sha256_b64(HELLO)}
    header = {"x-amz-checksum-sha256": sha256_b64(BODY)}
    same = {"x-amz-checksum-crc32": crc32_b64(BODY)}
    both = [
        s3.put_streaming(path, CHUNKS, mode=UNSIGNED_TRAILER, trailer=TRAILER, headers=more).verdict
        for more in (header, same)
    ]
    assert s3.request("PUT", path, headers=two, body=HELLO).verdict == refused
    assert both == [refused, refused]
    assert is_missing(s3, path)


@pytest.mark.known_mistake(1)
@pytest.mark.parametrize("mode", [*MODES, UNSIGNED])
def test_a_streaming_upload_with_a_wrong_signature_is_refused(s3: RawClient, bucket: str, mode: str) -> None:
    """CVE-2025-31489 (MinIO): the signature of STREAMING-UNSIGNED-PAYLOAD-TRAILER was not checked."""
    path = f"/{bucket}/k"
    trailer = trailer_of(mode)
    headers = {
        "x-amz-decoded-content-length": str(len(BODY)),
        **({"x-amz-trailer": trailer[0]} if trailer else {}),
    }
    lines = s3.sign("PUT", path, "", {"host": s3.host, **headers}, b"", mode)
    lines["authorization"] = lines["authorization"][:-64] + "0" * 64
    wire = s3.chunked(CHUNKS, lines, mode=mode, trailer=trailer)
    lines["content-length"] = str(len(wire))
    response = s3.send(render("PUT", path, lines) + wire, "PUT")
    assert response.verdict == (403, "SignatureDoesNotMatch")
    assert is_missing(s3, path)


@pytest.mark.known_mistake(2)
@pytest.mark.parametrize("mode", [*MODES, UNSIGNED])
@pytest.mark.parametrize("place", ["header", "query"])
def test_a_streaming_upload_with_credentials_in_the_query_is_verified(
    s3: RawClient, bucket: str, mode: str, place: str
) -> None:
    """CVE-2026-41145 (MinIO fork): with the credentials in the query nobody checked the signature."""
    path = f"/{bucket}/k"
    trailer = trailer_of(mode)
    token = {"x-amz-content-sha256": mode} if place == "header" else {}
    query = [("X-Amz-Content-Sha256", mode)] if place == "query" else []
    length = {
        "x-amz-decoded-content-length": str(len(BODY)),
        **({"x-amz-trailer": trailer[0]} if trailer else {}),
    }
    url = s3.presign("PUT", path, query, headers={**token, **length})
    forged = url[:-64] + "0" * 64
    lines = {"x-amz-date": s3.amz_date(), "authorization": f"Signature={'0' * 64}"}
    wire = s3.chunked(CHUNKS, lines, mode=mode, trailer=trailer)
    response = s3.open_url("PUT", forged, {**token, **length}, wire)
    assert response.verdict == (403, "SignatureDoesNotMatch")
    assert is_missing(s3, path)


@pytest.mark.requirement("PAY-06", "PAY-07", "PRE-02")
@pytest.mark.parametrize("mode", MODES)
def test_a_presigned_url_may_carry_a_stream(s3: RawClient, bucket: str, mode: str) -> None:
    path = f"/{bucket}/k"
    trailer = trailer_of(mode)
    headers = {
        "x-amz-content-sha256": mode,
        "x-amz-decoded-content-length": str(len(BODY)),
        **({"x-amz-trailer": trailer[0]} if trailer else {}),
    }
    url = s3.presign("PUT", path, headers=headers)
    date = url.partition("X-Amz-Date=")[2][:16]
    seed = {"x-amz-date": date, "authorization": f"Signature={url[-64:]}"}
    wire = s3.chunked(CHUNKS, seed, mode=mode, trailer=trailer)
    refused = s3.open_url("PUT", url, headers, wire.replace(b"the end", b"the End"))
    assert refused.status in (400, 403)
    assert is_missing(s3, path)
    assert s3.open_url("PUT", url, headers, wire).status == 200
    assert s3.request("GET", path).body == BODY
