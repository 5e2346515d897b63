"""Start an engine by hand: `python -m tests.engines postgresql|ceph|patroni` says how to reach it, until Ctrl-C."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engines import ceph, patroni, postgresql
from tests.engines.network import Network

EXAMPLES = """\
examples:
  python -m tests.engines postgresql --replicas 2
  python -m tests.engines ceph --store bluestore --keep
  python -m tests.engines patroni
"""


@contextmanager
def _postgresql(directory: Path, options: argparse.Namespace) -> Iterator[list[str]]:
    with postgresql.Postgresql(directory, replicas=options.replicas) as engine:
        yield [f"psql {engine.dsn}", f"anys3 serve DIR --index {engine.dsn}", *_pids(engine.nodes)]


def _pids(nodes: list[postgresql.Node]) -> list[str]:
    return [f"{node.name}: port {node.port}, postmaster {node.daemon.pid}" for node in nodes]


@contextmanager
def _ceph(directory: Path, options: argparse.Namespace) -> Iterator[list[str]]:
    with ceph.Ceph(directory, mons=options.mons, osds=options.osds, store=options.store) as engine:
        yield [
            f"ceph -c {engine.conf} -s      (without a manager it knows no usage)",
            f"rados -c {engine.conf} -p {ceph.DATA} ls",
            f"anys3 serve DIR --blobs 'rados://{ceph.DATA}?conf={engine.conf}'      (or {ceph.EC})",
            *(f"osd.{number}: process {daemon.pid}" for number, daemon in enumerate(engine.osds)),
        ]


@contextmanager
def _patroni(directory: Path, options: argparse.Namespace) -> Iterator[list[str]]:
    with (
        Network(directory / "network", "n1", "n2", "n3", "client") as network,
        patroni.Patroni(directory / "patroni", network.hosts[:3]) as engine,
    ):
        yield [
            f"in the cluster's network: {' '.join(network['client'].command(['COMMAND']))}",
            f"the leader: psql '{engine.dsn}'",
            *(f"{node.host.name}: {node.host.address}, Patroni {node.patroni.pid}" for node in engine.nodes),
        ]


ENGINES = {
    "postgresql": (
        "a primary, and replicas with quorum commit, on loopback",
        _postgresql,
        postgresql.missing,
    ),
    "ceph": ("monitors and OSDs with the pools data and ec, on loopback", _ceph, ceph.missing),
    "patroni": ("three nodes with etcd, in network namespaces (root)", _patroni, patroni.missing),
}


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m tests.engines", description=__doc__, epilog=EXAMPLES, formatter_class=form
    )
    engines = parser.add_subparsers(dest="engine", required=True, metavar="ENGINE")
    parsers = {
        name: engines.add_parser(name, help=row[0], description=row[0]) for name, row in ENGINES.items()
    }
    for engine in parsers.values():
        engine.add_argument(
            "--keep", action="store_true", help="leave its directory, with data and logs, behind"
        )
    parsers["postgresql"].add_argument("--replicas", type=int, default=0, help="how many (default: 0)")
    parsers["ceph"].add_argument("--osds", type=int, default=3, help="how many (default: 3)")
    parsers["ceph"].add_argument("--mons", type=int, default=1, help="how many (default: 1)")
    parsers["ceph"].add_argument(
        "--store", choices=["memstore", "bluestore"], default="memstore", help="in memory, or in files"
    )
    return parser


def main(arguments: list[str]) -> int:
    """Run an engine until SIGINT or SIGTERM."""
    options = _parser().parse_args(arguments)
    _, start, missing = ENGINES[options.engine]
    reason = missing()
    if reason is not None:
        print(reason, file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell has its background commands ignore the first
        signal.signal(number, signal.default_int_handler)
    directory = Path(tempfile.mkdtemp(prefix=f"{options.engine}-"))
    started = time.monotonic()
    try:
        with start(directory, options) as lines:
            print(
                f"{options.engine} runs after {time.monotonic() - started:.1f} s in {directory}; Ctrl-C ends it"
            )
            print("\n".join(f"  {line}" for line in lines), flush=True)
            signal.pause()
    except KeyboardInterrupt:
        return 0
    finally:
        if options.keep:
            print(f"left behind: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
