"""Requests that make, fill, complete and abort multipart uploads."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from tests.rawclient import key_path
from tests.torture.clients.sending import BORDERS, SHARED, SMALL, Sender, version_of
from tests.torture.journal import OPEN, Content, Place, cut
from tests.uploads import MIN_PART, document

UPLOAD_HEADERS = {"content-type": "application/x-upload", "x-amz-meta-mark": "upload"}
"""The same for all uploads: of one whose CreateMultipartUpload was not answered, too."""


class Uploads(Sender):
    """See the module."""

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
            sizes = (MIN_PART, MIN_PART + 4097) if is_first else (*SMALL, *BORDERS)
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


def etag_of_parts(etags: list[str]) -> str:
    """Return the ETag of an object made of parts."""
    digests = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"
