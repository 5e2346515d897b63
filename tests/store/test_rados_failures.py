"""What RADOS can't do now is Unavailable or StoreFull in time, never BlobMissing, and works again without reopening."""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from anys3.store.blobs import Blobs
from anys3.store.errors import StoreFull, Unavailable
from anys3.store.rados import RadosBlobs, open_blobs
from anys3.store.rados.connection import Client
from tests.engines import ceph as engine
from tests.engines.ceph import DATA, EC, Ceph
from tests.engines.fixtures import need
from tests.store.blobs_suite import BYTES, MIB, WAIT_S, in_threads, new_name, present, read, wait_until, write

TIMEOUT_S = 2
SLACK_S = 30
"""For a machine that is busy; an operation without a timeout would wait for ever."""


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    """A cluster of our own, to be hurt."""
    need(engine.missing())
    with Ceph(tmp_path_factory.mktemp("ceph")) as running:
        yield running


@pytest.fixture(params=[DATA, EC])
def blobs(request: pytest.FixtureRequest, ceph: Ceph) -> Iterator[RadosBlobs]:
    """An engine that waits for 2 s."""
    blobs = open_blobs(f"rados://{request.param}?conf={ceph.conf}&timeout={TIMEOUT_S}&namespace={new_name()}")
    until_done(blobs.check)
    yield blobs
    blobs.close()


def until_done(work: Callable[[], object]) -> None:
    """Do the work, again and again while it is Unavailable or the store is full."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            work()
        except (Unavailable, StoreFull):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def timed(work: Callable[[], object], expected: type[Exception] = Unavailable) -> float:
    """Do what must fail; return how many seconds that took."""
    begin = time.monotonic()
    with pytest.raises(Exception) as caught:
        work()
    assert caught.type is expected
    return time.monotonic() - begin


def write_unfinished(blobs: Blobs) -> str:
    """Begin a blob of unknown length; return its name."""
    name = new_name()
    sink = blobs.sink(name, None)
    try:
        sink.write(BYTES)
        sink.finish()
    finally:
        sink.discard()
    return name


def test_too_few_osds_are_unavailable_in_time_and_nothing_is_lost(ceph: Ceph, blobs: RadosBlobs) -> None:
    name, doomed, other = (write(blobs, BYTES[:size]) for size in (len(BYTES), MIB, 9 * MIB))
    reader = blobs.reader(name, 0, len(BYTES))
    reader.read_into(memoryview(bytearray(MIB)))
    ceph.stop_osd(1)
    ceph.stop_osd(2)
    try:
        seconds = [
            timed(lambda: write(blobs, BYTES[:MIB])),
            timed(lambda: write_unfinished(blobs)),
            timed(lambda: [read(blobs, name, at, 1) for at in range(0, len(BYTES), MIB)]),
            timed(lambda: blobs.remove([doomed, other])),
            timed(blobs.check),
        ]
        begin = time.monotonic()
        reader.close()
        blobs.reader(name, 0, 9 * MIB).close()
        seconds.append(time.monotonic() - begin)
        errors = in_threads(16, lambda number: blobs.check())
    finally:
        ceph.start_osd(1)
        ceph.start_osd(2)
    assert max(seconds) < TIMEOUT_S + SLACK_S
    figures = {each.name: each.value for each in blobs.figures()}
    assert figures["anys3_rados_timeouts_total"] >= len(seconds)
    assert {type(error) for error in errors} == {Unavailable}
    assert len(errors) == 16
    until_done(blobs.check)
    ceph.wait_clean()
    until_done(lambda: blobs.remove([doomed, other]))
    assert present(blobs, [doomed, other]) == []
    assert read(blobs, name, 0, len(BYTES)) == BYTES
    again = write(blobs, BYTES)
    assert read(blobs, again, 0, len(BYTES)) == BYTES


def test_what_arrives_behind_its_timeout_is_removed_by_its_name(ceph: Ceph, blobs: RadosBlobs) -> None:
    kept, late = write(blobs, BYTES), [new_name() for _ in range(3)]
    reader = blobs.reader(kept, 0, len(BYTES))
    reader.read_into(memoryview(bytearray(MIB)))
    sinks = [blobs.sink(name, len(BYTES)) for name in late]
    sinks[0].write(BYTES[: 6 * MIB])
    for osd in ceph.osds:
        osd.send(signal.SIGSTOP)
    try:
        seconds = [timed(lambda each=each: (each.write(BYTES), each.finish())) for each in sinks]
        seconds += [timed(lambda: read(blobs, kept, 5 * MIB, 7 * MIB)), timed(lambda: blobs.remove(late))]
        begin = time.monotonic()
        for each in sinks:
            each.discard()
        reader.close()
        seconds.append(time.monotonic() - begin)
    finally:
        for osd in ceph.osds:
            osd.send(signal.SIGCONT)
    assert max(seconds) < TIMEOUT_S + SLACK_S
    until_done(blobs.check)
    ceph.wait_clean()
    until_done(lambda: blobs.remove(late))
    assert sorted(blobs._client.connection().objects()) == [f"{kept}.{number:08x}" for number in range(5)]
    assert read(blobs, kept, 0, len(BYTES)) == BYTES


def test_an_osd_that_is_killed_fails_nothing_and_loses_nothing(ceph: Ceph, blobs: RadosBlobs) -> None:
    address = replace(blobs._client.address, timeout_s=WAIT_S)
    patient = RadosBlobs(Client(address))
    names: dict[int, list[str]] = {number: [] for number in range(4)}
    is_over = threading.Event()

    def work(number: int) -> None:
        while not is_over.is_set():
            size = (9 - 2 * number) * MIB
            name = write(patient, BYTES[:size], is_known=bool(number % 2))
            assert read(patient, name, 0, size) == BYTES[:size]
            names[number].append(name)

    with ThreadPoolExecutor(len(names)) as threads:
        working = [threads.submit(work, number) for number in names]
        try:
            wait_until(lambda: all(names.values()))
            ceph.kill_osd(2)
            before = [len(each) for each in names.values()]
            wait_until(lambda: all(len(names[n]) > before[n] + 2 or working[n].done() for n in names))
        finally:
            is_over.set()
            ceph.start_osd(2)
    assert [each.exception() for each in working] == [None] * len(names)
    ceph.wait_clean()
    wrong = [name for n in names for name in names[n] if not BYTES.startswith(read(patient, name, 0, MIB))]
    assert wrong == []
    patient.remove([name for each in names.values() for name in each])
    patient.close()


@contextmanager
def full(ceph: Ceph) -> Iterator[None]:
    """Let the OSDs think that they are full."""
    ratios = {"nearfull": 0.85, "backfillfull": 0.9, "full": 0.95}
    with ceph.commands() as commands:
        for number, name in enumerate(ratios):
            commands.mon(f"osd set-{name}-ratio", ratio=1e-6 * (number + 1))
        try:
            yield
        finally:
            for name in reversed(ratios):
                commands.mon(f"osd set-{name}-ratio", ratio=ratios[name])


def test_a_full_cluster_is_full_at_once_and_reads_and_removes_go_on(ceph: Ceph, blobs: RadosBlobs) -> None:
    name = write(blobs, BYTES)
    with full(ceph):
        until_full(blobs)
        assert timed(lambda: write(blobs, BYTES), StoreFull) < TIMEOUT_S + SLACK_S
        assert timed(lambda: write_unfinished(blobs), StoreFull) < TIMEOUT_S + SLACK_S
        assert read(blobs, name, 0, len(BYTES)) == BYTES
        blobs.remove([name])
        assert list(blobs.names()) == []
    until_done(blobs.check)


def until_full(blobs: Blobs) -> None:
    """Wait until the client has heard that the cluster is full."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            blobs.check()
        except StoreFull:
            return
        time.sleep(0.05)


