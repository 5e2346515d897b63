"""Range reads, and reads by part number: RNG, PN."""

from __future__ import annotations

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

import pytest

import anys3
from anys3.operations.publishing import make_entry
from anys3.store.embedded import device, open_store
from anys3.store.mutations import Mutation, PutEntry
from tests.rawclient import RawClient, Response, key_path, md5_hex, sha256_b64
from tests.uploads import MIN_PART, filler, finished

GIB4 = 4 << 30
SMALL = bytes(range(100))
LARGE = filler("large", 1_300_000)
SAME = ("etag", "last-modified", "content-type", "cache-control", "x-amz-meta-a", "accept-ranges")


def put(s3: RawClient, bucket: str, body: bytes, **headers: str) -> str:
    """Put object "k", which must be accepted, and return its path."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    path = key_path(bucket, "k")
    assert s3.request("PUT", path, headers=lines, body=body).verdict == (200, "")
    return path


def get(s3: RawClient, path: str, span: str, **headers: str) -> Response:
    """GET a range."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return s3.request("GET", path, headers={"range": span, **lines})


def seen(response: Response) -> tuple[int, str, str]:
    """Return status, Content-Range and Content-Length."""
    return response.status, response.headers.get("content-range", ""), response.headers["content-length"]


# --- ranges ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("RNG-01", "RNG-06")
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 99), (10, 19), (99, 99)])
def test_a_range_is_inclusive(s3: RawClient, bucket: str, first: int, last: int) -> None:
    path = put(s3, bucket, SMALL)
    response = get(s3, path, f"bytes={first}-{last}")
    assert seen(response) == (206, f"bytes {first}-{last}/100", str(last - first + 1))
    assert response.body == SMALL[first : last + 1]


@pytest.mark.requirement("RNG-01")
def test_a_head_of_a_range_has_its_headers_and_no_body(s3: RawClient, bucket: str) -> None:
    path = put(s3, bucket, SMALL)
    response = s3.request("HEAD", path, headers={"range": "bytes=10-19"})
    assert seen(response) == (206, "bytes 10-19/100", "10")


@pytest.mark.requirement("RNG-02")
@pytest.mark.parametrize(
    ("span", "start"),
    [("bytes=95-", 95), ("bytes=90-1000", 90), ("bytes=0-", 0), ("bytes=99-99999999999999999999", 99)],
)
def test_an_open_end_or_one_beyond_the_object_is_clipped(
    s3: RawClient, bucket: str, span: str, start: int
) -> None:
    response = get(s3, put(s3, bucket, SMALL), span)
    assert seen(response) == (206, f"bytes {start}-99/100", str(100 - start))
    assert response.body == SMALL[start:]


@pytest.mark.requirement("RNG-03")
@pytest.mark.parametrize(
    ("span", "start"), [("bytes=-1", 99), ("bytes=-100", 0), ("bytes=-101", 0), ("bytes=-7", 93)]
)
def test_a_suffix_range_gives_the_last_bytes(s3: RawClient, bucket: str, span: str, start: int) -> None:
    response = get(s3, put(s3, bucket, SMALL), span)
    assert seen(response) == (206, f"bytes {start}-99/100", str(100 - start))
    assert response.body == SMALL[start:]


