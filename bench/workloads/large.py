"""Objects of 1 MiB and of 1 GiB: GET, ranges, PUT, multipart uploads, copies."""

from __future__ import annotations

import re

from bench import client
from bench.client import Request
from bench.stage import MIB, NAMESPACE, Stage
from bench.workloads.workload import Floor, Unit, Workload, make_bucket

BUCKET = "/bench-large"
MEDIUM = 64
"""Objects of 1 MiB that GETs read."""


def seed_medium(stage: Stage) -> None:
    """Store the objects of 1 MiB."""
    make_bucket(stage, BUCKET)
    if "1m" not in stage.seeded:
        stage.send([stage.put(f"{BUCKET}/m{index:03d}", MIB, index) for index in range(MEDIUM)], 4)
        stage.seeded.add("1m")


def get_medium(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return GETs of 1 MiB."""
    return [
        stage.request("GET", f"{BUCKET}/m{(salt + index) % MEDIUM:03d}", answer_bytes=MIB)
        for index in range(count)
    ]


def put_medium(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return PUTs of new objects of 1 MiB, each hashed by the client."""
    return [stage.put(_new(salt, index), MIB, salt * 10_007 + index) for index in range(count)]


def _new(salt: int, index: int) -> str:
    return f"{BUCKET}/new{salt:04d}-{index:05d}"


def delete_new(stage: Stage, count: int, salt: int) -> None:
    """Delete what a load has stored: the disk is not there for all rounds of all targets."""
    stage.send_any([stage.request("DELETE", _new(salt, index), status=204) for index in range(count)])


def _seed_one(stage: Stage, name: str, size: int) -> None:
    make_bucket(stage, BUCKET)
    if name not in stage.seeded:
        stage.send([stage.put(f"{BUCKET}/{name}", size, 1)], 1)
        stage.seeded.add(name)


def seed_large(stage: Stage) -> None:
    """Store the object that large GETs and copies read."""
    _seed_one(stage, "large", stage.sizes.large_bytes)


def get_large(stage: Stage, count: int, salt: int) -> list[Request]:  # noqa: ARG001 (the shape of `requests`)
    """Return GETs of the large object."""
    size = stage.sizes.large_bytes
    return [stage.request("GET", f"{BUCKET}/large", answer_bytes=size) for _ in range(count)]


def put_large(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return large PUTs, UNSIGNED-PAYLOAD."""
    return [stage.put(_new(salt, index), stage.sizes.large_bytes, salt + index) for index in range(count)]


def before_get_new(stage: Stage, count: int, salt: int) -> None:
    """Store what the load reads for the first time."""
    stage.send(put_large(stage, count, salt), 1)


def get_new(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return GETs of large objects, each the first one after its PUT."""
    size = stage.sizes.large_bytes
    return [stage.request("GET", _new(salt, index), answer_bytes=size) for index in range(count)]


def copy_large(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return copies of the large object to new keys."""
    headers = {"x-amz-copy-source": f"{BUCKET}/large"}
    return [
        stage.request("PUT", _new(salt, index), headers=headers, flags=client.NO_ERROR)
        for index in range(count)
    ]


def seed_source(stage: Stage) -> None:
    """Store the object that ranges are read from."""
    _seed_one(stage, "source", stage.sizes.range_source_bytes)


def get_range(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return GETs of 1 MiB out of the large source, at offsets that follow no block's border."""
    last = stage.sizes.range_source_bytes - MIB
    made = []
    for index in range(count):
        begin = (salt * 131 + index) * 1_299_709_123 % last
        asked = {"range": f"bytes={begin}-{begin + MIB - 1}"}
        made.append(stage.request("GET", f"{BUCKET}/source", headers=asked, status=206, answer_bytes=MIB))
    return made


# --- multipart ------------------------------------------------------------------------------------------


def parts_of(stage: Stage) -> list[int]:
    """Return the sizes of the parts of a multipart upload."""
    whole, rest = divmod(stage.sizes.large_bytes, stage.sizes.part_bytes)
    return [stage.sizes.part_bytes] * whole + ([rest] if rest else [])


def create_uploads(stage: Stage, count: int, salt: int) -> None:
    """Create the uploads of one load; their ids are kept with the stage."""
    make_bucket(stage, BUCKET)
    for index in range(count):
        request = stage.document("POST", _new(salt, index), "", {"uploads": ""})
        answer = stage.answer(request)
        found = re.search(rb"<UploadId>([^<]+)</UploadId>", answer)
        if not found:
            raise RuntimeError(f"no upload was made: {answer[:300]!r}")
        stage.uploads[salt, index] = found[1].decode()


def upload_parts(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return the parts of each upload, UNSIGNED-PAYLOAD above 1 MiB, and its CompleteMultipartUpload."""
    made = []
    for index in range(count):
        path, upload, listed = _new(salt, index), stage.uploads[salt, index], ""
        for number, size in enumerate(parts_of(stage), 1):
            made.append(stage.put(path, size, number % 8, {"partNumber": str(number), "uploadId": upload}))
            etag = _etag(stage, size, number % 8)
            listed += f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>"
        text = f'<CompleteMultipartUpload xmlns="{NAMESPACE}">{listed}</CompleteMultipartUpload>'
        flags = client.BARRIER | client.NO_ERROR
        made.append(stage.document("POST", path, text, {"uploadId": upload}, flags=flags))
    return made


def _etag(stage: Stage, size: int, index: int) -> str:
    """Return a part's ETag, which is known before it is sent."""
    known = stage.etags
    if (size, index) not in known:
        known[size, index] = stage.md5(size, index)
    return known[size, index]


def _large_bytes(stage: Stage) -> int:
    return stage.sizes.large_bytes


def _medium_bytes(stage: Stage) -> int:  # noqa: ARG001 (the shape of `op_bytes`)
    return MIB


def _bulk(name: str, title: str, **more: object) -> Workload:
    chosen = {
        "connections": (1,),
        "most": 2,
        "warm_up": 1,
        "op_bytes": _large_bytes,
        "unit": Unit.BYTES,
        **more,
    }
    return Workload(name, title, **chosen)  # type: ignore[arg-type]


_MEDIUM = {"connections": (16,), "most": 3_000, "warm_up": 32, "op_bytes": _medium_bytes}
WORKLOADS = (
    _bulk(
        "get-1m",
        "GET of 1 MiB objects",
        prepare=seed_medium,
        requests=get_medium,
        floors=(Floor.LOOPBACK,),
        **_MEDIUM,
    ),
    _bulk(
        "range-1m",
        "GET of 1 MiB ranges out of one very large object",
        prepare=seed_source,
        requests=get_range,
        floors=(Floor.LOOPBACK,),
        **_MEDIUM,
    ),
    _bulk(
        "put-1m",
        "PUT of new 1 MiB objects, SHA-256 of each signed",
        prepare=seed_medium,
        requests=put_medium,
        after=delete_new,
        floors=(Floor.MD5,),
        writes=True,
        **{**_MEDIUM, "most": 1_000},
    ),
    _bulk(
        "get-1g",
        "GET of a large object that has been read before",
        prepare=seed_large,
        requests=get_large,
        floors=(Floor.LOOPBACK,),
        most=4,
    ),
    _bulk(
        "get-1g-new",
        "GET of a large object, the first after its PUT",
        prepare=seed_large,
        before=before_get_new,
        requests=get_new,
        after=delete_new,
        floors=(Floor.LOOPBACK,),
    ),
    _bulk(
        "put-1g",
        "PUT of a large object in one request",
        prepare=seed_large,
        requests=put_large,
        after=delete_new,
        floors=(Floor.MD5,),
        writes=True,
    ),
    _bulk(
        "multipart-1g",
        "a large object in parts of 16 MiB, and CompleteMultipartUpload",
        prepare=seed_large,
        before=create_uploads,
        requests=upload_parts,
        after=delete_new,
        connections=(4,),
        requests_per_operation=lambda stage: len(parts_of(stage)) + 1,
        floors=(Floor.MD5,),
        writes=True,
    ),
    _bulk(
        "copy-1g",
        "CopyObject of a large object",
        prepare=seed_large,
        requests=copy_large,
        after=delete_new,
        floors=(),
        writes=True,
    ),
)
