"""The messages of a connection as they arrive: what llhttp tells, checked and made a Request each.

llhttp (httptools) reads the messages; what it leaves open is decided here. A message that is not exactly
HTTP is refused and its connection closed, so that no proxy in front can see other messages than we do.

    IDLE -> HEAD -> BODY -> IDLE ...      what the next byte belongs to
    LINGER                                answered early: the rest is dropped, then the connection closes
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque

import httptools

from anys3.protocol.http import Answer, Request
from anys3.server.bodies import EMPTY, BufferedBody, Source, StreamingBody
from anys3.server.connections import Connections
from anys3.server.heads import (
    Refused,
    announced_length,
    body_length,
    cause_of,
    check_authority,
    check_sizes,
    origin_form,
    refusal,
)
from anys3.server.sending import unparsed
from anys3.spec.errors import S3Error
from anys3.wire.encoding import encode_error

IDLE, HEAD, BODY, LINGER = range(4)

_ENDED = (httptools.HttpParserError, httptools.HttpParserUpgrade)
_REPEATED_MAX = 100
_PARTIAL_SLACK = 4096
_PIECE_WEIGHT = 48
_UNCHECKED_HEADERS = 64
"""A head of no more headers that came whole in one read of `Connections.unchecked_max` is within all limits."""


class MessageReader(asyncio.BufferedProtocol):
    """The receiving side of a connection: what is whole is started if it is its turn, else queued.

    HttpProtocol extends it, instead of being told by it: that is a call less for each message.
    """

    __slots__ = (
        "_arriving",
        "_at_once",
        "_began",
        "_carried",
        "_counted",
        "_good_host",
        "_headers",
        "_is_bulk",
        "_is_busy",
        "_is_http10",
        "_is_last",
        "_is_loopback",
        "_is_priming",
        "_is_secure",
        "_is_unreadable",
        "_new_id",
        "_parser",
        "_phase",
        "_pieces",
        "_repeated",
        "_request",
        "_since",
        "_target",
        "_unfed",
        "_upgraded",
        "channel",
        "connections",
        "incoming",
        "queue",
        "stalled_since",
    )

    channel: Source
    _is_secure: bool
    _is_loopback: bool

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self._new_id = connections.app.new_request_id
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
        self.incoming: StreamingBody | None = None  # or there
        self._upgraded: tuple[Request | None, StreamingBody | None] | None = None
        self._is_priming = False
        self._is_bulk = False  # this read may hold a head beyond the limits
        self._good_host = b""
        self._is_http10 = False
        self._is_last = False  # no further message will be read
        self._is_unreadable = False  # the bytes that come are no messages
        # Whose turn it is.
        self.queue: deque[tuple[Request, Answer | None]] = deque()
        self._is_busy = False  # a request is handled or answered
        self._at_once = 0  # messages that may be handled in this turn
        self.stalled_since: float | None = None  # the client does not take what is written

    @abstractmethod
    def _start(self, request: Request) -> None:
        """Call the application."""

    @abstractmethod
    def _next(self) -> None:
        """Start what waits."""

    @abstractmethod
    def regulate(self) -> None:
        """Read from the socket, or pause, as the messages now want it."""

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
            self._upgraded = (self._request, self.incoming)
            self._request = self.incoming = None

    def on_body(self, data: bytes) -> None:
        """Take bytes of the body."""
        self._carried = 0
        incoming = self.incoming
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
        if self._is_busy or self.queue or not self._at_once or self.stalled_since is not None:
            self.queue.append((request, None))
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
                self._stopped(cause_of(ended))
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
        incoming = self.incoming
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
        self.queue.append((request, answer))
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
        self.incoming = body = StreamingBody(self.channel, length, expects_continue=expects)
        request.body = body
        self.queue.append((request, None))  # started when the bytes at hand are parsed

    def _end_incoming(self) -> None:
        incoming = self.incoming
        if incoming is None:
            return  # a head with Upgrade: its body comes by another parser
        self.incoming = None
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
            length = incoming.length if incoming is not None else announced_length(request)
            head = b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (length or 0)
        is_last, self._is_last = self._is_last, False
        self._is_priming = True
        self._request, self.incoming = request, incoming
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
        if self._phase == BODY and (self.incoming is None or self.incoming.length is not None):
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
        incoming = self.incoming
        if incoming is not None:
            return 0 if incoming.length is None else incoming.length - incoming.received
        return announced_length(self._request) - sum(map(len, self._pieces))

    def arriving(self) -> int:
        """Return how many bytes are in memory of what is not parsed, or no whole message yet."""
        held = len(self._unfed)
        if self._phase in (HEAD, BODY):
            held += self._arriving + _PIECE_WEIGHT * len(self._pieces)
        return held

    def handed_back(self, body: StreamingBody) -> None:
        """Go on behind `body`, of which a thread has received the rest, or as much as came."""
        if body.is_complete:
            self._parser = httptools.HttpRequestParser(self)
            self._end_incoming()
        else:
            self._is_last = self._is_unreadable = True
        self.regulate()
