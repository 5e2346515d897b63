"""What is measured: anys3 in its variants, peers, the floor, and any endpoint by its URL."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from bench import accounting, engines, peers
from bench.peers.certificate import write_certificate
from bench.peers.product import KeyPair, random_key_pair
from bench.peers.running import Running, answers, free_ports
from bench.signing import Signer

SERVER_CORE, CLIENT_CORE = frozenset({0}), frozenset({1})
NEEDS = {"s3rver": {"NODE_OPTIONS": "--openssl-legacy-provider"}}
"""Without it, s3rver answers 500 to a ListObjectsV2 that is truncated: it encrypts tokens with DES."""
OPTIONS = """\
anys3                 this checkout, its defaults, one worker: every write is on the disk before its answer
anys3:relaxed         the same with --durability relaxed: for comparison with peers that do not sync
anys3:workers=N       with N workers; from two on neither server nor client is pinned to a core
anys3:memory          with --memory: nothing is ever written to the disk
anys3:index=postgresql,blobs=rados
                      the index in PostgreSQL (replicas=N synchronous ones beside it), large contents in Ceph RADOS
                      (rados-ec: erasure-coded 2+1; file: a directory; s3: another anys3); each of the two also alone
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A server that runs. `find_pids` is None where its processes can't be seen, `directory` where it writes."""

    name: str
    title: str
    version: str
    syncs: str
    endpoint: str
    signer: Signer = field(repr=False)
    server_cores: frozenset[int] | None
    client_cores: frozenset[int] | None
    find_pids: Callable[[], list[int]] | None = field(repr=False)
    authority: Path | None = None
    find_engine_pids: Callable[[], list[int]] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """Return the IPv4 address of the endpoint."""
        return socket.gethostbyname(urlsplit(self.endpoint).hostname or "")

    @property
    def port(self) -> int:
        """Return the port of the endpoint."""
        parts = urlsplit(self.endpoint)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def tls(self) -> tuple[str, str] | None:
        """Return the authorities to trust and the name to verify, as the load client takes them."""
        parts = urlsplit(self.endpoint)
        return (str(self.authority or "-"), parts.hostname or "") if parts.scheme == "https" else None

    @property
    def pids(self) -> list[int]:
        """Return its living processes, children included; empty where they can't be seen."""
        return self.find_pids() if self.find_pids else []

    @property
    def engine_pids(self) -> list[int]:
        """Return the living processes of the engines that its store lies on; empty for a store of its own."""
        return self.find_engine_pids() if self.find_engine_pids else []

    @property
    def is_floor(self) -> bool:
        """Return whether this is the trivial handler, which stores nothing."""
        return self.name == "floor"


def cores_for(workers: int, *, is_pinned: bool = True) -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """Return the cores of server and client: one each where there are two and the server has one worker."""
    has_both = {0, 1} <= os.sched_getaffinity(0)
    return (SERVER_CORE, CLIENT_CORE) if has_both and workers == 1 and is_pinned else (None, None)


