"""Lets the power go at each moment of a recording, starts the store on what the device may hold, and looks."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.power import trace
from tests.torture.power.filesystem import DIRECTORY, Disk
from tests.torture.power.looking import Found
from tests.torture.power.promises import Promises
from tests.torture.power.recording import Recorded
from tests.torture.power.states import Image, images

SHARED_FROM = 64 * 1024
"""Files from this size on are immutable blobs: written once, and linked into each image that has them."""


@dataclass(slots=True)
class Count:
    """What a replay has done."""

    prefixes: int = 0
    states: int = 0
    starts: int = 0
    """States that were not the same as another one of their prefix or of the one before."""
    bytes: int = 0
    policies: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


class Bench:
    """A directory in which images are laid out and started, in memory where there is some."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = path / "pool"
        self._pool.mkdir(parents=True)
        self._starter: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        if self._starter is not None:
            self._starter.kill()
            self._starter.communicate()
        shutil.rmtree(self._path)

    def lay_out(self, image: Image) -> Path:
        """Make the directory that a start finds."""
        top = self._path / "top"
        top.mkdir(exist_ok=True)
        base = str(top)
        directories = {name for name, number in image.names.items() if number == DIRECTORY}
        for name in sorted(directories - _cleared(base, directories)):
            os.mkdir(f"{base}/{name}", 0o700)  # noqa: PTH102 (thousands of times: no objects)
        for name, number in image.names.items():
            if number == DIRECTORY:
                continue
            data, path = image.contents[number], f"{base}/{name}"
            if len(data) >= SHARED_FROM and ("/blobs/" in name or "/incoming/" in name):
                os.link(self._shared(data), path)
            else:
                with open(path, "wb", buffering=0) as file:  # noqa: PTH123
                    file.write(data)
        return top

    def _shared(self, data: bytes) -> Path:
        path = self._pool / hashlib.blake2b(data, digest_size=16).hexdigest()
        if not path.exists():
            path.write_bytes(data)
        return path

    def start(self, path: Path, *, probes: bool) -> Found:
        """Recover the store and read all of it, in a process that may be ended by it."""
        if self._starter is None:
            words = [sys.executable, "-m", "tests.torture.power.looking"]
            self._starter = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        self._starter.stdin.write(f"{int(probes)} {path}\n".encode())
        self._starter.stdin.flush()
        try:
            found: Found = pickle.load(self._starter.stdout)
        except (EOFError, pickle.UnpicklingError):
            code, self._starter = self._starter.wait(), None
            found = Found(wrong=[f"the process that starts the store ended with {code}"])
        return found


def _cleared(base: str, kept: set[str], below: str = "") -> set[str]:
    """Remove everything below but the directories of these names, which most images have; return those."""
    found: set[str] = set()
    with os.scandir(f"{base}/{below}") as entries:
        for one in entries:
            name = f"{below}{one.name}"
            if not one.is_dir(follow_symlinks=False):
                os.unlink(f"{base}/{name}")  # noqa: PTH108
            elif name in kept:
                found.add(name)
                found |= _cleared(base, kept, name + "/")
            else:
                shutil.rmtree(f"{base}/{name}")
    return found


class Replay:
    """Goes through a recording, once for each kind of file system."""

    def __init__(self, recorded: Recorded, bench: Bench, seed: int, promises: Promises | None = None) -> None:
        self._recorded = recorded
        self._promises = promises or Promises(recorded)
        self._bench = bench
        self._seed = seed
        self.count = Count()
        self._started: dict[int, Found] = {}

    def run(self, share: float = 1.0, fixed: int = 4, drawn: int = 4, most_violations: int = 20) -> Count:
        """Try `fixed` and `drawn` images at each place that matters, or at a share of them."""
        for is_journaled in (False, True):
            disk = Disk(is_journaled=is_journaled)
            some = random.Random(f"{self._seed}/{is_journaled}")
            operations = self._recorded.operations
            for place, operation in enumerate(operations):
                if some.random() < share * weight(operation):
                    self._prefix(disk, place, some, fixed, drawn)
                disk.do(operation)
                if len(self.count.violations) >= most_violations:
                    return self.count
            self._prefix(disk, len(operations), some, fixed, drawn)
        return self.count

    def _prefix(self, disk: Disk, place: int, some: random.Random, fixed: int, drawn: int) -> None:
        self.count.prefixes += 1
        for image in images(disk, some, fixed, drawn):
            self.count.states += 1
            self.count.policies[image.policy] += 1
            found = self._start(image, some)
            for words in self._judge(found, place, is_journaled=disk.is_journaled):
                self.count.violations.append(
                    f"power lost before operation {place} ({_show(self._recorded.operations, place)}), "
                    f"{image.policy}: {words}"
                )

    def _start(self, image: Image, some: random.Random) -> Found:
        key = image.key
        if key not in self._started:
            if len(self._started) > 200:
                self._started.clear()
            self.count.starts += 1
            self.count.bytes += sum(map(len, image.contents.values()))
            path = self._bench.lay_out(image) / self._recorded.store
            self._started[key] = self._bench.start(path, probes=some.random() < 0.1)
        return self._started[key]

    def _judge(self, found: Found, place: int, *, is_journaled: bool) -> list[str]:
        wrong = list(found.wrong)
        if not found.is_read:
            return wrong
        if is_journaled:  # without an order of names a file may come to lie where nobody looks: it takes room
            wrong += [f"an orphan is left: {name}" for name in found.orphans]
        return wrong + self._promises.judge(place, found.observed)


def weight(operation: trace.Operation) -> float:
    """Return how much the moment before an operation matters: the 256 directories of blobs are much alike."""
    if isinstance(operation, trace.Mapped):
        return 0.0
    is_alike = isinstance(operation, trace.MakeDirectory) and "/blobs/" in operation.path
    return 0.1 if is_alike else 1.0


def _show(operations: list[trace.Operation], place: int) -> str:
    if place >= len(operations):
        return "the end"
    operation = operations[place]
    fields = [value for value in operation if not isinstance(value, bytes)]
    return f"{type(operation).__name__} {fields}"
