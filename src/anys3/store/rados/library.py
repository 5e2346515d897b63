"""Ceph's C library, librados: its prototypes, and what its error numbers mean here."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint8, c_uint64, c_void_p

from anys3.store.errors import StoreError, StoreFull, Unavailable

NAME = "librados.so.2"
CREATE_EXCLUSIVE = 1
FULL_TRY = 64
"""A flag of operations: a full pool answers at once, where it would be waited for otherwise."""
COMPARE_EQUAL = 1

_PROTOTYPES: dict[str, tuple[tuple[object, ...], object]] = {
    "rados_create": ((POINTER(c_void_p), c_char_p), c_int),
    "rados_conf_read_file": ((c_void_p, c_char_p), c_int),
    "rados_conf_set": ((c_void_p, c_char_p, c_char_p), c_int),
    "rados_connect": ((c_void_p,), c_int),
    "rados_shutdown": ((c_void_p,), None),
    "rados_ioctx_create": ((c_void_p, c_char_p, POINTER(c_void_p)), c_int),
    "rados_ioctx_set_namespace": ((c_void_p, c_char_p), None),
    "rados_ioctx_destroy": ((c_void_p,), None),
    "rados_aio_create_completion2": ((c_void_p, c_void_p, POINTER(c_void_p)), c_int),
    "rados_aio_wait_for_complete": ((c_void_p,), c_int),
    "rados_aio_get_return_value": ((c_void_p,), c_int),
    "rados_aio_release": ((c_void_p,), None),
    "rados_aio_cancel": ((c_void_p, c_void_p), c_int),
    "rados_aio_read": ((c_void_p, c_char_p, c_void_p, c_void_p, c_size_t, c_uint64), c_int),
    "rados_aio_getxattr": ((c_void_p, c_char_p, c_void_p, c_char_p, c_void_p, c_size_t), c_int),
    "rados_create_write_op": ((), c_void_p),
    "rados_release_write_op": ((c_void_p,), None),
    "rados_write_op_create": ((c_void_p, c_int, c_char_p), None),
    "rados_write_op_assert_exists": ((c_void_p,), None),
    "rados_write_op_write_full": ((c_void_p, c_void_p, c_size_t), None),
    "rados_write_op_setxattr": ((c_void_p, c_char_p, c_char_p, c_size_t), None),
    "rados_write_op_cmpxattr": ((c_void_p, c_char_p, c_uint8, c_char_p, c_size_t), None),
    "rados_write_op_remove": ((c_void_p,), None),
    "rados_aio_write_op_operate": ((c_void_p, c_void_p, c_void_p, c_char_p, c_void_p, c_int), c_int),
    "rados_nobjects_list_open": ((c_void_p, POINTER(c_void_p)), c_int),
    "rados_nobjects_list_next": (
        (c_void_p, POINTER(c_char_p), POINTER(c_char_p), POINTER(c_char_p)),
        c_int,
    ),
    "rados_nobjects_list_close": ((c_void_p,), None),
}
_MEANINGS = {
    errno.ETIMEDOUT: "no answer in time: too few OSDs or monitors are up, or can't be reached",
    errno.EPERM: "the user's capabilities do not allow it",
    errno.EACCES: "the user or its keyring is not accepted",
    errno.ESHUTDOWN: "the cluster has blocked this client",
    errno.EOPNOTSUPP: "the pool does not support it",
}


@functools.cache
def load() -> ctypes.CDLL:
    """Return the library. Its calls let other threads run. Raises Unavailable if it is not installed."""
    try:
        library = ctypes.CDLL(NAME)
        for name, (arguments, result) in _PROTOTYPES.items():
            function = getattr(library, name)
            function.argtypes = arguments
            function.restype = result
    except OSError as error:
        raise Unavailable(f"rados:// needs {NAME}, of the package librados2: {error}") from error
    except AttributeError as error:
        raise Unavailable(f"rados:// needs a newer {NAME}, of the package librados2: {error}") from error
    return library


def explain(code: int, what: str) -> StoreError:
    """Return what the store raises for a negative error number."""
    if -code in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"{what}: no room left in the pool")
    return Unavailable(f"{what}: {_MEANINGS.get(-code) or os.strerror(-code)}")
