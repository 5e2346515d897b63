"""What was asked of the provider: it sends a bill for each request, and throttles by their number."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from anys3.store.figures import Figure


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests so far, by operation and what came of each try; bytes are those of bodies."""

    requests: Mapping[tuple[str, str], int]
    """By S3's name of the operation, and the status, or how it ended without one: `no answer`, `unreachable`."""
    retries: int
    sent_bytes: int
    received_bytes: int

    def figures(self) -> list[Figure]:
        """Return them as figures."""
        about = "Tries of requests to the blobs' S3 provider, by operation and status, or how they ended without one."
        return [
            *(
                Figure("anys3_s3_requests_total", about, count, (("operation", name), ("outcome", outcome)))
                for (name, outcome), count in sorted(self.requests.items())
            ),
            Figure("anys3_s3_retries_total", "Those of them that were not the first try.", self.retries),
            Figure("anys3_s3_sent_bytes_total", "Bytes of bodies sent to the provider.", self.sent_bytes),
            Figure("anys3_s3_received_bytes_total", "Bytes of bodies it has sent.", self.received_bytes),
        ]

    def __str__(self) -> str:
        """Return one line for a log."""
        rows = ", ".join(
            f"{name} {outcome}: {count}" for (name, outcome), count in sorted(self.requests.items())
        )
        return (
            f"{sum(self.requests.values())} requests ({rows or 'none'}), {self.retries} of them retries,"
            f" {self.sent_bytes} bytes sent, {self.received_bytes} received"
        )


class Meter:
    """Counts, for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._retries = 0
        self._sent_bytes = 0
        self._received_bytes = 0

    def add(self, operation: str, outcome: str, sent_bytes: int, *, is_retry: bool) -> None:
        """Count one try of a request."""
        with self._lock:
            self._requests[operation, outcome] += 1
            self._retries += is_retry
            self._sent_bytes += sent_bytes

    def received(self, count: int) -> None:
        """Count bytes of an answer's body."""
        with self._lock:
            self._received_bytes += count

    def counts(self) -> Counts:
        """Return what was counted until now."""
        with self._lock:
            return Counts(dict(self._requests), self._retries, self._sent_bytes, self._received_bytes)
