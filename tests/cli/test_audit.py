"""The audit log: a line for every administrative change, whoever made it, and for nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anys3
from anys3.server import application
from tests.cli.conftest import CommandLine
from tests.rawclient import RawClient, sha256_b64

RULES = (
    b"<CORSConfiguration><CORSRule><AllowedOrigin>https://app.example</AllowedOrigin>"
    b"<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
)


def lines(directory: Path) -> list[dict[str, Any]]:
    """Return what the audit log holds."""
    return [json.loads(line) for line in (directory / "audit.log").read_text().splitlines()]


def test_every_change_of_keys_and_buckets_by_command_line_has_its_line(anys3_cli: CommandLine) -> None:
    server = anys3_cli.serve("data", "--buckets", "photos")
    for command in (
        "bucket create site",
        "bucket public site",
        "bucket public site --off",
        "bucket cors site --allow-origin https://app.example",
        "bucket cors site --clear",
        "key create app --bucket photos --read",
        "key rotate app",
        "key delete app",
        "bucket delete site",
    ):
        assert anys3_cli.run(*command.split()).returncode == 0
    for looking in ("key list", "key info root", "bucket list", "bucket info photos", "bucket cors photos"):
        assert anys3_cli.run(*looking.split()).returncode == 0
    assert anys3_cli.run("bucket", "delete", "nowhere").returncode != 0
    server.stop()
    found = lines(anys3_cli.directory / "data")
    assert [(line["action"], line["target"]) for line in found] == [
        ("root key settled", "root"),
        ("bucket create", "photos"),
        ("bucket create", "site"),
        ("bucket public", "site"),
        ("bucket public", "site"),
        ("bucket cors", "site"),
        ("bucket cors", "site"),
        ("key create", "app"),
        ("key rotate", "app"),
        ("key delete", "app"),
        ("bucket delete", "site"),
    ]
    assert found[7]["grants"] == {"photos": "read"}
    assert found[3]["is_public"] is True
    assert found[4]["is_public"] is False
    assert all(line["who"]["via"] == "command line" and line["time"].endswith("Z") for line in found)


def test_changes_by_request_name_the_key_and_the_request_and_refusals_have_no_line(tmp_path: Path) -> None:
    with anys3.Server(tmp_path / "data") as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        integrity = {"x-amz-checksum-sha256": sha256_b64(RULES)}
        made = s3.request("PUT", "/photos")
        s3.request("PUT", "/photos", "cors", headers=integrity, body=RULES)
        s3.request("GET", "/photos", "cors")
        s3.request("PUT", "/photos/k", body=b"1")
        assert s3.request("DELETE", "/photos").status == 409
        s3.request("DELETE", "/photos/k")
        s3.request("DELETE", "/photos", "cors")
        s3.request("DELETE", "/photos")
    found = lines(tmp_path / "data")[1:]  # behind the new root key
    assert [line["action"] for line in found] == [
        "CreateBucket",
        "PutBucketCors",
        "DeleteBucketCors",
        "DeleteBucket",
    ]
    assert {line["target"] for line in found} == {"photos"}
    assert {line["who"]["access_key_id"] for line in found} == {server.access_key_id}
    assert found[0]["who"]["request_id"] == made.headers["x-amz-request-id"]


def test_the_operations_that_change_buckets_are_those_that_are_audited() -> None:
    assert set(application._AUDITED) == {"CreateBucket", "DeleteBucket", "PutBucketCors", "DeleteBucketCors"}


def test_only_the_owner_can_read_the_audit_log(tmp_path: Path) -> None:
    with anys3.Server(tmp_path / "data", buckets=["photos"]):
        pass
    assert (tmp_path / "data" / "audit.log").stat().st_mode & 0o777 == 0o600
