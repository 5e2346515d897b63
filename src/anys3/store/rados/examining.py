"""What can be seen of a Ceph cluster with a client's rights, for `anys3 doctor --blobs rados://...`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from anys3.store.errors import Unavailable
from anys3.store.findings import Finding, of_probe, of_room
from anys3.store.rados.blobs import RadosBlobs
from anys3.store.rados.commands import Commands
from anys3.store.rados.connection import Client, parse

_TESTED = 16
_RELEASE = re.compile(r"ceph version (\d+)\.(\d+)\.(\d+)")
_STOPPING = frozenset({"pauserd", "pausewr", "full"})
_PASSING = frozenset(
    {"noout", "nodown", "noup", "noin", "norecover", "nobackfill", "norebalance", "noscrub", "nodeep-scrub"}
)
_COPIES, _LEAST = 3, 2
_ERASURE = 3
"""The type of a pool that is erasure-coded."""

Ask = Callable[..., Any]
"""`ask(prefix, **arguments)` runs a command on the monitors and returns its JSON. Raises Unavailable."""


def examine(url: str, clock: Callable[[], float]) -> Iterator[Finding]:  # noqa: ARG001 (as of all engines)
    """Yield what there is to say of it. Blocks, within the URL's timeout each time. Raises ValueError."""
    address = parse(url)
    began = time.perf_counter()
    try:
        commands = Commands(address)
    except Unavailable as error:
        advice = (
            "look at the file's mon_host, the key of the user, and whether more than half of the monitors run"
        )
        yield Finding("blobs", "problem", str(error), advice)
        return
    with commands:
        took_ms = 1000 * (time.perf_counter() - began)
        yield Finding(
            "blobs",
            "ok",
            f"the cluster of {address.conf} is reached as client.{address.id} in {took_ms:.0f} ms",
        )
        try:
            yield from of_cluster(commands.ask, address.pool)
        except Unavailable as error:
            yield Finding(
                "monitors",
                "problem",
                str(error),
                "the user needs mon 'allow r'; more than half of the monitors must run",
            )
    blobs = RadosBlobs(Client(address))
    try:
        yield of_probe(blobs)
    finally:
        blobs.close()


def of_cluster(ask: Ask, pool: str) -> Iterator[Finding]:
    """Tell what the monitors know: versions, health, quorum, OSDs, the pool, room, placement groups."""
    yield of_versions(ask("versions"))
    yield from of_health(ask("health", detail="detail"))
    yield of_monitors(ask("quorum_status"))
    dump = ask("osd dump")
    yield from of_osds(dump)
    found = next((one for one in dump["pools"] if one["pool_name"] == pool), None)
    if found is None:
        names = ", ".join(one["pool_name"] for one in dump["pools"]) or "none"
        yield Finding(
            "pool", "problem", f"there is no pool {pool!r} (pools: {names})", f"ceph osd pool create {pool}"
        )
        return
    yield from of_pool(found, ask)
    yield from of_failure_domain(found, ask("osd crush rule dump"))
    yield from of_free(ask("df"), pool, dump)
    yield from of_placement_groups(ask("status")["pgmap"])


def of_versions(versions: dict[str, dict[str, int]]) -> Finding:
    """Tell which release runs, and whether it is one."""
    names = sorted(versions.get("overall", {}))
    releases = sorted({tuple(map(int, found.groups())) for name in names if (found := _RELEASE.search(name))})
    told = "Ceph " + " and ".join(".".join(map(str, release)) for release in releases)
    if not releases:
        return Finding("version", "note", f"Ceph of an unknown version: {', '.join(names)}")
    if len(releases) > 1:
        return Finding("version", "note", f"{told}: an upgrade is under way", "finish it")
    if releases[0][0] != _TESTED:
        return Finding(
            "version", "note", f"{told}; anys3 is tested on {_TESTED}.2, through the same librados2"
        )
    return Finding("version", "ok", told)


