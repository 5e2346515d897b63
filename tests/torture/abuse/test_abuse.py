"""The short form: servers with small limits under attack, a bystander beside them, and planted bugs that are found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.torture.abuse import attacks, planted, smuggling, tls
from tests.torture.abuse.staging import Plan, perform

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory and processes are read from /proc")


@pytest.mark.known_mistake(18, 38, 39)
def test_under_attack_a_bystander_is_served_and_memory_stays_bounded(tmp_path: Path) -> None:
    findings = perform(tmp_path / "data", Plan(workers=1, seconds=0.5), attacks.ATTACKS)
    assert findings.violations == []
    assert findings.attacks == len(attacks.ATTACKS)
    assert findings.requests > 0


def test_two_workers_that_speak_tls_serve_a_bystander_under_attack(tmp_path: Path) -> None:
    findings = perform(tmp_path / "data", Plan(workers=2, is_tls=True, seconds=0.5), tls.ATTACKS)
    assert findings.violations == []
    assert findings.requests > 0


@pytest.mark.parametrize("name", planted.FOUND_BY)
def test_a_planted_bug_is_found(tmp_path: Path, name: str) -> None:
    attack = planted.FOUND_BY[name]
    plan = Plan(planted=name, seconds=0.5)
    one = {attack: attacks.ATTACKS[attack]}
    assert perform(tmp_path / "data", plan, one, has_bystander=False).violations != []


def test_a_strict_reader_sees_what_is_there_up_to_the_first_doubt() -> None:
    one = b"GET /public/probe HTTP/1.1\r\nHost: a\r\n\r\n"
    chunked = (
        b"PUT /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n"
    )
    long = b"PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    read = smuggling.read_strictly
    assert [each.method for each in read(one + chunked + long + one)] == [b"GET", b"PUT", b"PUT", b"GET"]
    assert [each.method for each in read(one + smuggling.PAIRS["CL.TE"])] == [b"GET"]
    assert read(b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n") == []


def test_an_answer_too_many_is_noticed() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary"
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    pair = smuggling.PAIRS["CL.TE"]
    assert smuggling.judge("pair", pair, refusal) == []
    assert smuggling.judge("pair", pair, answer) != []
    assert smuggling.judge("pair", pair, refusal + answer) != []
    assert smuggling.judge("swapped", smuggling.PROBE, answer) != []
    assert smuggling.judge_behind_a_proxy("pair", smuggling.PAIRS["TE.CL"], answer * 3) != []
