"""What can be seen of a PostgreSQL server, for `anys3 doctor --index`; nothing is changed."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import asyncpg

from anys3.store.errors import Unavailable
from anys3.store.findings import SLOW_MS, Finding, of_clock, of_room, size
from anys3.store.postgresql import examining_tables as tables
from anys3.store.postgresql.address import Address
from anys3.store.postgresql.connections import connect

OLDEST = 150_000
"""The oldest server_version_num that the schema is made for: PostgreSQL 15."""
_COUNT = re.compile(r"\s*(?:(?:ANY|FIRST)\s+)?(\d+)\s*\(", re.IGNORECASE)
_LAG_BYTES = 64 << 20
_LAG_S = 10.0
_KEPT_BYTES = 4 << 30
_LONG_S = 300.0
_WAIT_S = 5.0
_OLD_XID, _OLDEST_XID = 1_000_000_000, 1_800_000_000
_RELATED = ("CockroachDB", "YB-", "Yugabyte")
_ROUNDS = 5
_CLOSE_S = 2.0
_UNSEEN = "GRANT pg_monitor to this user to have it looked at"


def examine(dsn: str, clock: Callable[[], float]) -> Iterator[Finding]:
    """Yield what there is to say of an index; `clock` gives the seconds of this machine. Raises Unsuitable."""
    return iter(asyncio.run(_examine(Address(dsn), clock)))


async def _examine(address: Address, clock: Callable[[], float]) -> list[Finding]:
    try:
        connection = await connect(address)
    except Unavailable as error:
        advice = "start it, or correct host, port, user, password and database; with several hosts none may take writes"
        return [Finding("index", "problem", str(error), advice)]
    try:
        await connection.execute(f"SET search_path = {address.schema}")
        found = [await of_reached(connection, address)]
        for look in _looks(connection, address, clock):
            found += await _carefully(*look)
        return found
    finally:
        await connection.close(timeout=_CLOSE_S)


Look = tuple[str, Callable[[], Any]]


def _looks(connection: Any, address: Address, clock: Callable[[], float]) -> Iterator[Look]:
    """Yield what is looked at: the id that a failure gets, and how."""
    yield "version", lambda: of_version(connection)
    yield "role", lambda: of_role(connection)
    yield "durable", lambda: of_durability(connection)
    yield "standbys", lambda: of_standbys(connection)
    yield "slots", lambda: of_slots(connection)
    yield "transactions", lambda: of_transactions(connection)
    yield "age", lambda: of_age(connection)
    yield "size", lambda: of_size(connection)
    yield "clock", lambda: of_time(connection, clock)
    yield "store", lambda: tables.of_store(connection, address.schema, address.keep_s)
    yield "connections", lambda: of_connections(connection, address)


async def _carefully(name: str, look: Callable[[], Any]) -> Iterable[Finding]:
    """Look at one thing; what this user may not see, or a related server hasn't got, is no reason to stop."""
    try:
        found = await look()
    except asyncpg.InsufficientPrivilegeError as error:
        return [Finding(name, "note", f"this user can't look at it: {error}", _UNSEEN)]
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        return [Finding(name, "note", f"it can't be told here: {str(error) or type(error).__name__}")]
    return [found] if isinstance(found, Finding) else list(found)


