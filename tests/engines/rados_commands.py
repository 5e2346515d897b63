"""Commands to a Ceph cluster through librados: what the `ceph` program does, in milliseconds instead of half a second."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.engines.daemon import EngineFailed

LIBRARY = "librados.so.2"
TIMEOUT_S = 5


class Commands:
    """A connection for commands; close it before its cluster ends."""

    def __init__(self, conf: Path) -> None:
        self._rados = ctypes.CDLL(LIBRARY)
        self._cluster = ctypes.c_void_p()
        self._check(self._rados.rados_create(ctypes.byref(self._cluster), b"admin"), "rados_create")
        self._check(self._rados.rados_conf_read_file(self._cluster, bytes(conf)), "rados_conf_read_file")
        for option in (b"client_mount_timeout", b"rados_mon_op_timeout", b"rados_osd_op_timeout"):
            self._rados.rados_conf_set(self._cluster, option, b"%d" % TIMEOUT_S)
        code = self._rados.rados_connect(self._cluster)
        if code != 0:
            self.close()
        self._check(code, "rados_connect")

    def __enter__(self) -> Commands:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._cluster:
            self._rados.rados_shutdown(self._cluster)
            self._cluster = ctypes.c_void_p()

    def mon(self, prefix: str, **arguments: Any) -> Any:
        """Run a command on the monitors, such as `mon("osd pool create", pool="a", pg_num=8)`, and return its JSON."""
        return self._run(self._rados.rados_mon_command, (), prefix, arguments)

    def osd(self, number: int, prefix: str, **arguments: Any) -> Any:
        """Run a command on one OSD."""
        return self._run(self._rados.rados_osd_command, (ctypes.c_int(number),), prefix, arguments)

    def pg(self, pgid: str, prefix: str, **arguments: Any) -> Any:
        """Run a command on the primary OSD of a placement group."""
        return self._run(self._rados.rados_pg_command, (pgid.encode(),), prefix, {"pgid": pgid, **arguments})

    def _run(
        self, function: Callable[..., int], target: tuple[Any, ...], prefix: str, arguments: dict[str, Any]
    ) -> Any:
        text = json.dumps({"prefix": prefix, "format": "json", **arguments}).encode()
        command = (ctypes.c_char_p * 1)(text)
        output, status = ctypes.c_void_p(), ctypes.c_void_p()
        output_length, status_length = ctypes.c_size_t(), ctypes.c_size_t()
        code = function(
            self._cluster,
            *target,
            command,
            ctypes.c_size_t(1),
            None,
            ctypes.c_size_t(0),
            *(ctypes.byref(output), ctypes.byref(output_length)),
            *(ctypes.byref(status), ctypes.byref(status_length)),
        )
        answer = self._taken(output, output_length)
        said = self._taken(status, status_length)
        self._check(code, f"{text.decode()}: {said.decode('utf-8', 'replace')}")
        return json.loads(answer) if answer.strip() else None

    def _taken(self, buffer: ctypes.c_void_p, length: ctypes.c_size_t) -> bytes:
        if not buffer:
            return b""
        data = ctypes.string_at(buffer, length.value)
        self._rados.rados_buffer_free(buffer)
        return data

    def _check(self, code: int, what: str) -> None:
        if code < 0:
            raise EngineFailed(f"{what} (error {-code})")
