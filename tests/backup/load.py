"""Writers that leave a trail from which one can tell what moment a copy of the store is of."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.processes import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from tests.rawclient import RawClient

BUCKET = "/bucket"
KEPT = 6
"""How many of its numbered objects a writer leaves."""
MAX_STEPS = 2000


def content(writer: int, number: int) -> bytes:
    """Return what a writer puts under a number: every other one is a blob, of two blocks."""
    size = 300_000 + number if number % 2 else 500
    line = f"{writer}:{number};".encode()
    return (line * (size // len(line) + 1))[:size]


@dataclass
class Writer:
    """One thread. `begun` and `done` are the numbers of its steps."""

    number: int
    s3: RawClient
    begun: int = 0
    done: int = 0
    uploaded: int = 0
    failure: str = ""
    thread: threading.Thread = field(init=False)

    def run(self, stop: threading.Event) -> None:
        """Take steps until it is told to stop."""
        try:
            while not stop.is_set() and self.done < MAX_STEPS:
                self.begun += 1
                self.step(self.begun)
                self.done = self.begun
        except BaseException as error:
            self.failure = repr(error)
            raise

    def step(self, n: int) -> None:
        """Put a numbered object, note it, remove an old one; now and then a pair, or an upload of parts."""
        home = f"{BUCKET}/w{self.number}"
        self.ask("PUT", f"{home}/{n:06}", content(self.number, n))
        self.ask("PUT", f"{home}/last", str(n).encode())
        if n > KEPT:
            self.ask("DELETE", f"{home}/{n - KEPT:06}")
        if n % 3 == 0:
            for half in "ab":
                self.ask("PUT", f"{home}/pair-{n:06}-{half}", half.encode())
            keys = "".join(f"<Object><Key>w{self.number}/pair-{n:06}-{half}</Key></Object>" for half in "ab")
            self.delete(f"<Delete>{keys}</Delete>".encode())
        if n % 4 == 0:
            self.upload(f"{home}/parts", content(self.number, n + 1))
            self.uploaded = n + 1

    def delete(self, document: bytes) -> None:
        """Delete several objects, in one commit."""
        digest = base64.b64encode(hashlib.md5(document).digest()).decode()
        answer = self.s3.request("POST", BUCKET, [("delete", "")], {"content-md5": digest}, document)
        assert answer.status == 200, answer

    def upload(self, path: str, body: bytes) -> None:
        """Replace an object by one of one part."""
        upload_id = self.s3.request("POST", path, [("uploads", "")]).text("UploadId") or ""
        answer = self.s3.request("PUT", path, [("partNumber", "1"), ("uploadId", upload_id)], body=body)
        assert answer.status == 200, answer
        etag = answer.headers["etag"]
        xml = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
        self.ask("POST", path, f"{xml}</CompleteMultipartUpload>".encode(), [("uploadId", upload_id)])

    def ask(self, method: str, path: str, body: bytes = b"", query: Iterable[tuple[str, str]] = ()) -> bytes:
        """Send a request that must succeed, and return the answer's body."""
        answer = self.s3.request(method, path, query, body=body)
        assert answer.status in (200, 204), answer
        return answer.body


class Load:
    """Several writers, from `with` to its end."""

    def __init__(self, port: int, first: int = 0, count: int = 3) -> None:
        """`first` is the number of the first writer: each has its own keys for all time."""
        self._stop = threading.Event()
        url = f"http://127.0.0.1:{port}"
        self.writers = [
            Writer(n, RawClient(url, ACCESS_KEY_ID, SECRET_ACCESS_KEY)) for n in range(first, first + count)
        ]

    def __enter__(self) -> Self:
        for writer in self.writers:
            writer.thread = threading.Thread(target=writer.run, args=(self._stop,))
            writer.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for writer in self.writers:
            writer.thread.join(60)

    def done(self) -> dict[int, tuple[int, int]]:
        """Return what each writer has finished: its last step, and the number in its object of parts."""
        return {writer.number: (writer.done, writer.uploaded) for writer in self.writers}

    def begun(self) -> dict[int, int]:
        """Return what each writer has begun."""
        return {writer.number: writer.begun for writer in self.writers}


def listing(s3: RawClient) -> list[str]:
    """Return the keys of the bucket."""
    answer = s3.request("GET", BUCKET, [("list-type", "2")])
    assert answer.text("IsTruncated") == "false"
    return answer.texts("Contents/Key")


def violations(s3: RawClient, before: dict[int, tuple[int, int]], after: dict[int, int]) -> list[str]:
    """Return what shows that a copy, served here, is not of one moment between the two."""
    keys = listing(s3)
    found = []
    for writer, (done, uploaded) in before.items():
        begun = after[writer]
        mine = {key.split("/")[1] for key in keys if key.startswith(f"w{writer}/")}
        found += [f"w{writer}: {text}" for text in _of_one(s3, writer, mine, (done, begun), uploaded)]
    return found


def _of_one(s3: RawClient, writer: int, mine: set[str], span: tuple[int, int], uploaded: int) -> list[str]:
    done, begun = span
    if "last" not in mine:
        return [f"nothing was copied, but {done} steps were done"] if done else []
    last = int(s3.request("GET", f"{BUCKET}/w{writer}/last").body)
    numbers = sorted(int(name) for name in mine if name.isdigit())
    found = [] if done <= last <= begun else [f"the last step is {last}, expected {done} to {begun}"]
    beginnings = {max(1, last - KEPT), max(1, last - KEPT + 1)}
    if numbers != list(range(numbers[0], numbers[-1] + 1)) or numbers[0] not in beginnings:
        found.append(f"the objects {numbers} are of no moment at which the last step was {last}")
    if numbers[-1] not in (last, last + 1):
        found.append(f"the newest object is {numbers[-1]}, and the last step {last}")
    for number in numbers:
        answer = _get(s3, f"{BUCKET}/w{writer}/{number:06}")
        if answer != content(writer, number):
            found.append(f"the object {number} can't be read as it was written")
    halves = {name for name in mine if name.startswith("pair-")}
    found += [
        f"{name} is half of a pair" for name in halves if name[-1] == "b" and name[:-1] + "a" not in halves
    ]
    if uploaded or "parts" in mine:
        body = _get(s3, f"{BUCKET}/w{writer}/parts")
        version = int(body.split(b";")[0].split(b":")[1]) if body else 0
        if not uploaded <= version <= begun + 1 or body != content(writer, version):
            found.append(f"the object of parts is {version}, expected {uploaded} to {begun + 1}, whole")
    return found


def _get(s3: RawClient, path: str) -> bytes:
    """Return an object's bytes, nothing if it can't be read."""
    try:
        answer = s3.request("GET", path)
    except (OSError, AssertionError, ValueError):
        return b""
    return answer.body if answer.status == 200 else b""
