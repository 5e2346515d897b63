"""The root key: made at the first start, kept in the index, copied to `DIR/credentials` for people and SDKs.

The index is the truth. The copy is an AWS shared credentials file, so that
`AWS_SHARED_CREDENTIALS_FILE=data/credentials aws s3 ls ...` works as it is.
"""

from __future__ import annotations

import base64
import configparser
import contextlib
import os
import secrets
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from anys3.model import AccessKey
from anys3.server.refusals import Exit, Refusal

if TYPE_CHECKING:
    from anys3.store.interface import Store

FILE_NAME = "credentials"
_HALF_MADE = ".credentials-"
_AT_WORK_S = 60.0
"""A file of that age has no writer any more: `anys3 key rotate` may be at work beside a start."""
ROOT_NAME = "root"
MIN_ID_LENGTH = 3
MAX_ID_LENGTH = 128
MIN_SECRET_LENGTH = 8
WELL_KNOWN_SECRETS = frozenset({
    "12345678", "123456789", "1234567890", "accesskey", "changeme", "changeme123", "letmein123",
    "minio", "minio123", "minioadmin", "minioadmin123", "miniopassword", "miniosecret", "minio-secret",
    "password", "password1", "password123", "rustfsadmin", "rustfssecret", "seaweedfs", "secretkey",
    "seaweedadmin", "supersecret", "garageadmin", "testtest", "test1234", "topsecret", "weedadmin",
    "s3secret", "verysecretkey1", "wjalrxutnfemi/k7mdeng/bpxrficyexamplekey",
})  # fmt: skip
"""Secrets from other servers' defaults and from tutorials, in lower case (CVE-2025-68926, GHSA-j59h)."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An access key id and its secret, which is not in its repr."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RootKey:
    """The root key in force; `is_new`: made or replaced just now."""

    pair: KeyPair
    is_new: bool
    is_configured: bool
    """Whether the environment gave it, so that nobody needs to be told."""


def generate() -> KeyPair:
    """Return a new random key pair: 20 upper-case characters, and 40 that are safe in URLs and shells."""
    key_id = "ANYS" + base64.b32encode(secrets.token_bytes(10)).decode("ascii")
    return KeyPair(key_id, generate_secret())


def generate_secret() -> str:
    """Return a new secret: 40 URL-safe characters, 240 random bits.

    It never begins with a dash, which command lines would take for a flag.
    """
    while (secret := secrets.token_urlsafe(30)).startswith("-"):
        pass
    return secret


def check_root_key(pair: KeyPair, source: str, is_loopback: bool) -> None:
    """Refuse a root key that can't be signed with, or that others could guess.

    On a loopback address a short or well-known secret is let through: what people try out at home must
    not need a new password. Raises Refusal (exit code 7).
    """
    key_id, secret = pair.access_key_id, pair.secret_access_key
    if not (MIN_ID_LENGTH <= len(key_id) <= MAX_ID_LENGTH and _is_token(key_id) and "/" not in key_id):
        raise Refusal(
            Exit.INSECURE_KEY,
            f"the access key id {key_id!r} can't be used: expected {MIN_ID_LENGTH} to {MAX_ID_LENGTH} visible"
            " ASCII characters without '/', ',' or '='",
        )
    if not secret or not _is_printable(secret):
        raise Refusal(Exit.INSECURE_KEY, f"{source} must be visible ASCII characters without spaces")
    weakness = weakness_of(pair)
    if weakness and not is_loopback:
        raise Refusal(
            Exit.INSECURE_KEY,
            f"the secret of {source} {weakness}, which is not safe on an address that others reach: set one"
            f" of at least {MIN_SECRET_LENGTH} characters that only you know, or unset it and one is made",
        )


def weakness_of(pair: KeyPair) -> str:
    """Return why others could guess the secret; "" if there is no such reason."""
    secret = pair.secret_access_key
    if len(secret) < MIN_SECRET_LENGTH:
        return f"has {len(secret)} characters"
    if secret.lower() in WELL_KNOWN_SECRETS:
        return "is a well-known default"
    return "equals its access key id" if secret == pair.access_key_id else ""


def _is_printable(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def _is_token(text: str) -> bool:
    return _is_printable(text) and not set(text) & set(",=")


async def settle_root_key(store: Store, configured: KeyPair | None, now_ms: int) -> RootKey:
    """Return the root key, after making it if there is none and replacing it if another is configured.

    Repeatable. Raises Refusal (exit code 11) if the configured id is that of another key.
    """
    made = generate()
    pair = configured or pair_of(
        await store.claim_root(_root_key(made, now_ms))  # another server may start at the same moment
    )
    keys = await store.keys()
    roots = [key for key in keys if key.is_root]
    if any(pair_of(root) == pair for root in roots) and len(roots) == 1:
        return RootKey(pair, is_new=pair == made, is_configured=configured is not None)
    if any(key.access_key_id == pair.access_key_id and not key.is_root for key in keys):
        raise Refusal(
            Exit.CONFLICT,
            f"the access key id {pair.access_key_id!r} already belongs to another key of this store: choose"
            " another for the root key, or delete that key first",
        )
    await store.put_key(_root_key(pair, now_ms))
    for root in roots:
        if root.access_key_id != pair.access_key_id:
            await store.delete_key(root.access_key_id)
    return RootKey(pair, is_new=True, is_configured=configured is not None)


def _root_key(pair: KeyPair, now_ms: int) -> AccessKey:
    return AccessKey(pair.access_key_id, pair.secret_access_key, ROOT_NAME, is_root=True, created_ms=now_ms)


async def rotate(store: Store, key: AccessKey) -> AccessKey:
    """Give the key a new secret under the same id, so that it keeps what it owns, and return it."""
    rotated = replace(key, secret_access_key=generate_secret())
    await store.put_key(rotated)
    return rotated


def pair_of(key: AccessKey) -> KeyPair:
    """Return the key's id and secret."""
    return KeyPair(key.access_key_id, key.secret_access_key)


