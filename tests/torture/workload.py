"""A random workload over the wire: every operation that changes a store, each noted in a journal.

    journal = Journal()
    workload = Workload(server.s3, journal, seed=1, directory=server.directory)
    workload.run(operations=200)             # or start(), then stop(), then join()
    ...kill, restart...
    judgement = oracle.check(server.s3, journal.expectation(), server.directory)
    journal.settle(judgement)                # then the next run, on the same store

Each thread has buckets of its own, where it knows what every key must hold and also reads it, and writes to the
keys of the bucket `shared`, on which all of them write. A thread ends when nobody listens any more. After an
answer that did not come, it leaves the places concerned alone but for overwriting and deleting them, until
`settle` has said what they hold. The same seed gives the same requests, as long as the answers are the same.

`directory`: key changes by `anys3 key` as processes of their own beside the server; without it there are none.
`key_entry`: what Python is given to start such a process, see tests.processes.ServerProcess.
`largest`: no body is larger than this. `weights`: other weights for some of the operations, 0 to leave one out.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from tests.rawclient import RawClient
from tests.torture.clients.objects import Objects
from tests.torture.clients.sending import MIB, SHARED
from tests.torture.clients.settings import KEYS, Buckets, Keys
from tests.torture.clients.uploads import Uploads
from tests.torture.journal import Journal, Place, Version

_REFUSALS_TO_END = 5

WEIGHTS: dict[str, float] = {
    "put_small": 6,
    "put_border": 3,
    "put_large": 0.6,
    "get": 2,
    "delete": 3,
    "delete_many": 0.7,
    "copy": 2,
    "copy_onto_itself": 1,
    "tag": 1,
    "create_upload": 1.5,
    "upload_part": 4,
    "copy_part": 1,
    "complete": 1.5,
    "complete_again": 0.4,
    "abort": 0.4,
    "create_bucket": 0.7,
    "delete_bucket": 0.8,
    "put_cors": 0.4,
    "put_refused": 0.3,
    "put_broken": 0.2,
    "copy_refused": 0.3,
    "change_key": 0.04,
}


class Workload:
    """Threads that send requests to one server; see the module."""

    def __init__(
        self,
        s3: RawClient,
        journal: Journal,
        seed: int,
        *,
        threads: int = 4,
        directory: Path | None = None,
        largest: int = 8 * MIB,
        weights: Mapping[str, float] | None = None,
        key_entry: tuple[str, ...] = ("-m", "anys3"),
    ) -> None:
        self.s3 = s3
        self.key_entry = key_entry
        self.journal = journal
        self.directory = directory
        self.largest = largest
        self.weights = {**WEIGHTS, **(weights or {})}
        if directory is None:
            self.weights["change_key"] = 0
        self._stop = threading.Event()
        self._seed = seed
        self._rounds = 0
        self._count = threads
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._left = 0
        self._keys_lock = threading.Lock()
        self.completed: dict[str, tuple[Place, bytes, Version]] = {}
        """The last CompleteMultipartUpload of each thread, to be asked again."""

    def run(self, operations: int) -> None:
        """Do that many operations, fewer if the server ends, and return."""
        self.start(operations)
        self.join()

    def start(self, operations: int = 1 << 60) -> None:
        """Begin; `stop` ends it."""
        self._stop.clear()
        self._left = operations
        self._rounds += 1
        clients = [
            Client(self, number, f"{self._seed}/{self._rounds}/{number}") for number in range(self._count)
        ]
        self._keys = Keys(self, KEYS, f"{self._seed}/{self._rounds}/keys")
        clients[0].make_bucket(SHARED)
        self._threads = [threading.Thread(target=client.run) for client in clients]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each thread end after its present operation."""
        self._stop.set()

    def join(self) -> None:
        """Wait for the threads."""
        for thread in self._threads:
            thread.join()

    @property
    def is_running(self) -> bool:
        """Whether a thread is still at work."""
        return any(thread.is_alive() for thread in self._threads)

    def change_key(self, action: str = "") -> None:
        """Change an access key by a command line; after `start`, also beside the threads."""
        with self._keys_lock:
            self._keys.change_key(action)

    def take(self) -> bool:
        """Whether a thread may do one more operation."""
        with self._lock:
            self._left -= 1
            return self._left >= 0 and not self._stop.is_set()


class Client(Objects, Uploads, Buckets):
    """One thread of a workload."""

    _workload: Workload

    def run(self) -> None:
        """Do operations until there are enough, or nobody listens any more."""
        names = [name for name, weight in self._workload.weights.items() if weight]
        weights = [self._workload.weights[name] for name in names]
        self.make_bucket(self._home)
        while self._refusals < _REFUSALS_TO_END and self._workload.take():
            (name,) = self._random.choices(names, weights)
            getattr(self, name)()

    def change_key(self) -> None:
        """Change a key by a command line."""
        self._workload.change_key()
