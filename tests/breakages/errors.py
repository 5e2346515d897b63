"""Servers broken for the checks of error answers."""

from __future__ import annotations

from typing import Any

from anys3.operations.call import Call
from anys3.protocol import xml
from anys3.protocol.http import Answer, Request
from anys3.protocol.payload import PLAIN
from anys3.spec.errors import S3Error
from tests.broken_servers import (
    Breakage,
    Handler,
    Proceed,
    accepting,
    answering,
    breaks,
    code_of,
    error_answer,
    handled,
    hooked,
    ignoring,
    patched,
    replace_in_body,
    saying,
    when,
)

parse = xml.parse
DOCUMENTS = ("ERR-01/error-documents", "ERR-01/unsigned-errors")


def bent_errors(sentence: str, old: str, new: str) -> Breakage:
    """Error documents with other bytes in them."""
    return answering(
        sentence, lambda _, answer: replace_in_body(answer, old, new) if code_of(answer) else None
    )


breaks(DOCUMENTS, bent_errors("the root has another name", "Error>", "Failure>"))
breaks(DOCUMENTS, bent_errors("there is no code", "Code>", "Kind>"))
breaks(DOCUMENTS, bent_errors("there is no message", "Message>", "Text>"))
breaks(DOCUMENTS, bent_errors("there is no request id", "RequestId>", "Id>"))
breaks(DOCUMENTS[0], bent_errors("codes are in lower case", "NoSuchKey", "nosuchkey"))
breaks(
    DOCUMENTS,
    answering(
        "errors are JSON",
        lambda _, answer: Answer(answer.status, b"", b'{"error": "none"}') if answer.status >= 400 else None,
    ),
)
breaks(DOCUMENTS[0], saying("NoSuchBucket", instead_of="NoSuchKey"))

# --- what is missing -------------------------------------------------------------------------------------

BUCKETS = ("ERR-02/missing-bucket", "ERR-02/missing-bucket-of-others")
breaks(BUCKETS, saying("NoSuchKey", instead_of="NoSuchBucket"))
breaks(BUCKETS, saying("AccessDenied", instead_of="NoSuchBucket"))
breaks(BUCKETS[0], accepting("NoSuchBucket", method="DELETE"))
breaks(BUCKETS[0], accepting("NoSuchBucket", method="PUT"))
breaks(BUCKETS[0], accepting("NoSuchBucket", query="delete"))
breaks(("LMU-06/missing-bucket", "CMU-04/missing-bucket"), accepting("NoSuchBucket", query="uploads"))
breaks("ERR-03/missing-key", accepting("NoSuchKey", method="GET"))
breaks("ERR-03/missing-key", saying("NoSuchBucket", instead_of="NoSuchKey"))
breaks(
    "ERR-03/missing-key",
    answering(
        "HEAD of a missing key is forbidden",
        lambda request, answer: Answer(403) if when(request, "HEAD") and answer.status == 404 else None,
    ),
)


def first_the_bucket(sentence: str, word: bytes, code: str) -> Breakage:
    """Whether something exists is told before the signature is looked at."""

    async def reveal(request: Request, proceed: Proceed) -> Answer:
        answer = await proceed(request)
        is_stranger = answer.status == 403
        return error_answer(code) if is_stranger and word in request.path else answer

    return hooked(sentence, reveal)


breaks(
    "ERR-04/strangers-learn-nothing",
    first_the_bucket("a missing bucket is told", b"-none-", "NoSuchBucket"),
)
breaks("ERR-04/strangers-learn-nothing", first_the_bucket("a missing key is told", b"/none", "NoSuchKey"))
breaks("ERR-04/strangers-learn-nothing", accepting("SignatureDoesNotMatch", "InvalidAccessKeyId"))

# --- wrong documents -------------------------------------------------------------------------------------

WRONG = ("ERR-05/no-delete-document", "CPL-09/wrong-document", "CB-03/another-document")


def any_root(body: bytes, root: str | None = None) -> xml.Node:
    return parse(body)


def lenient(body: bytes, root: str | None = None) -> xml.Node:
    """Take what is no XML for an empty document."""
    try:
        return parse(body, root)
    except S3Error:
        return xml.Node(root or "", "", [])


