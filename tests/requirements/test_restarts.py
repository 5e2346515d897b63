"""What outlives the server process: ST, and CON-04 to CON-08."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import anys3
from anys3.model import Upload as StoredUpload
from anys3.protocol import uploads as ids
from anys3.server.connections import Connections
from anys3.store.embedded import open_store
from anys3.store.mutations import Mutation, PutUpload
from tests.processes import ServerProcess, serving, signed
from tests.rawclient import RawClient, crc32_b64, md5_hex, sha256_b64
from tests.uploads import MIN_PART, Upload, begin, filler, finished, multipart_etag

DAY_MS = 86_400_000
SIZES = [0, 100, 131_072, 131_073, 1_500_000]
VARYING = {"date", "x-amz-request-id", "x-amz-id-2"}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server process with two workers, to be killed."""
    with serving(tmp_path_factory.mktemp("killed") / "data", "--workers", "2") as running:
        yield running


@pytest.fixture
def bucket_there(process: ServerProcess, new_name: Callable[[], str]) -> str:
    """A fresh bucket of that server."""
    name = new_name()
    assert process.s3.request("PUT", f"/{name}").status == 200
    return name


def put(s3: RawClient, path: str, body: bytes, headers: dict[str, str] | None = None) -> None:
    """Put an object that must be accepted."""
    response = s3.request("PUT", path, headers=headers, body=body, payload_hash="UNSIGNED-PAYLOAD")
    assert response.verdict == (200, "")


def state(s3: RawClient, bucket: str) -> dict[str, object]:
    """Return all that can be read of a bucket: heads, bodies, tags, listings, uploads and parts."""
    listing = s3.request("GET", f"/{bucket}", "list-type=2")
    unfinished = s3.request("GET", f"/{bucket}", "uploads")
    seen: dict[str, object] = {"listing": listing.body, "uploads": unfinished.body}
    for key in listing.texts("Contents/Key"):
        whole = s3.request("GET", f"/{bucket}/{key}", headers={"x-amz-checksum-mode": "ENABLED"})
        headers = {name: value for name, value in whole.headers.items() if name not in VARYING}
        tags = s3.request("GET", f"/{bucket}/{key}", "tagging").texts("TagSet/Tag/Key")
        seen[key] = (whole.status, headers, md5_hex(whole.body), tags)
    for key, upload_id in zip(
        unfinished.texts("Upload/Key"), unfinished.texts("Upload/UploadId"), strict=True
    ):
        seen[upload_id] = Upload(s3, bucket, key, upload_id).list_parts().body
    return seen


def fill(s3: RawClient, bucket: str) -> Upload:
    """Put one of everything into a bucket, and return its unfinished upload."""
    headers = {
        "content-type": "text/x",
        "cache-control": "no-cache",
        "x-amz-meta-a": "1",
        "x-amz-tagging": "t=1&u=2",
        "x-amz-checksum-sha256": "",
    }
    for size in SIZES:
        body = filler(str(size), size)
        put(s3, f"/{bucket}/{size}", body, {**headers, "x-amz-checksum-sha256": sha256_b64(body)})
    finished(
        s3, bucket, "parts", [filler("1", MIN_PART), b"tail"], x_amz_meta_b="2", cache_control="no-store"
    )
    settings = {"x-amz-meta-c": "3", "content-type": "text/y", "x-amz-checksum-algorithm": "CRC32"}
    upload = begin(s3, bucket, "unfinished", settings)
    upload.put(1, filler("1", MIN_PART), {"x-amz-checksum-crc32": crc32_b64(filler("1", MIN_PART))})
    upload.put(2, b"tail")
    return upload


def finish(s3: RawClient, upload: Upload) -> None:
    """Finish what `fill` left unfinished, by what the listings say alone, and look at the result."""
    resumed = Upload(s3, upload.bucket, upload.key, upload.upload_id)
    etags = resumed.list_parts().texts("Part/ETag")
    assert resumed.complete(enumerate(etags, 1)).verdict == (200, "")
    read = s3.request("GET", upload.path)
    assert read.headers["etag"] == multipart_etag([filler("1", MIN_PART), b"tail"])
    assert (read.headers["x-amz-meta-c"], read.headers["content-type"]) == ("3", "text/y")
    assert read.body == filler("1", MIN_PART) + b"tail"


# --- restarts -------------------------------------------------------------------------------------------


@pytest.mark.requirement("ST-01", "CON-07")
@pytest.mark.known_mistake(52)
@pytest.mark.parametrize("end", [ServerProcess.kill, ServerProcess.stop])
def test_everything_survives_a_restart_unchanged(
    process: ServerProcess, bucket_there: str, end: Callable[[ServerProcess], None]
) -> None:
    """rustfs#2550, #2663, #2868: buckets and users that are missing after a restart."""
    upload = fill(process.s3, bucket_there)
    before = state(process.s3, bucket_there)
    end(process)
    process.start()
    assert state(process.s3, bucket_there) == before
    assert len(before) == 2 + len(SIZES) + 1 + 1
    finish(process.s3, upload)


