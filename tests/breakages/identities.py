"""Servers broken for the checks of who may do what: AUTH-12 to AUTH-14, AUTH-17."""

from __future__ import annotations

import posixpath
from typing import Any

from anys3.model import AccessKey, Bucket, Target
from anys3.operations import HANDLERS, call
from anys3.operations.call import Call
from anys3.protocol import authentication, copy_source
from anys3.protocol.http import Answer, Request
from anys3.server import application
from tests.breakages.authorization_header import never_compared
from tests.broken_servers import (
    Breakage,
    accepting,
    all_of,
    answering,
    asking,
    breaks,
    code_of,
    error_answer,
    patched,
    saying,
)

AUTHORIZE = "anys3.server.application._authorize"
authorize = application._authorize
read = authentication.read
copy_source_parse = copy_source.parse
real_may = call.may


def letting_in(sentence: str, permission: str = "") -> Breakage:
    """A server that lets those in who have no credentials, for everything or for what needs a permission."""

    def broken(identity: Any, operation: Any, target: Target, bucket: Bucket | None) -> Bucket | None:
        if identity.key is None and operation.permission.startswith(permission):
            return bucket
        return authorize(identity, operation, target, bucket)

    return patched(sentence, AUTHORIZE, broken)


def missing_is_told(request: Request, answer: Answer) -> Answer | None:
    """Tell those whom nobody knows what does not exist."""
    is_missing = code_of(answer) == "AccessDenied" and request.path.endswith(b"-none")
    return error_answer("NoSuchKey") if is_missing else None


breaks(
    (
        "AUTH-12/nobody-reads",
        "AUTH-12/nobody-writes",
        "AUTH-12/nobody-streams",
        "AUTH-12/nobody-learns-of-buckets",
    ),
    letting_in("requests without credentials may do everything"),
)
breaks("AUTH-12/nobody-reads", letting_in("everyone may read", "read"))
breaks("AUTH-12/nobody-reads", answering("everyone learns which keys are missing", missing_is_told))
breaks("AUTH-12/nobody-writes", letting_in("everyone may write", "write"))


def deleting_many(request: Request, answer: Answer) -> Answer | None:
    """Say that what was refused was deleted."""
    if code_of(answer) != "AccessDenied" or request.method != b"POST" or b"delete" not in request.query:
        return None
    return Answer(200, body=b"<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>")


breaks(
    ("AUTH-12/nobody-writes", "AUTH-17/others-do-not-write"),
    answering("DeleteObjects is not authorised", deleting_many),
)
breaks(("AUTH-12/nobody-reads", "AUTH-12/nobody-writes"), saying("InvalidRequest", instead_of="AccessDenied"))


def forget_scheme(request: Request) -> None:
    """Forget an Authorization header of another scheme."""
    if request.headers.get(b"authorization", b"").startswith((b"Bearer", b"Basic")):
        del request.headers[b"authorization"]


breaks(
    "AUTH-13/sigv2-is-refused-or-verified",
    patched("SigV2 signatures are not compared", "anys3.protocol.claims_v2.compare_v2", never_compared),
)
breaks(
    "AUTH-13/sigv2-is-refused-or-verified",
    saying("InvalidArgument", instead_of="InvalidAccessKeyId"),
)
breaks(
    ("AUTH-13/unknown-schemes", "AUTH-13/unknown-schemes-store-nothing"),
    all_of(
        "a token of another scheme counts as no credentials, which may do everything",
        asking("", forget_scheme),
        letting_in(""),
    ),
)
breaks(
    "AUTH-13/unknown-schemes",
    asking("a token of another scheme counts as no credentials", forget_scheme),
)
breaks(
    "AUTH-13/two-signatures-at-once",
    patched("the query's signature is not seen", "anys3.protocol.authentication._query_kind", lambda _: ""),
)
breaks("AUTH-13/two-signatures-at-once", saying("SignatureDoesNotMatch", instead_of="InvalidArgument"))


def read_without_token(request: Request, query: Any) -> Any:
    """Read who a request is from, without its session token."""
    token = request.headers.pop(b"x-amz-security-token", None)
    try:
        return read(request, query)
    finally:
        if token is not None:
            request.headers[b"x-amz-security-token"] = token


breaks(
    "AUTH-14/unverifiable-tokens",
    patched("session tokens are ignored", "anys3.protocol.authentication.read", read_without_token),
)
breaks("AUTH-14/unverifiable-tokens", accepting("InvalidToken"))


def may_all(key: AccessKey, bucket: Bucket, permission: str) -> bool:
    """Whether a key may: any may."""
    return True


def may_read(key: AccessKey, bucket: Bucket, permission: str) -> bool:
    """Whether a key may read and list: any may."""
    return permission == "read" or key.is_root or bucket.owner == key.access_key_id


def may_write(key: AccessKey, bucket: Bucket, permission: str) -> bool:
    """Whether a key may write: any may."""
    return permission == "write" or key.is_root or bucket.owner == key.access_key_id


breaks(
    "AUTH-17/others-do-not-read",
    patched("every key may read everywhere", "anys3.server.application.may", may_read),
)
breaks(
    "AUTH-17/others-do-not-write",
    patched("every key may write everywhere", "anys3.server.application.may", may_write),
)
breaks(
    ("AUTH-17/others-do-not-copy", "AUTH-17/others-do-not-copy-parts"),
    patched("the source of a copy is not authorised (GHSA-wfxj)", "anys3.operations.copying.may", may_all),
)


class Crossing:
    """A server that judges the bucket that a copy source begins with, and opens the one its dots lead to."""

    def __init__(self) -> None:
        self.reached: set[str] = set()

    def parse(self, value: bytes) -> copy_source.CopySource:
        """Return the source, its dots followed."""
        source = copy_source_parse(value)
        path = posixpath.normpath(f"/{source.bucket}/".encode() + source.key)
        bucket, _, key = path[1:].partition(b"/")
        if bucket.decode() != source.bucket:
            self.reached.add(bucket.decode())
        return copy_source.CopySource(bucket.decode(), key)

    def may(self, key: AccessKey, bucket: Bucket, permission: str) -> bool:
        """Whether a key may, or came by dots."""
        return bucket.name in self.reached or real_may(key, bucket, permission)


crossing = Crossing()
breaks(
    "AUTH-17/others-do-not-copy",
    all_of(
        "dots in a copy source lead into other buckets (CVE-2026-55874)",
        patched("", "anys3.operations.copying.copy_source.parse", crossing.parse),
        patched("", "anys3.operations.copying.may", crossing.may),
    ),
)


async def get_normalised(one: Call, want: Any) -> Answer:
    """Read the object that a path means to a file system; only the bucket it began with was judged."""
    path = posixpath.normpath(f"/{one.target.bucket}/".encode() + one.key)
    bucket, _, key = path[1:].partition(b"/")
    row = await one.find_bucket(bucket.decode())  # type: ignore[misc]
    if row is not None:
        one.target = Target(bucket.decode(), key)
        one.row = row
    return await HANDLERS["GetObject"](one, want)


breaks(
    "AUTH-17/paths-do-not-cross-buckets",
    patched(
        "dots in a key lead into other buckets (CVE-2026-54917)",
        "anys3.server.application.HANDLERS",
        {**HANDLERS, "GetObject": get_normalised},
    ),
)
