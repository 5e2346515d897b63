"""Policies of browser forms: POST-04 to POST-08."""

from __future__ import annotations

import base64

from anys3.conformance.kit.bent import unknown_identity, with_other_secret
from anys3.conformance.kit.forms import SIGNATURE, Form, encode, expiration
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check

_DENIED = "403 AccessDenied"
_INVALID = "400 InvalidPolicyDocument"


def _expect_nothing(probe: Probe, about: str) -> None:
    probe.expect_no_object(probe.key(), about=f"the object of {about}")


@check("POST-04", operation="PostObject")
def signature_is_verified(probe: Probe) -> None:
    """A form whose signature is not that of its policy, or of a known key, is refused."""
    mismatch = "403 SignatureDoesNotMatch"
    looser = Form(probe, probe.key(), conditions=[["starts-with", "$key", ""]]).signed_fields()["policy"]
    with together() as each:
        with each():
            zeros = Form(probe, probe.key(), replaced={SIGNATURE: "0" * 64}).send()
            zeros.expect(mismatch, about="a form with a signature of zeros")
        with each():
            swapped = Form(probe, probe.key(), replaced={"policy": looser}).send()
            swapped.expect(mismatch, about="a form with another policy than was signed")
        with each():
            forged = Form(probe, probe.key(), who=with_other_secret(probe.main)).send()
            forged.expect(mismatch, about="a form that was signed with another secret")
        with each():
            unknown = Form(probe, probe.key(), who=unknown_identity(probe.main)).send()
            unknown.expect("403 InvalidAccessKeyId", about="a form of an unknown access key id")
    _expect_nothing(probe, "forms with wrong signatures")


@check("POST-05", operation="PostObject")
def expired_policy(probe: Probe) -> None:
    """A form whose policy has expired is refused."""
    form = Form(probe, probe.key())
    form.policy = form.policy_for(form.covered, expiration(-3600))
    form.send().expect(_DENIED, about="a form whose policy expired an hour ago")
    _expect_nothing(probe, "a form whose policy expired an hour ago")


@check("POST-06", operation="PostObject")
def invalid_policies(probe: Probe) -> None:
    """What is signed but is no policy is refused: no base64, no JSON, no expiration, no conditions."""
    ends = expiration()
    form = Form(probe, probe.key())
    conditions = form.conditions_for(form.covered)
    two = {"bucket": probe.bucket, "key": probe.key()}
    policies = {
        "no base64": "{}",
        "no JSON": base64.b64encode(b"no JSON").decode(),
        "without expiration": encode({"conditions": conditions}),
        "without conditions": encode({"expiration": ends}),
        "with a condition of two properties": encode({"expiration": ends, "conditions": [*conditions, two]}),
    }
    with together() as each:
        for kind, policy in policies.items():
            with each():
                form.policy = policy
                reply = form.send()
                reply.expect(_INVALID, about=f"a form with a policy, {kind}")
    _expect_nothing(probe, "forms with invalid policies")


@check("POST-06", operation="PostObject")
def conditions_that_fail(probe: Probe) -> None:
    """Each kind of condition is enforced: equal, starts-with, the bucket, any field; values have a case."""
    key = probe.key()
    url = "https://example.com/"
    fields = {"Content-Type": "image/png", "x-amz-meta-a": "Value", "success_action_redirect": url}
    failing: list[object] = [
        {"bucket": f"{probe.bucket}-other"},
        {"key": f"{key}-other"},
        ["eq", "$key", key[:-1]],
        ["starts-with", "$key", f"x{key}"],
        ["starts-with", "$Content-Type", "text/"],
        {"x-amz-meta-a": "value"},
        ["eq", "$success_action_redirect", "https://example.org/"],
        ["eq", "$success_action_status", "201"],
    ]
    with together() as each:
        for condition in failing:
            with each():
                reply = Form(probe, key, fields, [condition]).send()
                reply.expect(_DENIED, about=f"a form that breaks the condition {condition}")
    _expect_nothing(probe, "forms that broke their conditions")


@check("POST-06", operation="PostObject")
def unusable_operands(probe: Probe) -> None:
    """A condition whose operand is no text never holds."""
    with together() as each:
        for operand in (1, [probe.key()]):
            with each():
                reply = Form(probe, probe.key(), conditions=[["eq", "$key", operand]]).send()
                reply.expect(_DENIED, _INVALID, about=f"a form with the operand {operand!r}")
    _expect_nothing(probe, "forms with unusable operands")


@check("POST-06", operation="PostObject")
def conditions_that_hold(probe: Probe) -> None:
    """A form that fits its conditions, one of each kind, is stored."""
    fields = {"Content-Type": "image/png", "x-amz-meta-a": "any", "success_action_status": "200"}
    form = Form(probe, probe.key(), fields)
    form.conditions = [
        ["starts-with", "$key", probe.prefix],
        ["eq", "$Content-Type", "image/png"],
        ["starts-with", "$x-amz-meta-a", ""],
        {"success_action_status": "200"},
        ["content-length-range", len(CONTENT), len(CONTENT)],
    ]
    form.policy = form.policy_for(form.signing)
    reply = form.send()
    reply.expect("200", about="a form that fits its conditions")
    probe.expect_content(probe.key(), CONTENT, about="the object of a form that fits its conditions")


@check("POST-07", operation="PostObject")
def uncovered_fields(probe: Probe) -> None:
    """A field that no condition covers is refused, whatever it is."""
    with together() as each:
        for name in ("x-amz-meta-a", "Content-Type", "success_action_status", "a3-other"):
            with each():
                reply = Form(probe, probe.key(), uncovered={name: "200"}).send()
                reply.expect(_DENIED, about=f"a form with the field {name}, which its policy does not name")
        with each():
            keyless = Form(probe, probe.key(), covers_key=False).send()
            keyless.expect(_DENIED, about="a form whose policy does not name the key")
    _expect_nothing(probe, "forms with fields that no condition covers")


@check("POST-07", operation="PostObject")
def ignored_fields(probe: Probe) -> None:
    """A field that begins with x-ignore- needs no condition."""
    reply = Form(probe, probe.key(), uncovered={"x-ignore-submit": "Upload"}).send()
    reply.expect("204", about="a form with the field x-ignore-submit")


@check("POST-08", operation="PostObject")
def length_range(probe: Probe) -> None:
    """content-length-range bounds the file, both ends included."""
    limits = ["content-length-range", 10, 20]
    with together() as each:
        for size, code in ((9, "EntityTooSmall"), (21, "EntityTooLarge")):
            with each():
                form = Form(probe, probe.key(), conditions=[limits], files=[("file.txt", b"x" * size)])
                form.send().expect(f"400 {code}", about=f"a form with {size} bytes, of 10 to 20 allowed")
        with each():
            _expect_nothing(probe, "forms with files that are too small or too large")
        for size in (10, 20):
            with each():
                form = Form(probe, probe.key(), conditions=[limits], files=[("file.txt", b"x" * size)])
                form.send().expect("204", about=f"a form with {size} bytes, of 10 to 20 allowed")
