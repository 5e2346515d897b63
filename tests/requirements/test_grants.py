"""Keys with narrow grants: what each may do, on every operation and on the source of every copy (AUTH-17)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

import anys3
from tests.exemplars import Scene
from tests.keepalive import KeepAlive
from tests.rawclient import RawClient, md5_b64
from tests.torture.access.rights import (
    BUCKET,
    COPIES,
    MAY,
    OPERATIONS,
    SECRET,
    SETTINGS,
    TARGET,
    WRITES,
    sources,
)

GRANTS = {
    "reader": ["--bucket", BUCKET, "--read"],
    "writer": ["--bucket", BUCKET, "--write"],
    "both": ["--bucket", BUCKET, "--read", "--write"],
    "owner": ["--bucket", BUCKET, "--bucket", f"{BUCKET}-empty", "--owner"],
    "elsewhere": ["--bucket", TARGET, "--read", "--write"],
    "nothing": [],
    "creator": ["--create-buckets"],
}


@dataclass(frozen=True, slots=True)
class Keys:
    """A server and clients with keys of its command line."""

    server: anys3.Server
    root: RawClient
    scene: Scene
    clients: dict[str, RawClient]

    def run(self, *arguments: str) -> dict[str, str]:
        """Run `anys3 key ...` beside the server and return its answer."""
        command = [
            sys.executable,
            "-m",
            "anys3",
            "key",
            *arguments,
            "--dir",
            str(self.server.directory),
            "--json",
        ]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, env=dict(os.environ)
        )
        answer: dict[str, str] = json.loads(ended.stdout)
        return answer

    def create(self, name: str, *grants: str) -> RawClient:
        """Make a key and return a client that uses it."""
        key = self.run("create", name, *grants)
        return replace(
            self.root, access_key_id=key["access_key_id"], secret_access_key=key["secret_access_key"]
        )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    """A server with three buckets, and one key of each kind. (Grants are data of any engine.)"""
    with anys3.Server(directory=tmp_path_factory.mktemp("grants") / "data") as server:
        root = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        scene = Scene(root, BUCKET)
        scene.prepare()
        for name in (SECRET, TARGET):
            root.request("PUT", f"/{name}")
            root.request("PUT", f"/{name}/k", body=name.encode())
        made = Keys(server, root, scene, {})
        made.clients.update({name: made.create(name, *grants) for name, grants in GRANTS.items()})
        yield made


@pytest.mark.requirement("AUTH-17", "COPY-12", "ERR-08")
@pytest.mark.known_mistake(19, 24, 25, 26, 29)
@pytest.mark.parametrize("name", MAY)
def test_a_key_may_do_what_was_granted_and_nothing_else(keys: Keys, name: str) -> None:
    """CVE-2025-62506, CVE-2024-55949 (MinIO), CVE-2026-22042, CVE-2026-40937 (RustFS): rights of others."""
    with KeepAlive(keys.root) as wire:

        def outcome(operation: str) -> int:
            keys.scene.prepare()
            mine = Scene(keys.clients[name], BUCKET)
            mine.upload_id, mine.etag = keys.scene.upload_id, keys.scene.etag
            exemplar = mine.exemplar(operation)
            response = wire.exchange(exemplar.render(mine.s3), exemplar.method)
            return response.status if response.status != exemplar.status else 0

        outcomes = {operation: outcome(operation) for operation in OPERATIONS}
    allowed = MAY[name]
    assert outcomes == {operation: 0 if operation in allowed else 403 for operation in OPERATIONS}


@pytest.mark.requirement("AUTH-17", "ERR-08")
@pytest.mark.parametrize("name", ["reader", "elsewhere", "nothing", "creator"])
def test_what_is_refused_changes_nothing(keys: Keys, name: str) -> None:
    keys.scene.prepare()
    before = keys.scene.state()
    mine = Scene(keys.clients[name], BUCKET)
    mine.upload_id, mine.etag = keys.scene.upload_id, keys.scene.etag
    with KeepAlive(keys.root) as wire:
        statuses = {
            one.operation: wire.exchange(one.render(mine.s3), one.method).status
            for one in mine.exemplars()
            if one.operation in WRITES | COPIES | SETTINGS
        }
    assert set(statuses.values()) == {403}
    assert keys.scene.state() == before


@pytest.mark.requirement("AUTH-17")
def test_a_key_sees_its_own_buckets_only(keys: Keys) -> None:
    seen = {
        name: set(client.request("GET", "/").texts("Buckets/Bucket/Name")) & {BUCKET, SECRET, TARGET}
        for name, client in keys.clients.items()
    }
    assert seen == {
        "reader": {BUCKET},
        "writer": {BUCKET},
        "both": {BUCKET},
        "owner": {BUCKET},
        "elsewhere": {TARGET},
        "nothing": set(),
        "creator": set(),
    }


@pytest.mark.requirement("AUTH-17", "COPY-12", "UPC-01", "ERR-08")
@pytest.mark.known_mistake(19, 20, 21, 22, 27)
@pytest.mark.parametrize("source", sources())
def test_no_spelling_of_a_source_reaches_a_forbidden_bucket(keys: Keys, source: str) -> None:
    """CVE-2026-39360 (RustFS), CVE-2026-55874 and CVE-2026-54917 (SeaweedFS): sources were not authorised."""
    client = keys.clients["elsewhere"]
    headers = {"x-amz-copy-source": source}
    upload_id = client.request("POST", f"/{TARGET}/m", [("uploads", "")]).text("UploadId") or ""
    copy = client.request("PUT", f"/{TARGET}/stolen", headers=headers)
    part = client.request("PUT", f"/{TARGET}/m", [("partNumber", "1"), ("uploadId", upload_id)], headers)
    assert copy.status in (400, 403, 404)
    assert part.status in (400, 403, 404)
    assert client.request("GET", f"/{TARGET}/stolen").verdict == (404, "NoSuchKey")
    assert client.request("GET", f"/{TARGET}/m", [("uploadId", upload_id)]).texts("Part") == []


@pytest.mark.requirement("COPY-12", "UPC-01")
@pytest.mark.known_mistake(19)
@pytest.mark.parametrize("key", ["k", "none"])
@pytest.mark.parametrize(
    "condition", [{}, {"x-amz-copy-source-if-match": '"0"'}, {"x-amz-copy-source-if-none-match": "*"}]
)
def test_a_forbidden_source_is_denied_whether_it_exists_or_not(
    keys: Keys, key: str, condition: dict[str, str]
) -> None:
    """CVE-2026-39360 (RustFS), GHSA-wfxj: the source of a part copy was not authorised."""
    client = keys.clients["elsewhere"]
    headers = {"x-amz-copy-source": f"/{SECRET}/{key}", **condition}
    upload_id = client.request("POST", f"/{TARGET}/m", [("uploads", "")]).text("UploadId") or ""
    part = [("partNumber", "1"), ("uploadId", upload_id)]
    assert client.request("PUT", f"/{TARGET}/copy", headers=headers).verdict == (403, "AccessDenied")
    assert client.request("PUT", f"/{TARGET}/m", part, headers).verdict == (403, "AccessDenied")


@pytest.mark.requirement("AUTH-17", "DELS-07", "ERR-08")
@pytest.mark.known_mistake(28, 21)
def test_no_key_of_a_deletion_reaches_another_bucket(keys: Keys) -> None:
    """SeaweedFS 9793: DeleteObjects was authorised once, and not for each key."""
    client = keys.clients["elsewhere"]
    names = [f"../{SECRET}/k", f"/{SECRET}/k", f"{SECRET}/k", f"..%2F{SECRET}%2Fk", "none"]
    document = f"<Delete>{''.join(f'<Object><Key>{name}</Key></Object>' for name in names)}</Delete>".encode()
    headers = {"content-md5": md5_b64(document)}
    assert (
        client.request("POST", f"/{TARGET}", [("delete", "")], headers, document).texts("Deleted/Key")
        == names
    )
    denied = client.request("POST", f"/{SECRET}", [("delete", "")], headers, document)
    assert denied.verdict == (403, "AccessDenied")
    assert keys.root.request("GET", f"/{SECRET}/k").body == SECRET.encode()
    assert client.request("GET", f"/{TARGET}/k").body == TARGET.encode()


@pytest.mark.requirement("AUTH-17")
@pytest.mark.known_mistake(27)
@pytest.mark.parametrize(
    "query", ["versionId=null", "partNumber=1", "response-content-type=a", "x-id=PutObject"]
)
def test_no_parameter_widens_a_right(keys: Keys, query: str) -> None:
    """RustFS GHSA-3ppv: ?versionId= was checked as another action."""
    assert keys.clients["writer"].request("GET", f"/{BUCKET}/k", query).verdict == (403, "AccessDenied")
    assert keys.clients["reader"].request("DELETE", f"/{BUCKET}/k", query).status in (400, 403)


@pytest.mark.requirement("AUTH-17")
@pytest.mark.known_mistake(31, 32)
@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "127.0.0.1"},
        {"x-real-ip": "127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"userid": "root"},
        {"username": "root"},
        {"x-amz-userid": "root"},
        {"x-original-url": "/"},
        {"x-rewrite-url": "/"},
        {"x-http-method-override": "PUT"},
    ],
)
def test_no_header_widens_a_right(keys: Keys, headers: dict[str, str]) -> None:
    """CVE-2026-21862 and GHSA-6r96 (RustFS): headers of the client decided about its rights."""
    client = keys.clients["elsewhere"]
    assert client.request("GET", f"/{SECRET}/k", headers=headers).verdict == (403, "AccessDenied")
    assert client.request("PUT", f"/{SECRET}/new", headers=headers).verdict == (403, "AccessDenied")


@pytest.mark.requirement("AUTH-17", "COPY-12")
def test_a_copy_needs_both_rights(keys: Keys, new_name: Callable[[], str]) -> None:
    client = keys.create(new_name(), "--bucket", SECRET, "--read")
    headers = {"x-amz-copy-source": f"/{SECRET}/k"}
    assert client.request("PUT", f"/{TARGET}/copy", headers=headers).verdict == (403, "AccessDenied")
    assert client.request("PUT", f"/{SECRET}/copy", headers=headers).verdict == (403, "AccessDenied")


@pytest.mark.requirement("AUTH-17")
def test_the_buckets_that_a_key_makes_are_its_own(keys: Keys, new_name: Callable[[], str]) -> None:
    creator, name = keys.clients["creator"], new_name()
    assert creator.request("PUT", f"/{name}").status == 200
    assert creator.request("PUT", f"/{name}/k", body=b"x").status == 200
    strangers = {
        other: client.request("DELETE", f"/{name}/k").verdict
        for other, client in keys.clients.items()
        if client is not creator
    }
    assert set(strangers.values()) == {(403, "AccessDenied")}
    assert keys.clients["both"].request("PUT", f"/{name}").status in (403, 409)
    assert creator.request("GET", f"/{name}/k").body == b"x"
    assert creator.request("GET", "/").texts("Buckets/Bucket/Name").count(name) == 1


@pytest.mark.requirement("AUTH-06", "AUTH-05")
def test_a_key_that_was_deleted_or_rotated_is_refused_at_once(
    keys: Keys, new_name: Callable[[], str]
) -> None:
    name = new_name()
    client = keys.create(name, "--bucket", BUCKET, "--read")
    assert client.request("GET", f"/{BUCKET}").status == 200
    secret = keys.run("rotate", name)["secret_access_key"]
    assert client.request("GET", f"/{BUCKET}").verdict == (403, "SignatureDoesNotMatch")
    assert replace(client, secret_access_key=secret).request("GET", f"/{BUCKET}").status == 200
    keys.run("delete", name)
    assert replace(client, secret_access_key=secret).request("GET", f"/{BUCKET}").verdict == (
        403,
        "InvalidAccessKeyId",
    )
