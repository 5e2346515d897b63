"""POST forms: the fields are read before anybody is believed, the file only afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anys3.operations.call import PostForm
from anys3.protocol import post_policy
from anys3.protocol.form_data import FormDecoder, boundary_of
from anys3.spec.errors import S3Error

if TYPE_CHECKING:
    from anys3.model import Target
    from anys3.protocol.http import Request

_SIGNING_FIELDS = frozenset(
    {"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token"}
)


def is_post_form(request: Request, target: Target) -> bool:
    """Return whether a request is a browser's form upload (POST-01)."""
    return (
        request.method == b"POST"
        and target.bucket is not None
        and target.key is None
        and not request.query
        and request.headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data")
    )


async def open_form(request: Request, target: Target) -> PostForm:
    """Read the fields, up to the first byte of the file.

    Raises S3Error InvalidArgument, MalformedPOSTRequest and MaxPostPreDataLengthExceededError (POST-09, 11).
    """
    decoder = FormDecoder(boundary_of(request.headers[b"content-type"]))
    head: list[bytes] = []
    while not decoder.is_file_started:
        data = await request.body.chunk()
        if not data:
            decoder.finish()
            break
        head.extend(bytes(piece) for piece in decoder.feed(data))
    fields = dict(decoder.fields)
    fields.setdefault("bucket", target.bucket or "")
    if "${filename}" in fields.get("key", "") and decoder.file_name:
        fields["key"] = fields["key"].replace("${filename}", decoder.file_name)
    return PostForm(fields, decoder, b"".join(head))


def check_form(
    request: Request, form: PostForm | None, target: Target, now_s: int
) -> tuple[Target, PostForm]:
    """Hold a form, whose signature was verified, against its policy; return where its file goes (POST-03).

    Fields that stand for headers become headers, so that none is ignored silently (HTTP-15, POST-12).
    Raises S3Error AccessDenied, InvalidPolicyDocument (POST-05 to POST-08), InvalidArgument (POST-09).
    """
    if form is None:
        raise S3Error("InvalidRequest", "A form is posted to the URL of a bucket, without a query")
    fields = form.fields
    length_range = post_policy.check(fields.get("policy", ""), fields, target.bucket or "", now_s)
    if not fields.get("key"):
        raise S3Error("InvalidArgument", "Bucket POST must contain a field named 'key'", ArgumentName="key")
    for name, value in fields.items():
        header = "x-amz-acl" if name == "acl" else name
        if header == "content-md5" or (header.startswith("x-amz-") and header not in _SIGNING_FIELDS):
            request.headers[header.encode()] = value.encode()
    return target._replace(key=fields["key"].encode()), replace(form, length_range=length_range)
