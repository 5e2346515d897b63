"""Counts what a run of all checks sends, on our own server: `python -m bench.check_costs` renews costs.toml.

The figures are those of a server on which every check passes at the first try. All checks run on one ground: what
several of them share has a row of its own.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.broken_servers import BreakableServer

from anys3.conformance.ground import Ground
from anys3.conformance.outcomes import Outcome
from anys3.conformance.plan import COSTS, Cost
from anys3.conformance.registry import checks
from anys3.conformance.running import run_check

HEAD = """\
# Made by `make costs`: requests of a run of all checks on our own server.
# name = [writes and lists, reads, deletes, bytes sent in bodies], and of a check the names of what it shares.
# Deletes are also those of uploads and buckets that are left for cleaning up; the rest of it is `cleaning`.
"""
_T = TypeVar("_T")


class Tally:
    """What is spent on a ground: on what checks share, and on all."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._once = ground.once
        self.shared: dict[str, Cost] = {}
        self.used: set[str] = set()
        """The names of what was shared since it was emptied."""
        self.made = Cost()
        """What has been spent on all that is shared."""
        ground.once = self.once  # type: ignore[method-assign]

    def spent(self) -> Cost:
        """Return what has been spent so far, and will be for uploads and buckets that are there."""
        meter, made = self._ground.meter, self._ground.journal.made
        left = sum(map(len, made.uploads.values())) + len(made.buckets)
        counts = meter.requests
        return Cost(counts["write"], counts["read"], counts["delete"] + left, meter.sent_bytes)

    def once(self, what: str, make: Callable[[], _T]) -> _T:
        """Do what the ground does, and note what it spends; what is made within has a row of its own."""
        name = what.replace(self._ground.journal.run_id, "*")
        self.used.add(name)

        def counted() -> _T:
            before, within = self.spent(), self.made
            result = make()
            self.shared[name] = less(less(self.spent(), before), less(self.made, within))
            self.made += self.shared[name]
            return result

        return self._once(what, counted)


def less(one: Cost, other: Cost) -> Cost:
    """Return the difference of two costs."""
    return Cost(
        one.writes - other.writes,
        one.reads - other.reads,
        one.deletes - other.deletes,
        one.sent_bytes - other.sent_bytes,
    )


def main() -> int:
    """Measure, write, and return the exit code: 1 if a check does not pass."""
    rows = []
    failed = []
    with tempfile.TemporaryDirectory() as name, BreakableServer(Path(name)) as server:
        with server.ground(Path(name) / "journals") as ground:
            tally = Tally(ground)
            for check in checks().values():
                before, made = tally.spent(), tally.made
                tally.used = set()
                result = run_check(ground, check)
                if result.outcome is not Outcome.PASS:
                    failed.append(f"{check.name}: {result.outcome.value}: {result.sentence}")
                own = less(less(tally.spent(), before), less(tally.made, made))
                rows.append(f'"{check.name}" = {[*_row(own), *sorted(tally.used)]}\n'.replace("'", '"'))
            planned = tally.spent()
        requests = ground.meter.requests
        total = Cost(requests["write"], requests["read"], requests["delete"], ground.meter.sent_bytes)
    shared = [f'"{name}" = {_row(cost)}\n' for name, cost in sorted(tally.shared.items())]
    tables = f"[shared]\n{''.join(shared)}\n[checks]\n{''.join(rows)}"
    COSTS.write_text(f"{HEAD}cleaning = {_row(less(total, planned))}\n\n{tables}", "utf-8")
    print(f"wrote {len(rows)} rows to {COSTS.name}", *failed, sep="\n", file=sys.stderr)
    return 1 if failed else 0


def _row(cost: Cost) -> list[int]:
    return [cost.writes, cost.reads, cost.deletes, cost.sent_bytes]


if __name__ == "__main__":
    sys.exit(main())
