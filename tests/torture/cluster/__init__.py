"""Cluster: the same servers on PostgreSQL, Ceph RADOS and other S3s, with everything broken that can break.

`run` is the long form, `test_cluster.py` the short one. `mixes.py` says on which engines, `conformity.py`,
`histories.py`, `crashing.py` and `racing.py` are what each mix has to pass, `failures.py` is the table of what is
broken under the load of `load.py`, `planted.py` the bugs that all this must find.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture import records
from tests.torture.cluster import failures, proving
from tests.torture.cluster.failures import FAILURES, OTHERS
from tests.torture.cluster.mixes import MIXES, Engines
from tests.torture.cluster.proving import Counted
from tests.torture.cluster.stalls import Felt

MOST = 20
"""Violations of one part that are printed."""


@dataclass(slots=True)
class Report:
    """What has come of everything."""

    counted: Counted = field(default_factory=Counted)
    felt: dict[str, Felt] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)


def run(arguments: list[str]) -> int:
    """Run the proof; 0 if nothing was found."""
    options = _parse(arguments)
    begun = time.monotonic()
    report = Report()
    is_all = not (options.mix or options.fault or options.planted)
    with tempfile.TemporaryDirectory(prefix="anys3-cluster-", dir=options.dir) as folder:
        # Engines of other users go in there.
        Path(folder).chmod(0o755)
        if options.fault or is_all:
            _break(Path(folder), report, options.fault or list(FAILURES), options)
        with Engines(Path(folder)) as engines:
            if options.mix or is_all:
                _prove(engines, report, options.mix or list(MIXES), options)
            if options.planted or (is_all and options.long):
                _hunt(engines, report, options)
    return _tell(report, time.monotonic() - begun, is_recorded=options.record and is_all and options.long)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture cluster",
        description="Servers that share a store on real engines: conformance, recorded histories, kills at the steps"
        " of a commit and raced conditional writes on each mix of engines; then failures of all parts under load, each"
        " answer judged and timed, in a network of its own (root).",
        epilog="A violation is printed with what was broken, and when. The same seed sends the same requests.",
    )
    parser.add_argument("--long", action="store_true", help="more of everything, and all planted bugs")
    parser.add_argument("--mix", action="append", choices=list(MIXES), help="only this mix; may be repeated")
    parser.add_argument(
        "--fault", action="append", choices=[*FAILURES, *OTHERS], help="only this failure; may be repeated"
    )
    parser.add_argument("--planted", action="append", metavar="NAME", help="only this planted bug")
    parser.add_argument("--record", action="store_true", help="keep the numbers of a clean long run")
    parser.add_argument("--seed", type=int, default=1, help="of requests and moments (default: 1)")
    parser.add_argument("--dir", help="where engines and stores are made (default: the temporary directory)")
    return parser.parse_args(arguments)


def _prove(engines: Engines, report: Report, names: list[str], options: argparse.Namespace) -> None:
    effort = proving.LONG if options.long else proving.SHORT
    for name in names:
        begun = time.monotonic()
        counted = proving.prove(engines, MIXES[name], options.seed, effort)
        print(f"{name}: {counted} in {time.monotonic() - begun:.0f} s", flush=True)
        for violation in counted.violations[:MOST]:
            print(f"VIOLATION {name}: {violation}", flush=True)
        report.counted.add(counted)


def _break(folder: Path, report: Report, names: list[str], options: argparse.Namespace) -> None:
    with failures.world(folder / "world", MIXES["postgresql+rados"]) as world:
        for name in names:
            outcome = failures.suffer(world, {**FAILURES, **OTHERS}[name], options.seed)
            print(f"{name}: {outcome.felt}", flush=True)
            for violation in outcome.violations[:MOST]:
                print(f"VIOLATION {violation}", flush=True)
            report.felt[name] = outcome.felt
            report.counted.numbers["requests under failures"] += outcome.requests
            report.counted.violations += outcome.violations
            failures.recover(world)


def _hunt(engines: Engines, report: Report, options: argparse.Namespace) -> None:
    from tests.torture.cluster import hunting

    for name in options.planted or hunting.PLANTED:
        how = hunting.find(engines.folder, name, options.seed, engines)
        print(f"planted {name}: {f'found: {how[:200]}' if how else 'NOT FOUND'}", flush=True)
        if how:
            report.found[hunting.sentence(name)] = how[:200]
        else:
            report.missed.append(name)


def _tell(report: Report, seconds: float, *, is_recorded: bool) -> int:
    counted = report.counted
    print(f"cluster: {counted}; {len(report.found)} planted bugs found; {seconds:.0f} s")
    if report.missed:
        print(f"planted and not found: {', '.join(report.missed)}")
    if counted.violations or report.missed:
        return 1
    if is_recorded:
        numbers = {**counted.numbers, "failures": len(report.felt), "violations": 0}
        stalls = [FAILURES[name].row(felt) for name, felt in report.felt.items()]
        print(f"recorded in {records.record('cluster', seconds, numbers, report.found, stalls=stalls)}")
    return 0
