"""A copy of a store at one moment, taken while it is served (docs/durability.md, "Backup and restore").

A pin keeps the janitor of every process from removing what the moment names; the index is copied in one read
transaction, which ends with that; then every content that the copy names is copied, and verified on the way.
What an older backup in the same place has is kept. destination.py says how it is switched to the new moment.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import lmdb

from anys3.store.damage import Damage
from anys3.store.embedded import copying, device, recovery, remote
from anys3.store.embedded import directory as layout
from anys3.store.embedded.blobs import BLOCK
from anys3.store.embedded.control import Control
from anys3.store.embedded.destination import Destination, Moment, NotABackup
from anys3.store.embedded.format import BLOB, INLINE, Reference, crc32, pack_id
from anys3.store.embedded.index import Index, translate
from anys3.store.embedded.inspecting import inspect
from anys3.store.embedded.multipart import inline_content
from anys3.store.embedded.naming import Named, Naming
from anys3.store.embedded.report import ScrubReport
from anys3.store.errors import Corrupt, StoreFull, Unavailable

_THREADS = 4
_AT_ONCE = 256
_BUFFER = 4 * BLOCK
_LOOK_EVERY_S = 0.2
_LOOK_EVERY_ROWS = 10_000

Progress = Callable[[str, int, int], None]
"""Called now and then with what is being done, how many bytes of it are, and of how many (0: not known)."""


@dataclass(slots=True)
class BackupReport:
    """What is in a backup, and what was done for it."""

    sequence: int = 0
    taken_ms: int = 0
    objects: int = 0
    uploads: int = 0
    parts: int = 0
    """Of unfinished uploads."""
    copied: int = 0
    kept: int = 0
    removed: int = 0
    elsewhere: int = 0
    """Blobs that stay where they are: on an engine of their own."""
    bytes: int = 0
    """Written: the index and the blobs that were copied."""
    damaged: list[Damage] = field(default_factory=list)
    missing: list[Damage] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether everything could be copied as it was once written."""
        return not self.damaged and not self.missing