@contextmanager
def pinned(cores: frozenset[int] | None) -> Iterator[None]:
    """Keep what is started in the block on some cores from its first instruction on: Go counts them at start."""
    before = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _helped(name: str) -> Iterator[None]:
    """Set what a peer needs in its environment to run here at all, while it is started."""
    more = NEEDS.get(name, {})
    before = {variable: os.environ.get(variable) for variable in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for variable, value in before.items():
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value


@contextmanager
def start(
    name: str, *, tls: bool = False, pids: tuple[int, ...] = (), is_pinned: bool = True
) -> Iterator[Target]:
    """Start a target in a fresh directory on a free loopback port; ends it with the block.

    A URL is not started: credentials come from the AWS chain, and `pids` are its processes where it is local.
    Raises RuntimeError, with what to do, when it can't be had.
    """
    if "://" in name:
        yield _remote(name, pids)
    elif name == "floor":
        cores = cores_for(1, is_pinned=is_pinned)
        with _launched(name, "1", "stores nothing", _floor_command, cores=cores) as target:
            yield target
    elif name.partition(":")[0] == "anys3":
        with _anys3(name, tls=tls, is_pinned=is_pinned) as target:
            yield target
    else:
        cores = cores_for(1, is_pinned=is_pinned)
        with ExitStack() as stack:
            with pinned(cores[0]), _helped(name):
                peer = stack.enter_context(peers.start(name, tls=tls))
            parts = urlsplit(peer.endpoint)
            endpoint = f"{parts.scheme}://127.0.0.1:{parts.port}"
            signer = Signer(
                f"127.0.0.1:{parts.port}", peer.access_key_id, peer.secret_access_key, peer.region
            )
            product = peers.PRODUCTS[name]
            yield Target(
                name=name,
                title=product.title,
                version=peer.version,
                syncs=product.syncs,
                endpoint=endpoint,
                signer=signer,
                server_cores=cores[0],
                client_cores=cores[1],
                find_pids=lambda: peer.pids,
                authority=peer.authority,
            )


def _floor_command(port: str, directory: Path) -> list[str | Path]:  # noqa: ARG001 (the shape of a command)
    return [sys.executable, "-m", "bench.floor", port]


@dataclass(frozen=True, slots=True)
class Variant:
    """How anys3 is to be started."""

    workers: int = 1
    is_relaxed: bool = False
    is_memory: bool = False
    index: str = ""
    blobs: str = ""
    replicas: int = 0

    @property
    def is_remote(self) -> bool:
        """Return whether engines are started for it."""
        return bool(self.index or self.blobs)

    @property
    def flags(self) -> list[str]:
        """Return the flags of `anys3 serve`."""
        flags = ["--workers", str(self.workers)]
        flags += ["--durability", "relaxed"] if self.is_relaxed else []
        return [*flags, "--memory"] if self.is_memory else flags

    @property
    def syncs(self) -> str:
        """Return whether a write is on the disk before its answer."""
        if self.is_memory:
            return "no: keeps all in memory"
        if self.is_relaxed:
            return "no: --durability relaxed"
        if self.index:
            copies = f", and at one of {self.replicas} replicas" if self.replicas else ""
            return f"yes: PostgreSQL syncs its log before the answer{copies}; blobs: {self.blobs}"
        if self.blobs:
            return f"yes: the index is on the disk before the answer; blobs: {self.blobs}"
        return "yes: data and index are on the disk before the answer"


def variant(name: str) -> Variant:
    """Return the variant that a target's name says; raises RuntimeError for words that are none.

    >>> variant("anys3:relaxed,workers=2")
    Variant(workers=2, is_relaxed=True, is_memory=False, index='', blobs='', replicas=0)
    """
    values: dict[str, object] = {}
    for word in filter(None, name.partition(":")[2].replace(":", ",").split(",")):
        option, _, value = word.partition("=")
        if option in ("workers", "replicas") and value.isdigit() and int(value):
            values[option] = int(value)
        elif (option == "index" and value in engines.INDEXES) or (
            option == "blobs" and value in engines.BLOBS
        ):
            values[option] = value
        elif word in ("relaxed", "memory"):
            values[f"is_{word}"] = True
        else:
            known = f"relaxed, memory, workers=N, replicas=N, index={'|'.join(engines.INDEXES)}, blobs={'|'.join(engines.BLOBS)}"
            raise RuntimeError(f"{name!r} is no target: {word!r} is none of {known}")
    if values.get("index") and not values.get("blobs"):
        raise RuntimeError(f"{name!r} is no target: index= needs blobs=")
    return Variant(**values)  # type: ignore[arg-type]


@contextmanager
def _anys3(name: str, *, tls: bool, is_pinned: bool) -> Iterator[Target]:
    asked = variant(name)
    directory = Path(tempfile.mkdtemp(prefix="anys3-bench-engines-")) if asked.is_remote else None
    with ExitStack() as stack:
        running = engines.Engines([])
        if directory:
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            running = stack.enter_context(
                engines.started(asked.index, asked.blobs, asked.replicas, directory)
            )

        def command(port: str, directory: Path) -> list[str | Path]:
            words: list[str | Path] = [sys.executable, "-m", "anys3", "serve"]
            words += [] if asked.is_memory or asked.index else [directory / "store"]
            words += ["--listen", f"127.0.0.1:{port}", *asked.flags, *running.options]
            if tls:
                words += ["--tls-cert", directory / "cert.pem", "--tls-key", directory / "key.pem"]
            return words

        # Engines need room on both cores, and a client that polls would leave them none.
        cores = cores_for(asked.workers, is_pinned=is_pinned and not asked.is_remote)
        with _launched(
            name, _own_version(), asked.syncs, command, cores=cores, tls=tls, environment=running.environment
        ) as target:
            yield replace(target, find_engine_pids=running.find_pids) if asked.is_remote else target


def _own_version() -> str:
    running = Running(Path(os.devnull))
    version = running.call([sys.executable, "-m", "anys3", "--version"]).split()[-1]
    try:
        commit = running.call(["git", "-C", Path(__file__).parent, "describe", "--always", "--dirty"]).strip()
    except (OSError, RuntimeError):
        return version
    return f"{version} ({commit})"


@contextmanager
def _launched(
    name: str,
    version: str,
    syncs: str,
    command: Callable[[str, Path], list[str | Path]],
    *,
    cores: tuple[frozenset[int] | None, frozenset[int] | None],
    tls: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Target]:
    """Start a program of this checkout, with a fresh key pair and, for TLS, a certificate of one day."""
    directory = Path(tempfile.mkdtemp(prefix=f"anys3-bench-{name.partition(':')[0]}-"))
    running, pair = Running(directory / "log"), random_key_pair()
    certificate = write_certificate(directory) if tls else None
    try:
        (port,) = free_ports(1)
        words = command(str(port), directory)
        if certificate:
            places = {directory / "cert.pem": certificate.chain, directory / "key.pem": certificate.key}
            words = [places.get(word, word) if isinstance(word, Path) else word for word in words]
        with pinned(cores[0]):
            running.spawn(
                words,
                environment={**environment_of(pair), **(environment or {})},
                cwd=Path(__file__).parents[1],
            )
        running.wait_until(f"{name} answers", lambda: answers(port, "/", certificate))
        yield Target(
            name=name,
            title=name,
            version=version,
            syncs=syncs,
            endpoint=f"http{'s' if tls else ''}://127.0.0.1:{port}",
            signer=Signer(f"127.0.0.1:{port}", pair.access_key_id, pair.secret_access_key),
            server_cores=cores[0],
            client_cores=cores[1],
            find_pids=running.pids,
            authority=certificate.authority if certificate else None,
        )
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


def environment_of(pair: KeyPair) -> dict[str, str]:
    """Return what tells `anys3 serve` its root key."""
    return {
        "ANYS3_ACCESS_KEY_ID": pair.access_key_id,
        "ANYS3_SECRET_ACCESS_KEY": pair.secret_access_key,
    }


def _remote(url: str, pids: tuple[int, ...]) -> Target:
    """Return a server that runs already; raises RuntimeError when no credentials are found for it."""
    try:
        from botocore.session import Session
    except ImportError:
        raise RuntimeError("a URL takes credentials from the AWS chain: pip install botocore") from None
    session = Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise RuntimeError(
            f"no credentials for {url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    frozen = credentials.get_frozen_credentials()
    region = session.get_config_variable("region") or "us-east-1"
    parts = urlsplit(url)
    signer = Signer(parts.netloc, frozen.access_key, frozen.secret_key, region, frozen.token)
    authority = os.environ.get("AWS_CA_BUNDLE")
    return Target(
        name=url,
        title=url,
        version="not known",
        syncs="not known",
        endpoint=url.rstrip("/"),
        signer=signer,
        server_cores=None,
        client_cores=None,
        find_pids=(lambda: [each for pid in pids for each in accounting.tree(pid)]) if pids else None,
        authority=Path(authority) if authority else None,
    )
