"""What can be seen of a bucket at an S3 provider, for `anys3 doctor --blobs s3://...`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from secrets import SystemRandom

from anys3.client.answers import Answer
from anys3.client.credentials import NoCredentials
from anys3.protocol import xml
from anys3.spec.errors import S3Error
from anys3.store.errors import Unavailable
from anys3.store.findings import SLOW_MS, Finding, of_clock, of_probe
from anys3.store.s3 import credentials_of, open_blobs, refusals
from anys3.store.s3.address import Address, parse
from anys3.store.s3.requests import Request, Requester, Surroundings

_ROUNDS = 5
_PATIENCE_S = 5.0


def examine(url: str, clock: Callable[[], float]) -> Iterator[Finding]:
    """Yield what there is to say of it; `clock` gives the seconds of this machine. Blocks. Raises ValueError."""
    address = parse(url)
    try:
        requester = Requester(address, _surroundings(address))
    except NoCredentials as error:
        raise ValueError(str(error)) from None
    try:
        reached = list(_of_reached(requester, clock))
        yield from reached
        if any(finding.is_bad for finding in reached if finding.id == "blobs"):
            return
        yield of_transport(requester)
        yield of_versioning(_ask(requester, "GetBucketVersioning", "versioning"))
        yield of_lifecycle(_ask(requester, "GetBucketLifecycleConfiguration", "lifecycle"), address.prefix)
    finally:
        requester.stop()
        requester.pool.close()
    blobs = open_blobs(url)
    try:
        yield of_probe(blobs)
    finally:
        blobs.close()


def _surroundings(address: Address) -> Surroundings:
    return Surroundings(
        now=lambda: datetime.now(UTC),
        chance=SystemRandom().random,
        find_credentials=lambda: credentials_of(address, os.environ),
    )


def _of_reached(requester: Requester, clock: Callable[[], float]) -> Iterator[Finding]:
    listing = Request("ListObjectsV2", "GET", query=(("list-type", "2"), ("max-keys", "1")))
    times_ms = []
    try:
        for _ in range(_ROUNDS):
            began, began_s = time.perf_counter(), clock()
            answer = requester.ask(listing, patience_s=_PATIENCE_S)
            times_ms.append(1000 * (time.perf_counter() - began))
            if answer.status != 200:
                error = refusals.error(answer, f"{requester.where}: ListObjectsV2")
                yield Finding(
                    "blobs", "problem", str(error), "look at bucket, region and credentials (AWS_*, profile=)"
                )
                return
    except Unavailable as error:
        yield Finding(
            "blobs", "problem", str(error), "look at endpoint and network, and at the provider's own state"
        )
        return
    told = f"{requester.where} lists the bucket in {min(times_ms):.0f} ms"
    is_slow = min(times_ms) > SLOW_MS
    yield Finding(
        "blobs",
        "warning" if is_slow else "ok",
        told,
        "take a provider or a region nearer by" if is_slow else "",
    )
    if date := answer.header("date"):
        ended_s = clock()
        theirs = parsedate_to_datetime(date).timestamp() + 0.5  # the header has whole seconds
        yield of_clock("clock", theirs - (began_s + ended_s) / 2, (ended_s - began_s) / 2 + 0.5)


def _ask(requester: Requester, operation: str, parameter: str) -> Answer | None:
    try:
        return requester.ask(Request(operation, "GET", query=((parameter, ""),)), patience_s=_PATIENCE_S)
    except Unavailable:
        return None


def of_transport(requester: Requester) -> Finding:
    """Tell who can read on the way."""
    endpoint = requester.endpoint
    if endpoint.is_tls or endpoint.is_loopback:
        return Finding("transport", "ok", f"requests go to {endpoint.url}")
    return Finding(
        "transport",
        "warning",
        "plain HTTP: others on the way can read all contents",
        "use an https:// endpoint",
    )


def of_versioning(answer: Answer | None) -> Finding:
    """Tell what becomes of blobs that are removed."""
    status = _document(answer, "VersioningConfiguration")
    if status is None:
        return Finding(
            "versioning", "note", f"whether the bucket has versions can't be told: {_said(answer)}"
        )
    if status.text_of("Status") == "Enabled":
        return Finding(
            "versioning", "note", "the bucket keeps versions: what is removed goes on to take room",
            "have a lifecycle rule that expires noncurrent versions after as many days as you want to go back",
        )  # fmt: skip
    return Finding("versioning", "ok", "the bucket keeps no versions")


def of_lifecycle(answer: Answer | None, prefix: str) -> Finding:
    """Tell whether a rule of the bucket removes blobs behind our back."""
    if answer is not None and refusals.code(answer) == "NoSuchLifecycleConfiguration":
        return Finding("lifecycle", "ok", "no rule expires objects of the bucket")
    rules = _document(answer, "LifecycleConfiguration")
    if rules is None:
        return Finding(
            "lifecycle", "note", f"whether rules expire objects can't be told: {_said(answer)}",
            "make sure that none does: a blob that is missing is an object that can't be read",
        )  # fmt: skip
    for rule in rules.all("Rule"):
        if rule.text_of("Status") == "Enabled" and _expires(rule) and _meets(rule, prefix):
            return Finding(
                "lifecycle", "problem", f"the rule {rule.text_of('ID') or 'without a name'!r} expires objects: blobs would vanish",
                "remove the rule, or give it another prefix",
            )  # fmt: skip
    return Finding("lifecycle", "ok", "no rule expires current objects")


def _expires(rule: xml.Node) -> bool:
    expiration = rule.child("Expiration")
    return expiration is not None and any(expiration.text_of(name) for name in ("Days", "Date"))


def _meets(rule: xml.Node, prefix: str) -> bool:
    """Whether a rule's prefix and ours have keys in common."""
    filtered = rule.child("Filter")
    both = filtered.child("And") if filtered is not None else None
    found = next(
        (
            node.text_of("Prefix")
            for node in (both, filtered, rule)
            if node is not None and node.child("Prefix")
        ),
        "",
    )
    return prefix.startswith(found) or found.startswith(prefix)


def _document(answer: Answer | None, root: str) -> xml.Node | None:
    if answer is None or answer.status != 200:
        return None
    try:
        return xml.parse(answer.body, root)
    except S3Error:
        return None


def _said(answer: Answer | None) -> str:
    return refusals.said(answer) if answer is not None else "no answer"
