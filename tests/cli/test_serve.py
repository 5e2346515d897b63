"""`anys3 serve`: what appears, what is kept, and what is refused with which exit code."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess

import pytest

from tests.cli.conftest import ANYS3, CommandLine
from tests.rawclient import RawClient


def test_the_first_screen_shows_endpoint_region_and_a_key_pair_that_works(anys3_cli: CommandLine) -> None:
    server = anys3_cli.serve("data")
    assert server.value("  region ") == "us-east-1"
    assert server.root.request("PUT", "/photos").status == 200
    assert all(name in server.screen for name in ("boto3", "AWS CLI", "rclone"))


def test_the_credentials_file_is_for_its_owner_only_and_in_the_format_of_aws(anys3_cli: CommandLine) -> None:
    server = anys3_cli.serve("data")
    path = anys3_cli.directory / "data" / "credentials"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = path.read_text().splitlines()
    assert "[default]" in lines
    assert f"aws_access_key_id = {server.value('AWS_ACCESS_KEY_ID')}" in lines
    assert f"aws_secret_access_key = {server.secret}" in lines


@pytest.mark.known_mistake(42)
def test_a_first_screen_that_is_no_terminal_says_where_the_secret_is_and_does_not_show_it(
    anys3_cli: CommandLine,
) -> None:
    server = anys3_cli.serve("data")
    assert "(the secret is kept in data/credentials, which only you can read)" in server.screen
    assert server.secret not in server.screen + server.stop()


def test_the_key_pair_and_the_objects_outlive_a_restart(anys3_cli: CommandLine) -> None:
    first = anys3_cli.serve("data")
    first_secret = first.secret
    first.root.request("PUT", "/photos")
    first.root.request("PUT", "/photos/a", body=b"kept")
    first.stop()
    second = anys3_cli.serve("data")
    assert second.secret == first_secret
    assert second.root.request("GET", "/photos/a").body == b"kept"


def test_two_workers_serve_one_directory(anys3_cli: CommandLine) -> None:
    server = anys3_cli.serve("data", "--workers", "2")
    assert server.value("  workers ") == "2"
    assert server.root.request("PUT", "/photos").status == 200
    server.stop()
    assert server.process.returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_relaxed_server_says_so_and_keeps_its_objects_when_it_is_killed(
    anys3_cli: CommandLine, workers: str
) -> None:
    first = anys3_cli.serve("data", "--workers", workers, ANYS3_DURABILITY="relaxed")
    assert first.value("  durability ").startswith("relaxed: a write is NOT on the disk")
    first.root.request("PUT", "/photos")
    assert first.root.request("PUT", "/photos/a", body=b"kept").status == 200
    first.process.kill()
    first.process.wait()
    second = anys3_cli.serve("data", "--workers", workers)
    assert second.value("  durability ") == "a write is on the disk before it is acknowledged"
    assert second.root.request("GET", "/photos/a").body == b"kept"
    assert second.stop() == ""
    assert second.process.returncode == 0
    assert list((anys3_cli.directory / "data").glob("checkpoint-*")) == []


def test_buckets_are_made_at_start_and_public_ones_can_be_read_by_everyone(anys3_cli: CommandLine) -> None:
    server = anys3_cli.serve("--memory", ANYS3_BUCKETS="photos,site:public")
    root = server.root
    root.request("PUT", "/site/index.html", body=b"hello")
    root.request("PUT", "/photos/a", body=b"mine")
    nobody = RawClient(server.value("endpoint "), "", "")
    assert nobody.request("GET", "/site/index.html", sign=False).body == b"hello"
    assert nobody.request("GET", "/photos/a", sign=False).status == 403
    assert nobody.request("GET", "/site", sign=False).status == 403
    assert nobody.request("PUT", "/site/index.html", body=b"x", sign=False).status == 403


@pytest.mark.known_mistake(42)
def test_a_given_secret_appears_neither_on_the_screen_nor_in_the_log(anys3_cli: CommandLine) -> None:
    secret = "correct-horse-battery"
    server = anys3_cli.serve("data", MINIO_ROOT_USER="operator", MINIO_ROOT_PASSWORD=secret)
    client = RawClient(server.value("endpoint "), "operator", secret)
    assert client.request("GET", "/").status == 200
    assert RawClient(server.value("endpoint "), "operator", "wrong").request("GET", "/").status == 403
    assert secret not in server.screen + server.stop()


def test_a_second_server_on_a_directory_is_refused_with_exit_code_3(anys3_cli: CommandLine) -> None:
    anys3_cli.serve("data")
    second = anys3_cli.run("serve", "data", "--listen", "127.0.0.1:0")
    assert second.returncode == 3
    assert second.stderr.count("\n") == 1
    assert "another `anys3 serve` runs on data" in second.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_refused_with_exit_code_4(anys3_cli: CommandLine, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        refused = anys3_cli.run("serve", "data", "--listen", address, "--workers", workers)
    assert (refused.returncode, refused.stderr.count("\n")) == (4, 1)
    assert "the port is in use" in refused.stderr


def test_a_port_shared_by_another_server_of_ours_is_refused_too(anys3_cli: CommandLine) -> None:
    first = anys3_cli.serve("data", "--workers", "2")
    address = first.value("endpoint ").removeprefix("http://")
    refused = anys3_cli.run("serve", "other", "--listen", address, "--workers", "2")
    assert refused.returncode == 4


def test_a_directory_that_cannot_be_made_is_refused_with_exit_code_5(anys3_cli: CommandLine) -> None:
    (anys3_cli.directory / "file").write_text("")
    refused = anys3_cli.run("serve", "file/data", "--listen", "127.0.0.1:0")
    assert (refused.returncode, refused.stderr.count("\n")) == (5, 1)


def test_a_read_only_device_is_refused_with_exit_code_5(anys3_cli: CommandLine) -> None:
    refused = anys3_cli.run("serve", "/proc/anys3", "--listen", "127.0.0.1:0")
    assert (refused.returncode, refused.stderr.count("\n")) == (5, 1)


@pytest.mark.parametrize("command", [["serve", "data", "--listen", "127.0.0.1:0"], ["key", "list"]])
def test_a_store_of_a_newer_format_is_refused_with_exit_code_6(
    anys3_cli: CommandLine, command: list[str]
) -> None:
    (anys3_cli.directory / "data").mkdir()
    (anys3_cli.directory / "data" / "format").write_text("anys3 store, format 999\n")
    refused = anys3_cli.run(*command)
    assert (refused.returncode, refused.stderr.count("\n")) == (6, 1)
    assert "update anys3" in refused.stderr


@pytest.mark.parametrize("command", [["serve", "data", "--listen", "127.0.0.1:0"], ["key", "list"]])
def test_a_key_file_that_others_can_read_is_refused_with_exit_code_7(
    anys3_cli: CommandLine, command: list[str]
) -> None:
    anys3_cli.serve("data").stop()
    (anys3_cli.directory / "data" / "credentials").chmod(0o640)
    refused = anys3_cli.run(*command)
    assert (refused.returncode, refused.stderr.count("\n")) == (7, 1)
    assert "chmod 600 data/credentials" in refused.stderr


@pytest.mark.known_mistake(14, 16)
@pytest.mark.parametrize("secret", ["minioadmin", "rustfsadmin", "short", "MinioAdmin", "operator"])
def test_a_default_or_short_secret_is_refused_on_an_address_that_others_reach(
    anys3_cli: CommandLine, secret: str
) -> None:
    refused = anys3_cli.run(
        "serve",
        "--memory",
        "--plain-http",
        "--listen",
        "0.0.0.0:0",
        MINIO_ROOT_USER="operator",
        MINIO_ROOT_PASSWORD=secret,
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (7, 1)
    assert "MINIO_ROOT_PASSWORD" in refused.stderr


@pytest.mark.known_mistake(14)
def test_a_well_known_secret_stays_refused_when_it_already_lies_in_the_store(anys3_cli: CommandLine) -> None:
    known = {"ANYS3_ACCESS_KEY_ID": "minioadmin", "ANYS3_SECRET_ACCESS_KEY": "minioadmin"}
    assert "WARNING" in anys3_cli.serve("data", **known).rest()
    refused = anys3_cli.run("serve", "data", "--plain-http", "--listen", "0.0.0.0:0", "--workers", "1")
    assert refused.returncode == 7


@pytest.mark.known_mistake(14)
@pytest.mark.parametrize("secret", [{}, {"ANYS3_SECRET_ACCESS_KEY": ""}])
def test_half_a_root_key_is_refused_and_no_default_takes_its_place(
    anys3_cli: CommandLine, secret: dict[str, str]
) -> None:
    refused = anys3_cli.run("serve", "--memory", ANYS3_ACCESS_KEY_ID="operator", **secret)
    assert (refused.returncode, refused.stderr.count("\n")) == (7, 1)


def test_a_directory_of_something_else_is_refused_with_exit_code_8_and_left_as_it_is(
    anys3_cli: CommandLine,
) -> None:
    (anys3_cli.directory / "data").mkdir()
    (anys3_cli.directory / "data" / "thesis.tex").write_text("42")
    refused = anys3_cli.run("serve", "data", "--listen", "127.0.0.1:0")
    assert (refused.returncode, refused.stderr.count("\n")) == (8, 1)
    assert [path.name for path in (anys3_cli.directory / "data").iterdir()] == ["thesis.tex"]


def test_a_certificate_that_cannot_be_read_is_refused_with_exit_code_10(anys3_cli: CommandLine) -> None:
    refused = anys3_cli.run("serve", "--memory", "--tls-cert", "no.pem", "--tls-key", "no.key")
    assert (refused.returncode, refused.stderr.count("\n")) == (10, 1)


@pytest.mark.requirement("HTTP-02")
def test_plain_http_that_others_reach_needs_a_flag_and_is_told_in_the_banner(anys3_cli: CommandLine) -> None:
    refused = anys3_cli.run("serve", "--memory", "--listen", "0.0.0.0:0")
    assert (refused.returncode, "--plain-http" in refused.stderr) == (2, True)
    server = anys3_cli.serve("--memory", "--plain-http", "--listen", "0.0.0.0:0")
    assert "WARNING: plain HTTP beyond this machine" in server.rest()


def test_a_self_signed_certificate_serves_https_that_trusts_it(anys3_cli: CommandLine) -> None:
    pytest.importorskip("cryptography")
    server = anys3_cli.serve("data", "--tls-self-signed")
    assert server.value("endpoint ").startswith("https://127.0.0.1:")
    assert (anys3_cli.directory / "data" / "tls-self-signed.pem").is_file()
    assert stat.S_IMODE((anys3_cli.directory / "data" / "tls-self-signed.key").stat().st_mode) == 0o600


def test_strict_mode_refuses_what_is_outside_the_profiles_with_501(anys3_cli: CommandLine) -> None:
    server = anys3_cli.serve("--memory", "--profile", "tier-1", "--buckets", "photos")
    assert server.root.request("PUT", "/photos/a", body=b"1").status == 200
    assert server.root.request("POST", "/photos/a", "uploads").status == 501


def test_the_access_log_names_the_request_and_never_the_query(anys3_cli: CommandLine) -> None:
    server = anys3_cli.serve("--memory", "--access-log", "--buckets", "photos")
    answer = server.root.request("GET", "/photos", "prefix=secret-plan")
    log = server.stop()
    assert answer.headers["x-amz-request-id"] in log
    assert "secret-plan" not in log


def test_python_m_anys3_is_anys3(anys3_cli: CommandLine) -> None:
    assert anys3_cli.run("--version").stdout.startswith("anys3 ")


@pytest.mark.skipif(os.name != "posix", reason="needs a shell's limit of file sizes")
def test_a_full_disk_is_refused_with_exit_code_5(anys3_cli: CommandLine) -> None:
    # Beyond the limit every write fails as it does on a full device.
    refused = subprocess.run(
        ["bash", "-c", 'ulimit -f 1; exec "$@"', "-", *ANYS3, "serve", "data", "--listen", "127.0.0.1:0"],
        cwd=anys3_cli.directory,
        env=anys3_cli.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (5, 1)
    assert "make room" in refused.stderr


def test_a_scrub_reports_damage_with_exit_code_12(anys3_cli: CommandLine) -> None:
    server = anys3_cli.serve("data", "--buckets", "photos")
    server.root.request("PUT", "/photos/big", body=bytes(1 << 20))
    server.stop()
    assert anys3_cli.run("scrub", "data").returncode == 0
    (blob,) = [path for path in (anys3_cli.directory / "data" / "blobs").rglob("*") if path.is_file()]
    with blob.open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    scrub = anys3_cli.run("scrub", "data", "--json")
    assert scrub.returncode == 12
    assert [(row["bucket"], row["key"]) for row in json.loads(scrub.stdout)["damaged"]] == [("photos", "big")]