@pytest.mark.requirement("ST-01", "CON-07")
@pytest.mark.known_mistake(52)
def test_everything_survives_a_restart_of_the_embedded_server(tmp_path: Path) -> None:
    """The same for `anys3.Server`: its key pair stays as well."""
    with anys3.Server(directory=tmp_path / "data", buckets=["kept"]) as first:
        s3 = RawClient(first.endpoint_url, first.access_key_id, first.secret_access_key)
        upload = fill(s3, "kept")
        before = state(s3, "kept")
    with anys3.Server(directory=tmp_path / "data") as second:
        again = RawClient(second.endpoint_url, s3.access_key_id, s3.secret_access_key)
        assert state(again, "kept") == before
        finish(again, upload)


@pytest.mark.requirement("ST-04")
def test_a_client_rebuilds_its_state_from_listings_alone(s3: RawClient, bucket: str) -> None:
    begin(s3, bucket, "large file", {"x-amz-meta-a": "1"}).put(1, filler("1", MIN_PART))
    listing = s3.request("GET", f"/{bucket}", "uploads")
    upload = Upload(s3, bucket, listing.text("Upload/Key") or "", listing.text("Upload/UploadId") or "")
    parts = upload.list_parts()
    assert (parts.texts("Part/PartNumber"), parts.texts("Part/Size")) == (["1"], [str(MIN_PART)])
    listed = [(1, parts.text("Part/ETag") or ""), (2, upload.put(2, b"tail"))]
    assert upload.complete(listed).verdict == (200, "")
    read = s3.request("GET", upload.path)
    assert (read.body, read.headers["x-amz-meta-a"]) == (filler("1", MIN_PART) + b"tail", "1")


@pytest.mark.requirement("ST-02")
def test_an_upload_of_last_month_can_still_be_finished(tmp_path: Path) -> None:
    """Uploads don't expire here; the month is put into the store, since nobody can wait for it."""
    with anys3.Server(directory=tmp_path / "data", buckets=["kept"]) as first:
        keys = first.access_key_id, first.secret_access_key
    upload_id = asyncio.run(begin_earlier(tmp_path / "data", "kept", 31 * DAY_MS))
    with anys3.Server(directory=tmp_path / "data") as second:
        upload = Upload(RawClient(second.endpoint_url, *keys), "kept", "k", upload_id)
        assert upload.s3.request("GET", "/kept", "uploads").texts("Upload/UploadId") == [upload_id]
        assert upload.complete([(1, upload.put(1, b"late"))]).verdict == (200, "")
        assert upload.s3.request("GET", "/kept/k").body == b"late"


async def begin_earlier(directory: Path, name: str, age_ms: int) -> str:
    """Write an upload that began some time ago into the store, and return its id."""
    store = open_store(directory)
    bucket = await store.bucket(name)
    assert bucket is not None
    began_ms = time.time_ns() // 1_000_000 - age_ms
    upload_id = ids.new_id(began_ms * 1000, bucket.id, b"k", bytes(12))
    upload = StoredUpload(
        key=b"k", upload_id=upload_id, initiated_ms=began_ms, stored=b"Content-Type: a/b\r\n"
    )
    await store.commit(Mutation(bucket, (PutUpload(upload),)))
    await store.close()
    return upload_id


# --- kills ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("CON-04", "CON-07")
@pytest.mark.parametrize("size", [100, 200_000, 3_000_000])
def test_an_object_survives_a_kill_right_after_its_200(
    process: ServerProcess, bucket_there: str, size: int
) -> None:
    put(process.s3, f"/{bucket_there}/k", filler("k", size))
    process.restart()
    assert md5_hex(process.s3.request("GET", f"/{bucket_there}/k").body) == md5_hex(filler("k", size))


@pytest.mark.requirement("CON-04", "ST-01", "ST-03")
def test_every_other_success_survives_a_kill_right_after_it(
    process: ServerProcess, bucket_there: str
) -> None:
    s3, bucket = process.s3, bucket_there
    for key in ("deleted", "source", "tagged"):
        put(s3, f"/{bucket}/{key}", b"there")
    part, whole = begin(s3, bucket, "part"), begin(s3, bucket, "whole")
    etag = whole.put(1, b"whole")
    successes: list[Callable[[], int]] = [
        lambda: s3.request("DELETE", f"/{bucket}/deleted").status,
        lambda: (
            s3.request("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": f"{bucket}/source"}).status
        ),
        lambda: part.send_part(1, b"part").status,
        lambda: whole.complete([(1, etag)]).status,
        lambda: s3.request("PUT", f"/{bucket}-2").status,
    ]
    for success in successes:
        assert success() in (200, 204)
        process.restart()
    assert s3.request("GET", f"/{bucket}/deleted").status == 404
    assert s3.request("GET", f"/{bucket}/copy").body == b"there"
    assert part.part_numbers() == ["1"]
    assert s3.request("GET", f"/{bucket}/whole").body == b"whole"
    assert whole.list_parts().verdict == (404, "NoSuchUpload")
    assert s3.request("HEAD", f"/{bucket}-2").status == 200


