"""A target with what is needed to load it: signed requests out, figures back."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import socket
import ssl
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench import accounting, client
from bench.client import Replay, Request, Result
from bench.signing import EMPTY_SHA256, UNSIGNED
from bench.targets import Target

MIB = 1 << 20
GIB = 1 << 30
BLOCK_BYTES = 4 * MIB
SIGNED_BYTES = MIB
"""A body up to this size is hashed by the client, as SDKs do over HTTP; a larger one is UNSIGNED-PAYLOAD."""
SEED_CONNECTIONS = 16
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much the workloads store, in keys and bytes. The defaults are those of docs/performance.md."""

    keys: int = 10_000
    large_bytes: int = GIB
    range_source_bytes: int = 5 * GIB
    part_bytes: int = 16 * MIB
    sdk_small_files: int = 5_000
    sdk_small_bytes: int = 4096
    sdk_large_files: int = 5
    sdk_large_bytes: int = 256 * MIB
    seed_limit_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one load against one target.

    `cpu_s` is of all server processes, `rss_peak_mib` their peaks together and `anonymous_mib` what of their
    memory is no page of a file when the load has ended; None where they can't be seen. `operations` is what figures are divided by. `client_cpu_s` is the load client's own.
    """

    operations: int
    seconds: float
    bytes_moved: int
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    cpu_s: float | None
    client_cpu_s: float
    rss_peak_mib: float | None
    anonymous_mib: float | None
    reconnects: int
    oddities: dict[str, int]
    sample: str = ""
    engine_cpu_s: float | None = None
    """Of the engines that the store lies on, where there are some."""

    @property
    def rate(self) -> float:
        """Return operations a second."""
        return self.operations / self.seconds if self.seconds else 0.0

    @property
    def cpu_us(self) -> float | None:
        """Return CPU microseconds of the server per operation."""
        return None if self.cpu_s is None or not self.operations else self.cpu_s / self.operations * 1e6

    @property
    def engine_cpu_us(self) -> float | None:
        """Return CPU microseconds of the store's engines per operation."""
        return (
            None
            if self.engine_cpu_s is None or not self.operations
            else self.engine_cpu_s / self.operations * 1e6
        )

    @property
    def client_cpu_us(self) -> float:
        """Return CPU microseconds of the client per operation."""
        return self.client_cpu_s / self.operations * 1e6 if self.operations else 0.0


def from_result(result: Result, cpu_s: float | None, pids: Sequence[int], operations: int) -> Measurement:
    """Return a measurement of what the load client saw, and of the memory of the processes it loaded."""
    return Measurement(
        operations=operations,
        seconds=result.seconds,
        bytes_moved=result.sent_bytes + result.received_bytes,
        p50_ms=result.p50_ns / 1e6,
        p99_ms=result.p99_ns / 1e6,
        p999_ms=result.p999_ns / 1e6,
        cpu_s=cpu_s,
        client_cpu_s=result.cpu_s,
        rss_peak_mib=accounting.rss_mib(pids, is_peak=True) if pids else None,
        anonymous_mib=accounting.anonymous_mib(pids) if pids else None,
        reconnects=result.reconnects,
        oddities=result.oddities(),
        sample=result.sample,
    )


