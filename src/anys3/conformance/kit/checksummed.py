"""What the checks of stored checksums share: names and values, and objects of parts that have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from anys3.client.signing import STREAMING_UNSIGNED_TRAILER
from anys3.conformance.kit.multipart import filler
from anys3.conformance.probe import Probe, SentPart, Upload
from anys3.conformance.replies import Reply, equal
from anys3.model import ChecksumAlgorithm
from anys3.protocol import checksums

CRC32: ChecksumAlgorithm = "CRC32"
COMPOSITE, FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"
ALGORITHM, TYPE = "x-amz-checksum-algorithm", "x-amz-checksum-type"
DIGITS = b"123456789"
ENABLED = {"x-amz-checksum-mode": "ENABLED"}


@dataclass(frozen=True, slots=True)
class Parts:
    """An object of two parts with a CRC32, which no check changes."""

    key: str
    bodies: tuple[bytes, bytes]

    @property
    def body(self) -> bytes:
        """Its bytes."""
        return b"".join(self.bodies)


def header_of(algorithm: ChecksumAlgorithm) -> str:
    """Return the name of an algorithm's header and trailer."""
    return checksums.HEADERS[algorithm].decode()


def value_of(algorithm: ChecksumAlgorithm, data: bytes) -> str:
    """Return the checksum of bytes as headers have it.

    >>> value_of("CRC32C", b"123456789")
    '4waSgw=='
    """
    return checksums.encode(checksums.digest(algorithm, data))


def composite_of(algorithm: ChecksumAlgorithm, *bodies: bytes) -> str:
    """Return the COMPOSITE checksum of an object of these parts (CK-07).

    >>> composite_of("CRC32", b"123456789")
    '7kxlUA==-1'
    """
    digests = b"".join(checksums.digest(algorithm, body) for body in bodies)
    return f"{value_of(algorithm, digests)}-{len(bodies)}"


def expect_checksum(reply: Reply, algorithm: ChecksumAlgorithm, value: str, about: str) -> None:
    """Raise Failed unless an answer has that checksum."""
    equal(reply.header(header_of(algorithm)), value, f"{header_of(algorithm)} of {about}")


def sent_with(
    probe: Probe, algorithm: ChecksumAlgorithm, where: str, *, value: str = ""
) -> tuple[str, Reply]:
    """Return key and answer of a PUT of DIGITS with a checksum in its "header" or "trailer", sent once for all.

    `value` takes the place of the right one; then all algorithms have one key.
    """
    key = f"{probe.ground.prefix}shared/checksums/{probe.attempt}/{where}-{'wrong' if value else algorithm}"
    line = header_of(algorithm), value or value_of(algorithm, DIGITS)

    def put() -> Reply:
        if where == "header":
            return probe.put(key, DIGITS, dict([line]))
        return probe.put_chunked(key, [DIGITS], mode=STREAMING_UNSIGNED_TRAILER, trailers=[line])

    return key, probe.asked_once(f"{key} {algorithm}", put)


def put_part(
    probe: Probe, upload: Upload, number: int, body: bytes, algorithm: ChecksumAlgorithm
) -> SentPart:
    """Upload a part with its checksum, or block the check."""
    return probe.given_part(upload, number, body, {header_of(algorithm): value_of(algorithm, body)})


def complete(
    probe: Probe,
    upload: Upload,
    parts: Iterable[SentPart],
    algorithm: ChecksumAlgorithm,
    headers: Mapping[str, str] | None = None,
    values: Mapping[int, str] | None = None,
) -> Reply:
    """CompleteMultipartUpload with the checksums of the parts; `values` are others for some numbers."""
    name = f"Checksum{algorithm}"
    rows = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{part.etag}</ETag>"
        f"<{name}>{(values or {}).get(part.number, value_of(algorithm, part.body))}</{name}></Part>"
        for part in parts
    )
    document = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    return probe.request("POST", upload.path, [("uploadId", upload.id)], headers or {}, document)


def shared_parts(probe: Probe, kind: str) -> Parts:
    """Return an object of two parts with a CRC32 of that type, made once in a run; or block the check."""
    key = f"{probe.ground.prefix}shared/crc32-{kind.lower()}"
    bodies = filler(f"checksums {kind}"), b"the last part"

    def make() -> None:
        with probe.setting_up(f"an object of parts with a {kind} CRC32 could not be made"):
            settings = {ALGORITHM: CRC32, TYPE: kind}
            created = probe.request("POST", probe.path(key), "uploads", settings).expect("200")
            upload = Upload(probe.bucket, key, created.need_text("UploadId"))
            parts = [put_part(probe, upload, number, body, CRC32) for number, body in enumerate(bodies, 1)]
            complete(probe, upload, parts, CRC32).expect("200")

    probe.ground.once(key, make)
    return Parts(key, bodies)
