"""Policies of POST forms: every condition kept, and each of them broken once."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from anys3.protocol import post_policy
from anys3.spec.errors import S3Error

NOW_S = 1_795_000_000
LATER = "2030-01-01T00:00:00.000Z"
FIELDS = {
    "key": "user/a.txt",
    "content-type": "text/plain",
    "x-amz-meta-tag": "Red",
    "policy": "...",
    "x-ignore-me": "1",
}
CONDITIONS: list[Any] = [
    {"bucket": "photos"},
    ["starts-with", "$key", "user/"],
    ["eq", "$Content-Type", "text/plain"],
    {"x-amz-meta-tag": "Red"},
    ["content-length-range", 1, "100"],
]


def encode(document: Any) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def check(conditions: Any = CONDITIONS, fields: dict[str, str] = FIELDS, bucket: str = "photos") -> Any:
    policy = encode({"expiration": LATER, "conditions": conditions})
    return post_policy.check(policy, fields, bucket, NOW_S)


def refusal(conditions: Any = CONDITIONS, fields: dict[str, str] = FIELDS, bucket: str = "photos") -> str:
    with pytest.raises(S3Error) as caught:
        check(conditions, fields, bucket)
    return caught.value.code


def document_refusal(policy: str) -> str:
    with pytest.raises(S3Error) as caught:
        post_policy.check(policy, FIELDS, "photos", NOW_S)
    return caught.value.code


@pytest.mark.requirement("POST-06", "POST-07", "POST-08")
def test_a_form_that_keeps_its_policy_is_accepted_with_its_range_of_lengths() -> None:
    assert check() == (1, 100)
    assert check(CONDITIONS[:-1]) is None
    assert check([*CONDITIONS, ["content-length-range", 0, 50]]) == (1, 50)


@pytest.mark.requirement("POST-06")
@pytest.mark.known_mistake(34)
@pytest.mark.parametrize(
    "change",
    [
        {"key": "other/a.txt"},
        {"key": "USER/a.txt"},
        {"key": ""},
        {"content-type": "text/html"},
        {"x-amz-meta-tag": "red"},
    ],
)
def test_each_condition_is_enforced(change: dict[str, str]) -> None:
    """CVE-2023-28434: a form's conditions did not bind."""
    assert refusal(fields=FIELDS | change) == "AccessDenied"


@pytest.mark.requirement("POST-06")
@pytest.mark.known_mistake(34)
def test_a_policy_holds_for_its_bucket_only_whatever_a_field_says() -> None:
    assert refusal(bucket="secrets") == "AccessDenied"
    assert refusal(fields=FIELDS | {"bucket": "photos"}, bucket="secrets") == "AccessDenied"
    assert refusal(CONDITIONS[1:]) == "AccessDenied"


@pytest.mark.requirement("POST-06")
def test_a_field_that_a_condition_wants_must_be_there() -> None:
    assert refusal([*CONDITIONS, {"x-amz-meta-more": "1"}]) == "AccessDenied"


@pytest.mark.requirement("POST-07")
@pytest.mark.parametrize("name", ["acl", "x-amz-meta-other", "success_action_redirect", "tagging"])
def test_a_field_that_no_condition_covers_is_refused(name: str) -> None:
    assert refusal(fields=FIELDS | {name: "x"}) == "AccessDenied"
    check([*CONDITIONS, ["starts-with", f"${name}", ""]], FIELDS | {name: "x"})


@pytest.mark.requirement("POST-05")
@pytest.mark.parametrize(
    ("expiration", "is_over"), [("2026-11-18T13:06:40Z", True), ("2026-11-18T13:06:41Z", False)]
)
def test_a_policy_expires(expiration: str, is_over: bool) -> None:
    now_s = 1_795_007_200
    policy = encode({"expiration": expiration, "conditions": CONDITIONS})
    outcome = "accepted"
    try:
        post_policy.check(policy, FIELDS, "photos", now_s)
    except S3Error as error:
        outcome = error.code
    assert outcome == ("AccessDenied" if is_over else "accepted")


@pytest.mark.requirement("POST-06")
@pytest.mark.parametrize(
    "policy",
    [
        "",
        "%",
        "e30",
        base64.b64encode(b"\xff").decode(),
        base64.b64encode(b"{").decode(),
        base64.b64encode(b"[" * 9_000).decode(),
        base64.b64encode(b"9" * 9_000).decode(),
        encode([]),
        encode({}),
        encode({"expiration": LATER}),
        encode({"conditions": CONDITIONS}),
        encode({"expiration": "tomorrow", "conditions": CONDITIONS}),
        encode({"expiration": "2030-13-01T00:00:00Z", "conditions": CONDITIONS}),
        encode({"expiration": 1, "conditions": CONDITIONS}),
        encode({"expiration": LATER, "conditions": {}}),
    ],
)
def test_a_policy_that_is_no_policy_is_refused(policy: str) -> None:
    assert document_refusal(policy) == "InvalidPolicyDocument"


@pytest.mark.requirement("POST-06")
@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"bucket": "photos", "key": "a"},
        [],
        ["eq", "$key"],
        ["eq", "key", "a"],
        ["ends-with", "$key", "a"],
        [1, "$key", "a"],
        ["eq", 1, "a"],
        "key",
        None,
        ["content-length-range", 1],
        ["content-length-range", "a", 2],
        ["content-length-range", 2, 1],
        ["content-length-range", -1, 1],
        ["content-length-range", 1, 1.5],
        ["content-length-range", True, 5],
    ],
)
def test_a_condition_of_another_form_is_refused(condition: Any) -> None:
    assert refusal([*CONDITIONS, condition]) == "InvalidPolicyDocument"


@pytest.mark.requirement("POST-06")
@pytest.mark.parametrize("operand", [1, None, True, ["text/plain"], {}])
def test_an_unusable_operand_is_refused(operand: Any) -> None:
    assert refusal([*CONDITIONS, {"content-type": operand}]) == "AccessDenied"
