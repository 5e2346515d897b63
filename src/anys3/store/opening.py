"""From where a store lies to an open one. The only module that knows which engines there are.

Engines are loaded by those who use them: a store in memory needs no LMDB, one in a directory no driver of
PostgreSQL.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from anys3.store.blobs import NoBlobs
from anys3.store.errors import StoreError, StoreFull, Unavailable
from anys3.store.starting import AlreadyServed, EngineMissing, Unreachable, Unsuitable
from anys3.store.urls import lasting, redact, redact_in, scheme_of

if TYPE_CHECKING:
    from anys3.store.blobs import Blobs
    from anys3.store.findings import Finding
    from anys3.store.interface import Store
    from anys3.store.provider import Provider

Result = TypeVar("Result")

_INDEXES = {"postgresql": "anys3.store.postgresql", "postgres": "anys3.store.postgresql"}
"""By the scheme of a URL: the package with `open_store`."""
_BLOBS = {"rados": "anys3.store.rados", "s3": "anys3.store.s3", "file": "anys3.store.files"}
"""By the scheme of a URL: the package with `open_blobs`."""
_EXTRAS = {"postgresql": "postgresql", "postgres": "postgresql", "rados": "rados"}
"""What to install as `anys3[...]`."""
INDEX_FORM = "postgresql://USER@HOST/DATABASE"
BLOBS_FORM = "rados://POOL?conf=FILE, s3://BUCKET/PREFIX?endpoint=URL or file:DIR"
ORPHANS_END_S = 1.5
"""How long a start waits for the workers of a server that was killed, before it says that another one runs."""


def check_index(url: str) -> str:
    """Return an index's URL if there is an engine for it. Raises ValueError."""
    if scheme_of(url) not in _INDEXES or "://" not in url:
        raise ValueError(f"expected {INDEX_FORM}, got {redact(url)!r}")
    return url


def is_index(text: str) -> bool:
    """Say whether a text is the URL of an index, and not a directory."""
    return scheme_of(text) in _INDEXES


def blobs_of(directory: Path) -> str:
    """Return where a store in a directory keeps large contents, as far as it knows; "": there, or there is none.

    Raises ValueError.
    """
    from anys3.store.embedded import remote  # noqa: PLC0415

    try:
        known = remote.remembered(directory)
    except Unsuitable as error:
        raise ValueError(str(error)) from None
    return known.url if known else ""


def check_blobs(url: str) -> str:
    """Return the URL of a place for blobs if there is an engine for it. Raises ValueError."""
    if scheme_of(url) not in _BLOBS:
        raise ValueError(f"expected {BLOBS_FORM}, got {redact(url)!r}")
    return url


@dataclass(frozen=True, slots=True, repr=False)
class Location:
    """Where a store lies: in a directory, or where the URL of an index says; in memory if neither is given."""

    directory: Path | None = None
    index: str = ""
    blobs: str = ""
    """The URL of what keeps large contents; "": the directory."""
    is_relaxed: bool = False

    def check(self) -> None:
        """Refuse what can't be meant. Raises Unsuitable."""
        if self.index and not self.blobs:
            raise Unsuitable(
                f"--index {redact(self.index)} needs --blobs, too, a place that all servers reach: {BLOBS_FORM}"
            )
        if self.blobs and self.is_in_memory:
            raise Unsuitable(
                "--memory keeps everything in memory: leave --blobs out, or give a DIR or --index"
            )
        if self.is_relaxed and self.is_remote:
            raise Unsuitable(
                "--durability relaxed is for stores that lie in a directory as a whole: leave it out"
            )

    @property
    def is_in_memory(self) -> bool:
        """Whether everything is forgotten at the end."""
        return self.directory is None and not self.index

    @property
    def is_remote(self) -> bool:
        """Whether engines on other machines are part of it. None of them may be open when a process forks."""
        return bool(self.index or self.blobs)

    @property
    def shown_blobs(self) -> str:
        """The URL of the blobs, without a password."""
        return redact(self.blobs)

    def __str__(self) -> str:
        return redact(self.index) or (str(self.directory) if self.directory else "memory")

    def __repr__(self) -> str:
        return f"Location({self.directory!r}, {redact(self.index)!r}, {redact(self.blobs)!r})"

    def describe(self) -> Iterator[tuple[str, str]]:
        """Yield what the first screen says of it: names and values, never a password."""
        if self.is_in_memory:
            yield "store", "in memory: everything is forgotten when the server stops"
            return
        if self.index:
            yield "index", redact(self.index)
        elif self.directory is not None:
            yield "store", str(self.directory.resolve())
        if self.blobs:
            yield "blobs", lasting(self.blobs)
        if self.is_relaxed:
            yield (
                "durability",
                "relaxed: a write is NOT on the disk when it is acknowledged; power loss takes the last seconds",
            )
        elif self.index:
            yield "durability", "a write is committed by these engines before it is acknowledged"
        else:
            kept = "on the disk and, if large, kept there" if self.blobs else "on the disk"
            yield "durability", f"a write is {kept} before it is acknowledged"

    def holds_store(self) -> bool:
        """Say whether there is a store already. Of what lies on other machines only its opening can tell."""
        return self.directory is None or (self.directory / "format").is_file()


