"""The stores that are damaged: small, with every kind of row and content, each known byte for byte."""

from __future__ import annotations

import random

from tests import uploads
from tests.processes import ServerProcess
from tests.torture.corruption.asking import Question

BUCKET = "/photos"
LONG = "long-" + "k" * 600
SIZES = {"small": 131_080, "blocks": 3 * 262_144 + 17}
"""Bytes of the blobs: a little more than what lies in the index, and several blocks."""


def fill_index(server: ServerProcess, count: int) -> list[Question]:
    """Make a bucket whose index has every table filled; return what is asked about it."""
    s3 = server.s3
    for bucket in (BUCKET, "/other"):
        assert s3.request("PUT", bucket).status == 200
    keys = [f"{'dir/' if number % 3 == 0 else ''}key-{number:03}" for number in range(count)] + [LONG]
    for number, key in enumerate(keys):
        headers = {"x-amz-meta-number": str(number), "content-type": "text/plain"}
        body = random.Random(number).randbytes(number * 7 % 190)
        assert s3.request("PUT", f"{BUCKET}/{key}", headers=headers, body=body).status == 200
    assert s3.request("PUT", f"{BUCKET}/large", body=random.Random(1).randbytes(SIZES["small"])).status == 200
    uploads.finished(s3, BUCKET[1:], "parts", [b"p" * 3000])
    open_upload = uploads.begin(s3, BUCKET[1:], "unfinished")
    open_upload.put(1, b"one")
    open_upload.put(2, b"two" * 999)
    asked = [Question(f"GET {key[:30]}", "GET", f"{BUCKET}/{key}") for key in (*keys, "parts")]
    asked += [Question("HEAD large", "HEAD", f"{BUCKET}/large")]
    asked += [Question(f"GET {key}", "GET", f"{BUCKET}/{key}") for key in ("absent", "key-0005", "zzz")]
    asked += [
        Question("LIST", "GET", BUCKET, (("list-type", "2"),)),
        Question("LIST by prefix", "GET", BUCKET, (("list-type", "2"), ("prefix", "dir/"))),
        Question("LIST rolled up", "GET", BUCKET, (("delimiter", "/"), ("list-type", "2"))),
        Question("LIST uploads", "GET", BUCKET, (("uploads", ""),)),
        Question("LIST buckets", "GET", "/"),
        Question("LIST parts", "GET", f"{BUCKET}/unfinished", (("uploadId", open_upload.upload_id),)),
        Question("GET part 1", "GET", f"{BUCKET}/parts", (("partNumber", "1"),)),
    ]
    return asked


def fill_blobs(server: ServerProcess) -> list[Question]:
    """Make a bucket of blobs; return what is asked about it: every way in which bytes are read."""
    s3 = server.s3
    assert s3.request("PUT", BUCKET).status == 200
    for name, size in SIZES.items():
        body = random.Random(name).randbytes(size)
        assert s3.request("PUT", f"{BUCKET}/{name}", body=body).status == 200
    halves = [random.Random(number).randbytes(5 << 20 if number == 1 else 300_000) for number in (1, 2)]
    uploads.finished(s3, BUCKET[1:], "parts", halves)
    target = uploads.begin(s3, BUCKET[1:], "target")
    part_of = (("partNumber", "1"), ("uploadId", target.upload_id))
    asked = []
    for name in (*SIZES, "parts"):
        path = f"{BUCKET}/{name}"
        source = ("x-amz-copy-source", path)
        asked += [
            Question(f"GET {name}", "GET", path),
            Question(f"GET end of {name}", "GET", path, headers=(("range", "bytes=-1000"),)),
            Question(f"GET begin of {name}", "GET", path, headers=(("range", "bytes=0-999"),)),
            Question(f"HEAD {name}", "HEAD", path),
            Question(f"UploadPartCopy {name}", "PUT", f"{BUCKET}/target", part_of, (source,), is_write=True),
        ]
    asked.append(Question("GET part 2", "GET", f"{BUCKET}/parts", (("partNumber", "2"),)))
    return asked


def fill_few(server: ServerProcess) -> list[Question]:
    """Make a bucket of a few rows, for one damage that is aimed at."""
    s3 = server.s3
    assert s3.request("PUT", BUCKET).status == 200
    for number in range(30):
        headers = {"x-amz-meta-number": str(number)}
        body = b"two" * 99 if number == 9 else b"t" + b"two" * number
        assert s3.request("PUT", f"{BUCKET}/key-{number:03}", headers=headers, body=body).status == 200
    uploads.begin(s3, BUCKET[1:], "unfinished").put(1, b"unfinished-" + b"two" * 999)
    asked = [Question(f"GET {number}", "GET", f"{BUCKET}/key-{number:03}") for number in range(30)]
    return [*asked, Question("LIST", "GET", BUCKET, (("list-type", "2"),))]
