"""What can be seen of the store's own tables, for `anys3 doctor --index`: servers, rows, work that waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anys3.store.findings import Finding, size
from anys3.store.findings import of_pause as of_pause_found
from anys3.store.postgresql.schema import FORMAT

_MANY_ROWS = 1_000_000
_MANY_DEAD = 100_000
_DEAD_SHARE = 0.3
_SILENT_S = 10.0
_LATE_S = 900.0
BESIDE = 3
"""Connections of a process beside its pool: the lease's, and the side's."""


async def of_store(connection: Any, schema: str, keep_s: int) -> Iterator[Finding]:
    """Tell what the store's own tables say, if they are there."""
    if await connection.fetchval("SELECT to_regclass($1)", "process") is None:
        told = f"there is no store in the schema {schema!r}"
        return iter(
            [Finding("store", "note", told, "nothing, if it is new: the first `anys3 serve` makes it")]
        )
    found = [await of_format(connection, schema)]
    if found[0].level != "ok":
        return iter(found)
    for look in (of_pause, of_notes, of_servers, of_rows):
        found += await look(connection)
    found += await of_backlog(connection, keep_s)
    return iter(found)


async def of_format(connection: Any, schema: str) -> Finding:
    """Tell whether this version can serve it."""
    found = await connection.fetchval("SELECT format FROM store")
    told = f"the schema {schema!r} holds a store of format {found}; this version writes {FORMAT}"
    if found is None or found > FORMAT:
        return Finding("store", "problem", told, "a newer anys3 has written it: update this one")
    if found < FORMAT:
        return Finding(
            "store",
            "note",
            told,
            "the first start of this version brings it there; older ones can't be started then",
        )
    return Finding("store", "ok", told)


async def of_pause(connection: Any) -> Iterator[Finding]:
    """Tell whether the store takes changes."""
    row = await connection.fetchrow(
        "SELECT pause_reason, to_timestamp(pause_ends_ms / 1000) AS ends FROM store WHERE pause_holder <> ''"
        " AND (pause_ends_ms IS NULL OR pause_ends_ms > extract(epoch FROM clock_timestamp()) * 1000)"
    )
    if row is None:
        return iter(())
    ends = row["ends"].isoformat(" ", "seconds") if row["ends"] else ""
    return iter([of_pause_found(row["pause_reason"], ends)])


async def of_notes(connection: Any) -> Iterator[Finding]:
    """Tell how much is noted for who follows the store."""
    row = await connection.fetchrow(
        "SELECT to_timestamp(notes_end_ms / 1000) AS ends, (SELECT count(*) FROM"
        " (SELECT 1 FROM noted WHERE noted.notes = store.notes LIMIT $1::bigint) AS rows) AS count"
        " FROM store WHERE notes > 0",
        _MANY_ROWS,
    )
    if row is None:
        return iter(())
    more = "or more " if row["count"] == _MANY_ROWS else ""
    told = f"a copy follows the store until {row['ends'].isoformat(' ', 'seconds')}, if nobody prolongs that: {row['count']} {more}changed keys are noted"
    return iter([Finding("notes", "ok", told)])


async def count_servers(connection: Any) -> int:
    """Return how many processes have the store open."""
    if await connection.fetchval("SELECT to_regclass('process')") is None:
        return 0
    alive = "SELECT count(*) FROM process WHERE seen > clock_timestamp() - interval '1 s' * $1::float8"
    return int(await connection.fetchval(alive, _SILENT_S))


async def of_servers(connection: Any) -> Iterator[Finding]:
    """Tell which processes have the store open."""
    rows = await connection.fetch(
        "SELECT id, host, started, extract(epoch FROM clock_timestamp() - seen)::float8 AS silent"
        " FROM process ORDER BY started"
    )
    alive = [row for row in rows if row["silent"] < _SILENT_S]
    hosts = sorted({row["host"] for row in alive})
    told = f"{len(alive)} processes have the store open" + (f", on {', '.join(hosts)}" if hosts else "")
    found = [Finding("servers", "ok", told)]
    if len(alive) < len(rows):
        found.append(
            Finding(
                "ended",
                "note",
                f"{len(rows) - len(alive)} processes ended without saying so",
                "nothing: others clear up after them",
            )
        )
    return iter(found)


async def of_rows(connection: Any) -> Iterator[Finding]:
    """Tell how large the tables are, and whether autovacuum keeps up."""
    rows = await connection.fetch(
        "SELECT relname, n_live_tup, n_dead_tup, last_autovacuum, last_vacuum, last_autoanalyze,"
        " pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables WHERE schemaname = current_schema() ORDER BY bytes DESC"
    )
    return _of_rows(rows)


def _of_rows(rows: list[Any]) -> Iterator[Finding]:
    sizes = [
        f"{row['n_live_tup']} rows of {row['relname']} in {size(row['bytes'])}"
        for row in rows
        if row["relname"] in ("object", "part")
    ]
    yield Finding("tables", "ok", f"about {' and '.join(sizes)}, indexes included")
    for row in rows:
        dead, live = row["n_dead_tup"], row["n_live_tup"]
        if dead > max(_MANY_DEAD, _DEAD_SHARE * live):
            last = row["last_autovacuum"] or row["last_vacuum"]
            yield Finding(
                "dead-rows", "warning",
                f"{row['relname']} has {dead} dead rows beside {live}; vacuumed {last.isoformat(' ', 'seconds') if last else 'never'}",
                "look for long transactions and old slots, which keep them; else let autovacuum do more at a time"
                " (autovacuum_vacuum_cost_limit), or VACUUM (ANALYZE)",
            )  # fmt: skip


async def of_backlog(connection: Any, keep_s: int) -> Iterator[Finding]:
    """Tell how many blobs wait to be removed, and how many names are out; `keep_s` of it they are meant to wait."""
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM freed LIMIT $1::bigint) AS rows) AS freed,"
        " (SELECT count(*) FROM (SELECT 1 FROM pending LIMIT $1::bigint) AS rows) AS pending,"
        " extract(epoch FROM clock_timestamp() - (SELECT min(freed_at) FROM freed))::float8 AS oldest",
        _MANY_ROWS,
    )
    more = "or more " if _MANY_ROWS in (row["freed"], row["pending"]) else ""
    kept = f", for {keep_s / 3600:.0f} hours as keep= says" if keep_s else ""
    told = f"{row['freed']} {more}deleted or replaced contents wait to be removed{kept}; {row['pending']} names are given out"
    late_s = (row["oldest"] or 0.0) - keep_s
    if late_s < _LATE_S and row["pending"] < _MANY_ROWS:
        return iter([Finding("backlog", "ok", told)])
    return iter([
        Finding(
            "backlog", "warning", f"{told}; the oldest should be gone since {max(late_s, 0.0) / 60:.0f} minutes",
            "look at the servers' logs for what keeps blobs from being removed, and for readers that never end",
        )
    ])  # fmt: skip
