"""New blobs: one PutObject, or a multipart upload of those that are larger than a part."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from anys3.client.answers import Answer
from anys3.protocol import xml
from anys3.spec.errors import S3Error
from anys3.store.beside import step_back
from anys3.store.errors import StoreError, Unavailable
from anys3.store.s3 import refusals
from anys3.store.s3.address import MIB
from anys3.store.s3.bodies import Body, InMemory, Spooled
from anys3.store.s3.requests import Request, Requester

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_IN_FLIGHT = 2
_BESIDE = 8
_DOUBLES_AFTER = 1000
"""Parts of one size."""
_NOT_OFFERED = (405, 501)
_COMPLETION_S_PER_PART = 0.05
_S_PER_MIB = 1.0


class Beside:
    """Threads that send parts while the next ones are filled: a few for the process, as each part costs memory."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_BESIDE, "anys3-parts", step_back)
        self._free = threading.Semaphore(_BESIDE)

    def run(self, send: Callable[[], str]) -> Future[str]:
        """Return what will come of `send`, at once if a thread is free, else after it has run here."""
        if not self._free.acquire(blocking=False):
            done: Future[str] = Future()
            done.set_result(send())
            return done

        def work() -> str:
            try:
                return send()
            finally:
                self._free.release()

        return self._threads.submit(work)

    def close(self) -> None:
        """Wait for what is being sent, and end the threads."""
        self._threads.shutdown()


