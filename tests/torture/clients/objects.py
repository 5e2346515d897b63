"""Requests that write, delete and copy objects."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from typing import Any
from xml.sax.saxutils import escape

from tests.rawclient import key_path, md5_b64, render
from tests.torture.clients.sending import (
    BORDERS,
    LARGE,
    NAMES,
    SHARED,
    SHARED_NAMES,
    SMALL,
    Sender,
    version_of,
)
from tests.torture.journal import Place, Version


class Objects(Sender):
    """See the module."""

    def put_small(self) -> None:
        """PutObject that lies in the index."""
        self._put(SMALL)

    def put_border(self) -> None:
        """PutObject around the sizes where something changes."""
        self._put(BORDERS)

    def put_large(self) -> None:
        """PutObject of several MiB."""
        self._put(LARGE)

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
        names = SHARED_NAMES if bucket == SHARED else NAMES
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
            source = ("object", SHARED, self._random.choice(SHARED_NAMES))
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

    def put_refused(self) -> None:
        """PutObject whose Content-MD5 is another one's: nothing may change, nothing may stay behind."""
        place = self._target()
        if place is not None:
            _, body = self._content(BORDERS)
            headers = {"content-md5": md5_b64(b"another body")}
            path = key_path(*place[1:])
            if self._send(None, "PUT", path, headers=headers, body=body, refusals=(400,)) is not None:
                self._journal.surprise(f"a body with a wrong Content-MD5 was taken for {place}")

    def put_broken(self) -> None:
        """PutObject whose client goes away in the middle of the body."""
        place = self._target()
        if place is None:
            return
        _, body = self._content(LARGE)
        path = key_path(*place[1:])
        lines = self._s3.sign("PUT", path, "", {"host": self._s3.host}, body)
        head = render("PUT", path, {**lines, "content-length": str(len(body))})
        with contextlib.suppress(OSError), self._s3.connect() as connection:
            connection.sendall(head + body[: len(body) * 2 // 3])

    def copy_refused(self) -> None:
        """CopyObject onto a key that is there, If-None-Match: * says that it must not."""
        place = self._pick("object")
        if place is not None:
            path = key_path(*place[1:])
            headers = {"x-amz-copy-source": path, "if-none-match": "*", **self._metadata()}
            headers["x-amz-metadata-directive"] = "REPLACE"
            if self._send(None, "PUT", path, headers=headers, refusals=(412,)) is not None:
                self._journal.surprise(f"{place} was replaced against If-None-Match")
