"""What a vector needs before its first step: buckets, objects, a second identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anys3.client.answers import Answer
from anys3.client.connections import ExchangeError
from anys3.conformance.vectors.content import EMPTY, Blob, Literal
from anys3.conformance.vectors.expectations import told_error
from anys3.conformance.vectors.footprint import Footprint, Write
from anys3.conformance.vectors.sending import wire_text
from anys3.protocol import xml
from anys3.spec.errors import S3Error

_VERSIONING = (
    '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Status>{status}</Status></VersioningConfiguration>"
)
_LOCATION = (
    '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
)

Attributes = dict[str, str]


class Blocked(Exception):
    """A prerequisite could not be made."""


def make_bucket(made: Footprint, members: Mapping[str, Any], name: str) -> Attributes:
    """Make a bucket. Raises Blocked."""
    region = made.sender.target.region
    headers = [("x-amz-bucket-object-lock-enabled", "true")] if members.get("objectLock") else []
    location = None if region == "us-east-1" else Literal(_LOCATION.format(region=region).encode())
    write = Write(name)
    made.will_write(write)
    made.may_have_written(write)
    what = f"$bucket {members['handle']}"
    _ask(what, lambda: made.sender.simple("PUT", name, headers=headers, body=location))
    if status := members.get("versioning"):
        body = Literal(_VERSIONING.format(status=status).encode())
        _ask(
            f"versioning of {what}",
            lambda: made.sender.simple("PUT", name, query=[("versioning", "")], body=body),
        )
    return {"name": name}


def make_object(
    made: Footprint, members: Mapping[str, Any], bucket: str, body: Blob | None, *, has_versions: bool
) -> Attributes:
    """Make an object. Raises Blocked."""
    key = members["key"]
    headers = [("content-type", wire_text(members["contentType"]))] if "contentType" in members else []
    for name, value in members.get("metadata", {}).items():
        headers.append((f"x-amz-meta-{wire_text(name)}", wire_text(value)))
    write = Write(bucket, key)
    made.will_write(write)
    what = f"$object {members['handle']}"
    answer = _ask(what, lambda: made.sender.simple("PUT", bucket, key, headers=headers, body=body or EMPTY))
    attributes = {"key": key}
    if etag := answer.header("etag"):
        attributes["etag"] = etag
    if version_id := answer.header("x-amz-version-id"):
        attributes["versionId"] = version_id
        made.wrote(write, None, version_id)
    elif has_versions:
        raise Blocked(f"{what}: no x-amz-version-id came, though the bucket has versions")
    return attributes


def second_identity(made: Footprint, handle: str, *, needs_owner: bool) -> Attributes:
    """Return what is known of the second identity; its owner is asked for only if a step names it.

    Raises Blocked: there is no second identity, or the endpoint does not say who it is.
    """
    credentials = made.sender.target.second
    if credentials is None:
        raise Blocked(f"$credential {handle}: no second identity was given")
    attributes = {"accessKeyId": credentials.access_key_id}
    if not needs_owner:
        return attributes
    what = f"owner of $credential {handle}"
    answer = _ask(what, lambda: made.sender.simple("GET", credentials=credentials))
    try:
        owner = xml.parse(answer.body).child("Owner")
    except S3Error as error:
        raise Blocked(f"{what}: the answer to ListBuckets cannot be parsed: {error}") from None
    if owner is None or not owner.text_of("ID"):
        raise Blocked(f"{what}: the answer to ListBuckets names no owner")
    return attributes | {"canonicalId": owner.text_of("ID"), "displayName": owner.text_of("DisplayName")}


def _ask(what: str, send: Callable[[], Answer]) -> Answer:
    """Return the answer if it is a success. Raises Blocked."""
    try:
        answer = send()
    except (ExchangeError, ValueError) as error:
        raise Blocked(f"{what}: {error}") from None
    if answer.status not in (200, 204):
        code, message = told_error(answer.body)
        told = " ".join(part for part in (str(answer.status), code or "", message) if part)
        raise Blocked(f"{what}: expected 200, got {told}")
    return answer
