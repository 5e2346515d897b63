"""What a check is handed: keys of its own, signed and bent requests, and what it can set up.

A check may create nothing but through a probe, which writes each name into the run's journal first.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import parse_qsl, unquote

from anys3.client import signing
from anys3.client.answers import Answer
from anys3.client.connections import Connection, ExchangeError, NoAnswer, Stalled, Unreachable
from anys3.client.signing import STREAMING_SIGNED, Headers, encode_path, encode_query
from anys3.conformance.exchanges import Exchange, redacted, redacted_headers, shown
from anys3.conformance.ground import Ground, Identity, Meter
from anys3.conformance.outcomes import Blocked, Failed, Skipped
from anys3.conformance.replies import Reply

_T = TypeVar("_T")
_Query = Iterable[tuple[str, str]] | str
_Fields = Mapping[str, str] | Headers
_MAX_EXCHANGES = 60
_CONTINUE_S = 3.0
_PIECE_BYTES = 1 << 20
CONTENT = b"The content of an object.\n"


@dataclass(frozen=True, slots=True)
class Nobody:
    """Stands for the identity of the run in a signature's default."""


OWN = Nobody()


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


@dataclass(frozen=True, slots=True)
class Draft:
    """A request before it is sent: what it says, and the bytes of its head."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    identity: str

    @property
    def head(self) -> bytes:
        """The request line and header lines, with the empty line that ends them."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"{self.method} {self.target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def header(self, name: str) -> str:
        """Return the value of a header; "" if it has none of that name."""
        return next((value for found, value in self.headers if found == name), "")

    @property
    def signature(self) -> str:
        """The signature in its Authorization header, the seed of a chain of chunks."""
        return self.header("authorization").rpartition("Signature=")[2]


@dataclass(slots=True)
class Probe:
    """What one attempt of one check works with. Its keys are its own; buckets are the run's."""

    ground: Ground
    check: str
    attempt: int = 1
    exchanges: list[Exchange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)

    # --- names ---------------------------------------------------------------------------------------

    @property
    def bucket(self) -> str:
        """The bucket of the run. Other checks use it at the same time: list it by prefix."""
        return self.ground.bucket

    @property
    def prefix(self) -> str:
        """What all keys of this attempt begin with; it ends in a slash."""
        slug = self.check.replace("/", "-")[:80]
        return f"{self.ground.prefix}{slug}/{self.attempt}/"

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
    def missing_bucket(self) -> str:
        """The name of a bucket that is not there: this attempt's own, for some servers make what is missing."""
        return f"a3-{self.ground.journal.run_id}-none-{zlib.crc32(self.prefix.encode()):08x}"

    @property
    def spare(self) -> str:
        """The name of the third bucket, 63 characters long, which checks with lock="spare" make and delete."""
        return self.ground.spare

    # --- who -----------------------------------------------------------------------------------------

    @property
    def main(self) -> Identity:
        """The identity of the run. `dataclasses.replace` bends its region, service or clock."""
        if self.ground.main is None:
            raise Skipped("needs credentials")
        return self.ground.main

    @property
    def second(self) -> Identity:
        """The second identity. The check declares needs=("second",)."""
        if self.ground.second is None:
            raise Skipped("needs a second identity (--second-profile)")
        return self.ground.second

    # --- requests --------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        query: _Query = (),
        headers: _Fields = (),
        body: bytes = b"",
        *,
        identity: Identity | Nobody | None = OWN,
        payload_hash: str | None = None,
        unsigned: _Fields = (),
        signed_names: Iterable[str] | None = None,
        bend: Callable[[dict[str, str]], None] | None = None,
        host: str | None = None,
        on: Connection | None = None,
    ) -> Reply:
        """Send one request and return its answer; `path` is sent as it is. See `draft` for the rest.

        On an overload answer (503, 429) it is sent again, later. Raises Failed if the connection ends without
        a whole answer. With `on`, it goes over that connection, once.
        """
        length = {"content-length": str(len(body))} if body or method in ("PUT", "POST") else {}

        def draft() -> Draft:
            made = self.draft(
                method, path, query, headers, body, identity=identity, payload_hash=payload_hash,
                unsigned=_merged(length, unsigned), signed_names=signed_names, bend=bend, host=host,
            )  # fmt: skip
            self._write_down(made)
            return made

        if on is not None:
            return self._sent(draft(), body, lambda data: _exchange_on(on, data, method))
        return self._patiently(draft, body)

    def draft(
        self,
        method: str,
        path: str,
        query: _Query = (),
        headers: _Fields = (),
        body: bytes = b"",
        *,
        identity: Identity | Nobody | None = OWN,
        payload_hash: str | None = None,
        unsigned: _Fields = (),
        signed_names: Iterable[str] | None = None,
        bend: Callable[[dict[str, str]], None] | None = None,
        host: str | None = None,
    ) -> Draft:
        """Return a signed request without sending it; it has no Content-Length unless a caller gives one.

        `identity` None leaves it unsigned. `payload_hash` takes the place of the body's SHA-256 in
        x-amz-content-sha256. `unsigned` headers are added after signing. `signed_names` says which headers
        are signed. `bend` changes the headers last, signature included.
        """
        raw_query = query if isinstance(query, str) else encode_query(query)
        lines = [("host", host or self.ground.endpoint.authority), *_pairs(headers)]
        who = self.main if isinstance(identity, Nobody) else identity
        if who is not None:
            lines = _signed(who, method, path, raw_query, lines, body, payload_hash, signed_names)
        lines.extend(_pairs(unsigned))
        if bend is not None:
            bent = dict(lines)
            bend(bent)
            lines = list(bent.items())
        target = path + (f"?{raw_query}" if raw_query else "")
        return Draft(method, target, tuple(lines), who.name if who else "nobody")

    def send(self, draft: Draft, body: bytes = b"", on: Connection | None = None) -> Reply:
        """Send a draft with these bytes as its body, as they are, over a connection of its own or `on`."""
        self._write_down(draft)
        if on is not None:
            return self._sent(draft, body, lambda data: _exchange_on(on, data, draft.method))
        with self.connect() as connection:
            return self._sent(draft, body, lambda data: _exchange_on(connection, data, draft.method))

    def send_head(self, draft: Draft, seconds: float, *, is_final: bool = False) -> Reply | None:
        """Send the head of a draft without its body, and drop the connection after the first answer.

        Returns None if the server sends none in that time: it waits for the body. With `is_final`, interim
        answers (100) are passed over.
        """
        self._write_down(draft)

        def exchange(data: bytes) -> Answer:
            connection.send(data)
            try:
                return connection.read_answer(draft.method, seconds, final=is_final)
            except Stalled:
                raise _Waits from None

        with self.connect() as connection:
            try:
                return self._sent(draft, b"", exchange)
            except _Waits:
                return None

    def send_short(self, draft: Draft, body: bytes, seconds: float) -> Reply | None:
        """Send a draft with fewer bytes than it announces, and end the connection.

        Returns what is answered in that time, None if nothing is. Without TLS the server sees the end before
        it answers; TLS can't be half closed, and it sees it only once this returns.
        """
        self._write_down(draft)

        def exchange(data: bytes) -> Answer:
            try:
                connection.send(data)
                if not self.ground.endpoint.is_tls:
                    connection.end_sending()
                return connection.read_answer(draft.method, seconds)
            except (NoAnswer, Stalled):
                raise _Waits from None

        with self.connect() as connection:
            try:
                return self._sent(draft, body, exchange)
            except _Waits:
                self._keep(_recorded(draft, body, None, "no answer before the connection was ended", 0.0))
                return None

    def send_in_halves(self, draft: Draft, body: bytes, meanwhile: Callable[[], object]) -> Reply | None:
        """Send half of a body, call `meanwhile`, send the rest. Returns None if no answer comes.

        With `Expect: 100-continue` in the draft the server is given time to say that it has begun.
        """
        self._write_down(draft)
        half = len(draft.head) + len(body) // 2

        def exchange(data: bytes) -> Answer:
            connection.send(draft.head)
            with contextlib.suppress(Stalled):
                if draft.header("expect"):
                    first = connection.read_answer(draft.method, _CONTINUE_S, final=False)
                    if first.status >= 200:
                        return first
            connection.send(data[len(draft.head) : half])
            meanwhile()
            try:
                return _exchange_on(connection, data[half:], draft.method)
            except (NoAnswer, Stalled):
                raise _Waits from None

        with self.connect() as connection:
            try:
                return self._sent(draft, body, exchange)
            except _Waits:
                return None

    def put(self, key: str, body: bytes = CONTENT, headers: _Fields = (), query: _Query = ()) -> Reply:
        """PUT an object of the run's bucket."""
        return self.request("PUT", self.path(key), query, headers, body)

    def get(self, key: str, headers: _Fields = (), query: _Query = ()) -> Reply:
        """GET an object of the run's bucket."""
        return self.request("GET", self.path(key), query, headers)

    def head(self, key: str, headers: _Fields = (), query: _Query = ()) -> Reply:
        """HEAD an object of the run's bucket."""
        return self.request("HEAD", self.path(key), query, headers)

    def delete(self, key: str, headers: _Fields = (), query: _Query = ()) -> Reply:
        """DELETE an object of the run's bucket."""
        return self.request("DELETE", self.path(key), query, headers)

    def list_keys(self, *query: tuple[str, str], bucket: str | None = None) -> Reply:
        """List keys (V2) with those parameters; by default the prefix is this attempt's own."""
        names = {name for name, _ in query}
        own = () if "prefix" in names else (("prefix", self.prefix),)
        return self.request("GET", self.path(bucket=bucket), [("list-type", "2"), *own, *query])

    def presign(
        self,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        headers: _Fields = (),
        *,
        identity: Identity | None = None,
        expires_s: int | str = 300,
        replaced: Mapping[str, str | None] | None = None,
        payload_hash: str = signing.UNSIGNED_PAYLOAD,
    ) -> str:
        """Return path and query of a presigned URL. `replaced` bends X-Amz-* parameters before signing.

        `payload_hash` is what is signed as the hash of the body (PRE-02).
        """
        who = identity or self.main
        date = who.amz_date()
        lines = [("host", self.ground.endpoint.authority), *_pairs(headers)]
        return signing.presign(
            method, path, query, lines, credentials=who.credentials, scope=who.scope(date), amz_date=date,
            expires_s=expires_s, replace=replaced, payload_hash=payload_hash,
        )  # fmt: skip

    def open(self, method: str, target: str, headers: _Fields = (), body: bytes = b"") -> Reply:
        """Send a request to a presigned URL, or nobody's: path and query as they are, nothing is signed."""
        path, _, raw_query = target.partition("?")
        return self.request(method, path, raw_query, headers, body, identity=None)

    def put_chunked(
        self,
        key: str,
        chunks: Sequence[bytes],
        *,
        mode: str = STREAMING_SIGNED,
        trailers: Headers = (),
        headers: _Fields = (),
        bend: Callable[[bytes], bytes] | None = None,
        query: _Query = (),
        path: str | None = None,
    ) -> Reply:
        """PUT an aws-chunked body. `bend` damages its bytes before they are sent.

        x-amz-decoded-content-length, x-amz-trailer and content-encoding are added where `headers` does not
        have them; a header given as "" is left out.
        """
        given = dict(_pairs(headers))
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

    def connect(self, **options: object) -> Connection:
        """Return a connection of the check's own, closed by it. Raises Unreachable."""
        return self.ground.dialer.connect(**options)  # type: ignore[arg-type]

    # --- what a check needs to be there ------------------------------------------------------------------

    @contextlib.contextmanager
    def setting_up(self, what: str) -> Iterator[None]:
        """Failures in here block the check: they are about what it needs, not about what it is about."""
        try:
            yield
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
        headers: _Fields = (),
        *,
        bucket: str | None = None,
    ) -> str:
        """PUT an object, or block the check. Returns its key."""
        key = self.key(name)
        with self.setting_up("an object could not be stored"):
            self.request("PUT", self.path(key, bucket), (), headers, body).expect("200")
        return key

    def shared_object(self, body: bytes = CONTENT, headers: _Fields = ()) -> str:
        """Return the key of an object that all checks may read and copy, and none may change; or block."""
        shape = repr((body, sorted(_pairs(headers)))).encode()
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

    def given_upload(self, name: str = "object", headers: _Fields = ()) -> Upload:
        """Start a multipart upload, or block the check."""
        key = self.key(name)
        with self.setting_up("a multipart upload could not be started"):
            reply = self.request("POST", self.path(key), "uploads", headers).expect("200")
            return Upload(self.bucket, key, reply.need_text("UploadId"))

    def given_part(
        self, upload: Upload, number: int = 1, body: bytes = CONTENT, headers: _Fields = ()
    ) -> SentPart:
        """Upload a part, or block the check."""
        with self.setting_up("a part could not be uploaded"):
            return SentPart(number, self.put_part(upload, number, body, headers).expect("200").etag, body)

    def put_part(self, upload: Upload, number: int, body: bytes = CONTENT, headers: _Fields = ()) -> Reply:
        """UploadPart."""
        query = [("partNumber", str(number)), ("uploadId", upload.id)]
        return self.request("PUT", upload.path, query, headers, body)

    def complete(self, upload: Upload, parts: Iterable[SentPart], headers: _Fields = ()) -> Reply:
        """CompleteMultipartUpload with those parts."""
        return self.request(
            "POST", upload.path, [("uploadId", upload.id)], headers, completion_document(parts)
        )

    def given_multipart_object(self, *bodies: bytes, name: str = "object", headers: _Fields = ()) -> str:
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

    # --- within ------------------------------------------------------------------------------------------

    def _patiently(self, make: Callable[[], Draft], body: bytes) -> Reply:
        replies: list[Reply] = []

        def ask() -> Answer:
            draft = make()
            replies.append(
                self._sent(draft, body, lambda data: self.ground.pool.exchange(data, draft.method))
            )
            return replies[-1].answer

        self.ground.patiently(ask)
        return replies[-1]

    def _sent(self, draft: Draft, body: bytes, exchange: Callable[[bytes], Answer]) -> Reply:
        self.ground.count(draft.method, draft.target, len(body), self.meter)
        began = time.monotonic()
        try:
            answer = exchange(draft.head + body)
        except (NoAnswer, ValueError) as error:
            self._keep(_recorded(draft, body, None, str(error), time.monotonic() - began))
            raise Failed(
                f"{draft.method} {draft.target[:120]}: expected an answer, got none: {error}"
            ) from None
        except ExchangeError as error:
            self._keep(_recorded(draft, body, None, str(error), time.monotonic() - began))
            if isinstance(error, Unreachable):
                raise
            raise Failed(f"{draft.method} {draft.target[:120]}: {error}") from None
        self.ground.received(len(answer.body))
        exchanged = _recorded(draft, body, answer, "", time.monotonic() - began)
        self._keep(exchanged)
        self._learn(draft, answer)
        return Reply(answer, exchanged)

    def _keep(self, exchange: Exchange) -> None:
        if len(self.exchanges) < _MAX_EXCHANGES:
            self.exchanges.append(exchange)

    def _write_down(self, draft: Draft) -> None:
        """Write what the request may create into the journal, before it is sent."""
        if draft.method not in ("PUT", "POST"):
            return
        path, _, query = draft.target.partition("?")
        bucket, _, key = path.removeprefix("/").partition("/")
        names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        key = unquote(key, errors="surrogateescape")
        if not bucket:
            return
        if bucket == self.missing_bucket:
            self.ground.journal.will_create_bucket(bucket)
        if self._is_virtual_host(draft):
            bucket, key = draft.header("host").partition(".")[0], unquote(path[1:], errors="surrogateescape")
        if draft.method == "PUT" and not key:
            if not names:
                self.ground.journal.will_create_bucket(unquote(bucket))
        elif draft.method == "POST" and "uploads" in names and key:
            self.ground.journal.will_create_upload(bucket, key)
        elif key:
            self.ground.journal.will_create_object(bucket, key)

    def will_create(self, key: str, bucket: str | None = None) -> None:
        """Write down an object that a POST form or a connection of the check's own may create."""
        self.ground.journal.will_create_object(bucket or self.bucket, key)

    def _is_virtual_host(self, draft: Draft) -> bool:
        return draft.header("host").endswith("." + self.ground.endpoint.authority)

    def _learn(self, draft: Draft, answer: Answer) -> None:
        """Keep in mind which uploads began, and which ended."""
        path, _, query = draft.target.partition("?")
        bucket, _, key = path.removeprefix("/").partition("/")
        if not key or self._is_virtual_host(draft) or not 200 <= answer.status < 300:
            return
        key = unquote(key, errors="surrogateescape")
        ended = dict(parse_qsl(query)).get("uploadId")
        if draft.method == "POST" and query.startswith("uploads"):
            upload_id = answer.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode("utf-8", "replace")
            if upload_id:
                self.ground.journal.created_upload(bucket, key, upload_id)
        elif ended and draft.method in ("POST", "DELETE") and b"<Error" not in answer.body:
            self.ground.journal.ended_upload(bucket, key, ended)


