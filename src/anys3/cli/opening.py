"""The store behind an administrative command: found, opened beside running servers, and closed again."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from anys3.server.config import DEFAULT_DIRECTORY, place_in
from anys3.server.locations import open_existing, refusing
from anys3.server.refusals import Exit, Refusal
from anys3.store.interface import Store
from anys3.store.opening import Location, check_index


class Place(NamedTuple):
    """Where a command's store lies, and the directory with the audit log and a copy of the root key, if any."""

    location: Location
    directory: Path | None


def place_of(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Place:
    """Return the store's place: --index, else ANYS3_INDEX, else the directory. Raises Refusal."""
    index: str = arguments.index or place_in(environment, "index")
    if not index:
        directory = directory_of(arguments, environment)
        return Place(Location(directory), directory)
    try:
        check_index(index)
    except ValueError as error:
        raise Refusal(Exit.USAGE, f"ANYS3_INDEX: {error}") from None
    named = arguments.dir or place_in(environment, "dir")
    return Place(Location(index=index), Path(named) if named else None)


def directory_of(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Path:
    """Return the server's directory: --dir, else ANYS3_DIR, else ./data. Raises Refusal."""
    given: Path | None = arguments.dir
    return given or Path(place_in(environment, "dir") or DEFAULT_DIRECTORY)


def with_store(location: Location, command: Callable[[Store], Awaitable[int]]) -> int:
    """Run a command on a store, which servers may be using, and return its exit code.

    Raises Refusal if there is no store, or none that this version can use.
    """

    async def run() -> int:
        store = await open_existing(location)
        with refusing(location):
            try:
                return await command(store)
            finally:
                await store.close()

    return asyncio.run(run())
