"""The claim of a form: who has signed its policy, by either version."""

# ruff: noqa: ARG002 - every claim is proved with the same arguments, whether its kind needs them or not

from __future__ import annotations

import hmac

from anys3.model import AccessKey
from anys3.protocol.claims import (
    Claim,
    Proof,
    Realm,
    check_all_signed,
    mismatch,
    text,
    unknown_key,
    wrong_region,
)
from anys3.protocol.claims_v2 import check_sigv2, compare_v2
from anys3.protocol.http import Request
from anys3.protocol.sigv4 import sign_policy


class FormClaim(Claim):
    """A signature over the policy of a POST form, by SigV4 or (`scope` is None) by SigV2."""

    __slots__ = ("policy", "scope", "signature")

    def __init__(
        self, access_key_id: str, policy: bytes, signature: bytes, scope: tuple[bytes, str] | None
    ) -> None:
        """Hold what was sent; `scope` is day and region."""
        super().__init__(access_key_id, "form")
        self.policy = policy
        self.signature = signature
        self.scope = scope

    def prove(
        self,
        request: Request,
        key: AccessKey | None,
        realm: Realm,
        now_s: int,
        *,
        resource: bytes | None = None,
    ) -> Proof:
        """Verify the signature of the policy; what the policy says is for `post_policy`."""
        if self.scope is None:
            check_sigv2(realm)
        elif not realm.serves(self.scope[1]):
            raise wrong_region("AuthorizationQueryParametersError", self.scope[1], realm)
        if key is None:
            raise unknown_key(self)
        secret = key.secret_access_key
        if self.scope is None:
            compare_v2(self, secret, [self.policy], self.signature)
        elif not hmac.compare_digest(sign_policy(secret, *self.scope, self.policy), self.signature):
            raise mismatch(self, StringToSign=text(self.policy))
        # The policy covers the form's fields; a header beside the form would be covered by nothing (POST-07).
        check_all_signed(request.headers, (), but={b"x-amz-content-sha256"})
        return Proof()
