"""Faults times operations: what is answered, what is seen, what is kept, and what is left behind."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from anys3.store.embedded import scrub
from tests.processes import ServerProcess
from tests.rawclient import Response
from tests.torture.faults.ground import OPERATIONS, Ground, Operation, State, error_code
from tests.torture.faults.injector import Plan, Rule

META = 8192
"""LMDB's two meta pages: the data file's first bytes."""
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What fails, which needs of an operation that breaks, and how it is answered then."""

    name: str
    rules: tuple[Rule, ...]
    breaks: frozenset[str]
    status: int = 503
    words: str = ""
    """What the log says of it."""
    must_hit: bool = True
    """False: whether the broken operations meet it depends on their way through the server."""


def _fault(
    name: str, breaks: str, error: int, *rules: tuple[str, str], status: int = 503, **more: int
) -> Fault:
    made = tuple(Rule(functions, path, error, **more) for functions, path in rules)
    return Fault(name, made, frozenset(breaks.split()), status, os.strerror(error) if error else "")


INDEX = ("write", "index/data.mdb")
_FULL = (("write allocate", "/incoming/"), ("link", "/"))


def _full(name: str, error: int) -> Fault:
    index = Rule(*INDEX, error, offset_below=-META)
    files = tuple(Rule(functions, path, error) for functions, path in _FULL)
    return Fault(name, (index, *files), frozenset({"index", "write", "link"}), 503, "no room left")


def _read_only() -> Fault:
    index = Rule(*INDEX, errno.EROFS, offset_below=-META)
    files = (Rule("link unlink", "/", errno.EROFS), Rule("open", "/incoming/", errno.EROFS, access=1))
    return Fault(
        "file system gone read-only",
        (index, *files),
        frozenset({"index", "write", "link"}),
        503,
        "cannot write",
    )


FAULTS = (
    _full("disk full (ENOSPC)", errno.ENOSPC),
    _full("quota met (EDQUOT)", errno.EDQUOT),
    Fault("no room to reserve", (Rule("allocate", "/incoming/", errno.ENOSPC),), frozenset({"write"}), 503, "no room left"),
    _fault("EIO, write of the index", "index", errno.EIO, INDEX, offset_below=-META),
    Fault(
        "write of the index cut short",
        (Rule(*INDEX, 0, offset_below=-META),),
        frozenset({"index"}),
        503,
        "Input/output error",
    ),
    _fault("EIO, sync of the index", "index", errno.EIO, ("sync", "index/data.mdb")),
    _fault("EIO, write of a blob", "write", errno.EIO, ("write", "/incoming/")),
    Fault("write of a blob cut short", (Rule("write", "/incoming/", 0),), frozenset()),
    _fault("EIO, sync of a blob", "write", errno.EIO, ("sync", "/incoming/")),
    _fault("EIO, end of a blob cut", "write", errno.EIO, ("truncate", "/incoming/")),
    _fault("EIO, sync of a directory", "write link", errno.EIO, ("sync", "/blobs/")),
    _fault("EIO, link", "write link", errno.EIO, ("link", "/")),
    _fault("EIO, read", "read", errno.EIO, ("read", "/blobs/"), status=500),
    Fault("read cut short", (Rule("read", "/blobs/", 0),), frozenset()),
    Fault("no right to read (EACCES)", (Rule("open", "/blobs/", errno.EACCES, access=2),), frozenset({"open", "write", "link"})),
    Fault(
        "no right to write (EACCES)",
        (Rule("open", "/incoming/", errno.EACCES, access=1), Rule("link", "/", errno.EACCES)),
        frozenset({"write", "link"}),
        503,
        "Permission denied",
    ),
    _read_only(),
    Fault("out of descriptors (EMFILE)", (Rule("open dup", "", errno.EMFILE),), frozenset({"open", "write", "link", "lent"}), 503),
    _fault("no descriptor to lend (EMFILE)", "lent", errno.EMFILE, ("dup", "")),
    _fault("system out of descriptors (ENFILE)", "open write link", errno.ENFILE, ("open", "/")),
    Fault("EIO, removal", (Rule("unlink", "/", errno.EIO),), frozenset()),
)  # fmt: skip
META_PAGE = Fault(
    "EIO, write and sync of a meta page",
    (Rule(*INDEX, errno.EIO, offset_below=META, times=1),),
    frozenset({"index"}),
    503,
    "Input/output error",
)


