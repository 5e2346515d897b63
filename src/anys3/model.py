"""The nouns that every layer shares: frozen values without behaviour of their own.

Times are whole milliseconds since the Unix epoch (`*_ms`), sizes are bytes. Object keys are `bytes`
(valid UTF-8, never NUL, 1 to 1,024 of them: KEY-01), bucket names are `str`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

ChecksumAlgorithm = Literal["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]


class Target(NamedTuple):
    """What a request addresses: the service (no bucket), a bucket (no key) or an object.

    This and `Identity` are made for each request, and a named tuple is made in half the time.
    """

    bucket: str | None
    key: bytes | None
    is_virtual_host: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What one key may do in one bucket: read and list, write and delete, or change its settings."""

    read: bool = False
    write: bool = False
    owner: bool = False


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key pair and its rights. The root key may do everything.

    `grants` maps bucket names to rights. A key with `may_create_buckets` owns the buckets it creates.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    name: str
    is_root: bool = False
    may_create_buckets: bool = False
    grants: dict[str, Grant] = field(default_factory=dict)
    created_ms: int = 0

    def without_grant(self, bucket: str) -> AccessKey:
        """Return the key without its grant on a bucket that is no more."""
        grants = {name: grant for name, grant in self.grants.items() if name != bucket}
        return replace(self, grants=grants)


class Identity(NamedTuple):
    """Who sent a request, after its signature was verified; `key` is None for an anonymous caller."""

    key: AccessKey | None

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody signed the request."""
        return self.key is None


ANONYMOUS = Identity(None)


@dataclass(frozen=True, slots=True)
class CorsRule:
    """One CORS rule, in the order and spelling in which it was given (CORSC-05)."""

    allowed_origins: tuple[str, ...]
    allowed_methods: tuple[str, ...]
    allowed_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age_s: int | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket's row. `id` is unique for all time: a bucket made again under the name has another.

    `owner` is the access key id that created it; "" stands for the root key. `cors` was set by API
    (None: none set), `operator_cors` by the operator out of band; the first overrides the second.
    """

    name: str
    id: int
    created_ms: int
    owner: str = ""
    is_public: bool = False
    cors: tuple[CorsRule, ...] | None = None
    operator_cors: tuple[CorsRule, ...] | None = None


class Checksum(NamedTuple):
    """A stored checksum as it goes over the wire: base64, with `-N` behind a COMPOSITE one (CK-07)."""

    algorithm: ChecksumAlgorithm
    type: ChecksumType
    value: str


class Entry(NamedTuple):
    """An object's row, with the bytes that GET, HEAD and LIST send already rendered.

    A named tuple, because one is made for every request, and a frozen dataclass sets each of its fields by
    a call.

    `headers` holds the answer's header lines (ETag, Last-Modified, Accept-Ranges, tagging count, then
    `stored`), each ending in CRLF, without Content-Length. `stored` is its tail: Content-Type, the other
    content headers and x-amz-meta-*, which a copy takes over as it is. `listing` is the XML that stands
    in LIST between `</Key>` and `</Contents>`, Owner excepted. `etag` is without quotes.
    `sequence` is the commit that published the entry, 0 before. `content` names the bytes inside the
    engine and means nothing outside it. `part_sizes` is empty for an object that was put in one piece.
    """

    size: int
    modified_ms: int
    etag: str
    headers: bytes
    stored: bytes
    listing: bytes
    checksum: Checksum | None = None
    tags: tuple[tuple[str, str], ...] = ()
    part_count: int = 0
    upload_id: str = ""
    sequence: int = 0
    content: object = None


@dataclass(frozen=True, slots=True)
class Part:
    """One uploaded part. `content` names its bytes inside the engine and means nothing outside it."""

    number: int
    size: int
    etag: str
    modified_ms: int
    checksum: Checksum | None = None
    content: object = None


@dataclass(frozen=True, slots=True)
class Upload:
    """An unfinished multipart upload.

    `stored`, `tags` and the checksum settings are those of CreateMultipartUpload and apply to the
    finished object (CMU-02). Upload ids are ASCII and ascend with the time of initiation (LMU-01).
    `entry_sequence` is the sequence of the key's entry when the upload was created, 0 if it was absent
    (CONDW-08).
    """

    key: bytes
    upload_id: str
    initiated_ms: int
    stored: bytes
    tags: tuple[tuple[str, str], ...] = ()
    checksum_algorithm: ChecksumAlgorithm | None = None
    checksum_type: ChecksumType | None = None
    owner: str = ""
    entry_sequence: int = 0