def take(location: Location) -> contextlib.ExitStack:
    """Take the right to serve a directory, made a store if it is new, and mend what a crash has left there.

    Of the rest nobody has the right alone. To be closed; forked workers share it. Raises what `starting` and
    `interface` name.
    """
    location.check()
    with contextlib.ExitStack() as taken:
        if location.directory is not None and not location.index:
            from anys3.store import embedded  # noqa: PLC0415

            # First, so that a directory of somebody else's is left without so much as a lock file.
            embedded.prepare(location.directory, location.blobs)
            taken.callback(_lock(location.directory).close)
            embedded.recover(location.directory)
        return taken.pop_all()


def _lock(directory: Path) -> Any:
    """Lock the directory. Workers outlive a supervisor that was killed by a moment: they get it to end."""
    from anys3.store import embedded  # noqa: PLC0415

    deadline = time.monotonic() + ORPHANS_END_S
    while True:
        try:
            return embedded.lock_directory(directory)
        except AlreadyServed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


async def open_worker(
    location: Location, slot: int, *, is_first: bool = False, on_failure: Callable[[str], None] | None = None
) -> Store:
    """Open the store as the server's worker of that number, after any fork.

    `is_first`: it is the first of a start, which is to say what can't be reached. `on_failure(reason)` is called,
    by any thread, if this process can't use the index any more. Raises what `starting` and `interface` name.
    """
    location.check()
    if location.is_in_memory:
        from anys3.store.memory import MemoryStore  # noqa: PLC0415

        return MemoryStore()
    async with _blobs(location) as blobs:
        if location.index:
            return await _remote_index(location, blobs, is_first=is_first)
        if blobs is not None:
            await _look_at(blobs, location, is_first=is_first, is_new=_is_unmarked(location))
        return _embedded(location, blobs, slot, on_failure)


async def open_beside(location: Location) -> Store:
    """Open the store for a command beside servers: for keys, buckets and what the index has of them."""
    if location.index:
        return await _remote_index(location, None)
    from anys3.store import embedded  # noqa: PLC0415

    assert location.directory is not None
    return embedded.open_store(location.directory, is_server=False)


async def open_whole(location: Location, *, is_new: bool = False) -> Store:
    """Open all of a store beside servers, to read it or to fill it; a new one is made if there is none.

    Raises what `starting` and `interface` name.
    """
    location.check()
    async with _blobs(location) as blobs:
        if location.index:
            return await _remote_index(location, blobs, is_server=False, is_first=True)
        from anys3.store import embedded  # noqa: PLC0415

        assert location.directory is not None
        if is_new:
            embedded.prepare(location.directory, location.blobs)
        if blobs is not None:
            await _look_at(blobs, location, is_first=True, is_new=_is_unmarked(location))
        return embedded.open_store(location.directory, is_server=False, blobs=blobs)


def _embedded(
    location: Location, blobs: Blobs | None, slot: int, on_failure: Callable[[str], None] | None
) -> Store:
    from anys3.store import embedded  # noqa: PLC0415

    if location.is_relaxed and not embedded.can_be_relaxed():
        raise Unsuitable("--durability relaxed needs Linux: leave it out, or use --memory")
    assert location.directory is not None
    store = embedded.open_store(location.directory, slot=slot, is_relaxed=location.is_relaxed, blobs=blobs)
    if on_failure is not None:
        store.tell_failure(on_failure)
    return store


async def _remote_index(
    location: Location, blobs: Blobs | None, *, is_server: bool = True, is_first: bool = False
) -> Store:
    """Open an index that is not in a directory. Without blobs it is for a command."""
    with _loading(location.index, location):
        package = import_module(_INDEXES[scheme_of(location.index)])
        try:
            store: Store = await package.open_store(
                location.index, blobs or NoBlobs(), is_server=is_server and blobs is not None
            )
        except Unavailable as error:
            raise Unreachable(
                f"the index {redact(location.index)} can't be used: {_plain(error, location)}; expected PostgreSQL"
                " 15 or newer there that lets this user in and can be written to: look there, then start again"
            ) from None
    if blobs is not None:
        try:
            is_new = is_first and not await store.buckets(limit=1)
            await _look_at(blobs, location, is_first=is_first, is_new=is_new)
        except BaseException:
            await store.close()
            raise
    return store


