"""What a cell of the matrix works on: a bucket with some of everything, the operations, and what they should do to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree import ElementTree

from tests.rawclient import RawClient, Response

SMALL, LARGE, HUGE = 2_000, 300_000, 1_500_000
"""Bytes of a content in the index, of one in a file, and of one whose body a thread receives."""
State = dict[tuple[str, ...], object]


def body(size: int, seed: str) -> bytes:
    """Return bytes that depend on both."""
    block = hashlib.sha256(seed.encode()).digest()
    return (block * (size // 32 + 1))[:size]


def digest(data: bytes) -> str:
    """Return what stands for a content in a state."""
    return f"{len(data)} {hashlib.md5(data, usedforsecurity=False).hexdigest()}"


@dataclass(slots=True)
class Ground:
    """One bucket, filled: `small`, `large`, `parts` (of an upload), an unfinished upload of `open`, and an empty one."""

    s3: RawClient
    bucket: str
    upload_id: str = ""
    part_etag: str = ""
    tried: int = 0
    """How often the operation was tried: each try has another content."""
    answers: list[Response] = field(default_factory=list)

    def must(self, *request: object, **options: object) -> Response:
        """Send a request that has to succeed."""
        answer = self.s3.request(*request, **options)  # type: ignore[arg-type]
        assert answer.status < 300, (request[:2], answer.verdict)
        return answer

    def fill(self) -> None:
        """Make the bucket, its empty neighbour, and what lies in it."""
        self.must("PUT", f"/{self.bucket}")
        self.must("PUT", f"/{self.bucket}-empty")
        self.must("PUT", self.path("small"), body=body(SMALL, "small"))
        self.must("PUT", self.path("large"), body=body(LARGE, "large"))
        upload_id, etag = self.begin("parts", LARGE)
        self.complete("parts", upload_id, etag)
        self.upload_id, self.part_etag = self.begin("open", LARGE)

    def path(self, key: str) -> str:
        """Return the path of a key."""
        return f"/{self.bucket}/{key}"

    def begin(self, key: str, size: int) -> tuple[str, str]:
        """Begin an upload with one part; return its id, and the part's ETag."""
        made = self.must("POST", self.path(key), "uploads")
        upload_id = made.text("UploadId") or ""
        query = [("partNumber", "1"), ("uploadId", upload_id)]
        part = self.must("PUT", self.path(key), query, body=body(size, key))
        return upload_id, part.headers["etag"]

    def complete(self, key: str, upload_id: str, etag: str) -> Response:
        """Complete an upload of one part."""
        part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
        return self.s3.request("POST", self.path(key), [("uploadId", upload_id)], body=document)

    def state(self) -> State:
        """Return what can be seen of both buckets; LIST, HEAD and GET must agree. Raises AssertionError."""
        seen: State = {}
        for bucket in (self.bucket, f"{self.bucket}-empty", f"{self.bucket}-new"):
            listed = self.s3.request("GET", f"/{bucket}", [("list-type", "2")])
            assert listed.status in (200, 404), listed.verdict
            if listed.status == 404:
                continue
            seen["bucket", bucket.removeprefix(self.bucket)] = True
            for key, size in zip(listed.texts("Contents/Key"), listed.texts("Contents/Size"), strict=True):
                seen["object", key] = self._object(key, int(size))
        uploads = self.must("GET", f"/{self.bucket}", "uploads")
        for key, upload_id in zip(uploads.texts("Upload/Key"), uploads.texts("Upload/UploadId"), strict=True):
            parts = self.must("GET", self.path(key), [("uploadId", upload_id)])
            numbers, etags = parts.texts("Part/PartNumber"), parts.texts("Part/ETag")
            found = sorted(zip(numbers, etags, strict=True))
            seen["uploads", key] = sorted([*seen.get(("uploads", key), []), found])  # type: ignore[misc]
        tags = self.s3.request("GET", self.path("small"), "tagging")
        seen["tags",] = tags.texts("TagSet/Tag/Value") if tags.status == 200 else tags.verdict
        return seen

    def _object(self, key: str, size: int) -> str:
        head = self.s3.request("HEAD", self.path(key))
        got = self.must("GET", self.path(key))
        assert (head.status, head.headers["content-length"]) == (200, str(size)), (key, head.status)
        assert head.headers["etag"] == got.headers["etag"], key
        assert len(got.body) == size, key
        return digest(got.body)


