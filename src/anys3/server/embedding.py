"""`anys3.Server`: the real server in this process, for scripts, notebooks and tests."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from anys3.model import CorsRule
from anys3.server import credentials, listeners, platform
from anys3.server.application import Application, Service
from anys3.server.audit import Audit
from anys3.server.buckets import make_wanted
from anys3.server.limits import Limits
from anys3.server.locations import refusing, require_open, taken
from anys3.server.options import Listen, WantedBucket, parse_bucket, parse_durability
from anys3.server.serving import serve
from anys3.server.strictness import parse_annex, parse_profiles
from anys3.store import opening
from anys3.store.opening import Location, check_blobs, check_index
from anys3.store.starting import Unsuitable

if TYPE_CHECKING:
    import socket

    from anys3.store.interface import Store

START_TIMEOUT_S = 30.0


class Server:
    """A server on a free port of this machine, from `start` to `stop`, or in a `with` block.

    It answers from a thread of its own, so that it works in notebooks and beside a running event loop;
    several may run at once. Without a `directory` it keeps everything in memory and forgets it at the end.

        >>> with Server(buckets=["photos"]) as server:
        ...     server.endpoint_url.startswith("http://127.0.0.1:")
        True
    """

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        index: str = "",
        blobs: str = "",
        buckets: Sequence[str] = (),
        region: str = "us-east-1",
        cors: Iterable[CorsRule] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        domains: Sequence[str] = (),
        profiles: str | frozenset[str] | None = None,
        annex: str | frozenset[str] | None = None,
        allow_sigv2: bool | None = None,
        durability: str = "durable",
    ) -> None:
        """Prepare a server; nothing runs before `start`.

        `buckets` are made at start, `NAME` or `NAME:public`; `cors` are the operator's rules for them. Port
        0 takes a free one. Without a key pair the store's own is used, or a new one made.

        `profiles` is strict mode, as `anys3 serve --profile` has it (`"tier-1"`): the rest is refused with
        501, and so are the annex and signatures of version 2, unless `annex` and `allow_sigv2` say otherwise.

        `durability` "relaxed" acknowledges writes to a directory before they are on the disk: see
        docs/durability.md.

        `index` and `blobs` are the URLs of `anys3 serve --index` and `--blobs`: then other servers may have the
        same store. Raises ValueError.
        """
        is_strict = profiles is not None
        if isinstance(profiles, str):
            profiles = parse_profiles(profiles)
        if annex is None:
            annex = frozenset() if is_strict else None
        elif isinstance(annex, str):
            annex = parse_annex(annex)
        self.directory = Path(directory) if directory is not None else None
        self._buckets: list[WantedBucket] = [parse_bucket(text) for text in buckets]
        self._cors = tuple(cors) if cors is not None else None
        self._address = (host, port)
        self._location = _location(self.directory, index, blobs, durability)
        self._configured = _key_pair(access_key_id, secret_access_key)
        self._service = Service(
            region=region,
            domains=tuple(domain.encode("ascii") for domain in domains),
            allow_sigv2=not is_strict if allow_sigv2 is None else allow_sigv2,
            profiles=profiles,
            annex=annex,
            explains_signatures=Listen(host, port).is_loopback,
        )
        self.region = region
        self.endpoint_url = ""
        self.access_key_id = ""
        self.secret_access_key = ""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def start(self) -> Self:
        """Start, and return when requests are answered. Raises OSError, Refusal."""
        if self._thread is not None:
            raise RuntimeError("this server runs already")
        self._ready.clear()
        self._failure = None
        sockets = listeners.bind(*self._address)
        held = contextlib.ExitStack()
        try:
            held.enter_context(taken(self._location, self.directory))
        except BaseException:
            for each in sockets:
                each.close()
            raise
        host, port = sockets[0].getsockname()[:2]
        self.endpoint_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._thread = threading.Thread(target=self._run, args=(sockets, held), name="anys3", daemon=True)
        self._thread.start()
        is_ready = self._ready.wait(START_TIMEOUT_S)
        if self._failure is not None:
            self._thread.join()
            self._thread = None
            raise self._failure
        if not is_ready:
            raise TimeoutError(f"the server did not start within {START_TIMEOUT_S:.0f} s")
        return self

    def stop(self) -> None:
        """Let requests in flight finish, then stop. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def env(self) -> Mapping[str, str]:
        """What AWS tools and SDKs read from the environment to use this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self, **options: Any) -> Any:
        """Return a boto3 S3 client with the root key; `options` go to `boto3.client`.

        It addresses buckets in the path and signs with version 4, unless `config` says otherwise. Needs
        the extra `anys3[pytest]`, or boto3.
        """
        import boto3  # noqa: PLC0415 (an extra)
        from botocore.config import Config  # noqa: PLC0415

        config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        if "config" in options:
            config = config.merge(options.pop("config"))
        settings = {
            "endpoint_url": self.endpoint_url,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "region_name": self.region,
            **options,
        }
        # A session of its own: boto3's default one is neither thread-safe nor ours to configure.
        return boto3.session.Session().client("s3", config=config, **settings)

    def _run(self, sockets: list[socket.socket], held: contextlib.ExitStack) -> None:
        loop = self._loop = platform.new_event_loop()
        try:
            loop.run_until_complete(self._serve(sockets))
        except BaseException as failure:  # noqa: BLE001 (told to whoever waits in `start`)
            self._failure = failure
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
            for each in sockets:
                each.close()
            held.close()
            self._ready.set()

    async def _serve(self, sockets: list[socket.socket]) -> None:
        self._stop = asyncio.Event()
        with refusing(self._location):
            store = await opening.open_worker(self._location, 0, is_first=True)
        try:
            audit = Audit(self.directory)
            await self._prepare(store, audit)
            app = Application(store, self._service, audit=audit)
            # A test's or a notebook's clients keep idle connections; nobody wants to wait for them.
            limits = Limits(drain_s=5.0)
            await serve(app, sockets, None, self._stop, limits, on_ready=self._ready.set)
        finally:
            await store.close()

    async def _prepare(self, store: Store, audit: Audit) -> None:
        now_ms = time.time_ns() // 1_000_000
        await require_open(store, self._location)
        root = await credentials.settle_root_key(store, self._configured, now_ms)
        if self.directory is not None:
            credentials.write_file(self.directory, root.pair, self.region)
        self.access_key_id, self.secret_access_key = root.pair.access_key_id, root.pair.secret_access_key
        made = await make_wanted(store, self._buckets, now_ms)
        audit.started(root.pair.access_key_id if root.is_new else None, made)
        if self._cors is not None:
            for each in self._buckets:
                bucket = await store.bucket(each.name)
                if bucket is not None:
                    await store.update_bucket(replace(bucket, operator_cors=self._cors))


def _location(directory: Path | None, index: str, blobs: str, durability: str) -> Location:
    location = Location(
        None if index else directory,
        index and check_index(index),
        blobs and check_blobs(blobs),
        parse_durability(durability),
    )
    try:
        location.check()
    except Unsuitable as error:
        raise ValueError(str(error)) from None
    return location


def _key_pair(access_key_id: str | None, secret_access_key: str | None) -> credentials.KeyPair | None:
    if access_key_id is None and secret_access_key is None:
        return None
    if access_key_id is None or secret_access_key is None:
        raise ValueError("access_key_id and secret_access_key belong together: give both or neither")
    return credentials.KeyPair(access_key_id, secret_access_key)
