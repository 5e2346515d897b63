"""Blobs in Ceph RADOS keep the contract, on a replicated pool and on an erasure-coded one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anys3.store.blobs import Blobs
from anys3.store.errors import Unavailable
from anys3.store.rados import RadosBlobs, open_blobs, stripes
from anys3.store.rados.connection import Address, parse
from anys3.store.rados.stripes import STRIPE, count, object_name, remove_single
from tests.engines.ceph import DATA, EC, Cluster
from tests.store.blobs_suite import (
    BYTES,
    MIB,
    ContentsSuite,
    Replace,
    in_threads,
    new_name,
    present,
    read,
    write,
)


def url(ceph: Cluster, pool: str = DATA, **others: object) -> str:
    """Return the URL of a pool."""
    options = "".join(f"&{name}={value}" for name, value in others.items())
    return f"rados://{pool}?conf={ceph.conf}{options}"


class RadosSuite(ContentsSuite):
    """The contract, in a pool."""

    pool: str

    @pytest.fixture
    def open_blobs(self, ceph: Cluster) -> Callable[[], Blobs]:
        """Open the pool."""
        namespace = new_name()
        return lambda: open_blobs(url(ceph, self.pool, namespace=namespace, timeout=60))

    @pytest.fixture
    def replace(self, open_blobs: Callable[[], Blobs]) -> Replace:
        """Remove a blob and write another."""

        def replace(name: str, data: bytes) -> None:
            blobs = open_blobs()
            blobs.remove([name])
            sink = blobs.sink(name, len(data))
            sink.write(data)
            sink.finish()
            blobs.close()

        return replace


class TestReplicated(RadosSuite):
    pool = DATA


class TestErasureCoded(RadosSuite):
    pool = EC


@pytest.fixture
def blobs(ceph: Cluster) -> Iterator[RadosBlobs]:
    """An engine in a namespace of its own."""
    blobs = open_blobs(url(ceph, namespace=new_name(), timeout=60))
    yield blobs
    blobs.close()


def objects(blobs: RadosBlobs) -> list[str]:
    """Return the names of the objects that there are."""
    return sorted(blobs._client.connection().objects())


def test_a_url_names_a_pool() -> None:
    assert parse("rados://data") == Address("data", "/etc/ceph/ceph.conf", "admin", "anys3", 10.0)
    assert parse("rados://a%20b/?conf=/c&id=x&namespace=&timeout=3") == Address("a b", "/c", "x", "", 3.0)


@pytest.mark.parametrize(
    "url",
    [
        "rados://",
        "rados:data",
        "rados://data/x",
        "rados://data?pool=x",
        "rados://data?timeout=0",
        "rados://data?timeout=1.5",
        "rados://data?timeout=",
        "rados://data?x",
        "s3://data",
    ],
)
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected|bad query"):
        open_blobs(url)


def test_a_name_is_never_used_twice_and_the_first_blob_stays(blobs: RadosBlobs) -> None:
    name = write(blobs, BYTES[: 9 * MIB])
    for is_known in (True, False):
        second = blobs.sink(name, 17 * MIB if is_known else None)
        with pytest.raises(Unavailable, match="exists already"):
            second.write(bytes(17 * MIB))
        second.discard()
    third = blobs.sink(name, 1)
    third.write(b"x")
    with pytest.raises(Unavailable, match="exists already"):
        third.finish()
    third.discard()
    assert read(blobs, name, 0, 9 * MIB) == BYTES[: 9 * MIB]


def test_a_sink_that_has_failed_never_finishes(blobs: RadosBlobs) -> None:
    name = write(blobs, b"first")
    second = blobs.sink(name, None)
    with pytest.raises(Unavailable):
        second.write(bytes(17 * MIB))
    with pytest.raises(ValueError, match="failed"):
        second.finish()


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(("size", "expected"), [(0, 1), (1, 1), (STRIPE, 1), (STRIPE + 1, 2), (17 * MIB, 5)])
def test_the_first_stripe_says_how_many_there_are(
    blobs: RadosBlobs, size: int, expected: int, is_known: bool
) -> None:
    name = write(blobs, BYTES[:size], is_known=is_known)
    assert count(blobs._client.connection(), name) == expected
    assert objects(blobs) == [object_name(name, number) for number in range(expected)]


def test_the_first_stripe_says_enough_before_there_are_more(
    blobs: RadosBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anys3.store.rados.blobs._COUNT_STEP", 2)
    name = new_name()
    sink = blobs.sink(name, None)
    sink.write(BYTES)
    sink.write(BYTES)
    begun = sink._begun
    assert count(blobs._client.connection(), name) >= begun > 6
    blobs.remove([name])
    sink.discard()
    assert objects(blobs) == []


def test_a_known_length_that_was_wrong_is_put_right(blobs: RadosBlobs) -> None:
    for told in (1, 100 * MIB):
        name = new_name()
        sink = blobs.sink(name, told)
        sink.write(BYTES[: 9 * MIB])
        sink.finish()
        assert count(blobs._client.connection(), name) == 3
        assert read(blobs, name, 0, 9 * MIB) == BYTES[: 9 * MIB]


def test_removing_takes_every_stripe_and_one_step_for_a_small_blob(blobs: RadosBlobs) -> None:
    connection = blobs._client.connection()
    small, large = write(blobs, b"x"), write(blobs, BYTES)
    assert remove_single(connection, small).wait() == 0
    assert remove_single(connection, large).wait(125) == -125
    assert len(objects(blobs)) == 5
    blobs.remove([small, large])
    assert objects(blobs) == []


def test_a_removal_that_was_cut_short_is_repeated(blobs: RadosBlobs) -> None:
    name = write(blobs, BYTES)
    for number in (1, 3):
        stripes._remove(blobs._client.connection(), name, number).wait()
    assert present(blobs, [name]) == [name]
    blobs.remove([name])
    assert objects(blobs) == []


def test_a_namespace_is_a_store_of_its_own(ceph: Cluster, blobs: RadosBlobs) -> None:
    name = write(blobs, b"x")
    other = open_blobs(url(ceph, namespace=new_name()))
    assert list(other.names()) == []
    other.remove([name])
    assert list(blobs.names()) == [name]
    other.close()


def test_other_objects_of_the_pool_are_not_blobs(blobs: RadosBlobs) -> None:
    name = write(blobs, BYTES[: 5 * MIB])
    connection = blobs._client.connection()
    for foreign in ("Upper", "a_b", "x" * 65):
        stripes.write(connection, foreign, 0, (0, 0), 1).wait()
    assert list(blobs.names()) == [name]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pool": "no-such-pool"}, "there is no such pool"),
        ({"conf": "/nonexistent/ceph.conf"}, "/nonexistent/ceph.conf: No such file"),
    ],
)
def test_what_is_wrong_with_the_address_is_said(ceph: Cluster, changed: dict[str, str], message: str) -> None:
    given = {"pool": DATA, "conf": str(ceph.conf)} | changed
    blobs = open_blobs(f"rados://{given['pool']}?conf={given['conf']}&timeout=5")
    for _ in range(2):
        with pytest.raises(Unavailable, match=message):
            blobs.check()
    blobs.close()


@pytest.mark.usefixtures("ceph")
def test_monitors_that_cannot_be_reached_are_given_up_in_time(tmp_path: Path) -> None:
    conf = tmp_path / "ceph.conf"
    conf.write_text(
        "[global]\nmon_host = [v2:127.0.0.1:1,v1:127.0.0.1:2]\nauth_client_required = none\n[client]\nadmin_socket =\n"
    )
    blobs = open_blobs(f"rados://data?conf={conf}&timeout=2")
    errors = in_threads(12, lambda number: blobs.check())
    assert {type(error) for error in errors} == {Unavailable}
    assert {str(error) for error in errors} == {str(errors[0])}
    assert "no answer in time" in str(errors[0])
    blobs.close()


@pytest.mark.usefixtures("ceph")
def test_a_user_without_a_key_is_told(tmp_path: Path) -> None:
    conf = tmp_path / "ceph.conf"
    conf.write_text(
        "[global]\nmon_host = 127.0.0.1:1\nauth_client_required = cephx\nkeyring = /nonexistent\n[client]\nadmin_socket =\n"
    )
    blobs = open_blobs(f"rados://data?conf={conf}&timeout=2&id=me")
    with pytest.raises(Unavailable, match="client.me: no key of this user"):
        blobs.check()


SCRIPT = """
import os, sys
from anys3.store.rados import open_blobs
from tests.store.blobs_suite import read, write
"""


def run_script(code: str, address: str) -> str:
    """Run a Python program on a pool; return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT + code, address],
        check=True,
        timeout=240,
        capture_output=True,
        text=True,
    )
    return ended.stdout


