"""Clients of a server that note what they have been told, while the store under it is moved."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from dataclasses import dataclass, field

from tests.rawclient import RawClient

PATIENCE_S = 120.0


@dataclass
class Journal:
    """What one client was told of its own keys: the bytes that each has, None for deleted."""

    objects: dict[str, bytes | None] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    """Keys whose last write was not answered."""
    paused: int = 0
    acknowledged: int = 0
    without_retry_after: int = 0


class Client(threading.Thread):
    """Puts, overwrites and deletes objects of its own, as fast as it is answered."""

    def __init__(self, s3: RawClient, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.journal = Journal()
        self._s3 = s3
        self._number = number
        self._stop_event = stop
        self._random = random.Random(number)

    def run(self) -> None:
        """Write until told to stop."""
        turn = 0
        while not self._stop_event.is_set():
            turn += 1
            key = f"c{self._number}/k{self._random.randrange(200):03}"
            body = None
            if self._random.random() < 0.8:
                size = self._random.choice([10, 2000, 200_000])
                body = hashlib.sha256(f"{self._number}/{turn}".encode()).digest() * (size // 32 + 1)
            self._write(key, body)

    def _write(self, key: str, body: bytes | None) -> None:
        journal = self.journal
        try:
            if body is None:
                answer = self._s3.request("DELETE", f"/photos/{key}")
            else:
                answer = self._s3.request("PUT", f"/photos/{key}", body=body)
        except OSError:
            journal.unknown.add(key)
            return
        if answer.status == 503:
            journal.paused += 1
            journal.without_retry_after += "retry-after" not in answer.headers
            time.sleep(0.01)
            return
        assert answer.status in (200, 204), answer
        journal.unknown.discard(key)
        journal.objects[key] = body
        journal.acknowledged += 1


def fill(s3: RawClient, count: int) -> dict[str, bytes]:
    """Make the bucket "photos" with `count` objects, and return them."""
    assert s3.request("PUT", "/photos").status == 200
    made = {f"old/{number:04}": b"%d " % number * 100 for number in range(count)}
    for key, body in made.items():
        assert s3.request("PUT", f"/photos/{key}", body=body).status == 200
    return made


def compare(s3: RawClient, journals: list[Journal], others: dict[str, bytes]) -> None:
    """Compare what a server has with what clients were told."""
    expected: dict[str, bytes | None] = dict(others)
    for journal in journals:
        assert not journal.unknown
        expected |= journal.objects
    for key, body in expected.items():
        answer = s3.request("GET", f"/photos/{key}")
        assert (key, answer.status) == (key, 404 if body is None else 200)
        assert body is None or answer.body == body
    present = {key for key, body in expected.items() if body is not None}
    assert listed(s3) == present


def listed(s3: RawClient) -> set[str]:
    """Return all keys of the bucket."""
    found: set[str] = set()
    after = ""
    while True:
        answer = s3.request("GET", "/photos", query=[("list-type", "2"), ("start-after", after)])
        keys = [part.split("</Key>")[0] for part in answer.body.decode().split("<Key>")[1:]]
        if not keys:
            return found
        found |= set(keys)
        after = keys[-1]


def wait_for(clients: list[Client], acknowledged: int) -> None:
    """Wait until each client has been told of some more writes."""
    limit = time.monotonic() + PATIENCE_S
    goals = [client.journal.acknowledged + acknowledged for client in clients]
    while any(client.journal.acknowledged < goal for client, goal in zip(clients, goals, strict=True)):
        assert time.monotonic() < limit
        assert all(client.is_alive() for client in clients)
        time.sleep(0.02)