async def of_reached(connection: Any, address: Address) -> Finding:
    """Tell where it is, and how long a round trip takes."""
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        await connection.fetchval("SELECT 1")
        times.append(1000 * (time.perf_counter() - began))
    row = await connection.fetchrow(
        "SELECT current_database() AS base, current_user AS who, host(inet_server_addr()) AS host"
    )
    is_tls = bool(connection._protocol.is_ssl)  # noqa: SLF001 (asyncpg does not tell it otherwise)
    told = f"{row['base']} at {row['host'] or 'a local socket'} as {row['who']}, {'over TLS' if is_tls else 'without TLS'}: {min(times):.1f} ms"
    if len(address.hosts) > 1:
        told += f" ({len(address.hosts)} hosts in the URL)"
    if min(times) > SLOW_MS / 10:
        return Finding(
            "index",
            "warning",
            told,
            "move servers and database closer: each request waits for it at least once",
        )
    if row["host"] not in (None, "127.0.0.1", "::1") and not is_tls:
        return Finding(
            "index", "warning", f"{told}; secrets of all keys pass here",
            "add sslmode=verify-full and sslrootcert=FILE to the URL, and hostssl to pg_hba.conf",
        )  # fmt: skip
    return Finding("index", "ok", told)


async def of_time(connection: Any, clock: Callable[[], float]) -> Finding:
    """Compare its clock with this machine's."""
    began = clock()
    theirs = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))
    ended = clock()
    return of_clock("clock", theirs - (began + ended) / 2, (ended - began) / 2)


async def of_version(connection: Any) -> Finding:
    """Tell which server it is."""
    number = int(await connection.fetchval("SELECT current_setting('server_version_num')"))
    told = str(await connection.fetchval("SELECT version()")).split(" on ", maxsplit=1)[0]
    if any(name in told for name in _RELATED):
        return Finding(
            "version", "note", f"{told}: it speaks PostgreSQL's SQL, and anys3 was not tested on it",
            "run tests/store on it first (docs/cluster.md)",
        )  # fmt: skip
    if number < OLDEST:
        return Finding(
            "version", "problem", f"{told} is older than 15", "upgrade it: 15 and later are supported"
        )
    return Finding("version", "ok", told)


async def of_role(connection: Any) -> Finding:
    """Tell whether it takes writes."""
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        return Finding(
            "role", "problem", "it is a standby: nothing can be written",
            "name all hosts in the URL (postgresql://h1,h2,h3/...), so that the primary is found; or promote one",
        )  # fmt: skip
    if await connection.fetchval("SELECT current_setting('default_transaction_read_only')::bool"):
        return Finding(
            "role", "problem", "default_transaction_read_only is on: nothing can be written",
            "ALTER SYSTEM (or DATABASE, ROLE) ... RESET default_transaction_read_only",
        )  # fmt: skip
    return Finding("role", "ok", "it is the primary")


async def of_durability(connection: Any) -> Iterator[Finding]:
    """Tell whether a commit that was acknowledged is on a device, and can be trusted when it is read."""
    names = ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"]
    rows = await connection.fetch(
        "SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[])", names
    )
    return _of_durability({row["name"]: row["setting"] for row in rows})


def _of_durability(found: dict[str, str]) -> Iterator[Finding]:
    bad = False
    for name in ("fsync", "full_page_writes"):
        if found.get(name) == "off":
            bad = True
            yield Finding(
                name.replace("_", "-"), "problem", f"{name} is off: a crash of the machine may destroy the whole database",
                f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()",
            )  # fmt: skip
    commit = found.get("synchronous_commit", "on")
    if commit in ("off", "local"):
        bad = True
        lost = "a crash" if commit == "off" else "the loss of the primary"
        yield Finding(
            "sync-commit", "problem", f"synchronous_commit is {commit}: {lost} takes writes that were answered 200",
            "ALTER SYSTEM (or DATABASE, ROLE) ... SET synchronous_commit = on",
        )  # fmt: skip
    elif commit == "remote_write":
        yield Finding(
            "sync-commit", "note", "synchronous_commit is remote_write: standbys have a write in memory when it is answered",
            "SET synchronous_commit = on, unless standbys never lose power together with the primary",
        )  # fmt: skip
    if not bad:
        yield Finding("durable", "ok", f"fsync and full_page_writes are on, synchronous_commit is {commit}")
    if found.get("data_checksums") == "off":
        yield Finding(
            "checksums", "warning", "data_checksums is off: damaged pages of the index are served as they are",
            "stop it, run pg_checksums --enable -D DIR, start it (on standbys first)",
        )  # fmt: skip
    else:
        yield Finding("checksums", "ok", "pages have checksums")