def check_file(directory: Path) -> None:
    """Refuse a credentials file that others can read. Raises Refusal (exit code 7)."""
    path = directory / FILE_NAME
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if os.name == "posix" and mode & 0o077:
        raise Refusal(
            Exit.INSECURE_KEY,
            f"{path} can be read by others (mode {mode & 0o777:04o}, expected 0600): run `chmod 600 {path}`,"
            f" then `anys3 key rotate {ROOT_NAME} --dir {directory}` if they may have read it",
        )


def write_file(directory: Path, pair: KeyPair, region: str) -> Path:
    """Write the copy of the root key (mode 0600) if it is missing or differs, and return its path.

    Atomic: readers see the old file or the new one.
    """
    path = directory / FILE_NAME
    text = (
        "# The root key of this anys3 store: it may do everything. Change it by `anys3 key rotate root`.\n"
        f"# Use it by AWS_SHARED_CREDENTIALS_FILE={path.resolve()}\n"
        "[default]\n"
        f"aws_access_key_id = {pair.access_key_id}\n"
        f"aws_secret_access_key = {pair.secret_access_key}\n"
        f"region = {region}\n"
    )
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text("utf-8") == text:
            return path
    # mkstemp makes the file 0600 before there is anything in it.
    descriptor, temporary = tempfile.mkstemp(prefix=_HALF_MADE, dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def remove_half_made(directory: Path) -> None:
    """Remove the copies of a secret whose writer was killed before it could name them: they are a minute old."""
    for left in directory.glob(_HALF_MADE + "*"):
        with contextlib.suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - _AT_WORK_S:
                left.unlink()


def rewrite_file(directory: Path, pair: KeyPair) -> Path:
    """Write another root key into the copy and keep its region."""
    parser = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):
        parser.read(directory / FILE_NAME, encoding="utf-8")
    return write_file(directory, pair, parser.get("default", "region", fallback="us-east-1"))
