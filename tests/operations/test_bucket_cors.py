"""PutBucketCors beside the operator: neither undoes what the other does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from anys3.model import ANONYMOUS, Bucket, Target
from anys3.operations.bucket_cors import delete_bucket_cors
from anys3.operations.call import Call
from anys3.protocol import payload
from anys3.protocol.http import Request
from anys3.server.bodies import EMPTY
from anys3.spec.errors import S3Error
from anys3.store.memory import MemoryStore
from anys3.wire.shapes import DeleteBucketCorsInput


class Closing(MemoryStore):
    """A store whose operator closes a public bucket just after its row was read, `times` times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    async def bucket(self, name: str) -> Bucket | None:
        """Return the row; it is an old one by then."""
        row = await super().bucket(name)
        if row is not None and self.left:
            self.left -= 1
            await self.update_bucket(replace(row, is_public=False, owner=f"owner {self.left}"))
        return row


async def delete_rules(store: MemoryStore) -> Bucket | None:
    """Run DeleteBucketCors on a public bucket, and return what its row is afterwards."""
    row = await store.create_bucket(Bucket("photos", 0, 0, is_public=True))
    request = Request(b"DELETE", b"/photos?cors", b"/photos", b"cors", {}, EMPTY, "id")
    target = Target("photos", None)
    call = Call(request, target, ANONYMOUS, store, payload.PLAIN, 0, "r", bytes, store.bucket, row)
    await delete_bucket_cors(call, DeleteBucketCorsInput())
    return await MemoryStore.bucket(store, "photos")


@pytest.mark.known_mistake(29)
def test_a_bucket_that_the_operator_closes_is_not_opened_by_a_request_under_way() -> None:
    """VersityGW, May 2026: an explicit refusal lost against what was public before."""
    row = asyncio.run(delete_rules(Closing(times=2)))
    assert row is not None
    assert row.is_public is False


def test_rules_of_a_bucket_that_never_rests_are_refused_in_the_end() -> None:
    with pytest.raises(S3Error) as caught:
        asyncio.run(delete_rules(Closing(times=1000)))
    assert caught.value.code == "OperationAborted"
