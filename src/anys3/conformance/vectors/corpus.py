"""Corpora: files and folders of vectors, read and selected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from anys3.conformance.vectors import definition
from anys3.conformance.vectors.definition import Vector
from anys3.conformance.vectors.placeholders import DefinitionError

MANIFEST = "manifest.json"


class NoVectors(Exception):
    """The paths or the selection leave nothing to run; the message says which."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One vector as it was found: `vector` is None if its definition is broken, and `error` says how."""

    id: str
    group: str
    tags: tuple[str, ...]
    title: str
    vector: Vector | None = None
    error: str = ""
    is_skipped: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which vectors to run. Ids and groups may be patterns (`put-object-*`).

    Those that are named select, all others drop out; `exclude` drops without trace; `skip` keeps a vector in
    the report as skipped. Of several kinds (tags and groups) each must select.
    """

    tags: Sequence[str] = ()
    groups: Sequence[str] = ()
    ids: Sequence[str] = ()
    exclude_tags: Sequence[str] = ()
    exclude_groups: Sequence[str] = ()
    exclude_ids: Sequence[str] = ()
    skip_tags: Sequence[str] = ()
    skip_groups: Sequence[str] = ()
    skip_ids: Sequence[str] = ()

    def apply(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries that are left, with those to be skipped marked."""
        return [
            replace(each, is_skipped=self._names(each, self.skip_tags, self.skip_groups, self.skip_ids))
            for each in entries
            if self._selects(each)
            and not self._names(each, self.exclude_tags, self.exclude_groups, self.exclude_ids)
        ]

    def _selects(self, entry: Entry) -> bool:
        return (
            (not self.tags or self._names(entry, self.tags, (), ()))
            and (not self.groups or self._names(entry, (), self.groups, ()))
            and (not self.ids or self._names(entry, (), (), self.ids))
        )

    @staticmethod
    def _names(entry: Entry, tags: Sequence[str], groups: Sequence[str], ids: Sequence[str]) -> bool:
        return (
            any(fnmatchcase(tag, each) for tag in entry.tags for each in tags)
            or any(fnmatchcase(entry.group, each) for each in groups)
            or any(fnmatchcase(entry.id, each) for each in ids)
        )


def read(paths: Sequence[Path]) -> list[Entry]:
    """Return all vectors of files and folders, in order of file name and place, broken ones among them.

    Raises NoVectors: a path does not exist, or a folder has no file of vectors.
    """
    entries: list[Entry] = []
    for path in paths:
        if path.is_dir():
            entries += _folder(path)
        elif path.is_file():
            entries += _file(path)
        else:
            raise NoVectors(f"{path}: no such file or folder")
    return _without_twins(entries)


def _folder(folder: Path) -> list[Entry]:
    files = sorted(each for each in folder.glob("*.json") if each.name != MANIFEST)
    if not files:
        raise NoVectors(f"{folder}: no *.json with vectors in it")
    entries = [entry for each in files for entry in _file(each)]
    if (folder / MANIFEST).is_file():
        entries += _manifest(folder / MANIFEST, entries)
    return entries


def _manifest(path: Path, entries: Sequence[Entry]) -> Iterator[Entry]:
    """Yield what the manifest says that is not so."""
    manifest, error = _json(path)
    if error or not isinstance(manifest, dict):
        yield _broken_file(path, error or "expected an object")
        return
    if unknown := sorted(manifest.keys() - {"version", "total", "groups"}):
        yield _broken_file(
            path, f"unknown keys {', '.join(map(repr, unknown))}; expected version, total, groups"
        )
    total = manifest.get("total")
    if total is not None and total != len(entries):
        yield _broken_file(path, f"total is {total!r}; the files hold {len(entries)}")
    groups = manifest.get("groups")
    if isinstance(groups, (list, dict)) and all(isinstance(each, str) for each in groups):
        found = {each.group for each in entries}
        if missing := sorted(set(groups) - found):
            yield _broken_file(path, f"no file holds the groups {', '.join(missing)}")


def _file(path: Path) -> list[Entry]:
    document, error = _json(path)
    if error:
        return [_broken_file(path, error)]
    if not isinstance(document, dict) or not isinstance(document.get("vectors"), list):
        return [_broken_file(path, 'expected {"vectors": [...]}')]
    entries = [_entry(row, f"{path.name}[{index}]") for index, row in enumerate(document["vectors"])]
    unknown = sorted(document.keys() - {"vectors"})
    if unknown:
        names = ", ".join(map(repr, unknown))
        entries.append(_broken_file(path, f"unknown keys {names} beside 'vectors'"))
    return entries


def _json(path: Path) -> tuple[Any, str]:
    try:
        return json.loads(path.read_text("utf-8")), ""
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"


def _broken_file(path: Path, error: str) -> Entry:
    return Entry(path.name, path.stem, (), path.name, error=f"{path.name}: {error}")


def _entry(row: Any, place: str) -> Entry:
    known = row if isinstance(row, dict) else {}
    texts = {name: known[name] for name in ("id", "group", "title") if isinstance(known.get(name), str)}
    tags = known.get("tags")
    entry = Entry(
        texts.get("id") or place,
        texts.get("group", ""),
        tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        texts.get("title", ""),
    )
    try:
        return replace(entry, vector=definition.parse(row))
    except DefinitionError as error:
        return replace(entry, error=str(error))
    except RecursionError:
        return replace(entry, error="nested too deeply")


def _without_twins(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries; of those with one id all but the first are broken."""
    seen: set[str] = set()
    result = []
    for each in entries:
        is_twin = each.id in seen
        seen.add(each.id)
        result.append(replace(each, vector=None, error=f"the id {each.id!r} is taken") if is_twin else each)
    return result
