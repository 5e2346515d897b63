"""Pages of a large bucket on PostgreSQL: loaded by COPY, and asked for inside the database and out of it."""

from __future__ import annotations

import asyncio
import http.client
import json
import random  # noqa: TID251 (seeded: the same pages each time)
import statistics
import time
from collections.abc import Iterator
from typing import Any

from anys3.model import Bucket
from anys3.store.postgresql import Address, connect, rows
from anys3.store.postgresql.connections import Pool
from anys3.store.postgresql.listing import Listings
from bench import scale
from bench.signing import Signer

PAGE = 1000
BATCH = 100_000
COLUMNS = ("bucket", "key", "newest", *rows.ENTRY_COLUMNS, "content")
Place = tuple[bytes, bytes]
"""The delimiter of a page, and the key that it begins behind."""


def values(bucket: int, first: int, stop: int, keys: int) -> Iterator[tuple[object, ...]]:
    """Yield rows as the store's own commits make them, in the order of keys."""
    made = [(rows.entry_values(entry), rows.content_values(body)) for entry, body in scale.entries()]
    for number in range(first, stop):
        entry, (kind, crc, blob, content) = made[number % len(made)]
        yield bucket, scale.prefixed_key(number, keys), 0, *entry, number + 1, kind, crc, blob, None, content


async def fill(connection: Any, schema: str, keys: int) -> tuple[Bucket, float, int]:
    """Load a bucket; return it, keys a second, and the bytes that the table has grown by."""
    name = f"keys-{keys}"
    id_ = await connection.fetchval(f"SELECT nextval('{schema}.ids')")
    await connection.execute(
        f"INSERT INTO {schema}.bucket (id, name, created_ms, owner, is_public) VALUES ($1, $2, $3, '', false)",
        id_, name, scale.MODIFIED_MS,
    )  # fmt: skip
    size = f"SELECT pg_total_relation_size('{schema}.object')"
    before, began = await connection.fetchval(size), time.perf_counter()
    for first in range(0, keys, BATCH):
        some = values(id_, first, min(first + BATCH, keys), keys)
        await connection.copy_records_to_table(
            "object", schema_name=schema, columns=COLUMNS, records=some, timeout=600
        )
    seconds = time.perf_counter() - began
    await connection.execute(f"VACUUM (ANALYZE) {schema}.object", timeout=1800)
    return Bucket(name, id_, scale.MODIFIED_MS), keys / seconds, await connection.fetchval(size) - before


def places(keys: int, pages: int, delimiter: bytes) -> list[Place]:
    """Return random places: any key for a page of keys, the beginning for one of all prefixes."""
    some = random.Random(keys)
    if delimiter:
        return [(delimiter, b"")] * pages
    return [(b"", scale.prefixed_key(some.randrange(max(keys - PAGE, 1)), keys)) for _ in range(pages)]


async def inside(connection: Any, schema: str, bucket: Bucket, asked: list[Place]) -> list[float]:
    """Return how long the database itself works on pages, without sending their rows."""
    found = []
    for delimiter, after in asked:
        if delimiter:
            sql = f"SELECT keys FROM {schema}.object_page($1, 0, $2, $3, $3, $4, $5)"
            arguments = [bucket.id, delimiter, after, b"\xff", PAGE]
        else:
            sql = (
                f"SELECT key, listing FROM {schema}.object WHERE bucket = $1 AND key >= $2 AND key < $3"
                " AND newest = 0 ORDER BY key LIMIT $4"
            )
            arguments = [bucket.id, after + b"\0", b"\xff", PAGE + 1]
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", *arguments)
        found.append(float(json.loads(plan)[0]["Execution Time"]))
    return found


async def in_process(address: Address, bucket: Bucket, asked: list[Place]) -> list[float]:
    """Return how long the engine takes for pages, with one connection."""
    pool = Pool(address, 1)
    listings, found = Listings(address.schema, pool), []
    for delimiter, after in asked:
        began = time.perf_counter()
        page = await listings.page(bucket, b"", delimiter, after, PAGE)
        found.append(1000 * (time.perf_counter() - began))
        assert len(page.rows) + len(page.prefixes) == PAGE, page
    await pool.close()
    return found


def over_http(port: int, signer: Signer, bucket: Bucket, asked: list[Place]) -> list[float]:
    """Return how long a client waits for pages, on one connection."""
    connection, found = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
    for delimiter, after in asked:
        query = {"list-type": "2", "max-keys": str(PAGE)}
        query |= {"delimiter": delimiter.decode()} if delimiter else {}
        query |= {"start-after": after.decode()} if after else {}
        line, *headers = signer.head("GET", f"/{bucket.name}", query).decode().split("\r\n")
        began = time.perf_counter()
        connection.putrequest("GET", line.split()[1], skip_host=True, skip_accept_encoding=True)
        for name, _, value in (header.partition(": ") for header in headers if header):
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        found.append(1000 * (time.perf_counter() - began))
        assert answer.status == 200, body[:300]
        assert body.count(b"<Key>") + body.count(b"<CommonPrefixes>") == PAGE
    connection.close()
    return found


def lines(dsn: str, port: int, signer: Signer, keys: int, pages: int) -> Iterator[str]:
    """Load a bucket, measure its pages, and yield the lines of the table."""

    async def measure() -> tuple[str, dict[str, list[list[float]]]]:
        address = Address(dsn)
        connection = await connect(address)
        await connection.execute("SET statement_timeout = 0")
        bucket, rate, size = await fill(connection, address.schema, keys)
        found = {}
        for name, delimiter in (("1,000 keys, anywhere", b""), ("1,000 common prefixes", b"/")):
            asked = places(keys, pages, delimiter)
            times = [
                await inside(connection, address.schema, bucket, asked),
                await in_process(address, bucket, asked),
                await asyncio.to_thread(over_http, port, signer, bucket, asked),
            ]
            found[name] = times
        await connection.close()
        return (
            f"{keys:>12,}  loaded at {rate:,.0f} keys a second, {size / keys:.0f} bytes a key with its index",
            found,
        )

    told, found = asyncio.run(measure())
    yield told
    for name, (database, process, client) in found.items():
        cells = f"{_cell(database):>17}{_cell(process):>16}{_cell(client):>16}"
        yield f"{keys:>12,}  {name:<28}{cells}"


def _cell(times: list[float]) -> str:
    ordered = sorted(times)
    return f"{statistics.median(ordered):.2f} ({ordered[len(ordered) * 99 // 100]:.1f})"
