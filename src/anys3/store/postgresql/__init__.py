"""The index on PostgreSQL 15 and newer, for any number of server processes on any number of machines."""

from anys3.store.postgresql.address import Address, redacted
from anys3.store.postgresql.connections import connect
from anys3.store.postgresql.engine import PostgresqlStore, open_store

__all__ = ["Address", "PostgresqlStore", "connect", "open_store", "redacted"]
