"""Servers broken for the checks of CompleteMultipartUpload: CPL-01 to CPL-10."""

from __future__ import annotations

import hashlib

from anys3.operations.publishing import make_entry
from anys3.protocol import etags
from anys3.spec.errors import S3Error
from anys3.store.mutations import AbortUpload, CompleteUpload, Mutation, PutEntry
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

MODULE = "anys3.operations.complete_multipart_upload"
_multipart = etags.multipart


def broken(sentence, handler):
    """Break CompleteMultipartUpload."""
    return handled(sentence, "CompleteMultipartUpload", handler)


def choosing(sentence, choose):
    """Choose the parts in another way: `choose(listed, stored)` returns them."""
    return patched(sentence, f"{MODULE}._choose", lambda listed, stored, upload: choose(listed, stored))


def of_the_listed(listed, stored):
    """Return the listed parts that are there."""
    return [stored[one.number] for one in listed if one.number in stored]


def on_completion(sentence, old, new):
    """Change the answer to CompleteMultipartUpload."""
    return answering(
        sentence,
        lambda request, answer: (
            replace_in_body(answer, old, new) if when(request, "POST", "uploadId=") else None
        ),
    )


async def publishes_anyway(call, want, proceed):
    """Refuse, but write the object of all parts first."""
    try:
        return await proceed(call, want)
    except S3Error:
        upload = await call.store.upload(call.bucket, call.key, want.upload_id)
        if upload is not None:
            parts = await call.store.parts(call.bucket, call.key, want.upload_id)
            size = sum(part.size for part in parts)
            etag = _multipart([part.etag for part in parts])
            entry = make_entry(
                size=size, etag=etag, modified_ms=call.now_ms, stored=b"", part_count=len(parts)
            )
            change = CompleteUpload(call.key, want.upload_id, entry, parts)
            await call.commit(Mutation(call.bucket, (change,)))
        raise


async def aborts_what_it_refuses(call, want, proceed):
    try:
        return await proceed(call, want)
    except S3Error as error:
        if error.code != "NoSuchUpload":
            await call.commit(Mutation(call.bucket, (AbortUpload(call.key, want.upload_id),)))
        raise


async def finds_nothing_to_do(call, want, proceed):
    answer = await proceed(call, want)
    await call.commit(Mutation(call.bucket, (PutEntry(call.key, empty_entry(call), b""),)))
    return answer


def empty_entry(call):
    """Return the row of an empty object."""
    return make_entry(size=0, etag=hashlib.md5(b"").hexdigest(), modified_ms=call.now_ms, stored=b"")


breaks(
    "CPL-01/answer-of-a-completion",
    on_completion("the root is another", "CompleteMultipartUploadResult", "CompleteMultipartUpload"),
)
breaks("CPL-01/answer-of-a-completion", on_completion("Location is missing", "Location>", "Url>"))
breaks(
    "CPL-01/answer-of-a-completion", on_completion("the key is encoded", "of one part/", "of%20one%20part/")
)
breaks("CPL-01/answer-of-a-completion", broken("the object is empty", finds_nothing_to_do))
breaks(
    "CPL-02/object-is-the-listed-parts",
    choosing(
        "all parts are taken, listed or not", lambda listed, stored: [stored[n] for n in sorted(stored)]
    ),
)
breaks(
    "CPL-02/object-is-the-listed-parts",
    choosing(
        "parts are taken in the order of arrival", lambda listed, stored: of_the_listed(listed, stored)[::-1]
    ),
)


def of_hexadecimal(parts):
    digests = list(parts)
    return f"{hashlib.md5(''.join(digests).encode()).hexdigest()}-{len(digests)}"


def plain_for_one(parts):
    digests = list(parts)
    return digests[0] if len(digests) == 1 else _multipart(digests)


