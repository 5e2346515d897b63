"""Drives the server with DuckDB and its httpfs wheel: `first` writes and checks, `second` reads it all back."""

from __future__ import annotations

import json
import os
import sys
from urllib.parse import urlsplit

import duckdb
from duckdb_extensions import import_extension

BUCKET = os.environ["BUCKET"]
ROWS = 300_000


def first(db: duckdb.DuckDBPyConnection) -> None:
    db.sql(f"COPY (SELECT range AS n, range % 5 AS part FROM range({ROWS})) TO 's3://{BUCKET}/one.parquet'")
    db.sql(
        f"COPY (SELECT range AS n, range % 5 AS part FROM range({ROWS}))"
        f" TO 's3://{BUCKET}/parts' (FORMAT parquet, PARTITION_BY part)"
    )
    db.sql(f"COPY (SELECT 'héllo wörld' AS t) TO 's3://{BUCKET}/dir/ünï + x.csv' (HEADER)")
    assert db.sql(f"SELECT count(*) FROM 's3://{BUCKET}/one.parquet' WHERE part = 2").fetchall() == [(ROWS // 5,)]


def second(db: duckdb.DuckDBPyConnection) -> None:
    total = [(ROWS * (ROWS - 1) // 2,)]
    assert db.sql(f"SELECT sum(n) FROM 's3://{BUCKET}/one.parquet'").fetchall() == total
    scan = f"read_parquet('s3://{BUCKET}/parts/*/*.parquet', hive_partitioning = true)"
    assert db.sql(f"SELECT sum(n) FROM {scan}").fetchall() == total
    assert db.sql(f"SELECT count(*) FROM {scan} WHERE part = 4").fetchall() == [(ROWS // 5,)]
    assert db.sql(f"SELECT t FROM 's3://{BUCKET}/dir/ünï + x.csv'").fetchall() == [("héllo wörld",)]
    assert len(db.sql(f"SELECT file FROM glob('s3://{BUCKET}/**')").fetchall()) >= 7


import_extension("httpfs")
connection = duckdb.connect()
connection.sql("LOAD httpfs")
host = urlsplit(os.environ["ENDPOINT"]).netloc
key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
connection.sql(
    f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION 'us-east-1', ENDPOINT '{host}',"
    " URL_STYLE 'path', USE_SSL false)"
)
second(connection) if sys.argv[1] == "second" else first(connection)
print(json.dumps({"version": duckdb.__version__}))
