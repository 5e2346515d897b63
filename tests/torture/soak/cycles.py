"""Cycles of a soak: work among faults, compare, delete everything, look at what the server still holds."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import ServerProcess, serving
from tests.rawclient import RawClient, key_path
from tests.torture import oracle
from tests.torture.journal import Journal
from tests.torture.server import entry
from tests.torture.soak.faults import Faults
from tests.torture.soak.flatness import Sample, growth, take
from tests.torture.workload import Workload

SETTLE_S = 10.0


@dataclass(slots=True)
class Soaked:
    """What a soak came to."""

    cycles: int = 0
    operations: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def soak(
    directory: Path,
    seed: int,
    *,
    seconds: float,
    cycle_s: float,
    cycles: int = 1 << 30,
    workers: int = 2,
    planted: str = "",
    tell: bool = False,
    has_faults: bool = True,
) -> Soaked:
    """Run cycles for so long, or so many; then judge whether what was seen stayed flat."""
    soaked = Soaked()
    words = (f"tests.torture.soak.planted:{planted}",) if planted else ()
    until = time.monotonic() + seconds
    enough = 1 if planted else 10
    with serving(
        directory, "--workers", str(workers), "--region", "us-east-1", entry=entry(*words)
    ) as server:
        while time.monotonic() < until and soaked.cycles < cycles and len(soaked.violations) < enough:
            settle_s = 3.0 if planted else SETTLE_S
            _cycle(server, soaked, seed + soaked.cycles, cycle_s, settle_s, has_faults=has_faults)
            if tell and soaked.cycles % 10 == 1:
                print(
                    f"  cycle {soaked.cycles}, {soaked.operations} operations: {soaked.samples[-1]}",
                    flush=True,
                )
    if not soaked.violations:
        soaked.violations += growth(soaked.samples)
    log = directory.with_suffix(".log").read_text().splitlines()
    soaked.violations += [f"in the log: {line}" for line in log if line.startswith("Traceback")][:3]
    return soaked


def _cycle(
    server: ServerProcess, soaked: Soaked, seed: int, cycle_s: float, settle_s: float, *, has_faults: bool
) -> None:
    journal = Journal()
    workload = Workload(server.s3, journal, seed, threads=4)
    server.s3.request("PUT", "/vanished")
    faults = Faults(server, seed, cycle_s / 6)
    workload.start()
    if has_faults:
        with faults:
            time.sleep(cycle_s)
    else:
        time.sleep(cycle_s)
    workload.stop()
    workload.join()
    soaked.faults += faults.counts
    soaked.operations += journal.operations
    expected = [each for each in journal.surprises if not has_faults or ": 50" not in each]
    soaked.violations += [f"seed {seed}: a surprise: {each}" for each in expected[:3]]
    empty(server.s3, ("vanished",))
    judgement = oracle.check(server.s3, journal.expectation(), server.directory, settle_s=settle_s)
    soaked.violations += [f"seed {seed}: {each}" for each in judgement.violations[:3]]
    empty(server.s3)
    soaked.violations += [
        f"seed {seed}: everything was deleted, but {each}" for each in _left(server, settle_s)
    ]
    soaked.samples.append(take(server.pid, server.directory))
    soaked.cycles += 1


def empty(s3: RawClient, names: tuple[str, ...] = ()) -> None:
    """Delete some buckets, or all, with all that is in them."""
    for bucket in names or s3.request("GET", "/").texts("Buckets/Bucket/Name"):
        page = s3.request("GET", f"/{bucket}", "uploads")
        for upload in page.xml.findall("Upload"):
            key, upload_id = upload.findtext("Key") or "", upload.findtext("UploadId") or ""
            s3.request("DELETE", key_path(bucket, key), [("uploadId", upload_id)])
        while keys := s3.request("GET", f"/{bucket}", "list-type=2").texts("Contents/Key"):
            for key in keys:
                s3.request("DELETE", key_path(bucket, key))
        s3.request("DELETE", f"/{bucket}")


def _left(server: ServerProcess, settle_s: float) -> list[str]:
    """Return what an empty store still holds after a while."""
    until = time.monotonic() + settle_s
    while True:
        left = [file.name for file in server.directory.glob("blobs/??/*")]
        left += [str(file.relative_to(server.directory)) for file in server.directory.glob("incoming/*/*")]
        buckets = server.s3.request("GET", "/").texts("Buckets/Bucket/Name")
        if not left and not buckets:
            return []
        if time.monotonic() > until:
            return [f"{len(left)} files lie there: {left[:3]}"] if left else [f"{buckets} are there"]
        time.sleep(0.05)
