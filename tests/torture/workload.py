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
`largest`: no body is larger than this. `weights`: other weights for some of the operations, 0 to leave one out.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.rawclient import RawClient, Response, key_path, md5_b64
from tests.torture.journal import ANOTHER, OPEN, Content, Journal, Operation, Place, Version, cut
from tests.uploads import MIN_PART, document

SHARED = "shared"
KIB, MIB = 1024, 1024 * 1024
_SMALL = (0, 1, 17, 512, 4000, 30_000)
_BORDERS = (
    *(128 * KIB + by for by in (-1, 0, 1)),
    *(256 * KIB + by for by in (-1, 0, 1)),
    *(MIB + by for by in (-1, 0, 1, 4096)),
)
_LARGE = (2 * MIB, 3 * MIB + 77, 6 * MIB + 5)
_REFUSALS_TO_END = 5
_NAMES = ("a", "b/c", "b/d", "b/e/f", "sp ace", "grüße/ü", "z" * 400, "z" * 401 + "/1", "z" * 900 + "/2")
_SHARED_NAMES = ("s0", "s1", "dir/s2", "y" * 450 + "/s3")


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
    ) -> None:
        self.s3 = s3
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

    def take(self) -> bool:
        """Whether a thread may do one more operation."""
        with self._lock:
            self._left -= 1
            return self._left >= 0 and not self._stop.is_set()


