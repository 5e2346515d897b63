"""What a check is handed: keys of its own, requests, what it can set up, and what it observes.

A check may create nothing but through a probe, which writes each name into the run's journal first.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from anys3.client import signing
from anys3.client.signing import STREAMING_SIGNED, Headers, encode_path
from anys3.conformance.asking import Asker
from anys3.conformance.drafting import Fields, Query, pairs_of
from anys3.conformance.exchanges import Exchange
from anys3.conformance.outcomes import Absent, Blocked, Failed, Unoffered
from anys3.conformance.replies import Reply

_T = TypeVar("_T")
CONTENT = b"The content of an object.\n"


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that a check has set up."""

    bucket: str
    key: str
    id: str

    @property
    def path(self) -> str:
        """The path of its object."""
        return encode_path(self.bucket, self.key)


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part that a check has uploaded. `etag` is with quotes."""

    number: int
    etag: str
    body: bytes


@dataclass(slots=True)
class Probe(Asker):
    """What one attempt of one check works with. Its keys are its own; buckets are the run's."""

    notes: list[str] = field(default_factory=list)

    # --- names ---------------------------------------------------------------------------------------

    def key(self, name: str = "object") -> str:
        """Return a key of this check alone."""
        return self.prefix + name

    def path(self, key: str = "", bucket: str | None = None) -> str:
        """Return the path of an object, percent-encoded as SDKs do; without a key that of the bucket."""
        return encode_path(bucket or self.bucket, key)

    def aside(self) -> str:
        """Return the run's second bucket, made at first use. The check declares needs=("buckets",)."""
        self.ground.once("aside", lambda: self.given_bucket(self.ground.aside))
        return self.ground.aside

    @property
    def spare(self) -> str:
        """The name of the third bucket, 63 characters long, which checks with lock="spare" make and delete."""
        return self.ground.spare

    # --- requests --------------------------------------------------------------------------------------

    def put(self, key: str, body: bytes = CONTENT, headers: Fields = (), query: Query = ()) -> Reply:
        """PUT an object of the run's bucket."""
        return self.request("PUT", self.path(key), query, headers, body)

    def get(self, key: str, headers: Fields = (), query: Query = ()) -> Reply:
        """GET an object of the run's bucket."""
        return self.request("GET", self.path(key), query, headers)

    def head(self, key: str, headers: Fields = (), query: Query = ()) -> Reply:
        """HEAD an object of the run's bucket."""
        return self.request("HEAD", self.path(key), query, headers)

    def delete(self, key: str, headers: Fields = (), query: Query = ()) -> Reply:
        """DELETE an object of the run's bucket."""
        return self.request("DELETE", self.path(key), query, headers)

    def list_keys(self, *query: tuple[str, str], bucket: str | None = None) -> Reply:
        """List keys (V2) with those parameters; by default the prefix is this attempt's own."""
        names = {name for name, _ in query}
        own = () if "prefix" in names else (("prefix", self.prefix),)
        return self.request("GET", self.path(bucket=bucket), [("list-type", "2"), *own, *query])

    def put_chunked(
        self,
        key: str,
        chunks: Sequence[bytes],
        *,
        mode: str = STREAMING_SIGNED,
        trailers: Headers = (),
        headers: Fields = (),
        bend: Callable[[bytes], bytes] | None = None,
        query: Query = (),
        path: str | None = None,
    ) -> Reply:
        """PUT an aws-chunked body. `bend` damages its bytes before they are sent.

        x-amz-decoded-content-length, x-amz-trailer and content-encoding are added where `headers` does not
        have them; a header given as "" is left out.
        """
        given = dict(pairs_of(headers))
        lines = {
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": str(sum(map(len, chunks))),
            **({"x-amz-trailer": ",".join(name for name, _ in trailers)} if trailers else {}),
            **given,
        }
        lines = {name: value for name, value in lines.items() if value or name not in given}
        draft = self.draft("PUT", path or self.path(key), query, lines, payload_hash=mode)
        date = draft.header("x-amz-date")
        wire = signing.chunked(
            chunks, mode=mode, seed=draft.signature, credentials=self.main.credentials,
            scope=self.main.scope(date), amz_date=date, trailers=trailers,
        )  # fmt: skip
        wire = bend(wire) if bend else wire
        length = ("content-length", str(len(wire)))
        has_length = any(name in ("transfer-encoding", "content-length") for name, _ in draft.headers)
        draft = draft if has_length else replace(draft, headers=(*draft.headers, length))
        return self.send(draft, wire)

    # --- what a check needs to be there ------------------------------------------------------------------

    @contextlib.contextmanager
    def setting_up(self, what: str) -> Iterator[None]:
        """Failures in here block the check: they are about what it needs, not about what it is about."""
        try:
            yield
        except Absent as error:
            raise Unoffered(f"{what}: {error}") from None
        except Failed as error:
            raise Blocked(f"{what}: {error}") from None

    def given_bucket(self, name: str) -> None:
        """Make a bucket, or block the check."""
        with self.setting_up("a bucket could not be made"):
            self.request("PUT", self.path(bucket=name), body=self.location_document()).expect("200")

    def location_document(self) -> bytes:
        """Return the body of CreateBucket: none in us-east-1, elsewhere the region (CB-01)."""
        region = self.main.region
        if region in ("us-east-1", "auto"):
            return b""
        return (
            '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        ).encode()

    def given_object(
        self,
        name: str = "object",
        body: bytes = CONTENT,
        headers: Fields = (),
        *,
        bucket: str | None = None,
    ) -> str:
        """PUT an object, or block the check. Returns its key."""
        key = self.key(name)
        with self.setting_up("an object could not be stored"):
            self.request("PUT", self.path(key, bucket), (), headers, body).expect("200")
        return key

    def shared_object(self, body: bytes = CONTENT, headers: Fields = ()) -> str:
        """Return the key of an object that all checks may read and copy, and none may change; or block."""
        shape = repr((body, sorted(pairs_of(headers)))).encode()
        key = f"{self.ground.prefix}shared/{hashlib.sha256(shape).hexdigest()[:12]}"

        def make() -> None:
            with self.setting_up("an object could not be stored"):
                self.request("PUT", self.path(key), (), headers, body).expect("200")

        self.ground.once(key, make)
        return key

    def asked_once(self, what: str, ask: Callable[[], _T]) -> _T:
        """Return what `ask` returns; checks that ask for the same `what` share one call for each attempt.

        What was sent and answered then is shown with each of them.
        """

        def make() -> tuple[_T, list[Exchange]]:
            before = len(self.exchanges)
            return ask(), self.exchanges[before:]

        result, exchanges = self.ground.once(f"{what}, attempt {self.attempt}", make)
        own = {id(exchange) for exchange in self.exchanges}
        for exchange in exchanges:
            if id(exchange) not in own:
                self._keep(exchange)
        return result

    def given_upload(self, name: str = "object", headers: Fields = ()) -> Upload:
        """Start a multipart upload, or block the check."""
        key = self.key(name)
        with self.setting_up("a multipart upload could not be started"):
            reply = self.request("POST", self.path(key), "uploads", headers).expect("200")
            return Upload(self.bucket, key, reply.need_text("UploadId"))

    def given_part(
        self, upload: Upload, number: int = 1, body: bytes = CONTENT, headers: Fields = ()
    ) -> SentPart:
        """Upload a part, or block the check."""
        with self.setting_up("a part could not be uploaded"):
            return SentPart(number, self.put_part(upload, number, body, headers).expect("200").etag, body)

    def put_part(self, upload: Upload, number: int, body: bytes = CONTENT, headers: Fields = ()) -> Reply:
        """UploadPart."""
        query = [("partNumber", str(number)), ("uploadId", upload.id)]
        return self.request("PUT", upload.path, query, headers, body)

    def complete(self, upload: Upload, parts: Iterable[SentPart], headers: Fields = ()) -> Reply:
        """CompleteMultipartUpload with those parts."""
        return self.request(
            "POST", upload.path, [("uploadId", upload.id)], headers, completion_document(parts)
        )

    def given_multipart_object(self, *bodies: bytes, name: str = "object", headers: Fields = ()) -> str:
        """Make an object of those parts (5 MiB or more each but the last), or block. Returns its key."""
        upload = self.given_upload(name, headers)
        parts = [self.given_part(upload, number, body) for number, body in enumerate(bodies, 1)]
        with self.setting_up("a multipart upload could not be completed"):
            self.complete(upload, parts).expect("200")
        return upload.key

    # --- what a check observes ---------------------------------------------------------------------------

    def expect_content(self, key: str, body: bytes, about: str = "the object") -> Reply:
        """Return the answer to a GET whose body must be those bytes. Raises Failed."""
        reply = self.get(key).expect("200", about=about)
        if reply.body != body:
            raise Failed(f"{about}: expected {len(body)} bytes {body[:24]!r}, got {len(reply.body)} bytes "
                         f"{reply.body[:24]!r}")  # fmt: skip
        return reply

    def expect_no_object(self, key: str, about: str = "the object") -> None:
        """Raise Failed if HEAD finds an object of that key."""
        self.head(key).expect("404", about=about)

    def report(self, sentence: str) -> None:
        """Report a deviation that is tolerated: it is shown, and judges nothing."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def until(self, holds: Callable[[], bool], seconds: float, pause_s: float = 0.5) -> bool:
        """Whether it holds within that time; asked again and again."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(pause_s)
        return True

    def race(self, *calls: Callable[[], _T]) -> list[_T]:
        """Make all the calls at the same time and return what they return, in order.

        The first exception of any of them is raised once all have ended.
        """
        results: dict[int, _T] = {}
        errors: list[BaseException] = []
        together = threading.Barrier(len(calls))

        def run(number: int, call: Callable[[], _T]) -> None:
            try:
                together.wait(30)
                results[number] = call()
            except BaseException as error:  # noqa: BLE001 -- raised below, in the check's own thread
                errors.append(error)

        threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return [results[number] for number in range(len(calls))]


def completion_document(parts: Iterable[SentPart]) -> bytes:
    """Return the body of CompleteMultipartUpload."""
    rows = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{part.etag}</ETag></Part>" for part in parts
    )
    return (
        '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{rows}</CompleteMultipartUpload>"
    ).encode()
