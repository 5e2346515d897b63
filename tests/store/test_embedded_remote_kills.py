"""A server with an embedded index and its blobs elsewhere, killed under large writes, leaves exactly what is named."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from anys3.store.files import open_blobs
from anys3.store.upkeep import scrub
from tests.processes import ServerProcess, serving
from tests.store.suite import pattern

ROUNDS = 3
KEYS = 4
PATIENCE_S = 120.0


class Load:
    """Writes from some threads: objects put, replaced and deleted, uploads begun, completed or left."""

    def __init__(self, server: ServerProcess, seed: int, kept: list[dict[str, set[bytes]]]) -> None:
        self._server = server
        self._seed = seed
        self._is_over = threading.Event()
        self.answers = 0
        self.kept = kept
        """By thread: what each key may be now, b"" for absent."""

    def run(self, seconds: float) -> None:
        """Write for a while, then kill the server in the middle of it."""
        threads = [threading.Thread(target=self._write, args=(number,)) for number in range(KEYS)]
        for thread in threads:
            thread.start()
        limit = time.monotonic() + PATIENCE_S
        while not self.answers and time.monotonic() < limit:
            time.sleep(0.01)
        time.sleep(seconds)
        self._server.kill()
        self._is_over.set()
        for thread in threads:
            thread.join()

    def _write(self, number: int) -> None:
        chance = random.Random(f"{self._seed} {number}")
        key, kept = f"/photos/{number}", self.kept[number]
        with suppress(OSError, EOFError, ValueError):
            while not self._is_over.is_set():
                body = pattern(chance.randrange(140_000, 3_000_000), chance.randrange(1 << 20))
                before = kept.get(key, {b""})
                after = body if chance.random() < 0.8 else b""
                kept[key] = before | {after}
                status = (
                    self._server.s3.request("PUT", key, body=body)
                    if after
                    else self._server.s3.request("DELETE", key)
                ).status
                assert status in (200, 204)
                kept[key] = {after}
                self._upload(f"{key}-upload", body, is_aborted=chance.random() < 0.5)
                self.answers += 1

    def _upload(self, key: str, body: bytes, *, is_aborted: bool) -> None:
        s3 = self._server.s3
        begun = s3.request("POST", key, "uploads").body.decode()
        upload_id = begun.split("<UploadId>")[1].split("</UploadId>")[0]
        s3.request("PUT", key, f"partNumber=1&uploadId={upload_id}", body=body)
        if is_aborted:
            s3.request("DELETE", key, f"uploadId={upload_id}")


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait until something holds; False if it does not in time."""
    limit = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < limit:
        time.sleep(0.1)
    return holds()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_is_killed_leaves_exactly_the_blobs_that_are_named(
    tmp_path: Path, workers: str
) -> None:
    blobs = f"file:{tmp_path / 'blobs'}"
    chance = random.Random(int(workers))
    with serving(tmp_path / "store", "--workers", workers, "--blobs", blobs, "--buckets", "photos") as server:
        kept: list[dict[str, set[bytes]]] = [{} for _ in range(KEYS)]
        for seed in range(ROUNDS):
            Load(server, seed, kept).run(chance.uniform(0.0, 1.0))
            server.start()
            _check(server, tmp_path, kept)


def _check(server: ServerProcess, place: Path, kept: list[dict[str, set[bytes]]]) -> None:
    for keys in kept:
        for key, possible in keys.items():
            answer = server.s3.request("GET", key)
            found = answer.body if answer.status == 200 else b""
            assert (answer.status in (200, 404), found in possible) == (True, True)
            keys[key] = {found}
    assert eventually(lambda: not list((place / "store" / "incoming").glob("*/*")))
    assert eventually(lambda: not scrub(place / "store", lambda _: None).orphans)
    report = scrub(place / "store", lambda _: None)
    assert (report.damaged, report.missing, report.orphans) == ([], [], [])
    names = [name for name in open_blobs(f"file:{place / 'blobs'}").names() if not name.endswith("-store")]
    assert len(names) == report.objects + report.parts
