"""The load client: a small C program that replays signed requests, compiled at first use.

    with Replay(program(), requests, block, port=9000, connections=64) as replay:
        ...  # it is connected
        result = replay.run()

Why not wrk: it waits for a body after HEAD, is bound by time and not by requests (a DELETE must meet a key
that exists), and compares no status.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

SOURCE = Path(__file__).with_name("replay.c")
MAGIC = b"anys3rp1"
COMPILE_LIMIT_S = 60.0
IS_HEAD, BARRIER, NO_ERROR = 1, 2, 4
"""Flags of a request: no body comes back; it waits for all before it; its answer's body may not hold <Error>."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, signed: its head, and where in the block its body begins; `answer_bytes` -1 is not known."""

    head: bytes
    status: int = 200
    body_offset: int = 0
    body_bytes: int = 0
    answer_bytes: int = -1
    flags: int = 0

    def packed(self) -> bytes:
        """Return it as replay.c reads it."""
        lengths = (len(self.head), self.body_offset, self.body_bytes, self.answer_bytes)
        return struct.pack("<IIQQQq", self.status, self.flags, *lengths) + self.head


@dataclass(frozen=True, slots=True)
class Result:
    """What one run gave. Latencies are from the first byte sent to the last byte of the answer, in ns.

    `resent` counts requests sent again since the server had closed the kept connection, `reconnects` new
    connections after the start, `broken` answers that ended early, `unfinished` those that were given up.
    """

    answers: int
    seconds: float
    cpu_s: float
    sent_bytes: int
    received_bytes: int
    body_bytes: int
    unexpected: dict[str, int]
    wrong_lengths: int
    error_bodies: int
    reconnects: int
    resent: int
    broken: int
    unfinished: int
    unsent: int
    mean_ns: float
    p50_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int
    sample: str

    def oddities(self) -> dict[str, int]:
        """Return what was not as it should be, counted; empty when all was well."""
        found = {f"status {status}": count for status, count in self.unexpected.items()}
        for name in ("wrong_lengths", "error_bodies", "broken", "unfinished"):
            if count := getattr(self, name):
                found[name.replace("_", " ")] = count
        return found


def cache() -> Path:
    """Return the folder that holds what was compiled."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anys3-bench"


def program(*, tls: bool = False) -> Path:
    """Return the compiled client, compiling it at first use and whenever its source changes.

    Raises RuntimeError, with what to do, where there is no C compiler or, for TLS, no libssl-dev.
    """
    source = SOURCE.read_bytes()
    name = f"replay-{'tls-' if tls else ''}{hashlib.sha256(source).hexdigest()[:16]}"
    target = cache() / name
    if target.exists():
        return target
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise RuntimeError("no C compiler is here for the load client: apt-get install gcc libc6-dev")
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as directory:
        made = Path(directory, name)
        command: list[str | Path] = [compiler, "-O2", "-o", made, SOURCE]
        if tls:
            command += ["-DWITH_TLS", "-lssl", "-lcrypto"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_LIMIT_S, check=False)
        if done.returncode:
            hint = "; for --tls install libssl-dev" if tls else ""
            raise RuntimeError(f"{SOURCE.name} does not compile here{hint}:\n{done.stderr[-2000:]}")
        made.replace(target)
    return target


def write_requests(path: Path, requests: Iterable[Request], block: bytes) -> None:
    """Write the file that replay.c reads."""
    packed = [request.packed() for request in requests]
    with path.open("wb") as file:
        file.write(MAGIC + struct.pack("<QQ", len(packed), len(block)) + block)
        file.writelines(packed)


class Replay:
    """A load client that has connected and waits for the word; ends with the block, whatever happened.

    `tls` is the file of authorities ("-": the system's) and the name that the certificate must be for. After
    `soft_s` nothing new is sent, after `hard_s` what is outstanding is given up. One that `polls` never sleeps.
    """

    def __init__(
        self,
        client: Path,
        requests: Iterable[Request],
        block: bytes,
        *,
        port: int,
        address: str = "127.0.0.1",
        connections: int = 1,
        soft_s: float = 3600.0,
        hard_s: float = 3600.0,
        tls: tuple[str, str] | None = None,
        cores: frozenset[int] | None = None,
        polls: bool = False,
    ) -> None:
        self._hard_s = hard_s
        self._directory = tempfile.TemporaryDirectory(prefix="anys3-replay-")
        plan = Path(self._directory.name, "requests")
        try:
            write_requests(plan, requests, block)
            command: list[str | Path] = [
                client,
                *(["--poll"] if polls else []),
                plan,
                address,
                str(port),
                str(connections),
            ]
            command += [str(int(soft_s * 1000)), str(int(hard_s * 1000)), *(tls or ())]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except BaseException:
            self._directory.cleanup()
            raise
        if cores is not None:
            os.sched_setaffinity(self._process.pid, cores)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            said = self._process.communicate(timeout=10)[1].strip()
            self.close()
            raise RuntimeError(said or "the load client ended before it had connected")
        return self

    def run(self) -> Result:
        """Send all requests and return the figures; raises RuntimeError when the client can't go on."""
        try:
            output, errors = self._process.communicate("go\n", timeout=self._hard_s + 30)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the load client did not end within {self._hard_s + 30:g} s") from None
        if self._process.returncode:
            raise RuntimeError(errors.strip() or f"the load client ended with {self._process.returncode}")
        values = json.loads(output)
        return Result(**{field.name: values[field.name] for field in fields(Result)})

    def close(self) -> None:
        """End the client if it still runs, and remove the file of requests."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
        self._directory.cleanup()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
