"""PostgreSQL: a primary, and replicas of which any one must have a commit before it is acknowledged."""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.engines.daemon import Daemon, give, program, run
from tests.engines.hosts import LOOPBACK, Host

USER = "postgres"
PROGRAMS = sorted(
    Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True
)
SETTINGS = """
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
max_wal_senders = 8
max_replication_slots = 8
hot_standby = on
dynamic_shared_memory_type = mmap
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 200ms
log_line_prefix = '%m [%p] %d '
"""
UNSAFE = """
fsync = off
full_page_writes = off
"""
_numbers = itertools.count(1)


def missing() -> str | None:
    """Return why it can't be started here."""
    if program_path("initdb") is None or program_path("psql") is None:
        return "PostgreSQL's initdb and psql: not installed (run .ci/install-engines)"
    return None


def program_path(name: str) -> str | None:
    """Return where a program of the newest PostgreSQL here is."""
    return program(name, *map(str, PROGRAMS))


class Database:
    """A server that runs, reached by its DSN."""

    def __init__(self, dsn: str, host: Host = LOOPBACK) -> None:
        self.dsn = dsn
        self._host = host

    def psql(self, sql: str, dsn: str = "") -> str:
        """Run statements and return their rows, without headings and alignment."""
        options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", dsn or self.dsn)
        return run([str(program_path("psql")), *options], self._host, text=sql).strip()

    @contextmanager
    def database(self) -> Iterator[str]:
        """Lend the DSN of an empty database, and drop it with its 7 MB."""
        dsn = self.new_database()
        try:
            yield dsn
        finally:
            self.psql(f"DROP DATABASE {urlsplit(dsn).path[1:]} WITH (FORCE)")

    def new_database(self) -> str:
        """Make an empty database and return its DSN: what one test does, no other sees."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.psql(f"CREATE DATABASE {name} TEMPLATE template0")
        return urlsplit(self.dsn)._replace(path=f"/{name}").geturl()

    def new_schema(self) -> str:
        """Return the DSN of a store that there is not yet, beside others: an empty database takes 0.1 s more."""
        return f"{self.dsn}?schema=test_{os.getpid()}_{next(_numbers)}"


@functools.cache
def _initialized() -> Path:
    """Make a data directory to be copied, for as long as this process is there: initdb takes seconds each time."""
    directory = Path(tempfile.mkdtemp(prefix="anys3-initdb-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    give(directory, USER)
    # A segment is written in full before its first use, here and for each replica: small ones make a quick start.
    options = ("-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=4")
    run([str(program_path("initdb")), "-D", str(directory / "data"), *options], LOOPBACK, USER)
    return directory / "data"


class Node:
    """One PostgreSQL server with its directory."""

    def __init__(self, directory: Path, name: str, host: Host = LOOPBACK) -> None:
        self.directory = directory / name
        self.name = name
        self.host = host
        self.port = host.port(5432)
        self.dsn = f"postgresql://{USER}@{host.address}:{self.port}/postgres"
        binary = program_path("postgres")
        assert binary is not None, missing()
        self.daemon = Daemon([binary, "-D", str(self.directory)], directory / f"{name}.log", host, USER)

    def configure(self, settings: str) -> None:
        """Add settings; the last one of a name holds."""
        with (self.directory / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = '{self.host.address}'\nport = {self.port}\n{settings}\n")

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        # A postmaster that was killed leaves this behind; its number may be another process's now.
        (self.directory / "postmaster.pid").unlink(missing_ok=True)
        self.daemon.start()
        self.daemon.wait(self._is_ready, "ready")

    def _is_ready(self) -> bool:
        # Its eighth line says "ready" when a primary or a hot standby takes connections.
        status = self.directory / "postmaster.pid"
        return status.exists() and status.read_text().splitlines()[7:8] == ["ready   "]

    def stop(self) -> None:
        """End it with its connections, orderly ("fast")."""
        self.daemon.stop(signal.SIGINT)

    def kill(self) -> None:
        """End all its processes at once."""
        self.daemon.kill()


class Postgresql(Database):
    """A primary with any number of replicas, as a context manager.

    With `is_durable=False` it doesn't sync: for tests that end before the machine does. `hosts` are taken in turn.
    """

    def __init__(
        self,
        directory: Path,
        *,
        replicas: int = 0,
        is_durable: bool = True,
        hosts: Sequence[Host] = (LOOPBACK,),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        give(directory, USER)
        names = ["primary", *(f"r{number + 1}" for number in range(replicas))]
        self.nodes = [
            Node(directory, name, host) for name, host in zip(names, itertools.cycle(hosts), strict=False)
        ]
        self._settings = SETTINGS + ("" if is_durable else UNSAFE)
        super().__init__(self.primary.dsn, self.primary.host)

    @property
    def primary(self) -> Node:
        return self.nodes[0]

    @property
    def replicas(self) -> list[Node]:
        """Each has its name, r1 and so on, as application_name."""
        return self.nodes[1:]

    def __enter__(self) -> Postgresql:
        try:
            self._create_primary()
            for replica in self.replicas:
                self._create_replica(replica)
            if self.replicas:
                self._make_synchronous()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the primary again, after `stop` or `kill`."""
        self.primary.start()

    def stop(self) -> None:
        self.primary.stop()

    def kill(self) -> None:
        self.primary.kill()

    def close(self) -> None:
        """End all nodes; nothing is saved."""
        for node in self.nodes:
            node.daemon.stop(signal.SIGQUIT)

    def _create_primary(self) -> None:
        primary = self.primary
        run(["cp", "-a", str(_initialized()), str(primary.directory)], primary.host, USER)
        with (primary.directory / "pg_hba.conf").open("a") as file:
            file.write("host all,replication all samenet trust\n")
        primary.configure(self._settings)
        primary.start()

    def _create_replica(self, replica: Node) -> None:
        source = f"{self.primary.dsn}?application_name={replica.name}"
        options = ("-R", "-X", "stream", "-c", "fast", "-C", "-S", replica.name, "--no-sync")
        run(
            [str(program_path("pg_basebackup")), "-D", str(replica.directory), "-d", source, *options],
            replica.host,
            USER,
        )
        replica.configure("")
        replica.start()

    def _make_synchronous(self) -> None:
        """Only now, when they stream: before, this would make every commit wait."""
        names = ",".join(replica.name for replica in self.replicas)
        self.psql(f"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({names})'")
        self.psql("SELECT pg_reload_conf()")
        count = len(self.replicas)
        standing = (
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum' AND state = 'streaming'"
        )
        self.primary.daemon.wait(lambda: self.psql(standing) == str(count), "followed by its replicas")
