"""Checks that judge the same answers share them, and each can show what was sent."""

from __future__ import annotations

from pathlib import Path

from anys3.conformance.probe import Probe
from tests.broken_servers import BreakableServer


def test_two_checks_share_what_was_asked_once(breakable: BreakableServer, tmp_path: Path) -> None:
    with breakable.ground(tmp_path) as ground:
        first, second = Probe(ground, "A-01/first"), Probe(ground, "A-02/second")
        before = ground.meter.total
        replies = [probe.asked_once("the bucket", lambda p=probe: p.list_keys()) for probe in (first, second)]
        assert ground.meter.total - before == 1
    assert replies[0] is replies[1]
    assert second.exchanges == first.exchanges != []


def test_a_repeated_attempt_asks_again(breakable: BreakableServer, tmp_path: Path) -> None:
    with breakable.ground(tmp_path) as ground:
        replies = []
        for attempt in (1, 2):
            probe = Probe(ground, "A-01/first", attempt)
            replies.append(probe.asked_once("the bucket", probe.list_keys))
    assert replies[0] is not replies[1]
