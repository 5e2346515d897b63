"""The figures of docs/performance.md: `python -m bench.figures [small|large|start ...]`.

Small operations: CPU µs of all server processes per request, at 4 KiB, signed, durable. Large ones: CPU
seconds per GB and wall throughput, beside floors measured in the same run. Every request is verified.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.rawclient import UNSIGNED, RawClient, crc32_b64, render

from bench.serving import ACCESS_KEY_ID, CLIENT_CORE, SECRET, Serving, pin

ROUNDS = 3
GB = 1e9
GIB = 1 << 30
BUDGET_US = {"get-4k": 35, "head-4k": 30, "put-4k": 70, "delete-4k": 55, "list-1000": 1100}


def client_of(server: Serving) -> RawClient:
    """Return a signing client."""
    return RawClient(server.endpoint, ACCESS_KEY_ID, SECRET, timeout_s=600)


def requests_of(name: str, client: RawClient, count: int, salt: str) -> list[bytes]:
    """Return signed requests of one workload: keys vary, PUT bodies vary."""
    if name == "list-1000":
        query = "list-type=2&max-keys=1000"
        lines = client.sign("GET", "/bench", query, {"host": client.host}, b"")
        return [render("GET", f"/bench?{query}", lines)] * count
    made = []
    for index in range(count):
        path = f"/bench/{'new' + salt if name in ('put-4k', 'delete-4k') else 'k'}{index % 10_000:06d}"
        body = b""
        headers = {"host": client.host}
        method = name.partition("-")[0].upper()
        if method == "PUT":
            body = (f"{salt}{index:08d}".encode() * 400)[:4096]
            headers["x-amz-checksum-crc32"] = crc32_b64(body)
        lines = client.sign(method, path, "", headers, body)
        if body:
            lines["content-length"] = str(len(body))
        made.append(render(method, path, lines) + body)
    return made


def run_load(server: Serving, name: str, requests: list[bytes], connections: int) -> dict[str, float]:
    """Run one load from its own process; return its figures and the server's CPU per request."""
    with tempfile.TemporaryDirectory() as directory:
        file, plan = Path(directory, "requests"), Path(directory, "plan")
        file.write_bytes(b"\0\0--next--\0\0".join(requests))
        expected = "204" if name.startswith("delete") else "200"
        plan.write_text(
            json.dumps(
                {
                    "requests": str(file),
                    "connections": connections,
                    "is_head": name.startswith("head"),
                    "expected": expected,
                    "host": "127.0.0.1",
                    "port": server.port,
                }
            )
        )
        begin = server.cpu_s()
        output = subprocess.run(
            [sys.executable, "-m", "bench.load", str(plan)],
            check=True,
            capture_output=True,
            preexec_fn=lambda: pin(CLIENT_CORE),
            timeout=120,
        ).stdout
        result: dict[str, float] = json.loads(output)
        result["cpu_us"] = (server.cpu_s() - begin) / result["answers"] * 1e6
    if result["unexpected"]:
        raise RuntimeError(f"{name}: {result['unexpected']} unexpected answers")
    return result


def small(directory: Path) -> None:
    """GET, HEAD, PUT, DELETE at 4 KiB and LIST of 1,000 keys, one worker, 64 connections."""
    floor = Serving(directory, command=[sys.executable, "-m", "bench.floor"])
    try:
        requests = requests_of("get-4k", client_of(floor), 10_000, "f")
        rows = [run_load(floor, "get-4k", requests, 64) for _ in range(ROUNDS)]
        print(
            f"floor: {statistics.median(row['cpu_us'] for row in rows):.1f} µs, parser and event loop alone"
        )
    finally:
        floor.stop()
    server = Serving(directory / "small")
    try:
        client = client_of(server)
        client.request("PUT", "/bench")
        run_load(server, "put-4k", _seed(client), 64)
        print(f"{'operation':<12}{'CPU µs':>8}{'budget':>8}{'req/s':>9}{'p50 ms':>8}{'p99 ms':>8}")
        for name in ("get-4k", "head-4k", "put-4k", "delete-4k", "list-1000"):
            count = 1_000 if name == "list-1000" else 10_000
            rows = []
            for round_number in range(ROUNDS):
                if name == "delete-4k":
                    run_load(server, "put-4k", requests_of("put-4k", client, count, f"d{round_number}"), 64)
                    requests = requests_of(name, client, count, f"d{round_number}")
                else:
                    requests = requests_of(name, client, count, f"p{round_number}")
                rows.append(run_load(server, name, requests, 64))
            cpu = statistics.median(row["cpu_us"] for row in rows)
            rate = statistics.median(row["answers"] / row["seconds"] for row in rows)
            p50 = statistics.median(row["p50_ms"] for row in rows)
            p99 = statistics.median(row["p99_ms"] for row in rows)
            print(f"{name:<12}{cpu:>8.1f}{BUDGET_US[name]:>8}{rate:>9.0f}{p50:>8.2f}{p99:>8.2f}")
    finally:
        server.stop()


def _seed(client: RawClient) -> list[bytes]:
    """Return PUTs of the 10,000 keys that GET and HEAD read."""
    made = []
    for index in range(10_000):
        body = (f"seed{index:08d}".encode() * 400)[:4096]
        path = f"/bench/k{index:06d}"
        lines = client.sign("PUT", path, "", {"host": client.host}, body)
        lines["content-length"] = str(len(body))
        made.append(render("PUT", path, lines) + body)
    return made


# --- large objects --------------------------------------------------------------------------------------


