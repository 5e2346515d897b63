"""The pytest plugin: a real S3 server for tests, in process, on a free port, with signatures verified.

    def test_upload(s3_client, s3_bucket):
        s3_client.put_object(Bucket=s3_bucket, Key="a", Body=b"1")

Needs the extra `anys3[pytest]`. Every pytest-xdist worker has a server of its own. Importing this module
is cheap: server and boto3 are loaded by the first test that asks for them.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from anys3.server.embedding import Server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """A server that keeps everything in memory, for the whole test run: `endpoint_url`, key pair, `client()`."""
    from anys3.server.embedding import Server  # noqa: PLC0415 (most test runs never ask for it)

    with Server() as server:
        yield server


@pytest.fixture
def s3_client(s3_server: Server) -> Iterator[Any]:
    """A boto3 S3 client with the root key."""
    client = s3_server.client()
    yield client
    client.close()


@pytest.fixture
def s3_bucket(s3_server: Server) -> Iterator[str]:
    """The name of a fresh, empty bucket; it is emptied and deleted after the test."""
    client = s3_server.client()
    name = f"test-{os.getpid()}-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    yield name
    _delete_bucket(client, name)
    client.close()


@pytest.fixture
def s3_env(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment in which every AWS SDK and tool uses the server; also set in `os.environ`."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    # Neither the developer's own files nor a cloud's metadata service may play a part.
    values = {
        **s3_server.env,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


def _delete_bucket(client: Any, name: str) -> None:
    """Delete a bucket and all that is in it; one that the test deleted is no error."""
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            objects = [{"Key": row["Key"]} for row in page.get("Contents", [])]
            if objects:
                client.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
        client.delete_bucket(Bucket=name)
    except client.exceptions.NoSuchBucket:
        pass
