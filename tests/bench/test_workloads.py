"""Each workload is answered by our own server as it expects, and a run of the kit yields every figure."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bench.record import Record, Row
from bench.stage import MIB, Sizes, Stage, new_block
from bench.workloads import WORKLOADS
from bench.workloads.sdk import MissingClientError

from bench import accounting, targets

REPOSITORY = Path(__file__).parents[2]
SIZES = Sizes(
    keys=1_250,
    large_bytes=5 * MIB + 1,
    range_source_bytes=3 * MIB,
    part_bytes=5 * MIB,
    sdk_small_files=3,
    sdk_large_files=1,
    sdk_large_bytes=9 * MIB,
)
REPLAYED = [name for name, workload in WORKLOADS.items() if not workload.whole]
CLIENTS = [name for name, workload in WORKLOADS.items() if workload.whole]

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler is here for the load client")


@pytest.fixture(scope="module")
def stage():
    with targets.start("anys3") as target:
        yield Stage(target, SIZES, new_block())


def _load(stage: Stage, name: str, count: int, salt: int):
    """Run one load as the kit does; returns its measurement and how many requests it had."""
    workload = WORKLOADS[name]
    workload.prepare(stage)
    workload.before(stage, count, salt)
    try:
        requests = workload.requests(stage, count, salt)
        return stage.measure(requests, 2, soft_s=60, hard_s=60), len(requests)
    finally:
        workload.after(stage, count, salt)


@pytest.mark.parametrize("name", REPLAYED)
def test_every_request_of_a_workload_is_answered_as_it_expects(stage, name):
    made, sent = _load(stage, name, 40 if WORKLOADS[name].warm_up > 1 else 2, salt=REPLAYED.index(name) + 1)
    assert (made.operations, made.oddities, made.sample) == (sent, {}, "")
    assert made.cpu_s > 0
    assert made.rss_peak_mib > 1
    assert 0 < made.p50_ms <= made.p99_ms <= made.p999_ms


@pytest.mark.parametrize("name", REPLAYED)
def test_a_workload_expects_something_of_the_server(stage, name):
    nobody = dataclasses.replace(stage.target.signer, secret_access_key="wrong", _keys={})
    stranger = dataclasses.replace(stage, target=dataclasses.replace(stage.target, signer=nobody))
    workload = WORKLOADS[name]
    workload.prepare(stage)
    if workload.requests_per_operation:
        stranger.uploads[900, 0] = "not-an-upload"
    made = stranger.measure(workload.requests(stranger, 1, 900), 1, soft_s=60, hard_s=60)
    assert made.oddities["status 403"] == made.operations
    assert "SignatureDoesNotMatch" in made.sample or name == "head"


@pytest.mark.parametrize("name", ["put-4k", "put-4k-in-order", "delete", "mixed-4k", "get-4k", "head"])
def test_two_loads_of_a_workload_are_not_the_same(stage, name):
    make = WORKLOADS[name].requests
    first, other = ([request.head.split(b" ")[1] for request in make(stage, 40, salt)] for salt in (7, 8))
    assert first != other
    assert len(set(first)) == 40


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_of_its_own_moves_all_files(stage, name):
    workload = WORKLOADS[name]
    try:
        workload.prepare(stage)
    except MissingClientError as reason:
        pytest.skip(str(reason))
    made = workload.whole(stage, 1)
    assert (made.operations, made.oddities) == (4, {})
    assert made.bytes_moved == 3 * 4096 + 9 * MIB
    assert min(made.seconds, made.cpu_s, made.client_cpu_s) > 0


@pytest.mark.skipif(not accounting.can_trace(), reason="strace is not installed here")
def test_a_durable_put_waits_for_the_disk_and_a_get_does_not(stage):
    waited = {}
    for name in ("put-4k", "get-4k"):
        WORKLOADS[name].prepare(stage)
        waited[name] = stage.syncs(WORKLOADS[name].requests(stage, 20, 950), 1, 30)
    assert waited["put-4k"][0] >= waited["put-4k"][1] == 20
    assert waited["get-4k"] == (0, 20)


def test_requests_over_tls_are_answered_the_same():
    with targets.start("anys3", tls=True) as target:
        stage = Stage(target, SIZES, new_block())
        made, _ = _load(stage, "mixed-4k", 100, 1)
        large, _ = _load(stage, "put-1g", 1, 2)
    assert target.endpoint.startswith("https://")
    assert (made.operations, made.oddities, large.oddities) == (100, {}, {})


def _bench(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *words]
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_run_yields_all_figures_as_text_as_json_and_as_a_page(tmp_path):
    files = (tmp_path / "record.json", tmp_path / "page.html")
    done = _bench(
        *("run", "get-4k", "--target", "anys3", "--requests", "200", "--rounds", "1", "--seconds", "0.5"),
        *("--keys", "50", "--connections", "2,4", "--json", str(files[0]), "--html", str(files[1])),
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(files[0].read_text())
    assert list(record) == [field.name for field in dataclasses.fields(Record)]
    assert [row["connections"] for row in record["rows"]] == [2, 4]
    row = record["rows"][0]
    assert list(row) == [field.name for field in dataclasses.fields(Row)]
    assert (row["operations"], row["oddities"], row["note"]) == (row["rounds"][0]["operations"], {}, "")
    assert record["missing"] == []
    assert row["operations"] <= 200
    assert row["cpu_us"]["median"] > 0
    assert row["cpu_ratio"]["median"] == 1
    assert row["share"] > 0
    assert {floor["name"] for floor in record["floors"]} == {"disk", "handler get-4k"}
    assert "get-4k, 4 connections" in done.stdout
    page = files[1].read_text()
    assert page.count("<svg") == 6
    assert "http-equiv" in page
    assert "src=" not in page


def test_a_target_that_is_none_is_left_out_with_its_reason_and_the_run_fails_without_any():
    done = _bench("run", "get-4k", "--target", "nothing-such")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'nothing-such' is none of anys3, moto" in done.stderr


def test_a_server_that_runs_already_is_measured_with_the_credentials_of_the_environment(stage, tmp_path):
    signer = stage.target.signer
    done = _bench(
        *("run", "mixed-4k", "--target", stage.target.endpoint, "--requests", "100", "--rounds", "1"),
        *("--seconds", "0.5", "--keys", "50", "--json", str(tmp_path / "record.json")),
        AWS_ACCESS_KEY_ID=signer.access_key_id,
        AWS_SECRET_ACCESS_KEY=signer.secret_access_key,
        AWS_CONFIG_FILE="/dev/null",
    )
    assert done.returncode == 0, done.stderr
    row = json.loads((tmp_path / "record.json").read_text())["rows"][0]
    assert (row["cpu_us"], row["syncs"], row["rss_peak_mib"], row["oddities"]) == (None, None, None, {})
    assert row["rate"]["median"] > 0
    assert "not seen" in done.stdout


def test_a_run_that_is_ended_ends_what_it_has_started(tmp_path):
    command = [sys.executable, "-m", "bench", "run", "get-4k", "--keys", "50", "--rounds", "1000"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=-1, stderr=-1, text=True, env=environment)
    while "round 1: anys3" not in process.stderr.readline():
        assert process.poll() is None
    started = [pid for pid in accounting.tree(process.pid) if pid != process.pid]
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "all that was started has ended" in said) == (130, True)
    assert len(started) >= 2
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
    assert list(tmp_path.iterdir()) == []


def test_list_names_every_workload_and_what_each_target_syncs():
    done = _bench("list")
    assert done.returncode == 0
    assert [name for name in (*WORKLOADS, "seaweedfs", "anys3:relaxed") if name not in done.stdout] == []
    assert "syncs: " in done.stdout