Change = Callable[[State, Ground], None]


@dataclass(frozen=True, slots=True)
class Operation:
    """One request, what of the store it needs, and what it does to the state if it succeeds."""

    name: str
    needs: frozenset[str]
    """index: a commit; write, link: a file made, or linked; open, read: of a file; lent: a second descriptor."""
    send: Callable[[Ground], Response]
    change: Change = lambda state, ground: None
    is_repeatable: bool = True
    """Whether it succeeds once more, after it did."""


def _put(key: str, size: int) -> tuple[Callable[[Ground], Response], Change]:
    def send(ground: Ground) -> Response:
        return ground.s3.request("PUT", ground.path(key), body=body(size, f"{key}{ground.tried}"))

    def change(state: State, ground: Ground) -> None:
        state["object", key] = digest(body(size, f"{key}{ground.tried}"))
        if key == "small":
            state["tags",] = []

    return send, change


def _put_part(size: int) -> tuple[Callable[[Ground], Response], Change]:
    def send(ground: Ground) -> Response:
        query = [("partNumber", "2"), ("uploadId", ground.upload_id)]
        return ground.s3.request("PUT", ground.path("open"), query, body=body(size, f"p{ground.tried}"))

    def change(state: State, ground: Ground) -> None:
        etag = hashlib.md5(body(size, f"p{ground.tried}"), usedforsecurity=False).hexdigest()
        state["uploads", "open"] = [[("1", ground.part_etag), ("2", f'"{etag}"')]]

    return send, change


def _copy(key: str) -> tuple[Callable[[Ground], Response], Change]:
    def send(ground: Ground) -> Response:
        return ground.s3.request("PUT", ground.path("copy"), headers={"x-amz-copy-source": ground.path(key)})

    def change(state: State, ground: Ground) -> None:
        state["object", "copy"] = state["object", key]

    return send, change


def _copy_part() -> tuple[Callable[[Ground], Response], Change]:
    def send(ground: Ground) -> Response:
        headers = {"x-amz-copy-source": ground.path("large"), "x-amz-copy-source-range": "bytes=0-199999"}
        query = [("partNumber", "2"), ("uploadId", ground.upload_id)]
        return ground.s3.request("PUT", ground.path("open"), query, headers=headers)

    def change(state: State, ground: Ground) -> None:
        etag = hashlib.md5(body(LARGE, "large")[:200_000], usedforsecurity=False).hexdigest()
        state["uploads", "open"] = [[("1", ground.part_etag), ("2", f'"{etag}"')]]

    return send, change


def _removed(*names: tuple[str, ...]) -> Change:
    def change(state: State, ground: Ground) -> None:
        for name in names:
            state.pop(name, None)
        if ("object", "small") in names:
            state["tags",] = (404, "NoSuchKey")

    return change


def _delete_many(ground: Ground) -> Response:
    document = b"<Delete>%s</Delete>" % b"".join(
        b"<Object><Key>%s</Key></Object>" % key for key in (b"small", b"large", b"parts")
    )
    headers = {"content-md5": _md5(document)}
    return ground.s3.request("POST", f"/{ground.bucket}", "delete", headers, document)


def _md5(data: bytes) -> str:
    import base64

    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _complete(ground: Ground) -> Response:
    return ground.complete("open", ground.upload_id, ground.part_etag)


def _completed(state: State, ground: Ground) -> None:
    state.pop(("uploads", "open"), None)
    state["object", "open"] = digest(body(LARGE, "open"))


def _began(state: State, ground: Ground) -> None:
    state["uploads", "another"] = [[], *state.get(("uploads", "another"), [])]  # type: ignore[misc]