@pytest.mark.requirement("RNG-04")
@pytest.mark.parametrize("span", ["bytes=100-", "bytes=100-200", "bytes=99999999999999999999-", "bytes=-0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_range_behind_the_object_is_refused(s3: RawClient, bucket: str, span: str, method: str) -> None:
    response = s3.request(method, put(s3, bucket, SMALL), headers={"range": span})
    assert (response.status, response.code) == (416, "InvalidRange" if method == "GET" else "")


@pytest.mark.requirement("RNG-04")
@pytest.mark.parametrize("span", ["bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-1", "bytes=-0"])
def test_no_range_of_an_empty_object_can_be_read(s3: RawClient, bucket: str, span: str) -> None:
    assert get(s3, put(s3, bucket, b""), span).verdict == (416, "InvalidRange")


@pytest.mark.requirement("RNG-05")
@pytest.mark.parametrize(
    "span",
    [
        "bytes=0-1,3-4",
        "lines=0-1",
        "bytes=5-4",
        "bytes=",
        "bytes=-",
        "bytes",
        "bytes=a-b",
        "0-1",
        "bytes=1--2",
        "bytes=0x1-2",
    ],
)
def test_a_range_that_cannot_be_understood_is_ignored(s3: RawClient, bucket: str, span: str) -> None:
    response = get(s3, put(s3, bucket, SMALL), span)
    assert seen(response) == (200, "", "100")
    assert response.body == SMALL


@pytest.mark.requirement("RNG-06")
def test_a_range_has_the_headers_of_the_whole(s3: RawClient, bucket: str) -> None:
    path = put(s3, bucket, SMALL, content_type="text/x", cache_control="no-cache", x_amz_meta_a="1")
    whole, part = s3.request("GET", path), get(s3, path, "bytes=1-2")
    assert {name: part.headers[name] for name in SAME} == {name: whole.headers[name] for name in SAME}


@pytest.mark.requirement("RNG-06")
@pytest.mark.parametrize("size", [100, 131_072, 131_073, 1_300_000])
@pytest.mark.parametrize("seed", range(3))
def test_any_slice_is_the_slice_of_the_whole(s3: RawClient, bucket: str, size: int, seed: int) -> None:
    chance = random.Random(f"{size} {seed}")
    path = put(s3, bucket, LARGE[:size])
    first, last = sorted((chance.randrange(size), chance.randrange(size)))
    response = get(s3, path, f"bytes={first}-{last}")
    assert seen(response) == (206, f"bytes {first}-{last}/{size}", str(last - first + 1))
    assert response.body == LARGE[first : last + 1]


@pytest.mark.requirement("RNG-07")
def test_if_range_gives_the_range_only_of_the_same_object(s3: RawClient, bucket: str) -> None:
    path = put(s3, bucket, SMALL)
    modified = s3.request("HEAD", path).headers["last-modified"]
    assert get(s3, path, "bytes=0-1", if_range=f'"{md5_hex(SMALL)}"').status == 206
    assert get(s3, path, "bytes=0-1", if_range=modified).status == 206
    other = get(s3, path, "bytes=0-1", if_range=f'"{md5_hex(b"other")}"')
    assert (other.status, other.body) == (200, SMALL)
    earlier = parsedate_to_datetime(modified) - timedelta(seconds=5)
    assert get(s3, path, "bytes=0-1", if_range=format_datetime(earlier, usegmt=True)).status == 200


@pytest.mark.requirement("RNG-08")
def test_a_download_resumes_only_if_the_object_is_the_same(s3: RawClient, bucket: str) -> None:
    path = put(s3, bucket, SMALL)
    etag = f'"{md5_hex(SMALL)}"'
    resumed = get(s3, path, "bytes=50-", if_match=etag)
    assert (resumed.status, resumed.body) == (206, SMALL[50:])
    put(s3, bucket, SMALL[::-1])
    assert get(s3, path, "bytes=50-", if_match=etag).verdict == (412, "PreconditionFailed")


@pytest.mark.requirement("RNG-09")
@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, MIN_PART - 1),
        (MIN_PART, MIN_PART),
        (MIN_PART - 1, MIN_PART),
        (MIN_PART - 10, 2 * MIN_PART + 17),
        (2 * MIN_PART + 7, 2 * MIN_PART + 1006),
    ],
)
def test_ranges_work_at_and_across_part_boundaries(
    s3: RawClient, three_parts: tuple[str, list[bytes]], first: int, last: int
) -> None:
    path, bodies = three_parts
    whole = b"".join(bodies)
    response = get(s3, path, f"bytes={first}-{last}")
    assert seen(response) == (206, f"bytes {first}-{last}/{len(whole)}", str(last - first + 1))
    assert md5_hex(response.body) == md5_hex(whole[first : last + 1])


@pytest.mark.requirement("RNG-09")
def test_ranges_work_beyond_4_gib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with anys3.Server(directory=tmp_path / "data", buckets=["large"]) as first:
        keys = first.access_key_id, first.secret_access_key
    middle, tail = filler("middle", 1 << 20), filler("tail", 1000)
    asyncio.run(put_sparse(tmp_path / "data", middle, tail, monkeypatch))
    with anys3.Server(directory=tmp_path / "data") as second:
        s3 = RawClient(second.endpoint_url, *keys)
        response = get(s3, "/large/k", f"bytes={GIB4 - 5}-{GIB4 + 9}")
        assert seen(response) == (206, f"bytes {GIB4 - 5}-{GIB4 + 9}/{GIB4 + (1 << 20) + 1000}", "15")
        assert response.body == bytes(5) + middle[:10]
        assert get(s3, "/large/k", "bytes=-1010").body == middle[-10:] + tail
        assert s3.request("HEAD", "/large/k").headers["content-length"] == str(GIB4 + (1 << 20) + 1000)


