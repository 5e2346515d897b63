"""Browser uploads by forms: POST-01 to POST-03 and POST-09 to POST-13; policies are in post_policies."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from anys3.conformance.kit.bent import with_other_secret
from anys3.conformance.kit.forms import PART_TYPE, SIGNATURE, Form, encode, expiration, render
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_SIGNING = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", SIGNATURE)
_DENIED = "403 AccessDenied"
_OTHER_CRC32 = "AAAAAA=="
_DESCRIPTION = {
    "Content-Type": "image/png",
    "Cache-Control": "no-cache",
    "Content-Disposition": "inline",
    "Content-Encoding": "gzip",
    "Expires": "Thu, 01 Dec 2044 16:00:00 GMT",
    "x-amz-meta-a": "a b",
}


def _expect_nothing(probe: Probe, about: str) -> None:
    """Expect that no form of this check has stored anything."""
    found = probe.list_keys().expect("200").texts("Contents/Key")
    equal(found, [], f"the keys that are there after {about}")


@check("POST-01", operation="PostObject", quick=True)
def stores_a_file(probe: Probe) -> None:
    """A form with a signed policy stores its file, byte by byte, and is answered with 204."""
    content = b"\r\n--\r\n--" + CONTENT + b"\r\n"
    form = Form(probe, probe.key(), files=[("file.txt", content)])
    form.send().expect("204", about="POST of a form")
    probe.expect_content(form.key, content, about="the object that a form stored")


@check("POST-02", operation="PostObject")
def answers_as_asked(probe: Probe) -> None:
    """success_action_status chooses 200, 201 or 204, and any other value means 204; all have the ETag."""
    with together() as each:
        for asked, status in (("200", "200"), ("204", "204"), ("404", "204")):
            with each():
                about = f"a form with success_action_status={asked}"
                reply = Form(probe, probe.key(), {"success_action_status": asked}).send()
                require(
                    reply.expect(status, about=about).etag, f"{about}: expected an ETag, got an empty one"
                )
    equal(probe.head(probe.key()).expect("200").etag, reply.etag, "the ETag of an object that a form stored")


@check("POST-02", operation="PostObject")
def created_document(probe: Probe) -> None:
    """success_action_status=201 is answered with a PostResponse: Location, Bucket, Key and ETag."""
    key = probe.key("a b&c")
    reply = Form(probe, key, {"success_action_status": "201"}).send()
    reply.expect("201", about="a form with success_action_status=201")
    equal(reply.xml.tag, "PostResponse", "the root of the answer with 201")
    found = [(reply.text(name) or "").strip('"') for name in ("Bucket", "Key", "ETag")]
    expected = [probe.bucket, key, reply.etag.strip('"')]
    equal(found, expected, "Bucket, Key and ETag of a PostResponse")
    reply.need_text("Location")


@check("POST-02", operation="PostObject")
def redirects_as_asked(probe: Probe) -> None:
    """success_action_redirect wins: 303, and bucket, key and ETag are appended to the URL, encoded."""
    key = probe.key("a b&c")
    url = "https://example.com/done"
    fields = {"success_action_redirect": url, "success_action_status": "201"}
    reply = Form(probe, key, fields).send().expect("303", about="a form with success_action_redirect")
    where = reply.need("location")
    parts = urlsplit(where)
    equal(f"{parts.scheme}://{parts.netloc}{parts.path}", url, "the URL that a form is redirected to")
    found = {name: values[0] for name, values in parse_qs(parts.query).items()}
    expected = {"bucket": probe.bucket, "key": key, "etag": reply.etag}
    equal(found, expected, "the query of the URL that a form is redirected to")
    require(
        reply.etag.startswith('"') and '"' not in where and " " not in where,
        f"Location of a redirected form: expected a percent-encoded ETag with quotes, got {where}",
    )
    probe.head(key).expect("200", about="the object of a form that was redirected")


@check("POST-03", operation="PostObject")
def filename_in_key(probe: Probe) -> None:
    """${filename} in the key is replaced by the base name of the file."""
    for name in ("plain.txt", "/home/user/path.txt"):
        reply = _named(probe, "u/${filename}", name)
        reply.expect("204", about=f"a form with ${{filename}} in its key, for {name}")
    found = probe.list_keys().expect("200").texts("Contents/Key")
    expected = [probe.key("u/path.txt"), probe.key("u/plain.txt")]
    equal(found, expected, "the keys of forms with u/${filename}")


@check("POST-03", operation="PostObject")
def no_filename(probe: Probe) -> None:
    """Without a file name ${filename} stays as it is, or the form is refused."""
    reply = _named(probe, "${filename}", None)
    found = probe.list_keys().expect("200").texts("Contents/Key")
    if reply.status >= 400:
        reply.expect("4xx", about="a form with ${filename} in its key, without a file name")
        equal(found, [], "the keys that are there after a form was refused")
    else:
        reply.expect("204", about="a form with ${filename} in its key, without a file name")
        equal(found, [probe.key("${filename}")], "the keys of a form with ${filename}, without a file name")


def _named(probe: Probe, key: str, name: str | None) -> Reply:
    base = (name or "").rpartition("/")[2]
    for made in (name or "", base):
        probe.will_create(probe.key(key.replace("${filename}", made)))
    starts = ["starts-with", "$key", probe.prefix]
    form = Form(probe, probe.key(key), conditions=[starts], covers_key=False, files=[(name, CONTENT)])
    return form.send()


@check("POST-09", operation="PostObject")
def missing_fields(probe: Probe) -> None:
    """A form that lacks a field of its signature, or the key, is refused."""
    with together() as each:
        for name in (*_SIGNING, "key"):
            with each():
                form = Form(probe, probe.key(), replaced={name: None})
                # The policy asks for nothing that is missing, so that only its absence is wrong.
                kept = {field: text for field, text in form.covered.items() if field != name}
                form.policy = form.policy_for(kept)
                form.send().expect("400", about=f"a form without {name}")
    _expect_nothing(probe, "forms that lacked fields")


@check("POST-09", operation="PostObject")
def one_file(probe: Probe) -> None:
    """A form without a file, or with two, is refused."""
    with together() as each:
        for files in ([], [("a", b"1"), ("b", b"2")]):
            with each():
                reply = Form(probe, probe.key(), files=files).send()
                reply.expect("400", about=f"a form with {len(files)} files")
    _expect_nothing(probe, "forms with none or two files")


@check("POST-09", operation="PostObject")
def no_signature(probe: Probe) -> None:
    """A form without any signature is refused."""
    unsigned = dict.fromkeys((*_SIGNING, "policy", "x-amz-security-token"))
    Form(probe, probe.key(), replaced=unsigned).send().expect(_DENIED, about="a form without a signature")
    _expect_nothing(probe, "a form without a signature")


@check("POST-09", operation="PostObject")
def sigv2_forms(probe: Probe) -> None:
    """A form signed with SigV2 is refused, or, as a documented extension, verified."""
    refused = ("400 InvalidArgument", "400 InvalidRequest", "403")
    forged = _send_sigv2(probe, with_other_secret(probe.main).credentials.secret_access_key)
    forged.expect(*refused, about="a form with a wrong SigV2 signature")
    _expect_nothing(probe, "a form with a wrong SigV2 signature")
    right = _send_sigv2(probe, probe.main.credentials.secret_access_key)
    right.expect("204", *refused, about="a form signed with SigV2")
    if right.status == 204:
        probe.report("SigV2 forms are accepted, and verified; that must be documented as an extension")


def _send_sigv2(probe: Probe, secret: str) -> Reply:
    known = probe.main.credentials
    token = {"x-amz-security-token": known.session_token} if known.session_token else {}
    fields = {"key": probe.key(), **token}
    conditions = [{"bucket": probe.bucket}, *({name: value} for name, value in fields.items())]
    policy = encode({"expiration": expiration(), "conditions": conditions})
    digest = hmac.new(secret.encode(), policy.encode(), hashlib.sha1).digest()
    signature = base64.b64encode(digest).decode()
    unsigned = dict.fromkeys(_SIGNING)
    added = {"AWSAccessKeyId": known.access_key_id, "signature": signature}
    form = Form(probe, probe.key(), uncovered=added, policy=policy, replaced=unsigned)
    return form.send()


@check("POST-10", operation="PostObject")
def other_content_types(probe: Probe) -> None:
    """A POST that is no multipart/form-data is refused."""
    body = render([("key", probe.key())], [("file.txt", CONTENT)])
    probe.will_create(probe.key())
    with together() as each:
        for kind in ("application/x-www-form-urlencoded", "text/plain"):
            with each():
                reply = probe.request("POST", probe.path(), (), {"content-type": kind}, body)
                about = f"POST of a form with Content-Type: {kind}"
                reply.expect("412 PreconditionFailed", "400 RequestIsNotMultiPartContent", about=about)
                if reply.status == 400:
                    probe.report("a POST that is no form is refused with 400 RequestIsNotMultiPartContent")
    _expect_nothing(probe, "POSTs that were no forms")


@check("POST-11", operation="PostObject")
def too_long_fields(probe: Probe) -> None:
    """Fields of more than 20 KB before the file are refused; those of 18 KB are not."""
    long = Form(probe, probe.key(), uncovered={"x-ignore-a": "x" * 20_481}).send()
    long.expect("400 MaxPostPreDataLengthExceededError", about="a form with a field of 20,481 bytes")
    _expect_nothing(probe, "a form with a field of 20,481 bytes")
    short = Form(probe, probe.key(), uncovered={"x-ignore-a": "x" * 18_000}).send()
    short.expect("204", about="a form with a field of 18,000 bytes")


@check("POST-12", operation="PostObject")
def fields_describe_the_object(probe: Probe) -> None:
    """The content fields and user metadata of a form are stored; the file's part does not count."""
    key = probe.key()
    Form(probe, key, _DESCRIPTION).send().expect("204", about="a form that describes its file")
    head = probe.head(key).expect("200")
    for name, value in _DESCRIPTION.items():
        equal(head.header(name.lower()), value, f"{name} of an object, given as a field of its form")
    plain = probe.key("plain")
    Form(probe, plain).send().expect("204", about="a form without Content-Type")
    found = probe.head(plain).expect("200").header("content-type")
    require(
        found != PART_TYPE,
        f"Content-Type of an object whose form had no such field: expected the default, got {found!r}, which "
        "was that of the file's part",
    )


