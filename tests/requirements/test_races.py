"""Concurrency over two worker processes: CON-01 to CON-03, CONDW-02, CONDW-05, CPL-14.

Thirty-two connections stay open and send at once; the kernel deals them out to both workers.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.processes import Connections, ServerProcess, serving, signed
from tests.rawclient import RawClient, Response, md5_hex
from tests.uploads import begin, document, multipart_etag

START_ROUNDS = 300
WRITERS = 32
ROUNDS = 200
ONE_WINNER = [200] + [412] * (WRITERS - 1)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of two worker processes, both of which answer."""
    with serving(tmp_path_factory.mktemp("races") / "data", "--workers", "2") as process:
        workers: set[str] = set()
        for _ in range(START_ROUNDS):
            workers.add(process.s3.request("GET", "/").headers["x-amz-request-id"][:8])
            if len(workers) == 2:
                break
            time.sleep(0.1)  # the first worker answers while the second starts
        yield process


@pytest.fixture
def shared(two_workers: ServerProcess) -> RawClient:
    """A client of the server with two workers."""
    return two_workers.s3


@pytest.fixture
def path(shared: RawClient, new_name: Callable[[], str]) -> str:
    """The path of a key that is not there, in a fresh bucket."""
    bucket = new_name()
    assert shared.request("PUT", f"/{bucket}").status == 200
    return f"/{bucket}/k"


@pytest.fixture
def connections(shared: RawClient) -> Iterator[Connections]:
    """Connections of all writers, dealt out to both workers."""
    with Connections(shared, WRITERS) as opened:
        answers = opened.burst([signed(shared, "GET", "/")] * WRITERS, "GET")
        workers = {answer.headers["x-amz-request-id"][:8] for answer in answers}
        assert len(workers) == 2, "the kernel gave all connections to one worker"
        yield opened


def statuses(answers: list[Response]) -> list[int]:
    """Return the statuses, ascending."""
    return sorted(answer.status for answer in answers)


def winner(answers: list[Response]) -> int:
    """Return the index of the answer that is 200."""
    return [answer.status for answer in answers].index(200)


# --- conditional writes ---------------------------------------------------------------------------------


@pytest.mark.requirement("CONDW-02", "CON-03")
@pytest.mark.known_mistake(46)
def test_of_32_racing_creations_over_two_processes_exactly_one_wins(
    shared: RawClient, path: str, connections: Connections
) -> None:
    """rustfs#1659, seaweedfs#8800, versitygw PR#2288: a condition that is judged before the write."""
    for number in range(ROUNDS):
        key = f"{path}{number}"
        bodies = [b"%d %d" % (number, writer) for writer in range(WRITERS)]
        answers = connections.burst(
            [signed(shared, "PUT", key, headers={"if-none-match": "*"}, body=body) for body in bodies]
        )
        assert statuses(answers) == ONE_WINNER
        assert shared.request("GET", key).body == bodies[winner(answers)]


@pytest.mark.requirement("CONDW-05", "CON-03")
@pytest.mark.known_mistake(46)
def test_of_32_racing_swaps_over_two_processes_exactly_one_wins(
    shared: RawClient, path: str, connections: Connections
) -> None:
    """The same for compare-and-swap: no update is lost."""
    etag = shared.request("PUT", path, body=b"first").headers["etag"]
    for number in range(ROUNDS):
        bodies = [b"%d %d" % (number, writer) for writer in range(WRITERS)]
        answers = connections.burst(
            [signed(shared, "PUT", path, headers={"if-match": etag}, body=body) for body in bodies]
        )
        assert statuses(answers) == ONE_WINNER
        etag = answers[winner(answers)].headers["etag"]
        assert shared.request("GET", path).body == bodies[winner(answers)]


@pytest.mark.requirement("CONDW-09", "CONDW-11")
def test_of_racing_conditional_deletes_one_wins(
    shared: RawClient, path: str, connections: Connections
) -> None:
    etag = shared.request("PUT", path, body=b"first").headers["etag"]
    answers = connections.burst(
        [signed(shared, "DELETE", path, headers={"if-match": etag})] * WRITERS, "DELETE"
    )
    assert statuses(answers) == [204] + [404] * (WRITERS - 1)


