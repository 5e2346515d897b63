"""A connection to a pool, and the operations that are under way on it.

librados connects again by itself whatever fails, and ends every operation after `timeout_s` (`rados_osd_op_timeout`),
so that waiting for one always ends.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from anys3.store.errors import Unavailable
from anys3.store.figures import Figure
from anys3.store.rados.library import FULL_TRY, explain, load

Handle = ctypes.c_void_p


@dataclass(frozen=True, slots=True)
class Address:
    """What `rados://POOL?conf=...&id=...&namespace=...&timeout=...` says."""

    pool: str
    conf: str = "/etc/ceph/ceph.conf"
    id: str = "admin"
    namespace: str = "anys3"
    timeout_s: float = 10.0


def parse(url: str) -> Address:
    """Return what a URL says. Raises ValueError.

    >>> parse("rados://data?id=anys3&timeout=5")
    Address(pool='data', conf='/etc/ceph/ceph.conf', id='anys3', namespace='anys3', timeout_s=5.0)
    """
    parts = urlsplit(url)
    pool = unquote(parts.netloc)
    if parts.scheme != "rados" or not pool or parts.path.strip("/") or parts.fragment:
        raise ValueError(
            f"expected rados://POOL?conf=FILE&id=USER&namespace=NAME&timeout=SECONDS, not {url!r}"
        )
    given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    unknown = sorted(given.keys() - {"conf", "id", "namespace", "timeout"})
    if unknown:
        raise ValueError(f"{url!r}: expected conf, id, namespace or timeout, not {unknown[0]!r}")
    timeout = given.pop("timeout", "10")
    if not timeout.isdecimal() or not 1 <= int(timeout) <= 3600:
        raise ValueError(f"{url!r}: expected a timeout of 1 to 3600 seconds, not {timeout!r}")
    return Address(pool, timeout_s=float(timeout), **given)


class Operation:
    """One that is under way. The memory that it reads into must stay until it has ended."""

    __slots__ = ("_completion", "_connection", "what")

    def __init__(self, connection: Connection, what: str) -> None:
        self.what = what
        self._connection = connection
        self._completion: Handle | None = None
        completion = Handle()
        connection.begin()
        code: int = connection.library.rados_aio_create_completion2(None, None, ctypes.byref(completion))
        if code < 0:
            connection.end()
            raise explain(code, what)
        self._completion = completion

    @property
    def completion(self) -> Handle:
        """What librados knows it by."""
        assert self._completion is not None
        return self._completion

    def submitted(self, code: int) -> Operation:
        """Return this operation, once librados has taken it. Raises StoreError."""
        if code < 0:
            self._release()
            raise explain(code, self.what)
        return self

    def wait(self, *expected: int) -> int:
        """Wait for the end; return what came of it, an error number as a negative number if it is `expected`.

        Raises StoreFull, Unavailable.
        """
        library = self._connection.library
        library.rados_aio_wait_for_complete(self.completion)
        code: int = library.rados_aio_get_return_value(self.completion)
        self._release()
        if code < 0 and -code not in expected:
            self._connection.notice(code)
            raise explain(code, self.what)
        return code

    def cancel(self) -> None:
        """End it now; what was to be read is not written to memory any more. Idempotent."""
        if self._completion is not None:
            library = self._connection.library
            library.rados_aio_cancel(self._connection.ioctx, self._completion)
            library.rados_aio_wait_for_complete(self._completion)
            self._release()

    def _release(self) -> None:
        completion, self._completion = self._completion, None
        if completion is not None:
            self._connection.library.rados_aio_release(completion)
            self._connection.end()

    def __del__(self) -> None:
        self._release()


class WriteOperation:
    """Steps on one object that happen together or not at all, as a context manager."""

    def __init__(self, connection: Connection) -> None:
        self.library = connection.library
        self._connection = connection
        self.handle = Handle(connection.library.rados_create_write_op())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.library.rados_release_write_op(self.handle)

    def submit(self, object_name: str) -> Operation:
        """Begin. The bytes to be written were copied."""
        operation = Operation(self._connection, f"RADOS object {object_name}")
        code: int = self.library.rados_aio_write_op_operate(
            self.handle, self._connection.ioctx, operation.completion, object_name.encode(), None, FULL_TRY
        )
        return operation.submitted(code)


class Counts:
    """What came of the operations of a client. Under the connection's lock."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.timed_out = 0
        self.failed = 0

    def figures(self) -> list[Figure]:
        """Return them as figures."""
        return [
            Figure("anys3_rados_operations_total", "Operations of RADOS that have ended.", self.ended),
            Figure("anys3_rados_operations", "Operations that are under way.", self.begun - self.ended),
            Figure(
                "anys3_rados_timeouts_total",
                "Operations and connects without an answer in time (timeout=).",
                self.timed_out,
            ),
            Figure(
                "anys3_rados_failures_total", "Operations and connects that failed otherwise.", self.failed
            ),
        ]


