"""The planted bugs, each with the damage that shows it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from anys3.store.embedded.blobs import BLOCK
from tests.processes import ServerProcess
from tests.torture.corruption import planted, rounds, stores
from tests.torture.corruption.asking import RIGHT, Asker
from tests.torture.corruption.damaging import scrub_finds

_MODULE = "tests.torture.corruption.planted"


def _flip(file: Path, at: int) -> None:
    with file.open("r+b") as opened:
        byte = os.pread(opened.fileno(), 1, at)[0]
        os.pwrite(opened.fileno(), bytes([byte ^ 1]), at)


def _blob(store: Path, size: int) -> Path:
    return next(file for file in store.glob("blobs/??/*") if size < file.stat().st_size < size + 200)


def _damage_block(store: Path) -> None:
    _flip(_blob(store, stores.SIZES["blocks"]), 17)


def _damage_last_block(store: Path) -> None:
    _flip(_blob(store, stores.SIZES["blocks"]), 3 * BLOCK + 3)


def damage_everywhere(store: Path, what: bytes) -> None:
    """Flip a bit in each copy of some bytes: old pages have them, too."""
    file = store / "index" / "data.mdb"
    raw, at = file.read_bytes(), 0
    while (at := raw.find(what, at)) >= 0:
        _flip(file, at)
        at += 1


def _damage_row(store: Path) -> None:
    damage_everywhere(store, b"x-amz-meta-number: 7\r\n")


def _damage_inline(store: Path) -> None:
    damage_everywhere(store, b"two" * 40)


def _damage_part(store: Path) -> None:
    damage_everywhere(store, b"unfinished-two")


def _damage_key(store: Path) -> None:
    damage_everywhere(store, b"key-017")


PLANTED: dict[str, tuple[Callable[[Path], None], Callable[[ServerProcess], list[stores.Question]]]] = {
    "blocks_are_not_verified": (_damage_block, stores.fill_blobs),
    "the_last_block_is_not_verified": (_damage_last_block, stores.fill_blobs),
    "rows_are_not_verified": (_damage_row, stores.fill_few),
    "inline_contents_are_not_verified": (_damage_inline, stores.fill_few),
    "a_listing_skips_damaged_rows": (_damage_row, stores.fill_few),
    "misses_are_believed": (_damage_key, stores.fill_few),
    "scrub_forgets_the_parts_of_uploads": (_damage_part, stores.fill_few),
}


def find(folder: Path, name: str) -> tuple[bool, bool]:
    """Return whether the harness finds a planted bug, and whether it finds nothing without it."""
    damage, fill = PLANTED[name]
    if name.startswith("scrub"):
        return _is_found_in_scrub(folder, name, damage, fill)
    return _is_wrong(folder / "with", damage, fill, f"{_MODULE}:{name}"), not _is_wrong(
        folder / "without", damage, fill, rounds.AT_ONCE
    )


def _is_wrong(
    folder: Path,
    damage: Callable[[Path], None],
    fill: Callable[[ServerProcess], list[stores.Question]],
    bug: str,
) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    with rounds.answering(folder, fill, bug) as asker:
        damage(folder / "store")
        verdicts = asker.ask()
    assert set(verdicts) != {RIGHT}, "the damage was not met"
    return "WRONG" in verdicts


def _is_found_in_scrub(
    folder: Path,
    name: str,
    damage: Callable[[Path], None],
    fill: Callable[[ServerProcess], list[stores.Question]],
) -> tuple[bool, bool]:
    folder.mkdir(parents=True, exist_ok=True)
    with rounds.answering(folder, fill) as asker:
        damage(folder / "store")
        assert isinstance(asker, Asker)
    # The damage lies in a part of an unfinished upload: a scrub that says that all is well has the bug.
    child = os.fork()
    if child == 0:
        code = 9
        try:
            getattr(planted, name)()
            code = int(scrub_finds(folder / "store") is False)
        finally:
            os._exit(code)
    is_missed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    return is_missed, scrub_finds(folder / "store") is True


def find_all(folder: Path, _: int = 0) -> dict[str, str]:
    """Return the planted bugs that were found, by name, with their sentences."""
    found = {}
    for name in PLANTED:
        if find(folder / name, name) == (True, True):
            found[name] = (getattr(planted, name).__doc__ or "").strip()
            print(f"found: {name}", flush=True)
    return found
