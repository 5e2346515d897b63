"""`anys3 serve --metrics`: the listener over real sockets, and what several workers tell as one."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from anys3.server import monitoring
from tests.metrics import Metrics, metrics_of
from tests.processes import Connections, ServerProcess, serving, signed

REQUEST = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


def listener(process: ServerProcess) -> Metrics:
    return metrics_of(process.directory.with_suffix(".log").read_text())


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of two workers."""
    directory = tmp_path_factory.mktemp("metrics") / "data"
    with serving(directory, "--workers", "2", "--metrics", "127.0.0.1:0", "--buckets", "photos") as process:
        yield process


@pytest.fixture
def metrics(process: ServerProcess) -> Metrics:
    return listener(process)


def test_requests_are_counted_by_operation_and_status_over_all_workers(
    process: ServerProcess, metrics: Metrics
) -> None:
    def counts() -> list[float]:
        samples = metrics.samples()
        asked = [("PutObject", "200"), ("GetObject", "404"), ("unknown", "400"), ("CorsPreflight", "403")]
        return [
            samples.get(("anys3_requests_total", (("operation", name), ("status", status))), 0)
            for name, status in asked
        ]

    before = counts()
    with Connections(process.s3, 16) as connections:  # over both workers, all but surely
        connections.burst([signed(process.s3, "PUT", f"/photos/{each}", body=b"123") for each in range(16)])
        connections.burst([signed(process.s3, "GET", "/photos/none")] * 16, "GET")
    process.s3.send(b"BAD\r\n\r\n")
    process.s3.send(
        b"OPTIONS /photos/1 HTTP/1.1\r\nHost: x\r\nOrigin: a\r\nAccess-Control-Request-Method: GET\r\n\r\n"
    )
    assert [after - was for after, was in zip(counts(), before, strict=True)] == [16, 16, 1, 1]


def test_bytes_and_connections_are_those_of_all_workers(process: ServerProcess, metrics: Metrics) -> None:
    received = metrics.value("anys3_request_bytes_total")
    sent = metrics.value("anys3_response_bytes_total")
    with Connections(process.s3, 12) as connections:
        bodies = [os.urandom(1_500_000 + each) for each in range(12)]
        connections.burst(
            [signed(process.s3, "PUT", f"/photos/b{at}", body=body) for at, body in enumerate(bodies)]
        )
        connections.burst([signed(process.s3, "GET", f"/photos/b{at}") for at in range(12)], "GET")
        connections.burst([signed(process.s3, "HEAD", f"/photos/b{at}") for at in range(12)], "HEAD")
        total = sum(map(len, bodies))
        metrics.until(lambda: metrics.value("anys3_connections") == 12)
        metrics.until(lambda: metrics.value("anys3_request_bytes_total") - received == total)
        metrics.until(lambda: metrics.value("anys3_response_bytes_total") - sent == total)
    metrics.until(lambda: metrics.value("anys3_connections") == 0)


def test_what_a_killed_worker_has_counted_stays(tmp_path: Path) -> None:
    options = ("--workers", "2", "--metrics", "127.0.0.1:0", "--buckets", "photos")
    with serving(tmp_path / "data", *options) as process:
        metrics = listener(process)

        def puts() -> float:
            return metrics.value("anys3_requests_total", operation="PutObject", status="200")

        with Connections(process.s3, 16) as connections:
            connections.burst([signed(process.s3, "PUT", f"/photos/{each}") for each in range(16)])
        before = process.workers()
        for each in before:
            os.kill(each, signal.SIGKILL)
        metrics.until(lambda: len(process.workers()) == 2 and not set(process.workers()) & set(before))
        assert puts() == 16
        assert process.s3.request("PUT", "/photos/more").status == 200
        assert puts() == 17
        metrics.until(lambda: metrics.value("anys3_workers") == 2)


def test_the_first_figures_say_what_runs(metrics: Metrics) -> None:
    samples = metrics.samples()
    assert [dict(labels).keys() for name, labels in samples if name == "anys3_build_info"] == [
        {"version", "python"}
    ]
    assert abs(metrics.value("anys3_start_time_seconds") - time.time()) < 3600
    assert metrics.value("anys3_workers_wanted") == 2
    assert metrics.value("anys3_store_up") == 1
    assert metrics.value("anys3_index_bytes") > 4096
    assert metrics.value("anys3_directory_free_bytes") > 0


def test_no_bucket_key_or_secret_is_told(process: ServerProcess, metrics: Metrics) -> None:
    assert process.s3.request("PUT", "/photos/a-telling-name", body=b"x").status == 200
    told = metrics.ask("/metrics").body.decode()
    assert "PutObject" in told
    for each in ("photos", "telling", process.s3.access_key_id, str(process.directory), "127.0.0.1"):
        assert each not in told