async def put_sparse(directory: Path, middle: bytes, tail: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store 4 GiB of zeros with something behind them; the zeros take no room on the disk."""
    zeros = bytes(1 << 20)
    write_at = device.write_at

    def write_unless_zero(descriptor: int, view: memoryview, offset: int) -> None:
        if bytes(view) != zeros:
            write_at(descriptor, view, offset)

    monkeypatch.setattr(device, "write_at", write_unless_zero)
    monkeypatch.setattr(device, "reserve", lambda descriptor, length: None)
    store = open_store(directory)
    bucket = await store.bucket("large")
    assert bucket is not None
    writer = store.writer(GIB4 + len(middle) + len(tail))
    for piece in itertools.chain(itertools.repeat(zeros, 4096), (middle, tail)):
        writer.write(piece)
    size = GIB4 + len(middle) + len(tail)
    entry = make_entry(size=size, etag="0" * 32, modified_ms=0, stored=b"Content-Type: a/b\r\n")
    await store.commit(Mutation(bucket, (PutEntry(b"k", entry, writer.finish()),)))
    await store.close()


@pytest.mark.requirement("RNG-10")
def test_a_shorter_range_carries_no_checksum_of_the_whole(s3: RawClient, bucket: str) -> None:
    path = put(s3, bucket, SMALL, x_amz_checksum_sha256=sha256_b64(SMALL))
    enabled = {"x_amz_checksum_mode": "ENABLED"}
    part, whole = get(s3, path, "bytes=0-98", **enabled), get(s3, path, "bytes=0-99", **enabled)
    assert [name for name in part.headers if name.startswith("x-amz-checksum")] == []
    assert whole.headers["x-amz-checksum-sha256"] == sha256_b64(SMALL)


# --- part numbers ---------------------------------------------------------------------------------------


@pytest.fixture
def three_parts(s3: RawClient, bucket: str) -> tuple[str, list[bytes]]:
    """The path of an object of three parts, and the parts."""
    bodies = [filler("1", MIN_PART), filler("2", MIN_PART + 7), filler("3", 1000)]
    finished(s3, bucket, "parts", bodies)
    return key_path(bucket, "parts"), bodies


@pytest.mark.requirement("PN-01")
@pytest.mark.parametrize(
    ("number", "first", "last"),
    [(1, 0, MIN_PART - 1), (2, MIN_PART, 2 * MIN_PART + 6), (3, 2 * MIN_PART + 7, 2 * MIN_PART + 1006)],
)
def test_a_part_of_an_object_can_be_read(
    s3: RawClient, three_parts: tuple[str, list[bytes]], number: int, first: int, last: int
) -> None:
    path, bodies = three_parts
    expected = (206, f"bytes {first}-{last}/{2 * MIN_PART + 1007}", str(last - first + 1))
    read, head = (s3.request(method, path, f"partNumber={number}") for method in ("GET", "HEAD"))
    assert (seen(read), seen(head)) == (expected, expected)
    assert (read.headers["x-amz-mp-parts-count"], head.headers["x-amz-mp-parts-count"]) == ("3", "3")
    assert md5_hex(read.body) == md5_hex(bodies[number - 1])


@pytest.mark.requirement("PN-01")
def test_the_whole_of_an_object_of_parts_tells_no_part_count(
    s3: RawClient, three_parts: tuple[str, list[bytes]]
) -> None:
    response = s3.request("HEAD", three_parts[0])
    assert (response.status, response.headers.get("x-amz-mp-parts-count")) == (200, None)


@pytest.mark.requirement("PN-02")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_part_1_of_a_simple_object_is_the_whole_without_a_count(
    s3: RawClient, bucket: str, method: str
) -> None:
    response = s3.request(method, put(s3, bucket, SMALL), "partNumber=1")
    assert seen(response) == (206, "bytes 0-99/100", "100")
    assert "x-amz-mp-parts-count" not in response.headers


@pytest.mark.requirement("PN-02")
def test_part_1_of_an_empty_object_is_empty(s3: RawClient, bucket: str) -> None:
    response = s3.request("GET", put(s3, bucket, b""), "partNumber=1")
    assert (response.status, response.body) == (200, b"")


@pytest.mark.requirement("PN-02")
def test_a_part_that_does_not_exist_is_refused(s3: RawClient, bucket: str) -> None:
    assert s3.request("GET", put(s3, bucket, SMALL), "partNumber=2").verdict == (416, "InvalidPartNumber")
    finished(s3, bucket, "parts", [b"only"])
    assert s3.request("GET", f"/{bucket}/parts", "partNumber=2").verdict == (416, "InvalidPartNumber")
    assert s3.request("HEAD", f"/{bucket}/parts", "partNumber=2").status == 416


@pytest.mark.requirement("PN-02")
def test_a_range_and_a_part_number_together_are_refused(s3: RawClient, bucket: str) -> None:
    path = put(s3, bucket, SMALL)
    response = s3.request("GET", path, "partNumber=1", {"range": "bytes=0-1"})
    assert response.verdict == (400, "InvalidRequest")


@pytest.mark.requirement("PN-02")
@pytest.mark.parametrize("number", ["0", "10001", "a", "-1", "1.0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_no_part_number_is_refused(s3: RawClient, bucket: str, number: str, method: str) -> None:
    response = s3.request(method, put(s3, bucket, SMALL), f"partNumber={number}")
    assert (response.status, response.code) == (400, "InvalidArgument" if method == "GET" else "")


@pytest.mark.requirement("PN-01", "CONDR-06")
def test_preconditions_hold_for_parts_too(s3: RawClient, bucket: str) -> None:
    finished(s3, bucket, "one", [b"only"])
    earlier = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    response = s3.request("GET", f"/{bucket}/one", "partNumber=9", {"if-unmodified-since": earlier})
    assert response.verdict == (412, "PreconditionFailed")
