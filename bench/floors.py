"""What this machine can do at best, measured beside the servers: loopback, MD5, and the disk's answer."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time

from bench.targets import pinned

CHUNK = 1 << 20


def loopback(size: int, server_cores: frozenset[int] | None, client_cores: frozenset[int] | None) -> float:
    """Return bytes a second that one process sends to another from memory: the floor of every large GET."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pinned(server_cores):
            sender = subprocess.Popen([sys.executable, "-m", "bench.floors", str(port), str(size)])
        with pinned(client_cores):
            listener.settimeout(30)
            connection, _ = listener.accept()
            buffer = bytearray(CHUNK)
            left = size
            with connection:
                begin = time.perf_counter()
                while left and (received := connection.recv_into(buffer)):
                    left -= received
                seconds = time.perf_counter() - begin
    if sender.wait(30) or left:
        raise RuntimeError("the loopback floor could not be measured")
    return size / seconds


def send(port: int, size: int) -> None:
    """Send `size` bytes of memory to a port: the other end of `loopback`."""
    block = bytes(CHUNK)
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        left = size
        while left:
            part = min(left, CHUNK)
            connection.sendall(memoryview(block)[:part])
            left -= part


def md5(size: int, cores: frozenset[int] | None) -> float:
    """Return bytes a second that one core hashes with MD5: the floor of every large PUT with an ETag of MD5."""
    block = os.urandom(CHUNK)
    digest = hashlib.md5(usedforsecurity=False)
    with pinned(cores):
        begin = time.perf_counter()
        for _ in range(max(1, size // CHUNK)):
            digest.update(block)
        return max(1, size // CHUNK) * CHUNK / (time.perf_counter() - begin)


def disk(times: int = 200) -> list[float]:
    """Return the milliseconds of appends of 4 KiB with fdatasync, sorted: the floor of one durable write alone."""
    block = os.urandom(4096)
    found = []
    with tempfile.NamedTemporaryFile(prefix="anys3-bench-disk-", buffering=0) as file:
        for _ in range(times):
            begin = time.perf_counter()
            file.write(block)
            os.fdatasync(file.fileno())
            found.append((time.perf_counter() - begin) * 1e3)
    return sorted(found)


if __name__ == "__main__":
    send(int(sys.argv[1]), int(sys.argv[2]))
