"""Abuse: attacks by thousands of connections on a real server, while somebody else is served all the time."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.torture import records
from tests.torture.abuse import attacks, planted, tls
from tests.torture.abuse.staging import Findings, Plan, add, perform

_EPILOG = """\
Slow heads, bodies and readers, floods of headers, bodies, messages and connections, bombs, absurd numbers, request
smuggling, and TLS that never gets anywhere: each attack runs beside a bystander, who writes and reads objects and must
be served. Memory (RssAnon of each process), descriptors and CPU time are held against stated bounds, during an attack
and after it. The short form starts servers with small limits; --long attacks the real ones, for about five minutes.
--seed is taken for the sake of the other proofs: the attacks have no chance in them.
"""


def run(arguments: list[str]) -> int:
    """Attack servers, and servers with planted bugs; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        "python -m tests.torture abuse", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--long", action="store_true", help="the limits of real servers, thousands of connections"
    )
    parser.add_argument("--record", action="store_true", help="keep the numbers in docs/torture/abuse.json")
    parser.add_argument("--only", metavar="ATTACK", help="one attack, by its name in the output")
    parser.add_argument(
        "--workers", type=int, choices=(1, 2), help="one number of workers (default: 1, then 2)"
    )
    parser.add_argument("--no-planted", action="store_true", help="leave the servers with planted bugs out")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    print(f"abuse: {len(attacks.ATTACKS) + len(tls.ATTACKS)} attacks, each beside a bystander", flush=True)
    with tempfile.TemporaryDirectory(prefix="anys3-abuse-") as folder:
        total = add(_attack(Path(folder), options))
        found = {} if options.no_planted else find_planted(Path(folder))
    for violation in total.violations:
        print(f"VIOLATION {violation}")
    missed = [] if options.no_planted else [each for each in planted.FOUND_BY if each not in found]
    for name in missed:
        print(f"NOT FOUND the planted bug {name}")
    seconds = time.monotonic() - began
    numbers = _numbers(total)
    print("abuse: " + ", ".join(f"{name}: {value}" for name, value in numbers.items()) + f", {seconds:.0f} s")
    is_clean = not total.violations and not missed
    if options.record and is_clean:
        records.record("abuse", seconds, numbers, {_sentence(name): how for name, how in found.items()})
    return 0 if is_clean else 1


def _attack(folder: Path, options: argparse.Namespace) -> list[Findings]:
    seconds = 6.0 if options.long else 1.0
    plans = [
        Plan(workers, is_small=not options.long, is_tls=is_tls, seconds=seconds)
        for workers, is_tls in ((1, False), (2, False), (2, True))
        if options.workers in (None, workers)
    ]
    found = []
    for number, plan in enumerate(plans):
        chosen = tls.ATTACKS if plan.is_tls else attacks.ATTACKS
        if options.only:
            chosen = {name: attack for name, attack in chosen.items() if name == options.only}
        if chosen:
            print(f"{plan.workers} workers{', TLS' if plan.is_tls else ''}:", flush=True)
            found.append(perform(folder / f"data{number}", plan, chosen))
    return found


def find_planted(folder: Path) -> dict[str, str]:
    """Return for each planted bug that was found, how."""
    found = {}
    for name, attack in planted.FOUND_BY.items():
        plan = Plan(planted=name, seconds=1.0)
        one = {attack: attacks.ATTACKS[attack]}
        findings = perform(folder / name, plan, one, tell=False, has_bystander=False)
        if findings.violations:
            found[name] = findings.violations[0]
            print(f"planted {name}: found ({found[name][:100]})", flush=True)
    return found


def _sentence(name: str) -> str:
    return str(getattr(planted, name).__doc__)


def _numbers(total: Findings) -> dict[str, int | float | str]:
    return {
        "attacks": total.attacks,
        "connections": total.connections,
        "MiB sent": total.sent >> 20,
        "peak MiB a worker": total.peak_mib,
        "MiB stated": total.bound_mib,
        "bystander's requests": total.requests,
        "repeated after 503": total.told_to_slow_down,
        "worst wait s": round(total.worst_wait_s, 2),
        "violations": len(total.violations),
    }
