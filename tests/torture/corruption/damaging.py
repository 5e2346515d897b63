"""Damage done to files of a store, one change at a time, beside a server that answers; and what came of it."""

from __future__ import annotations

import os
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from anys3.store.embedded.blobs import BLOCK, FOOTER
from anys3.store.embedded.inspecting import inspect_unopened
from anys3.store.embedded.pages import Inspection, Tree, metas
from anys3.store.embedded.scrub import scrub
from anys3.store.errors import StoreError
from tests.torture.corruption.asking import CRASHED, LOUD, RIGHT, WRONG, Asker

PAGE = 4096


class Change(NamedTuple):
    """Bytes put somewhere into a file."""

    offset: int
    data: bytes


@dataclass
class Tally:
    """What was changed, and what came of it."""

    counted: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    """Wrong answers about the index that scrub explains: a page that hides rows."""

    def add(self, what: str, count: int = 1) -> None:
        """Count something."""
        self.counted[what] += count


def run_changes(
    file: Path,
    changes: Iterable[Change],
    asker: Asker,
    tally: Tally,
    *,
    scrubs_one_in: int,
    seed: int,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Do each change, ask, scrub now and then, undo it; what is wrong is a violation."""
    chance = random.Random(seed)
    store = file.parent.parent if file.name == "data.mdb" else file.parent.parent.parent
    descriptor = os.open(file, os.O_RDWR)
    try:
        for change in changes:
            if stop():
                return
            was = os.pread(descriptor, len(change.data), change.offset)
            if was == change.data:
                continue
            os.pwrite(descriptor, change.data, change.offset)
            try:
                verdicts = asker.ask()
                outcome = _worst(verdicts)
                is_found = None
                if outcome != RIGHT or chance.randrange(scrubs_one_in) == 0:
                    is_found = scrub_finds(store, needs_contents=outcome == RIGHT or chance.randrange(8) == 0)
            finally:
                os.pwrite(descriptor, was, change.offset)
            asker.revive()
            _count(file, change, was, asker, verdicts, outcome, is_found, tally)
    finally:
        os.close(descriptor)


def _count(
    file: Path,
    change: Change,
    was: bytes,
    asker: Asker,
    verdicts: list[str],
    outcome: str,
    is_found: bool | None,
    tally: Tally,
) -> None:
    tally.add("bytes changed", sum(a != b for a, b in zip(was, change.data, strict=True)))
    tally.add("changes")
    tally.add({RIGHT: "harmless", LOUD: "refused", CRASHED: "crashed", WRONG: "silent"}[outcome])
    if is_found is not None:
        tally.add("scrubs")
    where = (
        f"{file.name} at {change.offset} (page {change.offset // PAGE}): {was.hex()} -> {change.data.hex()}"
    )
    asked = [
        f"{question.name}: {verdict}" for question, verdict in zip(asker.questions, verdicts, strict=True)
    ]
    bad = ", ".join(line for line in asked if not line.endswith(RIGHT))[:300]
    if outcome == RIGHT and is_found:
        tally.add("found by scrub alone")
    if outcome == WRONG:
        (tally.hidden if is_found and file.name == "data.mdb" else tally.violations).append(f"{where}: {bad}")
    elif outcome != RIGHT and is_found is False:
        tally.violations.append(f"scrub finds nothing: {where}: {bad}")


def _worst(verdicts: list[str]) -> str:
    return next((each for each in (WRONG, CRASHED, LOUD) if each in verdicts), RIGHT)


def scrub_finds(store: Path, *, needs_contents: bool = True) -> bool | None:
    """Tell whether scrub finds damage, from a process of its own, which may crash. None: pages only, clean."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            report = inspect_unopened(store, lambda _: None)
            if report.is_clean and needs_contents:
                report = scrub(store)
            code = 2 if not report.is_clean else 1 if needs_contents else 0
        except StoreError:
            code = 2  # refused
        except BaseException as error:  # noqa: BLE001 (the process ends here)
            os.write(2, f"scrub: {error!r}\n".encode())
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 1, 2):
        raise AssertionError(f"scrub ended with {code}")
    return {0: None, 1: False, 2: True}[code]


def flips(
    size: int, *, start: int = 0, step: int, seed: int, original: Callable[[int], int]
) -> Iterator[Change]:
    """Flip one bit in every `step`th byte; with 1 every byte is changed once."""
    chance = random.Random(seed)
    for at in range(start, start + size):
        if step == 1 or chance.randrange(step) == 0:
            yield Change(at, bytes([original(at) ^ 1 << chance.randrange(8)]))


def smears(original: bytes, pages: Sequence[int], count: int, seed: int) -> Iterator[Change]:
    """Damage several bytes of some pages together: zeroes, ones, noise, a piece of another page."""
    chance = random.Random(seed)
    for _ in range(count):
        length = chance.choice((2, 8, 64, 512, PAGE, 2 * PAGE))
        at = chance.choice(pages) * PAGE + (chance.randrange(PAGE) if length < 512 else 0)
        length = min(length, len(original) - at)
        other = chance.choice(pages) * PAGE
        kinds = (
            bytes(length), b"\xff" * length, chance.randbytes(length), original[other : other + length].ljust(length),
        )  # fmt: skip
        yield Change(at, chance.choice(kinds))


class _Collecting(Inspection):
    """Notes which pages are in use."""

    live: list[int]

    def _take(self, number: int, level: int, tree: Tree) -> bytes:
        self.live.append(number)
        return super()._take(number, level, tree)

    def _overflow(self, number: int, size: int) -> tuple[bytes, int]:
        content, count = super()._overflow(number, size)
        self.live.extend(range(number, number + count))
        return content, count


def live_pages(file: Path) -> list[int]:
    """Return the pages of an index that its newest commit uses; nobody may be writing."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        newest = max(meta.transaction for meta in metas(descriptor, PAGE)[0])
        inspection = _Collecting(descriptor, PAGE, newest, lambda *_: None)
        inspection.live = [0, 1]
        inspection.run()
    finally:
        os.close(descriptor)
    assert not inspection.damaged
    return sorted(inspection.live)


def places(original: bytes, pages: Iterable[int]) -> tuple[list[int], list[int]]:
    """Return where headers and pointers lie in these pages, and all other bytes that are in use."""
    structure: list[int] = []
    content: list[int] = []
    for page in pages:
        at = page * PAGE
        lower, upper = struct.unpack_from("=HH", original, at + 12)
        flags = struct.unpack_from("=H", original, at + 10)[0]
        if flags & 8:  # a meta page
            lower, upper = 152, PAGE
        elif not flags & 3:  # an overflow page: a header, and bytes that have a checksum elsewhere
            lower, upper = 16, 16
        structure += range(at, at + lower)
        content += range(at + upper, at + PAGE)
    return structure, content


def trailer_at(size: int) -> int:
    """Return where a blob's table of checksums begins, from the size of its file."""
    for blocks in range(1, 1 << 16):
        body = size - FOOTER.size - 4 * blocks
        if -(-body // BLOCK) == blocks:
            return body
    raise AssertionError(struct.error)
