"""The store behind an administrative command: found, opened beside a running server, and closed again."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from anys3.server.config import DEFAULT_DIRECTORY
from anys3.server.directory import open_existing, refusing
from anys3.store.interface import Store


def directory_of(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Path:
    """Return the server's directory: --dir, else ANYS3_DIR, else ./data."""
    given: Path | None = arguments.dir
    return given or Path(environment.get("ANYS3_DIR") or DEFAULT_DIRECTORY)


def with_store(directory: Path, command: Callable[[Store], Awaitable[int]]) -> int:
    """Run a command on the store of a directory, which a server may be using, and return its exit code.

    Raises Refusal if there is no store, or none that this version can use.
    """

    async def run() -> int:
        with refusing(directory):
            store = open_existing(directory)
            try:
                return await command(store)
            finally:
                await store.close()

    return asyncio.run(run())
