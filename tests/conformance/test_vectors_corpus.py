"""Our own corpora run against our own server, outcome by outcome; nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import anys3
from anys3.client import endpoint
from anys3.client.signing import Credentials
from anys3.conformance.journal import Journal
from anys3.conformance.vectors import corpus, results, running
from anys3.conformance.vectors.corpus import NoVectors, Selection
from anys3.conformance.vectors.results import VectorResult
from anys3.conformance.vectors.target import Target
from tests.broken_servers import MAIN, SECOND, BreakableServer
from tests.rawclient import RawClient

VECTORS = Path(__file__).parent.parent / "vectors"
OUTCOMES = json.loads((VECTORS / "outcomes.json").read_text("utf-8"))
OURS = [entry.id for entry in corpus.read([VECTORS / "corpus"])]
RUN_ID = "zq5run7id"


@pytest.fixture(scope="module")
def own() -> Iterator[anys3.Server]:
    """A server that nobody else uses, so that what is left behind shows."""
    with anys3.Server() as running_server:
        yield running_server


def target_of(server: anys3.Server, second: Credentials | None = None) -> Target:
    return Target(
        endpoint.parse(server.endpoint_url),
        Credentials(server.access_key_id, server.secret_access_key),
        server.region,
        second,
    )


def client_of(server: anys3.Server) -> RawClient:
    return RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory, own: anys3.Server) -> Iterator[Journal]:
    path = tmp_path_factory.mktemp("journal") / "run.jsonl"
    opened = Journal.begun(path, RUN_ID, own.endpoint_url, None, "")
    yield opened
    opened.close(is_clean=True)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def ours(own: anys3.Server, journal: Journal) -> dict[str, VectorResult]:
    found = running.run([VECTORS / "corpus"], target_of(own), journal=journal, run_id=RUN_ID, now=now, jobs=4)
    return {each.id: each for each in found}


@pytest.fixture(scope="module")
def deliberate(own: anys3.Server, journal: Journal) -> dict[str, VectorResult]:
    found = running.run([VECTORS / "deliberate"], target_of(own), journal=journal, run_id=RUN_ID, now=now)
    return {each.id: each for each in found}


@pytest.mark.parametrize("id", OURS)
def test_our_vectors_pass_without_warnings(ours: dict[str, VectorResult], id: str) -> None:
    found = ours[id]
    assert (found.outcome, found.sentence, found.warnings) == ("pass", "", ())


@pytest.mark.parametrize("id", OUTCOMES)
def test_deliberate_vectors_have_the_outcome_that_they_must_have(
    deliberate: dict[str, VectorResult], id: str
) -> None:
    found, wanted = deliberate[id], OUTCOMES[id]
    assert (found.outcome, found.is_runner_error) == (wanted["outcome"], wanted["isRunnerError"])
    assert wanted["contains"] in found.sentence
    assert found.warnings == ()


def test_each_deliberate_vector_has_an_outcome_written_down(deliberate: dict[str, VectorResult]) -> None:
    assert deliberate.keys() == OUTCOMES.keys()


def test_nothing_is_left_on_the_endpoint(
    own: anys3.Server, ours: dict[str, VectorResult], deliberate: dict[str, VectorResult]
) -> None:
    assert client_of(own).request("GET", "/").texts("Buckets/Bucket/Name") == []


def test_what_is_made_was_told_to_the_journal(journal: Journal, ours: dict[str, VectorResult]) -> None:
    lines = [json.loads(line) for line in journal.path.read_text("utf-8").splitlines()[1:]]
    buckets = {line["bucket"].rpartition("-")[2] for line in lines if line.keys() == {"bucket"}}
    assert {"0", "two", "three"} <= buckets
    assert all(RUN_ID in line["bucket"] for line in lines)
    assert any("upload" in line for line in lines)


def test_a_second_identity_is_used_where_there_is_one(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    command = [sys.executable, "-m", "anys3", "key", "create", "vectors", "--dir", str(directory), "--json"]
    with anys3.Server(directory=directory) as server:
        printed = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
        made = json.loads(printed)
        second = Credentials(made["access_key_id"], made["secret_access_key"])
        journal = Journal.begun(tmp_path / "j.jsonl", RUN_ID, server.endpoint_url, None, "")
        found = running.run(
            [VECTORS / "second"], target_of(server, second), journal=journal, run_id=RUN_ID, now=now
        )
        journal.close(is_clean=True)
    assert [(each.outcome, each.sentence) for each in found] == [("pass", "")]


@pytest.mark.parametrize("host", ["127.0.0.1", "s3.localhost"])
def test_vectors_run_over_tls(breakable: BreakableServer, tmp_path: Path, host: str) -> None:
    url = f"https://{host}:{breakable.port}"
    target = Target(endpoint.parse(url), MAIN, second=SECOND, ca_file=breakable.ca_file)
    journal = Journal.begun(tmp_path / "j.jsonl", RUN_ID, url, None, "")
    chosen = Selection(tags=["tier-2", "tier-3", "large"], groups=["multipart", "object-crud", "second-*"])
    found = running.run(
        [VECTORS / "corpus", VECTORS / "second"], target, chosen, journal=journal, run_id=RUN_ID, now=now
    )
    journal.close(is_clean=True)
    assert [each.sentence for each in found] == [""] * 6
    assert {each.outcome for each in found} == {"pass"}


def test_the_command_line_reports_and_says_how_it_ended(own: anys3.Server, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "anys3", "check", own.endpoint_url, "--vectors", str(VECTORS / "deliberate")),
        *("--ids", "wrong-000[12],malformed-0001,blocked-0001", "--skip-ids", "wrong-0002"),
        *("--json", "--junit", str(tmp_path / "r.xml"), "--journals", str(tmp_path / "journals")),
    ]
    environment = os.environ | own.env
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1, ended.stderr
    report = json.loads(ended.stdout)
    cases = ElementTree.fromstring((tmp_path / "r.xml").read_text("utf-8")).findall("testcase")
    assert report["counts"] == {"pass": 0, "fail": 1, "runner_error": 1, "blocked": 1, "skipped": 1}
    assert sorted(child.tag for case in cases for child in case) == ["error", "failure", "skipped", "skipped"]
    assert any(child.get("message", "").startswith("blocked: ") for case in cases for child in case)
    assert "status: expected 201, got 200" in ended.stderr
    assert list((tmp_path / "journals").iterdir()) == []


def test_no_vectors_are_a_usage_error(own: anys3.Server, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "anys3", "check", own.endpoint_url, "--vectors", str(tmp_path)]
    environment = os.environ | own.env | {"HOME": str(tmp_path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")


def result(outcome: results.Outcome) -> VectorResult:
    return VectorResult("a-0001", "a", ("tier-1",), "t", outcome)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [(["pass", "skipped"], 0), (["pass", "blocked"], 3), (["blocked", "fail"], 1), (["fail", "pass"], 1)],
)
def test_the_exit_code_tells_the_worst(outcomes: list[results.Outcome], code: int) -> None:
    assert results.exit_code([result(each) for each in outcomes]) == code


def test_an_endpoint_that_is_not_there_blocks_and_fails(journal: Journal) -> None:
    target = Target(endpoint.parse("http://127.0.0.1:9"), Credentials("a", "b"), timeout_s=5)
    found = running.run(
        [VECTORS / "corpus"],
        target,
        Selection(ids=["raw-http-0001"]),
        journal=journal,
        run_id=RUN_ID,
        now=now,
    )
    assert found[0].outcome == "blocked"
    assert "refused" in found[0].sentence


def test_an_interrupted_run_is_torn_down(own: anys3.Server, journal: Journal) -> None:
    calls: list[int] = []

    def interrupted() -> datetime:
        calls.append(len(calls))
        if len(calls) == 3:  # a bucket and an object are made; the first step is signed
            raise KeyboardInterrupt
        return now()

    with pytest.raises(KeyboardInterrupt):
        running.run(
            [VECTORS / "corpus"],
            target_of(own),
            Selection(ids=["raw-http-0007"]),
            journal=journal,
            run_id=RUN_ID,
            now=interrupted,
        )
    assert len(calls) > 3
    assert client_of(own).request("GET", "/").texts("Buckets/Bucket/Name") == []


@given(text=st.text(), warning=st.text())
def test_reports_hold_any_text(text: str, warning: str) -> None:
    found = VectorResult("a-0001", "a", ("tier-1",), text, "fail", sentence=text, warnings=(warning,))
    [row] = json.loads(results.to_json([found]))["results"]
    root = ElementTree.fromstring(results.to_junit([found]).encode("utf-8", "surrogatepass"))
    failure = root.find("testcase/failure")
    assert (row["sentence"], row["warnings"]) == (text, [warning])
    assert failure is not None
    assert all(
        each in failure.get("message", "") for each in text.split() if each.isascii() and each.isprintable()
    )


def test_a_selection_that_leaves_nothing_is_refused(own: anys3.Server, journal: Journal) -> None:
    with pytest.raises(NoVectors):
        running.run(
            [VECTORS / "corpus"],
            target_of(own),
            Selection(tags=["zebra"]),
            journal=journal,
            run_id=RUN_ID,
            now=now,
        )


def test_a_bucket_that_was_there_before_is_never_deleted(
    own: anys3.Server, journal: Journal, tmp_path: Path
) -> None:
    assert client_of(own).request("PUT", "/precious-bucket").status == 200
    steps = [
        {"$operation": {"name": "CreateBucket", "params": {"Bucket": "precious-bucket"}}},
        {"$http": {"method": "PUT", "path": "/precious-bucket"}},
    ]
    row = {"id": "own-0001", "group": "own", "kind": "api", "title": "t", "tags": ["tier-1"], "steps": steps}
    (tmp_path / "own.json").write_text(json.dumps({"vectors": [row]}), "utf-8")
    running.run([tmp_path], target_of(own), journal=journal, run_id=RUN_ID, now=now)
    assert client_of(own).request("DELETE", "/precious-bucket").status == 204
