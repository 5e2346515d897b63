"""Races that one key's history does not tell of: readers under overwrites, listings under change, keys that go.

Each story runs against a server of several workers for as many turns as asked, and returns what was wrong.
"""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.processes import ServerProcess
from tests.rawclient import UNSIGNED, RawClient, Response, read_response
from tests.torture.races.contents import body_of, etag_of
from tests.uploads import MIN_PART, finished, multipart_etag

SLOW_BUFFER = 32 * 1024
MAX_PAGES = 200


@contextmanager
def going_on(*works: Callable[[], None]) -> Iterator[None]:
    """Do each work again and again in a thread of its own until the block ends; what it raises comes out."""
    is_over = threading.Event()
    failures: list[BaseException] = []

    def again(work: Callable[[], None]) -> None:
        try:
            while not is_over.is_set():
                work()
        except BaseException as failure:  # noqa: BLE001 (raised below)
            failures.append(failure)

    threads = [threading.Thread(target=again, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


# --- a reader under overwrites --------------------------------------------------------------------------

READ_SIZES = (10, 90_000, 300_000, 3_000_000)


class Overwritten:
    """A key that is overwritten again and again, by objects in the index, in a file, and made of parts."""

    def __init__(self, s3: RawClient, bucket: str, seed: int) -> None:
        self.s3 = s3
        self.bucket = bucket
        self.path = f"/{bucket}/overwritten"
        self.chance = random.Random(seed)
        self.bodies: dict[str, bytes] = {}
        """By the write that the metadata names; and the ETags that go with them."""
        self.etags: dict[str, str] = {}
        self.wrong: list[str] = []
        self.reads = 0
        self._number = 0
        self.write()

    def write(self) -> None:
        """Overwrite it once."""
        self._number += 1
        label = f"v{self._number}"
        has_two_parts = self._number % 16 == 2
        body = body_of(label, MIN_PART + 70_000 if has_two_parts else self.chance.choice(READ_SIZES))
        self.bodies[label] = body
        if has_two_parts or self.chance.random() < 0.3:
            bodies = [body[:MIN_PART], body[MIN_PART:]] if has_two_parts else [body]
            self.etags[label] = multipart_etag(bodies)
            finished(self.s3, self.bucket, "overwritten", bodies, x_amz_meta_write=label)
            return
        self.etags[label] = f'"{etag_of(body)}"'
        headers = {"x-amz-meta-write": label}
        answer = self.s3.request("PUT", self.path, headers=headers, body=body, payload_hash=UNSIGNED)
        if answer.status != 200:
            self.wrong.append(f"an overwrite got {answer.verdict}")

    def ask(
        self, method: str = "GET", path: str = "", headers: dict[str, str] | None = None
    ) -> Response | None:
        """Send a request; None, and a note, if the connection broke before the answer had ended."""
        try:
            return self.s3.request(method, path or self.path, headers=headers)
        except OSError as error:
            self.wrong.append(f"{method} {path or self.path}: {error}")
            return None

    def check(self, what: str, answer: Response | None, start: int = 0, end: int | None = None) -> None:
        """Note it if an answer is not, as a whole, of the write that its metadata names."""
        self.reads += 1
        if answer is None:
            return
        label = answer.headers.get("x-amz-meta-write", "")
        body = self.bodies.get(label)
        if answer.status not in (200, 206) or body is None:
            self.wrong.append(f"{what}: {answer.verdict if answer.status >= 300 else label!r}")
        elif answer.body != body[start:end]:
            found = f"{len(answer.body)} bytes that begin {answer.body[:20]!r}"
            self.wrong.append(f"{what}: the metadata is of {label} ({len(body)} bytes), the body is {found}")
        elif answer.headers["etag"] != (f'"{etag_of(body)}"' if what == "a copy" else self.etags[label]):
            self.wrong.append(f"{what}: the ETag {answer.headers['etag']} is not of {label}")

    def read(self) -> None:
        """Read it whole."""
        self.check("GET", self.ask())

    def read_in_ranges(self) -> None:
        """Read it in ranges that hold fast to one ETag: a 412 tells that it was overwritten."""
        head = self.ask("HEAD")
        if head is None:
            return
        size = int(head.headers["content-length"])
        for start in range(0, size, max(1, size // 3)):
            end = min(start + size // 3, size - 1)
            headers = {"if-match": head.headers["etag"], "range": f"bytes={start}-{end}"}
            part = self.ask(headers=headers)
            if part is None or part.status == 412:
                return
            self.check(f"range {start}-{end}", part, start, end + 1)
            if part.headers.get("x-amz-meta-write") != head.headers.get("x-amz-meta-write"):
                self.wrong.append(f"range {start}-{end}: of another write than the ETag")

    def read_slowly(self) -> None:
        """Read it so slowly that it is overwritten meanwhile, and what it was made of is removed."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BUFFER)
        connection.settimeout(self.s3.timeout_s)
        host, _, port = self.s3.host.partition(":")
        with connection:
            connection.connect((host, int(port)))
            lines = self.s3.sign("GET", self.path, "", {"host": self.s3.host}, b"")
            head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            connection.sendall(f"GET {self.path} HTTP/1.1\r\n{head}\r\n".encode())
            time.sleep(0.1)
            try:
                self.check("a slow GET", read_response(connection))
            except OSError as error:
                self.wrong.append(f"a slow GET: {error}")

    def copy(self) -> None:
        """Copy it while it is overwritten, and read the copy."""
        target = f"/{self.bucket}/copy-{threading.get_ident()}"
        answer = self.ask("PUT", target, {"x-amz-copy-source": self.path})
        if answer is None or answer.status != 200:
            self.wrong.append(f"a copy got {answer and answer.verdict}")
            return
        copied = self.ask("GET", target)
        self.check("a copy", copied)
        if copied is not None and copied.headers.get("etag") != answer.text("ETag"):
            self.wrong.append("a copy has another ETag than its answer said")


def readers(server: ServerProcess, bucket: str, turns: int, seed: int) -> tuple[list[str], int]:
    """Read one key in every way while it is overwritten; return what was wrong, and how many reads there were."""
    story = Overwritten(server.s3, bucket, seed)
    with going_on(story.write, story.read, story.read_in_ranges, story.copy):
        for _ in range(turns):
            story.read_slowly()
    return story.wrong, story.reads


# --- listings under change ------------------------------------------------------------------------------


@dataclass(slots=True)
class Journal:
    """When each key was certainly there, and when it certainly was not. One client changes a key."""

    changes: dict[str, list[tuple[bool, int, int]]] = field(default_factory=dict)
    """For each key: (is it there afterwards, begin, end), in order; end is 0 while it is not answered."""

    def begin(self, key: str, is_there: bool) -> None:
        """Note that a change was sent."""
        self.changes.setdefault(key, []).append((is_there, time.monotonic_ns(), 0))

    def end(self, key: str) -> None:
        """Note that it was answered."""
        is_there, begin, _ = self.changes[key][-1]
        self.changes[key][-1] = (is_there, begin, time.monotonic_ns())

    def certain(self, key: str, begin: int, end: int) -> bool | None:
        """Return whether a key was there, or was not, from `begin` to `end`; None: it changed about then."""
        state: bool | None = False
        for is_there, first, last in list(self.changes.get(key, ())):
            if first > end:
                break
            state = is_there if last and last < begin else None
        return state


class Listed:
    """A bucket of keys, some of which come and go while it is listed."""

    def __init__(self, s3: RawClient, bucket: str, seed: int, keys: int = 60) -> None:
        self.s3 = s3
        self.bucket = bucket
        self.chance = random.Random(seed)
        self.names = [f"dir{number // 6}/{number:03}" for number in range(keys)]
        self.journal = Journal()
        self.wrong: list[str] = []
        self.listings = 0
        for name in self.names[::2]:
            self.change(name, is_there=True)

    def change(self, key: str, *, is_there: bool) -> None:
        """Write or delete a key."""
        self.journal.begin(key, is_there)
        answer = self.s3.request("PUT" if is_there else "DELETE", f"/{self.bucket}/{key}", body=b"")
        if answer.status not in (200, 204):
            self.wrong.append(f"a change of {key} got {answer.verdict}")
        self.journal.end(key)

    def meddler(self, first: int, step: int) -> Callable[[], None]:
        """Return work on every `step`th key from `first` on; the lasting ones are overwritten only."""
        chance = random.Random(first)
        mine = range(first, len(self.names), step)

        def work() -> None:
            number = chance.choice(mine)
            lasts = number % 4 == 0
            self.change(self.names[number], is_there=lasts or chance.random() < 0.5)

        return work

    def list(self, *, is_rolled_up: bool, size: int) -> None:
        """List all pages, and hold what they show against the journal."""
        self.listings += 1
        begin = time.monotonic_ns()
        found: list[str] = []
        query = [("list-type", "2"), ("max-keys", str(size))] + [("delimiter", "/")] * is_rolled_up
        token = ""
        for _ in range(MAX_PAGES):
            more = [("continuation-token", token)] if token else []
            page = self.s3.request("GET", f"/{self.bucket}", [*query, *more])
            if page.status != 200:
                self.wrong.append(f"a listing got {page.verdict}")
                return
            found += page.texts("CommonPrefixes/Prefix" if is_rolled_up else "Contents/Key")
            token = page.text("NextContinuationToken") or ""
            if not token:
                break
        else:
            self.wrong.append(f"pages of {size}: no end after {MAX_PAGES} pages")
        self._judge(found, begin, time.monotonic_ns(), f"pages of {size}", is_rolled_up=is_rolled_up)

    def _judge(self, found: list[str], begin: int, end: int, what: str, *, is_rolled_up: bool) -> None:
        if found != sorted(set(found)):
            self.wrong.append(f"{what}: not in order, or twice: {found}")
        certain = {name: self.journal.certain(name, begin, end) for name in self.names}
        if is_rolled_up:
            groups: dict[str, list[bool | None]] = {}
            for name, state in certain.items():
                groups.setdefault(name.split("/")[0] + "/", []).append(state)
            certain = {group: _any(states) for group, states in groups.items()}
        for name, state in certain.items():
            if state is True and name not in found:
                self.wrong.append(f"{what}: {name} was there all the time, and is not listed")
            if state is False and name in found:
                self.wrong.append(f"{what}: {name} was not there at any time, and is listed")
        self.wrong += [f"{what}: {name} was never written" for name in found if name not in certain]


def _any(states: list[bool | None]) -> bool | None:
    return True if True in states else None if None in states else False


def listings(server: ServerProcess, bucket: str, turns: int, seed: int) -> tuple[list[str], int]:
    """List a bucket, page by page, while keys come and go; return what was wrong, and how many listings there were."""
    story = Listed(server.s3, bucket, seed)
    with going_on(*(story.meddler(first, 2) for first in range(2))):
        for turn in range(turns):
            story.list(is_rolled_up=turn % 4 == 3, size=story.chance.choice((1, 2, 3, 7, 20)))
    return story.wrong, story.listings


# --- keys that are deleted and rotated ------------------------------------------------------------------


def administer(server: ServerProcess, *words: str) -> dict[str, str]:
    """Run `anys3 key ...` beside the server, and return what it prints, if it is JSON."""
    command = [sys.executable, "-m", "anys3", "key", *words, *server.key_options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    printed: dict[str, str] = json.loads(done.stdout) if "--json" in words else {}
    return printed


class Everywhere:
    """An open connection to each worker."""

    def __init__(self, s3: RawClient, workers: int) -> None:
        self.s3 = s3
        self.sockets: dict[str, socket.socket] = {}
        for _ in range(200):
            connection = s3.connect()
            answer = self._ask(s3, connection, "/")
            worker = answer.headers["x-amz-request-id"][:8]
            if worker in self.sockets:
                connection.close()
            self.sockets.setdefault(worker, connection)
            if len(self.sockets) == workers:
                return
        raise AssertionError("not all workers answer")

    def _ask(self, s3: RawClient, connection: socket.socket, path: str) -> Response:
        lines = s3.sign("GET", path, "", {"host": s3.host}, b"")
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        connection.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        return read_response(connection)

    def verdicts(self, s3: RawClient, path: str) -> set[tuple[int, str]]:
        """Return what the workers answer to a client."""
        answers = [self._ask(s3, connection, path) for connection in self.sockets.values()]
        return {(answer.status, "" if answer.status == 200 else answer.code) for answer in answers}

    def close(self) -> None:
        """Close them."""
        for connection in self.sockets.values():
            connection.close()


def keys_that_go(server: ServerProcess, bucket: str, turns: int, workers: int) -> list[str]:
    """Rotate and delete a key beside the server, again and again; return which old secrets a worker still took."""
    wrong: list[str] = []
    path = f"/{bucket}"
    everywhere = Everywhere(server.s3, workers)

    def expect(s3: RawClient, expected: tuple[int, str], when: str) -> None:
        found = everywhere.verdicts(s3, path)
        if found != {expected}:
            wrong.append(f"{when}: {found}, not {expected}")

    def client(made: dict[str, str]) -> RawClient:
        return RawClient(server.s3.endpoint, made["access_key_id"], made["secret_access_key"])

    for turn in range(turns):
        first = client(administer(server, "create", f"app{turn}", "--bucket", bucket, "--read", "--json"))
        expect(first, (200, ""), "after the key was made")
        second = client(administer(server, "rotate", first.access_key_id, "--json"))
        expect(first, (403, "SignatureDoesNotMatch"), "the old secret after rotation")
        expect(second, (200, ""), "the new secret after rotation")
        administer(server, "delete", first.access_key_id)
        expect(second, (403, "InvalidAccessKeyId"), "after the key was deleted")
    everywhere.close()
    return wrong