def of_health(health: dict[str, Any]) -> Iterator[Finding]:
    """Pass on what the cluster says of itself; slow operations have an id of their own."""
    checks = health.get("checks", {})
    for name, check in sorted(checks.items()):
        if not check.get("muted"):
            yield Finding(
                "slow" if name == "SLOW_OPS" else "health",
                "problem" if check["severity"] == "HEALTH_ERR" else "warning",
                f"{name}: {check['summary']['message']}", "ceph health detail",
            )  # fmt: skip
    if not checks:
        yield Finding("health", "ok", str(health["status"]))


def of_monitors(quorum: dict[str, Any]) -> Finding:
    """Tell how many monitors may still be lost."""
    there, known = len(quorum["quorum_names"]), len(quorum["monmap"]["mons"])
    told = f"{there} of {known} monitors are in quorum ({', '.join(quorum['quorum_names'])})"
    if known < _COPIES:
        return Finding(
            "monitors", "warning", told, "have three: without more than half of them nothing is answered"
        )
    if there < known:
        return Finding(
            "monitors", "warning", told, "start the others: without more than half nothing is answered"
        )
    return Finding("monitors", "ok", told)


def of_osds(dump: dict[str, Any]) -> Iterator[Finding]:
    """Tell which OSDs are missing or full, and which flags keep the cluster from its work."""
    osds = dump["osds"]
    down = [str(osd["osd"]) for osd in osds if not osd["up"]]
    out = [str(osd["osd"]) for osd in osds if not osd["in"]]
    told = f"{len(osds) - len(down)} of {len(osds)} OSDs are up, {len(osds) - len(out)} are in"
    if down:
        yield Finding("osds", "warning", f"{told}; down: {', '.join(down)}", "start them: ceph osd tree down")
    elif out:
        yield Finding(
            "osds", "note", f"{told}; out: {', '.join(out)}", "ceph osd in, unless that is intended"
        )
    else:
        yield Finding("osds", "ok", told)
    full = [
        str(osd["osd"]) for osd in osds if {"full", "backfillfull", "nearfull"} & set(osd.get("state", ()))
    ]
    if full:
        yield Finding(
            "full",
            "problem",
            f"OSDs that are nearly full or full: {', '.join(full)}",
            "add devices, or reweight",
        )
    flags = set(dump.get("flags_set", ()))
    if flags & _STOPPING:
        told = ", ".join(sorted(flags & _STOPPING))
        yield Finding(
            "flags", "problem", f"the cluster serves nothing: {told}", f"ceph osd unset {told.split(',')[0]}"
        )
    elif flags & _PASSING:
        told = ", ".join(sorted(flags & _PASSING))
        yield Finding(
            "flags", "warning", f"set for maintenance: {told}", "ceph osd unset FLAG when that is done"
        )


def of_pool(pool: dict[str, Any], ask: Ask) -> Iterator[Finding]:
    """Tell how many failures the pool survives, and from how many on it refuses writes."""
    if pool["type"] == _ERASURE:
        yield _of_erasure(pool, ask("osd erasure-code-profile get", name=pool["erasure_code_profile"]))
    else:
        yield _of_replicated(pool)
    if pool["quota_max_bytes"] or pool["quota_max_objects"]:
        yield Finding(
            "quota", "note", f"the pool has a quota: {pool['quota_max_bytes']} bytes, {pool['quota_max_objects']} objects",
            "writes beyond it are answered with 503",
        )  # fmt: skip
    if not pool.get("application_metadata"):
        name = pool["pool_name"]
        yield Finding(
            "application",
            "note",
            "the pool has no application",
            f"ceph osd pool application enable {name} anys3",
        )


def _of_replicated(pool: dict[str, Any]) -> Finding:
    name, copies, least = pool["pool_name"], pool["size"], pool["min_size"]
    told = f"{name} keeps {copies} copies, and takes writes while it has {least}"
    if copies == 1:
        return Finding(
            "pool", "problem", f"{told}: a lost device loses data", f"ceph osd pool set {name} size 3"
        )
    if copies < _COPIES:
        return Finding("pool", "warning", told, f"ceph osd pool set {name} size 3 (and min_size 2)")
    if least < _LEAST:
        return Finding(
            "pool", "warning", f"{told}: what is answered 200 then is on one device",
            f"ceph osd pool set {name} min_size 2",
        )  # fmt: skip
    return Finding("pool", "ok", told)


