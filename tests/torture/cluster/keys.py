"""What a key of one writer may hold, after answers that came and answers that did not."""

from __future__ import annotations

from dataclasses import dataclass, field

Value = str | None
"""An ETag; None: the key is absent."""


@dataclass(slots=True)
class Key:
    """A key that only one lane writes to.

    What was answered with 503, or not at all, is `pending`: it may have happened, or may still happen. Once a later
    write is acknowledged it must not happen any more: whoever was told that his write is there would lose it.
    """

    path: str
    certain: Value = None
    pending: list[Value] = field(default_factory=list)
    overtaken: list[Value] = field(default_factory=list)

    @property
    def is_certain(self) -> bool:
        """Whether nothing is pending."""
        return not self.pending

    def acknowledge(self, value: Value) -> None:
        """Note a write that was answered with success."""
        self.certain = value
        self.overtaken += self.pending
        self.pending.clear()

    def doubt(self, value: Value) -> None:
        """Note a write whose outcome is not known."""
        self.pending.append(value)

    def see(self, value: Value) -> str:
        """Note what a read has shown; return what is wrong about it, "" if nothing is."""
        if value == self.certain:
            return ""
        if value in self.pending:
            self.certain = value
            self.pending.remove(value)
            return ""
        wanted = " or ".join(repr(one) for one in (self.certain, *self.pending))
        if value in self.overtaken:
            return f"{self.path}: {value!r}, of an unanswered write, has replaced what was acknowledged after it: {wanted}"
        return f"{self.path}: {value!r}, not {wanted}"
