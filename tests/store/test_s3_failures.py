"""Blobs at an S3 provider that fails: nothing acknowledged is lost, nothing that is there is called missing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import anys3
from anys3.store.blobs import BlobMissing, Blobs
from anys3.store.contents import Stored, Writer, blob_size, read_blob
from anys3.store.errors import Corrupt, Unavailable
from anys3.store.s3 import S3Blobs, credentials_of, open_blobs, parse
from anys3.store.s3.circuit import Circuit
from anys3.store.s3.requests import Surroundings
from anys3.store.s3.writing import size_of_part
from tests.rawclient import RawClient
from tests.store.faulty import Fault, Proxy
from tests.store.s3_provider import BUCKET, Provider

MIB = 1 << 20
BYTES = random.Random(7).randbytes(19 * MIB + 5)
WAIT_S = 60.0
OVERLOAD = Fault(status=503)
LOST = Fault(is_answer_lost=True)


@pytest.fixture
def blobs(provider: Provider, proxy: Proxy) -> Iterator[S3Blobs]:
    blobs = through(provider, proxy)
    yield blobs
    blobs.close()


@pytest.fixture
def hasty(provider: Provider, proxy: Proxy) -> Iterator[S3Blobs]:
    """Blobs that give a request up after a second."""
    blobs = through(provider, proxy, timeout="1")
    yield blobs
    blobs.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"{abs(hash(request.node.name)):x}-{time.time_ns():x}"


def through(provider: Provider, proxy: Proxy, **parameters: str) -> S3Blobs:
    return provider.open(url=f"http://127.0.0.1:{proxy.port}", **parameters)


def write(blobs: Blobs, name: str, data: bytes) -> None:
    sink = blobs.sink(name, len(data))
    sink.write(data)
    sink.finish()


def read(blobs: Blobs, name: str, start: int, length: int) -> bytes:
    view = memoryview(bytearray(length))
    reader = blobs.reader(name, start, length)
    try:
        for at in range(0, length, 100_003):
            reader.read_into(view[at : at + 100_003])
    finally:
        reader.close()
    return bytes(view)


def until(holds: Callable[[], object]) -> None:
    """Try for a while until it does not raise Unavailable."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            holds()
            return
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


# --- lost connections


@pytest.mark.parametrize("at", [0, 1, 5 * MIB])
def test_a_body_that_is_cut_is_read_on_from_there(blobs: S3Blobs, proxy: Proxy, name: str, at: int) -> None:
    write(blobs, name, BYTES)
    proxy.fail("^GET", Fault(cut_answer_at=at), times=3)
    assert read(blobs, name, 7, len(BYTES) - 7) == BYTES[7:]
    assert proxy.count("^GET") == 4
    assert blobs.counts().requests["GetObject", "206"] == 4


def test_a_body_that_is_always_cut_is_given_up(blobs: S3Blobs, proxy: Proxy, name: str) -> None:
    write(blobs, name, BYTES)
    proxy.fail("^GET", Fault(cut_answer_at=10), times=1000)
    with pytest.raises(Unavailable, match=f"{name} could not be read at 70"):
        read(blobs, name, 0, len(BYTES))
    assert proxy.count("^GET") < 10


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_request_at=0),
        Fault(cut_request_at=4 * MIB),
        LOST,
        OVERLOAD,
        Fault(status=500, code="InternalError"),
        Fault(status=400, code="RequestTimeout"),
        Fault(status=429, code="TooManyRequests"),
        Fault(flip_request_at=MIB),
    ],
)
@pytest.mark.parametrize("size", [5 * MIB, len(BYTES)], ids=["whole", "parts"])
def test_what_could_not_be_written_is_written_again(
    blobs: S3Blobs, provider: Provider, proxy: Proxy, name: str, fault: Fault, size: int
) -> None:
    proxy.fail("^PUT", fault, times=2)
    write(blobs, name, BYTES[:size])
    assert proxy.count("^PUT") == (1 if size < 8 * MIB else 3) + 2
    assert blobs.counts().retries == 2
    assert provider.s3.request("GET", f"/{BUCKET}/{name}").body == BYTES[:size]
    assert [key for key in provider.stored() if name in key] == [name]


