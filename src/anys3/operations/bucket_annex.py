"""The read-only answers of the compatibility annex: nothing is configured, and that is what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.listing_page import owner_element
from anys3.protocol.xml import escape
from anys3.spec.errors import S3Error
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.protocol.http import Answer
    from anys3.wire.shapes import GetBucketAclInput, GetBucketVersioningInput, GetObjectAclInput


async def get_bucket_versioning(call: Call, want: GetBucketVersioningInput) -> Answer:
    """Say that versioning was never enabled."""
    del call, want
    return xml_answer(200, "VersioningConfiguration", "")


async def get_bucket_acl(call: Call, want: GetBucketAclInput) -> Answer:
    """Say that the owner may do everything."""
    del want
    return _full_control(call)


async def get_object_acl(call: Call, want: GetObjectAclInput) -> Answer:
    """Say that the bucket's owner may do everything. Raises S3Error NoSuchKey."""
    del want
    if await call.store.entry(call.bucket, call.key) is None:
        raise call.missing_key()
    return _full_control(call)


async def get_object_lock_configuration(call: Call, want: object) -> Answer:
    """Say that there is no lock configuration (HTTP-14)."""
    del want
    raise S3Error("ObjectLockConfigurationNotFoundError", BucketName=call.bucket.name)


def _full_control(call: Call) -> Answer:
    owner = escape(call.bucket.owner or "root")
    grantee = (
        '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
        f"<ID>{owner}</ID><DisplayName>{owner}</DisplayName></Grantee>"
    )
    return xml_answer(
        200,
        "AccessControlPolicy",
        f"{owner_element(call.bucket.owner)}<AccessControlList><Grant>{grantee}"
        "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList>",
    )
