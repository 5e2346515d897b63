"""Counts what each check sends, on our own server: `python -m bench.check_costs` renews costs.toml.

The figures are those of a server on which every check passes at the first try.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.broken_servers import BreakableServer

from anys3.conformance.outcomes import Outcome
from anys3.conformance.plan import COSTS
from anys3.conformance.registry import checks
from anys3.conformance.running import run_check

HEAD = """\
# Made by `make costs`: requests of each check on our own server.
# name = [writes and lists, reads, deletes, bytes sent in bodies]
"""


def main() -> int:
    """Measure, write, and return the exit code: 1 if a check does not pass."""
    rows = []
    failed = []
    with tempfile.TemporaryDirectory() as name, BreakableServer(Path(name)) as server:
        for check in checks().values():
            with server.ground(Path(name) / "journals") as ground:
                result = run_check(ground, check)
            if result.outcome is not Outcome.PASS:
                failed.append(f"{check.name}: {result.outcome.value}: {result.sentence}")
            counts = [result.requests.get(kind, 0) for kind in ("write", "read", "delete")]
            rows.append(f'"{check.name}" = {[*counts, result.sent_bytes]}\n')
    COSTS.write_text(HEAD + "".join(rows), "utf-8")
    print(f"wrote {len(rows)} rows to {COSTS.name}", *failed, sep="\n", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
