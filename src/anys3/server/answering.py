"""The requests of a connection in their order: each handled, answered, and its answer sent before the next."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from anys3.protocol.http import Answer, Request
from anys3.server import failures
from anys3.server.bodies import EMPTY, StreamingBody
from anys3.server.budget import UNCOUNTED
from anys3.server.channel import Channel
from anys3.server.connections import Connections
from anys3.server.driving import Driver, drive
from anys3.server.messages import IDLE, LINGER, MessageReader
from anys3.server.sending import BODILESS, STATUS_LINES, NothingSent, send_content
from anys3.server.share import Share

AT_ONCE = 4
"""So many messages of one connection are handled before others have their turn."""


class Answerer(MessageReader):
    """The answering side of a connection, which HttpProtocol extends."""

    __slots__ = (
        "_date",
        "_driver",
        "_handle",
        "_is_eof",
        "_is_later",
        "_left",
        "_share",
        "_tally",
        "_transport",
        "handled",
        "is_lost",
    )

    channel: Channel
    _share: Share
    _transport: Any

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self.is_lost = False
        self._handle = connections.app.handle
        self._date = connections.date
        self._tally = connections.tally
        self._driver: Driver | None = None
        self.handled: Request | None = None  # its handler has suspended
        self._is_later = False  # `go_on` will be called
        self._is_eof = False
        self._left: int | None = None  # bytes to drop before the close

    @abstractmethod
    def put_off(self) -> None:
        """Go on when other connections have had their turn."""

    @abstractmethod
    def abort(self) -> None:
        """Break the connection."""

    # --- handling -------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Start what waits, as long as it is answered at once."""
        queue = self.queue
        left = AT_ONCE
        while queue and not self._is_busy and not self._is_later and self.stalled_since is None:
            if not left:
                self.put_off()
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
            self.handled = request
            self._driver = Driver(coroutine, awaited, self._handler_ended, self.connections.loop)
            if body.held >= UNCOUNTED:
                self._share.weigh()

    def _handler_ended(self, answer: Any, error: BaseException | None) -> None:
        """Answer the request whose handler had suspended."""
        request = self.handled
        assert request is not None
        self.handled = self._driver = None
        self._answer(request, answer if error is None else self._failed(request, error))
        self._proceed()

    def _failed(self, request: Request, error: BaseException) -> Answer:
        return failures.answer_to(request, error, self.connections.log, is_lost=self.is_lost)

    def _proceed(self) -> None:
        if not self.is_lost:
            self._next()
            self.regulate()
        elif self._share.held:
            self._share.weigh()

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
            or ((self._is_last or self.connections.is_draining) and not self.queue)
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
            self.queue.clear()
            tail = b"Connection: close\r\n" + tail
        elif self._is_http10:
            tail = b"Connection: keep-alive\r\n" + tail
        request_id = request.id.encode()
        if type(body) is bytes:
            if self._tally is not None:  # first: who has the answer finds it counted
                self._tally.note(request, status, len(body))
            if not self.is_lost:
                self._transport.write(
                    b"".join((STATUS_LINES[status], request_id, self._date.now(), answer.headers, tail, body))
                )
            self._answered(request, is_closing=is_closing)
            return
        head = b"".join((STATUS_LINES[status], request_id, self._date.now(), answer.headers, tail))
        self._send(request, status, head, body, is_closing=is_closing)

    def _send(self, request: Request, status: int, head: bytes, content: Any, *, is_closing: bool) -> None:
        """Send a content."""
        if type(request.body) is not StreamingBody:
            request.body = EMPTY  # not to be kept for as long as a client takes to read
        is_at_once = True
        length: int = content.length

        def done(_: Any, error: BaseException | None) -> None:
            self._driver = None
            if isinstance(error, NothingSent):
                self._answer(request, self._failed(request, error.failure))
            else:
                if error is not None:
                    failures.note_broken(request, error, self.connections.log)
                    self.abort()  # the head is out: nothing else can tell that bytes are missing (GET-09)
                if self._tally is not None:
                    self._tally.note(request, status, 0 if error else length)
                self._answered(request, is_closing=is_closing)
            if not is_at_once:
                self._proceed()

        self._driver = drive(send_content(self.channel, head, content), done, self.connections.loop)
        is_at_once = False

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
        if (is_closing or (is_ended and not self.queue)) and not self.is_lost:
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
            self.incoming = None
        self._phase = LINGER
        self._since = self.connections.now
        self._carried = 0
        if not self._is_secure:
            self._transport.write_eof()
        elif self._is_unreadable:
            self._transport.close()
            return
        self.regulate()
