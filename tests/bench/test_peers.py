"""Peers for the table and the benchmarks: what is started answers, is found by its command, and ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bench.peers.certificate import write_certificate
from bench.peers.running import Running, free_ports
from bench.peers.sources import Wheels

from bench import peers
from tests.rawclient import RawClient

REPOSITORY = Path(__file__).parents[2]
ENDS_WITH_7 = (sys.executable, "-c", "import sys; print('the reason'); sys.exit(7)")
STAYS = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.peers", *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)


def _until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "not within a minute"
        time.sleep(0.02)


@pytest.fixture
def running(tmp_path):
    made = Running(tmp_path / "log")
    yield made
    made.stop()


def test_a_peer_answers_its_first_key_and_refuses_its_buckets_to_the_second():
    with peers.start("anys3") as peer:
        first = RawClient(peer.endpoint, peer.access_key_id, peer.secret_access_key)
        second = RawClient(peer.endpoint, peer.second.access_key_id, peer.second.secret_access_key)
        assert first.request("PUT", "/of-the-first").status == 200
        assert second.request("GET", "/of-the-first").status == 403


def test_a_peers_processes_and_directory_are_gone_afterwards():
    with peers.start("anys3") as peer:
        pids, directory = peer.pids, peer.credentials.parent
        assert pids
        assert directory.exists()
    assert peer.pids == []
    assert not directory.exists()


def test_a_peer_is_ended_when_its_user_fails():
    with pytest.raises(ZeroDivisionError), peers.start("anys3") as peer:
        raise ZeroDivisionError
    assert peer.pids == []


def test_a_peer_speaks_tls_that_its_authority_vouches_for():
    with peers.start("anys3", tls=True) as peer:
        environment = peer.environment()
        asked = "import boto3; print(boto3.client('s3').list_buckets()['Buckets'])"
        said = subprocess.run(
            [sys.executable, "-c", asked],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (said.stdout, said.returncode) == ("[]\n", 0), said.stderr


def test_the_command_gets_the_endpoint_and_both_keys_and_no_setting_of_another_server(monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-elsewhere")
    monkeypatch.setenv("AWS_PROFILE", "elsewhere")
    ask = (
        "import boto3, json, os\n"
        "second = boto3.Session(profile_name='second').get_credentials().access_key\n"
        "print(json.dumps({**os.environ, 'SECOND': second}))"
    )
    said = _run("run", "anys3", "--", sys.executable, "-c", ask)
    found = json.loads(said.stdout)
    assert found["AWS_ENDPOINT_URL"] in said.stderr
    assert found["SECOND"] != found["AWS_ACCESS_KEY_ID"]
    assert {"AWS_SESSION_TOKEN", "AWS_PROFILE"}.isdisjoint(found)


def test_the_exit_code_is_the_commands():
    assert _run("run", "anys3", "--", *ENDS_WITH_7).returncode == 7


def test_words_of_the_command_can_hold_the_endpoint():
    said = _run("run", "anys3", "--", sys.executable, "-c", "print('{endpoint}')")
    assert said.stdout.startswith("http://127.0.0.1:")


def test_a_run_that_is_terminated_ends_the_peer_and_its_command(tmp_path):
    told = tmp_path / "told"
    tell = f"import os, time; open({str(told)!r}, 'w').write(os.environ['AWS_ENDPOINT_URL']); time.sleep(600)"
    command = [sys.executable, "-m", "bench.peers", "run", "anys3", "--", sys.executable, "-c", tell]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE)
    _until(lambda: told.exists() and told.read_text())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    port = int(told.read_text().rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        RawClient(f"http://127.0.0.1:{port}", "a", "b").request("GET", "/")


def test_a_check_that_ends_without_a_verdict_leaves_the_older_report(tmp_path):
    report = tmp_path / "anys3.json"
    report.write_text("older")
    said = _run("measure", "anys3", "--to", str(tmp_path), "--", "--no-such-option")
    assert (said.returncode, report.read_text()) == (1, "older")


def test_what_is_not_installed_says_how_it_gets_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"python -m bench\.peers install seaweedfs"):
        peers.start("seaweedfs").__enter__()


def test_a_start_that_fails_shows_the_end_of_the_log(running):
    running.spawn(ENDS_WITH_7)
    with pytest.raises(RuntimeError, match=r"(?s)ended with 7.*the reason"):
        running.wait_until("it answers", lambda: False)


def test_a_start_that_takes_too_long_fails(running):
    running.spawn(STAYS)
    with pytest.raises(RuntimeError, match=r"it answers: not within 0\.2 s"):
        running.wait_until("it answers", lambda: False, 0.2)


def test_a_child_that_outlives_its_parent_is_ended(running):
    code = f"import subprocess; subprocess.Popen({list(STAYS)!r})"
    running.spawn((sys.executable, "-c", code))
    _until(lambda: "up" in running.last_lines())
    assert len(running.pids()) in (1, 2)  # the parent may not have ended yet
    running.stop()
    assert running.pids() == []


def test_free_ports_are_different_and_can_be_bound():
    found = free_ports(20)
    assert len(set(found)) == 20
    sockets = [socket.create_server(("127.0.0.1", port)) for port in found]
    assert [made.getsockname()[1] for made in sockets] == found
    [made.close() for made in sockets]


def test_a_changed_pin_counts_as_not_installed(tmp_path):
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").touch()
    old, new = Wheels(("a==1",)), Wheels(("a==2",))
    (tmp_path / "Wheels.installed").write_text(str(old))
    assert old.is_installed(tmp_path)
    assert not new.is_installed(tmp_path)


def test_only_the_owner_can_read_the_private_key(tmp_path):
    made = write_certificate(tmp_path)
    assert made.key.stat().st_mode & 0o777 == 0o600


SOURCES = [(name, str(source)) for name, product in peers.PRODUCTS.items() for source in product.sources]


@pytest.mark.parametrize(("name", "source"), SOURCES)
def test_a_package_is_pinned_or_of_the_release_or_this_checkout(name, source):
    assert re.fullmatch(
        r"this checkout|Debian .*|PyPI \S+==\S+|npm \S+@[\d.]+|Go \S+@v\S+|crates\.io \S+@[\d.]+ .*", source
    )