class _Waits(Exception):
    """The server answers nothing before it has the body."""


def completion_document(parts: Iterable[SentPart]) -> bytes:
    """Return the body of CompleteMultipartUpload."""
    rows = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{part.etag}</ETag></Part>" for part in parts
    )
    return (
        '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{rows}</CompleteMultipartUpload>"
    ).encode()


def _signed(
    who: Identity,
    method: str,
    path: str,
    raw_query: str,
    headers: list[tuple[str, str]],
    body: bytes,
    payload_hash: str | None,
    signed_names: Iterable[str] | None,
) -> list[tuple[str, str]]:
    """Return the headers with x-amz-date, x-amz-content-sha256 and Authorization."""
    given = dict(headers)
    date = given.get("x-amz-date") or who.amz_date()
    digest = payload_hash or given.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest()
    lines = list(headers)
    for name, value in (("x-amz-date", date), ("x-amz-content-sha256", digest)):
        if name not in given:
            lines.append((name, value))
    if who.credentials.session_token and "x-amz-security-token" not in given:
        lines.append(("x-amz-security-token", who.credentials.session_token))
    authorization = signing.sign(
        method, path, raw_query, lines, credentials=who.credentials, scope=who.scope(date), amz_date=date,
        payload_hash=digest, signed_names=signed_names,
    )  # fmt: skip
    return [*lines, ("authorization", authorization)]


def _pairs(headers: _Fields) -> list[tuple[str, str]]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name.lower(), value) for name, value in pairs]


def _merged(first: Mapping[str, str], second: _Fields) -> list[tuple[str, str]]:
    """Return the headers of both; where both have one, the second's."""
    pairs = _pairs(second)
    names = {name for name, _ in pairs}
    return [*((name, value) for name, value in first.items() if name not in names), *pairs]


def _exchange_on(connection: Connection, data: bytes, method: str) -> Answer:
    try:
        for start in range(0, len(data), _PIECE_BYTES):  # each piece has its own time
            connection.send(data[start : start + _PIECE_BYTES])
    except NoAnswer:
        pass  # it may have answered before it closed
    return connection.read_answer(method)


def _recorded(draft: Draft, body: bytes, answer: Answer | None, error: str, seconds: float) -> Exchange:
    return Exchange(
        draft.method,
        redacted(draft.target),
        draft.identity,
        redacted_headers(draft.headers),
        shown(body),
        len(body),
        answer.status if answer else 0,
        redacted_headers(answer.headers) if answer else (),
        shown(answer.body) if answer else "",
        len(answer.body) if answer else 0,
        error,
        seconds,
    )
