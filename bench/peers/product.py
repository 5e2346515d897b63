"""What a peer is: how it is had, how it is started, and how it is reached once it runs."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.peers.certificate import Certificate
from bench.peers.running import Running
from bench.peers.sources import Source

REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An access key id and its secret."""

    access_key_id: str
    secret_access_key: str


def random_key_pair() -> KeyPair:
    """Return a new pair, in the shape that every product takes: 20 capitals and digits, 40 letters and digits."""
    capitals = string.ascii_uppercase + "234567"
    name = "".join(secrets.choice(capitals) for _ in range(16))
    secret = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(40))
    return KeyPair(f"PEER{name}", secret)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a start has to work with: all that it writes goes under `directory`, all that it runs is `running`'s."""

    home: Path
    directory: Path
    running: Running
    certificate: Certificate | None
    first: KeyPair
    second: KeyPair

    @property
    def scheme(self) -> str:
        """Return the URL scheme that the peer is to speak."""
        return "https" if self.certificate else "http"


@dataclass(frozen=True, slots=True)
class Launched:
    """How the started product is reached, and what it says that it is."""

    port: int
    version: str
    first: KeyPair
    second: KeyPair | None
    region: str = REGION
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """An S3 server that can be started here. Texts are facts that were seen, with how they were seen.

    `syncs` says whether a write is on the disk before it is acknowledged, `identities` what a second key pair
    is to this product. `launch` returns when the product answers, and raises RuntimeError when it does not.
    """

    name: str
    title: str
    sources: tuple[Source, ...]
    syncs: str
    identities: str
    launch: Callable[[Ground], Launched]
    has_tls: bool = False

    def is_installed(self, home: Path) -> bool:
        """Return whether all that it needs is there, in the pinned versions."""
        return all(source.is_installed(home) for source in self.sources)
