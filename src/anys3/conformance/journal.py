"""What a run makes, written down before it is made, so that it can be taken away whatever happens.

One file a run: JSON lines, the first says whose run it is, each other one thing that may now exist. The file
of a run that ended cleanly is removed.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: two runs can't be told apart there, and `check clean` asks for the run id
    fcntl = None  # type: ignore[assignment]


@dataclass(slots=True)
class Made:
    """What may exist on the endpoint because of a run."""

    buckets: dict[str, None] = field(default_factory=dict)
    objects: dict[tuple[str, str], None] = field(default_factory=dict)
    uploads: dict[tuple[str, str], set[str]] = field(default_factory=dict)


class NotOurs(Exception):
    """A name without the run id was about to be created or deleted: a mistake in a check, never sent."""


class Journal:
    """The journal of one run. For any number of threads."""

    def __init__(self, path: Path, run_id: str, made: Made) -> None:
        """Go on writing a journal that is there; see `begun` and `reopened`."""
        self.path = path
        self.run_id = run_id
        self.made = made
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")
        _hold(self._file.fileno())

    @classmethod
    def begun(cls, path: Path, run_id: str, endpoint: str, bucket: str | None, prefix: str) -> Journal:
        """Return a new journal. Raises OSError: it can't be written, so nothing may be created."""
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        journal = cls(path, run_id, Made())
        journal._write(run=run_id, endpoint=endpoint, bucket=bucket, prefix=prefix)
        return journal

    @classmethod
    def reopened(cls, left: Left) -> Journal:
        """Return the journal of an earlier run, to clean up after it."""
        return cls(left.path, left.run_id, left.made)

    @staticmethod
    def is_of_run(run_id: str, bucket: str, key: str = "") -> bool:
        """Whether the name of a bucket or object shows that it is of that run."""
        return run_id in (f"{bucket}/{key}" if key else bucket)

    def will_create_bucket(self, name: str) -> None:
        """Write down a bucket that is about to be created. Raises NotOurs."""
        self._own(name)
        with self._lock:
            if name not in self.made.buckets:
                self._write(bucket=name)
                self.made.buckets[name] = None

    def will_create_object(self, bucket: str, key: str) -> None:
        """Write down an object that is about to be created. Raises NotOurs."""
        self._own(bucket, key)
        with self._lock:
            if (bucket, key) not in self.made.objects:
                self._write(bucket=bucket, key=key)
                self.made.objects[bucket, key] = None

    def will_create_upload(self, bucket: str, key: str) -> None:
        """Write down a key of which an upload is about to be created; later all its uploads are aborted."""
        self._own(bucket, key)
        with self._lock:
            if (bucket, key) not in self.made.uploads:
                self._write(bucket=bucket, upload=key)
                self.made.uploads[bucket, key] = set()

    def created_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Write down the id of an upload."""
        with self._lock:
            self._write(bucket=bucket, upload=key, id=upload_id)
            self.made.uploads.setdefault((bucket, key), set()).add(upload_id)

    def ended_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Note that an upload was completed or aborted. A later clean-up may find out by itself."""
        with self._lock:
            self.made.uploads.get((bucket, key), set()).discard(upload_id)

    def refused_bucket(self, name: str) -> None:
        """Note that a bucket was refused and is not there, nor anything in it. A later clean-up may ask."""
        with self._lock:
            self.made.buckets.pop(name, None)
            for bucket, key in [one for one in self.made.objects if one[0] == name]:
                del self.made.objects[bucket, key]
            for bucket, key in [one for one in self.made.uploads if one[0] == name]:
                del self.made.uploads[bucket, key]

    def close(self, *, is_clean: bool) -> None:
        """Close; the file of a run that left nothing behind is removed."""
        self._file.close()
        if is_clean:
            self.path.unlink(missing_ok=True)

    def _own(self, bucket: str, key: str = "") -> None:
        if not self.is_of_run(self.run_id, bucket, key):
            raise NotOurs(f"{bucket}/{key} does not hold the run id {self.run_id}")

    def _write(self, **row: Any) -> None:
        self._file.write(json.dumps(row, ensure_ascii=True) + "\n")
        self._file.flush()


@dataclass(frozen=True, slots=True)
class Left:
    """A journal that an earlier run left behind."""

    path: Path
    run_id: str
    endpoint: str
    bucket: str | None
    prefix: str
    made: Made


def left_behind(folder: Path) -> Iterator[Left]:
    """Yield the journals of runs that are over and were not cleaned up; those of live runs are left out."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            if not _hold(file.fileno()):
                continue
            found = _read(path, file.read())
        if found is not None:
            yield found


def _read(path: Path, text: str) -> Left | None:
    rows = []
    for line in text.splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # the last line of a run that was killed while it wrote
            break
    if not rows or "run" not in rows[0]:
        return None
    made = Made()
    for row in rows[1:]:
        if "upload" in row:
            ids = made.uploads.setdefault((row["bucket"], row["upload"]), set())
            ids.update({row["id"]} if "id" in row else set())
        elif "key" in row:
            made.objects[row["bucket"], row["key"]] = None
        else:
            made.buckets[row["bucket"]] = None
    head = rows[0]
    return Left(path, head["run"], head["endpoint"], head["bucket"], head["prefix"], made)


def _hold(descriptor: int) -> bool:
    """Lock the file for as long as it is open; whether nobody else holds it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
