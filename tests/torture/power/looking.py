"""Starts a store on what power loss has left, reads all of it, and says what is wrong with it.

    python -m tests.torture.power.looking

is a process of its own: what LMDB does with pages that are not there is a signal, not an exception.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import pickle
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

from anys3.store.embedded import EmbeddedStore, checkpoints, open_store, recover
from anys3.store.embedded.scrub import Scrub
from anys3.store.errors import StoreError
from anys3.store.mutations import PutEntry
from tests.store.suite import change, content, entry, read
from tests.torture.journal import OPEN, Place, Value, Version

PROBE = 200_000


@dataclass(slots=True)
class Found:
    """What a start has found, and what is wrong with it whatever was promised."""

    observed: dict[Place, Value] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    is_read: bool = False
    """Whether all of it could be read."""


def look(path: Path, *, probes: bool) -> Found:
    """Start the store in `path` as a server does, after the kernel was restarted, and read all of it."""
    found = Found()
    try:
        recover(path)
        asyncio.run(_look(path, found, probes=probes))
    except (StoreError, OSError, AssertionError) as error:
        found.wrong.append(f"the store can't be started and read: {type(error).__name__}: {error}")
    else:
        found.is_read = True
    return found


async def _look(path: Path, found: Found, *, probes: bool) -> None:
    store = open_store(path)
    try:
        await _observe(store, found)
        report = Scrub(store, lambda _: None).run()
        found.wrong += [f"scrub finds {one}" for one in (*report.damaged, *report.missing)]
        found.orphans = list(report.orphans)
        found.wrong += _leftovers(path)
        if probes:
            await _probe(store)
    finally:
        await store.close()


async def _observe(store: EmbeddedStore, found: Found) -> None:
    """Read everything that a client could see."""
    for bucket in await store.buckets():
        found.observed["bucket", bucket.name] = True
        if bucket.cors:
            found.observed["cors", bucket.name] = str(bucket.cors[0].max_age_s)
        page = await store.list(bucket, b"", b"", b"", 100_000)
        for key, row in page.rows:
            opened = await store.open(bucket, key)
            assert opened is not None, f"{key!r} is listed and not there"
            shown = opened.entry
            if b"<Size>%d</Size>" % shown.size not in row or shown.etag.encode() not in row:
                found.wrong.append(f"LIST says {row!r} of {key!r}, whose row says {shown}")
            digest = hashlib.sha256(read(opened)).hexdigest()
            place = ("object", bucket.name, key.decode())
            found.observed[place] = Version(
                shown.etag, shown.size, digest, _headers(shown.stored), shown.tags
            )
        for upload in (await store.uploads(bucket, b"", b"", b"", None, 100_000)).uploads:
            place = (bucket.name, upload.key.decode(), upload.upload_id)
            found.observed["upload", *place] = OPEN
            for part in await store.parts(bucket, upload.key, upload.upload_id):
                found.observed["part", *place, part.number] = (part.etag, part.size)


def _headers(stored: bytes) -> tuple[tuple[str, str], ...]:
    pairs = (line.split(": ", 1) for line in stored.decode().split("\r\n") if line)
    return tuple(sorted((name.lower(), value) for name, value in pairs))


async def _probe(store: EmbeddedStore) -> None:
    """Put something into the recovered store and read it: ids that are given again must not be in the way."""
    for bucket in (await store.buckets())[:1]:
        for number in range(2):
            body = random.Random(number).randbytes(PROBE)
            await change(store, bucket, PutEntry(b"probe", entry(PROBE), content(store, body)))
            assert read(await store.open(bucket, b"probe")) == body


def _leftovers(path: Path) -> list[str]:
    """Return what is wrong with the directories themselves."""
    wrong = [f"left behind: {left.name}" for left in path.glob("incoming/*/*")]
    missing = 256 - sum(1 for _ in (path / "blobs").iterdir())
    return wrong + ([f"{missing} directories of blobs are missing"] if missing else [])


def main() -> None:
    """Look at each store that a line of the standard input names, behind "1 " or "0 " for probes or none."""
    checkpoints.boot_id = lambda: b"another run of the kernel".ljust(36)
    for line in sys.stdin:
        probes, _, path = line.rstrip("\n").partition(" ")
        pickle.dump(look(Path(path), probes=probes == "1"), sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    # What it sends is then of the class that the reader has.
    importlib.import_module("tests.torture.power.looking").main()
