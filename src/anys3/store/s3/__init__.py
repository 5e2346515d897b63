"""Blobs in a bucket of any S3 provider that passes tier 1 and has multipart uploads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from secrets import SystemRandom

from anys3.client import credentials
from anys3.client.connections import Dialer
from anys3.client.credentials import Found, NoCredentials
from anys3.store.provider import Provider
from anys3.store.s3.address import Address, parse
from anys3.store.s3.blobs import S3Blobs
from anys3.store.s3.requests import Surroundings, endpoint_of, region_of

__all__ = ["Address", "S3Blobs", "credentials_of", "open_blobs", "parse", "provider_of"]


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


def provider_of(url: str, environment: Mapping[str, str] = os.environ) -> Provider | None:
    """Return the provider to check before blobs are kept there; None if the URL asks for no check.

    Raises ValueError, as `open_blobs`.
    """
    address = parse(url)
    if not address.is_checked:
        return None
    try:
        found = credentials_of(address, environment)
    except NoCredentials as error:
        raise ValueError(str(error)) from None
    region = region_of(address, found)
    dialer = Dialer(endpoint_of(address, region), address.timeout_s, address.ca_file)
    return Provider(dialer, found.credentials, region, address.bucket, address.prefix)
