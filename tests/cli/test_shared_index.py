"""Servers without a state of their own: the index on PostgreSQL, large contents in a directory that they share."""

from __future__ import annotations

import json
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

import anys3
from tests.cli.conftest import CommandLine, Serving
from tests.engines.fixtures import need
from tests.engines.postgresql import Database, Postgresql, missing
from tests.rawclient import RawClient

LARGE = bytes(range(256)) * 4096
ROOT = {"ANYS3_ACCESS_KEY_ID": "operator", "ANYS3_SECRET_ACCESS_KEY": "a-secret-of-the-operator-0123456789"}
PATIENCE_S = 120.0


class Shared(NamedTuple):
    """An empty place for a store, and the command line to use it from."""

    commands: CommandLine
    environment: dict[str, str]

    def serve(self, *arguments: str, **environment: str) -> Serving:
        return self.commands.serve(*arguments, **{**self.environment, **environment})

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.commands.run(*arguments, **{**self.environment, **environment})


@pytest.fixture
def shared(anys3_cli: CommandLine, postgresql: Database, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """An empty database and an empty directory."""
    return place(anys3_cli, postgresql.new_database(), tmp_path_factory)


def place(commands: CommandLine, dsn: str, paths: pytest.TempPathFactory) -> Shared:
    secret = dsn.replace("://postgres@", "://postgres:hunter2@")
    assert secret != dsn
    return Shared(commands, {"ANYS3_INDEX": secret, "ANYS3_BLOBS": f"file:{paths.mktemp('blobs')}"})


def client(server: Serving) -> RawClient:
    return RawClient(server.value("endpoint "), ROOT["ANYS3_ACCESS_KEY_ID"], ROOT["ANYS3_SECRET_ACCESS_KEY"])


def eventually(holds: Callable[[], bool]) -> bool:
    limit = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < limit:
        time.sleep(0.05)
    return holds()


def test_what_one_server_has_taken_all_others_have(shared: Shared) -> None:
    one = client(shared.serve(**ROOT))
    other = client(shared.serve("--workers", "2", **ROOT))
    assert one.request("PUT", "/photos").status == 200
    for key, body in (("small", b"s"), ("large", LARGE)):
        assert one.request("PUT", f"/photos/{key}", body=body).status == 200
        answer = other.request("GET", f"/photos/{key}")
        assert (answer.status, answer.body) == (200, body)
    assert other.request("DELETE", "/photos/large").status == 204
    assert one.request("GET", "/photos/large").verdict == (404, "NoSuchKey")


def test_first_starts_at_one_moment_end_with_one_root_key(shared: Shared) -> None:
    with ThreadPoolExecutor() as pool:
        servers = list(pool.map(lambda _: shared.serve(), range(3)))
    assert len({server.value("AWS_ACCESS_KEY_ID") for server in servers}) == 1
    rotated = json.loads(shared.run("key", "rotate", "root", "--json").stdout)
    for server in servers:
        root = RawClient(server.value("endpoint "), rotated["access_key_id"], rotated["secret_access_key"])
        assert root.request("GET", "/").status == 200
    listed = json.loads(shared.run("key", "list", "--json").stdout)
    assert [key["is_root"] for key in listed] == [True]


def test_a_server_without_a_directory_makes_no_file_and_shows_no_secret(shared: Shared) -> None:
    server = shared.serve()
    screen = server.screen
    assert (server.secret, "hunter2" in screen) == ("", False)
    assert "the secret is kept in the index" in screen
    assert "ANYS3_SECRET_ACCESS_KEY on all servers" in screen
    for name in ("index", "blobs", "durability"):
        assert server.value(f"  {name} ")
    rotated = json.loads(shared.run("key", "rotate", "root", "--json").stdout)
    root = RawClient(server.value("endpoint "), rotated["access_key_id"], rotated["secret_access_key"])
    assert root.request("PUT", "/photos").status == 200
    log = server.stop()
    assert ('"action": "CreateBucket"' in log, "hunter2" in log) == (True, False)
    assert list(shared.commands.directory.iterdir()) == []


def test_a_directory_that_is_given_has_the_audit_log_and_the_root_key(shared: Shared) -> None:
    server = shared.serve("made/here")
    directory = shared.commands.directory / "made" / "here"
    assert sorted(each.name for each in directory.iterdir()) == ["audit.log", "credentials"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    before = (directory / "credentials").read_text()
    assert shared.run("key", "rotate", "root", "--dir", str(directory)).returncode == 0
    assert (directory / "credentials").read_text() != before
    assert "key rotate" in (directory / "audit.log").read_text()
    assert server.value("audit log ") == str(directory / "audit.log")


def test_a_certificate_of_its_own_needs_no_directory(shared: Shared) -> None:
    server = shared.serve("--tls-self-signed")
    assert server.value("endpoint ").startswith("https://")
    assert list(shared.commands.directory.iterdir()) == []


def test_commands_change_what_all_servers_answer_at_once(shared: Shared) -> None:
    servers = [shared.serve(**ROOT) for _ in range(2)]
    assert shared.run("bucket", "create", "photos").returncode == 0
    made = json.loads(
        shared.run("key", "create", "app", "--bucket", "photos", "--read", "--write", "--json").stdout
    )
    apps = [
        RawClient(each.value("endpoint "), made["access_key_id"], made["secret_access_key"])
        for each in servers
    ]
    assert [app.request("PUT", "/photos/k", body=b"1").status for app in apps] == [200, 200]
    assert shared.run("key", "delete", "app").returncode == 0
    assert {app.request("GET", "/photos/k").verdict for app in apps} == {(403, "InvalidAccessKeyId")}


def test_deleting_a_bucket_by_a_command_frees_the_blobs_of_its_uploads(shared: Shared) -> None:
    s3 = client(shared.serve("--buckets", "photos", **ROOT))
    begun = s3.request("POST", "/photos/k", "uploads").body.decode()
    upload_id = begun.split("<UploadId>")[1].split("</UploadId>")[0]
    part = s3.request("PUT", "/photos/k", f"partNumber=1&uploadId={upload_id}", body=LARGE)
    blobs = Path(shared.environment["ANYS3_BLOBS"].removeprefix("file:"))
    assert (part.status, len(large_files(blobs))) == (200, 1)
    assert shared.run("bucket", "delete", "photos").returncode == 0
    assert eventually(lambda: not large_files(blobs))


def large_files(blobs: Path) -> list[Path]:
    return [each for each in blobs.rglob("*") if each.is_file() and each.stat().st_size > 100_000]


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "words"),
    [
        (["serve"], {"ANYS3_BLOBS": ""}, 2, "ANYS3_BLOBS is set, but empty"),
        (["serve", "--durability", "relaxed"], {}, 2, "relaxed"),
        (["serve", "--index", "mysql://u:hunter2@h/d"], {}, 2, "expected postgresql://"),
        (["serve"], {"ANYS3_INDEX": "postgresql://u:hunter2@127.0.0.1:1/d"}, 14, "PostgreSQL 15"),
        (["serve", "--workers", "2"], {"ANYS3_INDEX": "postgresql://u:hunter2@127.0.0.1:1/d"}, 14, "15"),
        (["serve"], {"ANYS3_BLOBS": "file:/dev/null/b"}, 14, "written, read and removed"),
        (["key", "list"], {"ANYS3_INDEX": "postgresql://u:hunter2@127.0.0.1:1/d"}, 14, "PostgreSQL 15"),
        (["key", "list"], {"ANYS3_INDEX": "mysql://u:hunter2@h/d"}, 2, "ANYS3_INDEX: expected"),
        (["serve", "--memory", "--index", "postgresql://u@h/d"], {}, 2, "exclude each other"),
    ],
)
def test_a_start_that_can_not_be_says_why_and_never_the_password(
    shared: Shared, arguments: list[str], environment: dict[str, str], code: int, words: str
) -> None:
    done = shared.run(*arguments, ANYS3_LISTEN="127.0.0.1:0", **environment)
    assert (done.returncode, words in done.stderr, "hunter2" in done.stderr) == (code, True, False)
    assert "Traceback" not in done.stderr


