"""An S3 provider that keeps blobs, as those need it who check whether it can."""

from __future__ import annotations

from dataclasses import dataclass

from anys3.client.connections import Dialer
from anys3.client.signing import Credentials


@dataclass(frozen=True, slots=True)
class Provider:
    """How to reach it, who it knows this server as, and what may be touched there: `prefix` in `bucket`."""

    dialer: Dialer
    credentials: Credentials
    region: str
    bucket: str
    prefix: str
