"""A store in memory, for tests and fixtures: the contract's plainest fulfilment, nothing survives."""

from anys3.store.memory.contents import MemoryBytes
from anys3.store.memory.engine import MemoryStore

__all__ = ["MemoryBytes", "MemoryStore"]
