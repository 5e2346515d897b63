"""A multipart upload as a test drives it: raw requests, one method for each operation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.rawclient import UNSIGNED, RawClient, Response, key_path, md5_hex

MIN_PART = 5 << 20

Listed = tuple[int, str] | tuple[int, str, str]
"""Part number, ETag as it is sent, and further elements of the `<Part>`."""


def filler(seed: str, size: int) -> bytes:
    """Return `size` bytes that differ for every seed and don't repeat within a part."""
    return hashlib.shake_128(seed.encode()).digest(size)


def document(parts: Iterable[Listed]) -> bytes:
    """Return the body of CompleteMultipartUpload."""
    rows = "".join(
        f"<Part><PartNumber>{part[0]}</PartNumber><ETag>{part[1]}</ETag>{''.join(part[2:])}</Part>"
        for part in parts
    )
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()


def multipart_etag(bodies: Iterable[bytes]) -> str:
    """Return the ETag of an object made of these parts, with its quotes."""
    digests = [bytes.fromhex(md5_hex(body)) for body in bodies]
    return f'"{md5_hex(b"".join(digests))}-{len(digests)}"'


@dataclass(slots=True)
class Upload:
    """One upload; `upload_id` names it."""

    s3: RawClient
    bucket: str
    key: str
    upload_id: str

    @property
    def path(self) -> str:
        """Return the path of the object-to-be."""
        return key_path(self.bucket, self.key)

    def send_part(
        self,
        number: int | str,
        body: bytes = b"x",
        headers: Mapping[str, str] | None = None,
        *,
        payload_hash: str | None = UNSIGNED,
    ) -> Response:
        """Send UploadPart."""
        query = [("partNumber", str(number)), ("uploadId", self.upload_id)]
        return self.s3.request("PUT", self.path, query, headers, body, payload_hash=payload_hash)

    def put(self, number: int, body: bytes = b"x", headers: Mapping[str, str] | None = None) -> str:
        """Upload a part that must be accepted, and return its ETag."""
        response = self.send_part(number, body, headers)
        assert response.verdict == (200, "")
        return response.headers["etag"]

    def copy(
        self, number: int, source: str, span: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send UploadPartCopy."""
        query = [("partNumber", str(number)), ("uploadId", self.upload_id)]
        lines = {"x-amz-copy-source": source, **({"x-amz-copy-source-range": span} if span else {})}
        return self.s3.request("PUT", self.path, query, {**lines, **(headers or {})})

    def complete(self, parts: Iterable[Listed], headers: Mapping[str, str] | None = None) -> Response:
        """Send CompleteMultipartUpload."""
        return self.send_completion(document(parts), headers)

    def send_completion(self, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        """Send CompleteMultipartUpload with any body."""
        return self.s3.request("POST", self.path, [("uploadId", self.upload_id)], headers, body)

    def abort(self) -> Response:
        """Send AbortMultipartUpload."""
        return self.s3.request("DELETE", self.path, [("uploadId", self.upload_id)])

    def list_parts(self, *query: tuple[str, str]) -> Response:
        """Send ListParts."""
        return self.s3.request("GET", self.path, [("uploadId", self.upload_id), *query])

    def part_numbers(self) -> list[str]:
        """Return the numbers of the parts that are stored."""
        return self.list_parts().texts("Part/PartNumber")


def begin(s3: RawClient, bucket: str, key: str = "k", headers: Mapping[str, str] | None = None) -> Upload:
    """Create an upload that must be accepted."""
    response = s3.request("POST", key_path(bucket, key), "uploads", headers)
    assert response.verdict == (200, "")
    return Upload(s3, bucket, key, response.text("UploadId") or "")


def finished(s3: RawClient, bucket: str, key: str, bodies: list[bytes], **headers: str) -> Upload:
    """Make an object of these parts, numbered from 1."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    upload = begin(s3, bucket, key, lines)
    parts = [(number, upload.put(number, body)) for number, body in enumerate(bodies, 1)]
    assert upload.complete(parts).verdict == (200, "")
    return upload
