"""Reads everything that a server shows, as a client can, and says where two ways of asking disagree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any

from tests.rawclient import RawClient, Response, key_path
from tests.torture.journal import ANOTHER, OPEN, Place, Value, Version

_PAGE = 7
"""Keys of a page of ListObjects: small, so that there are several."""


@dataclass(slots=True)
class Observation:
    """What was found: the value of each place that is there, and disagreements in words."""

    places: dict[Place, Value] = field(default_factory=dict)
    disagreements: list[str] = field(default_factory=list)
    requests: int = 0


class Observer:
    """One look at a server; nothing may be writing."""

    def __init__(self, s3: RawClient) -> None:
        self._s3 = s3
        self.found = Observation()

    def look(self, known: Iterable[Place], secrets: dict[str, set[str]]) -> Observation:
        """Read all buckets, and ask for the places that are `known` and were not listed.

        `secrets`: those that an access key may have, by access key id.
        """
        for bucket in self._ask("GET", "/").texts("Buckets/Bucket/Name"):
            self.found.places["bucket", bucket] = True
            self._bucket(bucket)
        for place in sorted(set(known) - set(self.found.places), key=str):
            if place[0] == "object":
                for method in ("HEAD", "GET"):
                    if (status := self._ask(method, key_path(*place[1:])).status) != 404:
                        self._complain(f"{place} is not listed, and {method} answers {status}")
            elif place[0] == "bucket" and (status := self._ask("HEAD", f"/{place[1]}").status) != 404:
                self._complain(f"{place} is not listed, and HEAD answers {status}")
        for access_key_id, candidates in secrets.items():
            self._access(access_key_id, candidates)
        return self.found

    def _ask(self, method: str, path: str, query: Iterable[tuple[str, str]] = ()) -> Response:
        self.found.requests += 1
        answer = self._s3.request(method, path, list(query))
        if answer.status >= 500:
            self._complain(f"{method} {path} {list(query)} answers {answer.status} {answer.body[:200]!r}")
        return answer

    def _complain(self, words: str) -> None:
        self.found.disagreements.append(words)

    # --- listings ------------------------------------------------------------------------------------

    def _bucket(self, bucket: str) -> None:
        rows = list(self._pages(bucket, "2", 1000))
        keys = [row[0] for row in rows]
        if rows != list(self._pages(bucket, "1", _PAGE)):
            self._complain(f"ListObjects and ListObjectsV2 of {bucket} disagree")
        if keys != sorted(keys, key=str.encode) or len(set(keys)) != len(keys):
            self._complain(f"ListObjectsV2 of {bucket} is not in order: {keys}")
        self._prefixes(bucket, keys)
        for row in rows:
            self._object(bucket, *row)
        self._uploads(bucket)
        age = self._ask("GET", f"/{bucket}", [("cors", "")]).text("CORSRule/MaxAgeSeconds")
        if age:
            self.found.places["cors", bucket] = age

    def _pages(self, bucket: str, version: str, size: int) -> Iterator[tuple[str, str, str, str]]:
        """Yield (key, ETag, size, time) of a listing of that version."""
        position: list[tuple[str, str]] = []
        kind = [("list-type", "2")] if version == "2" else []
        while True:
            answer = self._ask("GET", f"/{bucket}", [*kind, ("max-keys", str(size)), *position])
            if answer.status != 200:
                return
            rows = [
                tuple(row.findtext(name) or "" for name in ("Key", "ETag", "Size", "LastModified"))
                for row in answer.xml.findall("Contents")
            ]
            yield from rows  # type: ignore[misc]
            if answer.text("IsTruncated") != "true" or not rows:
                return
            if version == "2":
                position = [("continuation-token", answer.text("NextContinuationToken") or "")]
            else:
                position = [("marker", rows[-1][0])]

    def _prefixes(self, bucket: str, keys: list[str]) -> None:
        answer = self._ask("GET", f"/{bucket}", [("list-type", "2"), ("delimiter", "/")])
        want = sorted({key.partition("/")[0] + "/" for key in keys if "/" in key}, key=str.encode)
        if answer.status == 200 and answer.texts("CommonPrefixes/Prefix") != want:
            self._complain(f"the common prefixes of {bucket} are not those of its keys {keys}")

    # --- objects -------------------------------------------------------------------------------------

    def _object(self, bucket: str, key: str, etag: str, size: str, modified: str) -> None:
        path, place = key_path(bucket, key), ("object", bucket, key)
        got, head = self._ask("GET", path), self._ask("HEAD", path)
        if got.status != 200 or head.status != 200:
            self._complain(f"{place} is listed; GET answers {got.status}, HEAD {head.status}")
            return
        names = {*got.headers, *head.headers} - {"date", "x-amz-request-id", "x-amz-id-2"}
        if differing := [name for name in names if got.headers.get(name) != head.headers.get(name)]:
            self._complain(f"GET and HEAD of {place} disagree on {differing}")
        time = parsedate_to_datetime(got.headers["last-modified"]).strftime("%Y-%m-%dT%H:%M:%S")
        shown = (got.headers["etag"], got.headers["content-length"], time)
        if shown != (etag, size, modified[:19]):
            self._complain(f"GET of {place} shows {shown}, its listing {(etag, size, modified)}")
        self.found.places[place] = self._version(path, got)

    def _version(self, path: str, got: Response) -> Version:
        headers = tuple(
            sorted(
                (name, value)
                for name, value in got.headers.items()
                if name == "content-type" or name.startswith("x-amz-meta-")
            )
        )
        digest = hashlib.sha256(got.body).hexdigest()
        version = Version(got.headers["etag"].strip('"'), len(got.body), digest, headers)
        if "x-amz-tagging-count" not in got.headers:
            return version
        answer = self._ask("GET", path, [("tagging", "")])
        pairs = zip(answer.texts("TagSet/Tag/Key"), answer.texts("TagSet/Tag/Value"), strict=True)
        return replace(version, tags=tuple(sorted(pairs)))

    # --- uploads and keys ----------------------------------------------------------------------------

    def _uploads(self, bucket: str) -> None:
        answer = self._ask("GET", f"/{bucket}", [("uploads", "")])
        if answer.status != 200:
            return
        for row in answer.xml.findall("Upload"):
            key, upload_id = row.findtext("Key") or "", row.findtext("UploadId") or ""
            self.found.places["upload", bucket, key, upload_id] = OPEN
            parts = self._ask("GET", key_path(bucket, key), [("uploadId", upload_id)])
            if parts.status != 200:
                self._complain(f"upload {upload_id} of {key!r} is listed; ListParts answers {parts.status}")
                continue
            for part in parts.xml.findall("Part"):
                etag, size = (part.findtext("ETag") or "").strip('"'), int(part.findtext("Size") or -1)
                place = ("part", bucket, key, upload_id, int(part.findtext("PartNumber") or 0))
                self.found.places[place] = (etag, size)

    def _access(self, access_key_id: str, candidates: set[Any]) -> None:
        place = ("access", access_key_id)
        for secret in [*sorted(candidates - {ANOTHER, None}), "not-a-secret-of-any-key-at-all-000000000"]:
            client = RawClient(self._s3.endpoint, access_key_id, secret)
            self.found.requests += 1
            status, code = client.request("GET", "/").verdict
            if status == 200:
                self.found.places[place] = secret
                return
            if code == "InvalidAccessKeyId":
                return
            if code != "SignatureDoesNotMatch":
                self._complain(f"{access_key_id} is answered with {status} {code}")
        self.found.places[place] = ANOTHER
