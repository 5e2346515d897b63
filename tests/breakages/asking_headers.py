"""Servers broken for the checks of headers that ask for behaviour: all of them do as if there were none."""

from __future__ import annotations

from anys3.protocol.http import Answer, Request
from tests.broken_servers import Proceed, breaks, hooked, ignoring, when

ENCRYPTION = "x-amz-server-side-encryption"
STORED = ("HTTP-15/asked-of-put", "HTTP-15/asked-of-copy", "HTTP-15/asked-of-multipart")
CUSTOMER = tuple(f"{ENCRYPTION}-customer-{what}" for what in ("algorithm", "key", "key-md5"))

for names in (
    (ENCRYPTION,),
    (f"{ENCRYPTION}-aws-kms-key-id",),
    (f"{ENCRYPTION}-context",),
    CUSTOMER,
    ("x-amz-grant-read",),
    ("x-amz-acl",),
    ("x-amz-website-redirect-location",),
    ("x-amz-storage-class",),
    ("x-amz-expected-bucket-owner",),
):
    breaks(STORED, ignoring(*names))
breaks(STORED[0], ignoring("x-amz-tagging"))
breaks(STORED[1], ignoring("x-amz-tagging", "x-amz-tagging-directive"))
breaks(STORED[2], ignoring("x-amz-tagging"))
breaks(
    "HTTP-15/locks-asked-of-put",
    ignoring("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"),
)
breaks("HTTP-15/locks-asked-of-put", ignoring("x-amz-object-lock-legal-hold"))
breaks("HTTP-15/offset-asked-of-put", ignoring("x-amz-write-offset-bytes"))
breaks("HTTP-15/conditions-asked-of-writes", ignoring("if-match"))
breaks("HTTP-15/conditions-asked-of-writes", ignoring("if-none-match"))
breaks("HTTP-15/asked-of-others", ignoring("x-amz-expected-bucket-owner"))
breaks("HTTP-15/asked-of-others", ignoring("x-amz-mfa"))
for name in (
    "x-amz-acl",
    "x-amz-grant-read",
    "x-amz-bucket-object-lock-enabled",
    "x-amz-object-ownership",
):
    breaks("HTTP-15/asked-of-create-bucket", ignoring(name))


async def storing_what_it_refuses(request: Request, proceed: Proceed) -> Answer:
    """Answer with a refusal, although the object is stored."""
    is_asked = when(request, "PUT", header="x-amz-storage-class")
    with ignoring("x-amz-storage-class").enter(None):  # type: ignore[arg-type]
        answer = await proceed(request)
    return Answer(501) if is_asked else answer


breaks("HTTP-15/asked-of-put", hooked("what is refused is stored", storing_what_it_refuses))
