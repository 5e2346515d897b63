"""Where blobs lie at an S3 provider, as a URL says it: `s3://BUCKET/PREFIX?endpoint=https://s3.example.com`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from anys3.client import endpoint as endpoints
from anys3.client.endpoint import Endpoint

MIB = 1 << 20
PART_BYTES = 8 * MIB
TIMEOUT_S = 30.0
_PARAMETERS = (
    "endpoint", "region", "profile", "ca_file", "addressing", "part_size", "timeout", "check",
)  # fmt: skip
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/-]{0,512}")
_SIZE = re.compile(r"([0-9]{1,13})(MiB)?")
_PART_BYTES_MIN = 5 * MIB
_PART_BYTES_MAX = 512 * MIB


@dataclass(frozen=True, slots=True)
class Address:
    """What the URL says. `prefix` is "" or ends in a slash; `region` None: as the credentials' profile says.

    `endpoint` None: AWS's, of the region. `is_virtual`: the bucket is part of the host's name. `is_checked`: a server
    runs the quick check of the conformance checker there before it starts.
    """

    bucket: str
    prefix: str
    endpoint: Endpoint | None
    region: str | None = None
    profile: str | None = None
    ca_file: str | None = None
    is_virtual: bool = False
    part_bytes: int = PART_BYTES
    timeout_s: float = TIMEOUT_S
    is_checked: bool = True


def parse(url: str) -> Address:
    """Return the address that a URL names. Raises ValueError, which says what was expected.

    >>> found = parse("s3://blobs/site-1?endpoint=http://localhost:9000&part_size=16MiB")
    >>> found.bucket, found.prefix, found.endpoint.url, found.part_bytes
    ('blobs', 'site-1/', 'http://localhost:9000', 16777216)
    """
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError(
            "the URL of the blobs holds credentials; expected none: they come from AWS_* or a profile"
        )
    bucket, prefix = parts.netloc, unquote(parts.path).strip("/")
    if parts.scheme != "s3" or not _BUCKET.fullmatch(bucket) or parts.fragment:
        raise ValueError(f"{url}: expected s3://BUCKET/PREFIX?endpoint=https://..., with a bucket's name")
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{url}: expected a prefix of letters, digits and !_.*'()/- , got {prefix!r}")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(given.keys() - set(_PARAMETERS)):
        raise ValueError(f"{url}: {unknown[0]!r} is not known; expected {', '.join(_PARAMETERS)}")
    where = endpoints.parse(given["endpoint"]) if given.get("endpoint") else None
    return Address(
        bucket=bucket,
        prefix=f"{prefix}/" if prefix else "",
        endpoint=where,
        region=given.get("region") or None,
        profile=given.get("profile") or None,
        ca_file=_file(given.get("ca_file")),
        is_virtual=_choice(given, "addressing", {"path": False, "virtual": True}, default=where is None),
        part_bytes=_bytes(given.get("part_size")),
        timeout_s=_seconds(given.get("timeout")),
        is_checked=_choice(given, "check", {"yes": True, "no": False}, default=True),
    )


def _file(path: str | None) -> str | None:
    if path and not Path(path).is_file():
        raise ValueError(f"ca_file={path}: no such file of certificate authorities")
    return path or None


def _choice(given: Mapping[str, str], name: str, known: Mapping[str, bool], *, default: bool) -> bool:
    if name not in given:
        return default
    if given[name] not in known:
        raise ValueError(f"{name}={given[name]}: expected {' or '.join(known)}")
    return known[given[name]]


def _bytes(text: str | None) -> int:
    if text is None:
        return PART_BYTES
    found = _SIZE.fullmatch(text)
    size = int(found[1]) * (MIB if found[2] else 1) if found else 0
    if not _PART_BYTES_MIN <= size <= _PART_BYTES_MAX:
        raise ValueError(f"part_size={text}: expected 5MiB to 512MiB, or as many bytes")
    return size


def _seconds(text: str | None) -> float:
    try:
        seconds = TIMEOUT_S if text is None else float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 600:
        raise ValueError(f"timeout={text}: expected 1 to 600 seconds")
    return seconds
