"""Browser forms as raw bytes: POST policies, signed by hand."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from tests.rawclient import RawClient, Response, render

BOUNDARY = "----anys3-test-boundary"
STARTED = datetime.now(UTC)
"""A form is signed before it is sent: its date, and its policy's, is when the tests began."""
File = tuple[str | None, bytes]
"""File name (None: no such parameter) and content."""


def expiration(after_s: int = 3600) -> str:
    """Return a policy's time."""
    return (datetime.now(UTC) + timedelta(seconds=after_s)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def signing_fields(s3: RawClient) -> dict[str, str]:
    """Return the fields of SigV4 that a policy has to cover, the same each time."""
    date = STARTED.strftime("%Y%m%dT%H%M%SZ")
    return {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{s3.access_key_id}/{date[:8]}/{s3.region}/s3/aws4_request",
        "x-amz-date": date,
    }


def policy_of(
    bucket: str, fields: Mapping[str, str], more: Iterable[object] = (), after_s: int = 3600
) -> str:
    """Return a policy that covers each field with its very value."""
    conditions = [{"bucket": bucket}, *({name: value} for name, value in fields.items()), *more]
    return encode({"expiration": expiration(after_s), "conditions": conditions})


def encode(document: object) -> str:
    """Return a policy as its field has it."""
    return base64.b64encode(json.dumps(document).encode()).decode()


def sign(s3: RawClient, policy: str, scope: str) -> str:
    """Return the signature of a policy."""
    return hmac.digest(s3.signing_key(scope), policy.encode(), "sha256").hex()


def render_form(
    fields: Iterable[tuple[str, str]], files: Iterable[File], part_type: str = "text/x-part"
) -> bytes:
    """Return the bytes of a multipart/form-data body, the files last."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    for name, content in files:
        parameter = "" if name is None else f'; filename="{name}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"{parameter}\r\n'
        parts.append(f"{head}Content-Type: {part_type}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def send_form(
    s3: RawClient,
    path: str,
    fields: Iterable[tuple[str, str]],
    files: Iterable[File],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send a form as it is."""
    body = render_form(fields, files)
    lines = {
        "host": s3.host,
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "content-length": str(len(body)),
        **(headers or {}),
    }
    return s3.send(render("POST", path, lines) + body, "POST")


def post(
    s3: RawClient,
    bucket: str,
    fields: Mapping[str, str],
    content: bytes = b"hello",
    *,
    file_name: str | None = "a.txt",
    policy: str | None = None,
    conditions: Iterable[object] = (),
    replace: Mapping[str, str] | None = None,
    drop: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send a signed form; `replace` and `drop` bend its fields after it was signed."""
    signing = signing_fields(s3)
    policy = policy if policy is not None else policy_of(bucket, {**fields, **signing}, conditions)
    scope = signing["x-amz-credential"].partition("/")[2]
    whole = {
        **fields,
        **signing,
        "policy": policy,
        "x-amz-signature": sign(s3, policy, scope),
        **(replace or {}),
    }
    dropped = set(drop)
    sent = [(name, value) for name, value in whole.items() if name not in dropped]
    return send_form(s3, f"/{bucket}", sent, [(file_name, content)], headers)
