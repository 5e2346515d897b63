"""`anys3 doctor`: examines a store's directory, its engines or an endpoint, and says what to do."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from anys3.cli import output
from anys3.server.config import DEFAULT_DIRECTORY, place_in
from anys3.server.findings import LEVELS, Finding, as_json
from anys3.server.locations import refusing, require_store
from anys3.server.refusals import Exit, Refusal
from anys3.store.opening import Location, blobs_of, check_blobs, check_index, examine
from anys3.store.urls import redact

TIMEOUT_S = 10.0


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Examine, and return 0, or 13 if a finding is a warning or a problem. Raises Refusal."""
    location = _location(arguments, environment)
    directory = "" if arguments.what or location.is_remote else place_in(environment, "dir")
    what: str = arguments.what or directory or DEFAULT_DIRECTORY
    is_endpoint = "://" in what
    if is_endpoint:
        looked_at = [_of_url(what, arguments, environment)]
    elif not arguments.what and (location.index or arguments.blobs):
        what = redact(location.index or location.blobs)
        looked_at = [_of_engines(location)]
    else:
        location = replace(location, blobs=location.blobs or _remembered(Path(what)))
        looked_at = [_of_directory(Path(what), arguments), _of_engines(location)]
    findings = []
    for finding in itertools.chain.from_iterable(looked_at):
        findings.append(finding)
        if not arguments.json:
            _show(finding, 20 if location.is_remote else 13)
    worst = max((finding.level for finding in findings), key=LEVELS.index, default="ok")
    if arguments.json:
        output.result_json({"what": what, "worst": worst, "findings": [as_json(one) for one in findings]})
    else:
        bad = sum(finding.is_bad for finding in findings)
        output.result(f"{what}: {len(findings)} things looked at, {bad or 'none'} to be seen to")
        if is_endpoint and not bad:
            output.remark(f"Whether it does all that S3 does: `anys3 check {what}`")
    return Exit.UNHEALTHY if any(finding.is_bad for finding in findings) else Exit.OK


def _location(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Location:
    """Return the engines: --index and --blobs, else ANYS3_INDEX and ANYS3_BLOBS unless something else was named."""
    is_named = bool(arguments.what or arguments.index or arguments.blobs)
    index = arguments.index or ("" if is_named else place_in(environment, "index"))
    blobs = arguments.blobs or ("" if is_named else place_in(environment, "blobs"))
    try:
        return Location(index=index and check_index(index), blobs=blobs and check_blobs(blobs))
    except ValueError as error:
        raise Refusal(Exit.USAGE, str(error)) from None


def _remembered(directory: Path) -> str:
    """Return where the directory says that its blobs lie, "" for its own files."""
    try:
        return blobs_of(directory)
    except OSError:  # it will be a finding
        return ""
    except ValueError as error:
        raise Refusal(Exit.DAMAGED, str(error)) from None


def _show(finding: Finding, width: int) -> None:
    output.result(f"{finding.level:<8} {finding.id:<{width}} {finding.found}")
    if finding.advice:
        output.result(f"{'':<8} {'':<{width}} -> {finding.advice}")


def _of_engines(location: Location) -> Iterator[Finding]:
    with refusing(location):
        yield from examine(location, lambda: time.time_ns() / 1e9)


def _of_directory(directory: Path, arguments: argparse.Namespace) -> Iterator[Finding]:
    from anys3.server import doctor

    with contextlib.suppress(PermissionError):  # then it is a finding
        require_store(directory)
    with refusing(Location(directory)):
        yield from doctor.of_directory(directory, time.time_ns() / 1e9, arguments.tls_cert)


def _of_url(url: str, arguments: argparse.Namespace, environment: Mapping[str, str]) -> Iterator[Finding]:
    from anys3.cli import doctor_endpoint
    from anys3.conformance import callers

    try:
        dialer = callers.dialer(url, environment, ca_file=arguments.ca_file, timeout_s=TIMEOUT_S)
    except ValueError as error:
        raise Refusal(Exit.USAGE, str(error)) from None
    patient = doctor_endpoint.Patient(dialer, environment, arguments.profile, arguments.region)
    return doctor_endpoint.of_endpoint(patient)
