"""Requests of one attempt of a check: sent as they are, counted, recorded, and journalled before they leave."""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Unpack
from urllib.parse import parse_qsl, unquote

from anys3.client import signing
from anys3.client.answers import Answer
from anys3.client.connections import Connection, ExchangeError, NoAnswer, Stalled, Unreachable
from anys3.client.signing import encode_query
from anys3.conformance.drafting import OWN, Bending, Draft, Fields, Nobody, Query, merged, pairs_of, signed
from anys3.conformance.exchanges import Exchange, redacted, redacted_headers, shown
from anys3.conformance.ground import Ground, Identity, Meter
from anys3.conformance.outcomes import Failed, Skipped
from anys3.conformance.replies import Reply

_MAX_EXCHANGES = 60
_CONTINUE_S = 3.0
_PIECE_BYTES = 1 << 20


@dataclass(slots=True)
class Asker:
    """Asks an endpoint for one attempt of one check. Whatever may create something is journalled first."""

    ground: Ground
    check: str
    attempt: int = 1
    exchanges: list[Exchange] = field(default_factory=list)
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

    @property
    def missing_bucket(self) -> str:
        """The name of a bucket that is not there: this attempt's own, for some servers make what is missing."""
        return f"a3-{self.ground.journal.run_id}-none-{zlib.crc32(self.prefix.encode()):08x}"

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
        query: Query = (),
        headers: Fields = (),
        body: bytes = b"",
        *,
        on: Connection | None = None,
        **bending: Unpack[Bending],
    ) -> Reply:
        """Send one request and return its answer; `path` is sent as it is, `bending` is `Bending`.

        On an overload answer (503, 429) it is sent again, later. Raises Failed if the connection ends without
        a whole answer. With `on`, it goes over that connection, once.
        """
        length = {"content-length": str(len(body))} if body or method in ("PUT", "POST") else {}
        bending["unsigned"] = merged(length, bending.get("unsigned", ()))

        def draft() -> Draft:
            made = self.draft(method, path, query, headers, body, **bending)
            self._write_down(made)
            return made

        if on is not None:
            return self._sent(draft(), body, lambda data: _exchange_on(on, data, method))
        return self._patiently(draft, body)

    def draft(
        self,
        method: str,
        path: str,
        query: Query = (),
        headers: Fields = (),
        body: bytes = b"",
        **bending: Unpack[Bending],
    ) -> Draft:
        """Return a signed request without sending it; it has no Content-Length unless a caller gives one."""
        raw_query = query if isinstance(query, str) else encode_query(query)
        lines = [("host", bending.get("host") or self.ground.endpoint.authority), *pairs_of(headers)]
        who = bending.get("identity", OWN)
        who = self.main if isinstance(who, Nobody) else who
        if who is not None:
            digest, names = bending.get("payload_hash"), bending.get("signed_names")
            lines = signed(who, method, path, raw_query, lines, body, digest, names)
        lines.extend(pairs_of(bending.get("unsigned", ())))
        bend = bending.get("bend")
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

    def presign(
        self,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Fields = (),
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
        lines = [("host", self.ground.endpoint.authority), *pairs_of(headers)]
        return signing.presign(
            method, path, query, lines, credentials=who.credentials, scope=who.scope(date), amz_date=date,
            expires_s=expires_s, replace=replaced, payload_hash=payload_hash,
        )  # fmt: skip

    def open(self, method: str, target: str, headers: Fields = (), body: bytes = b"") -> Reply:
        """Send a request to a presigned URL, or nobody's: path and query as they are, nothing is signed."""
        path, _, raw_query = target.partition("?")
        return self.request(method, path, raw_query, headers, body, identity=None)

    def connect(self, **options: object) -> Connection:
        """Return a connection of the check's own, closed by it. Raises Unreachable."""
        return self.ground.dialer.connect(**options)  # type: ignore[arg-type]

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
        if bucket == self.missing_bucket and b"<Code>NoSuchBucket</Code>" in answer.body:
            self.ground.journal.refused_bucket(bucket)
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