async def of_standbys(connection: Any) -> Iterator[Finding]:
    """Tell how many machines have a commit when it is acknowledged, and how far standbys are behind."""
    names = str(await connection.fetchval("SELECT current_setting('synchronous_standby_names')"))
    rows = await connection.fetch(
        "SELECT application_name, client_addr, state, sync_state,"
        " pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint AS behind,"
        " extract(epoch FROM replay_lag)::float8 AS lag FROM pg_stat_replication ORDER BY application_name"
    )
    if rows and all(row["state"] is None for row in rows):
        return iter(
            [Finding("standbys", "note", f"{len(rows)} standbys, which this user can't see", _UNSEEN)]
        )
    streaming = [row for row in rows if row["state"] == "streaming"]
    return iter([_of_synchronous(names, streaming), *_of_lag(streaming)])


def _of_synchronous(names: str, streaming: list[Any]) -> Finding:
    waited = [row for row in streaming if row["sync_state"] in ("sync", "quorum")]
    if not names:
        return Finding(
            "standbys", "warning",
            f"no synchronous standby, {len(streaming)} others: what is answered 200 is on one machine"
            + (", and a failover may lose the last of it" if streaming else ", and lost with its disk"),
            "have two standbys, and synchronous_standby_names = 'ANY 1 (a, b)', or Patroni's synchronous_mode",
        )  # fmt: skip
    found = _COUNT.match(names)
    wanted = int(found[1]) if found else 1
    told = f"{len(waited)} synchronous standbys are connected ({', '.join(row['application_name'] for row in waited) or 'none'})"
    if len(waited) < wanted:
        return Finding(
            "standbys", "problem", f"{told}, and every commit waits for {wanted} ({names}): writes hang",
            "start the standbys; while they can't be: take their names out of synchronous_standby_names, and know"
            " that one copy is all there is",
        )  # fmt: skip
    return Finding("standbys", "ok", f"{told}; a commit waits for {wanted} of them")


def _of_lag(streaming: list[Any]) -> Iterator[Finding]:
    for row in streaming:
        behind, lag = row["behind"] or 0, row["lag"] or 0.0
        if behind > _LAG_BYTES or lag > _LAG_S:
            yield Finding(
                "lag", "warning", f"{row['application_name']} is {size(behind)} and {lag:.0f} s behind",
                "look at its disk and network: a failover to it takes as long as it is behind",
            )  # fmt: skip


async def of_slots(connection: Any) -> Iterator[Finding]:
    """Tell of replication slots that keep the write-ahead log."""
    rows = await connection.fetch(
        "SELECT slot_name, active, wal_status, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint AS kept"
        " FROM pg_replication_slots"
    )
    return _of_slots(rows)


def _of_slots(rows: list[Any]) -> Iterator[Finding]:
    for row in rows:
        kept = row["kept"] or 0
        if row["wal_status"] == "lost":
            yield Finding(
                "slots", "warning", f"slot {row['slot_name']} has lost its log: its standby must be made anew",
                "pg_basebackup again (patronictl reinit), or pg_drop_replication_slot",
            )  # fmt: skip
        elif kept > _KEPT_BYTES:
            state = "is read slowly" if row["active"] else "is not read"
            yield Finding(
                "slots", "warning", f"slot {row['slot_name']} {state}, and keeps {size(kept)} of log",
                "start its standby, or SELECT pg_drop_replication_slot(...): the disk fills, and writes stop then",
            )  # fmt: skip


