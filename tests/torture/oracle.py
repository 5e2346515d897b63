"""Says everything that a server shows, or its directory holds, that what was asked before does not explain.

    judgement = oracle.check(s3, journal.expectation(), directory)

- `s3`: a client, with the root key, of a server that has the store, recovered, and to which nobody writes. It need
  not be the server that was asked: any fresh process on that directory, or on a copy of it.
- `journal.expectation()` after a killed server; `journal.expectation(until_ns)` for a store as it was at a moment
  in the middle: only what was answered until then counts as acknowledged.
- `directory`: also looks at the disk (see disk.py); None leaves that out.

`judgement.violations` is empty if every acknowledged write is there byte for byte with its headers, every other one
wholly there or wholly not, no acknowledged deletion came back, no upload or part is lost, CompleteMultipartUpload
is all or nothing, LIST in its versions, HEAD and GET agree, buckets and access keys are as acknowledged; and on
disk no content is missing or damaged, nothing leaked, incoming/ and the outbox are empty. If it is empty,
`journal.settle(judgement)` makes what was found the base of the next round.
"""

from __future__ import annotations

from pathlib import Path

from tests.rawclient import RawClient
from tests.torture import disk
from tests.torture.journal import Expectation, Judgement, judge
from tests.torture.observing import Observer


def check(
    s3: RawClient, expectation: Expectation, directory: Path | None, *, settle_s: float = disk.SETTLE_S
) -> Judgement:
    """Compare a server, and its store's directory, with what was asked before; see the module."""
    secrets = {
        place[1]: {
            expectation.base.get(place),
            *(value for one in expectation.operations for value in one.changes.get(place, ())),
        }
        for place in expectation.places()
        if place[0] == "access"
    }
    observation = Observer(s3).look(expectation.places(), secrets)
    judgement = judge(expectation, observation.places)
    judgement.violations += observation.disagreements
    if directory is not None:
        judgement.violations += disk.check(directory, settle_s=settle_s)
    return judgement
