"""LMDB's two meta pages, written back after a commit that failed.

A commit ends with the sync of a meta page. If that fails, the device may have the new page, the old one, or will get
one later; LMDB puts the old one into the page cache and syncs nothing. A later commit would use the failed one's pages
again: a power cut in the middle of it could leave a meta page that names them. So both are written and synced as they
are in the page cache, under the write lock, before anything else is. A sync alone would not do: after a failed one the
system takes pages for clean that never were written.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from anys3.store.embedded import device

if TYPE_CHECKING:
    from anys3.store.embedded.index import Index


def write_back(index: Index) -> None:
    """Make both meta pages durable as they are; the caller has the write lock. Raises OSError."""
    length = 2 * index.env.stat()["psize"]
    descriptor = os.open(index.path / "index" / "data.mdb", os.O_RDWR | device.O_CLOEXEC)
    try:
        pages = bytearray(length)
        got = device.read_at(descriptor, memoryview(pages), 0)
        device.write_at(descriptor, memoryview(pages)[:got], 0)
        device.sync_file(descriptor)
    finally:
        os.close(descriptor)
