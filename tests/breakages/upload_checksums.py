"""Servers broken for the checks of checksums of multipart uploads and of their parts."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from anys3.model import Upload
from anys3.operations.call import Call
from anys3.operations.complete_multipart_upload import _checksum, _read_parts
from anys3.operations.create_multipart_upload import _checksum as _settings
from anys3.operations.unfinished import find_upload
from anys3.protocol import checksums
from anys3.spec.errors import S3Error
from tests.broken_servers import (
    Breakage,
    Handler,
    answering,
    breaks,
    handled,
    overlooking,
    patched,
    saying,
    set_header,
    without_header,
)

_COMPLETING = "anys3.operations.complete_multipart_upload"
_PARTS = "CK-07/value-of-two-parts"
_resolve, _composite = checksums.resolve_type, checksums.composite


def resolving(sentence: str, resolve: Callable[[Any, Any], Any]) -> Breakage:
    """Finds the type of an upload's checksums in another way."""
    return patched(sentence, "anys3.protocol.checksums.resolve_type", resolve)


def composing(sentence: str, compose: Callable[[Any, Sequence[str]], str]) -> Breakage:
    """Makes COMPOSITE checksums in another way."""
    return patched(sentence, "anys3.protocol.checksums.composite", compose)


def of_the_text(algorithm: Any, values: Sequence[str]) -> str:
    """Take the digest of the values as they are sent."""
    return f"{checksums.encode(checksums.digest(algorithm, ''.join(values).encode()))}-{len(values)}"


def all_listed_as_composite(upload: Upload, *rest: Any) -> Any:
    """Make every object's checksum a COMPOSITE one."""
    return _checksum(replace(upload, checksum_type="COMPOSITE"), *rest)


def added(_: Any, parts: Sequence[tuple[str, int]]) -> str:
    """Combine CRCs without regard for the lengths."""
    total = 0
    for value, _size in parts:
        total ^= int.from_bytes(b64decode(value), "big")
    return b64encode(total.to_bytes(4, "big")).decode()


async def undeclared(call: Call, upload_id: str | None) -> Upload:
    """Find an upload as if it had declared no algorithm."""
    return replace(await find_upload(call, upload_id), checksum_algorithm=None, checksum_type=None)


async def only_declared(call: Call, want: Any, proceed: Handler) -> Any:
    """Take checksums of parts only where they were declared."""
    upload = await find_upload(call, want.upload_id)
    if call.plan.checksum_algorithm is not None and upload.checksum_algorithm is None:
        raise S3Error("InvalidRequest")
    return await proceed(call, want)


def never(*_: Any) -> None:
    raise S3Error("BadDigest")


def wanting_checksums(body: bytes) -> Any:
    """Refuse a list without checksums, with a code of its own."""
    listed = _read_parts(body)
    if not all(one.checksums for one in listed):
        raise S3Error("InvalidPart")
    return listed


def no_such_type(algorithm: Any, kind: Any) -> Any:
    if kind == "FULL_OBJECT":
        raise S3Error("InvalidRequest")
    return _resolve(algorithm, kind)


_OF_UPLOADS = "CK-06/types-of-uploads"
_THAT_DO_NOT_FIT = "CK-06/types-that-do-not-fit"
breaks(_OF_UPLOADS, resolving("FULL_OBJECT is the default", lambda _, kind: kind or "FULL_OBJECT"))
breaks(_OF_UPLOADS, resolving("FULL_OBJECT is not known", no_such_type))
breaks(_OF_UPLOADS, resolving("the type is ignored", lambda algorithm, _: _resolve(algorithm, None)))
breaks(
    _OF_UPLOADS,
    resolving("COMPOSITE is the default", lambda algorithm, kind: _resolve(algorithm, kind or "COMPOSITE")),
)
breaks(
    _THAT_DO_NOT_FIT, resolving("every type fits", lambda algorithm, kind: kind or _resolve(algorithm, None))
)
breaks(
    _THAT_DO_NOT_FIT,
    patched(
        "a type needs no algorithm",
        "anys3.operations.create_multipart_upload._checksum",
        lambda name, kind: (None, None) if name is None else _settings(name, kind),
    ),
)
breaks(_THAT_DO_NOT_FIT, saying("InvalidArgument", instead_of="InvalidRequest", method="POST"))
breaks(
    "CK-06/value-of-the-whole", patched("CRCs are only added", "anys3.protocol.checksums.full_object", added)
)
breaks(
    "CK-06/value-of-the-whole",
    patched("every object of parts is COMPOSITE", f"{_COMPLETING}._checksum", all_listed_as_composite),
)
breaks(_PARTS, composing("a COMPOSITE checksum is that of texts", of_the_text))
breaks(
    _PARTS,
    composing("a COMPOSITE checksum lacks the number", lambda *of: _composite(*of).partition("-")[0]),
)
breaks(
    _PARTS,
    composing(
        "a COMPOSITE checksum is that of the last part", lambda _, values: f"{values[-1]}-{len(values)}"
    ),
)
breaks(
    "CK-08/algorithm-of-a-part",
    patched("a part may have any checksum", "anys3.operations.upload_part.find_upload", undeclared),
)
breaks(
    "CK-08/algorithm-of-a-part",
    handled("checksums of parts must be declared", "UploadPart", only_declared),
)
_VERIFIED = "CK-09/verified-completion"
breaks(_VERIFIED, patched("the whole is not compared", f"{_COMPLETING}._compare", lambda *_: None))
breaks(_VERIFIED, patched("nothing is equal", f"{_COMPLETING}._compare", never))
breaks(_VERIFIED, patched("parts are not compared", f"{_COMPLETING}._checksums_agree", lambda *_: True))
breaks(_VERIFIED, overlooking("CompleteMultipartUpload", "checksum_type"))
breaks(_VERIFIED, saying("InvalidRequest", instead_of="BadDigest"))
for _method in ("GET", "HEAD"):
    breaks("CK-12/of-one-part", without_header("x-amz-checksum-crc32", method=_method, query="partNumber="))
breaks(
    "CK-12/of-one-part",
    answering(
        "a part has a checksum that is not its own",
        lambda request, answer: (
            set_header(answer, "x-amz-checksum-crc32", "y/Q5Jg==")
            if b"partNumber=" in request.query and answer.status == 206
            else None
        ),
    ),
)


def only_where_there_is_none(request: Any, answer: Any) -> Any:
    """Tell the checksum of the whole with parts that have none."""
    is_part = b"partNumber=" in request.query and answer.status == 206
    is_without = is_part and b"x-amz-checksum-crc32" not in answer.headers
    return set_header(answer, "x-amz-checksum-crc32", "y/Q5Jg==") if is_without else None


breaks("CK-12/of-one-part", answering("parts have the checksum of the whole", only_where_there_is_none))
breaks(
    "CK-13/parts-without-checksums",
    patched("a list without checksums is another error", f"{_COMPLETING}._read_parts", wanting_checksums),
)
breaks("CK-13/numbers-with-gaps", saying("InternalError", instead_of="InvalidPartOrder"))
