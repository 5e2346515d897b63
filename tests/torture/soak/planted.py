"""Leaks planted in a server: each is small, and the soak must see it grow."""

from __future__ import annotations

import os
from typing import Any

from anys3.server.application import Application
from anys3.store.embedded import blobs
from anys3.store.embedded.control import Control

NAMES = {
    "a_descriptor_for_each_get": "descriptors grew",
    "a_buffer_for_each_request": "memory_kib grew",
    "a_blob_that_stays": "blobs that no row names|files lie there",
    "a_pin_that_stays": "the outbox has|files lie there",
}
"""The leaks, and the words, as a regular expression, by which the soak tells of each."""
_KEPT: list[bytearray] = []


def a_descriptor_for_each_get() -> None:
    """Each GET leaves a descriptor open."""
    handle = Application.handle

    async def leaking(self: Application, request: Any) -> Any:
        if request.method == b"GET":
            os.dup(1)
        return await handle(self, request)

    Application.handle = leaking  # type: ignore[method-assign]


def a_buffer_for_each_request() -> None:
    """Each request leaves 64 KiB in memory."""
    handle = Application.handle

    async def leaking(self: Application, request: Any) -> Any:
        _KEPT.append(bytearray(b"\1") * (64 << 10))
        return await handle(self, request)

    Application.handle = leaking  # type: ignore[method-assign]


def a_blob_that_stays() -> None:
    """What the janitor removes keeps its file."""
    blobs.remove = lambda path: None


def a_pin_that_stays() -> None:
    """Now and then a pin is not ended, so that nothing newer is removed."""
    pin, count = Control.pin, [0]

    def leaking(self: Control, sequence: int) -> None:
        count[0] += 1
        if count[0] % 5 == 0:
            pin(self, sequence)
        pin(self, sequence)

    Control.pin = leaking  # type: ignore[method-assign]