def test_a_completion_whose_answer_is_lost_has_happened(blobs: S3Blobs, proxy: Proxy, name: str) -> None:
    proxy.fail("^POST .*uploadId", LOST)
    proxy.fail("^POST .*uploadId", Fault(status=404, code="NoSuchUpload"))
    write(blobs, name, BYTES)
    assert proxy.count("^HEAD") == 1
    assert read(blobs, name, 0, len(BYTES)) == BYTES


def test_a_completion_of_an_upload_that_was_aborted_has_not_happened(
    blobs: S3Blobs, proxy: Proxy, name: str
) -> None:
    proxy.fail("^POST .*uploadId", Fault(status=404, code="NoSuchUpload"))
    with pytest.raises(Unavailable, match="404 NoSuchUpload"):
        write(blobs, name, BYTES)


def test_a_completion_that_fails_after_it_said_200_is_repeated(
    blobs: S3Blobs, proxy: Proxy, name: str
) -> None:
    proxy.fail("^POST .*uploadId", Fault(status=200, code="InternalError"))
    write(blobs, name, BYTES)
    assert read(blobs, name, 0, len(BYTES)) == BYTES


def test_an_upload_that_nobody_knows_of_is_removed_with_its_name(
    blobs: S3Blobs, provider: Provider, proxy: Proxy, name: str
) -> None:
    proxy.fail("^POST .*uploads", LOST)
    write(blobs, name, BYTES)
    assert [key for key in provider.stored() if name in key] == [name, name]
    blobs.remove([name])
    assert [key for key in provider.stored() if name in key] == []


def test_what_a_killed_process_left_is_listed_and_removed(
    provider: Provider, blobs: S3Blobs, name: str
) -> None:
    killed = provider.open()
    killed.sink(name, None).write(BYTES)
    assert name in blobs.names()
    blobs.remove([name, f"{name}-other"])
    assert [key for key in provider.stored() if name in key] == []
    killed.close()


def test_kept_connections_that_the_provider_closed_are_no_failure(
    blobs: S3Blobs, proxy: Proxy, name: str
) -> None:
    write(blobs, name, b"x" * 100)
    proxy.go_down()
    proxy.come_back()
    assert read(blobs, name, 0, 100) == b"x" * 100
    write(blobs, f"{name}-2", b"y")
    assert blobs.counts().requests == {
        ("PutObject", "200"): 2,
        ("GetObject", "no answer"): 1,
        ("GetObject", "206"): 1,
    }


# --- overload and silence


def test_an_overloaded_provider_is_asked_again_after_the_time_it_named(
    blobs: S3Blobs, proxy: Proxy, name: str
) -> None:
    write(blobs, name, b"x")
    proxy.fail("^GET", Fault(status=503, headers="Retry-After: 1\r\n"), times=2)
    began = time.monotonic()
    assert read(blobs, name, 0, 1) == b"x"
    assert time.monotonic() - began >= 2
    assert blobs.counts().requests["GetObject", "503"] == 2


def test_who_is_to_come_back_too_late_is_told_at_once(hasty: S3Blobs, proxy: Proxy, name: str) -> None:
    proxy.fail("^PUT", Fault(status=503, headers="Retry-After: 3600\r\n"))
    with pytest.raises(Unavailable, match="503 SlowDown"):
        write(hasty, name, b"x")
    assert proxy.count("^PUT") == 1


def test_a_provider_that_says_nothing_is_asked_again(provider: Provider, proxy: Proxy, name: str) -> None:
    blobs = through(provider, proxy, timeout="6")
    proxy.fail("^PUT", Fault(delay_s=4))
    write(blobs, name, b"x")
    assert blobs.counts().requests == {("PutObject", "stalled"): 1, ("PutObject", "200"): 1}
    assert read(blobs, name, 0, 1) == b"x"
    blobs.close()


