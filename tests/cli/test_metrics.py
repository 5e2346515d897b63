"""`anys3 serve --metrics`: where it listens, what the first screen says of it, and what engines tell."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from anys3.server.refusals import Exit
from tests.cli.conftest import CommandLine
from tests.engines.fixtures import need
from tests.engines.postgresql import Database, Postgresql, missing
from tests.metrics import metrics_of
from tests.store.faulty import Proxy
from tests.store.s3_provider import Provider

LARGE = bytes(range(256)) * 4096
ROOT = {"ANYS3_ACCESS_KEY_ID": "operator", "ANYS3_SECRET_ACCESS_KEY": "a-secret-of-the-operator-0123456789"}


def test_without_the_option_there_is_no_word_of_it(anys3_cli: CommandLine) -> None:
    assert "metrics" not in anys3_cli.serve("--memory").screen


def test_on_loopback_the_screen_says_where(anys3_cli: CommandLine) -> None:
    server = anys3_cli.serve("--memory", ANYS3_METRICS="127.0.0.1:0")
    port = metrics_of(server.screen).port
    assert f"  metrics     http://127.0.0.1:{port}/metrics and /health\n" in server.screen
    assert metrics_of(server.screen).ask("/health").status == 200


def test_beyond_loopback_the_screen_says_who_can_read_it(anys3_cli: CommandLine) -> None:
    (anys3_cli.directory / "anys3.toml").write_text('metrics = "0.0.0.0:0"\n')
    server = anys3_cli.serve("--memory")
    assert "/metrics and /health; whoever reaches this machine can read them\n" in server.screen
    assert metrics_of(server.screen).ask("/health").status == 200


def test_a_port_that_is_taken_is_refused(anys3_cli: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        done = anys3_cli.run("serve", "--memory", "--listen", "127.0.0.1:0", "--metrics", place)
    assert done.returncode == Exit.ADDRESS
    assert f"can't listen on {place}: the port is in use" in done.stderr
    assert "--metrics HOST:PORT" in done.stderr


@pytest.mark.parametrize("place", ["9000", "0.0.0.0:9000", "localhost:9000"])
def test_the_port_of_s3_is_refused(anys3_cli: CommandLine, place: str) -> None:
    done = anys3_cli.run("serve", "--memory", "--metrics", place)
    assert done.returncode == Exit.USAGE
    assert "never told beside S3" in done.stderr


@pytest.mark.parametrize("place", ["here:", "127.0.0.1:70000", "127.0.0.1:x"])
def test_what_is_no_address_is_refused(anys3_cli: CommandLine, place: str) -> None:
    done = anys3_cli.run("serve", "--memory", "--metrics", place)
    assert done.returncode == Exit.USAGE
    assert "expected HOST:PORT" in done.stderr


def test_requests_to_the_provider_of_blobs_are_counted(
    anys3_cli: CommandLine, provider: Provider, proxy: Proxy
) -> None:
    url = provider.address("counted", f"http://127.0.0.1:{proxy.port}", timeout="1", check="no")
    options = ("data", "--blobs", url, "--buckets", "photos", "--metrics", "127.0.0.1:0")
    server = anys3_cli.serve(*options, **provider.environment)
    metrics, root = metrics_of(server.screen), server.root

    def puts() -> float:
        return metrics.value("anys3_s3_requests_total", operation="PutObject", outcome="200")

    metrics.until(lambda: metrics.value("anys3_s3_up") == 1)
    before = puts()
    for key in ("one", "two", "three"):
        assert root.request("PUT", f"/photos/{key}", body=LARGE).status == 200
    metrics.until(lambda: puts() == before + 3)
    metrics.until(lambda: metrics.value("anys3_s3_sent_bytes_total") >= 3 * len(LARGE))
    assert root.request("GET", "/photos/one").body == LARGE
    metrics.until(lambda: metrics.value("anys3_s3_received_bytes_total") >= len(LARGE))
    proxy.go_down()
    assert root.request("GET", "/photos/two").status == 503
    metrics.until(lambda: metrics.value("anys3_s3_up") == 0)
    assert metrics.value("anys3_s3_retries_total") > 0
    assert metrics.value("anys3_requests_total", operation="GetObject", status="503") == 1
    assert metrics.ask("/health").status == 200  # small objects, rows and listings are served
    assert str(proxy.port) not in metrics.ask("/metrics").body.decode()


def test_what_a_killed_worker_has_asked_of_the_provider_stays_counted(
    anys3_cli: CommandLine, provider: Provider
) -> None:
    options = (
        "data",
        "--blobs",
        provider.address("kept", check="no"),
        "--buckets",
        "photos",
        "--workers",
        "2",
    )
    server = anys3_cli.serve(*options, "--metrics", "127.0.0.1:0", **provider.environment)
    metrics, root = metrics_of(server.screen), server.root

    def puts() -> float:
        return metrics.value("anys3_s3_requests_total", operation="PutObject", outcome="200")

    def workers() -> set[int]:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        return {int(word) for word in children.read_text().split()}

    for key in ("one", "two", "three"):
        assert root.request("PUT", f"/photos/{key}", body=LARGE).status == 200
    metrics.until(lambda: puts() >= 3)
    before, counted = workers(), puts()
    for each in before:
        os.kill(each, signal.SIGKILL)
    metrics.until(lambda: len(workers() - before) == 2)
    assert puts() == counted
    metrics.until(lambda: metrics.value("anys3_workers") == 2)
    assert root.request("PUT", "/photos/four", body=LARGE).status == 200
    metrics.until(lambda: puts() == counted + 1)


def test_health_is_503_while_the_index_is_away_and_200_again(
    anys3_cli: CommandLine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    need(missing())
    with Postgresql(tmp_path_factory.mktemp("postgresql"), is_durable=False) as database:
        blobs = f"file:{tmp_path_factory.mktemp('blobs')}"
        options = ("--index", database.dsn, "--blobs", blobs, "--buckets", "photos", "--workers", "2")
        server = anys3_cli.serve(*options, "--metrics", "127.0.0.1:0", **ROOT)
        metrics = metrics_of(server.screen)
        told = metrics.ask("/health")
        assert (told.status, told.body) == (200, b"ok\n")
        metrics.until(lambda: metrics.value("anys3_postgresql_connections") > 0)
        assert metrics.value("anys3_postgresql_connections_max") >= 2 * 10
        assert metrics.value("anys3_blobs_free_bytes") > 0
        database.stop()
        metrics.until(lambda: metrics.ask("/health").status == 503)
        told = metrics.ask("/health")
        assert told.body == b"the store does not answer\n"
        metrics.until(lambda: metrics.value("anys3_store_up") == 0)
        metrics.until(lambda: metrics.value("anys3_postgresql_connections_lost_total") > 0)
        opened = metrics.value("anys3_postgresql_connections_opened_total")
        database.start()
        metrics.until(lambda: metrics.ask("/health").status == 200)
        metrics.until(lambda: metrics.value("anys3_store_up") == 1)
        metrics.until(lambda: metrics.value("anys3_postgresql_connections_opened_total") > opened)


def test_the_figures_of_a_postgresql_store_tell_of_removed_blobs(
    anys3_cli: CommandLine, postgresql: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    blobs = f"file:{tmp_path_factory.mktemp('blobs')}"
    options = ("--index", postgresql.new_database(), "--blobs", blobs, "--buckets", "photos")
    server = anys3_cli.serve(*options, "--metrics", "127.0.0.1:0", **ROOT)
    metrics = metrics_of(server.screen)
    client = server.root
    client.access_key_id, client.secret_access_key = ROOT.values()
    assert client.request("PUT", "/photos/large", body=LARGE).status == 200
    assert client.request("DELETE", "/photos/large").status == 204
    metrics.until(lambda: metrics.value("anys3_blobs_removed_total") == 1)
    metrics.until(lambda: metrics.value("anys3_blobs_overdue_seconds") == 0)
