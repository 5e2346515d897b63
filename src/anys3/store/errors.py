"""What an engine raises, by what happened; S3's errors are made of these by the operations."""

# ruff: noqa: N818 (errors are named after what happened, as S3 names its codes)

from __future__ import annotations

from dataclasses import dataclass

from anys3.model import Bucket, Entry
from anys3.store.mutations import Expectation


class StoreError(Exception):
    """Base of what an engine raises; S3 errors are made of these by the operations."""


class NoSuchBucket(StoreError):
    """The bucket does not exist (any more), or was made anew since its row was read."""


class BucketExists(StoreError):
    """A bucket of that name exists; `bucket` is its row."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket.name)
        self.bucket = bucket


class BucketChanged(StoreError):
    """The bucket's row is not (any more) the one that a change was made from."""


class BucketNotEmpty(StoreError):
    """The bucket holds objects."""


class NoSuchUpload(StoreError):
    """The upload is unknown, belongs to another key or bucket, or was completed or aborted."""


class ExpectationFailed(StoreError):
    """An expectation of a mutation did not hold; nothing was changed.

    `expectation` is the one that failed, `current` the key's entry at that moment (None: absent).
    """

    def __init__(self, expectation: Expectation, current: Entry | None) -> None:
        super().__init__(repr(expectation))
        self.expectation = expectation
        self.current = current


class PartChanged(StoreError):
    """A part was replaced between reading and completing; nothing was changed."""


class NotesEnded(StoreError):
    """The notes of changed keys have ended: nobody prolonged them in time, or others were begun."""


class Corrupt(StoreError):
    """Stored bytes do not match their checksum. What they belong to is told by the first who knows it."""

    bucket: str | None = None
    key: bytes | None = None

    def about(self, bucket: str, key: bytes | None = None) -> Corrupt:
        """Return the error with the bucket and the key that it concerns, unless it has them."""
        if self.bucket is None:
            self.bucket, self.key = bucket, key
        return self

    def __str__(self) -> str:
        reason = super().__str__()
        if self.bucket is None:
            return reason
        if self.key is None:
            return f"bucket {self.bucket!r}: {reason}"
        return f"bucket {self.bucket!r}, key {self.key.decode('utf-8', 'backslashreplace')!r}: {reason}"


class StoreFull(StoreError):
    """There is no room left on the device or in the index; nothing was changed."""


class Unavailable(StoreError):
    """The engine can't answer now (I/O error, read-only device, lost connection, too few replicas)."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a store takes no changes, but from the object that has paused it.

    `reason` is for people, `holder` names that object; `ends_ms` is when the pause ends by itself, by the engine's
    clock (None: it does not).
    """

    reason: str
    holder: str
    ends_ms: int | None = None


class Paused(Unavailable):
    """The store takes no changes now; nothing was changed. `pause` is None for a holder whose pause has ended."""

    def __init__(self, pause: Pause | None) -> None:
        super().__init__(pause.reason if pause else "the pause under which this was to be done has ended")
        self.pause = pause


class PauseChanged(StoreError):
    """The pause is not (any more) the one that was expected; `pause` is the one in force, None if there is none."""

    def __init__(self, pause: Pause | None) -> None:
        super().__init__(pause.reason if pause else "the pause has ended")
        self.pause = pause
