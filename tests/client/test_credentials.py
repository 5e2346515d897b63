"""The chain of credentials: what wins, what is refused, and that no secret is ever told."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from anys3.client import credentials
from anys3.client.credentials import Found, NoCredentials
from anys3.client.signing import Credentials

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "secret-env"}


@pytest.fixture(autouse=True)
def _botocore_finds_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep botocore's longer chain from this machine's files, and from asking the network."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("BOTO_CONFIG", str(tmp_path / "none"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / ".aws").mkdir(parents=True)
    return folder


def write(home: Path, name: str, text: str) -> None:
    (home / ".aws" / name).write_text(text, "utf-8")


TWO_PROFILES = """
[default]
aws_access_key_id = AKDEFAULT
aws_secret_access_key = secret%default=

[other]
aws_access_key_id = AKOTHER
aws_secret_access_key = secret-other
aws_session_token = token-other
"""


def test_the_environment_comes_first(home: Path) -> None:
    write(home, "credentials", TWO_PROFILES)
    environment = {**ENVIRONMENT, "AWS_SESSION_TOKEN": "t", "AWS_DEFAULT_REGION": "r", "AWS_PROFILE": "other"}
    found = credentials.find(environment, home)
    assert found == Found(Credentials("AKENV", "secret-env", "t"), "r", "environment")


def test_a_profile_that_is_asked_for_comes_before_the_environment(home: Path) -> None:
    write(home, "credentials", TWO_PROFILES)
    found = credentials.find(ENVIRONMENT, home, "other")
    assert found == Found(Credentials("AKOTHER", "secret-other", "token-other"), None, "profile other")


def test_the_default_profile_is_last(home: Path) -> None:
    write(home, "credentials", TWO_PROFILES)
    found = credentials.find({}, home)
    assert found == Found(Credentials("AKDEFAULT", "secret%default="), None, "profile default")


def test_a_profile_is_named_by_the_environment(home: Path) -> None:
    write(home, "credentials", TWO_PROFILES)
    assert credentials.find({"AWS_PROFILE": "other"}, home).credentials.access_key_id == "AKOTHER"


def test_the_region_is_of_the_environment_then_of_the_profile(home: Path) -> None:
    write(home, "credentials", TWO_PROFILES)
    write(home, "config", "[default]\nregion = eu-north-1\n[profile other]\nregion = eu-south-1\n")
    regions = [
        credentials.find({}, home).region,
        credentials.find({}, home, "other").region,
        credentials.find({"AWS_DEFAULT_REGION": "d"}, home).region,
        credentials.find({"AWS_DEFAULT_REGION": "d", "AWS_REGION": "r"}, home).region,
    ]
    assert regions == ["eu-north-1", "eu-south-1", "d", "r"]


def test_the_credentials_file_comes_before_the_config_file(home: Path) -> None:
    write(home, "config", "[default]\naws_access_key_id = AKCONFIG\naws_secret_access_key = s\n")
    assert credentials.find({}, home).credentials.access_key_id == "AKCONFIG"
    write(home, "credentials", TWO_PROFILES)
    assert credentials.find({}, home).credentials.access_key_id == "AKDEFAULT"


def test_the_files_can_be_elsewhere(home: Path, tmp_path: Path) -> None:
    (tmp_path / "c").write_text(TWO_PROFILES, "utf-8")
    (tmp_path / "f").write_text("[default]\nregion = xx\n", "utf-8")
    environment = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "c"),
        "AWS_CONFIG_FILE": str(tmp_path / "f"),
    }
    found = credentials.find(environment, home)
    assert (found.credentials.access_key_id, found.region) == ("AKDEFAULT", "xx")


def process(home: Path, source: str) -> None:
    write(home, "config", f"[default]\ncredential_process = {sys.executable} -c '{source}'\n")


def test_a_process_gives_credentials(home: Path) -> None:
    row = {"Version": 1, "AccessKeyId": "AKP", "SecretAccessKey": "s", "SessionToken": "t"}
    script = home / "give.py"
    script.write_text(f"print({json.dumps(json.dumps(row))})", "utf-8")
    write(home, "config", f"[default]\ncredential_process = {sys.executable} {script}\n")
    assert credentials.find({}, home).credentials == Credentials("AKP", "s", "t")


@pytest.mark.parametrize(
    "source",
    [
        "raise SystemExit(3)",
        "print(1)",
        "print([])",
        "print(dict())",
        'print("zebra-secret")',
        'import sys; sys.exit("zebra-secret")',
    ],
)
def test_a_process_that_fails_is_told_without_what_it_said(home: Path, source: str) -> None:
    process(home, source)
    with pytest.raises(NoCredentials, match="credential_process failed") as refused:
        credentials.find({}, home)
    assert "zebra" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "zebra-secret without a section",
        "[default]\nzebra-secret\n",
        "[default\naws_secret_access_key = zebra\n",
    ],
)
def test_a_file_that_is_none_is_told_without_what_is_in_it(home: Path, text: str) -> None:
    write(home, "credentials", text)
    with pytest.raises(NoCredentials, match="is not a file of profiles") as refused:
        credentials.find({}, home)
    assert "zebra" not in str(refused.value)


def test_a_file_that_is_no_text_is_refused(home: Path) -> None:
    (home / ".aws" / "credentials").write_bytes(b"\xff\xfe[default]")
    with pytest.raises(NoCredentials, match="not UTF-8"):
        credentials.find({}, home)


def test_half_a_pair_is_refused_without_the_half() -> None:
    with pytest.raises(NoCredentials, match="AWS_SECRET_ACCESS_KEY is not: set both") as refused:
        credentials.find({"AWS_ACCESS_KEY_ID": "zebra"}, Path("/nonexistent"))
    assert "zebra" not in str(refused.value)


def test_where_nothing_is_found_the_places_are_named(home: Path) -> None:
    with pytest.raises(NoCredentials, match="AWS_ACCESS_KEY_ID.*profile default of"):
        credentials.find({}, home)
    with pytest.raises(NoCredentials, match="no credentials in profile missing of"):
        credentials.find({}, home, "missing")
