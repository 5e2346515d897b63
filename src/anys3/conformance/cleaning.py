"""Takes away what a run made: only names that its journal holds and that carry its run id.

A bucket that the run itself made is emptied of whatever is found in it. Anything else that is found is left
and named.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from anys3.client.connections import ExchangeError
from anys3.conformance.digests import md5_base64
from anys3.conformance.ground import Ground
from anys3.conformance.journal import Journal, Made
from anys3.conformance.outcomes import Failed, Skipped
from anys3.conformance.probe import Probe
from anys3.conformance.replies import Reply

_BATCH = 500
_THREADS = 8
_ROUNDS = 50
# What a document can't hold goes one by one. Keys that some servers refuse or take for paths have batches of
# their own: where one is not deleted, the plain ones are.
_PLAIN = re.compile(r"(?!.*(?://|/\.{1,2}(?:/|$)|/$|^/))[\u0020-\ud7ff]+")
_ODD = re.compile("[\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


def clean(ground: Ground, made: Made, run_id: str) -> list[str]:
    """Abort the uploads, delete the objects and buckets of a run, and return what is left: a sentence each.

    Works over the main identity of `ground`, whose limits no longer hold. Raises nothing that the endpoint
    causes: what fails is a sentence in the result.
    """
    return _Cleaner(ground, made, run_id).clean()


class _Cleaner:
    def __init__(self, ground: Ground, made: Made, run_id: str) -> None:
        ground.lift_limits()
        self._ground = ground
        self._made = made
        self._run_id = run_id
        self._probe = Probe(ground, "clean")
        self._left: list[str] = []

    def clean(self) -> list[str]:
        if self._ground.main is None:
            return self._left
        with ThreadPoolExecutor(_THREADS) as threads:
            others = [name for name in self._made.buckets if name != self._ground.bucket]
            gone = {name for name in others if self._run_id in name and self._is_gone(name)}
            self._abort_uploads(threads, gone)
            self._delete_objects(threads, [name for name in self._made.objects if name[0] not in gone])
            for bucket in list(self._made.buckets):
                if self._run_id in bucket and bucket not in gone:
                    self._delete_bucket(threads, bucket)
        return self._left

    def _is_gone(self, bucket: str) -> bool:
        """Delete a bucket if it is empty; whether it is not there: most were refused, or deleted by checks."""
        reply = self._ask("DELETE", self._probe.path(bucket=bucket))
        return reply is not None and reply.is_one_of("204", "404 NoSuchBucket", "400 InvalidBucketName")

    def _ask(self, *arguments: object, **more: object) -> Reply | None:
        """Return the answer, None if there is none: it is noted."""
        try:
            self._probe.exchanges.clear()
            return self._probe.request(*arguments, **more)  # type: ignore[arg-type]
        except (ExchangeError, Failed, Skipped) as error:
            self._note(str(error))
            return None

    def _note(self, sentence: str) -> None:
        if sentence not in self._left:
            self._left.append(sentence)

    def _abort_uploads(self, threads: ThreadPoolExecutor, gone: set[str]) -> None:
        """Abort the uploads of the run: those whose ids it saw, and those that the endpoint lists."""
        found = {
            (bucket, key, upload_id)
            for (bucket, key), ids in self._made.uploads.items()
            for upload_id in ids
            if bucket not in gone and Journal.is_of_run(self._run_id, bucket, key)
        }
        keys = {name for name in self._made.uploads if name[0] not in gone}
        for bucket in {bucket for bucket, _ in keys}:
            listed = self._uploads_in(bucket)
            found |= {(bucket, key, upload_id) for key, upload_id in listed if (bucket, key) in keys}
        list(threads.map(self._abort, found))

    def _abort(self, upload: tuple[str, str, str]) -> None:
        bucket, key, upload_id = upload
        reply = self._ask("DELETE", self._probe.path(key, bucket), [("uploadId", upload_id)])
        if reply is not None and not reply.is_one_of("2xx", "404"):
            self._note(f"an upload of {bucket}/{key} is left: {reply.said}")

    def _uploads_in(self, bucket: str) -> set[tuple[str, str]]:
        """Return key and id of the uploads that a bucket lists: one may have begun without its id being seen."""
        found: set[tuple[str, str]] = set()
        markers: list[tuple[str, str]] = []
        for _ in range(_ROUNDS):
            reply = self._ask("GET", self._probe.path(bucket=bucket), [("uploads", ""), *markers])
            rows = _rows_of(reply, "Upload")
            more = {(row.findtext("Key") or "", row.findtext("UploadId") or "") for row in rows}
            if reply is None or more <= found:
                break
            found |= more
            if reply.text("IsTruncated") != "true":
                break
            markers = [
                ("key-marker", reply.text("NextKeyMarker") or ""),
                ("upload-id-marker", reply.text("NextUploadIdMarker") or ""),
            ]
        return found

    def _delete_objects(self, threads: ThreadPoolExecutor, names: Iterable[tuple[str, str]]) -> None:
        rows: dict[str, list[str]] = {}
        for bucket, key in names:
            if Journal.is_of_run(self._run_id, bucket, key):
                rows.setdefault(bucket, []).append(key)
        for bucket, keys in rows.items():
            plain = [key for key in keys if _PLAIN.fullmatch(key)]
            odd = [key for key in keys if _ODD.fullmatch(key) and not _PLAIN.fullmatch(key)]
            rest = [key for key in keys if not _ODD.fullmatch(key)]
            for batch in [*_batches(plain), *_batches(odd)]:
                rest += self._delete_batch(bucket, batch)
            list(threads.map(lambda key, bucket=bucket: self._delete_object(bucket, key), rest))

    def _delete_batch(self, bucket: str, keys: list[str]) -> list[str]:
        """Delete with DeleteObjects. Returns the keys that it did not delete, for DeleteObject."""
        rows = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        body = f"<Delete><Quiet>false</Quiet>{rows}</Delete>".encode()
        digest = md5_base64(body)
        reply = self._ask("POST", self._probe.path(bucket=bucket), "delete", {"content-md5": digest}, body)
        if reply is None or reply.status != 200:
            return keys
        try:
            deleted = set(reply.texts("Deleted/Key"))
        except Failed:
            return keys
        return [key for key in keys if key not in deleted]

    def _delete_object(self, bucket: str, key: str) -> None:
        path = self._probe.path(key, bucket)
        reply = self._ask("DELETE", path)
        if bucket in self._made.buckets or reply is None or reply.is_one_of("2xx", "404"):
            return  # whether a bucket of the run's own is empty, its deletion tells
        found = self._ask("HEAD", path)
        if found is not None and found.status == 200:
            self._note(f"{bucket}/{key} is left: {reply.said}")

    def _delete_bucket(self, threads: ThreadPoolExecutor, bucket: str) -> None:
        path = self._probe.path(bucket=bucket)
        before: set[str] = set()
        for _ in range(_ROUNDS):
            reply = self._ask("DELETE", path)
            if reply is None or reply.is_one_of("2xx", "404", "400 InvalidBucketName"):
                return
            found = self._empty(threads, bucket) if reply.is_one_of("409") else set()
            if found <= before:
                kept = f", which keeps {', '.join(sorted(found)[:3])}" if found else ""
                self._note(f"the bucket {bucket} is left: {reply.said}{kept}")
                return
            before = found

    def _empty(self, threads: ThreadPoolExecutor, bucket: str) -> set[str]:
        """Delete one page of what a bucket of this run holds, and return the names of what there was."""
        path = self._probe.path(bucket=bucket)
        found = _keys_of(self._ask("GET", path, [("list-type", "2"), ("encoding-type", "url")]))
        list(threads.map(lambda key: self._delete_object(bucket, key), found))
        uploads = self._uploads_in(bucket)
        list(threads.map(self._abort, [(bucket, key, upload_id) for key, upload_id in uploads]))
        return set(found) | {f"{key} (an upload)" for key, _ in uploads}


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    """Yield keys in batches that hold none twice, also for a server that changes them.

    One that takes two keys of a batch for one may lock itself up (MinIO).
    """
    seen: Counter[str] = Counter()
    rounds: list[list[str]] = []
    for key in keys:
        words = re.split(r"\W+", unicodedata.normalize("NFKC", unquote_plus(key)).casefold())
        folded = "/".join(word[:200] for word in words if word)
        if seen[folded] == len(rounds):
            rounds.append([])
        rounds[seen[folded]].append(key)
        seen[folded] += 1
    for chosen in rounds:
        for start in range(0, len(chosen), _BATCH):
            yield chosen[start : start + _BATCH]


def _rows_of(reply: Reply | None, path: str) -> list[ET.Element]:
    try:
        return [] if reply is None or reply.status != 200 else reply.xml.findall(path)
    except Failed:
        return []


def _keys_of(reply: Reply | None) -> list[str]:
    if reply is None or reply.status != 200:
        return []
    try:
        is_encoded = reply.text("EncodingType") == "url"
        return [unquote_plus(key) if is_encoded else key for key in reply.texts("Contents/Key")]
    except Failed:
        return []
