"""Server processes on one store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.engines.hosts import LOOPBACK, Host
from tests.processes import ACCESS_KEY_ID, SECRET_ACCESS_KEY, From, ServerProcess
from tests.rawclient import RawClient
from tests.torture.cluster.mixes import Place
from tests.torture.server import entry
from tests.torture.spread import Spread


class Servers:
    """Some servers, as a context manager; `hosts` are taken one each."""

    def __init__(
        self,
        place: Place,
        count: int,
        *options: str,
        changes: Sequence[str] = (),
        hosts: Sequence[Host] = (),
        workers: int = 1,
        chain: Path | None = None,
    ) -> None:
        """`changes` are `--with`s of tests.torture.server: planted bugs, and steps. `chain`: they speak TLS with it."""
        self.place = place
        self.processes = [
            ServerProcess(
                place.folder / ("store" if count == 1 else f"server{number}"),
                *("--workers", str(workers), *options),
                entry=entry(*changes) if changes else ("-m", "anys3"),
                environment=place.environment,
                store=place.options,
                host=hosts[number] if hosts else LOOPBACK,
            )
            for number in range(count)
        ]
        self.plain = self.clients
        """Clients whose connections are without TLS."""
        for process in self.processes if chain else ():
            client = From(f"https://127.0.0.1:{process.port}", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
            client.ca_file = str(chain)
            process.s3 = client

    def __enter__(self) -> Servers:
        try:
            self.processes[0].start()  # makes the store
            with ThreadPoolExecutor() as threads:
                list(threads.map(ServerProcess.start, self.processes[1:]))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(self.logs())
        self.close()

    def close(self) -> None:
        """End all of them."""
        for process in self.processes:
            process.close()

    def stop(self) -> None:
        """End all of them as an operator would."""
        for process in self.processes:
            process.stop()

    @property
    def clients(self) -> list[RawClient]:
        """A client of each."""
        return [process.s3 for process in self.processes]

    @property
    def s3(self) -> Spread:
        """One client of all of them."""
        return Spread(self.clients)

    @property
    def key_options(self) -> tuple[str, ...]:
        """What says to `anys3 key` where the store lies."""
        return self.place.key_options

    def make_key(self, name: str, *options: str) -> tuple[str, str]:
        """Make an access key beside the servers; return its id and its secret."""
        words = [sys.executable, "-m", "anys3", "key", "create", name, *options, "--json"]
        ended = subprocess.run(
            [*words, *self.key_options],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **self.place.environment},
        )
        assert ended.returncode == 0, ended.stderr
        made = json.loads(ended.stdout)
        return made["access_key_id"], made["secret_access_key"]

    def logs(self) -> str:
        """Return the failures that the servers have logged."""
        files = (process.directory.with_suffix(".log") for process in self.processes)
        lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
        words = (" ERROR ", " WARNING ", "Error", "  File ", " -> 5")
        return "\n".join([line for line in lines if any(word in line for word in words)][-12:])