@pytest.mark.requirement("CONDW-07", "CONDW-02", "CPL-11")
@pytest.mark.parametrize("attempt", range(5))
def test_of_racing_completions_of_different_uploads_one_wins(
    shared: RawClient, path: str, connections: Connections, attempt: int
) -> None:
    key = f"k{attempt}"
    bucket = path.split("/")[1]
    bodies = [b"%d" % number for number in range(8)]
    uploads = [begin(shared, bucket, key) for _ in bodies]
    listed = [document([(1, upload.put(1, body))]) for upload, body in zip(uploads, bodies, strict=True)]
    requests = [
        signed(shared, "POST", upload.path, [("uploadId", upload.upload_id)], {"if-none-match": "*"}, body)
        for upload, body in zip(uploads, listed, strict=True)
    ]
    answers = connections.burst(requests, "POST")
    assert statuses(answers) == [200] + [412] * 7
    assert shared.request("GET", uploads[0].path).body == bodies[winner(answers)]


@pytest.mark.requirement("CPL-14")
@pytest.mark.parametrize("headers", [{}, {"if-none-match": "*"}])
@pytest.mark.parametrize("attempt", range(5))
def test_racing_identical_completions_make_one_object(
    shared: RawClient, path: str, connections: Connections, headers: dict[str, str], attempt: int
) -> None:
    upload = begin(shared, path.split("/")[1], f"k{attempt}")
    body = document([(1, upload.put(1, b"body"))])
    request = signed(shared, "POST", upload.path, [("uploadId", upload.upload_id)], headers, body)
    answers = connections.burst([request] * 8, "POST")
    assert statuses(answers) == [200] * 8
    assert {answer.text("ETag") for answer in answers} == {multipart_etag([b"body"])}


# --- consistency ----------------------------------------------------------------------------------------


@pytest.mark.requirement("CON-01", "LMU-05")
@pytest.mark.known_mistake(53)
def test_every_worker_sees_a_write_at_once(shared: RawClient, path: str, connections: Connections) -> None:
    """seaweedfs#4222: processes that disagree on what is there."""
    bucket = path.split("/")[1]
    for number in range(20):
        body = b"version %d" % number
        put, *_ = connections.burst([signed(shared, "PUT", path, body=body)])
        reads = connections.burst([signed(shared, "GET", path)] * WRITERS, "GET")
        assert {read.body for read in reads} == {body}
        heads = connections.burst([signed(shared, "HEAD", path)] * WRITERS, "HEAD")
        assert {head.headers["etag"] for head in heads} == {put.headers["etag"]}
        lists = connections.burst([signed(shared, "GET", f"/{bucket}", [("prefix", "k")])] * WRITERS, "GET")
        assert {page.text("Contents/ETag") for page in lists} == {put.headers["etag"]}
    copies = connections.burst(
        [signed(shared, "PUT", f"{path}-{n}", headers={"x-amz-copy-source": path}) for n in range(WRITERS)]
    )
    assert {copy.text("ETag") for copy in copies} == {put.headers["etag"]}


@pytest.mark.requirement("CON-01")
@pytest.mark.known_mistake(53)
def test_every_worker_sees_a_deletion_and_a_bucket_at_once(
    shared: RawClient, path: str, connections: Connections, new_name: Callable[[], str]
) -> None:
    """seaweedfs#4222, for what is gone, and for buckets."""
    for _ in range(20):
        bucket = new_name()
        key = f"/{bucket}/k"
        assert connections.burst([signed(shared, "PUT", f"/{bucket}")])[0].status == 200
        assert connections.burst([signed(shared, "HEAD", f"/{bucket}")] * WRITERS, "HEAD")[31].status == 200
        assert set(statuses(connections.burst([signed(shared, "GET", key)] * WRITERS, "GET"))) == {404}
        assert connections.burst([signed(shared, "PUT", key, body=b"x")])[0].status == 200
        assert connections.burst([signed(shared, "DELETE", key)], "DELETE")[0].status == 204
        gone = connections.burst([signed(shared, "GET", key)] * WRITERS, "GET")
        assert {answer.verdict for answer in gone} == {(404, "NoSuchKey")}
        assert connections.burst([signed(shared, "DELETE", f"/{bucket}")], "DELETE")[0].status == 204
        gone = connections.burst([signed(shared, "GET", key)] * WRITERS, "GET")
        assert {answer.verdict for answer in gone} == {(404, "NoSuchBucket")}


