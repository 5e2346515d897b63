"""PutBucketCors, GetBucketCors, DeleteBucketCors and the preflight (CORSC, CORS)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anys3.operations.documents import read_document
from anys3.protocol import cors
from anys3.protocol.http import Answer
from anys3.spec.errors import S3Error
from anys3.store.errors import BucketChanged, NoSuchBucket
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.model import Bucket, CorsRule
    from anys3.operations.call import Call
    from anys3.wire.shapes import DeleteBucketCorsInput, GetBucketCorsInput, PutBucketCorsInput


ATTEMPTS = 20
MAX_RULES_BYTES = 64 << 10
"""Most bytes of the document, as with S3: the rules lie in the bucket's row, which every request reads."""


async def put_bucket_cors(call: Call, want: PutBucketCorsInput) -> Answer:
    """Set the rules; they hold from the next request on (CORSC-06). Raises S3Error MalformedXML, InvalidRequest."""
    del want
    if not call.plan.is_integrity_checked:
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 or a checksum")
    rules = cors.parse_document(await read_document(call, "CORSConfiguration", MAX_RULES_BYTES))
    await _update(call, rules)
    return Answer(200)


async def get_bucket_cors(call: Call, want: GetBucketCorsInput) -> Answer:
    """Send the rules that were set by API. Raises S3Error NoSuchCORSConfiguration (CORSC-02)."""
    del want
    if call.bucket.cors is None:
        raise S3Error("NoSuchCORSConfiguration", BucketName=call.bucket.name)
    return xml_answer(200, "CORSConfiguration", cors.render(call.bucket.cors))


async def delete_bucket_cors(call: Call, want: DeleteBucketCorsInput) -> Answer:
    """Remove the rules that were set by API; the operator's, if any, hold again."""
    del want
    await _update(call, None)
    return Answer(204)


async def cors_preflight(call: Call, want: object) -> Answer:
    """Answer a browser's preflight, unsigned (CORS-02 to CORS-06, CORS-10)."""
    del want
    headers = call.request.headers
    rules = rules_of(call.row)
    lines = cors.preflight(
        rules,
        headers.get(b"origin"),
        headers.get(b"access-control-request-method"),
        headers.get(b"access-control-request-headers"),
    )
    return Answer(200, lines)


def rules_of(bucket: Bucket | None) -> tuple[CorsRule, ...]:
    """Return the rules in force: those set by API, else the operator's (CORSC-06)."""
    if bucket is None:
        return ()
    return bucket.cors if bucket.cors is not None else (bucket.operator_cors or ())


async def _update(call: Call, rules: tuple[CorsRule, ...] | None) -> None:
    # Read anew, and written only if nothing came in between: the row holds the operator's settings, too, and
    # a bucket that the command line has just closed must not be public again.
    for _ in range(ATTEMPTS):
        current = await call.store.bucket(call.bucket.name)
        try:
            if current is None or current.id != call.bucket.id:
                raise NoSuchBucket(call.bucket.name)
            await call.store.update_bucket(replace(current, cors=rules), was=current)
        except NoSuchBucket as failure:
            raise S3Error("NoSuchBucket", BucketName=call.bucket.name) from failure
        except BucketChanged:
            continue
        return
    raise S3Error("OperationAborted")
