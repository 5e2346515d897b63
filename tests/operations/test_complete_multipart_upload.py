"""CompleteMultipartUpload beside an UploadPart that comes in between."""

from __future__ import annotations

import asyncio

import pytest

from anys3.model import ANONYMOUS, Bucket, Part, Target, Upload
from anys3.operations.call import Call
from anys3.operations.complete_multipart_upload import complete_multipart_upload
from anys3.protocol import payload
from anys3.protocol.http import Request
from anys3.server.bodies import BufferedBody
from anys3.spec.errors import S3Error
from anys3.store.memory import MemoryStore
from anys3.store.mutations import Mutation, PutPart, PutUpload
from anys3.wire.shapes import CompleteMultipartUploadInput
from tests.rawclient import md5_hex
from tests.uploads import document, multipart_etag

KEY, UPLOAD_ID, BODY = b"k", "u", b"the part"


class Crowded(MemoryStore):
    """A store in which the part is sent again just after it was read, `times` times."""

    def __init__(self, again: bytes, times: int) -> None:
        super().__init__()
        self._again = again
        self.left = times

    async def parts(
        self, bucket: Bucket, key: bytes, upload_id: str, after: int = 0, limit: int = 10_000
    ) -> list[Part]:
        """Return the parts; they are old ones by then."""
        found = await super().parts(bucket, key, upload_id, after, limit)
        if self.left:
            self.left -= 1
            await put_part(self, bucket, self._again)
        return found


async def put_part(store: MemoryStore, bucket: Bucket, body: bytes) -> None:
    """Put part 1."""
    part = Part(1, len(body), md5_hex(body), 0)
    content = bytes(bytearray(body))  # a content of its own
    await store.commit(Mutation(bucket, (PutPart(KEY, UPLOAD_ID, part, content),)))


async def completed(store: MemoryStore) -> str | None:
    """Upload the part, complete the upload, and return the object's ETag."""
    row = await store.create_bucket(Bucket("photos", 0, 0))
    await store.commit(Mutation(row, (PutUpload(Upload(KEY, UPLOAD_ID, 0, b"")),)))
    await put_part(store, row, BODY)
    body = BufferedBody(document([(1, f'"{md5_hex(BODY)}"')]))
    request = Request(b"POST", b"/photos/k", b"/photos/k", b"uploadId=u", {}, body, "id")
    target = Target("photos", KEY)
    call = Call(request, target, ANONYMOUS, store, payload.PLAIN, 0, "r", bytes, store.bucket, row)
    want = CompleteMultipartUploadInput()
    want.upload_id = UPLOAD_ID
    await complete_multipart_upload(call, want)
    entry = await store.entry(row, KEY)
    return None if entry is None else f'"{entry.etag}"'


@pytest.mark.requirement("CPL-06", "UP-05")
def test_a_part_that_is_sent_again_with_the_same_bytes_does_not_fail_a_completion() -> None:
    """A client that got no answer sends the part again; the first one, late, comes while it completes."""
    assert asyncio.run(completed(Crowded(BODY, times=3))) == multipart_etag([BODY])


@pytest.mark.requirement("CPL-06")
def test_a_part_that_is_replaced_meanwhile_by_another_one_is_refused() -> None:
    with pytest.raises(S3Error) as caught:
        asyncio.run(completed(Crowded(b"another", times=1)))
    assert caught.value.code == "InvalidPart"


def test_a_completion_whose_parts_never_rest_is_refused_in_the_end() -> None:
    with pytest.raises(S3Error) as caught:
        asyncio.run(completed(Crowded(BODY, times=1000)))
    assert caught.value.code == "OperationAborted"
