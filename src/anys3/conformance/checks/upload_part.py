"""UploadPart: UP-01 to UP-10."""

from __future__ import annotations

import hashlib
import time

from anys3.client.signing import STREAMING_SIGNED, STREAMING_UNSIGNED_TRAILER
from anys3.conformance.digests import crc32_base64, md5_base64, md5_etag
from anys3.conformance.kit.multipart import (
    MAX_PART,
    UNKNOWN_ID,
    expect_completes,
    given_end,
    given_part_numbers,
    part_draft,
    scratch_upload,
    shared_upload,
)
from anys3.conformance.kit.together import together
from anys3.conformance.outcomes import Blocked, Failed
from anys3.conformance.probe import Probe, SentPart, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_OPERATION = "UploadPart"
_CHUNK = b"0123456789abcdef" * 512
_TAIL = b"the last chunk"
_LONG = bytes(300_000)
"""A part that is sent piece by piece."""
_PAUSE_S = 0.2
_EFFECT_S = 0.5
"""For the loss of a connection to have an effect, if it has any: the server may still be busy."""
_PATIENCE_S = 3.0


@check("UP-01", operation=_OPERATION, quick=True)
def etag_is_the_md5(probe: Probe) -> None:
    """A part is stored, of zero bytes too, and its ETag is the quoted MD5 of its bytes."""
    upload = scratch_upload(probe)
    for number, body in enumerate((b"body", b""), 11):
        reply = probe.put_part(upload, number, body).expect("200", about=f"a part of {len(body)} bytes")
        equal(reply.etag, md5_etag(body), f"the ETag of a part of {len(body)} bytes")


@check("UP-02", operation=_OPERATION)
def number_out_of_range(probe: Probe) -> None:
    """Part numbers that are no integer from 1 to 10000 are refused with 400 InvalidArgument."""
    upload = scratch_upload(probe)
    with together() as each:
        for number in ("0", "10001", "-1", "one", "1.5"):
            with each():
                query = [("partNumber", number), ("uploadId", upload.id)]
                reply = probe.request("PUT", upload.path, query, body=b"body")
                reply.expect("400 InvalidArgument", about=f"a part with the number {number!r}")


@check("UP-02", operation=_OPERATION)
def first_and_last_number(probe: Probe) -> None:
    """The part numbers 1 and 10000 are accepted."""
    upload = scratch_upload(probe)
    for number in (1, 10_000):
        probe.put_part(upload, number).expect("200", about=f"a part with the number {number}")


def _expect_no_upload(probe: Probe, upload: Upload, about: str) -> None:
    probe.put_part(upload, 1, b"late").expect("404 NoSuchUpload", about=about)


@check("UP-03", operation=_OPERATION)
def unknown_upload(probe: Probe) -> None:
    """A part of an upload that does not exist is refused with 404, and makes no object."""
    upload = Upload(probe.bucket, probe.key(), UNKNOWN_ID)
    _expect_no_upload(probe, upload, "a part of an unknown upload")
    probe.expect_no_object(upload.key, about="the key after a part of an unknown upload")


@check("UP-03", operation=_OPERATION)
def ended_or_anothers_upload(probe: Probe) -> None:
    """An upload id is good for its own key only, and for nothing once the upload was aborted."""
    upload = probe.given_upload()
    other = Upload(probe.bucket, probe.key("other"), upload.id)
    with together() as each:
        with each():
            _expect_no_upload(probe, other, "a part sent to another key than its upload's")
        given_end(probe, upload)
        with each():
            _expect_no_upload(probe, upload, "a part of an aborted upload")


@check("UP-03", operation=_OPERATION, needs=("buckets",))
def upload_of_another_bucket(probe: Probe) -> None:
    """An upload id is good for its own bucket only."""
    upload = scratch_upload(probe)
    other = Upload(probe.aside(), upload.key, upload.id)
    _expect_no_upload(probe, other, "a part sent to another bucket than its upload's")


@check("UP-04", operation=_OPERATION)
def any_order_with_gaps(probe: Probe) -> None:
    """Parts are accepted in any order and with gaps between their numbers."""
    scratch_upload(probe)
    try:
        upload, _ = shared_upload(probe)
    except Blocked as error:  # an upload can be started, so that it is about its parts
        raise Failed(str(error)) from None
    found = given_part_numbers(probe, upload)
    equal(found, ["1", "2", "4", "9", "10"], "the parts of an upload that got 10, 9, 4, 2, 1")


@check("UP-04", operation=_OPERATION)
def in_parallel(probe: Probe) -> None:
    """Parts that arrive at the same time are all kept."""
    upload = probe.given_upload()
    numbers = range(1, 5)
    calls = [lambda number=number: probe.put_part(upload, number, b"part %d" % number) for number in numbers]
    for number, reply in enumerate(probe.race(*calls), 1):
        reply.expect("200", about=f"part {number} of four parts at the same time")
        equal(
            reply.etag, md5_etag(b"part %d" % number), f"the ETag of part {number} of four at the same time"
        )
    equal(given_part_numbers(probe, upload), [str(number) for number in numbers], "the parts after the race")


