"""The shim that makes system calls fail, built when it is needed, and the plan that steers it at run time."""

from __future__ import annotations

import errno
import mmap
import platform
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
FUNCTIONS = (
    *("open", "write", "read", "sync", "syncfs", "rename", "link", "unlink"),
    *("truncate", "allocate", "accept", "dup"),
)
_HEAD = struct.Struct("=qQ16Q")
_RULE = struct.Struct("=IiiiqQQii80s")
RULES = 16
SIZE = _HEAD.size + RULES * _RULE.size
_HITS_AT = 24


@dataclass(frozen=True, slots=True)
class Rule:
    """What fails: `functions`, on paths that hold `path`, with `error` (0: a transfer is cut in half)."""

    functions: str
    """Names of FUNCTIONS, with blanks between them."""
    path: str
    error: int = errno.EIO
    after: int = 0
    times: int = -1
    offset_below: int = -1
    """Of a write at an offset: only below it; -N: not below N; -1: any."""
    process: int = 0
    access: int = 0
    """Of an open: 1 only to write, 2 only to read, 0 any."""

    def packed(self) -> bytes:
        """Return the rule as the shim reads it."""
        bits = sum(1 << FUNCTIONS.index(name) for name in self.functions.split())
        counts = (self.error, self.after, self.times, self.offset_below, 0, 0)
        return _RULE.pack(bits, *counts, self.process, self.access, self.path.encode())


class Plan:
    """The shared file: faults are set, cleared and counted, the clock is set, while servers run."""

    def __init__(self, path: Path, shim: Path) -> None:
        self.path = path
        self._shim = shim
        path.write_bytes(bytes(SIZE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)
        self._set = 0
        self.injected = 0
        """Faults that were met, of all rules that were ever set."""

    @property
    def environment(self) -> dict[str, str]:
        """What a server's environment needs."""
        return {"LD_PRELOAD": str(self._shim), "FAULTS_PLAN": str(self.path)}

    def set(self, *rules: Rule) -> None:
        """Let these rules hold, and no other."""
        assert len(rules) <= RULES
        self.clear()
        for number, rule in enumerate(rules):
            at = _HEAD.size + number * _RULE.size
            packed = rule.packed()
            # The bits that make it a rule come last: a server may look at any moment.
            self._map[at + 4 : at + _RULE.size] = packed[4:]
            self._map[at : at + 4] = packed[:4]
        self._set = len(rules)

    def clear(self) -> int:
        """Let nothing fail any more; return how often something did since `set`."""
        for number in range(self._set):
            at = _HEAD.size + number * _RULE.size
            self._map[at : at + 4] = bytes(4)
        hits = self.hits
        self.injected += hits
        self._set = 0
        return hits

    @property
    def hits(self) -> int:
        """How often something failed since `set`."""
        places = (_HEAD.size + number * _RULE.size + _HITS_AT for number in range(self._set))
        return sum(struct.unpack_from("=Q", self._map, at)[0] for at in places)

    @property
    def calls(self) -> dict[str, int]:
        """How often each function was called, and the clock was read."""
        _, clock, *counts = _HEAD.unpack_from(self._map)
        return {"clock": clock, **dict(zip(FUNCTIONS, counts, strict=False))}

    def set_clock(self, offset_s: int) -> None:
        """Let the servers' clock be off by that much."""
        struct.pack_into("=q", self._map, 0, offset_s)

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()


def reason_to_skip() -> str:
    """Return why faults can't be injected here, "" if they can."""
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return "the shim is for Linux with glibc"
    return "" if shutil.which("gcc") else "there is no gcc to build the shim"


def build(folder: Path) -> Path:
    """Build the shim in `folder`."""
    shim = folder / "shim.so"
    if not shim.exists():
        command = ["gcc", "-shared", "-fPIC", "-O2", "-o", str(shim), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True)
    return shim


@contextmanager
def planning(folder: Path) -> Iterator[Plan]:
    """Build the shim, and hold a plan that lets everything pass."""
    plan = Plan(folder / "plan", build(folder))
    try:
        yield plan
    finally:
        plan.close()
