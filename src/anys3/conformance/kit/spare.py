"""Buckets that checks of CreateBucket and DeleteBucket try to make: never more than one at a time.

The checks that use them declare lock="spare" and needs=("buckets",), and their names hold the run id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote

from anys3.conformance.outcomes import Blocked, Failed
from anys3.conformance.probe import Probe
from anys3.conformance.replies import Reply

_PAUSE_S = 60.0
"""How long a name that was just deleted may stay busy (409 OperationAborted, DB-04)."""
_OWN = "409 BucketAlreadyOwnedByYou"


def bucket_path(name: str) -> str:
    """Return the path of a bucket of any name, percent-encoded."""
    return f"/{quote(name, safe='-_.~')}"


def create(
    probe: Probe, name: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Reply:
    """Send CreateBucket, by default in the portable form; again while the name is still busy (DB-04)."""
    document = probe.location_document() if body is None else body
    replies: list[Reply] = []

    def is_answered() -> bool:
        replies.append(probe.request("PUT", bucket_path(name), (), headers or {}, document))
        return not replies[-1].is_one_of("409 OperationAborted")

    probe.until(is_answered, _PAUSE_S)
    return replies[-1]


@contextmanager
def trial(
    probe: Probe, name: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Iterator[Reply]:
    """Send CreateBucket and hand out its answer; a bucket that was made is gone at the end of the block.

    After a refusal nothing is deleted: the journal holds the name, should a bucket have been made all the same.
    Raises Blocked if it is still there from an earlier check, whose deletion did not succeed.
    """
    is_refused = False
    is_known = name in probe.ground.journal.made.buckets
    try:
        reply = create(probe, name, headers, body)
        if is_known and reply.is_one_of(_OWN):
            discard(probe, name)
            reply = create(probe, name, headers, body)
            if reply.is_one_of(_OWN):
                raise Blocked("the spare bucket is still there: its deletion did not succeed")
        yield reply
        is_refused = reply.is_one_of("400", "501")
    finally:
        if not is_refused:
            discard(probe, name)


@contextmanager
def given(probe: Probe) -> Iterator[str]:
    """Make the spare bucket for a while, or block the check; it is gone at the end of the block.

    If its deletion did not succeed before, it is used as it is.
    """
    try:
        reply = create(probe, probe.spare)
        if not reply.is_one_of("200", _OWN):
            raise Blocked(f"the spare bucket could not be made: {reply.said}")
        yield probe.spare
    finally:
        discard(probe, probe.spare)


def refuse(
    probe: Probe,
    name: str,
    *expected: str,
    about: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> None:
    """Expect CreateBucket to be refused. Raises Failed, also if the bucket is there after a refusal."""
    with trial(probe, name, headers, body) as reply:
        reply.expect(*expected, about=about)
        head = probe.request("HEAD", bucket_path(name))
        head.expect("404", "400", about=f"HEAD of the bucket after a refused {about}")
    probe.ground.journal.refused_bucket(name)


def discard(probe: Probe, name: str) -> None:
    """Delete a bucket and what this attempt put into it. Raises nothing that the server causes."""
    try:
        if not probe.request("DELETE", bucket_path(name)).is_one_of("2xx", "400", "404"):
            for bucket, key in list(probe.ground.journal.made.objects):
                if bucket == name and key.startswith(probe.prefix):
                    probe.request("DELETE", probe.path(key, bucket))
            probe.request("DELETE", bucket_path(name))
    except Failed:
        return  # the journal holds it: it is tried again when the run is cleaned up
