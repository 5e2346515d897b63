"""What an engine tells of itself in numbers: whoever shows them need not know which engine it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Labels = tuple[tuple[str, str], ...]
Over = Literal["sum", "least", "most"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, as one process has it now."""

    name: str
    """As Prometheus wants it: `anys3_...`, in seconds and bytes; what only ever rises ends in `_total`."""
    help: str
    value: float
    labels: Labels = ()
    """Of few values, and never a name that a user gave, nor a path, nor an address."""
    over: Over = "sum"
    """What the processes of a server come to together. What only rises is a sum."""

    @property
    def is_counter(self) -> bool:
        """Whether it only rises."""
        return self.name.endswith("_total")
