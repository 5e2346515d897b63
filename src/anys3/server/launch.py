"""From settings to a running server: certificate, port, directory, keys and buckets, then the workers."""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anys3.server import audit, credentials, listeners, platform, tls, workers
from anys3.server.access_log import AccessLog
from anys3.server.application import Application, Service
from anys3.server.banner import Started
from anys3.server.buckets import make_wanted
from anys3.server.config import Settings
from anys3.server.locations import refusing, require_open, taken
from anys3.server.monitoring import Monitor
from anys3.server.options import Listen
from anys3.server.refusals import Exit, Refusal
from anys3.server.serving import run_worker
from anys3.server.tallies import Tallies
from anys3.store import opening

if TYPE_CHECKING:
    import socket

    from anys3.server import connections
    from anys3.store.interface import Store

log = logging.getLogger("anys3.server")

Show = Callable[[Started], None]
App = tuple["connections.Application", Callable[[], Awaitable[None]]]


def run(settings: Settings, show: Show) -> int:
    """Serve until SIGTERM or SIGINT; `show` is called once, when requests are answered. Raises Refusal."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(taken(settings.location, settings.directory))
        certificate = Certificate.of(settings, stack)
        sockets = bind(settings)
        for each in sockets:
            stack.enter_context(each)
        metrics = bind_metrics(settings)
        for each in metrics:
            stack.enter_context(each)
        with refusing(settings.location):
            _Launch(settings, sockets, metrics, certificate, show).serve()
    return Exit.OK


class Certificate:
    """The certificate that a server shows, and the context made of it."""

    def __init__(self, chain: Path, key: Path, *, is_self_signed: bool) -> None:
        self.chain = chain
        self.key = key
        self.is_self_signed = is_self_signed
        try:
            self.context = tls.server_context(chain, key)
        except (OSError, ssl.SSLError) as error:
            raise Refusal(
                Exit.TLS,
                f"the certificate {chain} and its key {key} can't be used: {error.strerror or error}; expected"
                " PEM files that belong together, the key without a password",
            ) from None
        platform.keep_large_buffers_apart()

    @classmethod
    def of(cls, settings: Settings, stack: contextlib.ExitStack) -> Certificate | None:
        """Return the certificate that the settings ask for, None for plain HTTP. Raises Refusal."""
        if settings.tls_cert is not None and settings.tls_key is not None:
            return cls(settings.tls_cert, settings.tls_key, is_self_signed=False)
        if not settings.tls_self_signed:
            return None
        directory = settings.directory or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        wildcards = [name for domain in settings.domains for name in (domain, f"*.{domain}")]
        names = list(
            dict.fromkeys(["localhost", "127.0.0.1", "::1", *_named(settings.listen.host), *wildcards])
        )
        try:
            chain, key = tls.self_signed_files(directory, names, datetime.now(UTC))
        except tls.CryptographyMissing as missing:
            raise Refusal(Exit.TLS, f"--tls-self-signed: {missing}") from None
        except OSError as error:
            raise Refusal(
                Exit.TLS, f"no certificate can be written to {directory}: {error.strerror}"
            ) from None
        return cls(chain, key, is_self_signed=True)

    def reload(self) -> None:
        """Read the files again (SIGHUP); a certificate that can't be used leaves the old one in place."""
        try:
            tls.reload(self.context, self.chain, self.key)
        except (OSError, ssl.SSLError) as error:
            log.error("%s was not read again, the old certificate stays: %s", self.chain, error)  # noqa: TRY400
        else:
            log.info("%s was read again", self.chain)


def _named(host: str) -> list[str]:
    """Return the name that a certificate needs for a listening address: none for every-address ones."""
    return [] if host in {"", "0.0.0.0", "::"} else [host]  # noqa: S104 (compared, not bound)


def bind(settings: Settings) -> list[socket.socket]:
    """Return the listening sockets. Raises Refusal (exit code 4)."""
    listen = settings.listen
    is_shared = settings.workers > 1
    try:
        if is_shared and listen.port:
            # Shared ports let another server of ours in without a word: ask for the port alone first.
            for probe in listeners.bind(listen.host, listen.port):
                probe.listen()
                probe.close()
        return listeners.bind(listen.host, listen.port, is_shared=is_shared)
    except OSError as error:
        raise _unlistenable(listen, error, "--listen") from None


def bind_metrics(settings: Settings) -> list[socket.socket]:
    """Return the listening sockets of metrics, which workers share. Raises Refusal (exit code 4)."""
    listen = settings.metrics
    if listen is None:
        return []
    sockets = []
    try:
        sockets = listeners.bind(listen.host, listen.port)
        for each in sockets:
            each.listen()
    except OSError as error:
        for each in sockets:
            each.close()
        raise _unlistenable(listen, error, "--metrics") from None
    return sockets


def _unlistenable(listen: Listen, error: OSError, flag: str) -> Refusal:
    if error.errno == errno.EADDRINUSE:
        reason = f"the port is in use: stop what uses it, or give another by {flag} HOST:PORT (port 0: any)"
    elif error.errno == errno.EACCES:
        reason = f"ports below 1024 need a right that this user doesn't have: give another by {flag}"
    else:
        reason = f"{error.strerror or error}: expected an address of this machine"
    return Refusal(Exit.ADDRESS, f"can't listen on {listen}: {reason}")


