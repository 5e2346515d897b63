"""One run from its options to its report: connect, authenticate, prepare, check, clean up."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from anys3.client.connections import Dialer, ExchangeError, Unreachable
from anys3.conformance import cleaning, selection
from anys3.conformance.advice import advise
from anys3.conformance.ground import Ground, Identity, Limits
from anys3.conformance.journal import Journal
from anys3.conformance.outcomes import (
    Blocked,
    Failed,
    Outcome,
    Result,
    Skipped,
    Stopped,
    TierResult,
    by_requirement,
    judge_tier,
)
from anys3.conformance.probe import Probe
from anys3.conformance.registry import Check
from anys3.conformance.report import Product, Report
from anys3.conformance.running import prepare, run
from anys3.spec.catalogue import Tier

_RUN_ID_BYTES = 5
PLAIN_HTTP = "plain HTTP: non-conformant transport"


class CannotBegin(Exception):
    """The endpoint can't be reached, or does not take the credentials. Nothing was created."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a run is asked for. With `bucket`, nothing outside of it, and of `prefix` in it, is touched."""

    dialer: Dialer
    main: Identity | None
    second: Identity | None
    tier: Tier
    tiers: Mapping[str, Tier]
    checks: Sequence[Check]
    is_partial: bool
    journals: Path
    anys3_version: str
    bucket: str | None = None
    prefix: str = ""
    jobs: int = 8
    limits: Limits = field(default_factory=Limits)
    product: Product = field(default_factory=Product)
    cors_origin: str | None = None
    cors_bucket: str | None = None


def new_run_id() -> str:
    """Return an id that no other run has, of letters and digits that a bucket's name may hold."""
    return "r" + secrets.token_hex(_RUN_ID_BYTES)


class Session:
    """A run. `ground.stop` ends it early: what was made is taken away all the same."""

    def __init__(self, wishes: Wishes, run_id: str) -> None:
        """Open the journal. Raises OSError: it can't be written, and nothing was sent."""
        self._wishes = wishes
        path = wishes.journals / f"{run_id}.jsonl"
        self._journal = Journal.begun(path, run_id, wishes.dialer.endpoint.url, wishes.bucket, wishes.prefix)
        self.ground = Ground(
            wishes.dialer,
            self._journal,
            wishes.main,
            second=wishes.second,
            bucket=wishes.bucket,
            prefix=wishes.prefix,
            limits=wishes.limits,
            cors_origin=wishes.cors_origin,
            cors_bucket=wishes.cors_bucket,
            seed=int.from_bytes(run_id.encode()[:8], "big"),
        )
        self._server_header = ""
        self._transport = PLAIN_HTTP

    def run(self, tell: Callable[[Result], None] = lambda _: None) -> Report:
        """Run, clean up, and return the report. `tell` hears of each result.

        Raises CannotBegin; whatever is raised, what was made has been taken away, or stands in the journal.
        """
        began = datetime.now(UTC)
        results: list[Result] = []
        leftovers: Sequence[str] = ()
        try:
            self._begin()
            results = run(self.ground, self._wishes.checks, jobs=self._wishes.jobs, tell=tell)
        except Stopped:
            self.ground.stop.set()
        finally:
            leftovers = cleaning.clean(self.ground, self._journal.made, self._journal.run_id)
            self.ground.pool.close()
            self._journal.close(is_clean=not leftovers)
        return self._report(began, results, leftovers, was_stopped=self.ground.stop.is_set())

    def _begin(self) -> None:
        probe = Probe(self.ground, "begin")
        try:
            with probe.connect() as connection:
                self._transport = connection.tls_version or PLAIN_HTTP
            reply = probe.request("GET", "/", identity=self.ground.main)
            self._server_header = reply.header("server") or ""
            if self.ground.main is not None:
                _check_authenticated(reply.status, reply.code, reply.text("Message") if reply.code else "")
            prepare(self.ground)
        except Unreachable as error:
            raise CannotBegin(f"cannot connect to {error}") from None
        except Blocked as error:
            raise CannotBegin(
                f"{error}. If buckets are made elsewhere, name one: --bucket BUCKET [--prefix PREFIX]"
            ) from None
        except (ExchangeError, Failed, Skipped) as error:
            raise CannotBegin(
                f"{self.ground.endpoint.url} does not answer as an S3 endpoint: {error}"
            ) from None

    def _report(
        self, began: datetime, results: Sequence[Result], leftovers: Sequence[str], *, was_stopped: bool
    ) -> Report:
        wishes = self._wishes
        outcomes = by_requirement(results)
        product = wishes.product
        region = wishes.main.region if wishes.main else ""
        return Report(
            anys3_version=wishes.anys3_version,
            endpoint=self.ground.endpoint.url,
            product=Product(product.name, product.version, self._server_header),
            transport=self._transport,
            region=region,
            run_id=self._journal.run_id,
            started=began.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=round((datetime.now(UTC) - began).total_seconds(), 3),
            asked=wishes.tier.name,
            is_partial=wishes.is_partial,
            was_interrupted=was_stopped,
            tiers=tuple(_tier_results(wishes.tiers, outcomes)),
            results=tuple(results),
            unobservable={
                id: reason
                for id, reason in selection.unobservable().items()
                if id in selection.ids_of(wishes.tier)
            },
            requests=dict(self.ground.meter.requests),
            sent_bytes=self.ground.meter.sent_bytes,
            received_bytes=self.ground.meter.received_bytes,
            leftovers=tuple(leftovers),
            advice=advise(self.ground.endpoint.url, region or "us-east-1", outcomes),
        )


def _tier_results(tiers: Mapping[str, Tier], outcomes: Mapping[str, Outcome]) -> list[TierResult]:
    return [
        judge_tier(tier.name, tier.title, selection.judged_of(tier, outcomes), outcomes)
        for tier in tiers.values()
    ]


def _check_authenticated(status: int, code: str, message: str | None) -> None:
    """Raise CannotBegin if the endpoint does not know the caller."""
    refusals = {
        "InvalidAccessKeyId": "the endpoint does not know this access key id",
        "SignatureDoesNotMatch": "the secret access key is not that of the access key id",
        "RequestTimeTooSkewed": "the clocks differ by more than 15 minutes",
        "AuthorizationHeaderMalformed": "the region may be wrong: pass --region",
        "InvalidToken": "the session token is not valid",
        "ExpiredToken": "the session token has expired",
    }
    if code in refusals:
        raise CannotBegin(f"cannot authenticate: {refusals[code]} ({status} {code}: {message or ''})")
