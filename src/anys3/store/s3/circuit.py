"""What lets an outage be answered at once, rather than by each request after a wait of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

_FAILURES = 5
_OUTAGE_S = 2.0
_PAUSE_S = 1.0
_SLACK_S = 0.1


class Circuit:
    """Tells new requests to fail at once after many failures in a row. For any number of threads.

    It opens when the last 5 tries failed and the first of them began 2 s ago, or when a request has given up
    and nothing else was answered meanwhile. From then on one request at a time, a second after the last, is let through to find out; the first success closes it. Requests
    that began before go on trying.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns seconds that only go up."""
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._since = 0.0
        self._is_open = False
        self._next = 0.0  # when the next request may find out; of no meaning while it is closed
        self.reason = ""
        """How the last try failed."""

    def admits(self) -> bool:
        """Whether a new request may be tried now. One that finds out has a single try."""
        with self._lock:
            if not self._is_open:
                return True
            if self._clock() < self._next:
                return False
            # Time passes for the next one also if this one never comes back.
            self._next = self._clock() + 10 * _PAUSE_S
            return True

    @property
    def is_open(self) -> bool:
        """Whether there is an outage, as far as is known."""
        return self._is_open

    def succeeded(self) -> bool:
        """Hear that the provider has answered something that was no overload; whether that ends an outage."""
        if not self._failures:
            return False
        with self._lock:
            was_open, self._failures, self._is_open = self._is_open, 0, False
            return was_open

    def failed(self, reason: str, took_s: float, gives_up_after_s: float | None = None) -> bool:
        """Hear that a try got no answer in `took_s`, or that of an overload; whether an outage begins with it.

        `gives_up_after_s`: its request is not tried again, and has met only failures for that long.
        """
        with self._lock:
            now, was_open = self._clock(), self._is_open
            if not self._failures:
                self._since = now - took_s
            self._failures += 1
            self.reason = reason
            # Where others had success meanwhile, it is the request that fails, and no outage.
            gives_up = gives_up_after_s is not None and now - self._since >= gives_up_after_s - _SLACK_S
            if gives_up or (self._failures >= _FAILURES and now - self._since >= _OUTAGE_S):
                self._is_open = True
                self._next = now + _PAUSE_S
            return self._is_open and not was_open
