"""What the rows say of the bytes, compared with the bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from anys3.model import Checksum, Entry, Part
from anys3.protocol import checksums, etags
from anys3.spec.errors import S3Error


class Mismatch(Exception):  # noqa: N818 (what happened)
    """The bytes are not those that were once written."""


class Sums:
    """The checksums of one content, computed as its bytes pass."""

    def __init__(self, size: int, etag: str, checksum: Checksum | None) -> None:
        """Take what is expected; `etag` is the MD5 of the bytes."""
        self._size = size
        self._etag = etag
        self._checksum = checksum
        self._count = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._other = checksums.hasher(checksum.algorithm) if checksum else None

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._count += len(data)
        self._md5.update(data)
        if self._other is not None:
            self._other.update(data)

    def check(self) -> None:
        """Raise Mismatch unless all of it is as expected."""
        if self._count != self._size:
            raise Mismatch(f"has {self._count} bytes, and its row says {self._size}")
        if self._md5.hexdigest() != self._etag:
            raise Mismatch(f"its MD5 is {self._md5.hexdigest()}, and its ETag {self._etag!r}")
        if self._other is not None and self._checksum is not None:
            computed = checksums.encode(self._other.digest())
            if computed != self._checksum.value:
                name = self._checksum.algorithm
                raise Mismatch(f"its {name} is {computed}, and its row says {self._checksum.value!r}")


def check_parts(entry: Entry, parts: Sequence[Part]) -> None:
    """Raise Mismatch unless the row of an object fits those of its parts."""
    size = sum(part.size for part in parts)
    if size != entry.size:
        raise Mismatch(f"its parts have {size} bytes, and its row says {entry.size}")
    try:
        etag = etags.multipart([part.etag for part in parts])
    except ValueError:
        raise Mismatch("a part has an ETag that is no MD5") from None
    if etag != entry.etag:
        raise Mismatch(f"the ETag of its parts is {etag!r}, and its own {entry.etag!r}")
    checksum = entry.checksum
    if checksum is None:
        return
    values = [
        part.checksum.value
        for part in parts
        if part.checksum and part.checksum.algorithm == checksum.algorithm
    ]
    if len(values) != len(parts):
        return
    try:
        if checksum.type == "COMPOSITE":
            computed = checksums.composite(checksum.algorithm, values)
        else:
            sizes = [part.size for part in parts]
            computed = checksums.full_object(checksum.algorithm, list(zip(values, sizes, strict=True)))
    except S3Error as error:
        raise Mismatch(f"the {checksum.algorithm} of its parts can't be joined: {error}") from None
    if computed != checksum.value:
        raise Mismatch(f"the {checksum.algorithm} of its parts is {computed}, its own {checksum.value!r}")
