"""Blobs at an S3 provider: the suite, over plain HTTP and over TLS with the bucket in the host's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from anys3.store.blobs import Blobs
from tests.store.blobs_suite import ContentsSuite
from tests.store.s3_provider import BUCKET, Provider, over_tls

PREFIX = "site/one"


class S3Suite(ContentsSuite):
    """With the fixture `provider`."""

    @pytest.fixture
    def open_blobs(self, provider: Provider) -> Callable[[], Blobs]:
        return lambda: provider.open(PREFIX)

    @pytest.fixture
    def replace(self, provider: Provider) -> Callable[[str, bytes], None]:
        def put(name: str, data: bytes) -> None:
            assert provider.s3.request("PUT", f"/{BUCKET}/{PREFIX}/{name}", body=data).status == 200

        return put


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with over_tls(tmp_path_factory.mktemp("provider") / "data") as provider:
        yield provider


class TestOverHttp(S3Suite):
    """A server in memory, path-style."""


class TestOverTls(S3Suite):
    """A server on a directory, TLS, virtual hosts."""

    @pytest.fixture
    def provider(self, secure: Provider) -> Provider:
        return secure