@dataclass(slots=True)
class Tally:
    """What a run has done and found."""

    cells: int = 0
    injected: int = 0
    restarts: int = 0
    violations: list[str] = field(default_factory=list)
    kept: dict[str, tuple[Ground, State]] = field(default_factory=dict)
    """The last state of each bucket, to be found again after a restart."""

    def find(self, cell: str, what: str) -> None:
        """Note a violation."""
        self.violations.append(f"{cell}: {what}")


class Matrix:
    """One server, one plan, and the cells that are tried on them."""

    def __init__(
        self, server: ServerProcess, plan: Plan, tally: Tally, prefix: str, patience_s: float = PATIENCE_S
    ) -> None:
        self._patience_s = patience_s
        self.server = server
        self.plan = plan
        self.tally = tally
        self._prefix = prefix
        self._log = server.directory.with_suffix(".log")
        self._logged = 0
        self.baseline = descriptors(server)

    def run(self, faults: Iterable[Fault], operations: Iterable[Operation] = OPERATIONS) -> None:
        """Try each fault with each operation, then see what is left."""
        chosen = tuple(operations)
        for fault in faults:
            for operation in chosen:
                self.cell(fault, operation)
        self.see_what_is_left()

    def cell(self, fault: Fault, operation: Operation) -> None:
        """Try one operation under one fault, and once more without it."""
        tally = self.tally
        tally.cells += 1
        name = f"{fault.name} x {operation.name}"
        ground = Ground(self.server.s3, f"{self._prefix}{tally.cells}")
        ground.fill()
        old = ground.state()
        new = dict(old)
        ground.tried = 1
        operation.change(new, ground)
        self._settle()
        begun = self._log.stat().st_size
        self.plan.set(*fault.rules)
        answer = _try(operation, ground)
        broken = fault.breaks & operation.needs
        self._see_reads(name, ground)
        hits = self.plan.clear()
        tally.injected += hits
        if broken:
            self._judge_refusal(name, fault, answer, hits)
            self._judge_log(name, fault, answer, begun)
        elif answer is None or answer.status >= 300 or error_code(answer):
            tally.find(name, f"should have succeeded, but {_told(answer)}")
        self._recover(name, ground, operation, old, new, is_broken=bool(broken))

    def _judge_refusal(self, name: str, fault: Fault, answer: Response | None, hits: int) -> None:
        if not hits:
            self.tally.find(name, "the fault was never met: an error of the harness")
        if answer is None:
            return  # broken behind a begun answer
        code = error_code(answer)
        expected = {503: ("ServiceUnavailable", "SlowDown"), 500: ("InternalError",)}[fault.status]
        is_inside = answer.status == 200 and code in (
            *expected,
            "InternalError",
        )  # of Complete, DeleteObjects
        if not is_inside and (answer.status != fault.status or code not in expected):
            self.tally.find(name, f"should be {fault.status}, but {_told(answer)}")

    def _judge_log(self, name: str, fault: Fault, answer: Response | None, begun: int) -> None:
        with self._log.open("rb") as log:
            log.seek(begun)
            text = log.read().decode()
        if "Traceback" in text:
            self.tally.find(name, f"a traceback in the log: {text[-600:]}")
        if answer is not None:
            lines = [line for line in text.splitlines() if answer.headers["x-amz-request-id"] in line]
            if len(lines) != 1 or fault.words not in lines[0]:
                self.tally.find(name, f"should be logged once with {fault.words!r}: {lines}")

    def _see_reads(self, name: str, ground: Ground) -> None:
        """What needs no file is answered whatever happens to files."""
        for answer in (
            ground.s3.request("HEAD", ground.path("parts")),
            ground.s3.request("GET", f"/{ground.bucket}", [("list-type", "2")]),
        ):
            if answer.status not in (200, 404):
                self.tally.find(name, f"a reader met {answer.verdict}")

    def _recover(
        self, name: str, ground: Ground, operation: Operation, old: State, new: State, *, is_broken: bool
    ) -> None:
        """See the state, do it again without the fault, and see it again."""
        try:
            now = ground.state()
            allowed = [old] if is_broken else [new]
            if now not in allowed:
                self.tally.find(name, f"half of it can be seen: {_difference(now, allowed[0])}")
            if is_broken:
                ground.tried = 2
                new = dict(now)
                operation.change(new, ground)
                again = _try(operation, ground)
                if again is None or again.status >= 300 or error_code(again):
                    self.tally.find(name, f"without the fault: {_told(again)}")
                now = ground.state()
                if now != new:
                    self.tally.find(name, f"after the fault: {_difference(now, new)}")
            self.tally.kept[ground.bucket] = (ground, now)
        except (AssertionError, OSError) as error:
            self.tally.find(name, f"after the fault: {error!r}")

    def _settle(self) -> None:
        """Wait until the janitor has nothing to do: a fault is for the operation, not for what was before."""
        self._wait(lambda: not left_behind(self.server.directory), "incoming files stay")
        before = None
        while before != (before := self.plan.calls):
            time.sleep(0.005)

    def _wait(self, is_so: object, what: str) -> bool:
        limit = time.monotonic() + self._patience_s
        while not is_so():  # type: ignore[operator]
            if time.monotonic() > limit:
                self.tally.find("afterwards", what)
                return False
            time.sleep(0.01)
        return True

    def see_what_is_left(self) -> None:
        """Nothing is open that was not, no file is left; all is there after a restart; a scrub finds nothing."""
        self._wait(lambda: not left_behind(self.server.directory), "incoming files stay")
        self._wait(
            lambda: (
                descriptors(self.server) <= self.baseline + 2
            ),  # threads come with a reader's place or two
            f"more descriptors are open than the {self.baseline} of the beginning",
        )
        self.server.stop()
        report = scrub(self.server.directory)
        if not report.is_clean or report.orphans:
            self.tally.find("scrub", f"{report.damaged} {report.missing} {report.orphans}")
        self.server.start()
        for bucket, (ground, state) in self.tally.kept.items():
            if not bucket.startswith(self._prefix):
                continue
            found = ground.state()
            if found != state:
                self.tally.find(bucket, f"after a restart: {_difference(found, state)}")


def _try(operation: Operation, ground: Ground) -> Response | None:
    try:
        return operation.send(ground)
    except (OSError, AssertionError):
        return None


def _told(answer: Response | None) -> str:
    return "the connection broke" if answer is None else f"{answer.status} {error_code(answer)}"


def _difference(found: State, expected: State) -> str:
    names = sorted(set(found) | set(expected))
    return "; ".join(
        f"{name}: {found.get(name)} for {expected.get(name)}"
        for name in names
        if found.get(name) != expected.get(name)
    )


def left_behind(directory: Path) -> list[str]:
    """Return what lies in `incoming`."""
    return [str(file) for file in (directory / "incoming").glob("*/*")]


def processes(server: ServerProcess) -> list[int]:
    """Return the server's processes: the one that was started, and its children."""
    tasks = Path(f"/proc/{server.pid}/task")
    children = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    return [server.pid, *children]


def descriptors(server: ServerProcess) -> int:
    """Return how many descriptors the server's processes have open."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in processes(server))
