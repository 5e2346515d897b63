"""CompleteMultipartUpload: publish the listed parts as one object (CPL-01 to CPL-18, CK-06 to CK-13)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from anys3.model import Checksum, Part, Upload
from anys3.operations.call import DEFAULT_CHECKSUM, MAX_PARTS, MAX_XML_BYTES, MIN_PART_BYTES, Call
from anys3.operations.documents import read_body
from anys3.operations.publishing import expectations, make_entry
from anys3.operations.unfinished import no_such_upload
from anys3.protocol import checksums, etags, xml
from anys3.protocol.xml import escape, escape_key
from anys3.spec.errors import S3Error
from anys3.store.errors import NoSuchUpload, PartChanged
from anys3.store.mutations import CompleteUpload, Mutation, Unchanged
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anys3.model import ChecksumAlgorithm, Entry
    from anys3.protocol.http import Answer
    from anys3.store.mutations import Expectation
    from anys3.wire.shapes import CompleteMultipartUploadInput

ATTEMPTS = 20
MAX_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """One `<Part>` of the request."""

    number: int
    etag: str
    checksums: dict[str, str]


async def complete_multipart_upload(call: Call, want: CompleteMultipartUploadInput) -> Answer:
    """Publish the object and end the upload, in one step (CPL-11). A refusal leaves the upload usable.

    Repeating a completion whose object is still current gives the same answer (CPL-13), and never
    touches an object that was written later (CPL-18).
    """
    listed = _read_parts(await read_document_body(call))
    expect = expectations(call.key, want.if_match, want.if_none_match)
    upload = await call.store.upload(call.bucket, call.key, want.upload_id) if want.upload_id else None
    if upload is None:
        return await _repeat(call, want.upload_id, listed)
    if expect:
        # A condition that holds now says nothing if the key was written since the upload began (CONDW-08).
        expect = (*expect, Unchanged(call.key, upload.entry_sequence))
    for _ in range(ATTEMPTS):
        try:
            stored = await call.store.parts(call.bucket, call.key, upload.upload_id)
        except NoSuchUpload:
            # Another completion of the same upload was faster (CPL-14), or an abort was.
            return await _repeat(call, want.upload_id, listed)
        change = _judge(call, want, upload, listed, stored)
        try:
            return await _publish(call, change, expect, listed)
        except PartChanged:
            # Sent anew meanwhile, perhaps with the same bytes, by a client that got no answer the first time:
            # whether the parts that are there now fit is for the next turn to say.
            continue
    raise S3Error("OperationAborted")


def _judge(
    call: Call, want: CompleteMultipartUploadInput, upload: Upload, listed: list[Listed], stored: list[Part]
) -> CompleteUpload:
    """Return the change that publishes the listed ones of the stored parts, as one object."""
    parts = _choose(listed, {part.number: part for part in stored}, upload)
    size = sum(part.size for part in parts)
    if want.mpu_object_size is not None and want.mpu_object_size != size:
        raise S3Error(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {want.mpu_object_size} does not match what was "
            f"computed: {size}",
        )
    checksum = _checksum(upload, parts, want)
    entry = make_entry(
        size=size,
        etag=etags.multipart([part.etag for part in parts]),
        modified_ms=call.now_ms,
        stored=upload.stored,
        tags=upload.tags,
        checksum=checksum,
        part_count=len(parts),
        upload_id=upload.upload_id,
    )
    return CompleteUpload(call.key, upload.upload_id, entry, parts)


async def _publish(
    call: Call, change: CompleteUpload, expect: tuple[Expectation, ...], listed: list[Listed]
) -> Answer:
    """Commit, unless another completion of the same upload was faster: then its result counts (CPL-14).

    The faster one may have made our condition false, so any refusal is looked at twice. Raises PartChanged.
    """
    try:
        await call.commit(Mutation(call.bucket, (change,), expect))
    except S3Error as error:
        is_over = await call.store.upload(call.bucket, call.key, change.upload_id) is None
        if error.code == "NoSuchBucket" or not is_over:
            raise
        return await _repeat(call, change.upload_id, listed)
    return _result(call, change.entry)


async def read_document_body(call: Call) -> bytes:
    """Return the XML body; 10,000 parts with checksums need some megabytes."""
    return await read_body(call, MAX_XML_BYTES)


async def _repeat(call: Call, upload_id: str | None, listed: list[Listed]) -> Answer:
    done = await call.store.completed(call.bucket, call.key, upload_id) if upload_id else None
    if done is None:
        raise no_such_upload(upload_id)
    entry, parts = done
    if [(part.number, part.etag) for part in parts] != [(one.number, one.etag) for one in listed]:
        raise no_such_upload(upload_id)
    return _result(call, entry)


def _read_parts(body: bytes) -> list[Listed]:
    """Read the document. Raises S3Error InvalidRequest, MalformedXML, InvalidPartOrder (CPL-05, CPL-09)."""
    document = xml.parse(body, root="CompleteMultipartUpload")
    listed = [_read_part(node) for node in document.all("Part")]
    if not listed:
        raise S3Error("InvalidRequest", "You must specify at least one part")
    if any(later.number <= earlier.number for earlier, later in pairwise(listed)):
        raise S3Error("InvalidPartOrder")
    return listed


def _read_part(node: xml.Node) -> Listed:
    number = node.text_of("PartNumber", "").strip()
    if node.child("ETag") is None or not number.isascii() or not number.isdigit():
        raise S3Error("MalformedXML")
    # Python refuses to convert thousands of digits; so many are no part number anyway.
    if len(number) > MAX_DIGITS or not 1 <= int(number) <= MAX_PARTS:
        raise S3Error(
            "InvalidArgument",
            "PartNumber must be an integer between 1 and 10000",
            ArgumentName="partNumber",
            ArgumentValue=number[:MAX_DIGITS],
        )
    sent = {child.name: child.text for child in node.children if child.name.startswith("Checksum")}
    return Listed(int(number), etags.unquote(node.text_of("ETag", "").strip().encode()), sent)


def _choose(listed: list[Listed], stored: dict[int, Part], upload: Upload) -> list[Part]:
    """Return the listed parts. Raises S3Error InvalidPart (CPL-06, CPL-16), EntityTooSmall (CPL-07)."""
    parts = []
    for one in listed:
        part = stored.get(one.number)
        if part is None or part.etag != one.etag or not _checksums_agree(one, part):
            raise S3Error("InvalidPart", UploadId=upload.upload_id, PartNumber=str(one.number), ETag=one.etag)
        parts.append(part)
    for part in parts[:-1]:
        if part.size < MIN_PART_BYTES:
            raise S3Error(
                "EntityTooSmall",
                ProposedSize=str(part.size),
                MinSizeAllowed=str(MIN_PART_BYTES),
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    is_composite = upload.checksum_type == "COMPOSITE"
    if is_composite and [one.number for one in listed] != list(range(1, len(listed) + 1)):
        raise S3Error("InvalidPartOrder", "Part numbers must be consecutive when part checksums are used")
    return parts


def _checksums_agree(one: Listed, part: Part) -> bool:
    """Return whether no checksum that can be compared differs (CPL-16)."""
    if part.checksum is None:
        return True
    sent = one.checksums.get(f"Checksum{part.checksum.algorithm}")
    return sent is None or sent.strip() == part.checksum.value


def _checksum(upload: Upload, parts: Sequence[Part], want: CompleteMultipartUploadInput) -> Checksum | None:
    """Return the object's checksum, compared with the one that was sent (CPL-15, CK-07, CK-09)."""
    algorithm: ChecksumAlgorithm = upload.checksum_algorithm or DEFAULT_CHECKSUM
    kind = upload.checksum_type or "FULL_OBJECT"
    if want.checksum_type is not None and want.checksum_type.decode("latin-1").upper() != kind:
        raise S3Error("InvalidRequest", f"The upload was created using the {kind} checksum mode")
    values = [part.checksum.value for part in parts if part.checksum and part.checksum.algorithm == algorithm]
    computed = None
    if len(values) == len(parts):
        if kind == "COMPOSITE":
            computed = checksums.composite(algorithm, values)
        else:
            sizes = [part.size for part in parts]
            computed = checksums.full_object(algorithm, list(zip(values, sizes, strict=True)))
    for name in checksums.ALGORITHMS:
        sent = getattr(want, f"checksum_{name.lower()}")
        if sent is not None:
            _compare(upload, name, sent.decode("latin-1"), algorithm, computed, len(parts))
    return None if computed is None else Checksum(algorithm, kind, computed)