@check("UP-05", operation=_OPERATION)
def sent_again(probe: Probe) -> None:
    """A part that is sent again under its number replaces the former one."""
    upload = probe.given_upload()
    former = probe.given_part(upload, 1, b"the former part")
    reply = probe.put_part(upload, 1, b"latter").expect("200", about="a part sent again")
    if probe.complete(upload, [former]).status == 200:
        # It does not compare ETags (CPL-06); which part it takes tells whether it was replaced.
        probe.expect_content(
            upload.key, b"latter", about="the object, completed with the ETag of the former part"
        )
        return
    expect_completes(probe, upload, SentPart(1, reply.etag, b"latter"), "completion with the latter part")


@check("UP-05", operation=_OPERATION)
def interleaved(probe: Probe) -> None:
    """Of two uploads of one part number that overlap, one counts as a whole: the one that ended last."""
    upload = probe.given_upload()
    answers: list[Reply] = []

    def send_quick() -> None:
        quick = probe.put_part(upload, 1, b"quick")
        answers.append(quick.expect("200", about="the quicker of two uploads of one part"))

    reply = probe.send_in_halves(
        part_draft(probe, upload, 1, len(_LONG), expect="100-continue"), _LONG, send_quick
    )
    if reply is None:
        raise Failed("the slower of two uploads of one part: expected 200, got no answer")
    slow = SentPart(1, reply.expect("200", about="the slower of two uploads of one part").etag, _LONG)
    if probe.complete(upload, [slow]).status == 200:
        probe.expect_content(upload.key, slow.body, about="the object of a part that was sent twice at once")
        return
    quick = SentPart(1, answers[0].etag, b"quick")
    expect_completes(probe, upload, quick, "completion with either of two overlapping parts")
    probe.report("of two overlapping uploads of one part the one that ended first counts")


@check("UP-06", operation=_OPERATION)
def refused_part(probe: Probe) -> None:
    """A part that is refused leaves the earlier one of that number as it was."""
    upload = probe.given_upload()
    good = probe.given_part(upload, 1, b"good")
    with probe.setting_up("a part with a wrong Content-MD5 was not refused"):
        probe.put_part(upload, 1, b"evil", {"content-md5": md5_base64(b"other")}).expect("400")
    expect_completes(probe, upload, good, "completion with the part sent before a refused one")


