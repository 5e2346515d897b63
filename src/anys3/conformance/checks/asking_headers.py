"""Headers that ask for behaviour are honoured or refused, never dropped in silence: HTTP-15."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from anys3.conformance.digests import md5_base64
from anys3.conformance.kit import spare
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe, SentPart, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_ENCRYPTION = "x-amz-server-side-encryption"
_NOBODY = "0" * 64
_OTHER_ETAG = '"00000000000000000000000000000000"'
_OTHER_ACCOUNT = {"x-amz-expected-bucket-owner": "000000000000"}
_CUSTOMER_KEY = b"0123456789abcdef0123456789abcdef"
_LEGAL_HOLD_OFF = b"<LegalHold><Status>OFF</Status></LegalHold>"


@dataclass(frozen=True, slots=True)
class Asked:
    """Headers of a request that stores an object, and how their effect is seen.

    `shows` is given the probe, the key, and the answer to the request that had the headers.
    """

    headers: Mapping[str, str]
    shows: Callable[[Probe, str, Reply], bool]
    with_every_request: bool = False

    def __str__(self) -> str:
        return ", ".join(f"{name}: {value}" for name, value in self.headers.items())


def _never(_probe: Probe, _key: str, _reply: Reply) -> bool:
    return False


def _echoed(name: str, value: str) -> Callable[[Probe, str, Reply], bool]:
    """Return whether the answer, or HEAD of the object, has a header of that value."""

    def shows(probe: Probe, key: str, reply: Reply) -> bool:
        return value in (reply.header(name), probe.head(key).header(name))

    return shows


def _is_tagged(probe: Probe, key: str, _reply: Reply) -> bool:
    if probe.head(key).header("x-amz-tagging-count") == "1":
        return True
    return "asked" in _document(probe, probe.path(key), "tagging")


def _grants(text: str) -> Callable[[Probe, str, Reply], bool]:
    """Return whether the access control list of the object holds a text."""

    def shows(probe: Probe, key: str, _reply: Reply) -> bool:
        return text in _document(probe, probe.path(key), "acl")

    return shows


def _document(probe: Probe, path: str, name: str) -> str:
    """Return the document of a sub-resource; "" if there is none."""
    reply = probe.request("GET", path, name)
    return reply.body.decode("utf-8", "replace") if reply.status == 200 else ""


_ASKED = (
    Asked({_ENCRYPTION: "AES256"}, _echoed(_ENCRYPTION, "AES256")),
    Asked({_ENCRYPTION: "none-such"}, _never),
    Asked(
        {f"{_ENCRYPTION}-aws-kms-key-id": "none-such"},
        _echoed(f"{_ENCRYPTION}-aws-kms-key-id", "none-such"),
    ),
    Asked({f"{_ENCRYPTION}-context": "e30="}, _echoed(f"{_ENCRYPTION}-context", "e30=")),
    Asked(
        {
            f"{_ENCRYPTION}-customer-algorithm": "AES256",
            f"{_ENCRYPTION}-customer-key": base64.b64encode(_CUSTOMER_KEY).decode(),
            f"{_ENCRYPTION}-customer-key-md5": md5_base64(_CUSTOMER_KEY),
        },
        lambda probe, key, _reply: probe.head(key).status == 400,
        with_every_request=True,
    ),
    Asked({"x-amz-grant-read": f'id="{_NOBODY}"'}, _grants(_NOBODY)),
    Asked({"x-amz-acl": "public-read"}, _grants("AllUsers")),
    Asked({"x-amz-acl": "none-such"}, _never),
    Asked({"x-amz-tagging": "asked=1"}, _is_tagged),
    Asked(
        {"x-amz-website-redirect-location": "/elsewhere"},
        _echoed("x-amz-website-redirect-location", "/elsewhere"),
    ),
    Asked(
        {"x-amz-storage-class": "REDUCED_REDUNDANCY"}, _echoed("x-amz-storage-class", "REDUCED_REDUNDANCY")
    ),
    Asked({"x-amz-storage-class": "NONE-SUCH"}, _never),
    Asked(_OTHER_ACCOUNT, _never),
)


def _judge(probe: Probe, asked: Asked, key: str, reply: Reply, operation: str) -> None:
    """Raise Failed unless the headers were refused, or their effect is seen."""
    about = f"{operation} with {asked}"
    reply.expect("2xx", "4xx", "501", about=about)
    if reply.status >= 300:
        return
    require(
        asked.shows(probe, key, reply),
        f"{about}: expected a refusal or the effect, got {reply.said} and no trace of it",
    )


def _numbered() -> Iterator[tuple[str, Asked]]:
    return ((f"{number:02}", asked) for number, asked in enumerate(_ASKED))


@check("HTTP-15", operation="PutObject")
def asked_of_put(probe: Probe) -> None:
    """A header of PutObject that asks for behaviour is honoured or refused; what is refused is not stored."""
    refused = set()
    with together() as each:
        for name, asked in _numbered():
            key = probe.key(name)
            reply = probe.put(key, CONTENT, asked.headers)
            if reply.status >= 300:
                refused.add(key)
            with each():
                _judge(probe, asked, key, reply, "PutObject")
    stored = set(probe.list_keys().texts("Contents/Key"))
    equal(sorted(stored & refused), [], "the keys of refused objects that are listed")


@check("HTTP-15", operation="CopyObject")
def asked_of_copy(probe: Probe) -> None:
    """A header of CopyObject that asks for behaviour is honoured or refused."""
    source = probe.path(probe.shared_object())
    with together() as each:
        for name, asked in _numbered():
            key = probe.key(name)
            headers = {"x-amz-copy-source": source, **asked.headers}
            if "x-amz-tagging" in headers:
                headers["x-amz-tagging-directive"] = "REPLACE"
            with each():
                _judge(probe, asked, key, probe.request("PUT", probe.path(key), (), headers), "CopyObject")


@check("HTTP-15", operation="CreateMultipartUpload")
def asked_of_multipart(probe: Probe) -> None:
    """A header of CreateMultipartUpload that asks for behaviour is refused, or the object shows it."""
    with together() as each:
        for name, asked in _numbered():
            with each():
                _ask_upload(probe, asked, probe.key(name))


def _ask_upload(probe: Probe, asked: Asked, key: str) -> None:
    reply = probe.request("POST", probe.path(key), "uploads", asked.headers)
    if reply.status < 300:
        upload = Upload(probe.bucket, key, reply.need_text("UploadId"))
        headers = asked.headers if asked.with_every_request else {}
        about = f"an upload begun with {asked}"
        sent = probe.put_part(upload, 1, CONTENT, headers).expect("200", about=f"a part of {about}")
        done = probe.complete(upload, [SentPart(1, sent.etag, CONTENT)], headers)
        done.expect("200", about=f"the completion of {about}")
    _judge(probe, asked, key, reply, "CreateMultipartUpload")


@check("HTTP-15", operation="PutObject", needs=("whole-bucket",))
def locks_asked_of_put(probe: Probe) -> None:
    """Retention and legal hold are honoured or refused; the bucket of a run has no locks."""
    until = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = {"content-md5": md5_base64(CONTENT)}
    retention = {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": until}
    retained = Asked(retention, _echoed("x-amz-object-lock-mode", "GOVERNANCE"))
    reply = probe.put(probe.key("retained"), CONTENT, {**digest, **retention})
    _judge(probe, retained, probe.key("retained"), reply, "PutObject")
    held = Asked({"x-amz-object-lock-legal-hold": "ON"}, _echoed("x-amz-object-lock-legal-hold", "ON"))
    key = probe.key("held")
    reply = probe.put(key, CONTENT, {**digest, **held.headers})
    try:
        _judge(probe, held, key, reply, "PutObject")
    finally:
        if reply.status == 200:
            off = {"content-md5": md5_base64(_LEGAL_HOLD_OFF)}
            probe.put(key, _LEGAL_HOLD_OFF, off, "legal-hold")


@check("HTTP-15", operation="PutObject")
def offset_asked_of_put(probe: Probe) -> None:
    """A PUT at an offset appends to the object, or is refused; it never replaces the object."""
    key = probe.given_object()
    more = b"And more.\n"
    reply = probe.put(key, more, {"x-amz-write-offset-bytes": str(len(CONTENT))})
    reply.expect("2xx", "4xx", "501", about="PUT with x-amz-write-offset-bytes")
    content = CONTENT if reply.status >= 300 else CONTENT + more
    probe.expect_content(key, content, about="the object after a PUT at its end")


@check("HTTP-15", operation="PutObject")
def conditions_asked_of_writes(probe: Probe) -> None:
    """A false condition on a write is refused, and nothing changes."""
    key = probe.given_object()
    with together() as each:
        for name, value in (("if-match", _OTHER_ETAG), ("if-none-match", "*")):
            with each():
                reply = probe.put(key, b"other", {name: value})
                reply.expect("4xx", "501", about=f"PUT with {name}: {value}, which is false")
        with each():
            reply = probe.delete(key, {"if-match": _OTHER_ETAG})
            reply.expect("4xx", "501", about=f"DELETE with if-match: {_OTHER_ETAG}, which is false")
        with each():
            probe.expect_content(key, CONTENT, about="the object after requests whose conditions are false")


@check("HTTP-15", operation="DeleteObject")
def asked_of_others(probe: Probe) -> None:
    """The owner that a request expects is compared, and a DELETE with a device's code is not just done."""
    key = probe.given_object()
    path = probe.path(key)
    with together() as each:
        for method, where in (("GET", path), ("HEAD", path), ("DELETE", path), ("HEAD", probe.path())):
            with each():
                reply = probe.request(method, where, (), _OTHER_ACCOUNT)
                reply.expect("4xx", "501", about=f"{method} that expects the bucket to be another account's")
        with each():
            query = [("list-type", "2"), ("prefix", probe.prefix)]
            listed = probe.request("GET", probe.path(), query, _OTHER_ACCOUNT)
            listed.expect("4xx", "501", about="a listing that expects the bucket to be another account's")
        with each():
            reply = probe.delete(key, {"x-amz-mfa": "arn:aws:iam::000000000000:mfa/nobody 000000"})
            reply.expect("4xx", "501", about="DELETE with x-amz-mfa")
            probe.head(key).expect("200", about="the object after a DELETE with x-amz-mfa")


@check("HTTP-15", operation="CreateBucket", needs=("buckets",), lock="spare")
def asked_of_create_bucket(probe: Probe) -> None:
    """A header of CreateBucket that asks for behaviour is honoured or refused."""
    path = probe.path(bucket=probe.spare)
    rows = (
        ("x-amz-acl", "public-read", "acl", "AllUsers"),
        ("x-amz-grant-read", f'id="{_NOBODY}"', "acl", _NOBODY),
        ("x-amz-bucket-object-lock-enabled", "true", "object-lock", "Enabled"),
        ("x-amz-object-ownership", "ObjectWriter", "ownershipControls", "ObjectWriter"),
    )
    with together() as each:
        for name, value, document, word in rows:
            about = f"CreateBucket with {name}: {value}"
            with each(), spare.trial(probe, probe.spare, {name: value}) as reply:
                reply.expect("200", "4xx", "501", about=about)
                found = word in _document(probe, path, document) if reply.status == 200 else True
                require(found, f"{about}: expected a refusal or {word} in ?{document}, got neither")