breaks(WRONG, saying("InvalidRequest", instead_of="MalformedXML"))
breaks(WRONG, patched("any root will do", "anys3.protocol.xml.parse", any_root))
breaks((WRONG[2],), patched("what is no XML asks for nothing", "anys3.protocol.xml.parse", lenient))
breaks(WRONG, accepting("MalformedXML"))

# --- failures after a 200 --------------------------------------------------------------------------------


def silent_200(code: str, document: bytes) -> Breakage:
    """The status is sent before the work is done, and the failure is not told."""
    return answering(
        "200 before the work is done, and no error after it",
        lambda _, answer: (
            Answer(200, b"Content-Type: application/xml\r\n", document) if code_of(answer) == code else None
        ),
    )


breaks("ERR-07/failed-copies-say-so", silent_200("NoSuchKey", b"<CopyObjectResult/>"))
breaks("ERR-07/failed-completion-says-so", silent_200("InvalidPart", b"<CompleteMultipartUploadResult/>"))


async def no_part_copies(request: Request, proceed: Proceed) -> Answer:
    answer = await proceed(request)
    is_part = when(request, "PUT", "uploadId", "x-amz-copy-source")
    return Answer(200, b"", b"<CopyPartResult/>") if is_part and answer.status == 404 else answer


breaks("ERR-07/failed-copies-say-so", hooked("only UploadPartCopy tells nothing", no_part_copies))

# --- what a refusal leaves -------------------------------------------------------------------------------


async def store_first(call: Call, want: Any, proceed: Handler) -> Any:
    """Store the body, and look at its hash when it is too late."""
    plan, call.plan = call.plan, PLAIN
    output = await proceed(call, want)
    if plan.md5 is not None:
        raise S3Error("BadDigest")
    return output


async def change_type_first(request: Request, proceed: Proceed) -> Answer:
    """Store what is asked for, although the storage class is refused."""
    is_asked = when(request, header="x-amz-storage-class")
    with ignoring("x-amz-storage-class").enter(None):  # type: ignore[arg-type]
        answer = await proceed(request)
    return error_answer("InvalidStorageClass") if is_asked else answer


async def delete_first(request: Request, proceed: Proceed) -> Answer:
    """Delete at the first look, and check the signature after that."""
    answer = await proceed(request)
    if when(request, "DELETE") and answer.status == 403:
        gone.add(request.path)
    if when(request, "GET") and request.path in gone:
        return error_answer("NoSuchKey")
    return answer


gone: set[bytes] = set()
breaks(
    "ERR-08/refused-put-changes-nothing",
    handled("a wrong MD5 is told after the commit", "PutObject", store_first),
)
breaks(
    "ERR-08/refused-put-changes-nothing", hooked("a wrong class is told after the commit", change_type_first)
)
breaks(
    "ERR-08/refused-delete-changes-nothing", hooked("deleted before the signature is checked", delete_first)
)
breaks(
    "ERR-08/refused-part-changes-nothing", handled("a wrong MD5 is told too late", "UploadPart", store_first)
)

# --- order -----------------------------------------------------------------------------------------------

ORDER = "ERR-09/order-of-checks"
breaks(ORDER, first_the_bucket("the bucket before the signature", b"-none-", "NoSuchBucket"))


def told_first(sentence: str, code: str, header: str, instead_of: str) -> Breakage:
    """A fault that a header causes is told before another one."""
    return answering(
        sentence,
        lambda request, answer: (
            error_answer(code) if when(request, header=header) and code_of(answer) == instead_of else None
        ),
    )


breaks(
    ORDER,
    told_first("arguments before the bucket", "InvalidStorageClass", "x-amz-storage-class", "NoSuchBucket"),
)
breaks(ORDER, told_first("the body before arguments", "BadDigest", "content-md5", "InvalidStorageClass"))
breaks(ORDER, told_first("conditions before the key", "PreconditionFailed", "if-match", "NoSuchKey"))
breaks(ORDER, told_first("the body before conditions", "BadDigest", "content-md5", "PreconditionFailed"))