def test_an_index_of_a_newer_version_is_left_alone(shared: Shared, postgresql: Database) -> None:
    shared.serve(**ROOT).stop()
    dsn = shared.environment["ANYS3_INDEX"]
    postgresql.psql("UPDATE anys3.store SET format = 99", dsn)
    for command in (["serve"], ["key", "list"]):
        done = shared.run(*command, ANYS3_LISTEN="127.0.0.1:0")
        assert (done.returncode, "update anys3" in done.stderr) == (6, True)


def test_a_server_in_a_process_shares_the_store(postgresql: Database, tmp_path: Path) -> None:
    where = {"index": postgresql.new_database(), "blobs": f"file:{tmp_path / 'blobs'}"}
    with (
        anys3.Server(**where, buckets=["photos"]) as one,
        anys3.Server(**where) as other,
    ):
        assert one.access_key_id == other.access_key_id
        assert client_of(one).request("PUT", "/photos/k", body=LARGE).status == 200
        assert client_of(other).request("GET", "/photos/k").body == LARGE
    with pytest.raises(ValueError, match="needs --blobs"):
        anys3.Server(index=where["index"])


def client_of(server: anys3.Server) -> RawClient:
    return RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)


# --- outages ------------------------------------------------------------------------------------------


@pytest.fixture
def own_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgresql]:
    """A PostgreSQL of the test's own."""
    need(missing())
    with Postgresql(tmp_path_factory.mktemp("postgresql"), is_durable=False) as database:
        yield database


@pytest.mark.requirement("ERR-06", "HTTP-23")
def test_an_outage_of_the_index_is_503_with_retry_after_and_needs_no_restart(
    own_postgresql: Postgresql, anys3_cli: CommandLine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = place(anys3_cli, own_postgresql.dsn, tmp_path_factory)
    s3 = client(shared.serve("--buckets", "photos", **ROOT))
    assert s3.request("PUT", "/photos/k", body=LARGE).status == 200
    own_postgresql.kill()
    refused = [
        s3.request(method, path, body=body)
        for method, path, body in (
            ("GET", "/photos/k", b""),
            ("PUT", "/photos/new", LARGE),
            ("GET", "/photos", b""),
            ("GET", "/", b""),
            ("DELETE", "/photos/k", b""),
            ("HEAD", "/photos/none", b""),
        )
    ]
    assert {(answer.status, answer.headers.get("retry-after")) for answer in refused} == {(503, "1")}
    own_postgresql.start()
    assert eventually(lambda: s3.request("GET", "/photos/k").status != 503)
    assert s3.request("GET", "/photos/k").body == LARGE
    assert eventually(lambda: s3.request("PUT", "/photos/new", body=LARGE).status == 200)