class Backup:
    """One run."""

    def __init__(
        self,
        source: Path,
        destination: Destination,
        *,
        now_ms: int,
        is_linked: bool,
        is_index_only: bool = False,
        progress: Progress,
    ) -> None:
        """`is_linked`: blobs become hard links, so that damage of one is damage of both."""
        self._source = source
        self._destination = destination
        self._is_linked = is_linked
        self._is_index_only = is_index_only
        self._progress = progress
        self._wanted = copying.Wanted()
        self._failed: dict[int, tuple[str, bool]] = {}
        """By blob id: why it can't be copied as it was written, and whether it is missing."""
        self._done = 0
        self._lock = threading.Lock()
        self.report = BackupReport(taken_ms=now_ms)

    def run(self, beside: Sequence[str]) -> BackupReport:
        """Make the backup. `beside` are files of the store's directory to be copied with it."""
        mark = (self._source / "format").read_bytes()
        with _Pinned(self._source) as index:
            self._inspect(index)
            self._copy_index(index)
            moment = self._look()
            self._destination.check_later(moment)
            self._copy_blobs()
        for name in beside:
            self._copy_beside(name)
        self._sync()
        self._name_failed()
        self._destination.switch(moment, mark)
        self._remove_unnamed()
        return self.report

    def _inspect(self, index: Index) -> None:
        """Raise Corrupt if a page is damaged: such an index takes no good one's place, and could end LMDB."""
        report = ScrubReport()
        inspect(
            index.env,
            self._source,
            report,
            lambda now: self._progress("reading the index", now.done, now.total),
        )
        if report.damaged:
            raise Corrupt(f"the index of {self._source} is damaged: {report.damaged[0].reason}")

    def _copy_index(self, index: Index) -> None:
        used = (index.env.info()["last_pgno"] + 1) * index.env.stat()["psize"]
        self._progress("copying the index", 0, 0)
        self._require_room(used)
        descriptor = self._destination.create(self._destination.work / "index" / "data.mdb")
        try:
            try:
                index.env.copyfd(descriptor, compact=True)
            except lmdb.Error:
                # A killed writer may leave pages that nobody has, and LMDB leaves out none but free ones.
                os.ftruncate(descriptor, 0)
                os.lseek(descriptor, 0, os.SEEK_SET)
                index.env.copyfd(descriptor, compact=False)
            device.sync_file(descriptor)
            self.report.bytes += os.fstat(descriptor).st_size
        except lmdb.Error as error:
            raise translate(error) from error
        finally:
            os.close(descriptor)

    def _look(self) -> Moment:
        """Find what the moment names, and what of it is not in the destination yet. Raises NotABackup."""
        old = Index(self._destination.path) if self._destination.is_whole else None
        index = Index(self._destination.work)
        try:
            with index.env.begin() as txn:
                counters = index.counters(txn)
                naming = Naming(index, txn)
                for number, named in enumerate(naming.contents()):
                    self._look_at(named, index, txn, old)
                    if number % _LOOK_EVERY_ROWS == 0:
                        self._progress("looking for new contents", 0, 0)
        finally:
            index.close()
            if old is not None:
                old.close()
        report = self.report
        report.objects, report.uploads, report.parts = naming.objects, naming.uploads, naming.parts
        report.sequence = counters.sequence
        return Moment(counters.sequence, counters.generation, counters.next_id, report.taken_ms)

    def _look_at(self, named: Named, index: Index, txn: lmdb.Transaction, old: Index | None) -> None:
        reference = named.reference
        reason = named.reason
        if reference.kind == BLOB and self._is_index_only:
            self.report.elsewhere += 1
        elif reference.kind == BLOB:
            if self._is_kept(reference, old):
                self.report.kept += 1
            else:
                self._wanted.add(reference)
        elif reference.kind == INLINE and reference.id:
            try:
                inline_content(index, reference, txn)
            except Corrupt as error:
                reason = str(error)
        if reason:
            self.report.damaged.append(Damage(named.bucket, named.key, reason, named.upload_id))

    def _is_kept(self, reference: Reference, old: Index | None) -> bool:
        """Tell whether the destination has a blob; one that the last backup does not name may be replaced."""
        found = copying.summary(self._path(reference.id))
        if found == (reference.size, reference.crc):
            return True
        if found is not None and old is not None:
            with old.env.begin() as txn:
                if txn.get(pack_id(reference.id), db=old.blobs) is not None:
                    raise NotABackup(
                        f"{self._destination.path} has another blob {reference.id}: it is a backup of another"
                        " store, or of one that went back to an earlier moment since"
                    )
        return False

    def _path(self, blob_id: int) -> Path:
        return copying.path(self._destination.path, blob_id)

    def _require_room(self, needed: int) -> None:
        device_now = os.statvfs(self._destination.path)
        room = device_now.f_bavail * device_now.f_frsize
        if needed > room:
            raise StoreFull(
                f"no room for the backup in {self._destination.path}: {needed} bytes needed, {room} free"
            )

    def _copy_blobs(self) -> None:
        """Copy what is wanted; the pool's threads sync, so that the device has several syncs to join."""
        total = sum(self._wanted.sizes)
        if not self._is_linked:
            self._require_room(total + device.PAGE * len(self._wanted.ids))
        self._progress("copying", 0, total)
        pool = ThreadPoolExecutor(_THREADS, "anys3-backup")
        try:
            pending: set[Future[None]] = set()
            for reference in self._wanted.references():
                pending.add(pool.submit(self._copy_blob, reference))
                while len(pending) >= _AT_ONCE:
                    pending = self._settle(pending, total)
            while pending:
                pending = self._settle(pending, total)
        finally:
            pool.shutdown(cancel_futures=True)

    def _settle(self, pending: set[Future[None]], total: int) -> set[Future[None]]:
        done, left = wait(pending, _LOOK_EVERY_S, "FIRST_COMPLETED")
        for one in done:
            one.result()
        self._progress("copying", self._done, total)
        return left

    def _copy_blob(self, reference: Reference) -> None:
        """Copy and verify one blob. A damaged one is copied as it is: its other blocks can still be read."""
        source = copying.path(self._source, reference.id)
        new = self._destination.work / f"{reference.id:016x}"
        try:
            reading = device.open_to_read(source)
        except FileNotFoundError:
            self._fail(reference, f"blob {reference.id} is missing", is_missing=True)
            return
        writing = self._destination.create(new)
        try:
            reason = self._copy_bytes(reading, writing, reference)
            device.sync_file(reading if self._is_linked else writing)
        finally:
            os.close(reading)
            os.close(writing)
        if self._is_linked:
            new.unlink()
            os.link(source, new)
        new.replace(self._path(reference.id))
        with self._lock:
            self.report.copied += 1
        if reason:
            self._fail(reference, reason, is_missing=False)

    def _copy_bytes(self, reading: int, writing: int, reference: Reference) -> str:
        """Copy a file, and return what is wrong with it, "" if nothing is."""
        buffer = memoryview(bytearray(_BUFFER))
        sums: list[int] = []
        trailer = b""
        at = 0
        while True:
            try:
                got = device.read_at(reading, buffer, at)
            except OSError as error:
                return f"blob {reference.id} cannot be read: {error.strerror}"
            if not got:
                break
            content = min(max(reference.size - at, 0), got)
            sums += [crc32(buffer[block : min(block + BLOCK, content)]) for block in range(0, content, BLOCK)]
            trailer += buffer[content:got]
            if not self._is_linked:
                device.write_at(writing, buffer[:got], at)
            at += got
            with self._lock:
                self._done += content
                self.report.bytes += 0 if self._is_linked else got
        return copying.judge(reference, sums, trailer)

    def _fail(self, reference: Reference, reason: str, *, is_missing: bool) -> None:
        with self._lock:
            self._failed[reference.id] = (reason, is_missing)

    def _name_failed(self) -> None:
        """Find out which objects the blobs belong to that could not be copied."""
        if not self._failed:
            return
        index = Index(self._destination.work)
        try:
            with index.env.begin() as txn:
                for named in Naming(index, txn).contents():
                    reason, is_missing = self._failed.get(named.reference.id, ("", False))
                    if reason and named.reference.kind == BLOB:
                        found = self.report.missing if is_missing else self.report.damaged
                        found.append(Damage(named.bucket, named.key, reason, named.upload_id))
        finally:
            index.close()

    def _copy_beside(self, name: str) -> None:
        try:
            data = (self._source / name).read_bytes()
            mode = (self._source / name).stat().st_mode & 0o777
        except FileNotFoundError:
            return
        self._destination.write(name, data, mode)

    def _sync(self) -> None:
        """Make the names of the new blobs durable; their bytes are."""
        path = self._destination.path
        for folder in sorted({blob_id & 0xFF for blob_id in self._wanted.ids}):
            device.sync_directory(path / "blobs" / f"{folder:02x}")
        device.sync_directory(path / "blobs")
        device.sync_directory(path)

    def _remove_unnamed(self) -> None:
        """Remove what only older backups named."""
        index = Index(self._destination.path)
        try:
            for folder in sorted((self._destination.path / "blobs").iterdir()):
                with index.env.begin() as txn:
                    for file in sorted(folder.glob("[0-9a-f]" * 16)):
                        if index.rows.blobs.get(txn, pack_id(int(file.name, 16))) is None:
                            file.unlink()
                            self.report.removed += 1
        finally:
            index.close()


