"""One attack after the other against one server, while a bystander is served; what is held against bounds."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from anys3.server.limits import Limits
from tests.processes import ServerProcess
from tests.rawclient import RawClient
from tests.torture.abuse.attacks import Attack, Stage
from tests.torture.abuse.changes import SMALL
from tests.torture.abuse.watching import Bystander, Watch
from tests.torture.server import entry

MIB = 1 << 20
PER_CONNECTION = 96 << 10
"""What a connection may cost beside the budget: its objects, 16 KiB that are not counted, TLS."""
BESIDE = 64 * MIB
"""What a worker may need for commits, for the stacks and heaps of its threads, and for one read of each kind."""
WORST_WAIT_S = 30.0
"""With the machine to ourselves; where others compute too, it takes as many times longer."""
CPU_PER_BYTE_S = 60e-6
CPU_PER_CONNECTION_S = 10e-3


def crowdedness() -> float:
    """Return how many others share each core of this machine with us, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass(slots=True)
class Findings:
    """What attacks came to."""

    attacks: int = 0
    connections: int = 0
    sent: int = 0
    peak_mib: int = 0
    bound_mib: int = 0
    peak_descriptors: int = 0
    requests: int = 0
    told_to_slow_down: int = 0
    worst_wait_s: float = 0.0
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """A server, and how large the attacks on it are."""

    workers: int = 1
    is_small: bool = True
    is_tls: bool = False
    planted: str = ""
    seconds: float = 1.0

    @property
    def limits(self) -> Limits:
        """The limits of each worker."""
        return Limits(**SMALL) if self.is_small else Limits()

    @property
    def bound_bytes(self) -> int:
        """What a worker may hold beyond what it held at the start."""
        limits = self.limits
        connections = limits.connections_max + limits.refused_connections_max
        # Two buffers for each thread that has a socket, one for each content that the loop sends.
        transfers = (2 * limits.transfers_max + limits.flowing_max) * MIB
        return limits.buffered_max + transfers + connections * PER_CONNECTION + BESIDE

    @property
    def timeout_s(self) -> float:
        """The longest timeout, with the ticks of the sweeper."""
        limits = self.limits
        return max(limits.idle_timeout_s, limits.body_timeout_s, limits.send_timeout_s) + 2 * limits.tick_s