def test_health_is_a_word_and_has_a_head(metrics: Metrics) -> None:
    told = metrics.ask("/health")
    assert (told.status, told.body) == (200, b"ok\n")
    head = metrics.ask("/health?x=1", "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "3")
    assert head.headers["cache-control"] == "no-store"
    assert abs(parsedate_to_datetime(head.headers["date"]).timestamp() - time.time()) < 60


def test_metrics_are_of_the_text_format(metrics: Metrics) -> None:
    told = metrics.ask("/metrics")
    assert told.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert told.body.endswith(b"\n")
    assert metrics.ask("/metrics", "HEAD").body == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/ HTTP/1.1\r\n\r\n", 404),
        (b"GET //health HTTP/1.1\r\n\r\n", 404),
        (b"GET http://x/health HTTP/1.1\r\n\r\n", 404),
        (b"POST /health HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345", 405),
        (b"DELETE /metrics HTTP/1.1\r\n\r\n", 405),
        (b"get /metrics HTTP/1.1\r\n\r\n", 405),
        (b"GET /health HTTP/1.0\r\n\r\n", 200),
        (b"GET /health HTTP/2.0\r\n\r\n", 400),
        (b"GET /health\r\n\r\n", 400),
        (b"GET  /health HTTP/1.1\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\xff\xfe \x00 HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01" + b"\r\n\r\n", 400),
        (b"GET /" + b"a" * monitoring.HEAD_MAX, 431),
        (b"GET /health HTTP/1.1\r\n" + b"A: b\r\n" * 5000, 431),
    ],
)
def test_what_is_no_request_for_it_is_refused(metrics: Metrics, sent: bytes, status: int) -> None:
    assert metrics.send(sent).startswith(b"HTTP/1.1 %d " % status)
    assert metrics.ask("/health").status == 200


def test_a_request_may_come_byte_by_byte(metrics: Metrics) -> None:
    assert metrics.send(*(bytes([byte]) for byte in REQUEST)).endswith(b"\r\n\r\nok\n")


def test_only_the_first_request_of_a_connection_is_answered(metrics: Metrics) -> None:
    assert metrics.send(REQUEST * 20).count(b"HTTP/1.1 200") == 1


def test_a_client_that_never_stops_sending_is_cut_off(metrics: Metrics) -> None:
    with metrics.connect() as connection, pytest.raises(OSError):
        while True:
            connection.sendall(REQUEST + bytes(1 << 16))


def test_silent_clients_are_dropped_and_hold_up_nobody(metrics: Metrics) -> None:
    began = time.monotonic()
    silent = [metrics.connect() for _ in range(8)]
    for each in silent[:4]:
        each.sendall(b"GET /hea")
    assert metrics.ask("/health").status == 200
    for each in silent:
        assert not_a_byte(each)
    assert time.monotonic() - began >= monitoring.PATIENCE_S / 2
    assert metrics.ask("/health").status == 200


def not_a_byte(connection: socket.socket) -> bool:
    with connection:
        try:
            return connection.recv(1) == b""
        except ConnectionError:
            return True


def test_a_flood_of_connections_does_not_reach_those_of_s3(process: ServerProcess, metrics: Metrics) -> None:
    flood = [metrics.connect() for _ in range(4 * monitoring.OPEN_MAX)]
    try:
        assert process.s3.request("GET", "/photos", [("list-type", "2")]).status == 200
    finally:
        for each in flood:
            each.close()
    metrics.until(lambda: metrics.send(REQUEST).endswith(b"ok\n"))


def test_a_server_that_stops_says_so_until_its_last_answer(tmp_path: Path) -> None:
    options = ("--workers", "2", "--metrics", "127.0.0.1:0", "--buckets", "photos")
    with serving(tmp_path / "data", *options) as process:
        metrics = listener(process)
        body = bytes(3 << 20)
        upload = signed(process.s3, "PUT", "/photos/slow", body=body)
        with process.s3.connect() as connection:
            connection.sendall(upload[: len(upload) - 1])
            metrics.until(lambda: metrics.value("anys3_connections") == 1)
            os.kill(process.pid, signal.SIGTERM)
            metrics.until(lambda: metrics.ask("/health").body == b"the server is stopping\n")
            assert metrics.ask("/health").status == 503
            connection.sendall(upload[-1:])
            assert connection.recv(12) == b"HTTP/1.1 200"
        process.stop()


def test_nothing_of_it_is_served_beside_s3(process: ServerProcess) -> None:
    for path in ("/metrics", "/health"):
        assert process.s3.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).status == 403
