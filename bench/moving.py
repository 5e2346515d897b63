"""For how long do writes pause when a store is moved? `python -m bench.moving --keys 300_000`.

Builds a directory of small objects through the store's own commits, serves it, lets one client overwrite, put and
delete objects at a steady rate, and runs `anys3 store copy --follow` to another directory meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random  # noqa: TID251 (seeded: the same keys each time)
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from anys3.model import Bucket
from anys3.store.embedded import can_be_relaxed, open_store
from bench import scale
from bench.served import Served
from bench.smoke import ROOT, checked_out

BODY = b"x" * 16
SUM = hashlib.sha256(BODY).hexdigest()


async def build(directory: Path, keys: int) -> None:
    """Make the directory with its one bucket."""
    store = open_store(directory, is_relaxed=can_be_relaxed())
    bucket = await store.create_bucket(Bucket("flat", 0, scale.MODIFIED_MS))
    await scale.fill(store, bucket, scale.flat_key, keys)
    await store.close()


class Writer(threading.Thread):
    """Changes objects, so many times a second, and counts what was taken and what was refused."""

    def __init__(self, server: Served, keys: int, rate: float) -> None:
        super().__init__(daemon=True)
        self.taken = 0
        self.refused = 0
        self._server = server
        self._keys = keys
        self._rate = rate
        self._end = threading.Event()

    def run(self) -> None:
        """Write until `stop`."""
        some = random.Random(1)
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", self._server.port)) as connection:
            answers = connection.makefile("rb")
            while not self._end.is_set():
                # Every other one is of a key that was not there.
                path = scale.object_path(some.randrange(self._keys), some.choice(["", "-new"]))
                if some.random() < 0.2:
                    request = self._server.signer.head("DELETE", path, body_bytes=0)
                else:
                    request = self._server.signer.head("PUT", path, payload=SUM, body_bytes=len(BODY)) + BODY
                connection.sendall(request)
                status = int(answers.readline().split()[1])
                if status not in (200, 204, 503):
                    raise RuntimeError(f"an answer of status {status}")
                self.taken += status != 503
                self.refused += status == 503
                length = 0
                while (line := answers.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                answers.read(length)
                ahead_s = (self.taken + self.refused) / self._rate - (time.perf_counter() - began)
                time.sleep(max(0.0, ahead_s))

    def stop(self) -> None:
        """End it."""
        self._end.set()
        self.join()


def move(place: Path, keys: int, rate: float, source: Path) -> str:
    """Build, move, and return what is to be told."""
    asyncio.run(build(place / "from", keys))
    with Served(place / "from", source=source) as server:
        writer = Writer(server, keys, rate)
        writer.start()
        command = [sys.executable, "-m", "anys3", "store", "copy", "from", "to", "--follow", "--json"]
        environment = {**os.environ, "PYTHONPATH": str(source)}
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=3600
        )
        writer.stop()
    if done.returncode:
        raise RuntimeError(done.stderr)
    found = json.loads(done.stdout)
    seconds = found["seconds"]
    passes = ", ".join(f"{one['seconds']:.2f} s ({one['changes']} changes)" for one in found["passes"])
    pause = found["pause"]
    return (
        f"{found['objects']} objects, {writer.taken / seconds:.0f} writes a second taken; passes: {passes}\n"
        f"writes paused for {pause['seconds']:.2f} s, estimated {pause['estimate']:.2f} s; {seconds:.1f} s in all"
    )


def main() -> int:
    """Measure, print, and return 0."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m bench.moving", description=__doc__, formatter_class=form)
    parser.add_argument("--keys", type=int, default=300_000, metavar="N", help="objects (default: 300000)")
    parser.add_argument("--rate", type=float, default=200.0, help="writes a second (default: 200)")
    parser.add_argument("--revision", help="a commit to be measured instead of this tree")
    options = parser.parse_args()
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="anys3-moving-")))
        source = ROOT / "src"
        if options.revision:
            source = stack.enter_context(checked_out(options.revision, place / "tree"))
        print(move(place, options.keys, options.rate, source))
    return 0


if __name__ == "__main__":
    sys.exit(main())