@check("POST-12", operation="PostObject")
def tags_in_a_document(probe: Probe) -> None:
    """Where the server has tags, `tagging` is a document: it is applied, and a broken one refused."""
    key = probe.key()
    tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    reply = Form(probe, key, {"tagging": tagging}).send()
    tags = probe.get(key, (), [("tagging", "")])
    if tags.is_one_of("501", "405") or reply.status == 501:
        probe.report("the server has no object tags, so that forms were not tried with them")
        return
    reply.expect("204", about="a form with a tagging document")
    equal(tags.expect("200").texts("TagSet/Tag/Key"), ["a"], "the tags of an object, given in its form")
    broken = Form(probe, probe.key("broken"), {"tagging": "<Tagging>"}).send()
    broken.expect("400 MalformedXML", about="a form with broken XML as tagging")
    probe.expect_no_object(probe.key("broken"), about="the object of a form with broken XML as tagging")


@check("POST-12", operation="PostObject")
def checksums_of_forms(probe: Probe) -> None:
    """Where the server verifies the checksum of a PUT, it verifies that of a form's file, too."""
    wrong = {"x-amz-checksum-crc32": _OTHER_CRC32}
    if probe.put(probe.key("put"), headers=wrong).status < 400:
        probe.report("the server verifies no checksum of PUT, so that forms were not tried with them")
        return
    reply = Form(probe, probe.key(), wrong).send()
    reply.expect("400", about="a form with x-amz-checksum-crc32 of another file")
    probe.expect_no_object(probe.key(), about="the object of a form with a wrong checksum")