def _of_erasure(pool: dict[str, Any], profile: dict[str, str]) -> Finding:
    data, spare, least = int(profile["k"]), int(profile["m"]), pool["min_size"]
    told = f"{pool['pool_name']} is erasure-coded {data}+{spare}, and takes writes while it has {least} of {data + spare} shards"
    if spare == 1:
        return Finding(
            "pool", "warning", f"{told}: with one OSD down, what is answered 200 has no spare shard",
            "use m=2 or more from four hosts on, or a replicated pool of size 3",
        )  # fmt: skip
    if least <= data:
        return Finding(
            "pool",
            "warning",
            f"{told}: without a spare one",
            f"ceph osd pool set {pool['pool_name']} min_size {data + 1}",
        )
    return Finding("pool", "ok", told)


def of_failure_domain(pool: dict[str, Any], rules: list[dict[str, Any]]) -> Iterator[Finding]:
    """Tell whether copies may lie in one machine."""
    steps = [step for rule in rules if rule["rule_id"] == pool["crush_rule"] for step in rule["steps"]]
    domain = next(
        (step["type"] for step in steps if str(step["op"]).startswith("choose") and "type" in step), ""
    )
    if domain == "osd":
        yield Finding(
            "domain", "warning", "copies are spread over OSDs, not over hosts: one machine may hold all of an object",
            "make a rule with the failure domain host, and ceph osd pool set POOL crush_rule RULE",
        )  # fmt: skip
    elif domain:
        yield Finding("domain", "ok", f"no two copies or shards are in one {domain}")


def of_free(df: dict[str, Any], pool: str, dump: dict[str, Any]) -> Iterator[Finding]:
    """Tell how much the pool still takes: bytes of objects, copies taken off."""
    stats = next((one["stats"] for one in df.get("pools", ()) if one["name"] == pool), None)
    if not stats or not df.get("stats", {}).get("total_bytes"):
        yield Finding(
            "room", "note", "nobody knows how full the pool is: that takes a manager", "start ceph-mgr"
        )
        return
    free, stored = int(stats["max_avail"]), int(stats["stored"])
    found = of_room("room", free, free + stored)
    ratio = float(dump.get("full_ratio", 0.95))
    if found.is_bad or not free:
        yield Finding("room", found.level, f"{found.found}, until an OSD is {ratio:.0%} full", found.advice)
    else:
        yield found


def of_placement_groups(pgmap: dict[str, Any]) -> Iterator[Finding]:
    """Tell how many placement groups can't be used, or have lost copies."""
    states = {state["state_name"]: state["count"] for state in pgmap.get("pgs_by_state", ())}
    total = sum(states.values())
    if not total or "unknown" in states:
        yield Finding(
            "pgs",
            "note",
            "nobody tells the states of placement groups: that takes a manager",
            "start ceph-mgr",
        )
        return
    stuck = {name: count for name, count in states.items() if "active" not in name.split("+")}
    poor = {
        name: count for name, count in states.items() if {"degraded", "undersized"} & set(name.split("+"))
    }
    told = ", ".join(f"{count} {name}" for name, count in sorted(states.items()))
    if stuck:
        yield Finding(
            "pgs", "problem", f"{sum(stuck.values())} of {total} placement groups are not active: {told}",
            "reads and writes of their objects are answered with 503; start OSDs, ceph pg dump_stuck",
        )  # fmt: skip
    elif poor:
        yield Finding(
            "pgs",
            "warning",
            f"objects have fewer copies than they should: {told}",
            "start OSDs; it heals by itself",
        )
    else:
        yield Finding("pgs", "ok", f"all {total} placement groups are active: {told}")