def test_in_an_outage_new_requests_fail_at_once_and_none_after_it(
    hasty: S3Blobs, proxy: Proxy, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(hasty, name, BYTES)
    proxy.go_down()
    for operation in (
        lambda: read(hasty, name, 0, 10),
        lambda: write(hasty, f"{name}-2", b"x"),
        lambda: write(hasty, f"{name}-3", BYTES),
        lambda: hasty.remove([name]),
        lambda: list(hasty.names()),
        hasty.check,
    ):
        with pytest.raises(Unavailable):
            operation()
    before = sum(hasty.counts().requests.values())
    refusals = [refusal for _ in range(100) if (refusal := refused(hasty, name))]
    assert len(refusals) == 100
    assert all("does not answer now" in refusal or "failed 1 times" in refusal for refusal in refusals)
    assert sum(hasty.counts().requests.values()) - before < 20
    proxy.come_back()
    until(lambda: read(hasty, name, 0, 10))
    assert read(hasty, name, 0, len(BYTES)) == BYTES
    write(hasty, f"{name}-4", BYTES)
    hasty.remove([name, f"{name}-4"])
    said = [record.getMessage().split(maxsplit=3)[3] for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("does not answer, and requests fail at once until it does: ")
    assert said[1] == "answers again"


def refused(blobs: Blobs, name: str) -> str:
    with pytest.raises(Unavailable) as caught:
        read(blobs, name, 0, 10)
    return str(caught.value)


def test_a_request_that_began_before_an_outage_outlasts_it(blobs: S3Blobs, proxy: Proxy, name: str) -> None:
    proxy.fail(".", OVERLOAD, times=6)
    write(blobs, name, b"x")
    assert proxy.count("^PUT") == 7


def test_one_request_at_a_time_finds_out_whether_an_outage_is_over() -> None:
    now = [0.0]
    circuit = Circuit(lambda: now[0])
    for _ in range(5):
        assert circuit.admits()
        circuit.failed("503 SlowDown", 0.0)
    assert circuit.admits(), "five failures at one moment are no outage"
    now[0] = 2.0
    assert circuit.failed("503 SlowDown", 0.0), "an outage begins"
    assert not circuit.admits()
    now[0] = 3.5
    assert [circuit.admits() for _ in range(3)] == [True, False, False]
    circuit.failed("503 SlowDown", 0.0, 0.0)
    assert not circuit.admits()
    now[0] = 5.0
    assert circuit.admits()
    assert circuit.succeeded(), "it ends"
    assert not circuit.succeeded()
    assert [circuit.admits() for _ in range(3)] == [True, True, True]


def test_requests_that_all_met_silence_show_an_outage_when_they_give_up_waiting() -> None:
    now = [10.0]
    circuit = Circuit(lambda: now[0])
    assert [circuit.failed("stalled", 10.0) for _ in range(5)] == [False, False, False, False, True]
    assert not circuit.admits()


def test_a_request_that_fails_for_itself_is_no_outage() -> None:
    now = [0.0]
    circuit = Circuit(lambda: now[0])
    circuit.failed("500 InternalError", 0.0)
    circuit.succeeded()
    now[0] = 30.0
    assert not circuit.failed("500 InternalError", 0.0, 30.0)
    assert circuit.admits()
    now[0] = 31.0
    assert circuit.failed("500 InternalError", 0.0, 1.0), "nobody else was answered for as long"
    assert not circuit.admits()


# --- wrong answers


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AccessDenied", "the key may not do that"),
        (403, "", "the key may not do that"),
        (404, "NoSuchBucket", "there is no such bucket"),
        (404, "", "was answered 404"),
        (301, "PermanentRedirect", "endpoint= or region="),
        (200, "", "was answered 200"),
        (501, "NotImplemented", "does not have this operation"),
    ],
)
def test_what_says_nothing_of_the_blob_does_not_make_it_missing(
    blobs: S3Blobs, proxy: Proxy, name: str, status: int, code: str, said: str
) -> None:
    write(blobs, name, b"x")
    proxy.fail("^GET", Fault(status=status, code=code))
    with pytest.raises(Unavailable, match=said):
        read(blobs, name, 0, 1)
    assert read(blobs, name, 0, 1) == b"x"


