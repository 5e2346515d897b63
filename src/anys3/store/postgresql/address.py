"""Where a PostgreSQL index is: its DSN, with what of it is ours, and never its password in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from anys3.store.starting import Unsuitable

POOL_SIZE = 10
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_TIME = re.compile(r"(\d{1,9})([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_HIDDEN = ("password", "passfile", "sslpassword")


class Address:
    """A parsed DSN. What is ours: `schema`, `pool` (connections of a process), `list`, `prepared`, `keep`.

    `list=standby` lets listings be read where they may be a little behind; `prepared=false` is for poolers that give
    each transaction another session. `keep=7d` (s, m, h, d) keeps blobs for so long after they were freed.
    """

    def __init__(self, dsn: str) -> None:
        """Raises Unsuitable, which quotes no password."""
        parts = urlsplit(dsn)
        if parts.scheme not in ("postgresql", "postgres"):
            raise Unsuitable(f"an index on PostgreSQL is postgresql://..., not {redacted(dsn)!r}")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.schema = query.pop("schema", "anys3")
        if not _SCHEMA.fullmatch(self.schema):
            raise Unsuitable(f"schema={self.schema!r}: a name of a-z, 0-9 and _ was expected")
        self.pool_size = _number("pool", query.pop("pool", str(POOL_SIZE)))
        self.lists_standby = _one_of("list", query.pop("list", "primary"), "standby", "primary")
        self.is_prepared = _one_of("prepared", query.pop("prepared", "true"), "true", "false")
        self.keep_s = _seconds("keep", query.pop("keep", "0"))
        self._attributes = [query.pop("target_session_attrs", "read-write")]
        user, at, hosts = parts.netloc.rpartition("@")
        self.hosts = [host for host in hosts.split(",") if host] or [""]
        """As they stand in the DSN; "" where it names none."""
        self._rest = parts._replace(netloc=user + at, query=urlencode(query, quote_via=quote))
        self._last = 0

    def attempts(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the numbers of the hosts in the order in which to try them, with what asyncpg.connect takes."""
        count = len(self.hosts)
        for attributes in self._attributes:
            for step in range(count):
                number = (self._last + step) % count
                yield number, self._arguments(number, attributes)

    def succeeded(self, number: int) -> None:
        """Ask that host first from now on."""
        self._last = number

    def host(self, number: int) -> str:
        """Return a host as it stands in the DSN."""
        return unquote(self.hosts[number]) or "the default host"

    def _arguments(self, number: int, attributes: str) -> dict[str, Any]:
        rest = self._rest
        dsn = f"{rest.scheme}://{rest.netloc}{self.hosts[number]}{rest.path}?{rest.query}"
        return {
            "dsn": dsn,
            "target_session_attrs": attributes,
            "statement_cache_size": 100 if self.is_prepared else 0,
            "max_cached_statement_lifetime": 0,
        }

    def standby(self, dsn: str) -> Address:
        """Return the address to read listings from."""
        other = Address(dsn)
        other._attributes = ["standby", "any"]
        return other


def redacted(dsn: str) -> str:
    """Return a DSN without its passwords, for messages."""
    parts = urlsplit(dsn)
    user, at, hosts = parts.netloc.rpartition("@")
    if ":" in user:
        user = user.partition(":")[0] + ":***"
    query = "&".join(
        f"{name}=***" if unquote(name).lower() in _HIDDEN else field
        for field in parts.query.split("&")
        if (name := field.partition("=")[0])
    )
    return f"{parts.scheme}://{user}{at}{hosts}{parts.path}{'?' if query else ''}{query}"


def _number(name: str, text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text) <= 1000:
        raise Unsuitable(f"{name}={text!r}: a number from 2 to 1000 was expected")
    return int(text)


def _seconds(name: str, text: str) -> int:
    found = _TIME.fullmatch(text)
    if found is None:
        raise Unsuitable(f"{name}={text!r}: a time such as 3600, 90m, 12h or 7d was expected")
    return int(found[1]) * _UNITS[found[2]]


def _one_of(name: str, text: str, yes: str, no: str) -> bool:
    if text not in (yes, no):
        raise Unsuitable(f"{name}={text!r}: {yes!r} or {no!r} was expected")
    return text == yes
