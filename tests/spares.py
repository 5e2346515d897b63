"""The spare buffers of large transfers: counted, or taken away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anys3.store.buffers import BUFFERS


@contextmanager
def no_spares() -> Iterator[int]:
    """Hold every spare buffer, so that transfers have to do without; yields how many there were."""
    spares = list(iter(BUFFERS.take_spare, None))
    try:
        yield len(spares)
    finally:
        for spare in spares:
            BUFFERS.give_spare(spare)


def count_of_spares() -> int:
    """Return how many spare buffers nobody uses."""
    with no_spares() as count:
        return count
