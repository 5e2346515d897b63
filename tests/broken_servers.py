"""Our own server, broken on purpose: one requirement at a time, so that each check is seen to fail.

A breakage is registered for the checks that must notice it. It is a change of the server in this process:
`hooked` puts a function around the straight line, `patched` replaces a name in a module, and the others are
made of these. tests/conformance/test_broken_servers.py runs every check against each of its breakages.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import pkgutil
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from anys3.client.connections import Dialer
from anys3.client.endpoint import parse
from anys3.client.signing import Credentials
from anys3.conformance.cleaning import clean
from anys3.conformance.ground import Ground, Identity, Limits
from anys3.conformance.journal import Journal
from anys3.conformance.outcomes import Result
from anys3.conformance.registry import Check
from anys3.conformance.running import prepare, run_check
from anys3.model import AccessKey, CorsRule
from anys3.operations import HANDLERS
from anys3.operations.call import Call
from anys3.protocol import claims_v4
from anys3.protocol.http import Answer, Content, Request
from anys3.protocol.payload import PLAIN
from anys3.server import listeners, platform, tls
from anys3.server.application import Application, Service
from anys3.server.bodies import BufferedBody
from anys3.server.buckets import make_wanted
from anys3.server.limits import Limits as ServerLimits
from anys3.server.options import parse_bucket
from anys3.server.serving import serve
from anys3.server.strictness import parse_profiles
from anys3.spec.catalogue import Operation
from anys3.spec.errors import S3Error
from anys3.store.memory import MemoryStore
from anys3.wire import binding

HOST = "s3.localhost"
MAIN = Credentials("AKIACHECKMAIN0000001", "main/secret+of/the/check+000000000000001")
SECOND = Credentials("AKIACHECKSECOND00002", "second/secret+of/the/check+0000000000002")
RULED, ORIGIN = "ruled", "https://app.example"
"""A bucket with CORS rules of the operator, and the origin that they allow to GET."""
START_S = 30
TIMEOUT_S = 3.0
"""For answers in tests: a broken server may stall, and is on this machine."""

Proceed = Callable[[Request], Awaitable[Answer]]
Handler = Callable[[Call, Any], Awaitable[Any]]
Hook = Callable[[Request, Proceed], Awaitable[Answer]]


class BreakableApplication(Application):
    """The application, with a hook around the straight line."""

    hook: Hook | None = None

    async def handle(self, request: Request) -> Answer:
        if self.hook is None:
            return await super().handle(request)
        return await self.hook(request, super().handle)


class BreakableServer:
    """The real server in a thread, over TLS as `https://s3.localhost:PORT`, with two key pairs.

    `breaking` changes it for the time of a `with` block.
    """

    def __init__(self, folder: Path, *, is_tls: bool = True, profiles: str = "") -> None:
        self.ca_file = ""
        self.context: ssl.SSLContext | None = None
        if is_tls:
            names = ["localhost", "127.0.0.1", HOST, f"*.{HOST}"]
            chain, key = tls.self_signed_files(folder, names, datetime.now(UTC))
            self.context = tls.server_context(chain, key)
            self.ca_file = str(chain)
        self.app: BreakableApplication | None = None
        self.sockets = listeners.bind("127.0.0.1", 0)
        self.port = self.sockets[0].getsockname()[1]
        self.url = f"{'https' if is_tls else 'http'}://{HOST}:{self.port}"
        self.service = Service(domains=(HOST.encode(),))
        if profiles:  # the strict mode of `anys3 serve`
            self.service = replace(
                self.service, profiles=parse_profiles(profiles), annex=frozenset(), allow_sigv2=False
            )
        self.ready = threading.Event()
        self.run_numbers = itertools.count()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> BreakableServer:
        self.thread.start()
        assert self.ready.wait(START_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(START_S)

    def _run(self) -> None:
        self.loop = platform.new_event_loop()
        self.loop.run_until_complete(self._serve())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    async def _serve(self) -> None:
        self.stop = asyncio.Event()
        store = MemoryStore()
        await store.put_key(
            AccessKey(MAIN.access_key_id, MAIN.secret_access_key, "main", is_root=True, created_ms=0)
        )
        await store.put_key(
            AccessKey(
                SECOND.access_key_id,
                SECOND.secret_access_key,
                "second",
                may_create_buckets=True,
                created_ms=0,
            )
        )
        await make_wanted(store, [parse_bucket(RULED)], 0)
        ruled = await store.bucket(RULED)
        assert ruled is not None
        rule = CorsRule((ORIGIN,), ("GET",), ("*",), ("ETag", "x-amz-request-id"))
        await store.update_bucket(replace(ruled, operator_cors=(rule,)))
        self.app = BreakableApplication(store, self.service)
        limits = ServerLimits(drain_s=1.0)
        await serve(self.app, self.sockets, self.context, self.stop, limits, on_ready=self.ready.set)

    @contextlib.contextmanager
    def ground(self, folder: Path) -> Iterator[Ground]:
        """A ground to run checks on, with the run's bucket; all is taken away at the end.

        Each has a run id of its own: what can't be deleted, after a breakage, is in nobody's way.
        """
        run_id = f"r{next(self.run_numbers):07}"
        dialer = Dialer(parse(self.url), TIMEOUT_S, self.ca_file or None)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{run_id}.jsonl"
        path.unlink(missing_ok=True)
        journal = Journal.begun(path, run_id, self.url, None, "")
        main = Identity("main", MAIN, "us-east-1")
        second = Identity("second", SECOND, "us-east-1")
        ground = Ground(dialer, journal, main, second=second, limits=Limits(seconds=120))
        try:
            prepare(ground)
            yield ground
        finally:
            clean(ground, journal.made, run_id)
            ground.pool.close()
            journal.close(is_clean=True)


def judged(server: BreakableServer, check: Check, folder: Path, breakage: Breakage | None = None) -> Result:
    """Return what a check comes to in a run of its own, on this server or on it broken.

    It is whole again before the run is cleaned up: what one test leaves would spoil the next.
    """
    with server.ground(folder) as ground, breakage.enter(server) if breakage else contextlib.nullcontext():
        return run_check(ground, check)


# --- breakages ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Breakage:
    """One way to break the server. `sentence` says what it now does wrongly."""

    sentence: str
    enter: Callable[[BreakableServer], AbstractContextManager[object]]


_BREAKAGES: dict[str, list[Breakage]] = {}


def breaks(check: str | tuple[str, ...], breakage: Breakage) -> None:
    """Register a breakage for a check, or for several that must all notice it."""
    for name in (check,) if isinstance(check, str) else check:
        _BREAKAGES.setdefault(name, []).append(breakage)


@cache
def breakages() -> dict[str, list[Breakage]]:
    """Return the breakages by the name of the check that must fail."""
    package = importlib.import_module("tests.breakages")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"tests.breakages.{module.name}")
    return _BREAKAGES


def hooked(sentence: str, hook: Hook) -> Breakage:
    """A breakage around the straight line: `hook(request, proceed)` answers in place of the server.

    `await proceed(request)` is the server's own answer.
    """

    @contextlib.contextmanager
    def enter(server: BreakableServer) -> Iterator[None]:
        assert server.app is not None
        server.app.hook = hook
        try:
            yield
        finally:
            server.app.hook = None

    return Breakage(sentence, enter)


def handled(
    sentence: str, operation: str, handler: Callable[[Call, Any, Handler], Awaitable[Any]]
) -> Breakage:
    """A breakage of one operation: `handler(call, want, proceed)` takes the place of its own handler.

    `await proceed(call, want)` is the operation as it should be; `call` has the store, the bucket's row, the
    key and `commit`, behind authentication and binding.
    """

    @contextlib.contextmanager
    def enter(_: BreakableServer) -> Iterator[None]:
        proceed = HANDLERS[operation]
        with mock.patch.dict(HANDLERS, {operation: lambda call, want: handler(call, want, proceed)}):
            yield

    return Breakage(sentence, enter)


def patched(sentence: str, target: str, replacement: Any) -> Breakage:
    """A breakage by another value for a name: `"anys3.protocol.etags.of_md5"`, say.

    Names that other modules have imported `from` there must be replaced in those modules.
    """
    where, _, name = target.rpartition(".")

    @contextlib.contextmanager
    def enter(_: BreakableServer) -> Iterator[None]:
        # By the module, because packages export functions of the same names as their modules.
        module = sys.modules.get(where)
        patch = mock.patch.object(module, name, replacement) if module else mock.patch(target, replacement)
        try:
            with patch:
                yield
        finally:
            # What a broken server has read of an Authorization header must not be known to a whole one.
            claims_v4._claims.clear()

    return Breakage(sentence, enter)


def ignoring(*names: str) -> Breakage:
    """Accepts these headers and query parameters (lower-case names) in the signature, and does nothing."""
    bind = binding.bind

    def bind_the_rest(operation: Operation, request: Request, query: Mapping[str, str]) -> Any:
        request.headers = {
            name: value for name, value in request.headers.items() if name.decode() not in names
        }
        return bind(operation, request, {name: text for name, text in query.items() if name not in names})

    return patched(f"ignores {', '.join(names)}", "anys3.wire.binding.bind", bind_the_rest)


def overlooking(operation: str, *fields: str) -> Breakage:
    """Does one operation as if these fields of its input had not been sent: `"if_match"`, say."""

    async def forgetful(call: Call, want: Any, proceed: Handler) -> Any:
        for name in fields:
            setattr(want, name, None)
        return await proceed(call, want)

    return handled(f"{operation} overlooks {', '.join(fields)}", operation, forgetful)


def with_body(call: Call, data: bytes) -> None:
    """Give a call another body than the one that was sent; the hashes that were sent no longer count."""
    call.request.body = BufferedBody(data)
    call.plan = PLAIN


def all_of(sentence: str, *breakages: Breakage) -> Breakage:
    """Several breakages at once."""

    @contextlib.contextmanager
    def enter(server: BreakableServer) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for breakage in breakages:
                stack.enter_context(breakage.enter(server))
            yield

    return Breakage(sentence, enter)


def answering(sentence: str, change: Callable[[Request, Answer], Answer | None]) -> Breakage:
    """A breakage that changes answers: `change(request, answer)` returns another, or None for the same."""

    async def hook(request: Request, proceed: Proceed) -> Answer:
        answer = await proceed(request)
        changed = change(request, answer)
        return answer if changed is None else changed

    return hooked(sentence, hook)


def asking(sentence: str, change: Callable[[Request], None]) -> Breakage:
    """A breakage that changes requests before the server sees them."""

    async def hook(request: Request, proceed: Proceed) -> Answer:
        change(request)
        return await proceed(request)

    return hooked(sentence, hook)


def when(request: Request, method: str = "", query: str = "", header: str = "") -> bool:
    """Whether a request has that method, a query that holds that text, and that header."""
    return (
        (not method or request.method == method.encode())
        and (not query or query.encode() in request.query)
        and (not header or header.encode() in request.headers)
    )


def without_header(name: str, *, method: str = "", query: str = "") -> Breakage:
    """Answers without a header."""

    def change(request: Request, answer: Answer) -> Answer | None:
        return drop_header(answer, name) if when(request, method, query) else None

    return answering(f"{method or 'every'} answer lacks {name}", change)


def accepting(*codes: str, method: str = "", query: str = "") -> Breakage:
    """Answers 200 where it should refuse with one of those codes; nothing else happens."""

    def change(request: Request, answer: Answer) -> Answer | None:
        is_one = code_of(answer) in codes or (request.method == b"HEAD" and answer.status >= 400)
        return Answer(200) if is_one and when(request, method, query) else None

    return answering(f"200 in place of {' or '.join(codes)}", change)


def saying(code: str, *, instead_of: str, method: str = "", query: str = "") -> Breakage:
    """Refuses with another code than it should; the status is that code's."""

    def change(request: Request, answer: Answer) -> Answer | None:
        if code_of(answer) != instead_of or not when(request, method, query):
            return None
        return error_answer(code)

    return answering(f"{code} in place of {instead_of}", change)


