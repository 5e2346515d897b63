"""Which engines a store is kept on, and what a server is told to find it there."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from anys3.store.opening import open_blobs
from tests.engines import ceph, postgresql
from tests.engines.ceph import DATA, EC, Ceph, Cluster
from tests.engines.hosts import LOOPBACK, Host
from tests.engines.postgresql import Database, Postgresql
from tests.processes import ACCESS_KEY_ID, SECRET_ACCESS_KEY, ServerProcess, serving

_numbers = itertools.count(1)
BLOBS_BUCKET = "blobs"


@dataclass(frozen=True, slots=True)
class Mix:
    """An engine for the index and one for the blobs."""

    index: str
    blobs: str

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return f"{self.index}+{self.blobs}"

    @property
    def servers(self) -> int:
        """How many servers may share a store."""
        return 3 if self.index == "postgresql" else 1


MIXES = {
    mix.name: mix
    for mix in (
        Mix("postgresql", "rados"),
        Mix("postgresql", "ec"),
        Mix("postgresql", "file"),
        Mix("postgresql", "s3"),
        Mix("embedded", "s3"),
        Mix("embedded", "rados"),
        Mix("embedded", "file"),
    )
}
"""All of them; `rados` is a pool with size 3, `ec` one with 2+1."""


@dataclass(frozen=True, slots=True)
class Place:
    """A new store's place: where it lies, for servers and for looking at it."""

    folder: Path
    options: tuple[str, ...]
    """What `anys3 serve` and `anys3 key` are told."""
    blobs: str
    """The URL of the blobs."""
    database: Database | None
    dsn: str
    environment: dict[str, str] = field(default_factory=dict)
    host: Host = LOOPBACK
    """From where the engines can be reached."""

    @property
    def key_options(self) -> tuple[str, ...]:
        """Return what says to `anys3 key` where the store lies."""
        return ("--index", self.dsn) if self.dsn else ("--dir", str(self.folder / "store"))

    def blob_names(self) -> set[str]:
        """Return the names of all blobs that there are."""
        os.environ.update(self.environment)  # nobody else reads them here
        with self.host.entered():
            blobs = open_blobs(self.blobs)
            try:
                return set(blobs.names())
            finally:
                blobs.close()


class Engines:
    """Engines that are started when they are asked for first, as a context manager; or those that are given."""

    def __init__(
        self, folder: Path, database: Database | None = None, cluster: Cluster | None = None
    ) -> None:
        self.folder = folder
        self._database = database
        self._cluster = cluster
        self._provider: ServerProcess | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Engines:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def database(self) -> Database:
        """A PostgreSQL server."""
        if self._database is None:
            self._database = self._stack.enter_context(Postgresql(self.folder / "postgresql", replicas=2))
        return self._database

    @property
    def cluster(self) -> Cluster:
        """A Ceph cluster with the pools `data` and `ec`."""
        if self._cluster is None:
            self._cluster = self._stack.enter_context(Ceph(self.folder / "ceph"))
        return self._cluster

    @property
    def provider(self) -> ServerProcess:
        """Another S3 for blobs: the project's own server."""
        if self._provider is None:
            self._provider = self._stack.enter_context(serving(self.folder / "provider", "--workers", "1"))
            assert self._provider.s3.request("PUT", f"/{BLOBS_BUCKET}").status == 200
        return self._provider

    def place(self, mix: Mix) -> Place:
        """Return a place for a new store."""
        number = next(_numbers)
        folder = self.folder / f"{mix.name}-{number}"
        folder.mkdir()
        blobs = self._blobs(mix.blobs, folder, number)
        environment = {}
        if mix.blobs == "s3":
            environment = {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
        if mix.index == "embedded":
            return Place(folder, (str(folder / "store"), "--blobs", blobs), blobs, None, "", environment)
        dsn = self.database.new_database()
        options = ("--index", dsn, "--blobs", blobs)
        return Place(folder, options, blobs, self.database, dsn, environment)

    def _blobs(self, kind: str, folder: Path, number: int) -> str:
        if kind == "file":
            return f"file:{folder / 'blobs'}"
        if kind == "s3":
            return f"s3://{BLOBS_BUCKET}/{number}?endpoint={self.provider.s3.endpoint}"
        pool = EC if kind == "ec" else DATA
        conf = quote(str(self.cluster.conf), safe="/")
        return f"rados://{pool}?conf={conf}&namespace=store{number}&timeout=5"


def missing(mix: Mix) -> str | None:
    """Return why a mix can't be tried here."""
    found = postgresql.missing() if mix.index == "postgresql" else None
    return found or (ceph.missing() if mix.blobs in ("rados", "ec") else None)


@contextmanager
def places(folder: Path, *mixes: Mix) -> Iterator[dict[str, Place]]:
    """Yield a new store's place on each mix."""
    with Engines(folder) as engines:
        yield {mix.name: engines.place(mix) for mix in mixes}