def test_only_what_the_provider_calls_missing_is(blobs: S3Blobs, name: str) -> None:
    with pytest.raises(BlobMissing):
        read(blobs, name, 0, 1)


def test_bytes_that_change_on_the_way_are_corrupt_before_anyone_gets_them(
    blobs: S3Blobs, proxy: Proxy, name: str
) -> None:
    class Names:
        def new_name(self) -> str:
            return name

        def give_up(self, name: str) -> None:
            raise AssertionError(name)

    writer = Writer(blobs, Names(), MIB)
    writer.write(BYTES[:MIB])
    content = writer.finish()
    assert isinstance(content, Stored)
    content.is_claimed = True
    proxy.fail("^GET", Fault(flip_answer_at=blob_size(MIB) - 1000))
    found = bytearray()
    with pytest.raises(Corrupt, match="damaged"):
        for block in read_blob(blobs, name, MIB, 0, MIB):
            found += block
    assert found == BYTES[: len(found)]
    assert b"".join(map(bytes, read_blob(blobs, name, MIB, 0, MIB))) == BYTES[:MIB]


# --- settings that are wrong


def test_the_check_passes_and_leaves_nothing(blobs: S3Blobs, provider: Provider) -> None:
    before = provider.stored()
    blobs.check()
    assert provider.stored() == before


