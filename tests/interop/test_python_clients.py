"""boto3 and the other Python clients, each killed server in between: what was acknowledged is there."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from tests.interop.clients import PROGRAMS, Shell, built, distribution
from tests.interop.serving import ServedProcess

Record = Callable[[str, str, str], None]
ClientOf = Callable[[ServedProcess], Any]
MIB = 1 << 20
LARGE = 300 * MIB


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file of 300 MiB in which no two blocks are equal, with its SHA-256."""
    path = tmp_path_factory.mktemp("large") / "large.bin"
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for number in range(LARGE // MIB):
            block = hashlib.shake_128(str(number).encode()).digest(4096) * (MIB // 4096)
            file.write(block)
            digest.update(block)
    return path, digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_boto3s_transfer_manager_moves_300_mib_both_ways(
    scheme: str,
    request: pytest.FixtureRequest,
    client_of: ClientOf,
    large: tuple[Path, str],
    name: str,
    tmp_path: Path,
    record_client: Record,
) -> None:
    process = request.getfixturevalue("served" if scheme == "http" else "served_tls")
    s3 = client_of(process)
    s3.create_bucket(Bucket=name)
    path, digest = large
    config = TransferConfig(max_concurrency=4)
    s3.upload_file(str(path), name, "large.bin", Config=config)
    head = s3.head_object(Bucket=name, Key="large.bin", ChecksumMode="ENABLED")
    assert head["ContentLength"] == LARGE
    assert head["ETag"].strip('"').endswith(f"-{-(-LARGE // config.multipart_chunksize)}")
    process.restart()
    back = tmp_path / "back.bin"
    s3.download_file(name, "large.bin", str(back), Config=config)
    assert _sha256(back) == digest
    back.unlink()
    s3.delete_object(Bucket=name, Key="large.bin")
    s3.delete_bucket(Bucket=name)
    record_client("boto3", boto3.__version__, f"transfer manager, 300 MiB up and down over {scheme.upper()}")


def test_boto3_with_default_settings_does_the_everyday_operations(
    s3: Any, served: ServedProcess, name: str, record_client: Record
) -> None:
    s3.create_bucket(Bucket=name)
    put = s3.put_object(
        Bucket=name,
        Key="odd/ü %2B+ 'x'",
        Body=io.BytesIO(b"body"),
        Metadata={"shade": "blue"},
        ContentType="a/b",
    )
    assert put["ChecksumCRC32"] == base64.b64encode(zlib.crc32(b"body").to_bytes(4, "big")).decode()
    got = s3.get_object(Bucket=name, Key="odd/ü %2B+ 'x'")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"body", "a/b", {"shade": "blue"})
    assert got["ETag"] == put["ETag"]
    tags = {"TagSet": [{"Key": "k", "Value": "v ü"}]}
    s3.put_object_tagging(Bucket=name, Key="odd/ü %2B+ 'x'", Tagging=tags)
    s3.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": "odd/ü %2B+ 'x'"})
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=name, Key="copy", Body=b"", IfMatch='"0"')
    assert refused.value.response["Error"]["Code"] == "PreconditionFailed"
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=name, Key="absent")
    served.restart()
    assert s3.get_object_tagging(Bucket=name, Key="copy")["TagSet"] == tags["TagSet"]
    assert s3.head_object(Bucket=name, Key="copy")["Metadata"] == {"shade": "blue"}
    attributes = s3.get_object_attributes(Bucket=name, Key="copy", ObjectAttributes=["ETag", "ObjectSize"])
    assert (attributes["ObjectSize"], attributes["ETag"]) == (4, put["ETag"].strip('"'))
    removed = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "copy"}, {"Key": "absent"}]})
    assert {entry["Key"] for entry in removed["Deleted"]} == {"copy", "absent"}
    with pytest.raises(ClientError) as refused:
        s3.delete_bucket(Bucket=name)
    assert refused.value.response["Error"]["Code"] == "BucketNotEmpty"
    s3.delete_object(Bucket=name, Key="odd/ü %2B+ 'x'")
    s3.delete_bucket(Bucket=name)
    what = "default checksums, metadata, tags, copy, conditions, attributes, batch delete"
    record_client("boto3", boto3.__version__, what)


