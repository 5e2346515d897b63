"""Looks at a store's directory for what leaked, what is missing and what is left over; nothing may be writing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anys3.store.embedded import format as records
from anys3.store.embedded import strides
from anys3.store.embedded.engine import EmbeddedStore, open_store
from anys3.store.embedded.format import BLOB, INLINE, MANIFEST, Reference, pack_id, unpack_id
from anys3.store.embedded.index import Index
from anys3.store.embedded.multipart import read_manifest
from anys3.store.embedded.rows import Rows
from anys3.store.embedded.scrub import Scrub

SETTLE_S = 20.0
"""How long the janitor of a server may take to work off what a crash, or the last request, left."""


@dataclass(slots=True)
class Named:
    """What the rows of an index name, from buckets down to contents."""

    blobs: set[int] = field(default_factory=set)
    inline: set[int] = field(default_factory=set)
    manifests: set[int] = field(default_factory=set)
    uploads: set[int] = field(default_factory=set)
    namespaces: set[bytes] = field(default_factory=set)


def check(path: Path, *, settle_s: float = SETTLE_S) -> list[str]:
    """Return what is wrong on disk, in words, beside a server that has recovered the store and is idle.

    Every content is read. Leftovers count once they are still there after `settle_s`: files of blobs and
    rows that nothing names, what lies in incoming/, and the outbox.
    """
    deadline = time.monotonic() + settle_s
    store = open_store(path, is_server=False)
    try:
        report = Scrub(store, lambda _: None).run()
        found = [f"missing: {damage}" for damage in report.missing]
        found += [f"damaged: {damage}" for damage in report.damaged]
        while left := leftovers(store):
            if time.monotonic() > deadline:
                return found + left
            time.sleep(0.05)
    finally:
        store.shut()
    return found


def leftovers(store: EmbeddedStore) -> list[str]:
    """Return what takes room and is named by nothing, and what is named and not there, now."""
    index, found = store.index, []
    with index.env.begin() as txn:
        named = name_all(index, txn)
        outbox = txn.stat(index.freed)["entries"]
        tables = {
            "blobs": (named.blobs, _first_ids(txn, index.blobs)),
            "inline": (named.inline, _first_ids(txn, index.inline)),
            "manifests": (named.manifests, _first_ids(txn, index.manifests)),
            "parts": (named.uploads, _first_ids(txn, index.parts)),
        }
        namespaces = {
            place[:8] for table in (index.entries, index.uploads) for place in _places(txn, table)
        } - named.namespaces
    if outbox:
        found.append(f"the outbox has {outbox} rows")
    for table, (wanted, present) in tables.items():
        if surplus := present - wanted:
            found.append(f"leaked: {table} has {len(surplus)} rows that nothing names: {sorted(surplus)[:5]}")
        if table != "parts" and (missing := wanted - present):
            found.append(f"lost: {table} has no row {sorted(missing)[:5]}")
    if namespaces:
        found.append(f"leaked: rows of {len(namespaces)} buckets that are gone")
    return found + _files(store.path, named) + _strangers(store.path)


def _files(path: Path, named: Named) -> list[str]:
    found = []
    files = {file.name: file for file in path.glob("blobs/??/*")}
    wanted = {f"{blob_id:016x}" for blob_id in named.blobs}
    if surplus := sorted(set(files) - wanted):
        found.append(f"leaked: {len(surplus)} blobs that no row names: {surplus[:5]}")
    if missing := sorted(wanted - set(files)):
        found.append(f"lost: {len(missing)} blobs that a row names: {missing[:5]}")
    if incoming := sorted(str(file.relative_to(path)) for file in path.glob("incoming/*/*")):
        found.append(f"left in incoming/: {incoming[:5]}")
    return found


def _strangers(path: Path) -> list[str]:
    """Name files that were to be renamed or removed at once, and that a kill left half-made."""
    passing = re.compile(r"[.](?!credentials-).*|new-.*|.*[.]new")  # (those go when they are a minute old)
    found = [file for folder in (path, path / "index") for file in folder.iterdir()]
    names = sorted(file.name for file in found if passing.fullmatch(file.name))
    return [f"left in the directory: {names}"] if names else []


def name_all(index: Index, txn: Any) -> Named:
    """Walk from the buckets to everything that they name."""
    named = Named()
    rows = index.rows
    for namespace in list(_places(txn, index.names)):
        for table in (rows.entries, rows.uploads):
            _namespaces(txn, table, namespace, named.namespaces)
        for _, row in strides.scan(txn, rows.entries, namespace, b""):
            _name(index, txn, records.entry_reference(row), named)
        for _, row in strides.scan(txn, rows.uploads, namespace, b""):
            row_id = records.upload_row_id(row)
            named.uploads.add(row_id)
            for place, value in strides.walk(txn, rows.parts, pack_id(row_id)):
                _name(index, txn, records.part_reference(rows.parts.content(place, value)), named)
    return named


def _name(index: Index, txn: Any, reference: Reference, named: Named) -> None:
    if reference.kind == BLOB:
        named.blobs.add(reference.id)
    elif reference.kind == INLINE and reference.id:
        named.inline.add(reference.id)
    elif reference.kind == MANIFEST:
        named.manifests.add(reference.id)
        for part in read_manifest(index, txn, reference):
            assert isinstance(part.content, Reference)
            _name(index, txn, part.content, named)


def _namespaces(txn: Any, table: Rows, namespace: bytes, found: set[bytes]) -> None:
    """Add a namespace, and those below it for keys that continue there."""
    found.add(namespace)
    for place, value in strides.walk(txn, table, namespace):
        if place.endswith(strides.DESCEND):
            _namespaces(txn, table, table.content(place, value), found)


def _places(txn: Any, table: Any) -> Iterator[bytes]:
    with txn.cursor(db=table) as cursor:
        yield from cursor.iternext(values=False)


def _first_ids(txn: Any, table: Any) -> set[int]:
    return {unpack_id(place) for place in _places(txn, table)}
