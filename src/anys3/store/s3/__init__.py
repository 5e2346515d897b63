"""Blobs in a bucket of any S3 provider that passes tier 1 and has multipart uploads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from secrets import SystemRandom

from anys3.client import credentials
from anys3.client.credentials import Found, NoCredentials
from anys3.store.s3.address import Address, parse
from anys3.store.s3.blobs import S3Blobs
from anys3.store.s3.requests import Surroundings

__all__ = ["Address", "S3Blobs", "credentials_of", "open_blobs", "parse"]


def open_blobs(url: str, environment: Mapping[str, str] = os.environ) -> S3Blobs:
    """Return the blobs that `s3://BUCKET/PREFIX?...` names; nothing is sent yet.

    Raises ValueError, which says what is wrong with the URL, or where credentials were looked for.
    """
    address = parse(url)
    around = Surroundings(
        now=lambda: datetime.now(UTC),
        chance=SystemRandom().random,
        find_credentials=lambda: credentials_of(address, environment),
    )
    try:
        return S3Blobs(address, around)
    except NoCredentials as error:
        raise ValueError(str(error)) from None


def credentials_of(address: Address, environment: Mapping[str, str]) -> Found:
    """Return who the provider knows this process as: the AWS chain's, of the URL's profile. Raises NoCredentials."""
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or "~").expanduser()
    return credentials.find(environment, home, address.profile)
