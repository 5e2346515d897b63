"""A served store is moved under load: nothing that was acknowledged is lost, and nothing is taken that would be."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.postgresql import Database
from tests.moving.clients import Client, compare, fill, wait_for
from tests.processes import ServerProcess, serving

TIMEOUT_S = 200


def command(*words: str | Path) -> subprocess.Popen[str]:
    """Start a command."""
    return subprocess.Popen(
        [sys.executable, "-m", "anys3", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*words: str | Path, code: int = 0) -> tuple[str, str]:
    """Run a command to its end, and return what it said."""
    with command(*words) as process:
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == code, (out, err)
    return out, err


@contextlib.contextmanager
def writing(server: ServerProcess, count: int = 3) -> Iterator[list[Client]]:
    """Let clients write; they have stopped at the end."""
    stop = threading.Event()
    clients = [Client(server.s3, number, stop) for number in range(count)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        stop.set()
        for client in clients:
            client.join(TIMEOUT_S)


def wait_for_refusals(clients: list[Client]) -> None:
    """Wait until each client has met the pause."""
    limit = time.monotonic() + TIMEOUT_S
    while not all(client.journal.paused for client in clients):
        assert time.monotonic() < limit
        time.sleep(0.02)


@pytest.mark.requirement("CON-01")
def test_a_store_is_moved_while_clients_write_to_it(tmp_path: Path) -> None:
    source, target = tmp_path / "data", tmp_path / "new"
    with serving(source, "--workers", "2") as server:
        others = fill(server.s3, 150)
        with writing(server) as clients:
            wait_for(clients, 20)
            out, err = run("store", "copy", source, target, "--follow", "--json")
            wait_for_refusals(clients)
        report = json.loads(out)
        assert report["is_moved"]
        assert report["damaged"] == []
        assert "writes will pause for about" in err
        journals = [client.journal for client in clients]
        assert [journal.without_retry_after for journal in journals] == [0, 0, 0]
        # Reads go on, and are those of all that was acknowledged.
        compare(server.s3, journals, others)
        assert server.s3.request("PUT", "/photos/late", body=b"1").status == 503
        assert server.s3.request("PUT", "/another").status == 503
        server.stop()
    with serving(target) as server:
        compare(server.s3, journals, others)
        assert server.s3.request("PUT", "/photos/late", body=b"1").status == 200
    assert "moved to" in run("serve", source, "--listen", "127.0.0.1:0", code=15)[1]


def test_a_copy_that_is_killed_lets_the_server_go_on_and_ends_when_it_is_run_again(tmp_path: Path) -> None:
    source, target = tmp_path / "data", tmp_path / "new"
    chance = random.Random(1)
    with serving(source) as server:
        others = fill(server.s3, 150)
        with writing(server) as clients:
            wait_for(clients, 20)
            kills = 0
            for _ in range(4):
                with command("store", "copy", source, target, "--follow") as process:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(chance.uniform(0.3, 2.0))
                    kills += process.poll() is None
                    process.kill()
                    process.communicate()
            assert kills
            with command("store", "copy", source, target, "--follow") as process:
                _, err = process.communicate(timeout=TIMEOUT_S)
            # One of the others may have come to its end.
            assert process.returncode == 0 or "it is not empty" in err
            wait_for_refusals(clients)
        journals = [client.journal for client in clients]
        compare(server.s3, journals, others)
        server.stop()
    with serving(target) as server:
        compare(server.s3, journals, others)


def test_a_store_moves_to_postgresql_and_back(postgresql: Database, tmp_path: Path) -> None:
    index, blobs = postgresql.new_database(), f"file:{tmp_path}/blobs"
    there, back = tmp_path / "data", tmp_path / "back"
    with serving(there) as server:
        others = fill(server.s3, 100)
        with writing(server, 2) as clients:
            wait_for(clients, 20)
            out, _ = run("store", "copy", there, index, "--blobs", blobs, "--follow")
            wait_for_refusals(clients)
        journals = [client.journal for client in clients]
    assert f"--blobs {blobs}" in out.splitlines()[-1]
    with serving(tmp_path / "keys", "--index", index, "--blobs", blobs) as server:
        compare(server.s3, journals, others)
        with writing(server, 2) as more:
            wait_for(more, 20)
            run("store", "copy", index, back, "--from-blobs", blobs, "--follow")
            wait_for_refusals(more)
        for journal, client in zip(journals, more, strict=True):
            journal.objects |= client.journal.objects
        compare(server.s3, journals, others)
        server.stop()
    assert (
        "moved to" in run("serve", "--index", index, "--blobs", blobs, "--listen", "127.0.0.1:0", code=15)[1]
    )
    with serving(back) as server:
        compare(server.s3, journals, others)
    out, _ = run("store", "resume", index, "--json")
    assert json.loads(out)["was_paused"]
    result: Any = json.loads(run("store", "resume", index, "--json")[0])
    assert not result["was_paused"]
