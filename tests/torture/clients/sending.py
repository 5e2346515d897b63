"""One thread of a workload: how it sends, what it knows of its own places, and how it chooses."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.rawclient import RawClient, Response
from tests.torture.journal import Content, Journal, Operation, Place, Version

SHARED = "shared"
"""The bucket whose keys all threads write to."""
NAMES = ("a", "b/c", "b/d", "b/e/f", "sp ace", "grüße/ü", "z" * 400, "z" * 401 + "/1", "z" * 900 + "/2")
SHARED_NAMES = ("s0", "s1", "dir/s2", "y" * 450 + "/s3")
KIB, MIB = 1024, 1024 * 1024
SMALL = (0, 1, 17, 512, 4000, 30_000)
BORDERS = (
    *(128 * KIB + by for by in (-1, 0, 1)),
    *(256 * KIB + by for by in (-1, 0, 1)),
    *(MIB + by for by in (-1, 0, 1, 4096)),
)
LARGE = (2 * MIB, 3 * MIB + 77, 6 * MIB + 5)


class Owner(Protocol):
    """What a thread asks of its workload."""

    s3: RawClient
    journal: Journal
    largest: int
    directory: Path | None
    key_entry: tuple[str, ...]
    completed: dict[str, tuple[Place, bytes, Version]]


class Sender:
    """One thread of a workload, and what it knows of its own places."""

    def __init__(self, workload: Owner, number: int, seed: str) -> None:
        self._workload = workload
        self._journal = workload.journal
        self._s3 = workload.s3
        self._random = random.Random(seed)
        self._number = number
        self._name = f"own{number}"
        self._home = f"{self._name}-keys"
        self._shared_name = SHARED_NAMES[number] if 0 <= number < len(SHARED_NAMES) else None
        base = self._journal.base
        self._known = {place: value for place, value in base.items() if self._is_own(place)}
        self._doubted: set[Place] = set()
        """Places of which an answer is missing."""
        self._kept: set[str] = set()
        """Buckets that can't be deleted now, because it is not certain what is in them."""
        self._refusals = 0

    def _is_own(self, place: Place) -> bool:
        if place[0] == "access":
            return self._number < 0
        if place[1] == SHARED:
            return place[0] in {"upload", "part"} and place[2] == self._shared_name
        return str(place[1]).startswith(self._name + "-")

    # --- sending -------------------------------------------------------------------------------------

    def _send(
        self,
        operation: Operation | None,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        refusals: tuple[int, ...] = (),
    ) -> Response | None:
        """Send one request; return a success, else None, with the operation ended as it was answered."""
        try:
            answer = self._s3.request(method, path, query, headers, body)
        except ConnectionRefusedError:
            self._refusals += 1
            time.sleep(0.01)
            self._end(operation, "nothing", "refused")
            return None
        except OSError as error:
            self._end(operation, "unknown", type(error).__name__)
            return None
        self._refusals = 0
        is_error = answer.status >= 300 or (method == "POST" and answer.code)
        if not is_error:
            return answer
        if answer.status not in refusals:
            self._journal.surprise(f"{method} {path} {list(query)}: {answer.status} {answer.body[:300]!r}")
        self._end(operation, "unknown" if answer.status >= 500 else "nothing", str(answer.status))
        return None

    def _end(self, operation: Operation | None, outcome: str, note: str = "") -> None:
        if operation is None:
            return
        self._journal.end(operation, outcome, note)
        for place, values in operation.changes.items():
            if outcome == "unknown":
                self._kept.add(place[1])
                self._doubted.add(place)
                if place[0] == "part":
                    self._doubted.add(("upload", *place[1:4]))
            elif outcome == "done" and self._is_own(place):
                if len(values) == 1:
                    self._known[place] = values[0]
                    self._doubted.discard(place)
                else:
                    # It is there, but which version of several alike was copied is not known.
                    self._kept.add(place[1])
                    self._doubted.add(place)

    def _begin(
        self, name: str, changes: Mapping[Place, Any], creates: tuple[str, str] | None = None
    ) -> Operation:
        tuples = {place: (value,) for place, value in changes.items()}
        return self._journal.begin(name, self._name, tuples, creates)

    def _change(
        self,
        name: str,
        changes: Mapping[Place, Any],
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        refusals: tuple[int, ...] = (),
    ) -> Response | None:
        """Send what makes these changes, journaled."""
        operation = self._begin(name, changes)
        answer = self._send(operation, method, path, query, headers, body, refusals=refusals)
        if answer is not None:
            self._end(operation, "done")
        return answer

    # --- choosing ------------------------------------------------------------------------------------

    def _certain(self, kind: str) -> list[Place]:
        """Return the own places of that kind of which it is certain that they are there."""
        found = (
            place
            for place, value in self._known.items()
            if place[0] == kind and value is not None and place not in self._doubted
        )
        return sorted(found, key=str)

    def _pick(self, kind: str) -> Place | None:
        found = self._certain(kind)
        return self._random.choice(found) if found else None

    def _target(self) -> Place | None:
        """Return where to write: an own key, or a shared one."""
        if self._random.random() < 0.25:
            return ("object", SHARED, self._random.choice(SHARED_NAMES))
        buckets = [place[1] for place in self._certain("bucket")]
        if not buckets:
            return None
        is_home = self._home in buckets and self._random.random() < 0.7
        bucket = self._home if is_home else self._random.choice(buckets)
        return ("object", bucket, self._random.choice(NAMES))

    def _content(self, sizes: tuple[int, ...]) -> tuple[Content, bytes]:
        size = min(self._random.choice(sizes), self._workload.largest)
        return self._journal.content(self._random.getrandbits(60), size)

    def _metadata(self) -> dict[str, str]:
        mark = f"{self._random.getrandbits(40):x}"
        return {"content-type": f"text/x-{mark[:3]}", "x-amz-meta-mark": mark}


def version_of(
    content: Content, headers: Mapping[str, str], tags: tuple[tuple[str, str], ...] = ()
) -> Version:
    """Return the version that a request with this body and these headers makes."""
    return Version(content.md5, content.size, content.digest, tuple(sorted(headers.items())), tags)