@pytest.mark.requirement("CON-03")
@pytest.mark.parametrize("size", [100, 200_000])
def test_after_racing_writes_all_readers_see_the_same_winner(
    shared: RawClient, path: str, connections: Connections, size: int
) -> None:
    for number in range(10):
        bodies = [b"%d %d " % (number, writer) * (size // 5) for writer in range(WRITERS)]
        answers = connections.burst([signed(shared, "PUT", path, body=body) for body in bodies])
        assert statuses(answers) == [200] * WRITERS
        reads = connections.burst([signed(shared, "GET", path)] * WRITERS, "GET")
        assert len({read.body for read in reads}) == 1
        assert reads[0].body in bodies


BODIES = {md5_hex(body): body for body in (b"a" * 10, b"b" * 90_000, b"c" * 300_000, b"d" * 1_500_000)}


@pytest.mark.requirement("CON-02", "GET-08")
def test_under_overwrites_each_read_is_of_one_write(shared: RawClient, path: str) -> None:
    put(shared, path, b"a" * 10)
    choices = itertools.cycle(BODIES.values())
    with going_on(lambda: put(shared, path, next(choices))):
        for _ in range(200):
            read = shared.request("GET", path)
            etag = read.headers["etag"].strip('"')
            assert read.body == BODIES[etag]
            observed = (read.headers["x-amz-meta-md5"], read.headers["content-length"])
            assert observed == (etag, str(len(BODIES[etag])))


def put(shared: RawClient, path: str, body: bytes) -> None:
    """Put a body and metadata that belongs to it."""
    headers = {"x-amz-meta-md5": md5_hex(body)}
    response = shared.request("PUT", path, headers=headers, body=body, payload_hash="UNSIGNED-PAYLOAD")
    assert response.verdict == (200, "")


@contextmanager
def going_on(*works: Callable[[], None]) -> Iterator[None]:
    """Do each work again and again in a thread of its own, until the block ends; its errors come out."""
    is_over = threading.Event()
    failures: list[BaseException] = []

    def repeat(work: Callable[[], None]) -> None:
        try:
            while not is_over.is_set():
                work()
        except BaseException as failure:  # noqa: BLE001 (told to the test)
            failures.append(failure)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert failures == []


@pytest.mark.requirement("CON-01")
@pytest.mark.known_mistake(48)
def test_a_listing_under_writes_has_every_lasting_key_exactly_once(shared: RawClient, path: str) -> None:
    """seaweedfs #10652, #10656: two processes write while a third client pages through both."""
    bucket = path.split("/")[1]
    lasting = [f"{number:03}" for number in range(0, 200, 2)]
    for key in lasting:
        put(shared, f"/{bucket}/{key}", b"lasting")

    def meddle(first: int) -> Callable[[], None]:
        numbers = itertools.cycle(range(first, 200, 4))

        def work() -> None:
            key = f"/{bucket}/{next(numbers):03}"
            put(shared, key, b"passing")
            assert shared.request("DELETE", key).status == 204

        return work

    with going_on(meddle(1), meddle(3)):
        for size in (1, 3, 7, 7, 50, 50, 1000, 1000):
            keys = pages(shared, bucket, size)
            assert keys == sorted(set(keys))
            assert [key for key in keys if int(key) % 2 == 0] == lasting


def pages(shared: RawClient, bucket: str, size: int) -> list[str]:
    """Return all keys of all pages of ListObjectsV2."""
    query = [("list-type", "2"), ("max-keys", str(size))]
    page = shared.request("GET", f"/{bucket}", query)
    keys = page.texts("Contents/Key")
    while page.text("IsTruncated") == "true":
        token = page.text("NextContinuationToken") or ""
        page = shared.request("GET", f"/{bucket}", [*query, ("continuation-token", token)])
        keys += page.texts("Contents/Key")
    return keys
