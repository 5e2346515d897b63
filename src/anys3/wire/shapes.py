# GENERATED from src/anys3/spec/operations by `python -m anys3.wire.generating`; do not edit.
"""What each operation can be asked, one class each. An instance holds only what its request said."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_METADATA: Mapping[bytes, bytes] = MappingProxyType({})


class AbortMultipartUploadInput:
    """The input of AbortMultipartUpload."""

    upload_id: str = ""


class CompleteMultipartUploadInput:
    """The input of CompleteMultipartUpload."""

    upload_id: str = ""
    checksum_crc32: bytes | None = None
    checksum_crc32c: bytes | None = None
    checksum_crc64nvme: bytes | None = None
    checksum_sha1: bytes | None = None
    checksum_sha256: bytes | None = None
    checksum_type: bytes | None = None
    mpu_object_size: int | None = None
    if_match: bytes | None = None
    if_none_match: bytes | None = None


class CopyObjectInput:
    """The input of CopyObject."""

    copy_source: bytes = b""
    copy_source_if_match: bytes | None = None
    copy_source_if_modified_since: bytes | None = None
    copy_source_if_none_match: bytes | None = None
    copy_source_if_unmodified_since: bytes | None = None
    cache_control: bytes | None = None
    content_disposition: bytes | None = None
    content_encoding: bytes | None = None
    content_language: bytes | None = None
    content_type: bytes | None = None
    expires: bytes | None = None
    metadata: Mapping[bytes, bytes] = NO_METADATA
    metadata_directive: bytes | None = None
    tagging: bytes | None = None
    tagging_directive: bytes | None = None
    checksum_algorithm: bytes | None = None
    if_match: bytes | None = None
    if_none_match: bytes | None = None


class CorsPreflightInput:
    """The input of CorsPreflight."""


class CreateBucketInput:
    """The input of CreateBucket."""


class CreateMultipartUploadInput:
    """The input of CreateMultipartUpload."""

    cache_control: bytes | None = None
    content_disposition: bytes | None = None
    content_encoding: bytes | None = None
    content_language: bytes | None = None
    content_type: bytes | None = None
    expires: bytes | None = None
    metadata: Mapping[bytes, bytes] = NO_METADATA
    tagging: bytes | None = None
    checksum_algorithm: bytes | None = None
    checksum_type: bytes | None = None


class DeleteBucketInput:
    """The input of DeleteBucket."""


class DeleteBucketCorsInput:
    """The input of DeleteBucketCors."""


class DeleteObjectInput:
    """The input of DeleteObject."""

    version_id: str | None = None
    if_match: bytes | None = None
    if_match_last_modified_time: bytes | None = None
    if_match_size: bytes | None = None


class DeleteObjectTaggingInput:
    """The input of DeleteObjectTagging."""

    version_id: str | None = None


class DeleteObjectsInput:
    """The input of DeleteObjects."""


class GetBucketAclInput:
    """The input of GetBucketAcl."""


class GetBucketCorsInput:
    """The input of GetBucketCors."""


class GetBucketLocationInput:
    """The input of GetBucketLocation."""


class GetBucketVersioningInput:
    """The input of GetBucketVersioning."""


class GetObjectInput:
    """The input of GetObject."""

    if_match: bytes | None = None
    if_modified_since: bytes | None = None
    if_none_match: bytes | None = None
    if_unmodified_since: bytes | None = None
    range: bytes | None = None
    if_range: bytes | None = None
    version_id: str | None = None
    part_number: int | None = None
    response_cache_control: str | None = None
    response_content_disposition: str | None = None
    response_content_encoding: str | None = None
    response_content_language: str | None = None
    response_content_type: str | None = None
    response_expires: str | None = None
    checksum_mode: bytes | None = None


class GetObjectAclInput:
    """The input of GetObjectAcl."""

    version_id: str | None = None


class GetObjectAttributesInput:
    """The input of GetObjectAttributes."""

    version_id: str | None = None
    object_attributes: bytes | None = None
    max_parts: int | None = None
    part_number_marker: int | None = None


class GetObjectLockConfigurationInput:
    """The input of GetObjectLockConfiguration."""


class GetObjectTaggingInput:
    """The input of GetObjectTagging."""

    version_id: str | None = None


class HeadBucketInput:
    """The input of HeadBucket."""


class HeadObjectInput:
    """The input of HeadObject."""

    if_match: bytes | None = None
    if_modified_since: bytes | None = None
    if_none_match: bytes | None = None
    if_unmodified_since: bytes | None = None
    range: bytes | None = None
    if_range: bytes | None = None
    version_id: str | None = None
    part_number: int | None = None
    response_cache_control: str | None = None
    response_content_disposition: str | None = None
    response_content_encoding: str | None = None
    response_content_language: str | None = None
    response_content_type: str | None = None
    response_expires: str | None = None
    checksum_mode: bytes | None = None


class ListBucketsInput:
    """The input of ListBuckets."""

    max_buckets: int | None = None
    continuation_token: str | None = None
    prefix: str | None = None
    bucket_region: str | None = None


class ListMultipartUploadsInput:
    """The input of ListMultipartUploads."""

    prefix: str | None = None
    delimiter: str | None = None
    max_uploads: int | None = None
    key_marker: str | None = None
    upload_id_marker: str | None = None
    encoding_type: str | None = None


class ListObjectVersionsInput:
    """The input of ListObjectVersions."""

    prefix: str | None = None
    delimiter: str | None = None
    max_keys: int | None = None
    key_marker: str | None = None
    version_id_marker: str | None = None
    encoding_type: str | None = None


class ListObjectsInput:
    """The input of ListObjects."""

    prefix: str | None = None
    delimiter: str | None = None
    max_keys: int | None = None
    marker: str | None = None
    encoding_type: str | None = None


class ListObjectsV2Input:
    """The input of ListObjectsV2."""

    prefix: str | None = None
    delimiter: str | None = None
    max_keys: int | None = None
    continuation_token: str | None = None
    start_after: str | None = None
    fetch_owner: bool = False
    encoding_type: str | None = None


class ListPartsInput:
    """The input of ListParts."""

    upload_id: str = ""
    max_parts: int | None = None
    part_number_marker: int | None = None


class PostObjectInput:
    """The input of PostObject."""


class PutBucketCorsInput:
    """The input of PutBucketCors."""


class PutObjectInput:
    """The input of PutObject."""

    cache_control: bytes | None = None
    content_disposition: bytes | None = None
    content_encoding: bytes | None = None
    content_language: bytes | None = None
    content_type: bytes | None = None
    expires: bytes | None = None
    metadata: Mapping[bytes, bytes] = NO_METADATA
    checksum_crc32: bytes | None = None
    checksum_crc32c: bytes | None = None
    checksum_crc64nvme: bytes | None = None
    checksum_sha1: bytes | None = None
    checksum_sha256: bytes | None = None
    if_match: bytes | None = None
    if_none_match: bytes | None = None
    tagging: bytes | None = None


class PutObjectTaggingInput:
    """The input of PutObjectTagging."""

    version_id: str | None = None


class UploadPartInput:
    """The input of UploadPart."""

    part_number: int = 0
    upload_id: str = ""
    checksum_crc32: bytes | None = None
    checksum_crc32c: bytes | None = None
    checksum_crc64nvme: bytes | None = None
    checksum_sha1: bytes | None = None
    checksum_sha256: bytes | None = None


class UploadPartCopyInput:
    """The input of UploadPartCopy."""

    part_number: int = 0
    upload_id: str = ""
    copy_source: bytes = b""
    copy_source_range: bytes | None = None
    copy_source_if_match: bytes | None = None
    copy_source_if_modified_since: bytes | None = None
    copy_source_if_none_match: bytes | None = None
    copy_source_if_unmodified_since: bytes | None = None