@pytest.mark.parametrize(
    ("bucket", "key", "secret", "said"),
    [
        ("no-such-bucket", None, None, "404 NoSuchBucket: there is no such bucket"),
        (BUCKET, "AKIAUNKNOWN000000000", None, "does not know this access key id"),
        (BUCKET, None, "of-somebody-else", "the secret access key is not that of the access key id"),
    ],
)
def test_a_check_says_which_setting_is_wrong(
    provider: Provider, bucket: str, key: str | None, secret: str | None, said: str
) -> None:
    environment = {
        "AWS_ACCESS_KEY_ID": key or provider.s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret or provider.s3.secret_access_key,
    }
    blobs = open_blobs(f"s3://{bucket}?endpoint={provider.url}", environment)
    with pytest.raises(Unavailable, match=said) as caught:
        blobs.check()
    assert environment["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)
    blobs.close()


def test_a_check_says_that_nobody_listens(provider: Provider, proxy: Proxy) -> None:
    proxy.go_down()
    blobs = through(provider, proxy)
    with pytest.raises(Unavailable, match="Connection refused"):
        blobs.check()
    blobs.close()


def test_a_check_says_that_a_clock_is_wrong(provider: Provider) -> None:
    address = parse(provider.address())
    around = Surroundings(
        now=lambda: datetime.now(UTC) - timedelta(hours=1),
        chance=random.Random(1).random,
        find_credentials=lambda: credentials_of(address, provider.environment),
    )
    blobs = S3Blobs(address, around)
    with pytest.raises(Unavailable, match="clocks differ"):
        blobs.check()
    blobs.close()


@pytest.mark.parametrize(
    ("pattern", "code", "said"),
    [
        ("^POST .*uploadId", "InvalidPart", "CompleteMultipartUpload of check-.*-parts was answered 403"),
        ("^GET .*uploads", "AccessDenied", "ListMultipartUploads was answered 403 AccessDenied: the key may"),
        ("^POST .*delete", "AccessDenied", "DeleteObjects was answered 403"),
        ("^DELETE", "AccessDenied", "check-.*-none is listed, though it is not there"),
    ],
)
def test_a_check_tries_all_that_blobs_need(
    blobs: S3Blobs, proxy: Proxy, pattern: str, code: str, said: str
) -> None:
    proxy.fail(pattern, Fault(status=403, code=code))
    with pytest.raises(Unavailable, match=said):
        blobs.check()


def test_a_check_does_not_list_what_is_there(blobs: S3Blobs, provider: Provider, proxy: Proxy) -> None:
    blobs.check()
    listed = [line for line in proxy.seen if "list-type" in line and "prefix=check-" not in line]
    assert len(listed) == 1
    assert "max-keys=1&" in listed[0]


def test_a_completion_without_an_etag_is_one(blobs: S3Blobs, proxy: Proxy, name: str) -> None:
    proxy.fail(
        "^POST .*uploadId",
        Fault(body="<CompleteMultipartUploadResult><ETag/></CompleteMultipartUploadResult>"),
    )
    write(blobs, name, BYTES)
    assert read(blobs, name, 0, len(BYTES)) == BYTES


def test_a_check_finds_that_nothing_may_be_written(blobs: S3Blobs, proxy: Proxy) -> None:
    proxy.fail("^PUT", Fault(status=403, code="AccessDenied"), times=100)
    with pytest.raises(Unavailable, match="PutObject of check-[0-9a-f]+ was answered 403 AccessDenied"):
        blobs.check()


def test_credentials_that_are_renewed_in_their_file_are_used(provider: Provider, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    profile = f"[store]\naws_access_key_id = {provider.s3.access_key_id}\naws_secret_access_key = "
    file.write_text(f"{profile}of-yesterday\n")
    address = provider.address(profile="store")
    blobs = open_blobs(address, {"AWS_SHARED_CREDENTIALS_FILE": str(file)})
    file.write_text(f"{profile}{provider.s3.secret_access_key}\n")
    blobs.check()
    blobs.close()


def test_without_credentials_nothing_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="AWS_ACCESS_KEY_ID"):
        open_blobs(f"s3://{BUCKET}?endpoint=http://localhost:1", {"HOME": str(tmp_path)})


# --- sizes and numbers


def test_a_provider_without_multipart_uploads_gets_blobs_in_one_piece(name: str) -> None:
    with anys3.Server(buckets=[BUCKET], profiles="tier-1") as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        blobs = Provider(server.endpoint_url, s3).open()
        blobs.check()
        write(blobs, name, BYTES)
        assert read(blobs, name, 3, len(BYTES) - 3) == BYTES[3:]
        sink = blobs.sink(f"{name}-2", None)
        sink.write(BYTES)
        sink.discard()
        assert list(blobs.names()) == [name]
        blobs.remove([name])
        assert list(blobs.names()) == []
        blobs.close()


def test_more_names_than_a_page_has_are_listed_and_removed(provider: Provider) -> None:
    blobs = provider.open("pages")
    names = {f"n-{number:04d}" for number in range(1005)}
    for each in names:
        write(blobs, each, b"")
    assert set(blobs.names()) == names
    blobs.remove(sorted(names))
    assert list(blobs.names()) == []
    blobs.close()


def test_what_others_keep_beside_the_blobs_is_not_listed(provider: Provider) -> None:
    blobs = provider.open("shared")
    for key in ("shared", "shared/Report+1.pdf", "shared/a/b", "shared/", "sharedx", "shared/%01"):
        assert provider.s3.request("PUT", f"/{BUCKET}/{key}", body=b"x").status == 200
    assert list(blobs.names()) == []
    blobs.close()


def test_ten_thousand_parts_hold_the_largest_object() -> None:
    sizes = [size_of_part(8 * MIB, number) for number in range(1, 10_001)]
    assert sum(sizes) >= 5 << 40
    assert max(sizes) <= 5 << 30


def test_requests_are_counted(provider: Provider, name: str) -> None:
    blobs = provider.open()
    write(blobs, name, BYTES)
    read(blobs, name, 0, 1000)
    counts = blobs.counts()
    assert counts.requests == {
        ("CreateMultipartUpload", "200"): 1,
        ("UploadPart", "200"): 3,
        ("CompleteMultipartUpload", "200"): 1,
        ("GetObject", "206"): 1,
    }
    assert len(BYTES) < counts.sent_bytes < len(BYTES) + 2000
    assert "UploadPart 200: 3" in str(counts)
    blobs.close()