@check("POST-13", operation="PostObject")
def missing_bucket(probe: Probe) -> None:
    """A validly signed form for a bucket that does not exist answers NoSuchBucket."""
    reply = Form(probe, probe.key(), bucket=probe.missing_bucket).send()
    reply.expect("404 NoSuchBucket", about="a form for a missing bucket")


@check("POST-13", operation="PostObject")
def foreign_scopes(probe: Probe) -> None:
    """A form that is signed for another service or region is refused."""
    service = Form(probe, probe.key(), who=replace(probe.main, service="ec2")).send()
    service.expect("400", "403", about="a form signed for the service ec2")
    probe.expect_no_object(probe.key(), about="the object of a form signed for the service ec2")
    region = Form(probe, probe.key("region"), who=replace(probe.main, region="xx-nowhere-9")).send()
    if region.status == 204:  # AUTH-08 lets a provider document that it accepts any region
        probe.report("a form signed for the region xx-nowhere-9 is accepted; that must be documented")
    else:
        region.expect("400", "403", about="a form signed for the region xx-nowhere-9")
        probe.expect_no_object(probe.key("region"), about="the object of a form signed for another region")


@check("POST-13", operation="PostObject")
def long_key(probe: Probe) -> None:
    """A form with a key of 1,025 bytes is refused."""
    # In short pieces, for only the length of the whole is tried.
    key = (probe.key() + f"/{'k' * 99}" * 11)[:1024].rstrip("/").ljust(1025, "k")
    Form(probe, key).send().expect("400 KeyTooLongError", about="a form with a key of 1,025 bytes")
    _expect_nothing(probe, "a form with a key of 1,025 bytes")