def _compare(upload: Upload, name: str, sent: str, algorithm: str, computed: str | None, count: int) -> None:
    if computed is None or (name != algorithm and upload.checksum_algorithm is not None):
        raise S3Error("InvalidRequest", f"This upload has no {name} checksum to compare with")
    if name != algorithm:
        raise S3Error("InvalidRequest", f"This upload was created without the checksum algorithm {name}")
    if sent not in (computed, computed.removesuffix(f"-{count}")):
        raise S3Error("BadDigest", f"The {name} you specified did not match the calculated checksum.")


def _result(call: Call, entry: Entry) -> Answer:
    host = call.request.headers.get(b"host", b"").decode("latin-1")
    scheme = "https" if call.request.is_secure else "http"
    path = call.request.path.decode("latin-1")
    checksum = ""
    if entry.checksum is not None:
        element = f"Checksum{entry.checksum.algorithm}"
        checksum = (
            f"<{element}>{entry.checksum.value}</{element}><ChecksumType>{entry.checksum.type}</ChecksumType>"
        )
    return xml_answer(
        200,
        "CompleteMultipartUploadResult",
        f"<Location>{escape(f'{scheme}://{host}{path}')}</Location><Bucket>{escape(call.bucket.name)}</Bucket>"
        f"<Key>{escape_key(call.key).decode()}</Key><ETag>&quot;{entry.etag}&quot;</ETag>{checksum}",
    )
