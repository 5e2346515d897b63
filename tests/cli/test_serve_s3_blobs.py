"""`anys3 serve --blobs s3://...`: large contents at an S3 provider, the project's own server."""

from __future__ import annotations

import random
import time

import pytest

from anys3.server.refusals import Exit
from tests.cli.conftest import CommandLine
from tests.store.faulty import Fault, Proxy
from tests.store.s3_provider import BUCKET, Provider

MIB = 1 << 20
WAIT_S = 60.0
BYTES = random.Random(8).randbytes(9 * MIB + 1)


def test_large_contents_lie_there_and_survive_a_restart(anys3_cli: CommandLine, provider: Provider) -> None:
    options = ("data", "--blobs", provider.address("survive"), "--buckets", "photos")
    server = anys3_cli.serve(*options, **provider.environment)
    assert server.root.request("PUT", "/photos/large", body=BYTES).status == 200
    assert server.root.request("PUT", "/photos/small", body=b"small").status == 200
    assert [key for key in provider.stored() if key.startswith("survive/")] != []
    said = server.stop()
    assert "passed 9 quick checks of what blobs need" in said
    assert "UploadPart 200: " in said
    assert provider.s3.secret_access_key not in said
    server = anys3_cli.serve(*options, **provider.environment)
    assert server.root.request("GET", "/photos/large").body == BYTES
    assert server.root.request("GET", "/photos/large", headers={"range": "bytes=-5"}).body == BYTES[-5:]
    assert server.root.request("DELETE", "/photos/large").status == 204
    assert server.root.request("GET", "/photos/small").body == b"small"
    server.stop()


def test_an_outage_is_503_with_retry_after_and_ends_by_itself(
    anys3_cli: CommandLine, provider: Provider, proxy: Proxy
) -> None:
    url = provider.address("outage", f"http://127.0.0.1:{proxy.port}", timeout="1", check="no")
    server = anys3_cli.serve("data", "--blobs", url, "--buckets", "photos", **provider.environment)
    root = server.root
    assert root.request("PUT", "/photos/large", body=BYTES).status == 200
    proxy.go_down()
    for answer in (
        root.request("PUT", "/photos/other", body=BYTES),
        root.request("PUT", "/photos/large", body=BYTES),
        root.request("GET", "/photos/large"),
        root.request("GET", "/photos/large", headers={"range": "bytes=5-9"}),
    ):
        assert answer.verdict in {(503, "ServiceUnavailable"), (503, "SlowDown")}
        assert answer.headers["retry-after"].isdigit()
    assert root.request("HEAD", "/photos/large").status == 200
    assert root.request("GET", "/photos/other").verdict == (404, "NoSuchKey")
    proxy.come_back()
    deadline = time.monotonic() + WAIT_S
    while (answer := root.request("GET", "/photos/large")).status == 503:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (answer.status, answer.body) == (200, BYTES)
    assert root.request("PUT", "/photos/other", body=BYTES).status == 200
    server.stop()


@pytest.mark.parametrize(
    ("pattern", "fault", "said"),
    [
        (
            "^GET .*list-type",
            Fault(status=404, code="NoSuchBucket"),
            "404 NoSuchBucket: there is no such bucket",
        ),
        (
            "^GET .*max-keys",
            Fault(status=403, code="SignatureDoesNotMatch"),
            "the secret access key is not that of the access key id",
        ),
        (
            "^PUT .*PUT-01",
            Fault(status=403, code="AccessDenied"),
            "quick checks did not pass, first PUT-01/success",
        ),
    ],
)
def test_a_provider_that_can_not_keep_blobs_is_refused_at_the_start(
    anys3_cli: CommandLine, provider: Provider, proxy: Proxy, pattern: str, fault: Fault, said: str
) -> None:
    proxy.fail(pattern, fault, times=1000)
    url = provider.address("refused", f"http://127.0.0.1:{proxy.port}")
    done = anys3_cli.run("serve", "data", "--blobs", url, **provider.environment)
    assert (done.returncode, done.stdout) == (Exit.UNREACHABLE, "")
    assert said in done.stderr
    assert not (anys3_cli.directory / "data").exists()


def test_the_servers_own_keys_are_not_those_of_its_provider(
    anys3_cli: CommandLine, provider: Provider
) -> None:
    own = {
        "ANYS3_ACCESS_KEY_ID": "AKIATESTSOFANYS30000",
        "ANYS3_SECRET_ACCESS_KEY": "long-enough-for-a-secret-00",
    }
    url = provider.address("keys")
    server = anys3_cli.serve("data", "--blobs", url, "--buckets", "photos", **own, **provider.environment)
    assert provider.s3.access_key_id not in server.screen
    server.stop()
    done = anys3_cli.run("serve", "data", "--blobs", url, **own)
    assert done.returncode == Exit.USAGE
    assert "AWS_ACCESS_KEY_ID" in done.stderr
    assert BUCKET in done.stderr
