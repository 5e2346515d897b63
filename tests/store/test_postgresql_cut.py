"""The way to PostgreSQL is cut while a statement is on it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import asyncpg
import pytest

from anys3.store.errors import StoreError
from anys3.store.postgresql import Address
from anys3.store.postgresql.connections import Link, connect
from tests.engines import network
from tests.engines import postgresql as engine
from tests.engines.fixtures import need
from tests.engines.network import Network
from tests.engines.postgresql import Postgresql

INSERT = "INSERT INTO public.happened VALUES ($1)"
RESENT_S = 7
"""Until then TCP has sent again what was lost a second before the network was whole again."""


def test_a_statement_that_was_given_up_does_not_happen_when_the_network_heals(tmp_path: Path) -> None:
    need(network.missing() or engine.missing())
    with (
        Network(tmp_path / "network", "database", "server") as net,
        Postgresql(tmp_path / "postgresql", is_durable=False, hosts=[net["database"]]) as server,
    ):
        server.psql("CREATE TABLE public.happened (number integer)")

        async def lose() -> None:
            link = Link(await connect(Address(server.dsn)), is_prepared=True)
            await link.fetch(INSERT, (1,))
            net.cut(net["database"])
            with pytest.raises((OSError, asyncpg.InternalClientError, asyncpg.InterfaceError, StoreError)):
                await link.fetch(INSERT, (2,), 1.0)
            link.end()

        with net["server"].entered():
            asyncio.run(lose())
        net.heal(net["database"])
        time.sleep(RESENT_S)
        assert server.psql("SELECT number FROM public.happened") == "1"