class Sink:
    """Takes the bytes of one blob; see BlobSink.

    A name is written once, so a request that got no answer is repeated without harm, until its outcome is known.
    """

    def __init__(self, requester: Requester, beside: Beside, key: str, part_bytes: int) -> None:
        self._requester = requester
        self._beside = beside
        self._key = key
        self._part_bytes = part_bytes
        self._body: Body | None = InMemory()
        self._is_in_parts = True
        self._size = 0
        self._upload_id = ""
        self._etags: list[str] = []
        self._flying: deque[Future[str]] = deque()
        self._sent = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def begin_upload(self) -> bool:
        """Make it a multipart upload, however few bytes come; False if the provider has none. Raises Unavailable."""
        with self._lock, self._told():
            return bool(self._upload_id) or self._create()

    def write(self, data: memoryview | bytes) -> None:
        """Append. Raises StoreFull, Unavailable."""
        view = memoryview(data).cast("B")
        with self._lock, self._told():
            while len(view):
                body = self._open()
                room = size_of_part(self._part_bytes, self._sent + 1) - len(body)
                if self._is_in_parts and not room:
                    self._make_room(body)
                    continue
                piece = view[:room] if self._is_in_parts else view
                body.append(piece)
                self._size += len(piece)
                view = view[len(piece) :]

    def finish(self) -> None:
        """Make the blob durable and readable. Raises StoreFull, Unavailable."""
        with self._lock, self._told():
            body = self._open()
            if self._upload_id:
                self._send_part(body)
                while self._flying:
                    self._land()
                self._complete()
            else:
                self._put(Request("PutObject", "PUT", self._key), body)
            self._let_go()

    def discard(self) -> None:
        """Give up; an unfinished upload is aborted as far as it can be now."""
        self._stop.set()
        with self._lock:
            upload_id, flying = self._upload_id, self._flying
            self._let_go()
        for part in flying:
            with contextlib.suppress(StoreError):
                part.result()
        if upload_id:
            # What can't be aborted now is found by `remove`, which looks for uploads of its names.
            with contextlib.suppress(StoreError):
                self._requester.ask(abort(self._key, upload_id), self._stop)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say of a blob that was discarded meanwhile that it is, rather than how its last request ended."""
        try:
            yield
        except StoreError:
            if self._stop.is_set():
                self._open()
            raise

    def _open(self) -> Body:
        if self._body is None or self._stop.is_set():
            raise ValueError("the blob is finished or discarded")
        return self._body

    def _let_go(self) -> None:
        body, self._body, self._upload_id, self._flying = self._body, None, "", deque()
        if body is not None:
            body.close()

    def _make_room(self, body: Body) -> None:
        """Send a part; where there are no parts, keep all in a file until the end."""
        if self._upload_id or self._create():
            self._send_part(body)
            return
        self._is_in_parts, self._body = False, Spooled()
        for piece in body.pieces():
            self._body.append(piece)
        body.close()

    def _send_part(self, body: Body) -> None:
        """Send a part while the next one fills, two at a time."""
        while len(self._flying) >= _IN_FLIGHT:
            self._land()
        self._sent += 1
        query = (("partNumber", str(self._sent)), ("uploadId", self._upload_id))
        request = Request("UploadPart", "PUT", self._key, query)

        def send() -> str:
            try:
                return self._put(request, body)
            finally:
                body.close()

        self._body = InMemory()
        self._flying.append(self._beside.run(send))

    def _land(self) -> None:
        self._etags.append(self._flying.popleft().result())

    def _put(self, request: Request, body: Body) -> str:
        """Send a body, its SHA-256 signed so that it can't change on its way, and return its ETag."""
        digest = hashlib.sha256()
        for piece in body.pieces():
            digest.update(piece)
        more_s = len(body) / MIB * _S_PER_MIB
        answer = self._requester.ask(
            replace(request, body=body, payload_hash=digest.hexdigest(), more_s=more_s), self._stop
        )
        etag = answer.header("etag")
        if answer.status != 200 or not etag:
            raise refusals.error(answer, f"{request.operation} of {self._key}")
        return etag

    def _create(self) -> bool:
        """Begin an upload; False if the provider has none."""
        request = Request("CreateMultipartUpload", "POST", self._key, (("uploads", ""),))
        answer = self._requester.ask(request, self._stop)
        if answer.status in _NOT_OFFERED:
            return False
        document = _document(answer)
        self._upload_id = document.text_of("UploadId") if document else ""
        if not self._upload_id:
            raise refusals.error(answer, f"CreateMultipartUpload of {self._key}")
        return True

    def _complete(self) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{xml.escape(etag)}</ETag></Part>"
            for number, etag in enumerate(self._etags, 1)
        )
        body = f'<CompleteMultipartUpload xmlns="{NAMESPACE}">{parts}</CompleteMultipartUpload>'.encode()
        answer = self._requester.ask(
            Request(
                "CompleteMultipartUpload", "POST", self._key, (("uploadId", self._upload_id),),
                body=body,
                payload_hash=hashlib.sha256(body).hexdigest(),
                more_s=len(self._etags) * _COMPLETION_S_PER_PART,
            ),
            self._stop,
        )  # fmt: skip
        # Its ETag does not matter, and is empty at some (radosgw).
        if _document(answer) is not None:
            return
        # A try whose answer was lost has ended the upload: then the object is there.
        if refusals.code(answer) != "NoSuchUpload" or not self._is_there():
            raise refusals.error(answer, f"CompleteMultipartUpload of {self._key}")

    def _is_there(self) -> bool:
        answer = self._requester.ask(Request("HeadObject", "HEAD", self._key), self._stop)
        if answer.status not in (200, 404):
            raise Unavailable(
                f"whether {self._key} was written is not known: HeadObject was answered {answer.status}"
            )
        return answer.status == 200 and answer.header("content-length") == str(self._size)


def size_of_part(part_bytes: int, number: int) -> int:
    """Return the bytes of a part, of 1 to 10,000: it doubles with each thousand, so that all hold 5 TiB.

    >>> size_of_part(8 << 20, 1) >> 20, size_of_part(8 << 20, 10_000) >> 20
    (8, 4096)
    """
    return part_bytes << (number - 1) // _DOUBLES_AFTER


def abort(key: str, upload_id: str) -> Request:
    """Return the request that ends an upload without an object."""
    return Request("AbortMultipartUpload", "DELETE", key, (("uploadId", upload_id),))


def _document(answer: Answer) -> xml.Node | None:
    """Return the document of a success, whose root has several names in the field; None if it is no success."""
    try:
        return xml.parse(answer.body) if answer.status == 200 and not refusals.code(answer) else None
    except S3Error:
        return None
