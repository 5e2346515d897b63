"""AbortMultipartUpload: ABT-01 to ABT-03."""

from __future__ import annotations

from anys3.conformance.kit.multipart import (
    UNKNOWN_ID,
    abort,
    given_end,
    list_parts,
    list_uploads,
    part_draft,
    uploads_of,
)
from anys3.conformance.kit.together import together
from anys3.conformance.probe import Probe, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import equal

_OPERATION = "AbortMultipartUpload"
_LONG = bytes(300_000)
"""A part that is sent piece by piece."""


@check("ABT-01", operation=_OPERATION, quick=True)
def ends_the_upload(probe: Probe) -> None:
    """An abort answers 204, and the parts are gone."""
    upload = probe.given_upload()
    probe.given_part(upload)
    abort(probe, upload).expect("204", about="abort of an upload with a part")
    list_parts(probe, upload).expect("404 NoSuchUpload", about="the parts of an aborted upload")


@check("ABT-01", operation=_OPERATION)
def existing_object_stays(probe: Probe) -> None:
    """An abort leaves an object of the same key as it is."""
    key = probe.given_object(body=b"old")
    upload = probe.given_upload()
    probe.given_part(upload, 1, b"new")
    abort(probe, upload).expect("204", about="abort of an upload whose key has an object")
    probe.expect_content(key, b"old", about="the object after an abort")


@check("ABT-01", operation=_OPERATION)
def part_in_flight(probe: Probe) -> None:
    """A part that is under way while its upload is aborted does not appear afterwards, nor does the upload."""
    upload = probe.given_upload()

    def end() -> None:
        abort(probe, upload).expect("204", about="abort while a part is under way")

    draft = part_draft(probe, upload, 1, len(_LONG), expect="100-continue")
    probe.send_in_halves(draft, _LONG, end)
    about = "an abort while a part was under way"
    list_parts(probe, upload).expect("404 NoSuchUpload", about=f"the parts after {about}")
    page = list_uploads(probe, ("prefix", upload.key)).expect("200", about=f"the uploads after {about}")
    equal(uploads_of(page), [], f"the uploads after {about}")
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")


@check("ABT-02", operation=_OPERATION)
def unknown_upload(probe: Probe) -> None:
    """Aborting an upload that does not exist is 404 NoSuchUpload."""
    upload = Upload(probe.bucket, probe.key(), UNKNOWN_ID)
    abort(probe, upload).expect("404 NoSuchUpload", about="abort of an unknown upload")


@check("ABT-02", operation=_OPERATION)
def requests_after_an_abort(probe: Probe) -> None:
    """UploadPart, ListParts and completion of an aborted upload answer 404; a second abort 404 or 204."""
    upload = probe.given_upload()
    part = probe.given_part(upload)
    given_end(probe, upload)
    with together() as each:
        for reply, wanted, about in (
            (probe.put_part(upload, 2), ("404 NoSuchUpload",), "a part of an aborted upload"),
            (list_parts(probe, upload), ("404 NoSuchUpload",), "the parts of an aborted upload"),
            (abort(probe, upload), ("404 NoSuchUpload", "204"), "the second abort of an upload"),
            (probe.complete(upload, [part]), ("404 NoSuchUpload",), "completion of an aborted upload"),
        ):
            with each():
                reply.expect(*wanted, about=about)
    probe.expect_no_object(upload.key, about="HEAD after an abort")


@check("ABT-03", operation=_OPERATION)
def abort_is_no_delete(probe: Probe) -> None:
    """DELETE with an empty or an unknown uploadId is refused, and never deletes the object."""
    key = probe.given_object(body=b"kept")
    with together() as each:
        for upload_id, what, wanted in (
            ("", "an empty", "4xx"),
            (UNKNOWN_ID, "an unknown", "404 NoSuchUpload"),
        ):
            with each():
                reply = probe.delete(key, query=[("uploadId", upload_id)])
                reply.expect(wanted, about=f"DELETE with {what} uploadId")
        with each():
            about = "the object after DELETEs with an empty and an unknown uploadId"
            probe.expect_content(key, b"kept", about=about)
