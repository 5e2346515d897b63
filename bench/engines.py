"""PostgreSQL, Ceph, a shared directory or another anys3 for the targets that keep their store there.

They are started by `tests.engines`, which needs Debian's packages (`.ci/install-engines`), in the target's directory, and
sync: PostgreSQL with its defaults, Ceph's OSDs as bluestore in files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import accounting
from bench.peers.product import random_key_pair
from bench.peers.running import Running, answers, free_ports

INDEXES = ("postgresql",)
BLOBS = ("rados", "rados-ec", "file", "s3")
BUCKET = "blobs"


@dataclass(frozen=True, slots=True)
class Engines:
    """What runs: the options of `anys3 serve`, what its environment needs, and the engines' processes."""

    options: list[str]
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    find_pids: Callable[[], list[int]] = list


@contextmanager
def started(index: str, blobs: str, replicas: int, directory: Path) -> Iterator[Engines]:
    """Start what a target's store lies on; all of it ends with the block. Raises RuntimeError with what to do."""
    options: list[str] = []
    environment: dict[str, str] = {}
    roots: list[int] = []
    with ExitStack() as stack:
        if index:
            options += ["--index", _postgresql(stack, replicas, directory / "postgresql", roots)]
        if blobs.startswith("rados"):
            options += ["--blobs", _rados(stack, blobs, directory / "ceph", roots)]
        elif blobs == "file":
            options += ["--blobs", f"file:{directory / 'blobs'}"]
        elif blobs == "s3":
            options += ["--blobs", _s3(stack, directory / "provider", roots, environment)]
        yield Engines(options, environment, lambda: [pid for root in roots for pid in accounting.tree(root)])


def _postgresql(stack: ExitStack, replicas: int, directory: Path, roots: list[int]) -> str:
    from tests.engines import postgresql

    _need(postgresql.missing())
    engine = stack.enter_context(postgresql.Postgresql(directory, replicas=replicas))
    roots += [node.daemon.pid for node in engine.nodes]
    return engine.dsn


def _rados(stack: ExitStack, blobs: str, directory: Path, roots: list[int]) -> str:
    from tests.engines import ceph

    _need(ceph.missing())
    engine = stack.enter_context(ceph.Ceph(directory, store="bluestore"))
    roots += [daemon.pid for daemon in (*engine.mons, *engine.osds)]
    return f"rados://{ceph.EC if blobs == 'rados-ec' else ceph.DATA}?conf={engine.conf}"


def _s3(stack: ExitStack, directory: Path, roots: list[int], environment: dict[str, str]) -> str:
    """Start this checkout's server on a directory as the provider."""
    pair = random_key_pair()
    (port,) = free_ports(1)
    running = Running(directory.with_suffix(".log"))
    stack.callback(running.stop)
    words = [sys.executable, "-m", "anys3", "serve", directory, "--workers", "1", "--buckets", BUCKET]
    root = {"ANYS3_ACCESS_KEY_ID": pair.access_key_id, "ANYS3_SECRET_ACCESS_KEY": pair.secret_access_key}
    running.spawn([*words, "--listen", f"127.0.0.1:{port}"], environment=root, cwd=Path(__file__).parents[1])
    running.wait_until("the provider answers", lambda: answers(port))
    roots += running.pids()[:1]
    environment |= {"AWS_ACCESS_KEY_ID": pair.access_key_id, "AWS_SECRET_ACCESS_KEY": pair.secret_access_key}
    return f"s3://{BUCKET}?endpoint=http://127.0.0.1:{port}&region=us-east-1"


def _need(missing: str | None) -> None:
    if missing is not None:
        raise RuntimeError(f"{missing}: run .ci/install-engines")