@contextmanager
def staged(directory: Path, plan: Plan) -> Iterator[ServerProcess]:
    """Run the server of `plan`, with what the attacks expect to find."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    words = (
        "tests.torture.abuse.planted:" + plan.planted if plan.planted else "tests.torture.abuse.changes:small"
    )
    start = entry(words) if plan.is_small else ("-m", "anys3")
    options = ["--workers", str(plan.workers), "--buckets", "public:public,bystander,listed"]
    server = ServerProcess(directory, *options, *(["--tls-self-signed"] if plan.is_tls else []), entry=start)
    if plan.is_tls:
        own = str(directory / "tls-self-signed.pem")
        server.s3 = RawClient(
            f"https://127.0.0.1:{server.port}",
            server.s3.access_key_id,
            server.s3.secret_access_key,
            ca_file=own,
        )
    try:
        server.start()
        for key in ("probe", "canary"):
            server.s3.request("PUT", f"/public/{key}", body=key.encode())
        server.s3.request("PUT", "/public/large", body=bytes(16 * MIB))
        server.s3.request("PUT", "/bystander/fixed", body=bytes(100_000))
        yield server
    finally:
        server.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def perform(
    directory: Path,
    plan: Plan,
    attacks: Mapping[str, Attack],
    tell: bool = True,
    *,
    has_bystander: bool = True,
) -> Findings:
    """Run `attacks` one after the other; return what was counted and found."""
    findings = Findings(bound_mib=plan.bound_bytes >> 20)
    with staged(directory, plan) as server, Watch(server.pid) as watch:
        base_bytes = watch.memory_kib() << 10
        base_descriptors = watch.descriptors()
        for name, attack in attacks.items():
            limits = plan.limits
            stage = Stage(
                server.s3,
                server.port,
                limits.connections_max * plan.workers,
                plan.seconds,
                plan.timeout_s,
                watch.cpu_s,
            )
            line = _one(server, plan, watch, findings, name, attack, stage, base_bytes, has_bystander)
            if tell:
                print(line, flush=True)
        if not findings.violations:  # else a server that is busy with its mistake is waited for in vain
            findings.violations += _given_back(watch, plan, base_bytes, base_descriptors)
        log = directory.with_suffix(".log").read_text()
        findings.violations += _in_the_log(log)
    return findings


def _one(
    server: ServerProcess,
    plan: Plan,
    watch: Watch,
    findings: Findings,
    name: str,
    attack: Attack,
    stage: Stage,
    base_bytes: int,
    has_bystander: bool,
) -> str:
    s3 = server.s3
    watch.mark()
    cpu = watch.cpu_s()
    bystander = None
    if has_bystander:
        bystander = Bystander(s3.endpoint, s3.access_key_id, s3.secret_access_key, s3.ca_file)
    began = time.monotonic()
    wrong = [f"{name}: {each}" for each in attack(stage)]
    took = time.monotonic() - began
    served = bystander.end() if bystander is not None else None
    used = watch.cpu_s() - cpu
    peak = (watch.peak_kib << 10) - base_bytes
    if peak > plan.bound_bytes:
        wrong.append(
            f"{name}: {peak >> 20} MiB more than at the start; at most {plan.bound_bytes >> 20} are stated"
        )
    requests = served.requests if served is not None else 0
    allowed = 5.0 + 0.02 * requests + CPU_PER_BYTE_S * stage.sent + CPU_PER_CONNECTION_S * stage.opened
    if used > allowed:
        wrong.append(f"{name}: {used:.1f} CPU s, where {allowed:.1f} are stated for {stage.sent} bytes")
    if served is not None:
        wrong += [f"{name}: the bystander was not served: {each}" for each in served.errors]
        if served.worst_s > WORST_WAIT_S * crowdedness():
            wrong.append(f"{name}: the bystander waited {served.worst_s:.1f} s")
        findings.requests += served.requests
        findings.told_to_slow_down += served.told_to_slow_down
        findings.worst_wait_s = max(findings.worst_wait_s, served.worst_s)
    findings.attacks += 1
    findings.connections += stage.opened
    findings.sent += stage.sent
    findings.peak_mib = max(findings.peak_mib, peak >> 20)
    findings.peak_descriptors = max(findings.peak_descriptors, watch.peak_descriptors)
    findings.violations += wrong
    wait = (
        f"{served.requests} served, worst {served.worst_s:.2f} s, {served.told_to_slow_down} 503"
        if served
        else ""
    )
    return (
        f"  {name:<32} {took:5.1f} s  {stage.opened:6} connections  {stage.sent / MIB:8.1f} MiB  "
        f"+{peak >> 20} MiB  {used:5.1f} CPU s  {wait}" + "".join(f"\n    VIOLATION {each}" for each in wrong)
    )


def _given_back(watch: Watch, plan: Plan, base_bytes: int, base_descriptors: int) -> list[str]:
    """Return what the server keeps although all attackers are gone."""
    until = time.monotonic() + plan.timeout_s + 20
    while watch.descriptors() > base_descriptors + 16 * plan.workers and time.monotonic() < until:
        time.sleep(0.1)
    wrong = []
    left = watch.descriptors() - base_descriptors
    if left > 16 * plan.workers:
        wrong.append(f"{left} descriptors were not given back")
    kept = (watch.memory_kib() << 10) - base_bytes
    if kept > BESIDE + plan.bound_bytes // 4:
        wrong.append(f"{kept >> 20} MiB were not given back")
    return wrong


def _in_the_log(log: str) -> list[str]:
    """Return the tracebacks: no attack may reach one."""
    lines = log.splitlines()
    return [f"in the log: {line}" for line in lines if line.startswith(("Traceback", "worker "))][:5]


def add(all_findings: Iterable[Findings]) -> Findings:
    """Return the sum of several."""
    total = Findings()
    for each in all_findings:
        total.attacks += each.attacks
        total.connections += each.connections
        total.sent += each.sent
        total.requests += each.requests
        total.told_to_slow_down += each.told_to_slow_down
        total.peak_mib = max(total.peak_mib, each.peak_mib)
        total.bound_mib = max(total.bound_mib, each.bound_mib)
        total.peak_descriptors = max(total.peak_descriptors, each.peak_descriptors)
        total.worst_wait_s = max(total.worst_wait_s, each.worst_wait_s)
        total.violations += each.violations
    return total
