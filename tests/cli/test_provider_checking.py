"""The quick check of an S3 provider before blobs are kept there."""

from __future__ import annotations

from pathlib import Path

import pytest

import anys3
from anys3.cli import provider_checking
from anys3.server.refusals import Refusal
from anys3.store.s3 import provider_of
from tests.rawclient import RawClient
from tests.store.faulty import Fault, Proxy
from tests.store.s3_provider import BUCKET, Provider


def check(provider: Provider, home: Path, url: str | None = None) -> None:
    found = provider_of(provider.address("site", url), provider.environment)
    assert found is not None
    provider_checking.check(found, {"XDG_STATE_HOME": str(home)})


def test_what_does_all_that_blobs_need_passes_and_nothing_stays(
    provider: Provider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(provider, tmp_path)
    assert capsys.readouterr().err.startswith(
        f"blobs: s3://{BUCKET}/site/ at {provider.url} passed 9 quick checks of what blobs need ("
    )
    assert provider.stored() == []


def test_without_a_home_it_is_checked_too(provider: Provider, tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.touch()
    check(provider, home)
    assert provider.stored() == []


@pytest.mark.parametrize(
    ("pattern", "fault", "said"),
    [
        ("^GET /blobs/site", Fault(flip_answer_at=0), "GET-01/"),
        ("^POST .*delete", Fault(status=501, code="NotImplemented"), "DELS-01/deletes-and-reports, ABSENT"),
        ("^POST .*delete", Fault(status=403, code="AccessDenied"), "DELS-01/deletes-and-reports, FAIL"),
        (
            "^GET .*list-type=2",
            Fault(status=400, code="InvalidRequest"),
            "DELS-01/deletes-and-reports, FAIL: the list",
        ),
    ],
)
def test_what_does_not_do_what_blobs_need_is_refused(
    provider: Provider, proxy: Proxy, tmp_path: Path, pattern: str, fault: Fault, said: str
) -> None:
    proxy.fail(pattern, fault, times=100)
    with pytest.raises(Refusal, match=f"can't be kept.* first {said}.*check=no in the URL leaves this out"):
        check(provider, tmp_path, f"http://127.0.0.1:{proxy.port}")


def test_what_blobs_can_do_without_is_said_and_no_refusal(
    provider: Provider, proxy: Proxy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.fail("^POST .*uploadId", Fault(status=200, code="InternalError"), times=100)
    check(provider, tmp_path, f"http://127.0.0.1:{proxy.port}")
    assert "; not met, and not needed: CPL-01/" in capsys.readouterr().err


def test_where_nobody_listens_is_refused(provider: Provider, proxy: Proxy, tmp_path: Path) -> None:
    proxy.go_down()
    with pytest.raises(Refusal, match="cannot connect to"):
        check(provider, tmp_path, f"http://127.0.0.1:{proxy.port}")


def test_a_provider_without_multipart_uploads_passes_and_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with anys3.Server(buckets=[BUCKET], profiles="tier-1") as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        check(Provider(server.endpoint_url, s3), tmp_path)
    assert capsys.readouterr().err.endswith(
        "; it has no multipart uploads: large contents wait in temporary files\n"
    )


def test_the_url_can_ask_for_no_check(provider: Provider) -> None:
    assert provider_of(provider.address(check="no"), provider.environment) is None


def test_without_credentials_there_is_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="AWS_ACCESS_KEY_ID"):
        provider_of("s3://blobs?endpoint=http://localhost:1", {"HOME": str(tmp_path)})
