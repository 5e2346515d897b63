"""A server that offers a tier and nothing beyond it meets that tier: no check needs what a higher one has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from anys3.client.connections import Dialer
from anys3.client.endpoint import parse
from anys3.conformance.ground import Identity
from anys3.conformance.outcomes import Outcome, Verdict
from anys3.conformance.selection import select
from anys3.conformance.session import Session, Wishes
from anys3.spec import catalogue
from tests.broken_servers import MAIN, ORIGIN, RULED, SECOND, BreakableServer

TIERS = catalogue.tiers()


@pytest.fixture(params=list(TIERS))
def strict(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, BreakableServer]]:
    """A server that refuses what is beyond a tier."""
    with BreakableServer(tmp_path, profiles=request.param) as server:
        yield request.param, server


def wishes(server: BreakableServer, tier: str, folder: Path) -> Wishes:
    return Wishes(
        Dialer(parse(server.url), 20.0, server.ca_file),
        Identity("main", MAIN, "us-east-1"),
        Identity("second", SECOND, "us-east-1"),
        TIERS[tier],
        TIERS,
        select((), TIERS[tier], TIERS),
        is_partial=False,
        journals=folder,
        anys3_version="0",
        cors_origin=ORIGIN,
        cors_bucket=RULED,
    )


def test_a_tier_needs_nothing_of_a_higher_one(strict: tuple[str, BreakableServer], tmp_path: Path) -> None:
    tier, server = strict
    report = Session(wishes(server, tier, tmp_path / "journals"), "r5781c7").run()
    assert {
        result.check: result.sentence for result in report.results if result.outcome is not Outcome.PASS
    } == {}
    assert report.verdict is Verdict.CONFORMANT
    assert report.leftovers == ()


def test_what_a_server_does_not_offer_is_absent(tmp_path: Path) -> None:
    with BreakableServer(tmp_path, profiles="tier-1") as server:
        asked = replace(
            wishes(server, "tier-2", tmp_path / "journals"), checks=select(["CMU-01"], TIERS["tier-2"], TIERS)
        )
        report = Session(asked, "r5781c7").run()
    assert report.outcomes == {"CMU-01": Outcome.ABSENT}
    assert report.verdict is Verdict.NOT_CONFORMANT
