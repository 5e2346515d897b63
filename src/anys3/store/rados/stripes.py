"""How a blob lies in a pool: as objects of 4 MiB, `NAME.00000000`, `NAME.00000001`, ...

The first one is written before any other, carries the number that there are at most in its attribute `stripes`, and is
removed last. So a blob of which there is anything has a first stripe, and that says what else to remove: nobody needs to
list a pool for it, nor to know whether the blob was finished. Each stripe is written whole, and only where there is none.
"""

from __future__ import annotations

import errno

from anys3.store.errors import Unavailable
from anys3.store.rados.connection import Connection, Operation, WriteOperation
from anys3.store.rados.library import COMPARE_EQUAL, CREATE_EXCLUSIVE

STRIPE = 4 << 20
FIRST = ".00000000"
_COUNT = b"stripes"
_COUNT_MAX_BYTES = 16
REMOVALS = 32
"""Removals that one thread has under way."""


def object_name(name: str, number: int) -> str:
    """Return the name of a stripe.

    >>> object_name("a-1", 10)
    'a-1.0000000a'
    """
    return f"{name}.{number:08x}"


def write(connection: Connection, name: str, number: int, memory: tuple[int, int], count: int) -> Operation:
    """Begin to write a stripe from (address, length); the first one says that there are `count` at most.

    The memory may be used again at once. Ends with EEXIST if there is such a stripe.
    """
    with WriteOperation(connection) as steps:
        library, handle = steps.library, steps.handle
        library.rados_write_op_create(handle, CREATE_EXCLUSIVE, None)
        library.rados_write_op_write_full(handle, *memory)
        if number == 0:
            text = b"%d" % count
            library.rados_write_op_setxattr(handle, _COUNT, text, len(text))
        return steps.submit(object_name(name, number))


def set_count(connection: Connection, name: str, count: int) -> None:
    """Let the first stripe say how many there are at most. Raises StoreFull, Unavailable."""
    with WriteOperation(connection) as steps:
        text = b"%d" % count
        # Removed by somebody else, it must not come back.
        steps.library.rados_write_op_assert_exists(steps.handle)
        steps.library.rados_write_op_setxattr(steps.handle, _COUNT, text, len(text))
        operation = steps.submit(object_name(name, 0))
    operation.wait()


def remove_single(connection: Connection, name: str) -> Operation:
    """Begin to remove a blob of one stripe.

    Ends with ENOENT if there is none, and with ECANCELED if there may be more stripes; nothing was removed then.
    """
    with WriteOperation(connection) as steps:
        steps.library.rados_write_op_cmpxattr(steps.handle, _COUNT, COMPARE_EQUAL, b"1", 1)
        steps.library.rados_write_op_remove(steps.handle)
        return steps.submit(object_name(name, 0))


def remove_all(connection: Connection, name: str, count: int) -> None:
    """Remove the stripes of a blob, `count` at most, the first one last. Raises Unavailable."""
    numbers = range(1, count)
    for at in range(0, len(numbers), REMOVALS):
        under_way = [_remove(connection, name, number) for number in numbers[at : at + REMOVALS]]
        for operation in under_way:
            operation.wait(errno.ENOENT)
    _remove(connection, name, 0).wait(errno.ENOENT)


def _remove(connection: Connection, name: str, number: int) -> Operation:
    with WriteOperation(connection) as steps:
        steps.library.rados_write_op_remove(steps.handle)
        return steps.submit(object_name(name, number))


def count(connection: Connection, name: str) -> int:
    """Return how many stripes there are at most, 0 if there is none."""
    text, operation = connection.attribute(object_name(name, 0), _COUNT, _COUNT_MAX_BYTES)
    length = operation.wait(errno.ENOENT, errno.ENODATA)
    if length == -errno.ENOENT:
        return 0
    try:
        return int(text.raw[: max(length, 0)])
    except ValueError:
        raise Unavailable(f"{operation.what} does not say how many stripes there are") from None
