"""What one vector has made, or may have: told to the journal before, and taken away afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from anys3.client.connections import ExchangeError
from anys3.conformance.vectors.expectations import Observed
from anys3.conformance.vectors.sending import Request, Sender
from anys3.conformance.vectors.target import Journal

_READS = ("Get", "Head", "List")


@dataclass(frozen=True, slots=True)
class Write:
    """One thing that a step may make or leave: `key` is empty for a bucket."""

    bucket: str
    key: str = ""
    is_upload: bool = False


@dataclass(slots=True)
class Footprint:
    """The buckets that a vector made, and what it wrote into them. Not for several threads at once."""

    sender: Sender
    journal: Journal
    run_id: str
    buckets: dict[str, None] = field(default_factory=dict)
    keys: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    uploads: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    _old_buckets: set[str] = field(default_factory=set)

    def will_write(self, write: Write) -> None:
        """Take note of a write, and tell the journal, before anything is sent.

        A bucket that exists already is not this vector's, whatever the endpoint answers: it is never deleted.
        """
        if not write.key:
            if write.bucket not in self.buckets and self._exists(write.bucket):
                self._old_buckets.add(write.bucket)
            if self.run_id in write.bucket:
                self.journal.will_create_bucket(write.bucket)
            return
        if self.run_id in write.bucket:
            if write.is_upload:
                self.journal.will_create_upload(write.bucket, write.key)
            else:
                self.journal.will_create_object(write.bucket, write.key)
        self.keys.setdefault((write.bucket, write.key), set())

    def wrote(self, write: Write, upload_id: str | None, version_id: str | None) -> None:
        """Take note of what a write that succeeded has made."""
        if not write.key:
            if write.bucket not in self._old_buckets:
                self.buckets[write.bucket] = None
        elif write.is_upload and upload_id:
            self.uploads.setdefault((write.bucket, write.key), set()).add(upload_id)
        elif version_id:
            self.keys.setdefault((write.bucket, write.key), set()).add(version_id)

    def may_have_written(self, write: Write) -> None:
        """Take note of a write without an answer: a bucket with the run id in its name may exist now."""
        if not write.key and write.bucket not in self._old_buckets and self.run_id in write.bucket:
            self.buckets[write.bucket] = None

    def _exists(self, bucket: str) -> bool:
        if self.run_id in bucket:
            return False
        try:
            return self.sender.simple("HEAD", bucket).status != 404
        except (ExchangeError, ValueError):
            return True


def write_of_operation(name: str, parameters: Mapping[str, Any]) -> Write | None:
    """Return what an operation may make.

    >>> write_of_operation("CreateMultipartUpload", {"Bucket": "b", "Key": "k"})
    Write(bucket='b', key='k', is_upload=True)
    """
    bucket, key = parameters.get("Bucket"), parameters.get("Key")
    if name.startswith(_READS) or not isinstance(bucket, str) or not bucket:
        return None
    if name == "CreateBucket":
        return Write(bucket)
    if isinstance(key, str) and key:
        return Write(bucket, key, name == "CreateMultipartUpload")
    return None


def write_of_request(request: Request, host: str) -> Write | None:
    """Return what a raw request to the endpoint at `host` may make, as far as its head tells.

    >>> write_of_request(Request("PUT", "/b/a%20b"), "s3.example.com")
    Write(bucket='b', key='a b', is_upload=False)
    >>> write_of_request(Request("PUT", "/k", headers=(("Host", "b.s3.example.com:80"),)), "s3.example.com")
    Write(bucket='b', key='k', is_upload=False)
    """
    if request.method not in ("PUT", "POST", "DELETE"):
        return None
    path, _, query = request.target.partition("?")
    name, colon, _ = (request.header("host") or "").lower().partition(f".{host}")
    bucket, _, key = (name, "", path[1:]) if colon and name else path.lstrip("/").partition("/")
    bucket, key = (
        unquote_to_bytes(text.encode("latin-1")).decode("utf-8", "replace") for text in (bucket, key)
    )
    if not bucket or (not key and (query or request.method != "PUT")):
        return None
    names = {piece.partition("=")[0] for piece in query.split("&")}
    return Write(bucket, key, request.method == "POST" and "uploads" in names)


def upload_and_version(observed: Observed, body: bytes | None) -> tuple[str | None, str | None]:
    """Return the ids that an answer gives to what was made: of an upload, and of a version."""
    upload_id = observed.response.get("UploadId")
    if upload_id is None and body is not None and b"<UploadId>" in body:
        upload_id = body.partition(b"<UploadId>")[2].partition(b"<")[0].decode("utf-8", "replace")
    return upload_id, observed.headers.get("x-amz-version-id")
