"""Servers broken for the checks of CreateMultipartUpload."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from anys3.operations.publishing import make_entry
from anys3.protocol import metadata
from anys3.spec.errors import S3Error
from anys3.store.mutations import Mutation, PutEntry, PutUpload
from tests.broken_servers import (
    accepting,
    answering,
    breaks,
    handled,
    patched,
    replace_in_body,
    saying,
    when,
)

META = b"x-amz-meta-"


def on_start(sentence, old, new):
    """Change the answer to CreateMultipartUpload."""
    return answering(
        sentence,
        lambda request, answer: (
            replace_in_body(answer, old, new) if when(request, "POST", "uploads") else None
        ),
    )


breaks(
    "CMU-01/starts-an-upload",
    on_start("upload ids hold characters that a URL must escape", "<UploadId>", "<UploadId>a+b/c="),
)
breaks("CMU-01/starts-an-upload", on_start("the key is shown percent-encoded", "a b/c", "a%20b/c"))
breaks(
    "CMU-01/starts-an-upload",
    on_start("the answer has another root", "InitiateMultipartUploadResult", "CreateMultipartUploadResult"),
)
breaks(
    "CMU-01/several-uploads-of-one-key",
    patched(
        "a key has one upload at a time",
        "anys3.protocol.uploads.new_id",
        lambda now_us, bucket_id, key, random: hashlib.sha256(b"%d/%b" % (bucket_id, key)).hexdigest()[:46],
    ),
)


async def forgets_headers(call, want, proceed):
    call.request.headers = {
        name: value for name, value in call.request.headers.items() if not name.startswith(b"c")
    }
    return await proceed(call, want)


async def forgets_metadata(call, want, proceed):
    want.metadata = None
    return await proceed(call, want)


async def applies_headers_of_parts(call, want, proceed):
    upload = await call.store.upload(call.bucket, call.key, want.upload_id)
    headers = call.request.headers
    sent = {name.removeprefix(META): value for name, value in headers.items() if name.startswith(META)}
    changed = replace(upload, stored=metadata.stored_lines(headers, sent))
    await call.commit(Mutation(call.bucket, (PutUpload(changed),)))
    return await proceed(call, want)


async def forgets_tags(call, want, proceed):
    want.tagging = None
    return await proceed(call, want)


breaks(
    "CMU-02/headers-of-the-creation-apply",
    handled("content headers of the creation are forgotten", "CreateMultipartUpload", forgets_headers),
)
breaks(
    "CMU-02/headers-of-the-creation-apply",
    handled("metadata of the creation is forgotten", "CreateMultipartUpload", forgets_metadata),
)
breaks(
    "CMU-02/headers-of-the-creation-apply",
    handled("the headers of the last part are the object's", "UploadPart", applies_headers_of_parts),
)
breaks(
    "CMU-02/tags-of-the-creation-apply",
    handled("tags of the creation are forgotten", "CreateMultipartUpload", forgets_tags),
)


async def leaves_an_empty_object(call, want, proceed):
    answer = await proceed(call, want)
    entry = make_entry(size=0, etag=hashlib.md5(b"").hexdigest(), modified_ms=call.now_ms, stored=b"")
    await call.commit(Mutation(call.bucket, (PutEntry(call.key, entry, b""),)))
    return answer


breaks(
    ("CMU-03/nothing-is-visible", "CMU-03/existing-object-stays"),
    handled("an upload begins with an empty object", "CreateMultipartUpload", leaves_an_empty_object),
)
breaks("CMU-04/missing-bucket", accepting("NoSuchBucket", method="POST"))
breaks("CMU-04/missing-bucket", saying("AccessDenied", instead_of="NoSuchBucket", method="POST"))
breaks(
    "CMU-04/key-too-long",
    patched("keys of any length are taken", "anys3.protocol.names.check_key", lambda key: None),
)


def refusing(algorithm, kind=None):
    """Refuse a checksum algorithm, or one type of it."""

    async def handler(call, want, proceed):
        if want.checksum_algorithm == algorithm and kind in (None, want.checksum_type):
            raise S3Error("NotImplemented")
        return await proceed(call, want)

    return handled(f"{algorithm} {kind} is not there", "CreateMultipartUpload", handler)


breaks("CMU-05/crc32-is-accepted", refusing(b"CRC32"))
breaks("CMU-05/crc32-is-accepted", refusing(b"CRC32", b"FULL_OBJECT"))
breaks("CMU-05/crc64nvme-is-accepted", refusing(b"CRC64NVME"))
breaks("CMU-05/crc64nvme-is-accepted", refusing(b"CRC64NVME", b"FULL_OBJECT"))


async def ignores_a_lonely_type(call, want, proceed):
    if want.checksum_algorithm is None:
        want.checksum_type = None
    return await proceed(call, want)


async def believes_checksums(call, want, proceed):
    call.plan = call.plan._replace(checksum=None)
    return await proceed(call, want)


breaks("CMU-06/unknown-algorithm", accepting("InvalidRequest", method="POST", query="uploads"))
breaks(
    "CMU-06/type-without-algorithm",
    handled("a type alone is ignored", "CreateMultipartUpload", ignores_a_lonely_type),
)
breaks(
    "CMU-06/algorithm-that-it-lacks",
    handled("checksums of parts are not verified", "UploadPart", believes_checksums),
)
