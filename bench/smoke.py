"""Has this tree become slower? `make bench-smoke`, in under two minutes.

Serves two fresh directories at once, one from this tree and one from its parent commit (where `src/` has changes
that are not committed: from HEAD), checked out into a temporary worktree. Each small operation is measured in
turn, parent, this, parent, this: CPU of the server per request. Ends with 1 if an operation costs too much more
than the parent in the median of pairs, or than its budget; bench/budget.toml says how much is too much.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.client import IS_HEAD, Request
from bench.served import Served

ROOT = Path(__file__).parents[1]
KEYS = 2_000
SIZE = 4096
BLOCK = hashlib.shake_128(b"bench.smoke").digest(1 << 18)
CONNECTIONS = 64


def budget() -> dict[str, Any]:
    """Return what bench/budget.toml says."""
    return tomllib.loads((ROOT / "bench" / "budget.toml").read_text())


# --- loads ----------------------------------------------------------------------------------------------


def put(server: Served, path: str, index: int) -> Request:
    """Return a signed PUT; bodies of neighbours differ."""
    offset = index * 977 % (len(BLOCK) - SIZE)
    payload = hashlib.sha256(BLOCK[offset : offset + SIZE]).hexdigest()
    head = server.signer.head("PUT", path, payload=payload, body_bytes=SIZE)
    return Request(head, body_offset=offset, body_bytes=SIZE)


def seeded(index: int) -> str:
    """Return the path of a key that is there."""
    return f"/smoke/k{index * 7919 % KEYS:06d}"


def seed(server: Served) -> None:
    """Make the bucket and the keys that reads meet."""
    server.load([Request(server.signer.head("PUT", "/smoke", body_bytes=0))], 1)
    server.load([Request(server.signer.head("PUT", "/smoke-new", body_bytes=0))], 1)
    server.load([put(server, seeded(index), index) for index in range(KEYS)], CONNECTIONS, BLOCK)


def gets(server: Served, count: int, _: int) -> list[Request]:
    """Return GETs."""
    return [Request(server.signer.head("GET", seeded(index)), answer_bytes=SIZE) for index in range(count)]


def heads(server: Served, count: int, _: int) -> list[Request]:
    """Return HEADs."""
    return [Request(server.signer.head("HEAD", seeded(index)), flags=IS_HEAD) for index in range(count)]


def puts(server: Served, count: int, turn: int) -> list[Request]:
    """Return PUTs of new keys."""
    return [put(server, f"/smoke-new/{turn}-{index:06d}", index) for index in range(count)]


def deletes(server: Served, count: int, turn: int) -> list[Request]:
    """Return DELETEs of what the PUTs of the same turn made."""
    paths = [f"/smoke-new/{turn}-{index:06d}" for index in range(count)]
    return [Request(server.signer.head("DELETE", path), 204) for path in paths]


def lists(server: Served, count: int, _: int) -> list[Request]:
    """Return LIST pages of 1,000 keys."""
    query = {"list-type": "2", "max-keys": "1000"}
    return [Request(server.signer.head("GET", "/smoke", query)) for _ in range(count)]


LOADS: dict[str, Callable[[Served, int, int], list[Request]]] = {
    "get-4k": gets,
    "head": heads,
    "put-4k": puts,
    "delete": deletes,
    "list-flat": lists,
}


# --- judgement ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One operation: CPU µs of parent and this tree, pair by pair, and its budget."""

    name: str
    pairs: tuple[tuple[float, float], ...]
    budget_us: float

    @property
    def parent_us(self) -> float:
        """Return the parent's median."""
        return statistics.median(pair[0] for pair in self.pairs)

    @property
    def this_us(self) -> float:
        """Return this tree's median."""
        return statistics.median(pair[1] for pair in self.pairs)

    @property
    def ratios(self) -> list[float]:
        """Return this tree's share of the parent, pair by pair, ascending."""
        return sorted(this / parent for parent, this in self.pairs)

    def complaints(self, over_parent: float, over_budget: float) -> list[str]:
        """Return what is too slow, in words.

        >>> Row("get-4k", ((40.0, 50.0), (40.0, 44.0), (40.0, 48.0)), 35).complaints(0.15, 0.3)
        ['get-4k: 20 % above its parent (at most 15 %)', 'get-4k: 48.0 µs, its budget is 35 (and 30 %)']
        """
        found = []
        above = statistics.median(self.ratios) - 1
        if above > over_parent:
            found.append(f"{self.name}: {above:.0%} above its parent (at most {over_parent:.0%})")
        if self.this_us > self.budget_us * (1 + over_budget):
            found.append(
                f"{self.name}: {self.this_us:.1f} µs, its budget is {self.budget_us:g} (and {over_budget:.0%})"
            )
        return [words.replace("%", " %") for words in found]


