"""Runs as a user makes them: over HTTPS, by the command line, cleaned up whatever happens."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broken_servers import MAIN, BreakableServer, accepting
from tests.rawclient import RawClient

START_S = 30


def check(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "anys3", "check", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def bucket_names(breakable: BreakableServer) -> list[str]:
    client = RawClient(
        f"https://127.0.0.1:{breakable.port}",
        MAIN.access_key_id,
        MAIN.secret_access_key,
        ca_file=breakable.ca_file,
    )
    return client.request("GET", "/").texts("Buckets/Bucket/Name")


@pytest.fixture(autouse=True)
def _nothing_is_left(breakable: BreakableServer, tmp_path: Path) -> Iterator[None]:
    before = bucket_names(breakable)  # what broken servers of other tests stored, and no whole one deletes
    yield
    assert bucket_names(breakable) == before
    assert list(tmp_path.glob(".local/state/anys3/check/*")) == []


def test_our_server_is_conformant_at_every_tier_and_the_run_is_small(environment: dict[str, str]) -> None:
    ended = check(environment, "--second-profile", "second", "--json")
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert [(tier["name"], tier["verdict"]) for tier in report["tiers"]] == [
        (f"tier-{number}", "CONFORMANT") for number in (1, 2, 3)
    ]
    assert {result["outcome"] for result in report["results"]} == {"PASS"}
    assert report["transport"] == "TLSv1.3"
    assert report["leftovers"] == []
    assert sum(report["requests"].values()) < 3000
    assert report["sent_bytes"] < 100 << 20


def test_a_quick_run_asks_each_operation_once(environment: dict[str, str]) -> None:
    ended = check(environment, "--quick", "--json")
    report = json.loads(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    operations = [result["operation"] for result in report["results"]]
    assert len(operations) == len(set(operations)) >= 28


def test_nobody_is_told_what_needs_no_key(environment: dict[str, str]) -> None:
    nobody = {name: value for name, value in environment.items() if name != "AWS_SHARED_CREDENTIALS_FILE"}
    ended = check(nobody, "--unauthenticated", "--json")
    report = json.loads(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    assert {"HTTP-01", "HTTP-25", "ERR-01", "CORS-02"} <= set(report["requirements"])


def test_selected_musts_that_pass_end_with_0(environment: dict[str, str]) -> None:
    ended = check(environment, "PUT-03", "--json")
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["requirements"] == {"PUT-03": "PASS"}
    assert report["tiers"][0]["verdict"] == "INCOMPLETE"


def test_a_badge_is_an_image_or_what_shields_io_reads(environment: dict[str, str], tmp_path: Path) -> None:
    for name in ("badge.svg", "badge.json"):
        assert check(environment, "PUT-03", "--badge", str(tmp_path / name)).returncode == 0
    assert (tmp_path / "badge.svg").read_text("utf-8").startswith("<svg")
    assert json.loads((tmp_path / "badge.json").read_text("utf-8"))["schemaVersion"] == 1


def test_a_broken_server_ends_with_1_and_a_sentence(
    breakable: BreakableServer, environment: dict[str, str]
) -> None:
    with accepting("NoSuchKey").enter(breakable):
        ended = check(environment, "ERR-03", "--json")
    assert ended.returncode == 1
    assert "ERR-03" in ended.stderr
    assert json.loads(ended.stdout)["verdict"] == "NOT CONFORMANT"


def test_a_missing_second_identity_is_incomplete(environment: dict[str, str]) -> None:
    ended = check(environment, "AUTH-17")
    assert ended.returncode == 3
    assert "--second-profile" in ended.stderr


def test_with_a_second_identity_it_is_judged(environment: dict[str, str]) -> None:
    assert check(environment, "AUTH-17", "--second-profile", "second").returncode == 0


def test_flags_may_stand_between_selectors(environment: dict[str, str]) -> None:
    ended = check(environment, environment["AWS_ENDPOINT_URL"], "PUT-03", "--quiet", "PUT-01", "--json")
    assert set(json.loads(ended.stdout)["requirements"]) == {"PUT-03", "PUT-01"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["PUT-333"], "nothing is called 'PUT-333'"),
        (["mulipart"], "Did you mean multipart"),
        (["--tier", "9"], "no tier '9'"),
        (["PUT-03", "--max-requests", "1"], "more than --max-requests 1"),
        (["PUT-03", "--budget", "0.000001"], "more than --budget"),
        (["ftp://127.0.0.1"], "expected http:// or https://"),
        (["https://key:secret@127.0.0.1"], "holds credentials"),
        (["PUT-03", "--prefix", "x"], "--bucket"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_a_wrong_flag_ends_with_2_and_says_what_was_expected(
    environment: dict[str, str], arguments: list[str], words: str
) -> None:
    ended = check(environment, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert words in ended.stderr
    assert "secret@" not in ended.stderr


def test_nobody_there_ends_with_4(environment: dict[str, str]) -> None:
    ended = check(environment, "https://127.0.0.1:1", "PUT-03")
    assert ended.returncode == 4
    assert "cannot connect" in ended.stderr


def test_a_wrong_secret_ends_with_4_and_is_not_shown(environment: dict[str, str]) -> None:
    wrong = {"AWS_ACCESS_KEY_ID": MAIN.access_key_id, "AWS_SECRET_ACCESS_KEY": "not-the-secret-of-main"}
    ended = check(environment | wrong, "PUT-03", "--json")
    assert ended.returncode == 4
    assert "cannot authenticate" in ended.stderr
    assert "not-the-secret" not in ended.stdout + ended.stderr


def test_an_unknown_certificate_ends_with_4(environment: dict[str, str]) -> None:
    environment.pop("AWS_CA_BUNDLE")
    ended = check(environment, "PUT-03")
    assert ended.returncode == 4
    assert "certificate verify failed" in ended.stderr


def test_secrets_and_signatures_are_in_no_report(
    breakable: BreakableServer, environment: dict[str, str], tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("r.html", "r.xml", "r.md", "r.svg")]
    flags = ["--html", "--junit", "--markdown", "--badge"]
    with accepting("NoSuchKey", "SignatureDoesNotMatch").enter(breakable):
        pairs = [word for flag, file in zip(flags, files, strict=True) for word in (flag, str(file))]
        ended = check(environment, "ERR-0*", "PRE-*", "AUTH-05", "--json", *pairs)
    texts = [ended.stdout, ended.stderr, *(file.read_text("utf-8") for file in files)]
    assert ended.returncode == 1
    for text in texts:
        assert MAIN.secret_access_key not in text
    exchanges = [each for result in json.loads(ended.stdout)["results"] for each in result["exchanges"]]
    headers = [
        value for each in exchanges for name, value in each["request_headers"] if name == "authorization"
    ]
    assert headers
    assert all("Signature=(redacted)" in value for value in headers if "Signature=" in value)


def test_a_given_bucket_is_used_and_nothing_else_is_made(
    breakable: BreakableServer, environment: dict[str, str]
) -> None:
    client = RawClient(
        f"https://127.0.0.1:{breakable.port}",
        MAIN.access_key_id,
        MAIN.secret_access_key,
        ca_file=breakable.ca_file,
    )
    before = set(bucket_names(breakable))
    client.request("PUT", "/mine")
    client.request("PUT", "/mine/tmp/kept", body=b"kept")
    try:
        ended = check(environment, "--bucket", "mine", "--prefix", "tmp/", "core", "bucket-admin", "--json")
        report = json.loads(ended.stdout)
        assert ended.returncode == 3, ended.stderr
        skipped = {result["check"] for result in report["results"] if result["outcome"] == "SKIP"}
        assert {result["outcome"] for result in report["results"]} <= {"PASS", "SKIP"}, ended.stderr
        assert any(name.startswith("CB-") for name in skipped)
        assert set(bucket_names(breakable)) - before == {"mine"}
        assert client.request("GET", "/mine").texts("Contents/Key") == ["tmp/kept"]
    finally:
        client.request("DELETE", "/mine/tmp/kept")
        client.request("DELETE", "/mine")


def interrupted(environment: dict[str, str], number: int, after_s: float) -> tuple[int, str]:
    command = [sys.executable, "-m", "anys3", "check", "core", "--json"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()  # the run begins now: before, there is nothing to take away
        assert "checking" in line
        time.sleep(after_s)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        return process.returncode, told


@pytest.mark.parametrize("moment", range(10))
def test_a_run_that_is_interrupted_cleans_up(environment: dict[str, str], moment: int) -> None:
    number = signal.SIGTERM if moment % 5 == 4 else signal.SIGINT
    code, told = interrupted(environment, number, random.uniform(0, 0.8))
    assert code == 130, told
    assert "taking away what was made" in told


def test_what_a_killed_run_left_is_taken_away_later(
    breakable: BreakableServer, environment: dict[str, str]
) -> None:
    before = len(bucket_names(breakable))
    code, _ = interrupted(environment, signal.SIGKILL, 0.5)
    assert code == -signal.SIGKILL
    assert len(bucket_names(breakable)) > before
    ended = check(environment, "clean")
    assert ended.returncode == 0, ended.stderr
    assert "all is gone" in ended.stderr
    again = check(environment, "clean")
    assert (again.returncode, "nothing is left behind" in again.stderr) == (0, True)


def test_the_plan_and_the_list_need_no_endpoint(environment: dict[str, str]) -> None:
    environment.pop("AWS_ENDPOINT_URL")
    plan: dict[str, Any] = json.loads(check(environment, "--plan", "--json").stdout)
    assert plan["requests"] < 3000
    assert plan["sent_bytes"] < 100 << 20
    names = [row["check"] for row in json.loads(check(environment, "--list", "--json").stdout)]
    assert len(names) == plan["checks"]
