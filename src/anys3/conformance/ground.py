"""What a run stands on: the endpoint, who asks, its buckets, its limits, and whether to go on."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar, cast

from anys3.client.answers import Answer
from anys3.client.connections import Dialer, Pool
from anys3.client.endpoint import Endpoint
from anys3.client.signing import Credentials, Scope
from anys3.conformance.journal import Journal
from anys3.conformance.outcomes import Skipped, Stopped

_T = TypeVar("_T")
_OVERLOAD = (503, 429)
_PATIENCE = 6
_FIRST_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request is from, and how its signature is dated and scoped."""

    name: str
    credentials: Credentials
    region: str
    service: str = "s3"
    clock_offset_s: int = 0

    def amz_date(self) -> str:
        """Return the time that a request of now carries."""
        now = datetime.now(UTC) + timedelta(seconds=self.clock_offset_s)
        return now.strftime("%Y%m%dT%H%M%SZ")

    def scope(self, amz_date: str) -> Scope:
        """Return the scope of a signature of that time."""
        return Scope(amz_date[:8], self.region, self.service)


@dataclass(slots=True)
class Limits:
    """What a run may use at most."""

    requests: int = 20_000
    seconds: float = 1800.0


@dataclass(slots=True)
class Meter:
    """What a run used. Classes are those of providers' price lists: writes and lists, reads, deletes."""

    requests: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0
    received_bytes: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return sum(self.requests.values())


def request_class(method: str, target: str) -> str:
    """Return the class of a request: `write` (also lists), `read` or `delete`."""
    if method == "DELETE":
        return "delete"
    path, _, query = target.partition("?")
    is_list = method == "GET" and (path.strip("/").count("/") == 0 or "uploadId=" in query)
    return "write" if method in ("PUT", "POST") or is_list else "read"


class Ground:
    """What all checks of a run share. For any number of threads."""

    def __init__(
        self,
        dialer: Dialer,
        journal: Journal,
        main: Identity | None,
        *,
        second: Identity | None = None,
        bucket: str | None = None,
        prefix: str = "",
        limits: Limits | None = None,
        cors_origin: str | None = None,
        cors_bucket: str | None = None,
        seed: int = 0,
    ) -> None:
        """Stand on an endpoint. With `bucket`, only that bucket is used, under `prefix`.

        `cors_origin` is an origin that the operator's rules allow, if there are such rules: those of
        `cors_bucket`, which was there before, else of every bucket.
        """
        self.dialer = dialer
        self.endpoint: Endpoint = dialer.endpoint
        self.journal = journal
        self.main = main
        self.second = second
        self.pool = Pool(dialer.connect)
        self.limits = limits or Limits()
        self.cors_origin = cors_origin
        self.cors_bucket = cors_bucket
        self.meter = Meter()
        self.random = random.Random(seed)  # noqa: S311 -- jitter, not secrets
        self.stop = threading.Event()
        self.is_scoped = bucket is not None
        self.bucket = bucket or f"a3-{journal.run_id}"
        self.prefix = f"{prefix}{journal.run_id}/"
        self.aside = f"a3-{journal.run_id}-aside"
        # 63 characters, the longest that a name may have (BN-01).
        self.spare = f"a3-{journal.run_id}-spare-".ljust(62, "x") + "z"
        self._lock = threading.RLock()
        self._locks: dict[str, threading.RLock] = {}
        self._made: dict[str, object] = {}
        self._pause_until = 0.0
        self._is_cleaning = False
        self._deadline = time.monotonic() + self.limits.seconds

    def lock(self, name: str) -> threading.RLock:
        """Return the lock of that name, which checks that use the same thing share."""
        with self._lock:
            return self._locks.setdefault(name, threading.RLock())

    def once(self, what: str, make: Callable[[], _T]) -> _T:
        """Return what all checks of the run share; it is made at its first use, and after a failure again."""
        with self.lock(f"once {what}"):
            if what not in self._made:
                self._made[what] = make()
            return cast("_T", self._made[what])

    def count(self, method: str, target: str, size: int, also: Meter) -> None:
        """Count a request that is about to be sent, for the run and for one check (`also`).

        Raises Stopped, or Skipped if a limit is reached.
        """
        if self.stop.is_set() and not self._is_cleaning:
            raise Stopped
        with self._lock:
            if self.meter.total >= self.limits.requests:
                raise Skipped(f"the limit of {self.limits.requests} requests was reached (--max-requests)")
            if time.monotonic() > self._deadline:
                raise Skipped(f"the limit of {self.limits.seconds:g} s was reached (--max-seconds)")
            for meter in (self.meter, also):
                meter.requests[request_class(method, target)] += 1
                meter.sent_bytes += size

    def lift_limits(self) -> None:
        """Let requests through whatever was used, and whatever is told to stop: cleaning must not end half-way."""
        self._is_cleaning = True
        self.limits = Limits(requests=1 << 40, seconds=float("inf"))
        self._deadline = float("inf")

    def received(self, size: int) -> None:
        """Count bytes of an answer."""
        with self._lock:
            self.meter.received_bytes += size

    def patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Return the answer, asking again, later and later, while the server says that it is overloaded."""
        pause = _FIRST_PAUSE_S
        for _ in range(_PATIENCE):
            self._wait_for_the_others()
            answer = ask()
            if answer.status not in _OVERLOAD:
                return answer
            with self._lock:
                pause_s = pause * (1 + self.random.random())
                self._pause_until = max(self._pause_until, time.monotonic() + pause_s)
            pause *= 2
        return answer

    def _wait_for_the_others(self) -> None:
        """Wait until the pause that any thread was told to make is over."""
        left = self._pause_until - time.monotonic()
        if left > 0 and self._is_cleaning:
            time.sleep(left)
        elif left > 0 and self.stop.wait(left):
            raise Stopped
