"""A lane: one client with a connection to each worker, that sends requests and writes down what came of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.rawclient import UNSIGNED, RawClient, Response, encode_query, read_response, render
from tests.torture.races.history import Operation, Value

Step = dict[str, Any]
Made = tuple[str, str, tuple[Value, ...], str, Value]
"""Subject, name, given, outcome, seen: an operation without its times."""
MAX_CONNECTS = 60


class Lane:
    """One client: a connection to each worker, and what it saw last of each key."""

    def __init__(self, s3: RawClient, name: str, workers: int) -> None:
        self.s3 = s3
        self.name = name
        self._workers = workers
        self._sockets: dict[str, Any] = {}
        self._last: dict[str, str] = {}
        self.operations: list[Operation] = []

    def meet(self, tries: int = MAX_CONNECTS) -> None:
        """Connect until there is a connection to each worker; the kernel deals them out."""
        for _ in range(tries):
            if len(self._sockets) >= self._workers:
                return
            try:
                connection = self.s3.connect()
                connection.sendall(self._signed("GET", "/", (), {}, b""))
                answer = read_response(connection, "GET")
            except OSError:
                time.sleep(0.05)
                continue
            worker = answer.headers["x-amz-request-id"][:8]
            if worker in self._sockets:
                connection.close()
            else:
                self._sockets[worker] = connection

    def play(self, steps: Iterable[Step], known: Mapping[str, Callable[[Lane, Step], None]]) -> None:
        """Do the steps, one after the other, as the functions of their names do."""
        self.operations = []
        self.meet(self._workers)  # few, for one that was killed may not be back yet
        for step in steps:
            if step.get("pause_s"):
                time.sleep(step["pause_s"])
            known[step["do"]](self, step)

    def ask(
        self,
        step: Step,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        made: Callable[[Response | None], Iterable[Made]],
    ) -> Response | None:
        """Send a request, and note the operations that `made` tells of its answer; None is no answer."""
        data = self._signed(method, path, query, headers or {}, body)
        worker, connection = self._connection(step.get("worker", 0))
        begin = time.monotonic_ns()
        answer: Response | None = None
        try:
            connection.sendall(data)
            answer = read_response(connection, method)
            if answer.is_closed:
                raise ConnectionError
        except OSError:
            connection.close()
            self._sockets.pop(worker, None)
        end = time.monotonic_ns() if answer is not None else None
        for subject, name, given, outcome, seen in made(answer):
            self.operations.append(Operation(self.name, subject, name, given, outcome, seen, begin, end))
        return answer

    def _connection(self, choice: int) -> tuple[str, Any]:
        if not self._sockets:
            self.meet()
        names = sorted(self._sockets)
        name = names[choice % len(names)]
        return name, self._sockets[name]

    def _signed(
        self, method: str, path: str, query: Iterable[tuple[str, str]], headers: dict[str, str], body: bytes
    ) -> bytes:
        raw_query = encode_query(query)
        lines = self.s3.sign(method, path, raw_query, {"host": self.s3.host, **headers}, b"", UNSIGNED)
        lines["content-length"] = str(len(body))
        return render(method, path + (f"?{raw_query}" if raw_query else ""), lines) + body

    def saw(self, path: str, etag: str | None) -> None:
        """Remember the ETag of a key, for conditions of later steps."""
        if etag is not None:
            self._last[path] = etag

    def condition(self, step: Step) -> str | None:
        """Return the ETag that a step's If-Match names: the last one that this lane saw."""
        wanted = step.get("if_match")
        if wanted == "last":
            return self._last.get(step["path"], "00000000000000000000000000000000")
        return wanted


def outcome_of(answer: Response | None) -> str:
    """Return "ok", an error's code, or "unknown", which a 503 is, too: the change may have happened."""
    if answer is None or answer.status == 503:
        return "unknown"
    if answer.status in (200, 204, 206):
        return "ok"
    return answer.code or {404: "NoSuchKey", 412: "PreconditionFailed"}.get(answer.status, str(answer.status))


def simple(subject: str, name: str, *given: Value) -> Callable[[Response | None], Iterable[Made]]:
    """Return what notes a change that is told by its outcome alone."""
    return lambda answer: [(subject, name, given, outcome_of(answer), None)]


def read(
    subject: str, name: str, see: Callable[[Response], Value], *given: Value
) -> Callable[[Response | None], Iterable[Made]]:
    """Return what notes a read; one that got no answer, or a 503, says nothing."""

    def made(answer: Response | None) -> Iterable[Made]:
        outcome = outcome_of(answer)
        if answer is not None and outcome != "unknown":
            yield subject, name, given, outcome, see(answer) if outcome == "ok" else None

    return made