breaks(
    ("CPL-03/etag-of-one-part", "CPL-03/etag-of-two-parts"),
    patched("ETags are made of hexadecimal MD5s", "anys3.protocol.etags.multipart", of_hexadecimal),
)
breaks(
    "CPL-03/etag-of-one-part",
    patched("one part has an ETag without -1", "anys3.protocol.etags.multipart", plain_for_one),
)


def consecutive(listed, stored):
    if [one.number for one in listed] != list(range(1, len(listed) + 1)):
        raise S3Error("InvalidPartOrder")
    return of_the_listed(listed, stored)


breaks("CPL-04/numbers-with-gaps", choosing("part numbers must be consecutive", consecutive))
breaks("CPL-04/numbers-with-gaps", patched("there are 1,000 part numbers", f"{MODULE}.MAX_PARTS", 1000))
breaks(
    "CPL-05/parts-out-of-order",
    patched("the order of parts is not looked at", f"{MODULE}.pairwise", lambda listed: ()),
)
breaks(
    (
        "CPL-05/parts-out-of-order",
        "CPL-06/part-it-does-not-have",
        "CPL-07/part-is-too-small",
        "CPL-09/wrong-document",
    ),
    broken("a completion is refused, and the object written", publishes_anyway),
)
breaks(
    "CPL-06/part-it-does-not-have",
    choosing("parts are taken by number alone, if they are there", of_the_listed),
)


def quoted_only(value):
    text = value.decode("latin-1")
    return text[1:-1] if text[:1] == text[-1:] == '"' else "an ETag without quotes"


async def knows_no_entities(call, want, proceed):
    if b"&quot;" in (call.request.body.buffered or b""):
        raise S3Error("InvalidPart")
    return await proceed(call, want)


breaks(
    "CPL-06/etag-without-quotes",
    patched("ETags must have quotes", "anys3.protocol.etags.unquote", quoted_only),
)
breaks("CPL-06/etag-with-escaped-quotes", broken("&quot; is not understood", knows_no_entities))
breaks(
    "CPL-07/part-is-too-small",
    patched("parts have any size", f"{MODULE}.MIN_PART_BYTES", 0),
)
breaks(
    "CPL-07/part-is-too-small",
    patched("parts need 5,000,000 bytes", f"{MODULE}.MIN_PART_BYTES", 5_000_000),
)
breaks(
    "CPL-07/part-is-too-small",
    broken("a refused completion aborts the upload", aborts_what_it_refuses),
)


def large(listed, stored):
    chosen = of_the_listed(listed, stored)
    if any(part.size < 5 << 20 for part in chosen):
        raise S3Error("EntityTooSmall")
    return chosen


def not_empty(listed, stored):
    chosen = of_the_listed(listed, stored)
    if not all(part.size for part in chosen):
        raise S3Error("EntityTooSmall")
    return chosen


breaks(
    ("CPL-08/one-small-part", "CPL-08/one-empty-part"),
    choosing("the last part needs 5 MiB too", large),
)
breaks("CPL-08/one-empty-part", choosing("a part needs a byte", not_empty))
breaks(
    "CPL-09/wrong-document",
    accepting("MalformedXML", method="POST"),
)
breaks(
    "CPL-09/wrong-document",
    saying("InternalError", instead_of="MalformedXML", method="POST"),
)
breaks("CPL-09/wrong-document", accepting("InvalidRequest", method="POST"))
breaks(
    "CPL-09/wrong-document",
    saying("InvalidRequest", instead_of="MalformedXML", method="POST"),
)


async def writes_the_object(call, want, proceed):
    if await call.store.upload(call.bucket, call.key, want.upload_id) is None:
        await call.commit(Mutation(call.bucket, (PutEntry(call.key, empty_entry(call), b""),)))
    return await proceed(call, want)


breaks(("CPL-10/unknown-upload", "CPL-10/wrong-key"), accepting("NoSuchUpload", method="POST"))
breaks(
    ("CPL-10/unknown-upload", "CPL-10/wrong-key"),
    broken("a completion of no upload writes an empty object", writes_the_object),
)
