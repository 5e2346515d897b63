"""The operations, one module each. `HANDLERS` is the table of contents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anys3.operations.abort_multipart_upload import abort_multipart_upload
from anys3.operations.bucket_annex import (
    get_bucket_acl,
    get_bucket_versioning,
    get_object_acl,
    get_object_lock_configuration,
)
from anys3.operations.bucket_cors import cors_preflight, delete_bucket_cors, get_bucket_cors, put_bucket_cors
from anys3.operations.complete_multipart_upload import complete_multipart_upload
from anys3.operations.copy_object import copy_object
from anys3.operations.create_bucket import create_bucket
from anys3.operations.create_multipart_upload import create_multipart_upload
from anys3.operations.delete_bucket import delete_bucket
from anys3.operations.delete_object import delete_object
from anys3.operations.delete_objects import delete_objects
from anys3.operations.get_bucket_location import get_bucket_location
from anys3.operations.get_object import get_object
from anys3.operations.get_object_attributes import get_object_attributes
from anys3.operations.head_bucket import head_bucket
from anys3.operations.head_object import head_object
from anys3.operations.list_buckets import list_buckets
from anys3.operations.list_multipart_uploads import list_multipart_uploads
from anys3.operations.list_object_versions import list_object_versions
from anys3.operations.list_objects import list_objects
from anys3.operations.list_objects_v2 import list_objects_v2
from anys3.operations.list_parts import list_parts
from anys3.operations.object_tagging import delete_object_tagging, get_object_tagging, put_object_tagging
from anys3.operations.post_object import post_object
from anys3.operations.put_object import put_object
from anys3.operations.upload_part import upload_part
from anys3.operations.upload_part_copy import upload_part_copy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anys3.operations.call import Call

    Handler = Callable[[Call, Any], Awaitable[Any]]

HANDLERS: dict[str, Handler] = {
    "AbortMultipartUpload": abort_multipart_upload,
    "CompleteMultipartUpload": complete_multipart_upload,
    "CopyObject": copy_object,
    "CorsPreflight": cors_preflight,
    "CreateBucket": create_bucket,
    "CreateMultipartUpload": create_multipart_upload,
    "DeleteBucket": delete_bucket,
    "DeleteBucketCors": delete_bucket_cors,
    "DeleteObject": delete_object,
    "DeleteObjectTagging": delete_object_tagging,
    "DeleteObjects": delete_objects,
    "GetBucketAcl": get_bucket_acl,
    "GetBucketCors": get_bucket_cors,
    "GetBucketLocation": get_bucket_location,
    "GetBucketVersioning": get_bucket_versioning,
    "GetObject": get_object,
    "GetObjectAcl": get_object_acl,
    "GetObjectAttributes": get_object_attributes,
    "GetObjectLockConfiguration": get_object_lock_configuration,
    "GetObjectTagging": get_object_tagging,
    "HeadBucket": head_bucket,
    "HeadObject": head_object,
    "ListBuckets": list_buckets,
    "ListMultipartUploads": list_multipart_uploads,
    "ListObjectVersions": list_object_versions,
    "ListObjects": list_objects,
    "ListObjectsV2": list_objects_v2,
    "ListParts": list_parts,
    "PostObject": post_object,
    "PutBucketCors": put_bucket_cors,
    "PutObject": put_object,
    "PutObjectTagging": put_object_tagging,
    "UploadPart": upload_part,
    "UploadPartCopy": upload_part_copy,
}
