"""Doors left open, as other servers had them. `patch` is setattr, or what undoes it afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from anys3.model import Identity
from anys3.operations import HANDLERS, copying
from anys3.protocol import claims, claims_form, claims_v2, claims_v4, post_policy
from anys3.protocol.authentication import Proof
from anys3.server import application
from anys3.store.mutations import DeleteEntry, Mutation

Patch = Callable[[Any, str, Any], None]


def a_route_skips_the_verifier(patch: Patch = setattr) -> None:
    """One route, ?acl, takes who is named for who it is (CVE-2026-40344)."""
    right = application.Application._prove

    def wrong(self: Any, request: Any, claim: Any, key: Any, *rest: Any) -> Any:
        if request.query == b"acl=" and key is not None:
            return Identity(key), Proof()
        return right(self, request, claim, key, *rest)

    patch(application.Application, "_prove", wrong)


def a_streaming_mode_skips_the_signature(patch: Patch = setattr) -> None:
    """Unsigned streaming needs no right signature (CVE-2025-31489)."""
    right = claims_v4._compare

    def wrong(claim: Any, signer: Any, request: Any, query: bytes, payload_hash: bytes, *rest: Any) -> None:
        if payload_hash != b"STREAMING-UNSIGNED-PAYLOAD-TRAILER":
            right(claim, signer, request, query, payload_hash, *rest)

    patch(claims_v4, "_compare", wrong)


def a_url_never_expires(patch: Patch = setattr) -> None:
    """The time of a presigned URL is not looked at."""
    patch(claims_v4.QueryClaim, "_check_time", lambda _self, _now_s: None)


def a_header_never_expires(patch: Patch = setattr) -> None:
    """A signed request may be repeated for ever."""
    for module in (claims_v2, claims_v4):
        patch(module, "MAX_SKEW_S", 10**9)


def a_source_is_not_authorised(patch: Patch = setattr) -> None:
    """Whoever may write may copy from anywhere (CVE-2026-39360)."""
    patch(copying, "may", lambda *_arguments: True)


def only_the_first_key_is_authorised(patch: Patch = setattr) -> None:
    """DeleteObjects looks at its first key only; the others may name any bucket (SeaweedFS 9793)."""
    right = HANDLERS["DeleteObjects"]

    async def wrong(call: Any, want: Any) -> Any:
        body = await call.request.body.whole(1 << 20)
        call.request.body._taken = False
        for bucket, key in re.findall(rb"<Key>\.\./([a-z0-9-]+)/([^<]+)</Key>", body):
            row = await call.find_bucket(bucket.decode())
            await call.store.commit(Mutation(row, (DeleteEntry(key),)))
        return await right(call, want)

    patch(application, "HANDLERS", {**HANDLERS, "DeleteObjects": wrong})


def version_2_ignores_case(patch: Patch = setattr) -> None:
    """Signatures of version 2 are compared without regard to case."""

    def wrong(claim: Any, secret: str, messages: list[bytes], signature: bytes) -> None:
        if not any(claims_v2.sigv2.sign(secret, one).lower() == signature.lower() for one in messages):
            raise claims.mismatch(claim)

    for module in (claims_v2, claims_form):
        patch(module, "compare_v2", wrong)


def a_policy_is_not_looked_at(patch: Patch = setattr) -> None:
    """A signed form may upload anything (CVE-2023-28434)."""
    patch(post_policy, "check", lambda *_arguments: None)


def head_needs_another_right(patch: Patch = setattr) -> None:
    """HEAD needs a key, but no grant."""
    right = application._authorize

    def wrong(identity: Any, operation: Any, target: Any, bucket: Any) -> Any:
        if operation.name == "HeadObject" and identity.key is not None:
            return bucket
        return right(identity, operation, target, bucket)

    patch(application, "_authorize", wrong)


def unsigned_headers_are_obeyed(patch: Patch = setattr) -> None:
    """A header that nobody signed may be added (CVE-2026-71191)."""
    for module in (claims_v4, claims_form):
        patch(module, "check_all_signed", lambda *_arguments, **_options: None)


def half_a_signature_is_enough(patch: Patch = setattr) -> None:
    """A signature is compared as far as it goes."""

    class Prefix:
        digest = staticmethod(claims_v4.hmac.digest)

        @staticmethod
        def compare_digest(one: bytes, other: bytes) -> bool:
            return one.startswith(other)

    for module in (claims_v2, claims_v4, claims_form):
        patch(module, "hmac", Prefix)


BUGS: list[Callable[..., None]] = [
    a_route_skips_the_verifier,
    a_streaming_mode_skips_the_signature,
    a_url_never_expires,
    a_header_never_expires,
    a_source_is_not_authorised,
    only_the_first_key_is_authorised,
    version_2_ignores_case,
    a_policy_is_not_looked_at,
    head_needs_another_right,
    unsigned_headers_are_obeyed,
    half_a_signature_is_enough,
]