@contextlib.asynccontextmanager
async def _blobs(location: Location) -> AsyncIterator[Blobs | None]:
    """Open the engine for blobs, if there is one; what fails then closes it."""
    if not location.blobs:
        yield None
        return
    blobs = await _in_thread(open_blobs, location.blobs)
    try:
        yield blobs
    except BaseException:
        blobs.close()
        raise


def _is_unmarked(location: Location) -> bool:
    """Say whether the place of the blobs of a store in a directory may still be one where nothing is."""
    from anys3.store import embedded  # noqa: PLC0415

    assert location.directory is not None
    known = embedded.remembered(location.directory)
    return known is not None and not known.is_marked


async def _look_at(blobs: Blobs, location: Location, *, is_first: bool, is_new: bool) -> None:
    """See that blobs can be kept there; at a start only, so that workers can be replaced while it is away.

    Where a store has something already, a directory without blobs is no new one: it is not mounted.
    """
    if scheme_of(location.blobs) == "file":
        from anys3.store.files import FileBlobs  # noqa: PLC0415

        assert isinstance(blobs, FileBlobs)
        blobs.may_make = is_new and is_first
    if is_first:
        await _in_thread(_check_now, blobs, location)


async def _in_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    import asyncio  # noqa: PLC0415 (`anys3 --help` needs none)

    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)


def open_blobs(url: str) -> Blobs:
    """Open the engine for blobs at a URL. Blocks. Raises Unsuitable, EngineMissing, Unreachable."""
    with _loading(url, Location(blobs=url)):
        package = import_module(_BLOBS[scheme_of(url)])
        try:
            blobs: Blobs = package.open_blobs(url)
        except Unavailable as error:
            raise _unreachable(url, error) from None
    return blobs


def provider_of(url: str) -> Provider | None:
    """Return the S3 provider that keeps the blobs, which is to be checked for conformance; None where none is.

    Blobs can be written, read and removed there. Blocks. Raises Unsuitable, Unreachable.
    """
    with _loading(url, Location(blobs=url)):
        find = getattr(import_module(_BLOBS[scheme_of(url)]), "provider_of", lambda _: None)
        provider: Provider | None = find(url)
    if provider is not None:
        with contextlib.closing(open_blobs(url)) as blobs:
            _check_now(blobs, Location(blobs=url))
    return provider


def _check_now(blobs: Blobs, location: Location) -> None:
    """See that blobs can be kept, and that the place is the one of the store in the directory, if it lies in one."""
    try:
        blobs.check()
        if location.directory is not None and not location.index:
            from anys3.store import embedded  # noqa: PLC0415

            embedded.confirm(location.directory, blobs)
    except (Unreachable, Unsuitable, StoreFull):
        raise
    except Unavailable as error:
        raise _unreachable(location.blobs, error) from None
    except StoreError as error:
        raise Unsuitable(_plain(error, location)) from None


def _unreachable(url: str, error: Unavailable) -> Unreachable:
    return Unreachable(
        f"the blobs at {redact(url)} can't be used: {redact_in(str(error), url)}; expected a place where blobs can be"
        " written, read and removed: look there, then start again"
    )


def examine(location: Location, clock: Callable[[], float]) -> Iterator[Finding]:
    """Yield what there is to say of the engines on other machines that a store lies on, as it is found. Blocks.

    `clock` gives the seconds of this machine. Raises Unsuitable, EngineMissing.
    """
    for part, url, packages in (("index", location.index, _INDEXES), ("blobs", location.blobs, _BLOBS)):
        if url:
            with _loading(url, location):
                package = import_module(f"{packages[scheme_of(url)]}.examining")
                for found in package.examine(url, clock):
                    id_ = found.id if found.id == part else f"{part}-{found.id}"
                    yield replace(found, id=id_, found=redact_in(found.found, url))


@contextlib.contextmanager
def _loading(url: str, location: Location) -> Iterator[None]:
    """Say what an engine needs, or has against its URL, in words for a person."""
    scheme = scheme_of(url)
    try:
        yield
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        advice = f": pip install 'anys3[{extra}]'" if extra else ""
        raise EngineMissing(
            f"{scheme}: needs what is not installed here ({error.name or error}){advice}"
        ) from None
    except ValueError as error:
        text = _plain(error, location)
        raise Unsuitable(text if redact(url) in text else f"{redact(url)}: {text}") from None


def _plain(error: Exception, location: Location) -> str:
    """Return an error's text without anybody's password."""
    return redact_in(str(error), location.index, location.blobs)