def test_a_client_that_was_blocked_connects_anew(ceph: Ceph, blobs: RadosBlobs) -> None:
    name = write(blobs, BYTES)
    connection = blobs._client.connection()
    address = ctypes.c_char_p()
    connection.library.rados_getaddrs(connection._cluster, ctypes.byref(address))
    assert address.value is not None
    with ceph.commands() as commands:
        commands.mon("osd blocklist", blocklistop="add", addr=address.value.decode())
    with pytest.raises(Unavailable, match="blocked"):
        for _ in range(10_000):
            read(blobs, name, 0, 1)
    assert read(blobs, name, 0, len(BYTES)) == BYTES
    assert blobs._client.connection() is not connection


def test_no_monitor_is_no_hindrance_to_a_client_that_is_connected(
    ceph: Ceph, blobs: RadosBlobs, tmp_path: Path
) -> None:
    name = write(blobs, BYTES)
    ceph.kill_mon(0)
    try:
        assert read(blobs, write(blobs, BYTES), 0, len(BYTES)) == BYTES
        late = open_blobs(f"rados://{DATA}?conf={ceph.conf}&timeout={TIMEOUT_S}")
        assert timed(late.check) < TIMEOUT_S + SLACK_S
    finally:
        ceph.start_mon(0)
    until_done(late.check)
    late.close()
    assert read(blobs, name, 0, len(BYTES)) == BYTES
