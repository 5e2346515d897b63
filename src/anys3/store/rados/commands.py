"""Commands to a cluster's monitors, as its `ceph` program sends them: JSON there and back."""

from __future__ import annotations

import ctypes
import errno
import json
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_void_p
from types import TracebackType
from typing import Any, Self

from anys3.store.errors import Unavailable
from anys3.store.rados.connection import Address
from anys3.store.rados.library import explain, load

_TIMEOUTS = (b"rados_mon_op_timeout", b"client_mount_timeout")


class Commands:
    """A connection for commands, which needs no pool, as a context manager."""

    def __init__(self, address: Address) -> None:
        """Connect, within the timeout. Raises Unavailable."""
        self._library = library = load()
        library.rados_mon_command.argtypes = (
            c_void_p, POINTER(c_char_p), c_size_t, c_char_p, c_size_t,
            POINTER(c_void_p), POINTER(c_size_t), POINTER(c_void_p), POINTER(c_size_t),
        )  # fmt: skip
        library.rados_mon_command.restype = c_int
        library.rados_buffer_free.argtypes = (c_void_p,)
        self._cluster = c_void_p()
        what = f"{address.conf}, as client.{address.id}"
        self._check(library.rados_create(ctypes.byref(self._cluster), address.id.encode()), what)
        try:
            self._check(library.rados_conf_read_file(self._cluster, address.conf.encode()), address.conf)
            for option in _TIMEOUTS:
                self._check(library.rados_conf_set(self._cluster, option, b"%d" % address.timeout_s), what)
            code: int = library.rados_connect(self._cluster)
            if code == -errno.EOPNOTSUPP:  # said of cephx without a key
                raise Unavailable(f"{what}: no key of this user is found in its keyring")
            self._check(code, what)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go. Idempotent."""
        if self._cluster:
            self._library.rados_shutdown(self._cluster)
            self._cluster = c_void_p()

    def ask(self, prefix: str, **arguments: Any) -> Any:
        """Run a command, and return its JSON. Raises Unavailable."""
        text = json.dumps({"prefix": prefix, "format": "json", **arguments}).encode()
        output, status = c_void_p(), c_void_p()
        length, status_length = c_size_t(), c_size_t()
        code: int = self._library.rados_mon_command(
            self._cluster, (c_char_p * 1)(text), 1, None, 0,
            *(ctypes.byref(output), ctypes.byref(length), ctypes.byref(status), ctypes.byref(status_length)),
        )  # fmt: skip
        answer = self._taken(output, length)
        said = self._taken(status, status_length).decode("utf-8", "replace")
        self._check(code, f"ceph {prefix}: {said}" if said else f"ceph {prefix}")
        try:
            return json.loads(answer)
        except ValueError:
            raise Unavailable(f"ceph {prefix}: what was answered is no JSON") from None

    def _taken(self, buffer: c_void_p, length: c_size_t) -> bytes:
        if not buffer:
            return b""
        data = ctypes.string_at(buffer, length.value)
        self._library.rados_buffer_free(buffer)
        return data

    def _check(self, code: int, what: str) -> None:
        if code < 0:
            raise explain(code, what)
