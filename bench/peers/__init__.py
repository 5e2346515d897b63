"""S3 servers of others, started on loopback: for the implementors' table, and for benchmarks.

    with peers.start("seaweedfs") as peer:
        check(peer.endpoint, peer.access_key_id, peer.secret_access_key)

`python -m bench.peers` is the same for a shell.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.certificate import Certificate, write_certificate
from bench.peers.product import Ground, KeyPair, Launched, Product, random_key_pair
from bench.peers.products import PRODUCTS
from bench.peers.running import Running, clean_environment
from bench.peers.sources import cache

__all__ = ["PRODUCTS", "KeyPair", "Peer", "Product", "home_of", "install", "start"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A product that runs and answers. `domain` is set where it takes BUCKET.DOMAIN as host name as well."""

    name: str
    version: str
    endpoint: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    second: KeyPair | None = field(repr=False)
    region: str
    domain: str | None
    authority: Path | None
    credentials: Path = field(repr=False)
    find_pids: Callable[[], list[int]] = field(repr=False)

    @property
    def named_endpoint(self) -> str:
        """Return the endpoint by its host name, for clients that take names under .localhost for this machine."""
        return self.endpoint.replace("127.0.0.1", self.domain or "127.0.0.1")

    @property
    def pids(self) -> list[int]:
        """Return its living processes."""
        return self.find_pids()

    def environment(self) -> dict[str, str]:
        """Return this process's environment with all that an S3 client finds the peer by, and nothing else of S3.

        The credentials file has the profiles `default` and, where there is a second key pair, `second`.
        """
        found = {
            **clean_environment(),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return {**found, "AWS_CA_BUNDLE": str(self.authority)} if self.authority else found


def home_of(name: str) -> Path:
    """Return the folder that a product is installed in."""
    return cache() / name


def product_of(name: str) -> Product:
    """Return a product by its name; raises RuntimeError for another name."""
    if name not in PRODUCTS:
        raise RuntimeError(f"{name!r} is none of {', '.join(PRODUCTS)}")
    return PRODUCTS[name]


def install(name: str) -> None:
    """Install what is missing of a product, in its pinned versions."""
    product = product_of(name)
    for source in product.sources:
        if not source.is_installed(home_of(name)):
            home_of(name).mkdir(parents=True, exist_ok=True)
            source.install(home_of(name))


@contextmanager
def start(name: str, *, tls: bool = False) -> Iterator[Peer]:
    """Start a product in a fresh directory, on free ports of loopback; yields it when it answers.

    At the end, however it is reached, all its processes are ended and the directory is gone. Raises
    RuntimeError, with the end of its log, when it is not installed or does not answer within a minute or two.
    """
    product = product_of(name)
    if not product.is_installed(home_of(name)):
        raise RuntimeError(f"{name} is not installed here: python -m bench.peers install {name}")
    if tls and not product.has_tls:
        raise RuntimeError(f"{name} is not set up to speak TLS here")
    directory = Path(tempfile.mkdtemp(prefix=f"anys3-peer-{name}-"))
    running = Running(directory / "log")
    try:
        certificate = write_certificate(directory) if tls else None
        inside = directory / "peer"
        inside.mkdir()
        pairs = (random_key_pair(), random_key_pair())
        ground = Ground(home_of(name), inside, running, certificate, *pairs)
        yield _peer(name, product.launch(ground), directory, certificate, running)
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _peer(
    name: str, launched: Launched, directory: Path, certificate: Certificate | None, running: Running
) -> Peer:
    credentials = directory / "credentials"
    credentials.touch(mode=0o600)
    credentials.write_text(
        "".join(
            f"[{profile}]\naws_access_key_id = {pair.access_key_id}\n"
            f"aws_secret_access_key = {pair.secret_access_key}\nregion = {launched.region}\n\n"
            for profile, pair in (("default", launched.first), ("second", launched.second))
            if pair
        )
    )
    host = "127.0.0.1"
    if certificate and launched.domain and _is_loopback(launched.domain):
        host = launched.domain
    return Peer(
        name=name,
        version=launched.version,
        endpoint=f"{'https' if certificate else 'http'}://{host}:{launched.port}",
        access_key_id=launched.first.access_key_id,
        secret_access_key=launched.first.secret_access_key,
        second=launched.second,
        region=launched.region,
        domain=launched.domain,
        authority=certificate.authority if certificate else None,
        credentials=credentials,
        find_pids=running.pids,
    )


def _is_loopback(name: str) -> bool:
    """Return whether a name leads here; names under .localhost do on some machines and are unknown on others."""
    try:
        return socket.gethostbyname(name) == "127.0.0.1"
    except OSError:
        return False
