"""Teardown: all that a vector made goes away, as far as the endpoint lets it; what does not is a warning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import unquote

from anys3.client.answers import Answer
from anys3.client.connections import ExchangeError
from anys3.client.signing import Credentials
from anys3.conformance.vectors.content import Literal
from anys3.conformance.vectors.expectations import told_error
from anys3.conformance.vectors.footprint import Footprint
from anys3.conformance.vectors.sending import Sender
from anys3.protocol import xml
from anys3.protocol.xml import Node
from anys3.spec.errors import S3Error

_MAX_PAGES = 1000
_GONE = (200, 204, 404)
_BYPASS = (("x-amz-bypass-governance-retention", "true"),)
_HOLD_OFF = Literal(b"<LegalHold><Status>OFF</Status></LegalHold>")


def tear_down(made: Footprint) -> tuple[str, ...]:
    """Delete the buckets that a vector made, with all that is in them. Returns warnings; raises nothing."""
    warnings: list[str] = []
    for bucket in made.buckets:
        keys = {key: ids for (name, key), ids in made.keys.items() if name == bucket}
        uploads = {key: ids for (name, key), ids in made.uploads.items() if name == bucket}
        try:
            warning = _tear_down_bucket(made.sender, bucket, keys, uploads)
        except (ExchangeError, ValueError, S3Error) as error:
            warning = f"teardown of bucket {bucket}: {error}"
        if warning:
            warnings.append(warning)
    return tuple(warnings)


def _tear_down_bucket(
    sender: Sender, bucket: str, keys: dict[str, set[str]], uploads: dict[str, set[str]]
) -> str:
    """Try as the main identity, then as the second, which may own it. Returns a warning, empty if it is gone."""
    warning = ""
    for credentials in (sender.target.credentials, sender.target.second):
        if credentials is not None:
            warning = _Teardown(sender, bucket, credentials).run(keys, uploads)
        if not warning:
            break
    return warning


class _Teardown:
    """The teardown of one bucket by one identity."""

    def __init__(self, sender: Sender, bucket: str, credentials: Credentials) -> None:
        self._sender = sender
        self._bucket = bucket
        self._credentials = credentials
        self._left = ""

    def run(self, keys: dict[str, set[str]], uploads: dict[str, set[str]]) -> str:
        """Empty and delete the bucket; return a warning if it is still there."""
        if not keys and not uploads and self._delete_bucket():
            return ""
        self._empty(keys, uploads)
        if self._delete_bucket():
            return ""
        # Its own policy may have kept it from being listed or emptied.
        if self._send("DELETE", query=[("policy", "")]).status in _GONE:
            self._empty(keys, uploads)
            if self._delete_bucket():
                return ""
        return f"bucket {self._bucket} is still there: {self._left}"

    def _empty(self, keys: dict[str, set[str]], uploads: dict[str, set[str]]) -> None:
        self._abort_uploads(uploads)
        self._delete_versions()
        self._delete_objects()
        for key, version_ids in keys.items():
            for version_id in sorted(version_ids):
                self._delete(key, version_id)
            self._delete(key, "")
        # Where versions are kept, the deletes above have left markers.
        self._delete_versions()

    def _delete_bucket(self) -> bool:
        """Whether the bucket is gone now."""
        answer = self._send("DELETE")
        if answer.status not in _GONE:
            self._left = self._left or _told(answer)
        return answer.status in _GONE

    def _abort_uploads(self, known: dict[str, set[str]]) -> None:
        pairs = {(key, upload_id) for key, ids in known.items() for upload_id in ids}
        pairs.update(
            (key, upload.text_of("UploadId"))
            for page in self._pages([("uploads", "")], _next_upload)
            for upload in page.all("Upload")
            for key in [_key(page, upload)]
        )
        for key, upload_id in sorted(pairs):
            self._send("DELETE", key, query=[("uploadId", upload_id)])

    def _delete_versions(self) -> None:
        for page in self._pages([("versions", "")], _next_version):
            for entry in page.all("Version") + page.all("DeleteMarker"):
                self._delete(_key(page, entry), entry.text_of("VersionId"))

    def _delete_objects(self) -> None:
        for page in self._pages([("list-type", "2")], _next_object):
            for entry in page.all("Contents"):
                self._delete(_key(page, entry), "")

    def _delete(self, key: str, version_id: str) -> None:
        query = [("versionId", version_id)] if version_id else []
        answer = self._send("DELETE", key, query=query)
        if answer.status == 403:
            self._send("PUT", key, query=[("legal-hold", ""), *query], body=_HOLD_OFF)
            answer = self._send("DELETE", key, query=query, headers=_BYPASS)
        if answer.status not in _GONE:
            self._left = f"{key}: {_told(answer)}"

    def _pages(
        self, query: list[tuple[str, str]], following: Callable[[Node], list[tuple[str, str]]]
    ) -> Iterator[Node]:
        """Yield the pages of a listing, all of them before anything that they name is deleted."""
        pages: list[Node] = []
        markers: list[tuple[str, str]] = []
        while len(pages) < _MAX_PAGES:
            answer = self._send("GET", query=[*query, ("encoding-type", "url"), *markers])
            if answer.status != 200:
                break
            pages.append(xml.parse(answer.body))
            last, markers = markers, following(pages[-1])
            if pages[-1].text_of("IsTruncated") != "true" or not markers or markers == last:
                break
        yield from pages

    def _send(
        self,
        method: str,
        key: str = "",
        *,
        query: list[tuple[str, str]] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        body: Literal | None = None,
    ) -> Answer:
        return self._sender.simple(
            method, self._bucket, key, query=query or [], headers=headers, body=body,
            credentials=self._credentials,
        )  # fmt: skip


def _told(answer: Answer) -> str:
    return f"{answer.status} {told_error(answer.body)[0] or ''}".strip()


def _key(page: Node, entry: Node) -> str:
    """Return the key of an entry; some endpoints ignore encoding-type, and then do not echo it."""
    key = entry.text_of("Key")
    return unquote(key.replace("+", " ")) if page.text_of("EncodingType") == "url" else key


def _marker(page: Node, element: str, parameter: str) -> list[tuple[str, str]]:
    value = page.text_of(element)
    if value and page.text_of("EncodingType") == "url" and element.endswith("KeyMarker"):
        value = unquote(value.replace("+", " "))
    return [(parameter, value)] if value else []


def _next_upload(page: Node) -> list[tuple[str, str]]:
    return _marker(page, "NextKeyMarker", "key-marker") + _marker(
        page, "NextUploadIdMarker", "upload-id-marker"
    )


def _next_version(page: Node) -> list[tuple[str, str]]:
    return _marker(page, "NextKeyMarker", "key-marker") + _marker(
        page, "NextVersionIdMarker", "version-id-marker"
    )


def _next_object(page: Node) -> list[tuple[str, str]]:
    return _marker(page, "NextContinuationToken", "continuation-token")
