"""Forms as checks make them: fields, policies and signatures."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.auth
import botocore.credentials
import pytest
from botocore.awsrequest import AWSRequest

from anys3.conformance.kit.forms import BOUNDARY, SIGNATURE, Form, render
from anys3.conformance.probe import Probe
from anys3.protocol.form_data import FormDecoder
from tests.broken_servers import MAIN, BreakableServer


@pytest.fixture
def probe(breakable: BreakableServer, tmp_path: Path) -> Iterator[Probe]:
    """A probe on the server."""
    with breakable.ground(tmp_path) as ground:
        yield Probe(ground, "A-01/form")


def policy_of(form: Form) -> Any:
    return json.loads(base64.b64decode(form.signed_fields()["policy"]))


def test_a_policy_holds_each_field_to_its_value(probe: Probe) -> None:
    form = Form(probe, probe.key(), {"x-amz-meta-a": "1"}, [["starts-with", "$key", ""]], {"other": "2"})
    conditions = policy_of(form)["conditions"]
    held = {name for one in conditions if isinstance(one, dict) for name in one}
    sent = form.signed_fields().keys() - {"policy", SIGNATURE, "other"}
    assert held == sent | {"bucket"}
    assert conditions[-1] == ["starts-with", "$key", ""]


def test_a_form_is_dated_once(probe: Probe) -> None:
    form = Form(probe, probe.key())
    assert form.signed_fields() == form.signed_fields() | {"x-amz-date": form.date}


def test_a_signature_is_botocores(probe: Probe) -> None:
    form = Form(probe, probe.key())
    fields = form.signed_fields()
    credentials = botocore.credentials.Credentials(MAIN.access_key_id, MAIN.secret_access_key)
    signer = botocore.auth.S3SigV4PostAuth(credentials, "s3", "us-east-1")
    request = AWSRequest(method="POST", url="https://s3.localhost/")
    request.context["timestamp"] = form.date
    assert signer.signature(fields["policy"], request) == fields[SIGNATURE]


def test_a_field_can_be_left_out_after_it_was_signed(probe: Probe) -> None:
    form = Form(probe, probe.key(), replaced={"key": None, SIGNATURE: "0"})
    whole = Form(probe, probe.key(), date=form.date, policy=form.signed_fields()["policy"]).signed_fields()
    assert form.signed_fields() == {name: text for name, text in whole.items() if name != "key"} | {
        SIGNATURE: "0"
    }


def test_a_body_holds_fields_and_file_as_they_are() -> None:
    content = b"\r\n--\r\n\0"
    decoder = FormDecoder(BOUNDARY.encode())
    body = render([("key", "a b"), ("x-amz-meta-a", "é")], [("c.txt", content)])
    found = b"".join(bytes(piece) for piece in decoder.feed(body))
    decoder.finish()
    fields = {"key": "a b", "x-amz-meta-a": "é"}
    assert (decoder.fields, decoder.file_name, found) == (fields, "c.txt", content)


def test_a_key_is_written_down_whatever_becomes_of_its_form(probe: Probe) -> None:
    reply = Form(probe, probe.key(), replaced={SIGNATURE: "0"}).send()
    assert reply.status == 403
    assert (probe.bucket, probe.key()) in probe.ground.journal.made.objects