def _tag(ground: Ground) -> Response:
    document = (
        f"<Tagging><TagSet><Tag><Key>k</Key><Value>{ground.tried}</Value></Tag></TagSet></Tagging>".encode()
    )
    headers = {"content-md5": _md5(document)}
    return ground.s3.request("PUT", ground.path("small"), "tagging", headers, document)


def _tagged(state: State, ground: Ground) -> None:
    state["tags",] = [str(ground.tried)]


def _made(state: State, ground: Ground) -> None:
    state["bucket", "-new"] = True


def _getting(key: str, range_: str = "", method: str = "GET") -> Callable[[Ground], Response]:
    def send(ground: Ground) -> Response:
        return ground.s3.request(method, ground.path(key), headers={"range": range_} if range_ else None)

    return send


def _at(method: str, key: str, query: str = "") -> Callable[[Ground], Response]:
    return lambda ground: ground.s3.request(method, f"/{ground.bucket}{key}", query)


def _needs(text: str) -> frozenset[str]:
    return frozenset(text.split())


OPERATIONS = (
    Operation("PutObject small", _needs("index"), *_put("new", SMALL)),
    Operation("PutObject large", _needs("write index"), *_put("new", LARGE)),
    Operation("PutObject handed over", _needs("write index lent"), *_put("new", HUGE)),
    Operation("PutObject over small", _needs("index"), *_put("small", SMALL)),
    Operation("PutObject over large", _needs("write index"), *_put("large", LARGE)),
    Operation("CopyObject small", _needs("index"), *_copy("small")),
    Operation("CopyObject large", _needs("open link index"), *_copy("large")),
    Operation("DeleteObject", _needs("index"), _at("DELETE", "/large"), _removed(("object", "large"))),
    Operation(
        "DeleteObjects",
        _needs("index"),
        _delete_many,
        _removed(("object", "small"), ("object", "large"), ("object", "parts")),
    ),
    Operation("CreateMultipartUpload", _needs("index"), _at("POST", "/another", "uploads"), _began),
    Operation("UploadPart small", _needs("index"), *_put_part(SMALL)),
    Operation("UploadPart large", _needs("write index"), *_put_part(LARGE)),
    Operation("UploadPartCopy", _needs("open read write index"), *_copy_part()),
    Operation("CompleteMultipartUpload", _needs("index"), _complete, _completed),
    Operation(
        "AbortMultipartUpload",
        _needs("index"),
        lambda ground: ground.s3.request("DELETE", ground.path("open"), [("uploadId", ground.upload_id)]),
        _removed(("uploads", "open")),
        is_repeatable=False,
    ),
    Operation("PutObjectTagging", _needs("index"), _tag, _tagged),
    Operation("CreateBucket", _needs("index"), _at("PUT", "-new"), _made, is_repeatable=False),
    Operation(
        "DeleteBucket", _needs("index"), _at("DELETE", "-empty"), _removed(("bucket", "-empty")), is_repeatable=False
    ),
    Operation("GetObject small", _needs(""), _getting("small")),
    Operation("GetObject large", _needs("open read"), _getting("large")),
    Operation("GetObject of parts", _needs("open read"), _getting("parts")),
    Operation("GetObject range", _needs("open read"), _getting("large", "bytes=1000-1999")),
    Operation("HeadObject", _needs(""), _getting("large", method="HEAD")),
    Operation("ListObjectsV2", _needs(""), _at("GET", "", "list-type=2")),
    Operation("ListParts", _needs(""), lambda g: g.s3.request("GET", g.path("open"), [("uploadId", g.upload_id)])),
    Operation("GetObjectTagging", _needs(""), _at("GET", "/small", "tagging")),
)  # fmt: skip


def error_code(answer: Response) -> str:
    """Return the code of an error document, also of one behind a begun 200 or in a DeleteResult; "" if none."""
    if not answer.body.lstrip().startswith(b"<"):
        return ""
    root = ElementTree.fromstring(answer.body.strip())
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag == "Error":
        return root.findtext("Code") or "?"
    return root.findtext("Error/Code") or ""
