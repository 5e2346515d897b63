"""POST policies: what a signed form may upload (POST-05 to POST-08)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from anys3.spec.errors import S3Error

LengthRange = tuple[int, int]
"""Fewest and most bytes of the file, both allowed."""

_EXEMPT = frozenset({"file", "policy", "x-amz-signature", "signature", "awsaccesskeyid"})
_EXPIRATION = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?Z")


def check(policy: str, fields: Mapping[str, str], bucket: str, now_s: int) -> LengthRange | None:
    """Hold a form against its policy, which was signed; return the range of lengths it allows, if any.

    `policy` is the base64 text of the field, `fields` have lower-case names. The bucket is the one that is
    addressed, whatever a field says, and the policy must name it: else it would hold for every bucket.

    Raises S3Error:
        InvalidPolicyDocument: the policy is not base64 JSON of the right form (POST-06).
        AccessDenied: it has expired (POST-05), a condition fails (POST-06), or a field is not covered (POST-07).
    """
    document = _parse(policy)
    if _expiration(document) <= now_s:
        raise S3Error("AccessDenied", "Invalid according to Policy: Policy expired.")
    sent = {**fields, "bucket": bucket}
    covered: set[str] = set()
    length_range: LengthRange | None = None
    conditions = document.get("conditions")
    if not isinstance(conditions, list):
        raise _invalid("'conditions' must be a list")
    for condition in conditions:
        if isinstance(condition, list) and condition and str(condition[0]).lower() == "content-length-range":
            fewest, most = _length_range(condition)
            if length_range is not None:
                fewest, most = max(fewest, length_range[0]), min(most, length_range[1])
            length_range = (fewest, most)
            continue
        name, operator, operand = _read(condition)
        covered.add(name)
        value = sent.get(name, "")
        is_held = value.startswith(operand) if operator == "starts-with" else value == operand
        if operator == "starts-with" and name == "content-type":
            is_held = all(one.strip().startswith(operand) for one in value.split(","))
        if not is_held:
            raise S3Error(
                "AccessDenied", f"Invalid according to Policy: Policy Condition failed: {_show(condition)}"
            )
    for name in sent:
        if name not in covered and name not in _EXEMPT and not name.startswith("x-ignore-"):
            raise S3Error("AccessDenied", f"Invalid according to Policy: Extra input fields: {name}")
    return length_range


def _parse(policy: str) -> dict[str, object]:
    try:
        text = base64.b64decode("".join(policy.split()), validate=True).decode("utf-8")
        document = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        raise _invalid("it is not base64 of a JSON document") from None
    if not isinstance(document, dict):
        raise _invalid("it is not a JSON object")
    return document


def _expiration(document: Mapping[str, object]) -> int:
    """Return when the policy expires, in seconds since the epoch."""
    text = document.get("expiration")
    match = _EXPIRATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise _invalid("'expiration' must be a time such as 2026-12-01T12:00:00.000Z")
    try:
        moment = datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        raise _invalid("'expiration' is not a time") from None
    return int(moment.timestamp())


def _read(condition: object) -> tuple[str, str, str]:
    """Return (lower-case field, operator, operand) of one condition."""
    if isinstance(condition, dict):
        if len(condition) != 1:
            raise _invalid("a simple condition must have exactly one property")
        ((name, operand),) = condition.items()
        operator = "eq"
    elif isinstance(condition, list) and len(condition) == 3:
        operator, name, operand = condition
        if not isinstance(operator, str) or not isinstance(name, str) or not name.startswith("$"):
            raise _invalid(f"the condition {_show(condition)} is not of the form [operator, $field, value]")
        operator, name = operator.lower(), name[1:]
    else:
        raise _invalid(f"the condition {_show(condition)} is neither an object nor a list of three")
    if operator not in ("eq", "starts-with"):
        raise _invalid(f"the operator {operator!r} is not known")
    if not isinstance(operand, str):
        raise S3Error(
            "AccessDenied", f"Invalid according to Policy: Policy Condition failed: {_show(condition)}"
        )
    return name.lower(), operator, operand


def _length_range(condition: list[object]) -> LengthRange:
    if len(condition) != 3:
        raise _invalid("content-length-range takes two numbers")
    try:
        fewest, most = (int(str(number)) for number in condition[1:])
    except ValueError:
        raise _invalid("content-length-range takes two numbers") from None
    if fewest < 0 or most < fewest:
        raise _invalid("content-length-range takes two numbers, the smaller first")
    return fewest, most


def _show(condition: object) -> str:
    return json.dumps(condition)[:200]


def _invalid(reason: str) -> S3Error:
    return S3Error("InvalidPolicyDocument", f"Invalid Policy: {reason}.")
