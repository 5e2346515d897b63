"""Bugs for servers that share a store, to see that the harness finds them: each breaks one promise or one ordering.

`python -m tests.torture.server --with tests.torture.cluster.planted:answer_before_commit serve ...` starts one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from anys3.model import Bucket
from anys3.store.blobs import BlobMissing
from anys3.store.errors import Unavailable
from anys3.store.files.blobs import FileSink
from anys3.store.interface import Opened
from anys3.store.postgresql.connections import Pool
from anys3.store.postgresql.engine import PostgresqlStore
from anys3.store.postgresql.janitor import Janitor
from anys3.store.postgresql.lease import Lease
from anys3.store.postgresql.names import BlobNames
from anys3.store.rados.reading import RadosReader
from tests.torture import planting

_WINDOW_S = 0.02
"""How long a race is held open, so that a slow machine finds it as well as a fast one."""


def answer_before_commit() -> None:
    """A write without a condition is acknowledged while its commit is still to come."""
    planting.answer_before_commit(PostgresqlStore, _WINDOW_S)


def unknown_commit_repeated() -> None:
    """A mutation whose answer was lost is sent again, though it may have happened."""
    original = Pool.attempt

    async def attempt(self: Pool, work: Any, *, may_repeat: bool) -> Any:
        return await original(self, work, may_repeat=True)

    Pool.attempt = attempt  # type: ignore[method-assign]


def unknown_blob_given_up() -> None:
    """The blob of a commit whose answer was lost is removed, though the commit may have named it."""
    BlobNames.settle = BlobNames.give_up  # type: ignore[method-assign]


def lost_lease_ignored() -> None:
    """A server that does not reach PostgreSQL any more believes what it has known of keys and buckets."""

    async def keep(self: Lease) -> None:
        """Beat no more."""

    Lease._keep = keep  # type: ignore[method-assign]
    Lease.generation = lambda self: self._generation  # type: ignore[method-assign]
    Lease.is_held = property(lambda _: True)  # type: ignore[assignment]


def news_awaited_by_nobody() -> None:
    """Who takes a key or a right away answers at once, while other servers still believe in it."""

    async def make_known(self: Lease, pool: Pool, generation: int) -> None:
        self.adopt(generation)

    Lease.make_known = make_known  # type: ignore[method-assign]


def reads_from_the_past() -> None:
    """While PostgreSQL can't be reached, reads are answered with what they found last."""
    original = PostgresqlStore.open
    known: dict[tuple[int, bytes], Opened | None] = {}

    async def opening(self: PostgresqlStore, bucket: Bucket, key: bytes) -> Opened | None:
        if not self._lease.is_held and (bucket.id, key) in known:
            return known[bucket.id, key]
        opened = await original(self, bucket, key)
        if opened is None or opened.inline is not None:
            known[bucket.id, key] = opened
        return opened

    PostgresqlStore.open = opening  # type: ignore[method-assign]
    Lease.generation = lambda self: self._generation  # type: ignore[method-assign]


def readers_forgotten() -> None:
    """The janitor removes what was freed, though it is still being read."""

    class Untold:
        """A reading that nobody waits for."""

        process = tick = 0

        def end(self) -> None:
            """Do nothing."""

        check = end

    Lease.read = lambda _: Untold()  # type: ignore[method-assign,assignment,return-value]


def blob_finished_later() -> None:
    """A blob is named and acknowledged while its last bytes are still being written."""
    original = FileSink.finish

    def finish(self: FileSink) -> None:
        def later() -> None:
            time.sleep(_WINDOW_S)
            original(self)

        if self._path.name.startswith("check-"):  # of the start, which would notice
            original(self)
        else:
            threading.Thread(target=later).start()

    FileSink.finish = finish  # type: ignore[method-assign]


def dead_servers_names_kept() -> None:
    """What a server that died was writing is never removed."""

    async def bury(self: Janitor, process: int, tick: int | None) -> None:
        await self._pool.read(f"DELETE FROM {self._schema}.process WHERE id = $1", process)

    Janitor._bury = bury  # type: ignore[method-assign]


def unreachable_taken_for_missing() -> None:
    """A blob whose OSDs don't answer counts as one that is not there."""
    original: Callable[..., None] = RadosReader._finish

    def finish(self: RadosReader, *arguments: Any) -> None:
        try:
            original(self, *arguments)
        except Unavailable as error:
            raise BlobMissing(str(error)) from None

    RadosReader._finish = finish  # type: ignore[method-assign]
