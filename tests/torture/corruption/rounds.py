"""The rounds of the proof: a store, a server on it, and one kind of damage after the other."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from anys3.store.embedded.blobs import BLOCK
from tests.processes import ServerProcess, serving
from tests.torture.corruption import stores
from tests.torture.corruption.asking import RIGHT, Asker, Question
from tests.torture.corruption.damaging import (
    PAGE,
    Change,
    Tally,
    flips,
    live_pages,
    places,
    run_changes,
    smears,
    trailer_at,
)
from tests.torture.server import entry

AT_ONCE = "tests.torture.corruption.planted:restarts_at_once"


@contextmanager
def answering(
    folder: Path, fill: Callable[[ServerProcess], list[Question]], planted: str = AT_ONCE
) -> Iterator[Asker]:
    """A server, perhaps with a planted bug, on a new store, and questions that it has answered rightly."""
    with serving(folder / "store", entry=entry(planted)) as server:
        asker = Asker(server, fill(server))
        try:
            yield asker
        finally:
            asker.close()


def damage_index(
    asker: Asker, file: Path, tally: Tally, *, step: int, smeared: int, seed: int, end: float
) -> None:
    """Flip bits of about one in `step` of the bytes of the index that are in use, and smear its pages.

    Each bit of headers and pointers counts as a byte; they come first, and then all else in random order.
    """
    original = file.read_bytes()

    def late() -> bool:
        return time.monotonic() > end

    noise = smears(original, live_pages(file), smeared, seed)
    run_changes(file, noise, asker, tally, scrubs_one_in=4, seed=seed, stop=late)
    structure, content = places(original, live_pages(file))
    chance = random.Random(seed)
    bits = [(at, bit) for at in structure for bit in range(8)]
    bits = chance.sample(bits, len(bits) // step) if step > 1 else bits
    rest = [(at, chance.randrange(8)) for at in content]
    rest = chance.sample(rest, len(rest) // step)
    changes = (Change(at, bytes([original[at] ^ 1 << bit])) for at, bit in (*bits, *rest))
    run_changes(file, changes, asker, tally, scrubs_one_in=40, seed=seed, stop=late)
    tally.add("bits and bytes to be changed", len(bits) + len(rest))


def damage_blobs(
    asker: Asker, store: Path, tally: Tally, *, step: int, smeared: int, seed: int, end: float
) -> None:
    """Damage each blob: bits, pieces, its length, another's file under its name, no file at all."""
    files = sorted((file for file in store.glob("blobs/??/*")), key=lambda file: file.stat().st_size)
    named = [file for file in files if _matters(asker, file)]

    def late() -> bool:
        return time.monotonic() > end

    for number, file in enumerate(named):
        original = file.read_bytes()
        size, tail = len(original), trailer_at(len(original))
        sparse = step if size < 2 * BLOCK else max(step, size // 4000 * step // 8 + 1)
        run_changes(
            file,
            flips(tail, step=sparse, seed=seed, original=lambda at, o=original: o[at]),
            asker, tally, scrubs_one_in=500, seed=seed, stop=late,
        )  # fmt: skip
        table = flips(
            size - tail, start=tail, step=max(1, step // 20), seed=seed, original=lambda at, o=original: o[at]
        )
        run_changes(file, table, asker, tally, scrubs_one_in=50, seed=seed, stop=late)
        noise = smears(original, range(-(-size // PAGE)), smeared, seed)
        run_changes(file, noise, asker, tally, scrubs_one_in=20, seed=seed, stop=late)
        _replace(asker, file, named[number - 1].read_bytes(), tally)


def _matters(asker: Asker, file: Path) -> bool:
    """Tell whether the questions read a file: what was copied meanwhile belongs to the upload."""
    aside = file.with_name("aside")
    try:
        file.rename(aside)
    except FileNotFoundError:  # a part that was replaced by the next copy
        return False
    try:
        return any(verdict != RIGHT for verdict in asker.ask())
    finally:
        aside.rename(file)


def _replace(asker: Asker, file: Path, other: bytes, tally: Tally) -> None:
    """Cut the file at each border, lengthen it, empty it, put another's bytes there, take it away."""
    original = file.read_bytes()
    borders = {0, 1, len(original) - 1, *range(0, len(original), BLOCK)}
    contents: list[bytes | None] = [original[:at] for at in sorted(borders)]
    contents += [original + b"\0", bytes(len(original)), other, None]
    for content in contents:
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        verdicts = asker.ask()
        file.write_bytes(original)
        worst = "WRONG" if "WRONG" in verdicts else RIGHT if set(verdicts) == {RIGHT} else "refused"
        tally.add("files replaced")
        tally.add("refused" if worst == "refused" else "silent")
        if worst != "refused":
            size = "no file" if content is None else f"{len(content)} bytes"
            tally.violations.append(f"{file.name} replaced by {size}: {worst}")


def truncate_index(folder: Path, store: Path, tally: Tally, *, cuts: int = 12) -> None:
    """Start a server on the store with its index cut at each page: it must refuse in words."""
    original = (store / "index" / "data.mdb").read_bytes()
    for at in range(0, len(original) + 1, PAGE * max(1, len(original) // PAGE // cuts)):
        copy = folder / "cut"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(store, copy)
        with (copy / "index" / "data.mdb").open("r+b") as file:
            file.truncate(at)
        tally.add("indexes cut")
        _start_on(copy, at, tally)


def _start_on(copy: Path, at: int, tally: Tally) -> None:
    server = ServerProcess(copy)
    try:
        server.start()
    except AssertionError as error:
        tally.add("refused at start")
        if "damaged" not in str(error):
            tally.violations.append(f"index cut at {at}: no clear word: {str(error)[-300:]}")
    else:
        if at < (copy.parent / "store" / "index" / "data.mdb").stat().st_size:
            tally.violations.append(f"index cut at {at}: the server starts")
    finally:
        server.close()


__all__ = ["Change", "answering", "damage_blobs", "damage_index", "stores", "truncate_index"]