class Connection:
    """A connected client and its pool. Of the process that made it alone."""

    def __init__(self, address: Address, counts: Counts) -> None:
        """Connect, within the timeout. Raises Unavailable."""
        self.library = load()
        self.pid = os.getpid()
        self.is_blocked = False
        self._patience_s = 2 * address.timeout_s + 5
        self._idle = threading.Condition()
        self._count = 0  # operations under way
        self._counts = counts
        self._cluster = Handle()
        self.ioctx = Handle()
        what = f"pool {address.pool!r} of {address.conf}, as client.{address.id}"
        self._check(self.library.rados_create(ctypes.byref(self._cluster), address.id.encode()), what)
        try:
            self._connect(address, what)
        except BaseException:
            self.library.rados_shutdown(self._cluster)
            raise

    def _connect(self, address: Address, what: str) -> None:
        library, cluster = self.library, self._cluster
        self._check(library.rados_conf_read_file(cluster, address.conf.encode()), address.conf)
        for option in (b"rados_osd_op_timeout", b"rados_mon_op_timeout", b"client_mount_timeout"):
            self._check(library.rados_conf_set(cluster, option, b"%d" % address.timeout_s), option.decode())
        code: int = library.rados_connect(cluster)
        if -code in (errno.ENOENT, errno.EOPNOTSUPP):  # said of cephx without a key
            raise Unavailable(f"{what}: no key of this user is found in its keyring")
        self._check(code, what)
        code = library.rados_ioctx_create(cluster, address.pool.encode(), ctypes.byref(self.ioctx))
        if code == -errno.ENOENT:
            raise Unavailable(f"{what}: there is no such pool")
        self._check(code, what)
        library.rados_ioctx_set_namespace(self.ioctx, address.namespace.encode())

    def _check(self, code: int, what: str) -> None:
        if code < 0:
            self.notice(code)
            raise explain(code, what)

    def begin(self) -> None:
        """Count an operation."""
        with self._idle:
            self._count += 1
            self._counts.begun += 1

    def end(self) -> None:
        """Count an operation that has ended."""
        with self._idle:
            self._count -= 1
            self._counts.ended += 1
            if self._count == 0:
                self._idle.notify_all()

    def notice(self, code: int) -> None:
        """Count an error, and learn from it that a new connection is needed."""
        with self._idle:
            if -code == errno.ETIMEDOUT:
                self._counts.timed_out += 1
            else:
                self._counts.failed += 1
        if -code == errno.ESHUTDOWN:
            self.is_blocked = True

    def read(self, object_name: str, address: int, count: int, offset: int) -> Operation:
        """Begin to read bytes into memory."""
        operation = Operation(self, f"RADOS object {object_name}")
        code: int = self.library.rados_aio_read(
            self.ioctx, object_name.encode(), operation.completion, address, count, offset
        )
        return operation.submitted(code)

    def attribute(
        self, object_name: str, name: bytes, most: int
    ) -> tuple[ctypes.Array[ctypes.c_char], Operation]:
        """Begin to read an attribute of at most that many bytes into the memory that is returned."""
        memory = ctypes.create_string_buffer(most)
        operation = Operation(self, f"RADOS object {object_name}")
        code: int = self.library.rados_aio_getxattr(
            self.ioctx, object_name.encode(), operation.completion, name, memory, most
        )
        return memory, operation.submitted(code)

    def objects(self) -> Iterator[str]:
        """Yield the names of all objects of the namespace. Raises Unavailable."""
        listing, name = Handle(), ctypes.c_char_p()
        self.begin()
        try:
            self._check(
                self.library.rados_nobjects_list_open(self.ioctx, ctypes.byref(listing)), "the pool's list"
            )
            try:
                while self._has_next(listing, name):
                    yield (name.value or b"").decode("utf-8", "backslashreplace")
            finally:
                self.library.rados_nobjects_list_close(listing)
        finally:
            self.end()

    def _has_next(self, listing: Handle, name: ctypes.c_char_p) -> bool:
        code: int = self.library.rados_nobjects_list_next(listing, ctypes.byref(name), None, None)
        if code == -errno.ENOENT:
            return False
        self._check(code, "the pool's list")
        return True

    def close(self) -> None:
        """Wait for what is under way, which ends in time, and let go."""
        with self._idle:
            is_idle = self._idle.wait_for(lambda: self._count == 0, self._patience_s)
        if is_idle:  # else somebody holds an operation; librados would never tell him its end
            self.library.rados_ioctx_destroy(self.ioctx)
            self.library.rados_shutdown(self._cluster)


class Client:
    """Connects when it is asked for a connection first, in the process that asks."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.counts = Counts()
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._failure: Unavailable | None = None
        self._failures = 0
        self._is_closed = False

    def connection(self) -> Connection:
        """Return the connection. Raises Unavailable; may be tried again."""
        found = self._usable()
        if found is not None:
            return found
        seen = self._failures
        with self._lock:
            found = self._usable()
            if found is not None:
                return found
            if self._is_closed:
                raise Unavailable("closed")
            if self._failures != seen:  # somebody has tried while this one waited
                raise Unavailable(str(self._failure))
            try:
                self._connection = Connection(self.address, self.counts)
            except Unavailable as error:
                self._failure = error
                self._failures += 1
                raise
            return self._connection

    def _usable(self) -> Connection | None:
        """Return the connection, unless it is another process's, or the cluster has shut it out for ever."""
        found = self._connection
        if found is None or found.is_blocked or found.pid != os.getpid():
            return None
        return found

    def close(self) -> None:
        """Let go of the connection. Idempotent."""
        with self._lock:
            self._is_closed = True
            found, self._connection = self._usable(), None
        if found is not None:
            found.close()
