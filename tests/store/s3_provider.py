"""The project's own server as the S3 provider that blobs lie at; the fixtures are for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

import anys3
from anys3.store.s3 import S3Blobs, open_blobs
from tests.processes import ACCESS_KEY_ID, SECRET_ACCESS_KEY, ServerProcess
from tests.rawclient import RawClient
from tests.store.faulty import Proxy, faulty

BUCKET = "blobs"
DOMAIN = "s3.localhost"


@dataclass(frozen=True)
class Provider:
    """Where it is, and who may use it."""

    url: str
    s3: RawClient
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        found = urlsplit(self.url).port
        assert found is not None
        return found

    def address(self, prefix: str = "", url: str | None = None, **parameters: str) -> str:
        """Return the URL of blobs there, over `url` if another way leads there."""
        query = urlencode({"endpoint": url or self.url, **dict(self.parameters), **parameters})
        return f"s3://{BUCKET}/{prefix}?{query}"

    def open(self, prefix: str = "", url: str | None = None, **parameters: str) -> S3Blobs:
        """Return blobs there."""
        return open_blobs(self.address(prefix, url, **parameters), self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """Return what the AWS chain needs."""
        return {
            "AWS_ACCESS_KEY_ID": self.s3.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_access_key,
        }

    def stored(self) -> list[str]:
        """Return the keys of all objects, and of all unfinished uploads."""
        queries = [("list-type", "2")], [("uploads", "")]
        found = [self.s3.request("GET", f"/{BUCKET}", query) for query in queries]
        return sorted(
            key for answer in found for path in ("Contents/Key", "Upload/Key") for key in answer.texts(path)
        )


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """A server in this process that keeps everything in memory, over plain HTTP."""
    with anys3.Server(buckets=[BUCKET]) as server:
        url = server.endpoint_url
        yield Provider(url, RawClient(url, server.access_key_id, server.secret_access_key))


@pytest.fixture
def proxy(provider: Provider) -> Iterator[Proxy]:
    """What a test puts between itself and the provider, to break."""
    with faulty(provider.port) as proxy:
        yield proxy


@contextmanager
def over_tls(directory: Path) -> Iterator[Provider]:
    """A server process on a directory, over TLS, with the bucket in the name of the host."""
    options = ("--buckets", BUCKET, "--tls-self-signed", "--domain", DOMAIN, "--workers", "1")
    process = _TlsProcess(directory, *options)
    certificate = str(directory / "tls-self-signed.pem")
    process.s3 = RawClient(
        f"https://localhost:{process.port}", ACCESS_KEY_ID, SECRET_ACCESS_KEY, ca_file=certificate
    )
    parameters = (("ca_file", certificate), ("addressing", "virtual"))
    try:
        process.start()
        yield Provider(f"https://{DOMAIN}:{process.port}", process.s3, parameters)
    finally:
        process.close()


class _TlsProcess(ServerProcess):
    """A server that speaks TLS."""

    def _answers(self) -> bool:
        return Path(self.s3.ca_file or "").is_file() and super()._answers()