def test_boto3_signs_with_sigv2(
    client_of: Callable[..., Any], served: ServedProcess, name: str, record_client: Record
) -> None:
    s3 = client_of(served, signature_version="s3")  # botocore signs /bucket/ for the path /bucket it sends
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="ü + %.txt", Body=b"signed", Metadata={"shade": "blue"})
    assert s3.get_object(Bucket=name, Key="ü + %.txt")["Body"].read() == b"signed"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=name)["Contents"]] == ["ü + %.txt"]
    s3.delete_object(Bucket=name, Key="ü + %.txt")
    s3.delete_bucket(Bucket=name)
    record_client("boto3", boto3.__version__, "SigV2: put, get, list, delete")


def test_every_put_that_was_acknowledged_survives_a_kill_under_load(
    client_of: Callable[..., Any], served: ServedProcess, name: str, record_client: Record
) -> None:
    s3 = client_of(served, retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
    s3.create_bucket(Bucket=name)
    acknowledged: dict[str, bytes] = {}
    enough, killed = threading.Event(), threading.Event()

    def write(worker: int) -> None:
        number = 0
        while not killed.is_set():
            key = f"{worker}/{number:06d}"
            body = key.encode() * (1 + number % 7 * 2500)
            number += 1
            try:
                s3.put_object(Bucket=name, Key=key, Body=body)
            except (ClientError, BotoCoreError):
                return
            acknowledged[key] = body
            if len(acknowledged) >= 200:
                enough.set()

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, worker) for worker in range(4)]
        assert enough.wait(60)
        served.kill()
        killed.set()
        for writer in writers:
            writer.result()
    served.start()
    listed = {
        item["Key"]: item["Size"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name)
        for item in page["Contents"]
    }
    assert set(acknowledged) <= set(listed)
    # One put of each writer may have been committed and not answered; nothing else can have appeared.
    assert len(listed) <= len(acknowledged) + 4
    for key, body in acknowledged.items():
        assert s3.get_object(Bucket=name, Key=key)["Body"].read() == body
    record_client(
        "boto3", boto3.__version__, "killed the server under 4 writers: every acknowledged object is there"
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_aioboto3_writes_in_parallel_and_reads_it_back_after_a_kill(
    scheme: str, request: pytest.FixtureRequest, tmp_path: Path, name: str, record_client: Record
) -> None:
    python = built("aio", "aio", "bin", "python")
    process = request.getfixturevalue("served" if scheme == "http" else "served_tls")
    shell = Shell(tmp_path, process)
    more = {"CERTIFICATE": str(process.certificate)} if process.certificate else {}
    shell.program(name, python, PROGRAMS / "aioboto3_program.py", "first", **more)
    process.restart()
    version = shell.program(name, python, PROGRAMS / "aioboto3_program.py", "second", **more)
    record_client(
        "aioboto3", version, f"50 puts at once, transfer manager, pages, batch delete over {scheme.upper()}"
    )


WHAT = {
    "s3fs": "fsspec files: buffered writes, seek, glob, find, mv, cp, recursive rm",
    "obstore": "create-only and compare-and-swap puts, multipart, ranges, list, copy, rename",
    "opendal": "write, buffered file, seek, copy, list, delete",
    "pyarrow": "S3FileSystem: partitioned Parquet dataset written and filtered, streams, copy, delete_dir",
    "duckdb": "httpfs: Parquet and CSV written and read, hive partitions, glob",
}


@pytest.mark.parametrize("client", list(WHAT))
def test_a_python_client_writes_and_reads_it_back_after_a_kill(
    client: str, shell: Shell, s3: Any, served: ServedProcess, name: str, record_client: Record
) -> None:
    if client == "s3fs":
        python = built("aio", "aio", "bin", "python")
    else:
        distribution(client)
        python = Path(sys.executable)
        if client == "duckdb":
            distribution("duckdb-extension-httpfs")
    if client in ("obstore", "opendal", "duckdb"):  # these have no call that makes a bucket
        s3.create_bucket(Bucket=name)
    program = PROGRAMS / f"{client}_program.py"
    shell.program(name, python, program, "first")
    served.restart()
    version = shell.program(name, python, program, "second")
    record_client(client, version, WHAT[client])
