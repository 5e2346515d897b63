"""HTTP/1.1 over one connection: bytes in, requests to the application, answers out in their order.

llhttp (httptools) reads the messages; what it leaves open is decided here. A message that is not exactly
HTTP is refused and its connection closed, so that no proxy in front can see other messages than we do.

    IDLE -> HEAD -> BODY -> IDLE ...      the parser's side: what the next byte belongs to
    LINGER                                answered early: the rest is dropped, then the connection closed
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import httptools

from anys3.protocol.http import Answer, Request
from anys3.server import damage, platform
from anys3.server.bodies import EMPTY, BufferedBody, StreamingBody
from anys3.server.budget import UNCOUNTED
from anys3.server.connections import Connections
from anys3.server.driving import Driver, drive
from anys3.server.handover import Transfer, duplicate
from anys3.server.heads import Refused, body_length, check_authority, check_sizes, origin_form, refusal
from anys3.server.sending import BODILESS, CONTINUE, STATUS_LINES, NothingSent, send_content, unparsed
from anys3.spec.errors import S3Error
from anys3.store.interface import Corrupt, StoreError
from anys3.wire.encoding import encode_error

IDLE, HEAD, BODY, LINGER = range(4)

_ENDED = (httptools.HttpParserError, httptools.HttpParserUpgrade)
_HAND_OVER_MIN = 256 << 10
_REPEATED_MAX = 100
_PARTIAL_SLACK = 4096
_QUEUED_WHEN_TIGHT = 64 << 10
_PART_MAX = 8 << 10
"""So many bytes are parsed at a time where they may be heads."""
_PIECE_WEIGHT = 48
_AT_ONCE = 4
"""So many messages of one connection are handled before others have their turn."""
_MESSAGE_WEIGHT = 1 << 10
"""What a message that waits takes, beside its body."""
_UNCHECKED_HEADERS = 64
"""A head of no more headers that came whole in one read of `Connections.unchecked_max` is within all limits."""


class HttpProtocol(asyncio.BufferedProtocol):
    """One connection."""

    __slots__ = (
        "_arriving",
        "_at_once",
        "_began",
        "_carried",
        "_counted",
        "_date",
        "_driver",
        "_fileno",
        "_good_host",
        "_handle",
        "_handled",
        "_headers",
        "_incoming",
        "_is_bulk",
        "_is_busy",
        "_is_eof",
        "_is_http10",
        "_is_last",
        "_is_later",
        "_is_loopback",
        "_is_paused",
        "_is_priming",
        "_is_secure",
        "_is_unreadable",
        "_left",
        "_new_id",
        "_parser",
        "_phase",
        "_pieces",
        "_queue",
        "_repeated",
        "_request",
        "_since",
        "_target",
        "_transfer",
        "_transport",
        "_unfed",
        "_upgraded",
        "_view",
        "_write_waiter",
        "_writes_wait_since",
        "connections",
        "held",
        "is_lost",
        "reading",
    )

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.is_lost = False
        self.held = 0
        self.reading = 0
        self._handle = connections.app.handle
        self._new_id = connections.app.new_request_id
        self._date = connections.date
        self._view = connections.receive_buffer()
        self._parser = httptools.HttpRequestParser(self)
        self._phase = IDLE
        self._since = connections.now
        # The message that is being parsed.
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._repeated = 0
        self._carried = 0  # bytes of a section that has not ended
        self._arriving = 0  # bytes in memory of a head, or of a small body, that has not ended
        self._counted = ""  # the request whose small body is arriving,
        self._began = 0.0  # and since when
        self._unfed = b""  # read, but not parsed: too many messages wait
        self._request: Request | None = None  # its body comes into _pieces
        self._pieces: list[bytes] = []
        self._incoming: StreamingBody | None = None  # or there
        self._upgraded: tuple[Request | None, StreamingBody | None] | None = None
        self._is_priming = False
        self._is_bulk = False  # this read may hold a head beyond the limits
        self._good_host = b""
        # The connection.
        self._queue: deque[tuple[Request, Answer | None]] = deque()
        self._is_busy = False  # a request is handled or answered
        self._driver: Driver | None = None
        self._handled: Request | None = None  # its handler has suspended
        self._transfer: Transfer | None = None
        self._is_last = False  # no further message will be read
        self._is_http10 = False
        self._is_unreadable = False  # the bytes that come are no messages
        self._is_later = False  # `go_on` will be called
        self._at_once = 0  # messages that may be handled in this turn
        self._is_eof = False
        self._is_paused = False
        self._left: int | None = None  # bytes to drop before the close
        self._writes_wait_since: float | None = None
        self._write_waiter: asyncio.Future[None] | None = None

    # --- the transport's calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; refuse the connection if there are too many (HTTP-23)."""
        self._transport: Any = transport
        connections = self.connections
        self._is_secure = transport.get_extra_info("sslcontext") is not None
        peer = transport.get_extra_info("peername")
        self._is_loopback = _is_loopback(peer)
        self._fileno: int | None = None
        if platform.CAN_HAND_OVER and not self._is_secure:
            self._fileno = transport.get_extra_info("socket").fileno()
        beyond = len(connections.open) + 1 - connections.limits.connections_max
        if beyond > 0:
            connections.make_room()
            beyond = len(connections.open) + 1 - connections.limits.connections_max
        connections.open.add(self)
        if beyond > connections.limits.refused_connections_max:
            self.abort()
        elif beyond > 0:
            self._refuse(S3Error("SlowDown"))
        elif connections.is_draining:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  (contract)
        """End what waits for this connection; a handler that has its whole request may finish."""
        self.is_lost = True
        self.connections.open.discard(self)
        self._queue.clear()
        self._is_last = True
        self._forget_message()
        if self._transfer is not None:
            self._transfer.cancel()
        if self._incoming is not None:
            self._incoming.fail(S3Error("IncompleteBody", log="the connection was lost"))
        self._wake_writer()
        self._weigh()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  (contract)
        """Return where to receive."""
        return self._view

    def buffer_updated(self, count: int) -> None:
        """Read `count` bytes."""
        phase = self._phase
        if self._unfed:  # TLS may hand out what it had decrypted before reading was paused
            self._unfed += self._view[:count]
            return
        if phase == LINGER or (self._is_last and (phase == IDLE or self._is_unreadable)):
            self._drop(count)
            return
        self._at_once = _AT_ONCE
        self._is_bulk = count > self.connections.unchecked_max
        if count > _PART_MAX:
            self._feed_parts(self._view[:count])
        else:
            self._feed(self._view[:count])
            if self._queue and not self._is_busy:
                self._next()
            if self._phase:
                self._received_a_part(count)
        if self._phase or self._incoming is not None or self._queue or self._is_paused or self.held:
            self.regulate()

    def eof_received(self) -> bool:
        """Answer what was received; the rest of a message will not come (HTTP-10)."""
        self._is_eof = True
        if self._phase == LINGER or self.is_lost:
            return False
        self._is_last = True
        if self._incoming is not None:
            self._incoming.fail(S3Error("IncompleteBody"))
        elif self._phase == BODY:
            self._refuse(S3Error("IncompleteBody"))
        # TLS can't be half closed: asyncio closes it whatever is returned.
        return not self._is_secure and (self._is_busy or bool(self._queue))

    def pause_writing(self) -> None:
        """Note that the client does not take what is written: handle nothing more for it."""
        self._writes_wait_since = self.connections.now
        self._weigh()

    def resume_writing(self) -> None:
        """Go on."""
        self._writes_wait_since = None
        self._wake_writer()
        if not self.is_lost:
            self._next()
            self.regulate()

    def _feed_parts(self, data: memoryview) -> None:
        """Parse a large read part by part: each may end a head, or bring more messages than may wait."""
        pipelined_max = self.connections.limits.pipelined_max
        while data:
            if self._phase == LINGER or (self._is_last and (self._phase == IDLE or self._is_unreadable)):
                break
            if len(self._queue) > pipelined_max:
                self._unfed = bytes(data)
                break
            size = _PART_MAX
            if self._phase == BODY:
                size = max(size, self._announced_rest())
            part = data[:size]
            data = data[size:]
            self._feed(part)
            # Not while the body's bytes at hand are not all fed: its handler may take the socket.
            if self._queue and not self._is_busy and (self._incoming is None or not data):
                self._next()
            if self._phase:
                self._received_a_part(len(part))
        self._next()

    def go_on(self) -> None:
        """Handle some of the messages that wait, then parse some of what was read."""
        self._is_later = False
        if self.is_lost:
            return
        self._next()
        if self._unfed and not self._is_later and self._wants_more():
            data, self._unfed = self._unfed, b""
            self._is_bulk = True
            self._at_once = 0
            self._feed_parts(memoryview(data))
        self.regulate()

    # --- the parser's calls ---------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a message."""
        if self._is_last:
            raise Refused(None)
        self._phase = HEAD
        self._since = self.connections.now
        self._headers = {}  # whatever trailers came is dropped

    def on_url(self, part: bytes) -> None:
        """Take a part of the target."""
        self._target = self._target + part if self._target else part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        name = name.lower()
        headers = self._headers
        if name in headers:
            self._repeated += 1
            if name == b"host" or self._repeated > _REPEATED_MAX:
                raise refusal("BadRequest", "A header must not be repeated like this.")
            headers[name] = headers[name] + b"," + value.rstrip()
        else:
            headers[name] = value.rstrip()

    def on_headers_complete(self) -> None:
        """Check what the message announces, and decide how its body is received."""
        if self._is_priming:
            return
        parser = self._parser
        headers = self._headers
        target = self._target
        self._headers = {}
        self._target = b""
        self._repeated = 0
        self._phase = BODY
        method = parser.get_method()
        if not parser.should_keep_alive() or b"connection" in headers:
            self._read_version(headers)
        if self._is_bulk or self._carried or len(headers) > _UNCHECKED_HEADERS:
            self._carried = 0
            check_sizes(target, headers, self.connections.limits)
        if target[:1] != b"/":
            target = origin_form(method, target, headers)
        host = headers.get(b"host")
        if host != self._good_host:
            self._check_host(host)
        path, _, query = target.partition(b"?")
        request = Request(
            method, target, path, query, headers, EMPTY, self._new_id(), self._is_secure, self._is_loopback
        )
        if b"content-length" in headers or b"transfer-encoding" in headers:
            self._announce_body(request)
        else:
            self._request = request
        if b"upgrade" in headers and parser.should_upgrade():
            # llhttp ends after this head, body or not: `_feed` goes on with another parser.
            self._upgraded = (self._request, self._incoming)
            self._request = self._incoming = None

    def on_body(self, data: bytes) -> None:
        """Take bytes of the body."""
        self._carried = 0
        incoming = self._incoming
        if incoming is not None:
            incoming.feed(data)
        else:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """Answer the message, if its turn has come."""
        request = self._request
        if request is None:
            self._end_incoming()
            return
        self._request = None
        self._phase = IDLE
        pieces = self._pieces
        if pieces:
            self._pieces = []
            self._arriving = 0
            request.body = BufferedBody(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._is_busy or self._queue or not self._at_once or self._writes_wait_since is not None:
            self._queue.append((request, None))
        else:
            self._at_once -= 1
            self._start(request)

    # --- parsing --------------------------------------------------------------------------------------

    def _feed(self, data: memoryview) -> None:
        """Parse: go on behind a head with Upgrade, where llhttp ends; refuse anything else that it ends at."""
        while True:
            try:
                self._parser.feed_data(data)
                return
            except _ENDED as error:
                ended = error  # to be looked at outside: what is raised in here would get it as its context
            if not isinstance(ended, httptools.HttpParserUpgrade):
                self._stopped(_reason(ended))
                return
            data = data[ended.args[0] :]
            if not self._ignore_upgrade() or not data:
                return

    def _stopped(self, reason: BaseException | None) -> None:
        """Refuse what the parser stopped at."""
        if self._is_last and self._phase in (IDLE, LINGER):
            self._is_unreadable = True  # bytes after the last message of this connection
            return
        if not isinstance(reason, Refused):
            self.connections.log.error("a parser callback failed", exc_info=reason)
            reason = refusal("InternalError")
        self._is_unreadable = True
        incoming = self._incoming
        if incoming is not None:  # somebody is called with it, or will be: the error is theirs to tell
            incoming.fail(S3Error("IncompleteBody", log=str(reason.error)))
            self._is_last = True
        elif reason.error is not None:
            self._refuse(reason.error)

    def _refuse(self, error: S3Error) -> None:
        """Answer `error` in turn, and close: the message is no request, and not the application's."""
        self._is_last = True
        self._is_unreadable = True
        self._phase = IDLE
        self._forget_message()
        request = unparsed(self._new_id())
        answer = encode_error(error, request)
        answer.must_close = True
        self._queue.append((request, answer))
        self._next()

    def _forget_message(self) -> None:
        """Keep nothing of the message that is being parsed."""
        self._request = None
        self._pieces = []
        self._headers = {}
        self._target = b""
        self._unfed = b""
        self._arriving = 0

    def _read_version(self, headers: dict[bytes, bytes]) -> None:
        """Note whether this is the connection's last message. Refuses versions beyond 1.0 and 1.1."""
        version = self._parser.get_http_version()
        if version == "1.0":
            if b"transfer-encoding" in headers:
                raise refusal("BadRequest", "HTTP/1.0 has no Transfer-Encoding.")
            self._is_http10 = True
            self._good_host = b""
        elif version != "1.1":
            raise refusal("BadRequest", "This server speaks HTTP/1.1 and HTTP/1.0.")
        if not self._parser.should_keep_alive():
            self._is_last = True

    def _check_host(self, host: bytes | None) -> None:
        """Refuse HTTP/1.1 without Host, and a Host that is no authority (RFC 9112 section 3.2)."""
        if host is not None:
            check_authority(host)
            self._good_host = host
        elif not self._is_http10:
            raise refusal("BadRequest", "The Host header is missing.")

    def _announce_body(self, request: Request) -> None:
        """Decide whether the handler is called before the body is there (HTTP-11)."""
        headers = request.headers
        length = body_length(headers)
        expects = not self._is_http10 and headers.get(b"expect", b"").lower() == b"100-continue"
        connections = self.connections
        small_max = 0 if expects or connections.budget.is_tight else connections.limits.small_body_max
        if length is not None and length <= small_max:
            self._request = request
            return
        self._incoming = body = StreamingBody(self, length, expects_continue=expects)
        request.body = body
        self._queue.append((request, None))  # started when the bytes at hand are parsed

    def _end_incoming(self) -> None:
        incoming = self._incoming
        if incoming is None:
            return  # a head with Upgrade: its body comes by another parser
        self._incoming = None
        self._headers = {}  # trailers
        self._phase = IDLE if self._phase != LINGER else LINGER
        self._since = self.connections.now
        incoming.finish()

    def _ignore_upgrade(self) -> bool:
        """Prepare to go on after a head with Upgrade, which we ignore (RFC 9110 section 7.8); tell whether to."""
        self._parser = httptools.HttpRequestParser(self)
        if self._upgraded is None:  # CONNECT is refused in its head
            self._stopped(refusal("MethodNotAllowed"))
            return False
        (request, incoming), self._upgraded = self._upgraded, None
        head = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        if incoming is None or incoming.length is not None:
            length = incoming.length if incoming is not None else _length(request)
            head = b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (length or 0)
        is_last, self._is_last = self._is_last, False
        self._is_priming = True
        self._request, self._incoming = request, incoming
        try:
            self._parser.feed_data(head)
        finally:
            self._is_priming = False
            self._is_last = is_last
        if self._phase == HEAD:
            self._phase = BODY
        self._target = b""
        self._headers = {}
        return True

    def _received_a_part(self, count: int) -> None:
        """Bound what a head, a trailer section or a chunk extension may hold in the parser."""
        request = self._request
        if request is not None:
            if self._counted != request.id:
                self._counted = request.id
                self._began = self._since
                self._arriving = 0
            self._arriving += count
        self._since = self._since if self._phase == HEAD else self.connections.now
        if self._phase == BODY and (self._incoming is None or self._incoming.length is not None):
            self._carried = 0
            return
        limits = self.connections.limits
        bound = limits.target_max + limits.header_section_max + _PARTIAL_SLACK
        # The first part may have come behind other messages: it counts as one byte.
        if self._phase == HEAD:
            self._arriving = self._arriving + count if self._carried else count
        else:
            self._arriving = self._carried
        self._carried = self._carried + count if self._carried else 1
        if self._carried > bound or len(self._target) > limits.target_max or self._has_many_headers():
            is_target = len(self._target) > limits.target_max
            self._stopped(refusal("InvalidURI" if is_target else "RequestHeaderSectionTooLarge"))

    def _has_many_headers(self) -> bool:
        headers_max = self.connections.limits.headers_max
        return len(self._headers) > headers_max

    def _announced_rest(self) -> int:
        """Return how much of a body of known length is still to come."""
        incoming = self._incoming
        if incoming is not None:
            return 0 if incoming.length is None else incoming.length - incoming.received
        return _length(self._request) - sum(map(len, self._pieces))

    # --- handling -------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Start what waits, as long as it is answered at once."""
        queue = self._queue
        left = _AT_ONCE
        while queue and not self._is_busy and not self._is_later and self._writes_wait_since is None:
            if not left:
                self._is_later = True
                self.connections.later(self)
                return
            left -= 1
            request, answer = queue.popleft()
            if answer is None:
                self._start(request)
            else:
                self._is_busy = True
                self.connections.active += 1
                self._answer(request, answer)

    def _start(self, request: Request) -> None:
        """Call the application; answer at once if it does not suspend."""
        self._is_busy = True
        self.connections.active += 1
        body = request.body
        if type(body) is StreamingBody:
            body.settle()
        coroutine = self._handle(request)
        try:
            awaited = coroutine.send(None)
        except StopIteration as end:
            self._answer(request, end.value)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  (told as InternalError)
            self._answer(request, self._failed(request, error))
        else:
            self._handled = request
            self._driver = Driver(coroutine, awaited, self._handler_ended, self.connections.loop)
            if body.held >= UNCOUNTED:
                self._weigh()

    def _handler_ended(self, answer: Any, error: BaseException | None) -> None:
        """Answer the request whose handler had suspended."""
        request = self._handled
        assert request is not None
        self._handled = self._driver = None
        self._answer(request, answer if error is None else self._failed(request, error))
        self._proceed()

    def _failed(self, request: Request, error: BaseException) -> Answer:
        """Return what a failure means to the client, and log what happened."""
        if isinstance(error, Corrupt):
            damage.note(self.connections.log, request, error, "-> 500 InternalError")
        elif isinstance(error, StoreError):
            self._log_failure(request, error, "-> 503 ServiceUnavailable")
            return encode_error(S3Error("ServiceUnavailable"), request)
        elif not (self.is_lost and isinstance(error, ConnectionError)):
            self.connections.log.error(
                "%s %s failed (request %s)", request.method, request.path, request.id, exc_info=error
            )
        return encode_error(S3Error("InternalError"), request)

    def _log_failure(self, request: Request, failure: StoreError, outcome: str) -> None:
        method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
        self.connections.log.error(
            "%s %s %s %s (%s: %s)", request.id, method, path, outcome, type(failure).__name__, failure
        )

    def _proceed(self) -> None:
        if not self.is_lost:
            self._next()
            self.regulate()
        elif self.held:
            self._weigh()

    # --- answering ------------------------------------------------------------------------------------

    def _answer(self, request: Request, answer: Answer) -> None:
        """Send the answer, then close or go on."""
        status = answer.status
        body: Any = answer.body
        sent = request.body
        is_unread = type(sent) is StreamingBody and not sent.is_complete
        is_closing = (
            answer.must_close
            or is_unread
            or ((self._is_last or self.connections.is_draining) and not self._queue)
        )
        length = answer.length
        if length is None and status != 304:
            length = len(body) if type(body) is bytes else body.length
        if request.method == b"HEAD" or status in BODILESS or self.is_lost:
            if type(body) is not bytes:
                body.close()
            body = b""
        tail = b"\r\n" if length is None or status == 204 else b"Content-Length: %d\r\n\r\n" % length
        if is_closing:
            self._is_last = True
            self._queue.clear()
            tail = b"Connection: close\r\n" + tail
        elif self._is_http10:
            tail = b"Connection: keep-alive\r\n" + tail
        request_id = request.id.encode()
        if type(body) is bytes:
            if not self.is_lost:
                self._transport.write(
                    b"".join((STATUS_LINES[status], request_id, self._date.now(), answer.headers, tail, body))
                )
            self._answered(request, is_closing=is_closing)
            return
        head = b"".join((STATUS_LINES[status], request_id, self._date.now(), answer.headers, tail))
        self._send(request, head, body, is_closing=is_closing)

    def _send(self, request: Request, head: bytes, content: Any, *, is_closing: bool) -> None:
        """Send a content."""
        if type(request.body) is not StreamingBody:
            request.body = EMPTY  # not to be kept for as long as a client takes to read
        is_at_once = True

        def done(_: Any, error: BaseException | None) -> None:
            self._driver = None
            if isinstance(error, NothingSent):
                self._answer(request, self._failed(request, error.failure))
            else:
                if error is not None:
                    self._broken(request, error)
                self._answered(request, is_closing=is_closing)
            if not is_at_once:
                self._proceed()

        self._driver = drive(send_content(self, head, content), done, self.connections.loop)
        is_at_once = False

    def _broken(self, request: Request, error: BaseException) -> None:
        """Break the connection: the head is out, so nothing else can tell that bytes are missing (GET-09)."""
        if isinstance(error, Corrupt):
            damage.note(self.connections.log, request, error, "broke off behind its head")
        elif isinstance(error, StoreError):
            self._log_failure(request, error, "broke off behind its head")
        elif not isinstance(error, ConnectionError):
            self.connections.log.error(
                "the answer to %s %s broke off (request %s)",
                request.method,
                request.path,
                request.id,
                exc_info=error,
            )
        self.abort()

    def _answered(self, request: Request, *, is_closing: bool) -> None:
        """Note that the answer is given; close if it was the last."""
        self._is_busy = False
        connections = self.connections
        connections.active -= 1
        self._since = connections.now
        body = request.body
        if type(body) is StreamingBody:
            body.drop()
        # While a content was sent the client may have said its last, or a drain may have begun.
        is_ended = self._is_eof or ((self._is_last or connections.is_draining) and self._phase == IDLE)
        if (is_closing or (is_ended and not self._queue)) and not self.is_lost:
            self._close(body if type(body) is StreamingBody and not body.is_complete else None)

    def _close(self, unread: StreamingBody | None) -> None:
        """Close so that the client can read the answer: not while its bytes come unread (HTTP-26)."""
        if self._is_eof or (unread is None and not self._is_unreadable):
            self._transport.close()
            return
        if unread is None or unread.length is None:
            self._left = None
        else:
            self._left = unread.length - unread.received
        if unread is None:
            self._incoming = None
        self._phase = LINGER
        self._since = self.connections.now
        self._carried = 0
        if not self._is_secure:
            self._transport.write_eof()
        elif self._is_unreadable:
            self._transport.close()
            return
        self.regulate()

    def _drop(self, count: int) -> None:
        """Drop bytes that are not to be answered, up to a bound."""
        self._carried += count
        if self._carried > self.connections.limits.linger_max_bytes:
            self.abort()
        elif self._phase == LINGER and self._left is not None:
            self._left -= count
            if self._left <= 0:
                self._transport.close()
        elif self._phase == LINGER and self._incoming is not None and not self._is_unreadable:
            carried = self._carried  # a chunked body: only the parser knows where it ends
            self._feed(self._view[:count])
            self._carried = carried
            if self._incoming is None:
                self._transport.close()
        elif self._incoming is not None:
            self._incoming.received += count

    # --- flow control, timeouts, end ------------------------------------------------------------------

    def regulate(self) -> None:
        """Read from the socket, or pause, as the messages now want it."""
        if self._phase or self._unfed or self._queue or self._handled is not None or self.held:
            self._weigh()
        if self._transfer is not None or self._is_eof or self.is_lost:
            return
        wants = self._wants_more()
        if wants and self._unfed:
            wants = False
            if not self._is_later:
                self._is_later = True
                self.connections.later(self)
        if wants == self._is_paused:
            self._is_paused = not wants
            if wants:
                self._since = self.connections.now
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _wants_more(self) -> bool:
        """Say whether the messages now want bytes."""
        if self._phase == LINGER:
            return True
        limits = self.connections.limits
        if self._writes_wait_since is not None or len(self._queue) > limits.pipelined_max:
            return False
        if self._incoming is None:
            return True
        is_tight = self.connections.budget.is_tight
        return self._incoming.wants_more(_QUEUED_WHEN_TIGHT if is_tight else limits.queued_body_max)

    def _weigh(self) -> None:
        """Tell the budget what is held for this connection."""
        handled = self._handled
        if self.is_lost:
            self._hold(handled.body.held if handled is not None else 0)
            return
        held = len(self._unfed)
        if self._phase in (HEAD, BODY):
            held += self._arriving + _PIECE_WEIGHT * len(self._pieces)
        incoming = self._incoming
        if handled is not None:
            held += handled.body.held
        if incoming is not None and (handled is None or handled.body is not incoming):
            held += incoming.held
        for request, _ in self._queue:
            held += _MESSAGE_WEIGHT + (request.body.held if request.body is not incoming else 0)
        if self._writes_wait_since is not None:
            held += self._transport.get_write_buffer_size() + self.reading
        self._hold(held)

    def _hold(self, held: int) -> None:
        if self.held or held >= UNCOUNTED:
            connections = self.connections
            connections.budget.change(self, held if held >= UNCOUNTED else 0, connections.now)

    def let_go(self) -> None:
        """Hold no more than what is being handled; tell the client to slow down, or break off."""
        error = S3Error("SlowDown", log="memory for what connections hold is full")
        incoming = self._incoming
        if self._writes_wait_since is not None:
            self._is_last = self._is_unreadable = True
            self._writes_wait_since = None
            self._queue.clear()
            self._forget_message()
            self.abort()
        elif incoming is not None:
            self._is_last = self._is_unreadable = True
            incoming.abandon(error)
        elif self._phase in (HEAD, BODY):
            self._refuse(error)
            self._parser = httptools.HttpRequestParser(self)
        elif self._queue or self._unfed:  # what was not begun is not answered, and the client can tell
            self._is_last = self._is_unreadable = True
            self._queue.clear()
            self._forget_message()
        self._weigh()

    def waiting_since(self) -> float | None:
        """Return since when this connection waits for a request that nobody handles yet; None if it does not."""
        if self._is_busy:
            return None
        if self._phase == LINGER:
            return self._since
        if self._writes_wait_since is not None:
            return self._writes_wait_since  # of what was answered, nothing is taken
        if self._queue or self._is_paused or self._incoming is not None:
            return None
        return self._began if self._phase == BODY else self._since

    def make_room(self) -> None:
        """Close, in favour of another connection."""
        self._is_last = self._is_unreadable = True
        self._phase = IDLE
        self._forget_message()
        self._weigh()
        self._close_idle()

    def check(self, now: float) -> None:
        """End what has waited too long (HTTP-23)."""
        limits = self.connections.limits
        age = now - self._since
        if self._writes_wait_since is not None:
            if now - self._writes_wait_since > limits.send_timeout_s:
                self.abort()
        elif self._phase == LINGER:
            if age > limits.linger_s:
                self.abort()
        elif self._incoming is not None:
            if self._incoming.is_awaited and self._transfer is None and age > limits.body_timeout_s:
                self._is_last = self._is_unreadable = True
                self._incoming.fail(S3Error("RequestTimeout"))
        elif self._is_busy or self._queue or self._is_paused:
            return
        elif self._phase == IDLE:
            if age > limits.idle_timeout_s or (self._is_last and age > limits.linger_s):
                self._close_idle()
        elif age > (limits.header_timeout_s if self._phase == HEAD else limits.body_timeout_s):
            self._refuse(S3Error("RequestTimeout"))

    def drain(self) -> None:
        """Close if no request is under way; else the next answer closes."""
        if self._phase == IDLE and not self._is_busy and not self._queue:
            self._transport.close()

    def abort(self) -> None:
        """Break the connection."""
        if self._transfer is not None:
            self._transfer.cancel()
        self._transport.abort()

    def throw(self, error: BaseException) -> None:
        """Throw `error` into the handler, if one waits: the process is about to end."""
        if self._driver is not None:
            self._driver.abort(error)

    def _close_idle(self) -> None:
        """Close; but not in good order if the client does not even take what it was sent."""
        if self._transport.get_write_buffer_size():
            self.abort()
        else:
            self._transport.close()

    # --- what bodies and contents ask -----------------------------------------------------------------

    def continue_(self) -> None:
        """Send `100 Continue`."""
        if not self.is_lost:
            self._transport.write(CONTINUE)

    def can_hand_over(self, rest: int) -> bool:
        """Say whether a thread may receive the rest of the body."""
        return (
            rest >= _HAND_OVER_MIN
            and self._fileno is not None
            and not self.is_lost
            and not self._is_eof
            and not self._unfed
            and self.connections.has_slot()
        )

    async def hand_over(
        self, body: StreamingBody, pieces: list[bytes], rest: int, consume: Callable[[memoryview], None]
    ) -> None:
        """Let a thread receive and consume; take the socket back afterwards."""
        connections = self.connections
        try:
            transfer = Transfer(duplicate(self._fileno))  # type: ignore[arg-type]
        except OSError as error:
            raise S3Error("ServiceUnavailable", log=f"no descriptor for the transfer: {error}") from error
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        connections.take_slot()
        self._transfer = transfer
        timeout_s = connections.limits.body_timeout_s
        try:
            await connections.in_pool(lambda: transfer.receive(pieces, rest, consume, timeout_s))
        finally:
            self._transfer = None
            connections.give_slot_back()
            body.handed_back(transfer.moved)
            if body.is_complete:
                self._parser = httptools.HttpRequestParser(self)
                self._end_incoming()
            else:
                self._is_last = self._is_unreadable = True
            self.regulate()

    async def in_pool(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread."""
        await self.connections.in_pool(work)

    def fileno(self) -> int | None:
        """Return the descriptor that a thread may write to; None if the bytes must go through the loop."""
        return None if self.is_lost else self._fileno

    def write(self, data: bytes) -> None:
        """Give bytes to the transport."""
        if not self.is_lost:
            self._transport.write(data)

    @property
    def is_stalled(self) -> bool:
        """Whether the client takes no more at present."""
        return self._writes_wait_since is not None

    async def drained(self, *, to_the_last_byte: bool) -> None:
        """Wait until the transport wants more, or holds nothing at all."""
        transport = self._transport
        if to_the_last_byte and transport.get_write_buffer_size():
            transport.set_write_buffer_limits(high=0)
            try:
                await self._writable()
            finally:
                transport.set_write_buffer_limits()
        else:
            await self._writable()

    async def _writable(self) -> None:
        while self._writes_wait_since is not None and not self.is_lost:
            self._write_waiter = self.connections.loop.create_future()
            await self._write_waiter
        if self.is_lost:
            raise ConnectionAbortedError

    def _wake_writer(self) -> None:
        waiter, self._write_waiter = self._write_waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def lend(self, transfer: Transfer | None) -> None:
        """Note which thread sends."""
        self._transfer = transfer


def _reason(error: Exception) -> BaseException | None:
    """Return what to refuse a message with, or what a callback raised, for an error of the parser."""
    if isinstance(error, httptools.HttpParserCallbackError):
        return error.__context__
    if isinstance(error, httptools.HttpParserInvalidURLError):
        return refusal("InvalidURI")
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return refusal("BadRequest", "The request does not begin with a method of HTTP.")
    return refusal("BadRequest", f"The request is not HTTP: {error}.")


def _length(request: Request | None) -> int:
    return int(request.headers.get(b"content-length", b"0")) if request is not None else 0


def _is_loopback(peer: Any) -> bool:
    """Say whether `peer`, an address of a transport, is this machine."""
    if not isinstance(peer, tuple) or not peer:
        return True  # a socket of the file system
    host = str(peer[0])
    return host.startswith(("127.", "::ffff:127.")) or host == "::1"
