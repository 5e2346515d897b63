"""Servers broken for the checks of policies of browser forms: POST-04 to POST-08."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anys3.protocol import claims, claims_form, post_policy
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from tests.breakages.authorization_header import find_any_key
from tests.breakages.post_forms import is_form
from tests.broken_servers import Breakage, answering, breaks, patched, saying

CHECK = "anys3.protocol.post_policy.check"
check = post_policy.check
read_condition = post_policy._read
expiration = post_policy._expiration
prove = claims_form.FormClaim.prove
Check = Callable[[str, dict[str, str], str, int], Any]


def judging(sentence: str, judge: Check) -> Breakage:
    """A server that holds forms against their policies in another way."""
    return patched(sentence, CHECK, judge)


def forgiving(sentence: str, *words: str) -> Breakage:
    """A server that stores a form whose refusal has one of those words in its message."""

    def judge(policy: str, fields: dict[str, str], bucket: str, now_s: int) -> Any:
        try:
            return check(policy, fields, bucket, now_s)
        except S3Error as error:
            if any(word in error.message for word in words):
                return None
            raise

    return judging(sentence, judge)


def reading(sentence: str, read: Callable[[Any, str, str, str], tuple[str, str, str]]) -> Breakage:
    """A server that reads conditions otherwise: `read(condition, name, operator, operand)`."""

    def broken(condition: Any) -> tuple[str, str, str]:
        return read(condition, *read_condition(condition))

    return patched(sentence, "anys3.protocol.post_policy._read", broken)


# --- POST-04, POST-05: whether a policy counts -------------------------------------------------------------


def unverified(claim: Any, request: Request, key: Any, *rest: Any, **more: Any) -> claims.Proof:
    """Believe any signature of a key that is known."""
    try:
        return prove(claim, request, key, *rest, **more)
    except S3Error as error:
        if error.code == "SignatureDoesNotMatch":
            return claims.Proof()
        raise


breaks(
    "POST-04/signature-is-verified",
    patched("signatures of forms are not compared", "anys3.protocol.claims_form.FormClaim.prove", unverified),
)
breaks(
    "POST-04/signature-is-verified",
    patched(
        "a key that does not exist has an empty secret",
        "anys3.server.application.Application.find_key",
        find_any_key,
    ),
)
breaks("POST-04/signature-is-verified", saying("AccessDenied", instead_of="SignatureDoesNotMatch"))
breaks("POST-05/expired-policy", patched(
    "policies never expire", "anys3.protocol.post_policy._expiration", lambda document: expiration(document) + 10**9
))  # fmt: skip
breaks("POST-05/expired-policy", saying("InvalidPolicyDocument", instead_of="AccessDenied"))

# --- POST-06, POST-07: conditions --------------------------------------------------------------------------

for _words in (("base64",), ("'expiration'",), ("'conditions'",), ("one property",)):
    breaks(
        "POST-06/invalid-policies",
        forgiving(f"a policy that lacks something counts: {_words[0]}", *_words),
    )
breaks("POST-06/invalid-policies", saying("AccessDenied", instead_of="InvalidPolicyDocument"))
breaks(
    ("POST-06/conditions-that-fail", "POST-06/unusable-operands"),
    forgiving("conditions are not enforced (CVE-2023-28434)", "Condition failed"),
)
for _name in (
    "bucket",
    "key",
    "content-type",
    "x-amz-meta-a",
    "success_action_redirect",
    "success_action_status",
):
    breaks(
        "POST-06/conditions-that-fail",
        reading(
            f"conditions on {_name} are not enforced",
            lambda _, name, operator, operand, free=_name: (
                (name, "starts-with", "") if name == free else (name, operator, operand)
            ),
        ),
    )


def without_case(policy: str, fields: dict[str, str], bucket: str, now_s: int) -> Any:
    """Compare the values of user metadata whatever their case."""
    lowered = {name: text.lower() if name == "x-amz-meta-a" else text for name, text in fields.items()}
    try:
        return check(policy, fields, bucket, now_s)
    except S3Error as error:
        # The policy holds the field to its value twice, and only the second time in another case.
        if '"x-amz-meta-a": "value"' in error.message and lowered["x-amz-meta-a"] == "value":
            return None
        raise


breaks("POST-06/conditions-that-fail", judging("values have no case", without_case))
breaks("POST-06/unusable-operands", saying("InternalError", instead_of="AccessDenied"))
for _operator in ("eq", "starts-with"):
    breaks(
        "POST-06/conditions-that-hold",
        reading(
            f"conditions with {_operator} never hold",
            lambda condition, name, operator, operand, broken=_operator: (
                (name, "eq", "\0") if isinstance(condition, list) and operator == broken
                else (name, operator, operand)
            ),
        ),
    )  # fmt: skip
breaks("POST-07/uncovered-fields", forgiving("fields need no condition", "Extra input fields"))
for _name in ("x-amz-meta-a", "content-type", "success_action_status", "a3-other", "key"):
    breaks(
        "POST-07/uncovered-fields",
        forgiving(f"{_name} needs no condition", f"Extra input fields: {_name}"),
    )
breaks(
    "POST-07/ignored-fields",
    judging("x-ignore- means nothing", lambda policy, fields, bucket, now_s: check(
        policy, {name.replace("x-ignore-", "x-other-"): text for name, text in fields.items()}, bucket, now_s
    )),
)  # fmt: skip

# --- POST-08: the length -----------------------------------------------------------------------------------


def bounded(sentence: str, bend: Callable[[int, int], tuple[int, int] | None]) -> Breakage:
    """A server that takes other lengths than the policy allows."""

    def judge(policy: str, fields: dict[str, str], bucket: str, now_s: int) -> Any:
        found = check(policy, fields, bucket, now_s)
        return bend(*found) if found else None

    return judging(sentence, judge)


for _sentence, _bend in (
    ("files may have any length", lambda fewest, most: None),
    ("files may be too small", lambda fewest, most: (0, most)),
    ("files may be too large", lambda fewest, most: (fewest, 1 << 30)),
    ("the least length is too little", lambda fewest, most: (fewest + 1, most)),
    ("the greatest length is too much", lambda fewest, most: (fewest, most - 1)),
):
    breaks("POST-08/length-range", bounded(_sentence, _bend))
breaks("POST-08/length-range", saying("AccessDenied", instead_of="EntityTooSmall"))


def stored_all_the_same(request: Request, answer: Answer) -> Answer | None:
    """Answer every refused form as if it were stored."""
    return Answer(204) if is_form(request) and answer.status >= 400 else None


breaks(
    ("POST-04/signature-is-verified", "POST-05/expired-policy", "POST-06/invalid-policies"),
    answering("no form is refused", stored_all_the_same),
)
