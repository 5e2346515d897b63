"""What every engine for blobs must do, and the store's contents on it: collected once an engine.

A subclass has the fixtures `open_blobs`, a function that opens the same place once more, and `replace`, which puts
other bytes under a name behind the engine's back. The place may hold other tests' blobs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anys3.store.blobs import BlobMissing, Blobs
from anys3.store.buffers import BUFFER
from anys3.store.contents import BLOCK, INLINE_MAX, Piece, Source, Stored, Writer, blob_size, read_blob
from anys3.store.errors import Corrupt, Unavailable
from tests.spares import count_of_spares

MIB = 1024 * 1024
BYTES = random.Random(6).randbytes(17 * MIB + 11)
SIZES = [
    0,
    1,
    4095,
    4096,
    4097,
    BLOCK + 4,
    MIB - 1,
    MIB,
    4 * MIB - 1,
    4 * MIB,
    4 * MIB + 1,
    8 * MIB,
    9 * MIB + 5,
]
WAIT_S = 120.0
Replace = Callable[[str, bytes], None]
_numbers = itertools.count(1)


def new_name() -> str:
    """Return a name that no blob has had."""
    return f"t-{os.getpid():x}-{time.time_ns():x}-{next(_numbers)}"


def write(blobs: Blobs, data: bytes, piece: int = 100_003, *, is_known: bool = True) -> str:
    """Write a blob in pieces; return its name."""
    name = new_name()
    sink = blobs.sink(name, len(data) if is_known else None)
    for at in range(0, len(data), piece):
        sink.write(data[at : at + piece])
    sink.finish()
    return name


def read(blobs: Blobs, name: str, start: int, length: int, piece: int = BLOCK + 4) -> bytes:
    """Read a range in pieces."""
    found = bytearray(length)
    reader = blobs.reader(name, start, length)
    try:
        for at in range(0, length, piece):
            reader.read_into(memoryview(found)[at : at + piece])
    finally:
        reader.close()
    return bytes(found)


def ranges(size: int) -> Iterator[tuple[int, int]]:
    """Yield starts and lengths that touch borders."""
    borders = {0, 1, 4095, 4096, MIB, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 8 * MIB, size // 2, size - 1, size}
    known = sorted(border for border in borders if 0 <= border <= size)
    yield from ((start, end - start) for start, end in itertools.pairwise(known))
    yield from ((start, size - start) for start in known)
    yield from ((start, 0) for start in known)


def present(blobs: Blobs, names: list[str]) -> list[str]:
    """Return those of the names that the engine lists, each as often as it does."""
    return sorted(found for found in blobs.names() if found in names)


def in_threads(count: int, work: Callable[[int], None]) -> list[BaseException]:
    """Do the work in threads; return what they raised."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    return errors


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait, not for ever."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Names:
    """The names of an index: those it gave, and those it got back."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.back: list[str] = []

    def new_name(self) -> str:
        self.given.append(new_name())
        return self.given[-1]

    def give_up(self, name: str) -> None:
        self.back.append(name)


def write_content(blobs: Blobs, data: bytes, piece: int = 100_003, *, is_known: bool = True) -> object:
    """Write a content in pieces."""
    writer = Writer(blobs, Names(), len(data) if is_known else None)
    for at in range(0, len(data), piece):
        writer.write(data[at : at + piece])
    return writer.finish()


def stored(blobs: Blobs, data: bytes) -> str:
    """Write a content that becomes a blob; return its name."""
    content = write_content(blobs, data)
    assert isinstance(content, Stored)
    assert content.size == len(data)
    return content.name


def raw(blobs: Blobs, name: str, size: int) -> bytearray:
    """Return the bytes of the blob of a content of `size` bytes."""
    return bytearray(read(blobs, name, 0, blob_size(size)))


def read_until_corrupt(blobs: Blobs, name: str, size: int, start: int, length: int) -> bytes:
    """Read a damaged content; return what came before Corrupt was raised."""
    found = bytearray()
    with pytest.raises(Corrupt):
        for block in read_blob(blobs, name, size, start, length):
            found += block
    return bytes(found)


class BlobsSuite:
    """The contract of `Blobs`."""

    @pytest.fixture
    def blobs(self, open_blobs: Callable[[], Blobs]) -> Iterator[Blobs]:
        """An engine."""
        blobs = open_blobs()
        yield blobs
        blobs.close()

    def test_figures_tell_no_name_of_a_blob(self, blobs: Blobs) -> None:
        name = write(blobs, BYTES[:MIB])
        figures = blobs.figures()
        blobs.remove([name])
        assert [each.name for each in figures if not each.name.startswith("anys3_")] == []
        assert [each.name for each in figures if each.value < 0] == []
        assert name not in repr(figures)

    # --- writing and reading

    @pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
    @pytest.mark.parametrize("size", SIZES)
    def test_what_was_written_is_read_in_any_range(self, blobs: Blobs, size: int, is_known: bool) -> None:
        name = write(blobs, BYTES[:size], is_known=is_known)
        wrong = [
            (start, length)
            for start, length in ranges(size)
            if read(blobs, name, start, length) != BYTES[start : start + length]
        ]
        assert wrong == []
        blobs.remove([name])

    @pytest.mark.parametrize("piece", [65_521, BLOCK + 4, 4 * MIB, 5 * MIB + 1, len(BYTES)])
    def test_pieces_of_any_size_are_taken_and_given(self, blobs: Blobs, piece: int) -> None:
        name = write(blobs, BYTES, piece)
        assert read(blobs, name, 0, len(BYTES), piece) == BYTES
        blobs.remove([name])

    def test_pieces_of_single_bytes_are_taken_and_given(self, blobs: Blobs) -> None:
        name = write(blobs, BYTES[:2000], 1)
        assert read(blobs, name, 0, 2000, 1) == BYTES[:2000]

    def test_memory_may_be_used_again_after_a_write(self, blobs: Blobs) -> None:
        name, view = new_name(), memoryview(bytearray(MIB))
        sink = blobs.sink(name, 10 * MIB)
        for at in range(0, 10 * MIB, MIB):
            view[:] = BYTES[at : at + MIB]
            sink.write(view)
        view[:] = bytes(MIB)
        sink.finish()
        assert read(blobs, name, 0, 10 * MIB) == BYTES[: 10 * MIB]

    def test_an_empty_blob_is_one(self, blobs: Blobs) -> None:
        name = write(blobs, b"")
        assert present(blobs, [name]) == [name]
        assert read(blobs, name, 0, 0) == b""
        blobs.remove([name])
        assert present(blobs, [name]) == []

    def test_a_reader_that_is_closed_early_disturbs_nobody(self, blobs: Blobs) -> None:
        name = write(blobs, BYTES)
        view = memoryview(bytearray(1000))
        for _ in range(50):
            reader = blobs.reader(name, 0, len(BYTES))
            reader.read_into(view)
            reader.close()
            reader.close()
        blobs.reader(name, 5, 10).close()
        assert read(blobs, name, 0, len(BYTES)) == BYTES

    def test_what_was_finished_is_there_for_another_process_at_once(
        self, open_blobs: Callable[[], Blobs]
    ) -> None:
        one, other = open_blobs(), open_blobs()
        name = write(one, BYTES)
        one.close()
        assert read(other, name, 0, len(BYTES)) == BYTES
        assert present(other, [name]) == [name]
        other.remove([name])
        other.close()

    def test_many_threads_do_not_mix_their_bytes(self, blobs: Blobs) -> None:
        shared = write(blobs, BYTES)

        def work(number: int) -> None:
            mine = BYTES[number : number + 5 * MIB + number]
            name = write(blobs, mine, is_known=bool(number % 2))
            assert read(blobs, name, 0, len(mine)) == mine
            assert read(blobs, shared, number, 6 * MIB) == BYTES[number : number + 6 * MIB]
            blobs.remove([name])
            with pytest.raises(BlobMissing):
                read(blobs, name, 0, 1)

        assert in_threads(16, work) == []

    # --- what is not there

    def test_an_absent_blob_is_missing(self, blobs: Blobs) -> None:
        with pytest.raises(BlobMissing):
            read(blobs, new_name(), 0, 1)
        with pytest.raises(BlobMissing):
            read(blobs, new_name(), 5 * MIB, 5 * MIB)

    @pytest.mark.parametrize("size", [0, 1, 1000, MIB, 4 * MIB, 9 * MIB])
    @pytest.mark.parametrize("beyond", [1, 4096, 9 * MIB])
    def test_bytes_behind_the_end_are_missing(self, blobs: Blobs, size: int, beyond: int) -> None:
        name = write(blobs, BYTES[:size])
        with pytest.raises(BlobMissing):
            read(blobs, name, 0, size + beyond)
        with pytest.raises(BlobMissing):
            read(blobs, name, size, beyond)
        with pytest.raises(BlobMissing):
            read(blobs, name, size + beyond, 1)
        assert read(blobs, name, 0, size) == BYTES[:size]

    def test_what_comes_before_a_missing_end_may_be_read(self, blobs: Blobs) -> None:
        name = write(blobs, BYTES[: 5 * MIB])
        reader = blobs.reader(name, 0, 9 * MIB)
        view = memoryview(bytearray(MIB))
        reader.read_into(view)
        assert bytes(view) == BYTES[:MIB]
        reader.close()

    # --- removing

    def test_removed_blobs_are_gone_and_others_are_not(self, blobs: Blobs) -> None:
        sizes = [0, 1, MIB, 4 * MIB, 4 * MIB + 1, 13 * MIB]
        names = [write(blobs, BYTES[:size]) for size in sizes]
        kept = write(blobs, BYTES)
        blobs.remove(names)
        assert present(blobs, [*names, kept]) == [kept]
        with pytest.raises(BlobMissing):
            read(blobs, names[-1], 0, 1)
        assert read(blobs, kept, 0, len(BYTES)) == BYTES

    def test_removing_what_is_absent_is_no_error(self, blobs: Blobs) -> None:
        name = write(blobs, BYTES[:1000])
        blobs.remove([])
        blobs.remove([new_name(), name, new_name()])
        blobs.remove([name])
        assert present(blobs, [name]) == []

    def test_many_blobs_are_removed_in_one_call(self, blobs: Blobs) -> None:
        names = [write(blobs, BYTES[:10]) for _ in range(150)]
        assert present(blobs, names) == sorted(names)
        blobs.remove(names)
        assert present(blobs, names) == []

    @pytest.mark.parametrize("is_known", [True, False])
    @pytest.mark.parametrize("size", [1, MIB, 6 * MIB, len(BYTES)])
    def test_what_a_dead_writer_left_is_removed_by_its_name(
        self, open_blobs: Callable[[], Blobs], size: int, is_known: bool
    ) -> None:
        one, other = open_blobs(), open_blobs()
        name = new_name()
        sink = one.sink(name, 2 * len(BYTES) if is_known else None)
        sink.write(BYTES[:size])

        def is_gone() -> bool:
            other.remove([name])
            return present(other, [name]) == []

        wait_until(is_gone)  # what was under way may arrive behind a removal
        with pytest.raises(BlobMissing):
            read(other, name, 0, 1)
        sink.discard()
        other.remove([name])
        assert present(other, [name]) == []
        one.close()
        other.close()

    @pytest.mark.parametrize("size", [0, 1, MIB, 6 * MIB, len(BYTES)])
    def test_a_discarded_blob_leaves_nothing(self, blobs: Blobs, size: int) -> None:
        name = new_name()
        sink = blobs.sink(name, None)
        sink.write(BYTES[:size])
        sink.discard()
        sink.discard()
        assert present(blobs, [name]) == []
        with pytest.raises(BlobMissing):
            read(blobs, name, 0, 1)

    def test_discarding_a_finished_blob_does_nothing(self, blobs: Blobs) -> None:
        name = new_name()
        sink = blobs.sink(name, 6 * MIB)
        sink.write(BYTES[: 6 * MIB])
        sink.finish()
        sink.discard()
        assert read(blobs, name, 0, 6 * MIB) == BYTES[: 6 * MIB]

    # --- the rest

    def test_every_name_is_listed_once_in_full_length(self, blobs: Blobs) -> None:
        long = new_name().ljust(64, "z")
        sink = blobs.sink(long, 1)
        sink.write(b"x")
        sink.finish()
        names = [long, write(blobs, b""), write(blobs, BYTES[:1]), write(blobs, BYTES)]
        assert present(blobs, names) == sorted(names)
        blobs.remove(names)

    def test_a_check_passes_and_leaves_nothing(self, blobs: Blobs) -> None:
        blobs.check()
        assert [name for name in blobs.names() if name.startswith("check-")] == []

    def test_it_is_closed_any_number_of_times(self, open_blobs: Callable[[], Blobs]) -> None:
        blobs = open_blobs()
        write(blobs, b"x")
        blobs.close()
        blobs.close()
        open_blobs().close()


class ContentsSuite(BlobsSuite):
    """The store's contents on the engine."""

    @pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
    @pytest.mark.parametrize(
        "size", [INLINE_MAX + 1, BLOCK, BLOCK + 1, BUFFER, BUFFER + 1, 4 * BUFFER, len(BYTES)]
    )
    def test_a_content_is_a_blob_with_checksums(self, blobs: Blobs, size: int, is_known: bool) -> None:
        content = write_content(blobs, BYTES[:size], is_known=is_known)
        assert isinstance(content, Stored)
        assert (content.size, content.is_claimed) == (size, False)
        assert b"".join(map(bytes, read_blob(blobs, content.name, size, 0, size))) == BYTES[:size]
        assert read(blobs, content.name, 0, INLINE_MAX) == BYTES[:INLINE_MAX]
        with pytest.raises(BlobMissing):
            read(blobs, content.name, blob_size(size), 1)

    @pytest.mark.parametrize("size", [0, 1, INLINE_MAX])
    def test_a_small_content_is_its_bytes(self, blobs: Blobs, size: int) -> None:
        assert write_content(blobs, BYTES[:size]) == BYTES[:size]

    def test_any_content_in_any_pieces_reads_back_in_any_range(self, blobs: Blobs) -> None:
        near = st.sampled_from([INLINE_MAX, BLOCK, 2 * BLOCK, BUFFER, 2 * BUFFER, 4 * MIB])
        sizes = st.builds(lambda at, by: at + by, near, st.integers(-9, 9)).filter(lambda n: n > INLINE_MAX)

        @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(size=sizes, piece=st.integers(1, 3 * MIB), is_known=st.booleans(), data=st.data())
        def holds(size: int, piece: int, is_known: bool, data: st.DataObject) -> None:
            piece = max(piece, size // 200)
            content = write_content(blobs, BYTES[:size], piece, is_known=is_known)
            assert isinstance(content, Stored)
            for _ in range(6):
                start = data.draw(st.integers(0, size) | st.sampled_from([0, min(BLOCK, size), size - 1]))
                length = data.draw(st.integers(0, size - start))
                blocks = read_blob(blobs, content.name, size, start, length)
                assert b"".join(map(bytes, blocks)) == BYTES[start : start + length]
            blobs.remove([content.name])

        holds()

    @pytest.mark.parametrize("at", [0, BLOCK - 1, BLOCK, BLOCK + 3, 3 * BLOCK, 4 * MIB + 70, 5 * MIB + 22])
    def test_a_flipped_byte_is_corrupt_before_a_wrong_byte_is_given(
        self, blobs: Blobs, replace: Replace, at: int
    ) -> None:
        size = 5 * MIB + 3
        name = stored(blobs, BYTES[:size])
        data = raw(blobs, name, size)
        data[at] ^= 0x20
        replace(name, bytes(data))
        whole = at // (BLOCK + 4) * BLOCK
        assert read_until_corrupt(blobs, name, size, 0, size) == BYTES[:whole]
        assert read_until_corrupt(blobs, name, size, min(whole + 7, size - 1), 1) == b""

    @pytest.mark.parametrize("left", [0, 1, BLOCK, BLOCK + 3, BLOCK + 4, 4 * MIB, 5 * MIB + 20])
    def test_a_truncated_blob_is_corrupt(self, blobs: Blobs, replace: Replace, left: int) -> None:
        size = 5 * MIB + 3
        name = stored(blobs, BYTES[:size])
        replace(name, bytes(raw(blobs, name, size)[:left]))
        found = read_until_corrupt(blobs, name, size, 0, size)
        assert len(found) <= left
        assert BYTES.startswith(found)
        assert read_until_corrupt(blobs, name, size, size - 1, 1) == b""

    def test_swapped_blocks_are_corrupt(self, blobs: Blobs, replace: Replace) -> None:
        size, step = 5 * BLOCK, BLOCK + 4
        name = stored(blobs, BYTES[:size])
        data = raw(blobs, name, size)
        data[step : 3 * step] = data[2 * step : 3 * step] + data[step : 2 * step]
        replace(name, bytes(data))
        assert read_until_corrupt(blobs, name, size, 0, size) == BYTES[:BLOCK]
        assert read_until_corrupt(blobs, name, size, 2 * BLOCK, BLOCK) == b""

    @pytest.mark.parametrize("size", [INLINE_MAX + 1, 3 * MIB])
    def test_another_blob_under_the_name_is_corrupt(self, blobs: Blobs, replace: Replace, size: int) -> None:
        name, other = stored(blobs, BYTES[:size]), stored(blobs, BYTES[:size])
        replace(name, bytes(raw(blobs, other, size)))
        assert read_until_corrupt(blobs, name, size, 0, size) == b""

    def test_a_wrong_size_in_the_index_is_corrupt(self, blobs: Blobs) -> None:
        name = stored(blobs, BYTES[: BLOCK + 100])
        assert read_until_corrupt(blobs, name, BLOCK + 99, BLOCK, 99) == b""
        assert read_until_corrupt(blobs, name, BLOCK + 101, BLOCK, 101) == b""

    @pytest.mark.parametrize("size", [0, INLINE_MAX, MIB, MIB + 1, 6 * MIB])
    def test_a_discarded_content_leaves_nothing(self, blobs: Blobs, size: int) -> None:
        spares, names = count_of_spares(), Names()
        writer = Writer(blobs, names, None)
        writer.write(BYTES[:size])
        writer.discard()
        writer.discard()
        wait_until(lambda: names.back == names.given)
        assert present(blobs, names.given) == []
        assert count_of_spares() == spares
        with pytest.raises(ValueError, match="discarded"):
            writer.write(b"x")

    def test_a_content_is_discarded_until_a_commit_has_named_it(self, blobs: Blobs) -> None:
        names = Names()
        writers = [Writer(blobs, names, MIB) for _ in range(2)]
        for writer in writers:
            writer.write(BYTES[:MIB])
        contents = [writer.finish() for writer in writers]
        assert isinstance(contents[0], Stored)
        contents[0].is_claimed = True
        for writer in writers:
            writer.discard()
        assert names.back == [names.given[1]]

    def test_a_content_discarded_while_it_is_written_leaves_nothing(self, blobs: Blobs) -> None:
        names = Names()
        writer = Writer(blobs, names, None)

        def work() -> None:
            with contextlib.suppress(ValueError):
                for _ in range(200):
                    writer.write(BYTES[:BUFFER])

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        wait_until(lambda: bool(names.given))
        writer.discard()
        thread.join(WAIT_S)
        wait_until(lambda: names.back == names.given)
        assert present(blobs, names.given) == []

    def test_an_object_is_read_over_its_pieces(self, blobs: Blobs) -> None:
        cuts = [0, 10, 10 + 3 * MIB, 20 + 3 * MIB, 4 * MIB]
        contents: list[str | bytes] = [
            part if isinstance(part := write_content(blobs, BYTES[start:end]), bytes) else part.name
            for start, end in itertools.pairwise(cuts)
        ]
        pieces = [Piece(cuts[n], cuts[n + 1] - cuts[n], content) for n, content in enumerate(contents)]
        expected = {(start, length): BYTES[start : start + length] for start, length in ranges(4 * MIB)}
        found = {(start, length): read_source(blobs, pieces, start, length) for start, length in expected}
        assert [at for at in expected if found[at] != expected[at]] == []
        with pytest.raises(Corrupt, match="bucket 'photos', key 'k'"):
            read_source(blobs, [pieces[0], *pieces[2:]], 0, 4 * MIB)
        with pytest.raises(Corrupt, match="bucket 'photos', key 'k'"):
            read_source(blobs, pieces[:-1], 0, 4 * MIB)

    def test_an_index_that_fails_leaves_nothing(self, blobs: Blobs) -> None:
        class Failing(Names):
            def new_name(self) -> str:
                raise Unavailable("no index")

        spares = count_of_spares()
        writer = Writer(blobs, Failing(), None)
        with pytest.raises(Unavailable, match="no index"):
            writer.write(BYTES)
        writer.discard()
        assert count_of_spares() == spares


def read_source(blobs: Blobs, pieces: list[Piece], start: int, length: int) -> bytes:
    """Read a range of an object made of pieces."""

    async def parts() -> list[object]:
        return []

    def touched(first: int, end: int) -> Iterator[Piece]:
        return (piece for piece in pieces if piece.offset < end and piece.offset + piece.size > first)

    closed: list[int] = []
    source = Source(blobs, touched, parts, ("photos", b"k"), lambda: closed.append(1))  # type: ignore[arg-type]
    found = source.slice(start, length)
    try:
        return b"".join(map(bytes, found.blocks()))
    finally:
        found.close()
        source.close()
        assert closed == [1]