@dataclass(slots=True)
class Stage:
    """One target, and what has been stored in it so far (`seeded`: names that workloads give).

    A client on a core of its own polls, unless `lets_client_sleep`: else the server pays for waking it.
    """

    target: Target
    sizes: Sizes
    block: bytes
    lets_client_sleep: bool = False
    seeded: set[str] = field(default_factory=set)
    uploads: dict[tuple[int, int], str] = field(default_factory=dict)
    etags: dict[tuple[int, int], str] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        status: int = 200,
        answer_bytes: int = -1,
        flags: int = 0,
    ) -> Request:
        """Return a signed request without a body."""
        head = self.target.signer.head(
            method, path, query, headers, body_bytes=0 if method == "POST" else None
        )
        flags |= client.IS_HEAD if method == "HEAD" else 0
        return Request(head, status, answer_bytes=answer_bytes, flags=flags)

    def bucket(self, path: str) -> Request:
        """Return a signed CreateBucket, in the region that requests are signed for."""
        region = self.target.signer.region
        if region == "us-east-1":
            return Request(self.target.signer.head("PUT", path, body_bytes=0))
        constraint = f"<LocationConstraint>{region}</LocationConstraint>"
        return self.document(
            "PUT",
            path,
            f'<CreateBucketConfiguration xmlns="{NAMESPACE}">{constraint}</CreateBucketConfiguration>',
        )

    def document(
        self, method: str, path: str, text: str, query: Mapping[str, str] | None = None, *, flags: int = 0
    ) -> Request:
        """Return a signed request whose body is an XML document."""
        body = text.encode()
        payload = hashlib.sha256(body).hexdigest()
        head = self.target.signer.head(method, path, query, payload=payload, body_bytes=len(body))
        return Request(head + body, flags=flags)

    def put(self, path: str, size: int, index: int, query: Mapping[str, str] | None = None) -> Request:
        """Return a signed PUT whose body depends on `index`, with a checksum where the client hashes it."""
        offset = self.offset(index)
        headers, payload = {}, UNSIGNED
        if size <= SIGNED_BYTES:
            body = self.block[offset : offset + size]
            payload = hashlib.sha256(body).hexdigest() if size else EMPTY_SHA256
            headers["x-amz-checksum-crc32"] = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        head = self.target.signer.head("PUT", path, query, headers, payload=payload, body_bytes=size)
        return Request(head, 200, body_offset=offset, body_bytes=size)

    def offset(self, index: int) -> int:
        """Return where the body of a request begins in the block: another place for another index."""
        return index * 977 % (BLOCK_BYTES - SIGNED_BYTES)

    def md5(self, size: int, index: int) -> str:
        """Return the MD5 of a body that `put` makes, which is its ETag."""
        digest = hashlib.md5(usedforsecurity=False)
        at, left = self.offset(index), size
        while left:
            part = self.block[at : at + left]
            digest.update(part)
            left -= len(part)
            at = 0
        return digest.hexdigest()

    def send(
        self, requests: Sequence[Request], connections: int = SEED_CONNECTIONS, limit_s: float | None = None
    ) -> Result:
        """Send requests that are not measured: what a workload needs to find.

        Raises RuntimeError when an answer is not what it should be, with what the server said, or when the
        limit is reached.
        """
        limit_s = limit_s or self.sizes.seed_limit_s
        with self._replay(requests, connections, limit_s, limit_s + 30) as replay:
            result = replay.run()
        if result.unsent:
            raise RuntimeError(
                f"{result.unsent} of {len(requests)} keys were not stored within {limit_s:g} s"
            )
        if result.oddities():
            raise RuntimeError(f"preparing it: {result.oddities()} {result.sample[:200]}")
        return result

    def send_any(self, requests: Sequence[Request], connections: int = SEED_CONNECTIONS) -> Result:
        """Send requests that are not measured, and return what came, whatever it was."""
        limit_s = self.sizes.seed_limit_s
        with self._replay(requests, connections, limit_s, limit_s + 30) as replay:
            return replay.run()

    def answer(self, request: Request) -> bytes:
        """Return the body of one request's answer, read by Python: what later requests need to know."""
        target = self.target
        raw = socket.create_connection((target.address, target.port), 60)
        if target.tls:
            context = ssl.create_default_context(cafile=str(target.authority) if target.authority else None)
            raw = context.wrap_socket(raw, server_hostname=target.tls[1])
        with raw:
            raw.sendall(request.head)
            response = http.client.HTTPResponse(raw)
            response.begin()
            return response.read()

    def measure(
        self,
        requests: Sequence[Request],
        connections: int,
        *,
        soft_s: float,
        hard_s: float,
        operations: int | None = None,
    ) -> Measurement:
        """Send requests and return their figures; CPU is read when the client has connected, and at the end."""
        pids, engines = self.target.pids, self.target.engine_pids
        accounting.reset_peak(pids)
        with self._replay(requests, connections, soft_s, hard_s) as replay:
            before = accounting.cpu_s(pids) if pids else None
            engines_before = accounting.cpu_s(engines)
            result = replay.run()
            now = self.target.pids
            cpu_s = None if before is None else accounting.cpu_s(now) - before
            engine_cpu_s = accounting.cpu_s(self.target.engine_pids) - engines_before if engines else None
        measured = from_result(result, cpu_s, now, operations or result.answers)
        return replace(measured, engine_cpu_s=engine_cpu_s)

    def syncs(self, requests: Sequence[Request], connections: int, limit_s: float) -> tuple[int, int]:
        """Return (calls that waited for the disk, answers) of a load under strace, which makes it slow."""
        traced = accounting.Tracing(self.target.pids)
        with traced, self._replay(requests, connections, limit_s, limit_s + 10) as replay:
            result = replay.run()
        return traced.count, result.answers

    @property
    def client_polls(self) -> bool:
        """Return whether the load client never sleeps."""
        return self.target.client_cores is not None and not self.lets_client_sleep

    def _replay(self, requests: Sequence[Request], connections: int, soft_s: float, hard_s: float) -> Replay:
        target = self.target
        return Replay(
            client.program(tls=target.tls is not None),
            requests,
            self.block,
            port=target.port,
            address=target.address,
            connections=connections,
            soft_s=soft_s,
            hard_s=hard_s,
            tls=target.tls,
            cores=target.client_cores,
            polls=self.client_polls,
        )


def new_block() -> bytes:
    """Return the random bytes that bodies are cut from."""
    return os.urandom(BLOCK_BYTES)