def table(rows: list[Row]) -> str:
    """Return the rows as text."""
    lines = [f"{'CPU µs':<12}{'parent':>9}{'this':>9}{'budget':>9}{'ratio':>8}   spread of the pairs"]
    for row in rows:
        ratio = statistics.median(row.ratios)
        lines.append(
            f"{row.name:<12}{row.parent_us:>9.1f}{row.this_us:>9.1f}{row.budget_us:>9.0f}{ratio:>8.2f}"
            f"   {row.ratios[0]:.2f}-{row.ratios[-1]:.2f}"
        )
    return "\n".join(lines)


# --- the two trees --------------------------------------------------------------------------------------


def git(*words: str) -> str:
    """Return what git says."""
    return subprocess.run(
        ["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def parent() -> str:
    """Return the commit to compare with: HEAD where `src/` differs from it, else the one before."""
    return "HEAD" if git("status", "--porcelain", "--", "src") else "HEAD^"


@contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[Path]:
    """Check a commit out beside this tree; yields the folder of its package."""
    git("worktree", "add", "--quiet", "--detach", str(folder), revision)
    try:
        yield folder / "src"
    finally:
        git("worktree", "remove", "--force", str(folder))


def measure(servers: list[Served], operations: dict[str, Any], rounds: int, share: float) -> list[Row]:
    """Measure both servers in turn, A B B A, so that neither is always first; the first round warms up."""
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in operations}
    for turn in range(rounds + 1):
        for name, row in operations.items():
            count = max(CONNECTIONS, int(row["requests"] * share))
            order = servers if turn % 2 else servers[::-1]
            costs = [
                server.load(LOADS[name](server, count, turn), CONNECTIONS, BLOCK).cpu_us for server in order
            ]
            parent_us, this_us = costs if turn % 2 else costs[::-1]
            if turn:
                pairs[name].append((parent_us, this_us))
    return [Row(name, tuple(pairs[name]), row["budget_us"]) for name, row in operations.items()]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and return 1 if something is too slow."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m bench.smoke", description=__doc__, formatter_class=form)
    parser.add_argument("--against", metavar="REVISION", help="a commit to compare with")
    parser.add_argument("--rounds", type=int, metavar="N", help="pairs (default: those of budget.toml)")
    parser.add_argument("--share", type=float, default=1.0, help="a share of the requests, for a quick look")
    options = parser.parse_args(arguments)
    known = budget()
    smoke = known["smoke"]
    against = options.against or parent()
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="anys3-smoke-")))
        theirs = stack.enter_context(checked_out(against, place / "tree"))
        print(f"parent: {git('log', '-1', '--format=%h %s', against)}; this: {ROOT}", flush=True)
        servers = [
            stack.enter_context(Served(place / "parent", source=theirs)),
            stack.enter_context(Served(place / "this", source=ROOT / "src")),
        ]
        for server in servers:
            seed(server)
        rows = measure(servers, known["operations"], options.rounds or smoke["rounds"], options.share)
    print(table(rows))
    found = [words for row in rows for words in row.complaints(smoke["over_parent"], smoke["over_budget"])]
    print("\n".join(found) or "nothing is too slow")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
