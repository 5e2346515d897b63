"""The schema and its migrations: each raises the format by one, and is never changed once it was released."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from importlib import resources
from typing import Any

import asyncpg

from anys3.store.errors import Unavailable
from anys3.store.postgresql.connections import Pool, judge
from anys3.store.starting import NewerFormat, NotAStore


def _script(name: str) -> str:
    return (resources.files(__package__) / name).read_text("utf-8")


MIGRATIONS = (_script("1.sql"),)
"""What brings a store from each format to the next one; {schema} stands for the schema's name."""
FORMAT = len(MIGRATIONS)
_ATTEMPTS = 20
_ARRIVING = 100
_PAUSE_S = 0.1
_MEANWHILE = (
    asyncpg.DuplicateSchemaError,
    asyncpg.DuplicateTableError,
    asyncpg.DuplicateObjectError,
    asyncpg.UniqueViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InternalServerError,  # "tuple concurrently updated", of two that make the same
)


async def prepare(connection: Any, schema: str, migrations: Sequence[str] = MIGRATIONS) -> str:
    """Make the schema, or bring it to the last format, unless that was done; return the store's id.

    Any number of processes may do so at once. Raises NewerFormat, NotAStore, Unavailable.
    """
    for _ in range(_ATTEMPTS):
        try:
            found = await _look(connection, schema)
            if found is None or found[0] < len(migrations):
                async with connection.transaction():
                    await _migrate(connection, schema, migrations, is_new=found is None)
                continue
            if found[0] > len(migrations):
                known = len(migrations)
                raise NewerFormat(f"the schema {schema!r} has format {found[0]}; this version knows {known}")
            return found[1]
        except _MEANWHILE:
            await asyncio.sleep(_PAUSE_S)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise judge(error).error from error
    raise Unavailable(f"the schema {schema!r} is being changed by others")


async def arrive(pool: Pool, schema: str) -> None:
    """Return when a standby has this format of the schema, too. Raises Unavailable."""
    for _ in range(_ARRIVING):
        with contextlib.suppress(asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            found = await pool.read(f"SELECT format FROM {schema}.store")
            if found and found[0][0] >= FORMAT:
                return
        await asyncio.sleep(_PAUSE_S)
    raise Unavailable(f"list=standby: the standby does not have the schema {schema!r} yet")


async def _look(connection: Any, schema: str) -> tuple[int, str] | None:
    """Return the format and the id of the store, None if there is none. Raises NotAStore, what is _MEANWHILE."""
    with contextlib.suppress(asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        rows = await connection.fetch(f"SELECT format, store_id FROM {schema}.store")
        return (rows[0][0], rows[0][1]) if rows else None
    tables = await connection.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = $1"
        " ORDER BY table_name <> 'store' LIMIT 1",
        schema,
    )
    if tables and tables[0][0] == "store":
        raise asyncpg.DuplicateTableError("another server has just made the schema")
    if tables:
        raise NotAStore(f"the schema {schema!r} holds other tables, such as {tables[0][0]!r}")
    return None


async def _migrate(connection: Any, schema: str, migrations: Sequence[str], *, is_new: bool) -> None:
    # Of those that do the same at this moment one makes the tables, or has the lock; the others look again.
    format_ = 0 if is_new else await connection.fetchval(f"SELECT format FROM {schema}.store FOR UPDATE")
    if format_ >= len(migrations):
        return
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for script in (*migrations[format_:], _script("functions.sql")):
        await connection.execute(script.replace("{schema}", schema))
    if is_new:
        values = (secrets.token_hex(8), len(migrations))
        await connection.execute(
            f"INSERT INTO {schema}.store (id, store_id, format) VALUES (1, $1, $2)", *values
        )
    else:
        await connection.execute(f"UPDATE {schema}.store SET format = $1", len(migrations))
