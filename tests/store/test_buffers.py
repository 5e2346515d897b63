"""Buffers are each for one user at a time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

IN_TWO_PROCESSES = """
import os
from anys3.store.buffers import BUFFERS

BUFFERS.give(BUFFERS.take())
its_turn, tell = os.pipe()
child = os.fork()
buffer = BUFFERS.take()
if not child:
    os.read(its_turn, 1)
    buffer[:6] = b"child "
    os._exit(0)
buffer[:6] = b"parent"
os.write(tell, b"!")
os.waitpid(child, 0)
print(bytes(buffer[:6]).decode())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked on Unix only")
def test_workers_that_fork_share_no_buffer() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_TWO_PROCESSES], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "parent\n"
