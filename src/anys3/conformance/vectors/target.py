"""The endpoint under test, the identities that can be taken there, and what may be made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from anys3.client.endpoint import Endpoint
from anys3.client.signing import Credentials

INVALID = Credentials("AKIAUNKNOWNTOANYBODY", "a-secret-that-belongs-to-no-key-anywhere")
"""A key that no endpoint knows; requests of the identity `invalid` are signed well with it."""


class Journal(Protocol):
    """Writes names down before they are created, so that an interrupted run can be cleaned up later."""

    def will_create_bucket(self, name: str) -> None:
        """Write down a bucket."""

    def will_create_object(self, bucket: str, key: str) -> None:
        """Write down an object."""

    def will_create_upload(self, bucket: str, key: str) -> None:
        """Write down a multipart upload."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where vectors run, and as whom. `second` is another identity, for `$credential`."""

    endpoint: Endpoint
    credentials: Credentials
    region: str = "us-east-1"
    second: Credentials | None = None
    ca_file: str | None = None
    timeout_s: float = 30.0
