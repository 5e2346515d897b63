"""Signs requests by the hundred thousand: SigV4 in headers, as SDKs do, each request by itself."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
SAFE = "-_.~"


@dataclass(slots=True)
class Signer:
    """Signs with one key pair for one endpoint. `token` is the session token of temporary credentials."""

    host: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str = "us-east-1"
    token: str | None = field(default=None, repr=False)
    _keys: dict[str, bytes] = field(default_factory=dict, repr=False)

    def head(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        payload: str = EMPTY_SHA256,
        body_bytes: int | None = None,
    ) -> bytes:
        """Return the head of a signed request. `path` and header names are as they are sent: lower case names.

        `payload` is the body's SHA-256 in hex, or UNSIGNED-PAYLOAD; `body_bytes` becomes Content-Length.
        """
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        lines = {
            "host": self.host,
            "x-amz-content-sha256": payload,
            "x-amz-date": date,
            **({"x-amz-security-token": self.token} if self.token else {}),
            **(headers or {}),
        }
        names = sorted(lines)
        signed = ";".join(names)
        asked = urlencode(sorted((query or {}).items()), safe=SAFE, quote_via=quote)
        signed_lines = "".join([f"{name}:{lines[name]}\n" for name in names])
        canonical = f"{method}\n{path}\n{asked}\n{signed_lines}\n{signed}\n{payload}"
        scope = f"{date[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
        signature = hmac.digest(self._key(scope), text.encode(), "sha256").hex()
        sent = "".join([f"{name}: {value}\r\n" for name, value in lines.items()])
        length = "" if body_bytes is None else f"content-length: {body_bytes}\r\n"
        return (
            f"{method} {path}{'?' + asked if asked else ''} HTTP/1.1\r\n{sent}{length}"
            f"authorization: AWS4-HMAC-SHA256 Credential={self.access_key_id}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}\r\n\r\n"
        ).encode("latin-1")

    def _key(self, scope: str) -> bytes:
        """Return the derived key of a scope; it changes once a day."""
        if scope not in self._keys:
            key = b"AWS4" + self.secret_access_key.encode()
            for part in scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._keys[scope] = key
        return self._keys[scope]
