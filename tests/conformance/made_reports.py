"""Reports for tests of their forms: one from a real run, and made ones with what a hostile server answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anys3.client.connections import Dialer
from anys3.client.endpoint import parse
from anys3.conformance import selection
from anys3.conformance.advice import Advice, advise
from anys3.conformance.exchanges import Exchange
from anys3.conformance.ground import Identity
from anys3.conformance.outcomes import Outcome, Result, TierResult, by_requirement, judge_tier
from anys3.conformance.registry import checks
from anys3.conformance.report import Product, Report
from anys3.conformance.session import Session, Wishes
from anys3.spec import catalogue
from tests.broken_servers import MAIN, BreakableServer, breakages

HOSTILE = (
    "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)> \" ' & ]]> --> "
    "\x00\x1b[2J\r\n\x85\u202e\ud800 `code` | [link](http://evil.example) @all #1 **bold** <!-- \uffff"
)


def real(breakable: BreakableServer, folder: Path) -> Report:
    """Return the report of a run over some checks, on a server whose answers lack their request id."""
    names = ("HTTP-05/", "GET-01/", "VH-01/", "CB-05/", "PUT-03/")
    wishes = Wishes(
        dialer=Dialer(parse(breakable.url), 5.0, breakable.ca_file),
        main=Identity("main", MAIN, "us-east-1"),
        second=None,
        tier=catalogue.tiers()["tier-3"],
        tiers=catalogue.tiers(),
        checks=[check for name, check in checks().items() if name.startswith(names)],
        is_partial=False,
        journals=folder,
        anys3_version="1.2.3",
        product=Product("Broken Store", "4.2"),
    )
    with breakages()["HTTP-05/own-request-id"][0].enter(breakable):
        return Session(wishes, "r00reports").run()


def result(outcome: Outcome, id: str = "PUT-03", name: str = "", **more: Any) -> Result:
    """Return a result as a check of one requirement gives it."""
    return Result(
        more.pop("check", f"{id}/{name or outcome.lower()}"),
        (id,),
        more.pop("level", "MUST"),
        more.pop("operation", "PutObject"),
        more.pop("title", "A title of what should hold."),
        outcome,
        more.pop("sentence", "PUT of a thing (PUT /a/b): expected 403, got 200"),
        **more,
    )


def report(results: Iterable[Result] = (), **changes: Any) -> Report:
    """Return the report of those results, over the spec's tiers."""
    found = tuple(results)
    outcomes = by_requirement(found)
    made = Report(
        anys3_version="1.2.3",
        endpoint="https://s3.example.com",
        product=Product("Example Store", "4.2", "example/4"),
        transport="TLSv1.3",
        region="us-east-1",
        run_id="r0123456789",
        started="2026-11-21T12:34:56Z",
        seconds=12.5,
        asked="tier-3",
        is_partial=False,
        was_interrupted=False,
        tiers=tuple(
            judge_tier(tier.name, tier.title, selection.requirements_of(tier), outcomes)
            for tier in catalogue.tiers().values()
        ),
        results=found,
        unobservable={"CON-04": "The server would have to be killed."},
        requests={"write": 3, "read": 2},
        sent_bytes=5_000_000,
        received_bytes=2_000,
        leftovers=(),
        advice=advise("https://s3.example.com", "us-east-1", outcomes),
    )
    return dataclasses.replace(made, **changes)


def conformant() -> Report:
    """Return the report of a server that keeps every MUST."""
    rows = selection.requirements_of(catalogue.tiers()["tier-3"])
    return report(result(Outcome.PASS, row.id, "ok", level=row.level, sentence="") for row in rows)


def of_every_outcome() -> Report:
    """Return a report with a result of each outcome, and notes."""
    return report(
        [
            *(
                result(outcome, "PUT-03", outcome.lower())
                for outcome in Outcome
                if outcome is not Outcome.WARN
            ),
            result(Outcome.WARN, "CPL-13", level="SHOULD", operation="CompleteMultipartUpload"),
            result(Outcome.PASS, "GET-01", "noted", operation="GetObject", sentence="", notes=("A note.",)),
        ]
    )


def hostile() -> Report:
    """Return a report in which everything that can come from a server is an attack."""
    exchange = Exchange(
        "GET", f"/b/{HOSTILE}", HOSTILE, (("x-a", HOSTILE),), HOSTILE, 9, 200, ((HOSTILE, HOSTILE),), HOSTILE,
        9, HOSTILE,
    )  # fmt: skip
    results = [
        result(outcome, "PUT-03", outcome.lower(), sentence=HOSTILE, notes=(HOSTILE,), exchanges=(exchange,))
        for outcome in Outcome
    ]
    return dataclasses.replace(
        report(results),
        endpoint="https://s3.example.com",
        product=Product(HOSTILE, HOSTILE, HOSTILE),
        transport=HOSTILE,
        region=HOSTILE,
        leftovers=(HOSTILE,),
        advice=Advice(HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,)),
        tiers=(
            TierResult("tier-3", HOSTILE, report(results).tiers[2].verdict, {Outcome.FAIL: 1}, 0, (), ()),
        ),
    )


def empty() -> Report:
    """Return the report of a run that was interrupted before anything was judged."""
    return report((), was_interrupted=True, advice=Advice(), unobservable={}, requests={})


def luminance(color: str) -> float:
    """Return the relative luminance of `#rrggbb`, as WCAG 2.2 defines it."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours: 4.5 is what text needs."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
