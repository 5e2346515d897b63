"""Error answers: ERR-01 to ERR-05 and ERR-07 to ERR-09."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anys3.client.signing import Credentials
from anys3.conformance.checks.documents import delete_objects
from anys3.conformance.digests import md5_base64
from anys3.conformance.ground import Identity
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_NOT_A_DELETE = (
    b"text",
    b"<Delete></Deleted>",
    b"<Delete/><Delete/>",
    b"<\xff/>",
)
_UNKNOWN_ID = "AKIANOBODYNOBODYNOBO"
_OTHER_MD5 = md5_base64(b"other")
_OTHER_SHA256 = "0" * 64
_KEPT = ("etag", "last-modified", "content-length", "content-type", "cache-control")


def _bad_signature(probe: Probe) -> Identity:
    """Return the identity of the run with a secret that is wrong."""
    known = probe.main.credentials
    wrong = Credentials(known.access_key_id, "not/the/secret+of/this/key", known.session_token)
    return replace(probe.main, credentials=wrong)


def _unknown_key_id(probe: Probe) -> Identity:
    """Return an identity that nobody has."""
    return replace(probe.main, credentials=Credentials(_UNKNOWN_ID, "some/secret"))


# --- documents -------------------------------------------------------------------------------------------


@check("ERR-01", operation="GetObject")
def error_documents(probe: Probe) -> None:
    """An error is an <Error> with Code, Message and RequestId, and its Code is exact."""
    missing, odd = probe.path(probe.key("none")), probe.path(probe.key('none <a> & "b"'))
    with together() as each:
        for reply, said in (
            (probe.request("GET", missing), "404 NoSuchKey"),
            (probe.request("GET", odd), "404 NoSuchKey"),
            (probe.request("GET", probe.path(bucket=probe.missing_bucket)), "404 NoSuchBucket"),
        ):
            with each():
                _expect_document(reply)
                equal(reply.said, said, f"the answer to {reply.exchange.summary}")
        with each():
            _expect_document(probe.request("POST", probe.path(probe.key("none"))))


@check("ERR-01", operation="ListBuckets", anonymous=True)
def unsigned_errors(probe: Probe) -> None:
    """Unsigned requests are refused with an <Error> that has Code, Message and RequestId."""
    bucket = probe.path(bucket=probe.missing_bucket)
    service = probe.request("GET", "/", identity=None)
    if service.status >= 400:  # some send people who ask for / to a page about themselves
        _expect_document(service)
    for method, path in (("GET", bucket), ("GET", f"{bucket}/k"), ("DELETE", f"{bucket}/k")):
        reply = probe.request(method, path, identity=None)
        reply.expect("4xx", about=f"an unsigned {method} in a bucket that does not exist")
        _expect_document(reply)


def _expect_document(reply: Reply) -> None:
    about = f"{reply.exchange.summary}, answered {reply.said}"
    equal(reply.xml.tag, "Error", f"{about}: the root")
    code = reply.need_text("Code")
    require(code.isascii() and code.replace(".", "").isalnum(), f"{about}: expected a code, got {code!r}")
    for name in ("Message", "RequestId"):
        require(reply.text(name) is not None, f"{about}: expected <{name}> in the document, got none")
    reply.need_text("RequestId")


# --- what is missing -------------------------------------------------------------------------------------


@check("ERR-02", operation="ListObjectsV2")
def missing_bucket(probe: Probe) -> None:
    """Whatever is asked of a bucket that does not exist, it is answered 404 NoSuchBucket."""
    path = probe.path(bucket=probe.missing_bucket)
    with together() as each:
        for method, where, query in (
            ("HEAD", path, ""), ("GET", path, ""), ("GET", f"{path}/k", ""), ("DELETE", f"{path}/k", ""),
        ):  # fmt: skip
            with each():
                reply = probe.request(method, where, query)
                reply.expect("404 NoSuchBucket", about=f"{method} of a bucket that does not exist")
    document = b"<Delete><Object><Key>k</Key></Object></Delete>"
    digest = {"content-md5": md5_base64(document)}
    reply = probe.request("POST", path, "delete=", digest, document)
    reply.expect("404 NoSuchBucket", about="DeleteObjects in a bucket that does not exist")
    reply = probe.request("PUT", probe.path(probe.key(), probe.missing_bucket), body=CONTENT)
    reply.expect("404 NoSuchBucket", about="PUT into a bucket that does not exist")


@check("ERR-02", operation="ListMultipartUploads")
def missing_bucket_of_others(probe: Probe) -> None:
    """Operations beyond the core, too, miss a bucket that does not exist."""
    path = probe.path(bucket=probe.missing_bucket)
    key = probe.path(probe.key(), probe.missing_bucket)
    with together() as each:
        for method, where, query in (
            ("PUT", key, "partNumber=1&uploadId=none"),
            ("GET", key, "uploadId=none"), ("DELETE", key, "uploadId=none"), ("GET", path, "cors="),
            ("GET", key, "tagging="),
        ):  # fmt: skip
            with each():
                reply = probe.request(method, where, query)
                # What is not implemented may be refused before the bucket is looked for.
                reply.expect("404 NoSuchBucket", "501", "405", about=f"{method} with ?{query} of no bucket")


@check("ERR-03", operation="GetObject")
def missing_key(probe: Probe) -> None:
    """GET and HEAD of a key that does not exist are answered 404 NoSuchKey."""
    probe.get(probe.key("none")).expect("404 NoSuchKey", about="GET of a key that does not exist")
    probe.head(probe.key("none")).expect("404", about="HEAD of a key that does not exist")


@check("ERR-04", operation="GetObject")
def strangers_learn_nothing(probe: Probe) -> None:
    """A wrong signature and an unknown key id are refused alike, whether the bucket or key exists or not."""
    key = probe.shared_object()
    paths = {
        "an object": probe.path(key), "a key that does not exist": probe.path(probe.key("none")),
        "a bucket": probe.path(), "a bucket that does not exist": probe.path(bucket=probe.missing_bucket),
        "a key in no bucket": probe.path(key, probe.missing_bucket),
    }  # fmt: skip
    for who, what in (
        (_bad_signature(probe), "a wrong signature"),
        (_unknown_key_id(probe), "an unknown key id"),
    ):
        said = {}
        for name, path in paths.items():
            reply = probe.request("GET", path, identity=who).expect("403", about=f"GET of {name} with {what}")
            said[reply.said] = name
        require(len(said) == 1, f"GET with {what}: expected the same answer everywhere, got {said!r}")
    for name, path in list(paths.items())[1:3]:
        reply = probe.request("HEAD", path, identity=_bad_signature(probe))
        reply.expect("403", about=f"HEAD of {name} with a wrong signature")


# --- wrong documents -------------------------------------------------------------------------------------


@check("ERR-05", "DELS-08", operation="DeleteObjects")
def no_delete_document(probe: Probe) -> None:
    """A body that is not well-formed, or another document, is refused, and nothing is deleted."""
    key = probe.given_object()
    cut = f"<Delete><Object><Key>{key}</Key></Object>".encode()
    other = f"<Other><Object><Key>{key}</Key></Object></Other>".encode()
    with together() as each:
        for document in (*_NOT_A_DELETE, cut, other):
            with each():
                reply = delete_objects(probe, document)
                reply.expect("400 MalformedXML", about=f"DeleteObjects with {document!r}")
    probe.expect_content(key, CONTENT, about="the object after refused documents")


def _upload_if_any(probe: Probe, key: str) -> Upload | None:
    """Start an upload; None, with a note, if the server has none, which other requirements judge."""
    reply = probe.request("POST", probe.path(key), "uploads")
    if reply.is_one_of("501", "405"):
        probe.report("There are no multipart uploads, so what is refused there was not tried.")
        return None
    reply.expect("200", about="the start of an upload")
    return Upload(probe.bucket, key, reply.need_text("UploadId"))


# --- failures after a 200 --------------------------------------------------------------------------------


@check("ERR-07", operation="CopyObject")
def failed_copies_say_so(probe: Probe) -> None:
    """A copy or a part copied that fails is not answered 200, or with an <Error> root behind it."""
    source = {"x-amz-copy-source": probe.path(probe.key("none"))}
    reply = probe.request("PUT", probe.path(probe.key("copy")), (), source)
    _expect_failure(reply, "CopyObject of a key that does not exist")
    probe.expect_no_object(probe.key("copy"), about="the copy of a key that does not exist")
    upload = _upload_if_any(probe, probe.key("parts"))
    if upload is not None:
        query = [("partNumber", "1"), ("uploadId", upload.id)]
        reply = probe.request("PUT", upload.path, query, source)
        _expect_failure(reply, "UploadPartCopy of a key that does not exist")


@check("ERR-07", operation="CompleteMultipartUpload")
def failed_completion_says_so(probe: Probe) -> None:
    """A completion that fails is not answered 200, or with an <Error> root behind it."""
    upload = _upload_if_any(probe, probe.key())
    if upload is None:
        return
    sent = probe.given_part(upload)
    wrong = replace(sent, etag='"00000000000000000000000000000000"')
    _expect_failure(probe.complete(upload, [wrong]), "CompleteMultipartUpload with an ETag that no part has")
    probe.expect_no_object(upload.key, about="the object of a completion that failed")


def _expect_failure(reply: Reply, about: str) -> None:
    is_told = reply.status >= 400 or (reply.status == 200 and reply.xml.tag == "Error")
    require(is_told, f"{about}: expected an error, or 200 with an <Error> root, got {reply.said}")


# --- what a refusal leaves -------------------------------------------------------------------------------


@check("ERR-08", operation="PutObject")
def refused_put_changes_nothing(probe: Probe) -> None:
    """A refused PUT leaves the object, its headers and the listing as they were."""
    other = {"content-type": "text/html", "cache-control": "no-store"}
    refusals: tuple[tuple[str, dict[str, str], dict[str, Any]], ...] = (
        ("a wrong signature", {}, {"identity": _bad_signature(probe)}),
        ("a wrong MD5", {"content-md5": _OTHER_MD5}, {}),
        ("a wrong SHA-256", {}, {"payload_hash": _OTHER_SHA256}),
        ("an unknown storage class", {"x-amz-storage-class": "NONE-SUCH"}, {}),
    )
    for number in range(len(refusals)):
        key = probe.given_object(f"{number}/old", headers={"content-type": "text/plain"})
        before = probe.head(key).expect("200")
        accepted = set()
        for what, headers, bend in refusals:
            for name in (key, probe.key(f"{number}/new")):
                reply = probe.request("PUT", probe.path(name), (), {**other, **headers}, b"after", **bend)
                if reply.status < 300:
                    accepted.add(what)
                    probe.report(f"PUT with {what} is accepted, so that it shows nothing here.")
        if not accepted:
            about = f"PUTs with {', '.join(what for what, _, _ in refusals)}"
            _expect_same(probe, key, before, number, about)
            return
        # Once more with those that are really refused, for what was accepted has changed the object.
        refusals = tuple(one for one in refusals if one[0] not in accepted)
        if not refusals:
            return


def _expect_same(probe: Probe, key: str, before: Reply, number: int, about: str) -> None:
    after = probe.expect_content(key, CONTENT, about=f"the object after refused {about}")
    for header in _KEPT:
        equal(after.header(header), before.header(header), f"{header} after refused {about}")
    listed = probe.list_keys(("prefix", f"{probe.prefix}{number}/")).expect("200")
    equal(listed.texts("Contents/Key"), [key], f"the keys after refused {about}")


@check("ERR-08", operation="DeleteObject")
def refused_delete_changes_nothing(probe: Probe) -> None:
    """A refused DELETE leaves the object."""
    key = probe.given_object()
    refused = probe.request("DELETE", probe.path(key), identity=_bad_signature(probe))
    if refused.status < 300:
        probe.report("DELETE with a wrong signature is accepted, so that it shows nothing here.")
        return
    probe.expect_content(key, CONTENT, about="the object after a refused DELETE")


@check("ERR-08", operation="UploadPart")
def refused_part_changes_nothing(probe: Probe) -> None:
    """A refused part leaves the parts of the upload as they were."""
    upload = _upload_if_any(probe, probe.key())
    if upload is None:
        return
    sent = probe.given_part(upload)
    for number in (1, 2):
        refused = probe.put_part(upload, number, b"after", {"content-md5": _OTHER_MD5})
        if refused.status < 300:
            probe.report("A part with a wrong MD5 is accepted, so that it shows nothing here.")
            return
    parts = probe.request("GET", upload.path, [("uploadId", upload.id)]).expect("200", about="ListParts")
    equal(parts.texts("Part/ETag"), [sent.etag], "the ETags of the parts after refused ones")


# --- order -----------------------------------------------------------------------------------------------


@check("ERR-09", operation="PutObject")
def order_of_checks(probe: Probe) -> None:
    """Authentication is checked first, then the bucket, arguments, the key, conditions, and the body last."""
    key = probe.given_object()
    faults = {"x-amz-storage-class": "NONE-SUCH", "content-md5": _OTHER_MD5}
    nowhere = probe.path(key, probe.missing_bucket)
    stranger = _bad_signature(probe)
    with together() as each:
        with each():
            reply = probe.request("PUT", nowhere, (), faults, CONTENT, identity=stranger)
            reply.expect("403", about="a wrong signature, no bucket, and a wrong argument")
        with each():
            reply = probe.request("PUT", nowhere, (), faults, CONTENT)
            reply.expect("404 NoSuchBucket", about="no bucket, a wrong argument and a wrong MD5")
        with each():
            reply = probe.put(key, CONTENT, faults)
            reply.expect("4xx", "501", about="a wrong argument and a wrong MD5")
            require(
                reply.code != "BadDigest", "a wrong argument and a wrong MD5: expected the argument first"
            )
        with each():
            reply = probe.get(probe.key("none"), {"if-match": '"0"'})
            reply.expect("404 NoSuchKey", about="no key and a condition that is false")
        with each():
            reply = probe.put(key, CONTENT, {"if-none-match": "*", "content-md5": _OTHER_MD5})
            reply.expect("412", "501", about="a condition that is false and a wrong MD5")
