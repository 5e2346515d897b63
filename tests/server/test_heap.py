"""Memory that nobody uses goes back to the system after a flood, however it was used."""

from __future__ import annotations

import pytest

from anys3.server import platform

PIECE = 20_000
COUNT = platform.Heap.WORTH_GIVING_BACK // PIECE + 1000


@pytest.mark.skipif(not platform.Heap()._free_bytes(), reason="this C library does not tell what is free")
def test_what_a_flood_leaves_is_noticed_once() -> None:
    heap = platform.Heap()
    heap.has_ebbed()
    pieces = [bytes(PIECE) for _ in range(COUNT)]
    assert not heap.has_ebbed()
    between = pieces[:: COUNT // 4]  # stay, and keep the heap from shrinking by itself
    del pieces
    assert [heap.has_ebbed() for _ in range(3)] == [True, False, False]
    assert len(between) >= 4
    platform.give_memory_back()
