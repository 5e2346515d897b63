"""Upload ids: they ascend with the time of initiation and know which key they belong to."""

from __future__ import annotations

import re
from hashlib import blake2b

_TIME_DIGITS = 14
_OWNER_DIGITS = 8
_ID = re.compile(r"[0-9a-f]{22}(?:[0-9a-f]{2}){8,32}")


def new_id(now_us: int, bucket_id: int, key: bytes, random: bytes) -> str:
    """Return the id of an upload that begins now; `random` is 8 to 32 unguessable bytes.

    ASCII order is the order of time (LMU-01): 14 hexadecimal digits of it come first, in microseconds, so
    that uploads begun one after the other keep their order; then 8 of a hash of the bucket and the key,
    then the random ones.
    """
    return f"{now_us:0{_TIME_DIGITS}x}{_owner(bucket_id, key)}{random.hex()}"


def belongs(upload_id: str, bucket_id: int, key: bytes) -> bool | None:
    """Return whether an id was made for that key; None if it is no upload id at all (LMU-03).

    True does not mean that such an upload exists or ever did.
    """
    if _ID.fullmatch(upload_id) is None:
        return None
    return upload_id[_TIME_DIGITS : _TIME_DIGITS + _OWNER_DIGITS] == _owner(bucket_id, key)


def _owner(bucket_id: int, key: bytes) -> str:
    return blake2b(b"%d/%b" % (bucket_id, key), digest_size=_OWNER_DIGITS // 2).hexdigest()