def upload(client: RawClient, path: str, size: int) -> float:
    """PUT `size` bytes, UNSIGNED-PAYLOAD, from one buffer; return seconds."""
    block = os.urandom(1 << 20)
    lines = client.sign("PUT", path, "", {"host": client.host}, b"", UNSIGNED)
    lines["content-length"] = str(size)
    with client.connect() as connection:
        begin = time.perf_counter()
        connection.sendall(render("PUT", path, lines))
        for _ in range(size // len(block)):
            connection.sendall(block)
        answer = connection.recv(4096)
        seconds = time.perf_counter() - begin
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer.decode("latin-1"))
    return seconds


def download(client: RawClient, path: str, size: int) -> float:
    """GET `size` bytes into one buffer; return seconds."""
    lines = client.sign("GET", path, "", {"host": client.host}, b"")
    buffer = bytearray(1 << 20)
    with client.connect() as connection:
        begin = time.perf_counter()
        connection.sendall(render("GET", path, lines))
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head[:200].decode("latin-1"))
        left = size - len(head.partition(b"\r\n\r\n")[2])
        while left:
            received = connection.recv_into(buffer)
            if not received:
                raise RuntimeError("the answer ended early")
            left -= received
        return time.perf_counter() - begin


def loopback_floor(size: int) -> float:
    """Return seconds to copy `size` bytes of memory over a loopback socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    block = memoryview(bytes(1 << 20))

    def send() -> None:
        connection, _ = listener.accept()
        with connection:
            for _ in range(size // len(block)):
                connection.sendall(block)

    thread = threading.Thread(target=send)
    thread.start()
    buffer = bytearray(1 << 20)
    left = size
    with socket.create_connection(listener.getsockname()) as connection:
        begin = time.perf_counter()
        while left:
            left -= connection.recv_into(buffer)
        seconds = time.perf_counter() - begin
    thread.join()
    listener.close()
    return seconds


def md5_floor(size: int) -> float:
    """Return seconds to hash `size` bytes with MD5."""
    block = os.urandom(1 << 20)
    digest = hashlib.md5(usedforsecurity=False)
    begin = time.perf_counter()
    for _ in range(size // len(block)):
        digest.update(block)
    return time.perf_counter() - begin


def measured(server: Serving, work: Callable[[], float], size: int) -> tuple[float, float]:
    """Return (seconds, CPU seconds per GB of the server) of a transfer."""
    begin = server.cpu_s()
    seconds = work()
    return seconds, (server.cpu_s() - begin) / (size / GB)


def large(directory: Path) -> None:
    """1 GiB GET and PUT, beside the loopback and MD5 floors, in turn.

    A PUT by-passes the page cache, so the first GET after it reads the disk, and the second one memory.
    """
    server = Serving(directory / "large")
    try:
        pin(CLIENT_CORE)
        client = client_of(server)
        client.request("PUT", "/bench")
        puts, colds, gets, loops, hashes = [], [], [], [], []
        for _ in range(ROUNDS):
            puts.append(measured(server, lambda: upload(client, "/bench/large", GIB), GIB))
            hashes.append(md5_floor(GIB))
            colds.append(measured(server, lambda: download(client, "/bench/large", GIB), GIB))
            gets.append(measured(server, lambda: download(client, "/bench/large", GIB), GIB))
            loops.append(loopback_floor(GIB))
        _report("PUT 1 GiB", puts, hashes, "MD5 of the same bytes", 2.0)
        _report("GET 1 GiB, from the disk", colds, loops, "loopback copy", 0.3)
        _report("GET 1 GiB, from the page cache", gets, loops, "loopback copy", 0.3)
    finally:
        server.stop()


def _report(
    name: str, rows: list[tuple[float, float]], floors: list[float], floor: str, budget: float
) -> None:
    seconds = statistics.median(row[0] for row in rows)
    cpu = statistics.median(row[1] for row in rows)
    base = statistics.median(floors)
    print(
        f"{name}: {GIB / GB / seconds:.2f} GB/s, {cpu:.2f} CPU s/GB (budget {budget}); "
        f"{floor}: {GIB / GB / base:.2f} GB/s; share of the floor {base / seconds:.0%}"
    )


def memory(directory: Path) -> None:
    """Resident memory during a 5 GiB upload and download."""
    server = Serving(directory / "memory")
    try:
        client = client_of(server)
        client.request("PUT", "/bench")
        idle = server.memory_mib()
        upload(client, "/bench/5g", 5 * GIB)
        after_put = server.memory_mib(is_peak=True)
        download(client, "/bench/5g", 5 * GIB)
        peak = server.memory_mib(is_peak=True)
        print(
            f"memory: idle {idle:.0f} MiB, peak of a 5 GiB PUT {after_put:.0f}, and of a GET {peak:.0f} MiB"
        )
    finally:
        server.stop()


def start(directory: Path) -> None:
    """Seconds from starting the command to the first answered request, on a store with 10,000 keys."""
    server = Serving(directory / "small")
    seconds = [server.start_s]
    server.stop()
    for _ in range(4):
        server = Serving(directory / "small")
        seconds.append(server.start_s)
        server.stop()
    print(f"start to first answer: {statistics.median(seconds):.3f} s (budget 0.4 s)")


PARTS = {"small": small, "large": large, "memory": memory, "start": start}


def main(names: list[str]) -> None:
    """Measure the parts named, or all."""
    directory = Path(tempfile.mkdtemp(prefix="anys3-bench-", dir=os.environ.get("BENCH_DIR")))
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    try:
        for name in names or list(PARTS):
            PARTS[name](directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
