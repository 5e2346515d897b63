"""How often something dear may happen: so many times at once, and so many each second after that."""

from __future__ import annotations


class Allowance:
    """Fills up again with time. The clock may jump: back, and nothing is added; forth, and it is full.

    >>> allowance = Allowance(2, 1.0)
    >>> [allowance.take(now) for now in (10.0, 10.0, 10.0, 11.0, 11.0, 5.0)]
    [True, True, False, True, False, False]
    """

    def __init__(self, most: int, each_s: float) -> None:
        """Allow `most` at once, and `each_s` a second after that."""
        self._most = float(most)
        self._each_s = each_s
        self._left = self._most
        self._then = 0.0

    def take(self, now: float) -> bool:
        """Return whether it may happen once more, `now` in seconds."""
        added = max(0.0, now - self._then) * self._each_s
        self._left = min(self._most, self._left + added)
        self._then = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
