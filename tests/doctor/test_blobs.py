"""What the doctor says of blobs in a bucket of another S3, and in a directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from anys3.client.answers import Answer
from anys3.store.files import examining as files
from anys3.store.files import open_blobs
from anys3.store.s3 import examining as s3
from tests.doctor.findings import clock, levels, worst
from tests.store.s3_provider import BUCKET, Provider

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@pytest.fixture
def provider(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """Another S3, whose root key this process has."""
    for name, value in provider.environment.items():
        monkeypatch.setenv(name, value)
    return provider


def url(provider: Provider, bucket: str = BUCKET) -> str:
    return f"s3://{bucket}/site?endpoint={provider.url}&region=us-east-1"


def answer(status: int, root: str, text: str = "") -> Answer:
    return Answer(status, (), f'<{root} xmlns="{NAMESPACE}">{text}</{root}>'.encode())


# --- another S3 ---------------------------------------------------------------------------------------


def test_a_bucket_of_a_provider_is_well(provider: Provider) -> None:
    found = levels(s3.examine(url(provider), clock))
    wanted = ("blobs", "clock", "transport", "probe")
    assert {id: found[id] for id in wanted} == dict.fromkeys(wanted, "ok")


def test_a_bucket_that_is_not_there_is_told(provider: Provider) -> None:
    finding = worst(s3.examine(url(provider, "nowhere"), clock))["blobs"]
    assert (finding.level, "NoSuchBucket" in finding.found) == ("problem", True)


def test_a_wrong_secret_is_told_and_not_shown(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-right-secret")
    finding = worst(s3.examine(url(provider), clock))["blobs"]
    assert (finding.level, "not-the-right" in str(finding)) == ("problem", False)


def test_a_provider_whose_clock_is_wrong_is_told(provider: Provider) -> None:
    assert levels(s3.examine(url(provider), lambda: clock() - 300))["clock"] == "problem"


@pytest.mark.parametrize(
    ("rule", "level"),
    [
        ("<Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>9</Days></Expiration>", "ok"),
        ("<Status>Enabled</Status><Filter><Prefix/></Filter><Expiration><Days>9</Days></Expiration>", "problem"),
        ("<Status>Enabled</Status><Prefix>site/a</Prefix><Expiration><Days>9</Days></Expiration>", "problem"),
        ("<Status>Disabled</Status><Filter/><Expiration><Days>9</Days></Expiration>", "ok"),
        ("<Status>Enabled</Status><Filter/><NoncurrentVersionExpiration/>", "ok"),
    ],
)  # fmt: skip
def test_a_rule_that_would_expire_blobs_is_told(rule: str, level: str) -> None:
    document = answer(200, "LifecycleConfiguration", f"<Rule><ID>one</ID>{rule}</Rule>")
    assert s3.of_lifecycle(document, "site/").level == level


@pytest.mark.parametrize(
    ("answered", "level"),
    [
        (answer(404, "Error", "<Code>NoSuchLifecycleConfiguration</Code>"), "ok"),
        (answer(501, "Error", "<Code>NotImplemented</Code>"), "note"),
        (None, "note"),
    ],
)
def test_rules_that_are_not_told_are_a_note(answered: Answer | None, level: str) -> None:
    assert s3.of_lifecycle(answered, "site/").level == level


@pytest.mark.parametrize(("text", "level"), [("<Status>Enabled</Status>", "note"), ("", "ok")])
def test_a_bucket_with_versions_is_told(text: str, level: str) -> None:
    assert s3.of_versioning(answer(200, "VersioningConfiguration", text)).level == level


# --- a directory --------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that holds blobs."""
    blobs = open_blobs(f"file:{tmp_path / 'blobs'}")
    blobs.check()
    return tmp_path / "blobs"


def test_a_directory_with_blobs_is_well(directory: Path) -> None:
    found = levels(files.examine(f"file:{directory}", clock))
    assert (found["blobs"], found["mode"], found["probe"]) == ("ok", "ok", "ok")


def test_a_directory_that_may_not_be_mounted_is_told(tmp_path: Path) -> None:
    found = levels(files.examine(f"file:{tmp_path}", clock))
    assert (found["blobs"], "probe" in found, list(tmp_path.iterdir())) == ("note", False, [])


def test_a_directory_in_none_is_told(tmp_path: Path) -> None:
    (finding,) = files.examine(f"file:{tmp_path / 'a' / 'b'}", clock)
    assert finding.level == "problem"


def test_a_directory_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("something else\n")
    (finding,) = files.examine(f"file:{tmp_path}", clock)
    assert (finding.level, "something else" in finding.found) == ("problem", True)


def test_a_directory_that_others_can_enter_is_told(directory: Path) -> None:
    directory.chmod(0o750)
    assert levels(files.examine(f"file:{directory}", clock))["mode"] == "warning"


@pytest.mark.parametrize(
    ("kind", "level"),
    [("nfs4", "ok"), ("ceph", "ok"), ("tmpfs", "problem"), ("overlay", "warning"), ("ext4", "note")],
)
def test_file_systems_are_told_apart_by_who_can_mount_them(kind: str, level: str) -> None:
    assert files.of_kind(kind).level == level


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_directory_is_told(tmp_path: Path) -> None:
    options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("a file system can't be mounted here")
    try:
        (tmp_path / "blobs").mkdir()
        (tmp_path / "blobs" / "filler").write_bytes(bytes(2 << 20))
        found = levels(files.examine(f"file:{tmp_path / 'blobs'}", clock))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert (found["room"], found["file-system"]) == ("problem", "problem")