class _Pinned:
    """The store's index, open beside a server; while it is, nothing that it names now is removed."""

    def __init__(self, source: Path) -> None:
        self._source = source

    def __enter__(self) -> Index:
        recovery.prepare_guest(self._source)
        self._index = Index(self._source)
        try:
            self._control = Control(self._source, None)
        except BaseException:
            self._index.close()
            raise
        # Before the moment, so that no janitor is faster. (0 would be no pin, and before 1 there is no blob.)
        self._control.pin(max(self._index.counters().sequence, 1))
        return self._index

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._index.close()


def backup(
    source: str | Path,
    destination: str | Path,
    *,
    now_ms: int,
    is_linked: bool = False,
    is_index_only: bool = False,
    beside: Sequence[str] = (),
    progress: Progress = lambda *_: None,
) -> BackupReport:
    """Make `destination` a copy of the store in `source` at one moment, also while that is served.

    An earlier backup there is brought up to date, and stays whole until it is replaced at once; until the
    first one is finished nobody can take the directory for a store. Repeatable after being cut short. Raises
    NotABackup, NotAStore, NewerFormat, AlreadyServed (the destination is in use), ReadOnly, StoreFull,
    Unavailable, Corrupt, Unsuitable (`is_index_only` has to say whether large contents lie elsewhere).
    """
    store, to = Path(source), Path(destination)
    here, there = store.resolve(), to.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise NotABackup(f"{to} and {store} lie within each other")
    layout.prepare(store)
    remote.check_backup(store, is_index_only=is_index_only)
    place = Destination(to, store)
    try:
        place.take()
        if is_linked and store.stat().st_dev != to.stat().st_dev:
            raise Unavailable(f"hard links need {to} on the file system of {store}")
        run = Backup(
            store, place, now_ms=now_ms, is_linked=is_linked, is_index_only=is_index_only, progress=progress
        )
        return run.run([*beside, remote.FILE])
    except OSError as error:
        raise layout.explain(error, to) from error
    except lmdb.CorruptedError as error:
        raise Corrupt(f"the index of {store} is damaged: {error}") from error
    finally:
        place.close()
