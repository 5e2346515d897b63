"""A content that is not wanted any more is cleared up without anybody waiting for a slow engine."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from anys3.store.blobs import BlobSink
from anys3.store.buffers import BUFFER
from anys3.store.contents import Writer
from anys3.store.errors import StoreFull, Unavailable
from anys3.store.files import FileBlobs
from tests.spares import count_of_spares
from tests.store.blobs_suite import WAIT_S, Names, present


class SlowSink:
    """Takes bytes only while `gate` is open."""

    def __init__(self, sink: BlobSink, gate: threading.Event) -> None:
        self._sink = sink
        self._gate = gate

    def write(self, data: memoryview | bytes) -> None:
        assert self._gate.wait(WAIT_S)
        self._sink.write(data)

    def finish(self) -> None:
        assert self._gate.wait(WAIT_S)
        self._sink.finish()

    def discard(self) -> None:
        assert self._gate.wait(WAIT_S)
        self._sink.discard()


class SlowFiles(FileBlobs):
    """Files on a device that can be stopped."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate = threading.Event()

    def sink(self, name: str, length: int | None) -> BlobSink:
        return SlowSink(super().sink(name, length), self.gate)


class SignallingNames(Names):
    """Tells when a name came back."""

    def __init__(self) -> None:
        super().__init__()
        self.is_back = threading.Event()

    def give_up(self, name: str) -> None:
        super().give_up(name)
        self.is_back.set()


@pytest.fixture
def blobs(tmp_path: Path) -> SlowFiles:
    """An engine that hangs until its gate is opened."""
    return SlowFiles(tmp_path / "blobs")


def test_discarding_does_not_wait_for_the_engine_and_the_name_comes_back_behind_the_last_write(
    blobs: SlowFiles,
) -> None:
    spares, names = count_of_spares(), SignallingNames()
    writer = Writer(blobs, names, None)
    writer.write(bytes(BUFFER + 1))
    writer.discard()
    assert names.back == []
    blobs.gate.set()
    assert names.is_back.wait(WAIT_S)
    assert names.back == names.given
    assert present(blobs, names.given) == []
    assert count_of_spares() == spares


def test_discarding_does_not_wait_for_a_thread_that_finishes(blobs: SlowFiles) -> None:
    names = SignallingNames()
    writer = Writer(blobs, names, None)
    writer.write(bytes(BUFFER))
    finishing = threading.Thread(target=writer.finish)
    finishing.start()
    while not names.given:
        threading.Event().wait(0.001)
    writer.discard()
    assert names.back == []
    blobs.gate.set()
    finishing.join(WAIT_S)
    assert names.back == names.given


class RefusingFiles(FileBlobs):
    """Files on a device that takes nothing."""

    def sink(self, name: str, length: int | None) -> BlobSink:
        raise StoreFull(f"no room for {length} bytes of {name}")


def test_a_name_comes_back_if_the_engine_refuses_the_blob(tmp_path: Path) -> None:
    names = Names()
    writer = Writer(RefusingFiles(tmp_path), names, BUFFER)
    writer.write(bytes(BUFFER))
    with pytest.raises(StoreFull):
        writer.finish()
    writer.discard()
    assert len(names.given) == 1
    assert names.back == names.given


def test_an_error_beside_is_raised_at_the_end_at_the_latest(blobs: SlowFiles) -> None:
    names = Names()
    writer = Writer(blobs, names, None)
    blobs.gate.set()
    writer.write(bytes(BUFFER))
    writer.write(b"x")
    writer._blocks.settle()
    blobs.remove(names.given)
    with pytest.raises(Unavailable):
        writer.finish()
    assert names.back == names.given
