"""Takes away what a run made: only names that its journal holds and that carry its run id.

A bucket that the run itself made is emptied of whatever is found in it. Anything else that is found is left
and named.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import md5
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from anys3.client.connections import ExchangeError
from anys3.conformance.ground import Ground
from anys3.conformance.journal import Journal, Made
from anys3.conformance.outcomes import Failed, Skipped
from anys3.conformance.probe import Probe
from anys3.conformance.replies import Reply

_BATCH = 500
_THREADS = 8
_ROUNDS = 50
_SAFE_IN_XML = frozenset(map(chr, range(0x20, 0xD800))) | {"\t"}


@dataclass(slots=True)
class Leftovers:
    """What could not be taken away: one sentence each."""

    sentences: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.sentences)


def clean(ground: Ground, made: Made, run_id: str) -> Leftovers:
    """Abort the uploads, delete the objects and buckets of a run, and return what is left.

    Works over the main identity of `ground`, whose limits no longer hold. Raises nothing that the endpoint
    causes: what fails is a sentence in the result.
    """
    return _Cleaner(ground, made, run_id).clean()


class _Cleaner:
    def __init__(self, ground: Ground, made: Made, run_id: str) -> None:
        ground.stop.clear()
        ground.lift_limits()
        self._ground = ground
        self._made = made
        self._run_id = run_id
        self._probe = Probe(ground, "clean")
        self._left = Leftovers()

    def clean(self) -> Leftovers:
        if self._ground.main is None:
            return self._left
        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(self._abort, list(self._made.uploads)))
            self._delete_objects(threads, list(self._made.objects))
            for bucket in list(self._made.buckets):
                if self._run_id in bucket:
                    self._delete_bucket(threads, bucket)
        return self._left

    def _ask(self, *arguments: object, **more: object) -> Reply | None:
        """Return the answer, None if there is none: it is noted."""
        try:
            self._probe.exchanges.clear()
            return self._probe.request(*arguments, **more)  # type: ignore[arg-type]
        except (ExchangeError, Failed, Skipped) as error:
            self._note(str(error))
            return None

    def _note(self, sentence: str) -> None:
        if sentence not in self._left.sentences:
            self._left.sentences.append(sentence)

    def _abort(self, where: tuple[str, str]) -> None:
        bucket, key = where
        if not Journal.is_of_run(self._run_id, bucket, key):
            return
        path = self._probe.path(key, bucket)
        for upload_id in self._made.uploads[where] | self._uploads_of(bucket, key):
            reply = self._ask("DELETE", path, [("uploadId", upload_id)])
            if reply is not None and not reply.is_one_of("2xx", "404"):
                self._note(f"an upload of {bucket}/{key} is left: {reply.said}")

    def _uploads_of(self, bucket: str, key: str) -> set[str]:
        """Return the uploads of a key that the endpoint lists: one may have begun without its id being seen."""
        reply = self._ask("GET", self._probe.path(bucket=bucket), [("uploads", ""), ("prefix", key)])
        if reply is None or reply.status != 200:
            return set()
        try:
            found = reply.xml.findall("Upload")
        except Failed:
            return set()
        return {row.findtext("UploadId") or "" for row in found if row.findtext("Key") == key} - {""}

    def _delete_objects(self, threads: ThreadPoolExecutor, names: Iterable[tuple[str, str]]) -> None:
        rows: dict[str, list[str]] = {}
        for bucket, key in names:
            if Journal.is_of_run(self._run_id, bucket, key):
                rows.setdefault(bucket, []).append(key)
        for bucket, keys in rows.items():
            plain = [key for key in keys if _SAFE_IN_XML.issuperset(key)]
            rest = [key for key in keys if not _SAFE_IN_XML.issuperset(key)]
            for start in range(0, len(plain), _BATCH):
                rest += self._delete_batch(bucket, plain[start : start + _BATCH])
            list(threads.map(lambda key, bucket=bucket: self._delete_object(bucket, key), rest))

    def _delete_batch(self, bucket: str, keys: list[str]) -> list[str]:
        """Delete with DeleteObjects. Returns the keys that it did not delete, for DeleteObject."""
        rows = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        body = f"<Delete><Quiet>false</Quiet>{rows}</Delete>".encode()
        digest = _md5_base64(body)
        reply = self._ask("POST", self._probe.path(bucket=bucket), "delete", {"content-md5": digest}, body)
        if reply is None or reply.status != 200:
            return keys
        try:
            deleted = set(reply.texts("Deleted/Key"))
        except Failed:
            return keys
        return [key for key in keys if key not in deleted]

    def _delete_object(self, bucket: str, key: str) -> None:
        reply = self._ask("DELETE", self._probe.path(key, bucket))
        if reply is not None and not reply.is_one_of("2xx", "404", "400"):
            self._note(f"{bucket}/{key} is left: {reply.said}")

    def _delete_bucket(self, threads: ThreadPoolExecutor, bucket: str) -> None:
        path = self._probe.path(bucket=bucket)
        for _ in range(_ROUNDS):
            reply = self._ask("DELETE", path)
            if reply is None:
                return
            if reply.is_one_of("2xx", "404", "400 InvalidBucketName"):
                return
            if not reply.is_one_of("409") or not self._empty(threads, bucket):
                self._note(f"the bucket {bucket} is left: {reply.said}")
                return
        self._note(f"the bucket {bucket} is left: it does not become empty")

    def _empty(self, threads: ThreadPoolExecutor, bucket: str) -> bool:
        """Delete one page of what a bucket of this run holds; whether there was anything."""
        path = self._probe.path(bucket=bucket)
        reply = self._ask("GET", path, [("list-type", "2"), ("encoding-type", "url")])
        found = _keys_of(reply)
        list(threads.map(lambda key: self._delete_object(bucket, key), found))
        uploads = self._ask("GET", path, "uploads")
        rows = [] if uploads is None or uploads.status != 200 else uploads.xml.findall("Upload")
        for row in rows:
            key, upload_id = row.findtext("Key") or "", row.findtext("UploadId") or ""
            self._ask("DELETE", self._probe.path(key, bucket), [("uploadId", upload_id)])
        return bool(found or rows)


def _keys_of(reply: Reply | None) -> list[str]:
    if reply is None or reply.status != 200:
        return []
    try:
        is_encoded = reply.text("EncodingType") == "url"
        return [unquote_plus(key) if is_encoded else key for key in reply.texts("Contents/Key")]
    except Failed:
        return []


def _md5_base64(body: bytes) -> str:
    return base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