@pytest.mark.requirement("CON-06", "ST-01")
@pytest.mark.known_mistake(43, 44)
def test_a_kill_in_mid_write_exposes_nothing_of_it(process: ServerProcess, bucket_there: str) -> None:
    """minio#17416, minio#21268: half-written data is not seen as an object, nor does it replace one."""
    s3, bucket = process.s3, bucket_there
    put(s3, f"/{bucket}/old", b"old")
    upload = begin(s3, bucket, "upload")
    etag = upload.put(1, b"old part")
    before = state(s3, bucket)
    parameters = [("partNumber", "1"), ("uploadId", upload.upload_id)]
    body = filler("new", 6_000_000)
    requests = [
        signed(s3, "PUT", f"/{bucket}/old", body=body),
        signed(s3, "PUT", f"/{bucket}/new", body=body),
        signed(s3, "PUT", upload.path, parameters, body=body),
        signed(s3, "PUT", upload.path, [*parameters[1:], ("partNumber", "2")], body=body),
    ]
    with contextlib.ExitStack() as stack:
        for request in requests:
            connection = stack.enter_context(s3.connect())
            connection.sendall(request[: len(request) // 2])
        process.restart()
    assert state(s3, bucket) == before
    assert upload.complete([(1, etag)]).verdict == (200, "")


@pytest.mark.requirement("CON-04", "CON-06", "ST-03")
@pytest.mark.known_mistake(43, 47)
@pytest.mark.parametrize("delay_s", [0.02, 0.1, 0.3])
def test_a_kill_under_load_loses_nothing_that_was_answered_and_halves_nothing(
    process: ServerProcess, bucket_there: str, delay_s: float
) -> None:
    """seaweedfs #9756: of two steps only the first was done. The moment of the kill is not ours to choose."""
    s3, bucket = process.s3, bucket_there
    uploads = [begin(s3, bucket, f"m{number}") for number in range(150)]
    etags = [upload.put(1, f"part {number}".encode()) for number, upload in enumerate(uploads)]
    versions: list[bytes] = [b""]
    completed: list[int] = []
    put(s3, f"/{bucket}/k", b"")
    works = overwriting(s3, f"/{bucket}/k", versions), completing(uploads, etags, completed)
    threads = [threading.Thread(target=until_killed, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    time.sleep(delay_s)
    process.kill()
    for thread in threads:
        thread.join()
    process.start()
    # The last answered version, or the one behind it that was on its way.
    assert s3.request("GET", f"/{bucket}/k").body in [versions[-1], version(len(versions))]
    for number, upload in enumerate(uploads):
        check_old_or_new(upload, etags[number], f"part {number}".encode(), is_answered=number in completed)


def version(number: int) -> bytes:
    """Return a body, now inline, now a file."""
    return filler(str(number), 50_000 if number % 2 else 400_000)


def overwriting(s3: RawClient, path: str, answered: list[bytes]) -> Iterator[None]:
    """Overwrite an object again and again, and note what was answered."""
    while True:
        body = version(len(answered))
        put(s3, path, body)
        answered.append(body)
        yield


def completing(uploads: list[Upload], etags: list[str], answered: list[int]) -> Iterator[None]:
    """Complete one upload after the other, and note what was answered."""
    for number, upload in enumerate(uploads):
        assert upload.complete([(1, etags[number])]).verdict == (200, "")
        answered.append(number)
        yield


def until_killed(work: Iterator[None]) -> None:
    """Work until the server has gone."""
    with contextlib.suppress(OSError):
        for _ in work:
            pass


def check_old_or_new(upload: Upload, etag: str, body: bytes, *, is_answered: bool) -> None:
    """Hold an upload to be finished, or to be as usable as before."""
    read = upload.s3.request("GET", upload.path)
    if is_answered or read.status == 200:
        assert (read.status, read.body) == (200, body)
        assert upload.list_parts().verdict == (404, "NoSuchUpload")
    else:
        assert upload.complete([(1, etag)]).verdict == (200, "")
        assert upload.s3.request("GET", upload.path).body == body


# --- power loss and damage ------------------------------------------------------------------------------


@pytest.mark.requirement("CON-05")
@pytest.mark.known_mistake(55)
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_nothing_is_answered_before_it_is_synced(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    calls = "fsync,fdatasync,write,writev,sendto,sendmsg,link,linkat,rename,renameat,renameat2"
    tracer = ("strace", "-f", "-y", "-s", "40", "-e", f"trace={calls}", "-o", str(log))
    with serving(tmp_path / "data", "--workers", "1", under=tracer) as process:
        put(process.s3, "/synced", b"")
        put(process.s3, "/synced/small", filler("small", 1000))
        put(process.s3, "/synced/large", filler("large", 1_500_000))
        process.stop()
    answers = re.split(r"\n[^\n]*HTTP/1\.1 200", log.read_text(errors="replace"))
    small, large = answers[-3], answers[-2]
    assert re.search(r"fdatasync\(\d+<\S+\.mdb>", small)
    file, name, index = (
        r"f(data)?sync\(\d+<\S+/incoming/",
        r"fsync\(\d+<\S+/blobs/\w\w>",
        r"fdatasync\(\d+<\S+\.mdb>",
    )
    assert re.search(rf"{file}.*link(at)?\(.*{name}.*{index}", large, re.DOTALL)


@pytest.mark.requirement("CON-08")
@pytest.mark.known_mistake(55)
@pytest.mark.parametrize("size", [5_000, 200_000])
def test_a_flipped_bit_on_the_disk_is_an_error_and_not_an_answer(tmp_path: Path, size: int) -> None:
    body = filler("body", size)
    with damaged(tmp_path / "data", body, at=size // 2) as s3:
        assert s3.request("GET", "/kept/k").verdict == (500, "InternalError")
        recomputed = {"x-amz-copy-source": "kept/k", "x-amz-checksum-algorithm": "SHA1"}
        copied = s3.request("PUT", "/kept/copy", headers=recomputed)
        assert copied.verdict == (500, "InternalError")


@pytest.mark.requirement("CON-08")
def test_a_flipped_bit_is_an_error_when_no_thread_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As over TLS: the bytes go through the event loop.
    monkeypatch.setattr(Connections, "take_slot", lambda self: False)
    body = filler("body", 3_000_000)
    with damaged(tmp_path / "data", body, at=2_500_000) as s3:
        assert s3.request("GET", "/kept/k", headers={"range": "bytes=2400000-"}).verdict == (
            500,
            "InternalError",
        )
        with pytest.raises(ConnectionError, match="before the end of the body"):
            s3.request("GET", "/kept/k")
        assert s3.request("GET", "/kept/k", headers={"range": "bytes=0-999999"}).body == body[:1_000_000]


@pytest.mark.requirement("CON-08")
def test_a_flipped_bit_behind_the_first_bytes_of_a_download_cuts_it(tmp_path: Path) -> None:
    body = filler("body", 3_000_000)
    with damaged(tmp_path / "data", body, at=2_500_000) as s3:
        with pytest.raises(ConnectionError, match="before the end of the body"):
            s3.request("GET", "/kept/k")
        assert s3.request("GET", "/kept/k", headers={"range": "bytes=0-999"}).body == body[:1000]


@contextlib.contextmanager
def damaged(directory: Path, body: bytes, at: int) -> Iterator[RawClient]:
    """Serve object "kept/k" after one bit of it was flipped on the disk."""
    with anys3.Server(directory=directory, buckets=["kept"]) as first:
        s3 = RawClient(first.endpoint_url, first.access_key_id, first.secret_access_key)
        put(s3, "/kept/k", body)
    flip(directory, body[at : at + 64])
    with anys3.Server(directory=directory) as second:
        yield RawClient(second.endpoint_url, s3.access_key_id, s3.secret_access_key)


def flip(directory: Path, needle: bytes) -> None:
    """Flip a bit wherever these bytes lie."""
    found = 0
    for path in directory.rglob("*"):
        if path.is_file() and needle in (data := path.read_bytes()):
            at = data.index(needle)
            with path.open("r+b") as file:
                file.seek(at)
                file.write(bytes([needle[0] ^ 1]))
            found += 1
    assert found == 1


@pytest.mark.requirement("CON-06")
def test_a_client_that_goes_away_in_mid_write_leaves_nothing(s3: RawClient, bucket: str) -> None:
    data = signed(s3, "PUT", f"/{bucket}/k", body=filler("k", 3_000_000))
    with s3.connect() as connection:
        connection.sendall(data[:1_000_000])
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)
    assert s3.request("GET", f"/{bucket}/k").verdict == (404, "NoSuchKey")
    assert s3.request("GET", f"/{bucket}", "list-type=2").texts("Contents/Key") == []
