"""Browser forms: POST policies, signed, and bent where a check wants them wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from anys3.client.signing import sign_policy
from anys3.conformance.ground import Identity
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.replies import Reply

BOUNDARY = "----anys3-form-boundary"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
PART_TYPE = "text/x-part"
"""What the part with the file says of its content."""
SIGNATURE = "x-amz-signature"
_HOUR_S = 3600

File = tuple[str | None, bytes]
"""File name (None: no such parameter) and content."""


def expiration(after_s: int = _HOUR_S) -> str:
    """Return the time that a policy has, so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=after_s)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def encode(document: object) -> str:
    """Return a policy as its field has it: base64 of JSON."""
    return base64.b64encode(json.dumps(document).encode()).decode()


@dataclass(slots=True)
class Form:
    """A form for one key. What is not said otherwise allows it to be stored.

    `fields` are sent, and covered by the policy. `conditions` are added to it; `uncovered` are sent without
    any. `policy` takes the place of the policy. `replaced` changes fields after they were signed, and leaves
    them out (None). `who` signs, by default the identity of the run.
    """

    probe: Probe
    key: str
    fields: Mapping[str, str] = field(default_factory=dict)
    conditions: Iterable[object] = ()
    uncovered: Mapping[str, str] = field(default_factory=dict)
    policy: str | None = None
    replaced: Mapping[str, str | None] = field(default_factory=dict)
    files: Iterable[File] = (("file.txt", CONTENT),)
    bucket: str | None = None
    who: Identity | None = None
    covers_key: bool = True
    date: str = ""

    def __post_init__(self) -> None:
        self.who = self.who or self.probe.main
        self.date = self.date or self.who.amz_date()  # once, for the policy holds the form to it

    def send(self) -> Reply:
        """Send the form, and return its answer. Its key is in the journal before."""
        bucket = self.bucket or self.probe.bucket
        self.probe.will_create(self.key, bucket)
        body = render(self.signed_fields().items(), self.files)
        headers = {"content-type": FORM_TYPE}
        return self.probe.request("POST", self.probe.path(bucket=bucket), (), headers, body, identity=None)

    @property
    def signing(self) -> dict[str, str]:
        """The fields that say who signs, and when. Conditions on them can only be exact."""
        return signing_fields(self.who or self.probe.main, self.date)

    def signed_fields(self) -> dict[str, str]:
        """Return all fields, with policy and signature."""
        who = self.who or self.probe.main
        policy = self.policy if self.policy is not None else self.policy_for(self.covered)
        whole = {
            "key": self.key,
            **self.fields,
            **self.uncovered,
            **self.signing,
            "policy": policy,
            SIGNATURE: sign_policy(policy, who.credentials, who.scope(self.date)),
        }
        bent = {name: self.replaced.get(name, value) for name, value in whole.items()}
        return {name: value for name, value in bent.items() if value is not None}

    @property
    def covered(self) -> dict[str, str]:
        """The fields that the policy holds to their very values."""
        return {**({"key": self.key} if self.covers_key else {}), **self.fields, **self.signing}

    def policy_for(self, covered: Mapping[str, str], ends: str | None = None) -> str:
        """Return a policy that holds each of these fields to its very value."""
        return encode({"expiration": ends or expiration(), "conditions": self.conditions_for(covered)})

    def conditions_for(self, covered: Mapping[str, str]) -> list[object]:
        """Return the conditions of such a policy."""
        rows: list[object] = [{"bucket": self.bucket or self.probe.bucket}]
        rows.extend({name: value} for name, value in covered.items())
        return [*rows, *self.conditions]


def signing_fields(who: Identity, date: str) -> dict[str, str]:
    """Return the fields that say who signs, and when."""
    token = who.credentials.session_token
    return {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{who.credentials.access_key_id}/{who.scope(date)}",
        "x-amz-date": date,
        **({"x-amz-security-token": token} if token else {}),
    }


def render(fields: Iterable[tuple[str, str]], files: Iterable[File]) -> bytes:
    """Return the bytes of a multipart/form-data body, the files last."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    for name, content in files:
        parameter = "" if name is None else f'; filename="{name}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"{parameter}\r\n'
        parts.append(f"{head}Content-Type: {PART_TYPE}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
