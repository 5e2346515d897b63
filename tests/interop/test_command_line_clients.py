"""The command-line clients: AWS CLI v2, rclone, s5cmd, s3cmd and restic."""

from __future__ import annotations

import itertools
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.interop.clients import Shell, skip_unavailable, tool
from tests.interop.serving import ServedProcess

Record = Callable[[str, str, str], None]
ODD_NAMES = (
    "plain {}.txt",
    "ünï cödé {}.txt",
    "日本語 {}.txt",
    "a + b {}",
    "100% {}%2F%20",
    "sp  ace {} ",
    "semi;colon, & amp= {}#?",
    "'quote\" {}~!@$^()[]{{}}",
    "emoji 🪣 {}",
    "-dash {}",
)


def _tree(directory: Path, count: int) -> dict[str, bytes]:
    """Write `count` small files with names that clients get wrong; returns relative path to content."""
    files: dict[str, bytes] = {}
    for number, pattern in zip(range(count), itertools.cycle(ODD_NAMES), strict=False):
        relative = f"dir {number % 7} +%/sub é/{pattern.format(number)}"
        files[relative] = f"content of {relative}".encode()
        path = directory / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[relative])
    return files


def _read_tree(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def _objects(s3: Any, bucket: str, prefix: str = "") -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


@pytest.fixture
def rclone(shell: Shell) -> Callable[..., str]:
    """Runs rclone with a remote named `s3` for the server."""
    program = tool("rclone")
    remote = {
        "RCLONE_CONFIG_S3_TYPE": "s3",
        "RCLONE_CONFIG_S3_PROVIDER": "Other",
        "RCLONE_CONFIG_S3_ENV_AUTH": "true",
        "RCLONE_CONFIG_S3_ENDPOINT": shell.server.endpoint,
        "RCLONE_CONFIG_S3_REGION": "us-east-1",
        "RCLONE_CONFIG": "",
    }
    return lambda *words: shell.run(program, *words, "--transfers=8", "--checkers=8", "--retries=1", **remote)


def _rclone_version(rclone: Callable[..., str]) -> str:
    return rclone("version").split()[1].removeprefix("v")


def test_rclone_syncs_2000_files_with_odd_names_and_finds_no_difference(
    rclone: Callable[..., str],
    s3: Any,
    served: ServedProcess,
    name: str,
    tmp_path: Path,
    record_client: Record,
) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    files = _tree(source, 2000)
    rclone("mkdir", f"s3:{name}")
    rclone("sync", source, f"s3:{name}/top")
    assert _objects(s3, name, "top/") == sorted((f"top/{path}" for path in files), key=str.encode)
    served.restart()
    rclone("check", source, f"s3:{name}/top")
    rclone("sync", f"s3:{name}/top", back)
    assert _read_tree(back) == files
    gone = sorted(files)[:100]
    for path in gone:
        (source / path).unlink()
    rclone("sync", source, f"s3:{name}/top")
    assert len(_objects(s3, name)) == 1900
    rclone("check", source, f"s3:{name}/top", "--download")
    rclone("purge", f"s3:{name}")
    what = "sync up and down, check, purge of 2,000 files with unicode, spaces, +, % in their names"
    record_client("rclone", _rclone_version(rclone), what)


def test_rclone_syncs_keys_with_leading_and_double_slashes_between_buckets(
    rclone: Callable[..., str], s3: Any, name: str, record_client: Record
) -> None:
    keys = [
        f"{lead}a {n}{middle}b+%/é"
        for n in range(10)
        for lead in ("", "/", "//")
        for middle in ("/", "//", "///")
    ]
    other = f"{name}-copy"
    for bucket in (name, other):
        s3.create_bucket(Bucket=bucket)
    for key in keys:
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    assert _objects(s3, name) == sorted(keys, key=str.encode)
    rclone("sync", f"s3:{name}", f"s3:{other}")
    rclone("check", f"s3:{name}", f"s3:{other}")
    assert _objects(s3, other) == sorted(keys, key=str.encode)
    for key in keys[::17]:
        assert s3.get_object(Bucket=other, Key=key)["Body"].read() == key.encode()
    record_client(
        "rclone", _rclone_version(rclone), "sync and check between buckets, leading and double slashes"
    )


def test_rclone_takes_up_a_sync_that_a_kill_cut_short(
    rclone: Callable[..., str],
    s3: Any,
    served: ServedProcess,
    name: str,
    tmp_path: Path,
    record_client: Record,
) -> None:
    source = tmp_path / "source"
    files = _tree(source, 60)
    (source / "large").write_bytes(bytes(range(256)) * (48 << 12))
    s3.create_bucket(Bucket=name)
    rclone("sync", source / "dir 0 +%", f"s3:{name}/dir 0 +%")
    served.restart()
    rclone("sync", source, f"s3:{name}", "--s3-upload-cutoff=5M", "--s3-chunk-size=5M")
    served.restart()
    rclone("check", source, f"s3:{name}", "--download")
    assert len(_objects(s3, name)) == len(files) + 1
    record_client("rclone", _rclone_version(rclone), "sync, kill, sync (multipart), kill, check --download")


@pytest.fixture
def aws(shell: Shell) -> Callable[..., str]:
    """Runs the AWS CLI v2."""
    program = tool("aws")
    if not shell.run(program, "--version").startswith("aws-cli/2"):
        skip_unavailable("aws")

    def run(*words: str, fails: bool = False) -> str:
        return shell.run(program, "--endpoint-url", shell.server.endpoint, *words, fails=fails)

    return run


def test_the_aws_cli_copies_syncs_presigns_and_removes(
    aws: Callable[..., str], s3: Any, served: ServedProcess, name: str, tmp_path: Path, record_client: Record
) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    files = _tree(source, 60)
    large = bytes(range(256)) * (20 << 12)
    (source / "large.bin").write_bytes(large)
    assert "make_bucket" in aws("s3", "mb", f"s3://{name}")
    aws("s3", "cp", str(source / "large.bin"), f"s3://{name}/large + copy.bin", "--no-progress")
    aws("s3", "sync", str(source), f"s3://{name}/tree", "--no-progress", "--size-only")
    served.restart()
    assert aws("s3", "sync", str(source), f"s3://{name}/tree", "--no-progress", "--size-only") == ""
    aws("s3", "sync", f"s3://{name}/tree", str(back), "--no-progress")
    assert _read_tree(back) == files | {"large.bin": large}
    url = aws("s3", "presign", f"s3://{name}/large + copy.bin", "--expires-in", "60").strip()
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == large
    assert "PRE tree/" in aws("s3", "ls", f"s3://{name}/")
    assert "BucketNotEmpty" in aws("s3", "rb", f"s3://{name}", fails=True)
    aws("s3", "rb", "--force", f"s3://{name}")
    assert name not in aws("s3", "ls")
    version = aws("--version").split()[0].removeprefix("aws-cli/")
    record_client("AWS CLI", version, "mb, cp (multipart), sync up and down, presign, ls, rb --force")


def test_the_aws_cli_speaks_https(
    served_tls: ServedProcess, name: str, tmp_path: Path, record_client: Record
) -> None:
    program = tool("aws")
    shell = Shell(tmp_path, served_tls)
    if not shell.run(program, "--version").startswith("aws-cli/2"):
        skip_unavailable("aws")
    (tmp_path / "file").write_bytes(b"over TLS" * (2 << 20))
    words = [program, "--endpoint-url", served_tls.endpoint, "--ca-bundle", str(served_tls.certificate), "s3"]
    shell.run(*words, "mb", f"s3://{name}")
    shell.run(*words, "cp", "file", f"s3://{name}/file", "--no-progress")
    shell.run(*words, "cp", f"s3://{name}/file", "back", "--no-progress")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    shell.run(*words, "rb", "--force", f"s3://{name}")
    version = shell.run(program, "--version").split()[0].removeprefix("aws-cli/")
    record_client("AWS CLI", version, "mb, cp, rb over HTTPS")


def test_s5cmd_copies_syncs_and_removes_in_parallel(
    shell: Shell, s3: Any, served: ServedProcess, name: str, tmp_path: Path, record_client: Record
) -> None:
    program = tool("s5cmd")

    def s5cmd(*words: str | Path) -> str:
        return shell.run(program, "--endpoint-url", served.endpoint, *words)

    source, back = tmp_path / "source", tmp_path / "back"
    files = {f"d{n % 5}/ünï + {n}.txt": f"{n}".encode() for n in range(200)}
    for path, body in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(body)
    (source / "large").write_bytes(bytes(range(256)) * (60 << 12))
    s5cmd("mb", f"s3://{name}")
    s5cmd("cp", f"{source}/", f"s3://{name}/copied/")
    served.restart()
    s5cmd("sync", f"{source}/", f"s3://{name}/copied/")
    s5cmd("cp", f"s3://{name}/copied/*", f"{back}/")
    assert _read_tree(back) == _read_tree(source)
    assert len(s5cmd("ls", f"s3://{name}/copied/d1/*").splitlines()) == 40
    s5cmd("mv", f"s3://{name}/copied/large", f"s3://{name}/moved")
    assert s5cmd("cat", f"s3://{name}/copied/d1/ünï + 1.txt") == "1"
    s5cmd("rm", f"s3://{name}/*")
    assert _objects(s3, name) == []
    s5cmd("rb", f"s3://{name}")
    record_client(
        "s5cmd", s5cmd("version").split("-")[0].removeprefix("v"), "mb, cp, sync, ls, cat, mv, rm, rb"
    )


def test_s3cmd_puts_syncs_and_removes(
    shell: Shell, s3: Any, served: ServedProcess, name: str, tmp_path: Path, record_client: Record
) -> None:
    program = tool("s3cmd")
    config = shell.home / "s3cfg"
    config.write_text(
        f"[default]\naccess_key = {served.access_key_id}\nsecret_key = {served.secret_access_key}\n"
        f"host_base = {served.host}\nhost_bucket = {served.host}\nuse_https = False\n"
    )

    def s3cmd(*words: str | Path) -> str:
        return shell.run(program, "-c", config, "--no-progress", *words)

    source, back = tmp_path / "source", tmp_path / "back"
    files = _tree(source, 30)
    (source / "large").write_bytes(bytes(range(256)) * (32 << 12))
    back.mkdir()
    s3cmd("mb", f"s3://{name}")
    s3cmd("put", "--multipart-chunk-size-mb=5", source / "large", f"s3://{name}/large + ü")
    s3cmd("sync", f"{source}/", f"s3://{name}/tree/")
    served.restart()
    s3cmd("sync", f"s3://{name}/tree/", f"{back}/")
    assert _read_tree(back) == files | {"large": (source / "large").read_bytes()}
    s3cmd("cp", f"s3://{name}/large + ü", f"s3://{name}/copied")
    s3cmd("get", f"s3://{name}/copied", back / "copied")
    assert (back / "copied").read_bytes() == (source / "large").read_bytes()
    assert "MD5 sum" in s3cmd("info", f"s3://{name}/tree/large")
    s3cmd("modify", "--add-header=x-amz-meta-shade:blue", f"s3://{name}/copied")
    assert s3.head_object(Bucket=name, Key="copied")["Metadata"].get("shade") == "blue"
    with urllib.request.urlopen(s3cmd("signurl", f"s3://{name}/copied", "+60").strip(), timeout=30) as answer:
        assert len(answer.read()) == (source / "large").stat().st_size
    s3cmd("del", "--recursive", "--force", f"s3://{name}")
    s3cmd("rb", f"s3://{name}")
    version = s3cmd("--version").split()[-1]
    record_client(
        "s3cmd", version, "mb, put (multipart), sync up and down, cp, get, info, modify, signurl, del, rb"
    )


def test_restic_backs_up_checks_and_restores_across_kills(
    shell: Shell, served: ServedProcess, name: str, tmp_path: Path, record_client: Record
) -> None:
    program = tool("restic")

    def restic(*words: str | Path) -> str:
        repository = f"s3:{served.endpoint}/{name}/backups"
        return shell.run(program, "-r", repository, *words, RESTIC_PASSWORD="of the test")

    source, target = tmp_path / "source", tmp_path / "target"
    files = _tree(source, 100)
    (source / "large").write_bytes(b"".join(n.to_bytes(4, "big") for n in range(4 << 20)))
    restic("init")
    restic("backup", source)
    served.restart()
    restic("check", "--read-data")
    (source / "added").write_bytes(b"later")
    restic("backup", source)
    served.restart()
    restic("check", "--read-data")
    restic("restore", "latest", "--target", target)
    restored = _read_tree(target / source.relative_to("/"))
    assert restored == files | {"large": (source / "large").read_bytes(), "added": b"later"}
    restic("forget", "--keep-last", "1", "--prune")
    found = re.findall(r"^[0-9a-f]{8} ", restic("snapshots"), re.MULTILINE)
    assert len(found) == 1
    version = restic("version").split()[1]
    record_client(
        "restic", version, "init, backup, check --read-data, restore, forget --prune across two kills"
    )