class _Launch:
    """One start, once certificate, port and directory are ours."""

    def __init__(
        self,
        settings: Settings,
        sockets: list[socket.socket],
        metrics: list[socket.socket],
        certificate: Certificate | None,
        show: Show,
    ) -> None:
        self._settings = settings
        self._sockets = sockets
        self._metrics = metrics
        self._tallies = Tallies(settings.workers) if metrics else None
        self._monitor: Monitor | None = None
        self._certificate = certificate
        self._show = show
        self._audit = audit.Audit(settings.directory)
        self._root: credentials.RootKey | None = None
        self._broken = ""

    def serve(self) -> None:
        """Serve, in this process or in several workers."""
        if self._settings.workers > 1:
            self._prefork()
            return

        async def make_app() -> App:
            store = await self._open(0, is_first=True)
            try:
                self._root = await self._furnish(store)
            except BaseException:
                await store.close()
                raise
            return self._app(store)

        self._work(0, make_app, self._sockets, self._tell, None)

    def _prefork(self) -> None:
        location = self._settings.location

        async def furnish() -> credentials.RootKey:
            # In any mode durably: power loss must not leave clients with a root key that is gone.
            store = await opening.open_worker(replace(location, is_relaxed=False), 0, is_first=True)
            try:
                return await self._furnish(store)
            finally:
                await store.close()

        def furnish_now() -> credentials.RootKey:
            with refusing(location):
                return platform.run(furnish())

        # The libraries of engines on other machines may have threads, and none may be there when workers are forked.
        self._root = workers.run_apart(furnish_now) if location.is_remote else furnish_now()

        def work(slot: int, is_ready: Callable[[], None], lifeline: int) -> None:
            async def make_app() -> App:
                return self._app(await self._open(slot))

            # Each worker its own socket: the kernel spreads connections over them.
            sockets = listeners.bind_again(self._sockets)
            for each in self._sockets:
                each.close()
            with refusing(location):
                self._work(slot, make_app, sockets, is_ready, lifeline)

        try:
            workers.supervise(self._settings.workers, work, log=log, on_ready=self._tell)
        except workers.WorkerFailed as failed:
            raise Refusal(Exit.BUG, f"{failed}; the log above says why") from None

    async def _open(self, slot: int, *, is_first: bool = False) -> Store:
        """Open the store as a worker that stops in good order if it can't use the index any more."""

        def tell(reason: str) -> None:
            self._broken = reason
            signal.raise_signal(signal.SIGTERM)

        return await opening.open_worker(self._settings.location, slot, is_first=is_first, on_failure=tell)

    def _work(
        self,
        slot: int,
        make_app: Callable[[], Awaitable[App]],
        sockets: list[socket.socket],
        on_ready: Callable[[], None],
        lifeline: int | None,
    ) -> None:
        certificate = self._certificate
        if self._tallies is not None:
            self._monitor = Monitor(self._tallies, slot, self._metrics)
        run_worker(
            make_app,
            sockets,
            certificate.context if certificate else None,
            reload=certificate.reload if certificate else None,
            on_ready=on_ready,
            lifeline=lifeline,
            monitor=self._monitor,
        )
        if self._broken:
            raise Refusal(
                Exit.DISK,
                f"the index could not be written ({self._broken}), and has to be opened anew: what was answered with"
                " success is kept; look at the disk and the system's log, then start again",
            )

    async def _furnish(self, store: Store) -> credentials.RootKey:
        """Put into the store what must be there before the first request: root key and buckets."""
        settings, now_ms = self._settings, time.time_ns() // 1_000_000
        await require_open(store, settings.location)
        root = await credentials.settle_root_key(store, settings.root_key, now_ms)
        credentials.check_root_key(
            root.pair, settings.root_key_source or "the root key", settings.listen.is_loopback
        )
        if settings.directory is not None:
            credentials.write_file(settings.directory, root.pair, settings.region)
        made = await make_wanted(store, settings.buckets, now_ms)
        self._audit.started(root.pair.access_key_id if root.is_new else None, made)
        return root

    def _app(self, store: Store) -> App:
        settings = self._settings
        service = Service(
            region=settings.region,
            domains=tuple(domain.encode("ascii") for domain in settings.domains),
            allow_sigv2=settings.allow_sigv2,
            profiles=settings.profiles,
            annex=settings.annex,
            explains_signatures=settings.explains_signatures,
        )
        app = Application(store, service, audit=self._audit)
        if self._monitor is not None:
            self._monitor.store = store
        return (AccessLog(app) if settings.access_log else app), store.close

    def _tell(self) -> None:
        assert self._root is not None
        host, port = self._sockets[0].getsockname()[:2]
        certificate = self._certificate
        trust = str(certificate.chain.resolve()) if certificate and certificate.is_self_signed else ""
        metrics_port = self._metrics[0].getsockname()[1] if self._metrics else 0
        self._show(Started(self._settings, host, port, self._root, metrics_port, trust))