class Client:
    """One thread of a workload, and what it knows of its own places."""

    def __init__(self, workload: Workload, number: int, seed: str) -> None:
        self._workload = workload
        self._journal = workload.journal
        self._s3 = workload.s3
        self._random = random.Random(seed)
        self._number = number
        self._name = f"own{number}"
        self._home = f"{self._name}-keys"
        self._shared_name = _SHARED_NAMES[number] if number < len(_SHARED_NAMES) else None
        base = self._journal.base
        self._known = {place: value for place, value in base.items() if self._is_own(place)}
        self._doubted: set[Place] = set()
        """Places of which an answer is missing."""
        self._kept: set[str] = set()
        """Buckets that can't be deleted now, because an answer about something in them is missing."""
        self._refusals = 0

    def _is_own(self, place: Place) -> bool:
        if place[0] == "access":
            return self._number == 0
        if place[1] == SHARED:
            return place[0] in {"upload", "part"} and place[2] == self._shared_name
        return str(place[1]).startswith(self._name + "-")

    def run(self) -> None:
        """Do operations until there are enough, or nobody listens any more."""
        names = [name for name, weight in self._workload.weights.items() if weight]
        weights = [self._workload.weights[name] for name in names]
        self.make_bucket(self._home)
        while self._refusals < _REFUSALS_TO_END and self._workload.take():
            (name,) = self._random.choices(names, weights)
            getattr(self, name)()

    # --- sending -------------------------------------------------------------------------------------

    def _send(
        self,
        operation: Operation | None,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        refusals: tuple[int, ...] = (),
    ) -> Response | None:
        """Send one request; return a success, else None, with the operation ended as it was answered."""
        try:
            answer = self._s3.request(method, path, query, headers, body)
        except ConnectionRefusedError:
            self._refusals += 1
            time.sleep(0.01)
            self._end(operation, "nothing", "refused")
            return None
        except OSError as error:
            self._end(operation, "unknown", type(error).__name__)
            return None
        self._refusals = 0
        is_error = answer.status >= 300 or (method == "POST" and answer.code)
        if not is_error:
            return answer
        if answer.status not in refusals:
            self._journal.surprise(f"{method} {path} {list(query)}: {answer.status} {answer.body[:300]!r}")
        self._end(operation, "unknown" if answer.status >= 500 else "nothing", str(answer.status))
        return None

    def _end(self, operation: Operation | None, outcome: str, note: str = "") -> None:
        if operation is None:
            return
        self._journal.end(operation, outcome, note)
        for place, values in operation.changes.items():
            if outcome == "unknown":
                self._kept.add(place[1])
                self._doubted.add(place)
                if place[0] == "part":
                    self._doubted.add(("upload", *place[1:4]))
            elif outcome == "done" and self._is_own(place):
                if len(values) == 1:
                    self._known[place] = values[0]
                    self._doubted.discard(place)
                else:
                    self._doubted.add(place)

    def _begin(
        self, name: str, changes: Mapping[Place, Any], creates: tuple[str, str] | None = None
    ) -> Operation:
        tuples = {place: (value,) for place, value in changes.items()}
        return self._journal.begin(name, self._name, tuples, creates)

    def _change(
        self,
        name: str,
        changes: Mapping[Place, Any],
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        refusals: tuple[int, ...] = (),
    ) -> Response | None:
        """Send what makes these changes, journaled."""
        operation = self._begin(name, changes)
        answer = self._send(operation, method, path, query, headers, body, refusals=refusals)
        if answer is not None:
            self._end(operation, "done")
        return answer

    # --- choosing ------------------------------------------------------------------------------------

    def _certain(self, kind: str) -> list[Place]:
        """Return the own places of that kind of which it is certain that they are there."""
        found = (
            place
            for place, value in self._known.items()
            if place[0] == kind and value is not None and place not in self._doubted
        )
        return sorted(found, key=str)

    def _pick(self, kind: str) -> Place | None:
        found = self._certain(kind)
        return self._random.choice(found) if found else None

    def _target(self) -> Place | None:
        """Return where to write: an own key, or a shared one."""
        if self._random.random() < 0.25:
            return ("object", SHARED, self._random.choice(_SHARED_NAMES))
        buckets = [place[1] for place in self._certain("bucket")]
        if not buckets:
            return None
        is_home = self._home in buckets and self._random.random() < 0.7
        bucket = self._home if is_home else self._random.choice(buckets)
        return ("object", bucket, self._random.choice(_NAMES))

    def _content(self, sizes: tuple[int, ...]) -> tuple[Content, bytes]:
        size = min(self._random.choice(sizes), self._workload.largest)
        return self._journal.content(self._random.getrandbits(60), size)

    def _metadata(self) -> dict[str, str]:
        mark = f"{self._random.getrandbits(40):x}"
        return {"content-type": f"text/x-{mark[:3]}", "x-amz-meta-mark": mark}

    # --- objects -------------------------------------------------------------------------------------

    def put_small(self) -> None:
        """PutObject that lies in the index."""
        self._put(_SMALL)

    def put_border(self) -> None:
        """PutObject around the sizes where something changes."""
        self._put(_BORDERS)

    def put_large(self) -> None:
        """PutObject of several MiB."""
        self._put(_LARGE)

    def _put(self, sizes: tuple[int, ...]) -> None:
        place = self._target()
        if place is None:
            return
        content, body = self._content(sizes)
        headers = self._metadata()
        changes = {place: version_of(content, headers)}
        self._change("PutObject", changes, "PUT", key_path(*place[1:]), headers=headers, body=body)

    def get(self) -> None:
        """GetObject of an own key, which must be what was last acknowledged."""
        place = self._pick("object")
        if place is None:
            return
        answer = self._send(None, "GET", key_path(*place[1:]))
        if answer is not None and hashlib.sha256(answer.body).hexdigest() != self._known[place].digest:
            self._journal.surprise(f"{self._name} reads other bytes than it wrote: {place}")

    def delete(self) -> None:
        """DeleteObject, also of what is not there."""
        place = self._target()
        if place is not None:
            self._change("DeleteObject", {place: None}, "DELETE", key_path(*place[1:]))

    def delete_many(self) -> None:
        """DeleteObjects in one bucket: without conditions, so in one commit."""
        bucket = self._random.choice([*(place[1] for place in self._certain("bucket")), SHARED])
        names = _SHARED_NAMES if bucket == SHARED else _NAMES
        keys = self._random.sample(names, self._random.randint(1, len(names)))
        data = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        body = f"<Delete>{data}</Delete>".encode()
        changes: dict[Place, Any] = {("object", bucket, key): None for key in keys}
        headers = {"content-md5": md5_b64(body)}
        answer = self._change("DeleteObjects", changes, "POST", f"/{bucket}", [("delete", "")], headers, body)
        if answer is not None and len(answer.texts("Deleted/Key")) != len(keys):
            self._journal.surprise(f"DeleteObjects of {keys} answers {answer.body!r}")

    def copy(self) -> None:
        """CopyObject: of an own key or a shared one, large or small, made of parts or not."""
        target, source = self._target(), self._pick("object")
        if self._random.random() < 0.2:
            source = ("object", SHARED, self._random.choice(_SHARED_NAMES))
        if target is None or source is None or target == source:
            return
        operation = self._begin("CopyObject", {target: None})
        operation.changes[target] = self._copies(source)
        headers = {"x-amz-copy-source": key_path(*source[1:])}
        refusals = (404,) if source[1] == SHARED else ()
        answer = self._send(operation, "PUT", key_path(*target[1:]), headers=headers, refusals=refusals)
        copies = operation.changes[target] = self._copies(source)
        if answer is None:
            return
        etag = (answer.text("ETag") or "").strip('"')
        operation.changes[target] = tuple(copy for copy in copies if copy.etag == etag)
        if not operation.changes[target]:
            self._journal.surprise(f"a copy of {source} has the ETag {etag!r}, of none of {copies}")
        self._end(operation, "done")

    def _copies(self, source: Place) -> tuple[Version, ...]:
        """Return what a copy of a key may be: others may write to a shared one."""
        versions = self._journal.values(source) if source[1] == SHARED else {self._known[source]}
        return tuple(
            replace(version, etag=self._journal.contents[version.digest].md5) for version in versions
        )

    def copy_onto_itself(self) -> None:
        """CopyObject of an own key onto itself, with new metadata."""
        place = self._pick("object")
        if place is None:
            return
        headers = self._metadata()
        version: Version = self._known[place]
        copy = version_of(self._journal.contents[version.digest], headers, version.tags)
        path = key_path(*place[1:])
        asked = {**headers, "x-amz-copy-source": path, "x-amz-metadata-directive": "REPLACE"}
        self._change("CopyObject onto itself", {place: copy}, "PUT", path, headers=asked)

    def tag(self) -> None:
        """PutObjectTagging or DeleteObjectTagging of an own key."""
        place = self._pick("object")
        if place is None:
            return
        path, query = key_path(*place[1:]), [("tagging", "")]
        version: Version = self._known[place]
        if self._random.random() < 0.3:
            self._change("DeleteObjectTagging", {place: replace(version, tags=())}, "DELETE", path, query)
            return
        tags = (("colour", f"{self._random.getrandbits(20)}"), ("size", "l"))
        rows = "".join(f"<Tag><Key>{name}</Key><Value>{value}</Value></Tag>" for name, value in tags)
        body = f"<Tagging><TagSet>{rows}</TagSet></Tagging>".encode()
        headers = {"content-md5": md5_b64(body)}
        changes = {place: replace(version, tags=tags)}
        self._change("PutObjectTagging", changes, "PUT", path, query, headers, body)

    # --- uploads -------------------------------------------------------------------------------------

    def create_upload(self) -> None:
        """CreateMultipartUpload for an own key, or for the thread's one among the shared ones."""
        target = self._target()
        if target is None or len(self._certain("upload")) >= 4:
            return
        if target[1] == SHARED:
            if self._shared_name is None:
                return
            target = ("object", SHARED, self._shared_name)
        operation = self._begin("CreateMultipartUpload", {}, (target[1], target[2]))
        answer = self._send(operation, "POST", key_path(*target[1:]), [("uploads", "")], dict(UPLOAD_HEADERS))
        if answer is None:
            self._kept.add(target[1])
            return
        operation.changes[("upload", target[1], target[2], answer.text("UploadId"))] = (OPEN,)
        self._end(operation, "done")

    def upload_part(self) -> None:
        """UploadPart, also with the number of a part that is there."""
        upload = self._pick("upload")
        if upload is not None:
            is_first = self._workload.largest >= MIN_PART and self._random.random() < 0.15
            sizes = (MIN_PART, MIN_PART + 4097) if is_first else (*_SMALL, *_BORDERS)
            self._put_part(upload, *self._content(sizes), {})

    def copy_part(self) -> None:
        """UploadPartCopy of an own key, or of a range of it."""
        upload, source = self._pick("upload"), self._pick("object")
        if upload is None or source is None:
            return
        content = self._journal.contents[self._known[source].digest]
        headers = {"x-amz-copy-source": key_path(*source[1:])}
        if content.size > 1 and self._random.random() < 0.5:
            first = self._random.randrange(content.size)
            length = self._random.randint(1, content.size - first)
            headers["x-amz-copy-source-range"] = f"bytes={first}-{first + length - 1}"
            content = self._journal.keep(*cut(content, first, length))
        self._put_part(upload, content, b"", headers)

    def _put_part(self, upload: Place, content: Content, body: bytes, headers: dict[str, str]) -> None:
        number = self._random.choice((1, 1, 2, 2, 3, 9999))
        place = ("part", *upload[1:], number)
        self._journal.parts[place[3], number, content.md5] = content
        query = [("partNumber", str(number)), ("uploadId", upload[3])]
        name = "UploadPartCopy" if headers else "UploadPart"
        changes = {place: (content.md5, content.size)}
        self._change(name, changes, "PUT", key_path(*upload[1:3]), query, headers, body)

    def complete(self) -> None:
        """CompleteMultipartUpload, of some of the parts: the others are freed."""
        upload = self._pick("upload")
        if upload is None:
            return
        parts = [place for place in self._certain("part") if place[1:4] == upload[1:]]
        if not parts:
            return
        parts.sort(key=lambda place: place[4])
        chosen = [place for place in parts[:-1] if self._known[place][1] >= MIN_PART] + parts[-1:]
        etags = [(place[4], self._known[place][0]) for place in chosen]
        contents = [self._journal.parts[upload[3], *one] for one in etags]
        whole = self._journal.keep(*cut(contents, 0, sum(content.size for content in contents)))
        target = ("object", *upload[1:3])
        made = version_of(whole, UPLOAD_HEADERS)
        version = replace(made, etag=etag_of_parts([etag for _, etag in etags]))
        changes: dict[Place, Any] = {**self._dropped(upload), target: version}
        body = document((number, f'"{etag}"') for number, etag in etags)
        path, query = key_path(*upload[1:3]), [("uploadId", upload[3])]
        answer = self._change("CompleteMultipartUpload", changes, "POST", path, query, body=body)
        if answer is not None and target[1] != SHARED:
            self._workload.completed[self._name] = (upload, body, version)

    def complete_again(self) -> None:
        """CompleteMultipartUpload of what it has made already: it is there, so it is a success."""
        upload, body, version = self._workload.completed.get(self._name, (None, b"", None))
        if upload is None:
            return
        target = ("object", *upload[1:3])
        if target in self._doubted or self._known.get(target) != version:
            return
        path, query = key_path(*upload[1:3]), [("uploadId", upload[3])]
        self._change("Complete again", {target: version}, "POST", path, query, body=body)

    def abort(self) -> None:
        """AbortMultipartUpload."""
        upload = self._pick("upload")
        if upload is not None:
            path, query = key_path(*upload[1:3]), [("uploadId", upload[3])]
            self._change("AbortMultipartUpload", self._dropped(upload), "DELETE", path, query)

    def _dropped(self, upload: Place) -> dict[Place, Any]:
        """Return what the end of an upload takes away."""
        parts = [place for place in self._known if place[0] == "part" and place[1:4] == upload[1:]]
        return dict.fromkeys([upload, *parts])

    # --- buckets and keys ----------------------------------------------------------------------------

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket that has to be there."""
        for _ in range(3):
            if self._journal.base.get(("bucket", bucket)) or self._known.get(("bucket", bucket)):
                return
            self._create_bucket(bucket)

    def create_bucket(self) -> None:
        """CreateBucket, of one that comes and goes."""
        self._create_bucket(f"{self._name}-temporary-{self._random.randrange(2)}")

    def _create_bucket(self, bucket: str) -> None:
        place = ("bucket", bucket)
        if not self._known.get(place):
            self._change("CreateBucket", {place: True}, "PUT", f"/{bucket}", refusals=(409,))

    def delete_bucket(self) -> None:
        """DeleteBucket, often with unfinished uploads, sometimes with objects: then it must be refused."""
        found = [place for place in self._certain("bucket") if place[1] not in {*self._kept, self._home}]
        if not found:
            return
        bucket = self._random.choice(found)
        inside = [
            place for place, value in self._known.items() if place[1] == bucket[1] and value is not None
        ]
        objects = [place for place in inside if place[0] == "object"]
        if objects and self._random.random() < 0.8:
            for place in objects:
                self._change("DeleteObject", {place: None}, "DELETE", key_path(*place[1:]))
            return
        refusals = (409,) if objects else ()
        answer = self._change(
            "DeleteBucket", dict.fromkeys(inside), "DELETE", f"/{bucket[1]}", refusals=refusals
        )
        if answer is not None and objects:
            self._journal.surprise(f"{bucket} was deleted with {objects} in it")

    def change_key(self) -> None:
        """`anys3 key create`, `rotate` or `delete`, beside the server; one thread only."""
        if self._number:
            return
        keys = self._certain("access")
        if not keys or (len(keys) < 5 and self._random.random() < 0.5):
            self._key("create", None, f"made-{self._random.getrandbits(40):x}", "--create-buckets")
        else:
            place = self._random.choice(keys)
            self._key(self._random.choice(("rotate", "delete")), place, place[1])

    def _key(self, action: str, place: Place | None, *arguments: str) -> None:
        value = ANOTHER if action == "rotate" else None
        operation = self._begin(f"key {action}", {} if place is None else {place: value})
        words = (sys.executable, "-m", "anys3", "key", action, *arguments)
        try:
            ended = subprocess.run(
                [*words, "--json", "--dir", str(self._workload.directory)],
                capture_output=True,
                timeout=60,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self._end(operation, "unknown", "timeout")
            return
        if ended.returncode:
            self._end(operation, "unknown", ended.stderr.decode()[-200:])
            return
        if action != "delete":
            made = json.loads(ended.stdout)
            place = ("access", made["access_key_id"])
            operation.changes[place] = (made["secret_access_key"],)
        self._end(operation, "done")


UPLOAD_HEADERS = {"content-type": "application/x-upload", "x-amz-meta-mark": "upload"}
"""The same for all uploads: of one whose CreateMultipartUpload was not answered, too."""

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
    "change_key": 0.04,
}


def version_of(
    content: Content, headers: Mapping[str, str], tags: tuple[tuple[str, str], ...] = ()
) -> Version:
    """Return the version that a request with this body and these headers makes."""
    return Version(content.md5, content.size, content.digest, tuple(sorted(headers.items())), tags)


def etag_of_parts(etags: list[str]) -> str:
    """Return the ETag of an object made of parts."""
    digests = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"
