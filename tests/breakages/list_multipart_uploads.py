"""Servers broken for the checks of ListMultipartUploads."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote

from anys3.protocol import uploads
from anys3.spec.errors import S3Error
from anys3.store.interface import UploadListing
from anys3.store.memory import MemoryStore
from tests.breakages.abort_multipart_upload import does_nothing
from tests.breakages.complete_multipart_upload_once import keeps_the_upload
from tests.broken_servers import (
    accepting,
    answering,
    body_of,
    breaks,
    handled,
    patched,
    replace_in_body,
    saying,
    when,
)

_new_id = uploads.new_id
_uploads = MemoryStore.uploads
_LIMIT = "anys3.operations.listing_page.MAX_PAGE"


def broken(sentence, handler):
    """Break ListMultipartUploads."""
    return handled(sentence, "ListMultipartUploads", handler)


def listing(sentence, change):
    """Change what the store lists: `change(found, prefix)` returns another UploadListing."""

    async def changed(store, bucket, prefix, delimiter, after_key, after_upload_id, limit):
        found = await _uploads(store, bucket, prefix, delimiter, after_key, after_upload_id, limit)
        return change(found, prefix)

    return patched(sentence, "anys3.store.memory.MemoryStore.uploads", changed)


def without(name):
    """Pages of uploads whose elements of that name have another."""
    return answering(
        f"{name} is missing",
        lambda request, answer: (
            replace_in_body(answer, f"{name}>", f"Not{name}>") if when(request, "GET", "uploads") else None
        ),
    )


for _name in ("Key", "UploadId", "Initiated", "StorageClass"):
    breaks("LMU-01/elements-of-an-upload", without(_name))


def by_time(found, prefix):
    return replace(found, uploads=sorted(found.uploads, key=lambda upload: upload.upload_id))


breaks("LMU-01/order-of-keys", listing("uploads come by time alone", by_time))
breaks(
    "LMU-01/order-of-one-key",
    patched(
        "the latest upload of a key comes first",
        "anys3.protocol.uploads.new_id",
        lambda now_us, bucket_id, key, random: _new_id((1 << 55) - now_us, bucket_id, key, random),
    ),
)
breaks("LMU-02/at-most-1000-uploads", patched("pages have 100 uploads", _LIMIT, 100))
breaks("LMU-02/at-most-1000-uploads", patched("pages have 10,000 uploads", _LIMIT, 10_000))


async def ignores_upload_ids(call, want, proceed):
    want.upload_id_marker = None
    return await proceed(call, want)


def must_be_there(otherwise):
    """Look for the marker's upload; if it has ended, do something else."""

    async def handler(call, want, proceed):
        if want.key_marker and want.upload_id_marker:
            key = want.key_marker.encode()
            if await call.store.upload(call.bucket, key, want.upload_id_marker) is None:
                otherwise(want)
        return await proceed(call, want)

    return handler


def begin_again(want):
    want.key_marker = want.upload_id_marker = None


def refuse(want):
    raise S3Error("InvalidArgument")


async def lists_the_key_again(store, bucket, prefix, delimiter, after_key, after_upload_id, limit):
    first = "" if after_key and after_upload_id is None else after_upload_id
    return await _uploads(store, bucket, prefix, delimiter, after_key, first, limit)


async def wants_a_key_marker(call, want, proceed):
    if want.upload_id_marker and not want.key_marker:
        raise S3Error("InvalidArgument")
    return await proceed(call, want)


breaks(
    ("LMU-02/both-markers", "LMU-07/pages-are-complete", "LMU-07/pages-of-one-key"),
    broken("upload-id-marker is ignored", ignores_upload_ids),
)
breaks(
    "LMU-02/marker-ended-meanwhile",
    broken("a marker that has ended begins again", must_be_there(begin_again)),
)
breaks(
    "LMU-02/key-marker-alone",
    patched(
        "key-marker alone lists its key again",
        "anys3.store.memory.MemoryStore.uploads",
        lists_the_key_again,
    ),
)
breaks("LMU-02/upload-id-marker-alone", broken("upload-id-marker alone is refused", wants_a_key_marker))
breaks(
    ("LMU-03/marker-is-malformed", "LMU-03/marker-of-another-key"),
    accepting("InvalidArgument", method="GET", query="upload-id-marker"),
)
breaks("LMU-03/marker-has-ended", broken("a marker that has ended is refused", must_be_there(refuse)))


async def ignores_the_delimiter(call, want, proceed):
    want.delimiter = None
    return await proceed(call, want)


async def ignores_the_encoding(call, want, proceed):
    want.encoding_type = None
    return await proceed(call, want)


def of_the_very_key(found, prefix):
    return replace(found, uploads=[upload for upload in found.uploads if upload.key == prefix])


def plain(name):
    """Pages with encoding-type=url in which one element is not encoded."""

    def changed(request, answer):
        if not when(request, "GET", "encoding-type=url"):
            return None
        pattern = rb"(<%b>)([^<]+)" % name.encode()
        body = re.sub(pattern, lambda match: match[1] + unquote(match[2].decode()).encode(), body_of(answer))
        return replace(answer, body=body, length=None)

    return answering(f"{name} is not encoded", changed)


breaks("LMU-04/prefix-of-uploads", listing("a prefix must be a whole key", of_the_very_key))
breaks("LMU-04/prefix-of-uploads", without("Prefix"))
breaks("LMU-04/delimiter-of-uploads", broken("the delimiter is ignored", ignores_the_delimiter))
breaks("LMU-04/delimiter-of-uploads", without("CommonPrefixes"))
breaks("LMU-04/encoding-type-url", broken("encoding-type is ignored", ignores_the_encoding))
for _name in ("Key", "NextKeyMarker", "KeyMarker", "Prefix", "Delimiter"):
    breaks("LMU-04/encoding-type-url", plain(_name))
breaks(
    "LMU-05/ended-uploads-are-absent",
    handled("completed uploads are still listed", "CompleteMultipartUpload", keeps_the_upload),
)
breaks(
    "LMU-05/ended-uploads-are-absent",
    handled("aborted uploads are still listed", "AbortMultipartUpload", does_nothing),
)
breaks("LMU-06/missing-bucket", accepting("NoSuchBucket", method="GET", query="uploads"))
breaks("LMU-06/missing-bucket", saying("AccessDenied", instead_of="NoSuchBucket", query="uploads"))
breaks(("LMU-07/pages-are-complete", "LMU-07/pages-of-one-key"), without("NextUploadIdMarker"))
breaks(("LMU-07/pages-are-complete", "LMU-07/pages-of-one-key"), without("NextKeyMarker"))
breaks("LMU-08/max-uploads-is-no-number", accepting("InvalidArgument", method="GET", query="max-uploads="))
breaks(
    "ST-04/upload-is-resumed",
    listing("no uploads are listed", lambda found, prefix: UploadListing([], [], is_truncated=False)),
)


async def forgets_the_parts(call, want, proceed):
    want.part_number_marker = 10_000
    return await proceed(call, want)


breaks("ST-04/upload-is-resumed", handled("no parts are listed", "ListParts", forgets_the_parts))