@check("UP-06", operation=_OPERATION)
def cut_part(probe: Probe) -> None:
    """A part whose connection breaks half-way leaves the earlier one of that number as it was."""
    upload = probe.given_upload()
    good = probe.given_part(upload, 1, b"good")
    draft = part_draft(probe, upload, 1, len(_LONG), expect="100-continue")
    probe.send_short(draft, _LONG[: len(_LONG) // 2], _PAUSE_S)
    time.sleep(_EFFECT_S)
    expect_completes(probe, upload, good, "completion with the part sent before a broken connection")


@check("UP-07", operation=_OPERATION)
def five_gib_are_let_in(probe: Probe) -> None:
    """A part of 5 GiB, announced by its Content-Length, is asked for with 100 Continue."""
    draft = part_draft(probe, scratch_upload(probe), 13, MAX_PART, expect="100-continue")
    reply = probe.send_head(draft, _PATIENCE_S)
    got = "nothing" if reply is None else reply.said
    require(got == "100", f"the head of a part of 5 GiB: expected 100 Continue, got {got}")


@check("UP-07", operation=_OPERATION)
def more_is_refused(probe: Probe) -> None:
    """A part of one byte more than 5 GiB is refused with 400 EntityTooLarge, before its body is sent."""
    draft = part_draft(probe, scratch_upload(probe), 14, MAX_PART + 1, expect="100-continue")
    reply = probe.send_head(draft, _PATIENCE_S, is_final=True)
    if reply is None:
        raise Failed(
            "a part of 5 GiB and one byte: expected 400 EntityTooLarge, the server waits for the body"
        )
    reply.expect("400 EntityTooLarge", about="a part of 5 GiB and one byte")


@check("UP-08", operation=_OPERATION)
def wrong_payload(probe: Probe) -> None:
    """A part that does not match its SHA-256, Content-MD5 or checksum is refused and not kept."""
    upload = probe.given_upload()
    other = hashlib.sha256(b"other").hexdigest()
    trials: tuple[tuple[str, str, dict[str, str], str | None], ...] = (
        ("XAmzContentSHA256Mismatch", "a part with the wrong SHA-256", {}, other),
        ("BadDigest", "a part with a wrong Content-MD5", {"content-md5": md5_base64(b"other")}, None),
        ("InvalidDigest", "a part with no valid Content-MD5", {"content-md5": "not base64"}, None),
        ("BadDigest", "a part with a wrong CRC32", {"x-amz-checksum-crc32": crc32_base64(b"other")}, None),
    )
    with together() as each:
        for number, (code, about, headers, digest) in enumerate(trials, 1):
            with each():
                query = [("partNumber", str(number)), ("uploadId", upload.id)]
                reply = probe.request("PUT", upload.path, query, headers, b"body", payload_hash=digest)
                reply.expect(f"400 {code}", about=about)
        with each():
            equal(given_part_numbers(probe, upload), [], "the numbers of the parts after refused ones")


def _put_chunked(
    probe: Probe, upload: Upload, mode: str, trailers: tuple[tuple[str, str], ...] = (), number: int = 1
) -> Reply:
    query = [("partNumber", str(number)), ("uploadId", upload.id)]
    return probe.put_chunked(
        upload.key, [_CHUNK, _TAIL], mode=mode, trailers=trailers, query=query, path=upload.path
    )


@check("UP-08", operation=_OPERATION)
def unsigned_payload(probe: Probe) -> None:
    """A part is accepted with UNSIGNED-PAYLOAD."""
    reply = probe.send(part_draft(probe, scratch_upload(probe), 31, 4), b"body")
    equal(reply.expect("200", about="a part, unsigned").etag, md5_etag(b"body"), "its ETag")


@check("UP-08", operation=_OPERATION)
def signed_chunks(probe: Probe) -> None:
    """A part in signed chunks is decoded before it is stored."""
    reply = _put_chunked(probe, scratch_upload(probe), STREAMING_SIGNED, number=32)
    reply.expect("200", about="a part in signed chunks")
    equal(reply.etag, md5_etag(_CHUNK + _TAIL), "the ETag of a part in signed chunks")


@check("UP-08", operation=_OPERATION)
def unsigned_chunks_with_trailer(probe: Probe) -> None:
    """A part in unsigned chunks with a checksum as trailer is decoded, and the trailer verified."""
    body = _CHUNK + _TAIL
    upload = probe.given_upload()
    wrong = (("x-amz-checksum-crc32", crc32_base64(b"other")),)
    _put_chunked(probe, upload, STREAMING_UNSIGNED_TRAILER, wrong).expect(
        "400 BadDigest", about="a part in unsigned chunks with a wrong CRC32 as trailer"
    )
    right = (("x-amz-checksum-crc32", crc32_base64(body)),)
    reply = _put_chunked(probe, upload, STREAMING_UNSIGNED_TRAILER, right)
    reply.expect("200", about="a part in unsigned chunks with a CRC32 as trailer")
    part = SentPart(1, reply.etag, body)
    expect_completes(probe, upload, part, "completion with a part sent in unsigned chunks")


@check("UP-09", operation=_OPERATION)
def half_of_the_parameters(probe: Probe) -> None:
    """PUT with partNumber or uploadId alone is refused, and never writes the object."""
    key = probe.given_object(body=b"old")
    upload = probe.given_upload()
    with together() as each:
        for name, value in (("partNumber", "1"), ("uploadId", upload.id)):
            with each():
                about = f"PUT with {name} alone"
                reply = probe.put(key, b"a part, not an object", query=[(name, value)])
                after = probe.head(key).expect("200", about=f"the object after {about}")
                is_old = after.header("content-length") == "3"
                require(is_old, f"{about}: expected a refusal, got {reply.said} and a new object")
                reply.expect("4xx", "501", about=about)


def _expect_echo(probe: Probe, upload: Upload, reply: Reply, body: bytes, how: str) -> None:
    """The checksum is echoed, or it is not needed at completion."""
    reply.expect("200", about=f"a part with its CRC32 as {how}")
    echoed = reply.header("x-amz-checksum-crc32")
    if echoed is not None:
        equal(echoed, crc32_base64(body), f"the CRC32 in the answer to a part that had it as {how}")
        return
    about = "completion without part checksums where the answer to the part had none"
    expect_completes(probe, upload, SentPart(1, reply.etag, body), about)


@check("UP-10", operation=_OPERATION)
def checksum_header_is_echoed(probe: Probe) -> None:
    """A checksum sent as a header is in the answer, or is not asked for at completion."""
    upload = probe.given_upload(headers={"x-amz-checksum-algorithm": "CRC32"})
    reply = probe.put_part(upload, 1, b"body", {"x-amz-checksum-crc32": crc32_base64(b"body")})
    _expect_echo(probe, upload, reply, b"body", "a header")


@check("UP-10", operation=_OPERATION)
def checksum_trailer_is_echoed(probe: Probe) -> None:
    """A checksum sent as a trailer is in the answer, or is not asked for at completion."""
    upload = probe.given_upload(headers={"x-amz-checksum-algorithm": "CRC32"})
    body = _CHUNK + _TAIL
    trailer = (("x-amz-checksum-crc32", crc32_base64(body)),)
    reply = _put_chunked(probe, upload, STREAMING_UNSIGNED_TRAILER, trailer)
    _expect_echo(probe, upload, reply, body, "a trailer")
