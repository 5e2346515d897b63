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


def is_post_form(request: Request, target: Target) -> bool:
    """Return whether a request is a browser's form upload (POST-01)."""
    return (
        request.method == b"POST"
        and target.bucket is not None
        and target.key is None
        and not request.query
        and request.headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data")
    )


async def open_form(request: Request, target: Target) -> tuple[Target, PostForm]:
    """Read the fields, up to the first byte of the file; the target gets the form's key (POST-03).

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
    if "bucket" not in fields and target.bucket is not None:
        fields["bucket"] = target.bucket
    key = fields.get("key", "")
    if not key:
        raise S3Error("InvalidArgument", "Bucket POST must contain a field named 'key'", ArgumentName="key")
    if "${filename}" in key and decoder.file_name:
        fields["key"] = key.replace("${filename}", decoder.file_name)
    target = replace(target, key=fields["key"].encode())
    return target, PostForm(fields, decoder, b"".join(head))


def check_policy(form: PostForm, target: Target, now_s: int) -> PostForm:
    """Return the form with the length range of its policy (POST-05 to POST-08)."""
    fields = form.fields
    length_range = post_policy.check(fields.get("policy", ""), fields, target.bucket or "", now_s)
    return replace(form, length_range=length_range)


def checksum_headers(form: PostForm) -> dict[bytes, bytes]:
    """Return the checksum fields of a form as the headers that they stand for (POST-12)."""
    return {
        name.encode(): value.encode()
        for name, value in form.fields.items()
        if name.startswith("x-amz-checksum-") or name == "content-md5"
    }
