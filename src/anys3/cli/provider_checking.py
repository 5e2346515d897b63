"""The quick check of an S3 provider before large contents are kept there: `anys3 serve --blobs s3://...`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import anys3
from anys3.cli import output
from anys3.conformance import callers, selection
from anys3.conformance.ground import Identity, Limits
from anys3.conformance.outcomes import Outcome, Result
from anys3.conformance.report import Report
from anys3.conformance.session import CannotBegin, Session, Wishes, new_run_id
from anys3.server.locations import refusing
from anys3.server.refusals import Exit, Refusal
from anys3.spec import catalogue
from anys3.store import opening
from anys3.store.opening import Location
from anys3.store.provider import Provider

NEEDED = ("PutObject", "GetObject", "HeadObject", "DeleteObjects", "ListObjectsV2")
"""The operations of tier 1 that blobs need."""
USED = ("CreateMultipartUpload", "CompleteMultipartUpload", "AbortMultipartUpload", "ListMultipartUploads")
"""Those that blobs larger than a part are written with. What of them blobs need the engine's own check has tried."""
_LIMITS = Limits(requests=500, seconds=60.0)


def run(location: Location, environment: Mapping[str, str]) -> None:
    """Check the provider of a store's blobs, if one keeps them. Raises Refusal."""
    with refusing(location):
        location.check()
        provider = opening.provider_of(location.blobs) if location.blobs else None
    if provider is not None:
        check(provider, environment)


def check(provider: Provider, environment: Mapping[str, str]) -> None:
    """Say in one line that the provider does what blobs need. Raises Refusal: it does not."""
    where = f"s3://{provider.bucket}/{provider.prefix} at {provider.dialer.endpoint.url}"
    try:
        report = _run(provider, environment)
    except CannotBegin as error:
        raise Refusal(Exit.UNREACHABLE, f"the blobs can't be kept in {where}: {error}") from None
    wrong = [result for result in report.results if result.outcome not in (Outcome.PASS, Outcome.WARN)]
    needed = [result for result in wrong if result.operation in NEEDED]
    if needed:
        first = needed[0]
        raise Refusal(
            Exit.UNREACHABLE,
            f"the blobs can't be kept in {where}: {len(needed)} of {len(report.results)} quick checks did not pass,"
            f" first {first.check}, {first.outcome}: {first.sentence}; `anys3 check {provider.dialer.endpoint.url}"
            f" --tier 1 --bucket {provider.bucket}` says more, check=no in the URL leaves this out",
        )
    output.remark(
        f"blobs: {where} passed {len(report.of(Outcome.PASS))} quick checks of what blobs need"
        f" ({sum(report.requests.values())} requests, {report.seconds:.1f} s)" + _of_uploads(wrong)
    )


def _of_uploads(wrong: Sequence[Result]) -> str:
    """Return what is to be said of multipart uploads. They were tried as far as blobs need them."""
    if any(result.outcome is Outcome.ABSENT for result in wrong):
        return "; it has no multipart uploads: large contents wait in temporary files"
    return f"; not met, and not needed: {', '.join(result.check for result in wrong)}" if wrong else ""


def _run(provider: Provider, environment: Mapping[str, str]) -> Report:
    """Check under the prefix, and nowhere else. What a run that was killed leaves, `anys3 check clean` finds."""
    tiers = catalogue.tiers()
    wishes = Wishes(
        dialer=provider.dialer,
        main=Identity("main", provider.credentials, provider.region),
        second=None,
        tier=tiers["tier-1"],
        tiers=tiers,
        checks=selection.select([*NEEDED, *USED], tiers["tier-1"], tiers, quick=True),
        is_partial=True,
        journals=callers.journals(environment),
        anys3_version=anys3.__version__,
        bucket=provider.bucket,
        prefix=provider.prefix,
        limits=_LIMITS,
    )
    try:
        session = Session(wishes, new_run_id())
    except OSError:
        # A server's user may have no home to write to, and nobody would look for a journal there.
        with tempfile.TemporaryDirectory() as folder:
            return Session(replace(wishes, journals=Path(folder)), new_run_id()).run()
    return session.run()