def test_a_process_that_forgets_to_close_ends_well(ceph: Cluster) -> None:
    code = "blobs = open_blobs(sys.argv[1]); print(read(blobs, write(blobs, b'x' * 9_000_000), 8_999_999, 1))"
    assert run_script(code, url(ceph, namespace=new_name(), timeout=60)) == "b'x'\n"


def test_what_a_killed_process_left_is_removed(ceph: Cluster, blobs: RadosBlobs) -> None:
    code = """
blobs = open_blobs(sys.argv[1])
sink = blobs.sink('killed', None)
sink.write(bytes(30_000_000))
os.kill(os.getpid(), 9)
"""
    with pytest.raises(subprocess.CalledProcessError):
        run_script(code, url(ceph, namespace=blobs._client.address.namespace, timeout=60))
    settled: list[list[str]] = []
    while len(settled) < 600 and settled[-5:] != [objects(blobs)] * 5:  # what was sent may still arrive
        settled.append(objects(blobs))
        time.sleep(0.1)
    assert "killed.00000003" in settled[-1]
    assert list(blobs.names()) == ["killed"]
    blobs.remove(["killed"])
    assert objects(blobs) == []


def test_a_reader_that_nobody_closes_hinders_nobody(ceph: Cluster) -> None:
    code = """
blobs = open_blobs(sys.argv[1])
reader = blobs.reader(write(blobs, b'x' * 9_000_000), 0, 9_000_000)
reader.read_into(memoryview(bytearray(10)))
blobs.sink('unfinished', None).write(b'x' * 9_000_000)
del reader
blobs.close()
print('closed')
"""
    assert run_script(code, url(ceph, namespace=new_name(), timeout=60)) == "closed\n"


def test_a_child_connects_for_itself(ceph: Cluster) -> None:
    code = """
blobs = open_blobs(sys.argv[1])
name = write(blobs, b'parent')
child = os.fork()
if child == 0:
    print(read(blobs, name, 0, 6), flush=True)
    blobs.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(read(blobs, name, 0, 6))
blobs.close()
"""
    assert run_script(code, url(ceph, namespace=new_name(), timeout=60)) == "b'parent'\n" * 2
