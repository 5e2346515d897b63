"""The kernel's part of the recorder: a seccomp filter that stops a process only where files are changed.

Without it a tracer would stop a Python process ten thousand times before it serves its first request.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

# fmt: off
_X86_64 = {
    "write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "pwritev2": 328, "sendto": 44, "sendmsg": 46,
    "sendfile": 40, "copy_file_range": 326, "splice": 275, "open": 2, "creat": 85, "openat": 257, "openat2": 437,
    "truncate": 76, "ftruncate": 77, "fallocate": 285, "fsync": 74, "fdatasync": 75, "sync_file_range": 277,
    "sync": 162, "syncfs": 306, "msync": 26, "mmap": 9, "rename": 82, "renameat": 264, "renameat2": 316,
    "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266, "unlink": 87, "unlinkat": 263, "rmdir": 84,
    "mkdir": 83, "mkdirat": 258,
}
_AARCH64 = {
    "write": 64, "pwrite64": 68, "writev": 66, "pwritev": 70, "pwritev2": 287, "sendto": 206, "sendmsg": 211,
    "sendfile": 71, "copy_file_range": 285, "splice": 76, "openat": 56, "openat2": 437, "truncate": 45,
    "ftruncate": 46, "fallocate": 47, "fsync": 82, "fdatasync": 83, "sync_file_range": 84, "sync": 81,
    "syncfs": 267, "msync": 227, "mmap": 222, "renameat": 38, "renameat2": 276, "linkat": 37, "symlinkat": 36,
    "unlinkat": 35, "mkdirat": 34,
}
# fmt: on
NUMBERS = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(platform.machine(), {})
NAMES = {number: name for name, number in NUMBERS.items()}
FLAGS_AT = {"open": 1, "openat": 2}
"""Which argument holds the flags of an open: those that neither create nor cut are not of interest."""
CHANGING = os.O_CREAT | os.O_TRUNC
PROT_WRITE, MAP_SHARED = 2, 1

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _TRACE = 0x7FFF0000, 0x7FF00000
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


def _argument(number: int) -> int:
    """Return where `struct seccomp_data` has the low half of an argument."""
    return 16 + 8 * number


def program() -> list[tuple[int, int, int, int]]:
    """Return the filter: (code, steps if true, steps if false, value) each."""
    made: list[tuple[int, int, int, int]] = [(_LOAD, 0, 0, 0)]
    for name, number in NUMBERS.items():
        if name in FLAGS_AT:
            body = [
                (_LOAD, 0, 0, _argument(FLAGS_AT[name])),
                (_ANY_BIT, 0, 1, CHANGING),
                (_RETURN, 0, 0, _TRACE),
                (_RETURN, 0, 0, _ALLOW),
            ]
        elif name == "mmap":
            body = [
                (_LOAD, 0, 0, _argument(2)),
                (_ANY_BIT, 0, 3, PROT_WRITE),
                (_LOAD, 0, 0, _argument(3)),
                (_ANY_BIT, 0, 1, MAP_SHARED),
                (_RETURN, 0, 0, _TRACE),
                (_RETURN, 0, 0, _ALLOW),
            ]
        else:
            body = [(_RETURN, 0, 0, _TRACE)]
        made += [(_EQUAL, 0, len(body), number), *body]
    return [*made, (_RETURN, 0, 0, _ALLOW)]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install() -> None:
    """Put the filter on this process and all that it will start. Raises OSError."""
    steps = program()
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    filled = _Program(len(steps), ctypes.cast(code, ctypes.c_void_p))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)
    for option, one, two in (
        (_SET_NO_NEW_PRIVILEGES, 1, None),
        (_SET_SECCOMP, _FILTER, ctypes.addressof(filled)),
    ):
        if prctl(option, one, two, 0, 0) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
