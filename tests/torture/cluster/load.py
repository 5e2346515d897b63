"""Load on several servers, with a model of what each key must hold: what is answered is judged at once, and timed.

Each lane has keys of its own and a server of its own, and asks the others, too: what one server has acknowledged
must be seen on every other. Lanes race for claims: keys that are put with If-None-Match, of which one may win.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Sequence

from tests.rawclient import RawClient
from tests.torture.cluster.keys import Key, Value
from tests.torture.cluster.lanes import BUCKET, READS, Claim, Event, Lane, Witness, value_of


class Load:
    """Lanes, two a server; see the module."""

    def __init__(
        self,
        clients: Sequence[RawClient],
        seed: int,
        *,
        lanes: int = 2,
        name: str = "",
        hit: Collection[int] = (),
    ) -> None:
        """`hit` are servers that only those lanes ask who are at home there."""
        self.clients = clients
        self.hit = hit
        self.events: list[Event] = []
        self.violations: list[str] = []
        self.claims: dict[int, Claim] = {0: Claim()}
        self.claim = 0
        self.name = name
        self.lock = threading.Lock()
        self._over = threading.Event()
        self.lanes = [
            Lane(self, number, number % len(clients), random.Random(f"{seed}/{name}/{number}"))
            for number in range(lanes * len(clients))
        ]
        for number, server in enumerate(hit, len(self.lanes)):
            self.lanes.append(Witness(self, number, server, random.Random(f"{seed}/{name}/{number}")))
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Load:
        assert self.clients[0].request("PUT", f"/{BUCKET}").status in (200, 409)
        self._threads = [threading.Thread(target=lane.run, args=(self._over,)) for lane in self.lanes]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each lane end after its present request."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def complain(self, words: str) -> None:
        """Note an answer that must not be."""
        with self.lock:
            self.violations.append(words)

    def has_succeeded(self, since_s: float) -> bool:
        """Whether every server has since then read and written with success."""
        done = {
            (one.server, one.kind in READS) for one in reversed(self.events) if self._is_new(one, since_s)
        }
        return len(done) == 2 * len(self.clients)

    @staticmethod
    def _is_new(event: Event, since_s: float) -> bool:
        return event.outcome == "ok" and event.begun_s >= since_s

    def verify(self) -> None:
        """Compare everything, by each server, with the model; nobody may be writing."""
        for server, client in enumerate(self.clients):
            for lane in self.lanes:
                for key in lane.keys:
                    answer = client.request("GET", key.path)
                    self._see(key, value_of(answer), f"after all, server {server}")
                lane.check_listing(server, client)
        for number, claim in self.claims.items():
            self._verify_claim(number, claim)

    def _see(self, key: Key, value: Value, where: str) -> None:
        if wrong := key.see(value):
            self.complain(f"{where}: {wrong}")

    def _verify_claim(self, number: int, claim: Claim) -> None:
        answer = self.clients[0].request("GET", self.claim_path(number))
        found = answer.body.decode() if answer.status == 200 else None
        if len(claim.winners) > 1:
            self.complain(f"claim {number} has several winners: {claim.winners}")
        if claim.winners and found != claim.winners[0]:
            self.complain(f"claim {number} was won by {claim.winners}, and holds {found!r}")
        if not claim.winners and found not in {*claim.unknown, *(() if claim.refused else (None,))}:
            self.complain(
                f"claim {number} holds {found!r}, asked by {claim.unknown}, refused {claim.refused} times"
            )

    def claim_path(self, number: int) -> str:
        """Return the path of a claim."""
        return f"/{BUCKET}/{self.name}claims/{number}"