async def of_connections(connection: Any, address: Address) -> Finding:
    """Compare the connections that are left with those that one more server process takes."""
    servers = await tables.count_servers(connection)
    row = await connection.fetchrow(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,"
        " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int - 1 AS used"
    )
    free, wanted = row["most"] - row["used"], address.pool_size + tables.BESIDE
    told = (
        f"{row['used']} of {row['most']} connections are taken; {servers} server processes take up to"
        f" {wanted} each ({servers * wanted})"
    )
    if free < wanted or servers * wanted > row["most"]:
        return Finding(
            "connections", "warning", told,
            "raise max_connections, or lower pool=N in the index's URL: a process without a connection answers 503",
        )  # fmt: skip
    return Finding("connections", "ok", told)


async def of_transactions(connection: Any) -> Iterator[Finding]:
    """Tell of transactions that keep dead rows or locks."""
    rows = await connection.fetch(
        "SELECT pid, usename, application_name, state, wait_event_type,"
        " extract(epoch FROM clock_timestamp() - xact_start)::float8 AS since,"
        " extract(epoch FROM clock_timestamp() - query_start)::float8 AS asked"
        " FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
        " AND pid <> pg_backend_pid() ORDER BY xact_start"
    )
    prepared = await connection.fetchval(
        "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()"
    )
    return _of_transactions(rows, int(prepared))


def _of_transactions(rows: list[Any], prepared: int) -> Iterator[Finding]:
    long = [row for row in rows if row["since"] > _LONG_S]
    waiting = [row for row in rows if row["wait_event_type"] == "Lock" and row["asked"] > _WAIT_S]
    if long:
        first = long[0]
        yield Finding(
            "transactions", "warning",
            f"{len(long)} transactions are open for more than {_LONG_S / 60:.0f} minutes; the oldest is process"
            f" {first['pid']} of {first['usename']} ({first['application_name'] or 'no name'}, {first['since']:.0f} s)",
            f"end it if nobody needs it: SELECT pg_terminate_backend({first['pid']}); no dead row can be removed meanwhile",
        )  # fmt: skip
    if waiting:
        yield Finding(
            "locks", "warning", f"{len(waiting)} transactions wait for a lock, the longest for {waiting[0]['asked']:.0f} s",
            "SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
        )  # fmt: skip
    if prepared:
        yield Finding(
            "prepared", "warning", f"{prepared} prepared transactions: anys3 makes none, and they keep their locks",
            "SELECT * FROM pg_prepared_xacts; then COMMIT PREPARED or ROLLBACK PREPARED",
        )  # fmt: skip
    if not (long or waiting or prepared):
        yield Finding("transactions", "ok", "no long transaction, and nothing waits for a lock")


async def of_age(connection: Any) -> Iterator[Finding]:
    """Tell how far the database is from running out of transaction ids."""
    age = int(
        await connection.fetchval(
            "SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()"
        )
    )
    if age < _OLD_XID:
        return iter(())
    return iter([
        Finding(
            "age", "problem" if age > _OLDEST_XID else "warning",
            f"the oldest row that is not frozen is {age} transactions old: at 2.1 billion nothing can be written",
            "look why autovacuum does not come through (long transactions, slots), then VACUUM FREEZE",
        )
    ])  # fmt: skip


async def of_size(connection: Any) -> Iterator[Finding]:
    """Tell how much room the database takes, and how much there is, where that can be seen from here."""
    used = int(await connection.fetchval("SELECT pg_database_size(current_database())"))
    found = [Finding("size", "ok", f"the database takes {size(used)}")]
    address = await connection.fetchval("SELECT host(inet_server_addr())")
    if address in (None, "127.0.0.1", "::1"):
        try:
            directory = Path(await connection.fetchval("SELECT current_setting('data_directory')"))
            now = os.statvfs(directory)
        except (OSError, asyncpg.PostgresError):
            return iter(found)
        found.append(of_room("room", now.f_bavail * now.f_frsize, now.f_blocks * now.f_frsize))
    else:
        found.append(
            Finding("room", "note", "SQL can't tell how much room its disk has", "watch it on its machine")
        )
    return iter(found)