def code_of(answer: Answer) -> str:
    """Return the code of an error answer; "" if it is none."""
    if isinstance(answer.body, bytes) and b"<Error>" in answer.body:
        return answer.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()
    return ""


def error_answer(code: str) -> Answer:
    """Return an error answer without details."""
    body = f"<Error><Code>{code}</Code><Message>broken</Message><RequestId>0</RequestId></Error>".encode()
    return Answer(S3Error(code).status, b"Content-Type: application/xml\r\n", body)


def header_of(answer: Answer, name: str) -> str | None:
    """Return a header of an answer."""
    for line in answer.headers.split(b"\r\n"):
        found, _, value = line.partition(b":")
        if found.strip().lower() == name.lower().encode():
            return value.strip().decode("latin-1")
    return None


def drop_header(answer: Answer, name: str) -> Answer:
    """Return the answer without a header that the application gave it."""
    lines = [line for line in answer.headers.split(b"\r\n") if line]
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() != name.lower().encode()]
    return replace(answer, headers=b"".join(line + b"\r\n" for line in kept))


def set_header(answer: Answer, name: str, value: str) -> Answer:
    """Return the answer with a header of that value, in place of the one it had."""
    without = drop_header(answer, name)
    return replace(without, headers=without.headers + f"{name}: {value}\r\n".encode("latin-1"))


def body_of(answer: Answer) -> bytes:
    """Return the body of an answer as bytes."""
    if isinstance(answer.body, bytes):
        return answer.body
    content: Content = answer.body
    return b"".join(bytes(block) for block in content.blocks())


def replace_in_body(answer: Answer, old: bytes | str, new: bytes | str) -> Answer:
    """Return the answer with other bytes in its body, if it has these."""
    old = old.encode() if isinstance(old, str) else old
    new = new.encode() if isinstance(new, str) else new
    body = body_of(answer).replace(old, new)
    return replace(answer, body=body, length=None)
