"""Conditions of writes and deletes: CONDW-01 to CONDW-11."""

from __future__ import annotations

from collections.abc import Mapping

from anys3.conformance.digests import md5_base64
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe, SentPart, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_OTHER = '"00000000000000000000000000000000"'
_PAST = "Thu, 01 Jan 1998 00:00:00 GMT"
_IF_MATCH, _IF_NONE_MATCH = "if-match", "if-none-match"
_FAILED = "412 PreconditionFailed"
_CONFLICT = "409 ConditionalRequestConflict"
_ABSENT = "404 NoSuchKey"
_WRITERS = 6
_NEW = {_IF_NONE_MATCH: "*"}
_UNKNOWN: tuple[Mapping[str, str], ...] = (
    {_IF_MATCH: "*"},
    {_IF_NONE_MATCH: _OTHER},
    {_IF_MATCH: _OTHER, _IF_NONE_MATCH: "*"},
)
"""Conditions that S3 has for reads, and not for writes."""


def _given(probe: Probe, name: str = "object") -> tuple[str, str]:
    """Store an object, or block the check. Returns its key and ETag."""
    with probe.setting_up("an object could not be stored"):
        return probe.key(name), probe.put(probe.key(name)).expect("200").etag


def _given_upload(probe: Probe, name: str = "object") -> tuple[Upload, SentPart]:
    """Start an upload of one part, or block the check."""
    upload = probe.given_upload(name)
    return upload, probe.given_part(upload, 1, b"the part")


def _copy(probe: Probe, key: str, conditions: Mapping[str, str]) -> Reply:
    """Copy the shared object onto a key, with conditions for that key."""
    headers = {"x-amz-copy-source": probe.path(probe.shared_object(b"the source")), **conditions}
    return probe.request("PUT", probe.path(key), headers=headers)


def _made(reply: Reply, about: str) -> Reply:
    """Return the answer to a copy or a completion that must be made: a 200 may still hold an error."""
    reply.expect("200", about=about)
    require(reply.text("ETag"), f"{about}: expected a result with an ETag, got {reply.body[:80]!r}")
    return reply


# --- PutObject ---------------------------------------------------------------------------------------------


@check("CONDW-01", operation="PutObject")
def only_a_new_key(probe: Probe) -> None:
    """A PUT with If-None-Match: * stores a new object, and is refused with 412 where there is one."""
    key = probe.key()
    probe.put(key, b"first", _NEW).expect("200", about="PUT with If-None-Match: * of a new key")
    reply = probe.put(key, b"second", _NEW)
    reply.expect(_FAILED, about="PUT with If-None-Match: * of a key that is there")
    probe.expect_content(key, b"first", about="the object after a PUT that was refused")


def _race(probe: Probe, key: str, condition: Mapping[str, str]) -> tuple[list[bytes], list[Reply]]:
    """PUT with one condition from several writers at once. Returns the bodies of those told 200, and all."""
    bodies = [b"the content of writer %d" % number for number in range(_WRITERS)]
    replies = probe.race(*[lambda body=body: probe.put(key, body, condition) for body in bodies])
    winners = [body for body, reply in zip(bodies, replies, strict=True) if reply.status == 200]
    return winners, replies


@check("CONDW-02", operation="PutObject")
def one_creates(probe: Probe) -> None:
    """Of writers that create one key with If-None-Match: * at once, exactly one succeeds."""
    key = probe.key()
    winners, replies = _race(probe, key, _NEW)
    said = ", ".join(sorted(reply.said for reply in replies))
    require(len(winners) == 1, f"{_WRITERS} PUTs with If-None-Match: * at once: expected one 200, got {said}")
    for reply in replies:
        reply.expect("200", _FAILED, _CONFLICT, about="PUT with If-None-Match: *, at once with others")
    probe.expect_content(key, winners[0], about="the object of the writer that was told 200")


@check("CONDW-03", operation="PutObject")
def only_the_same_object(probe: Probe) -> None:
    """A PUT with If-Match replaces the object with that ETag, and is refused with 412 for another."""
    key, etag = _given(probe)
    refused = probe.put(key, b"wrong", {_IF_MATCH: _OTHER})
    refused.expect(_FAILED, about="PUT with If-Match and another ETag")
    probe.put(key, b"right", {_IF_MATCH: etag}).expect("200", about="PUT with If-Match and the object's ETag")
    probe.expect_content(key, b"right", about="the object after a PUT whose condition was true")


@check("CONDW-04", operation="PutObject")
def put_where_nothing_is(probe: Probe) -> None:
    """A PUT with If-Match, whatever the ETag looks like, is NoSuchKey where there is no object."""
    with together() as each:
        for etag in (_OTHER, "odd"):
            with each():
                reply = probe.put(probe.key(), headers={_IF_MATCH: etag})
                reply.expect(_ABSENT, about=f"PUT with If-Match: {etag} of a key that is absent")


@check("CONDW-04", operation="CopyObject")
def copy_where_nothing_is(probe: Probe) -> None:
    """A copy with If-Match is NoSuchKey where its destination is absent."""
    reply = _copy(probe, probe.key(), {_IF_MATCH: _OTHER})
    reply.expect(_ABSENT, about="a copy with If-Match onto a key that is absent")


@check("CONDW-04", operation="CompleteMultipartUpload")
def completion_where_nothing_is(probe: Probe) -> None:
    """A completion with If-Match is NoSuchKey where there is no object."""
    upload, part = _given_upload(probe)
    reply = probe.complete(upload, [part], {_IF_MATCH: _OTHER})
    reply.expect(_ABSENT, about="completion with If-Match of a key that is absent")


@check("CONDW-05", operation="PutObject")
def one_swaps(probe: Probe) -> None:
    """Of writers that replace one version of an object with If-Match at once, at most one succeeds."""
    key, etag = _given(probe)
    winners, replies = _race(probe, key, {_IF_MATCH: etag})
    said = ", ".join(sorted(reply.said for reply in replies))
    about = f"{_WRITERS} PUTs with If-Match and one ETag at once"
    require(len(winners) <= 1, f"{about}: expected one 200 at most, got {said}")
    left = winners[0] if winners else CONTENT
    probe.expect_content(key, left, about=f"the object after {about}, of which {len(winners)} was told 200")


# --- what S3 does not have ---------------------------------------------------------------------------------


def _expect_unknown(reply: Reply, headers: Mapping[str, str], what: str) -> None:
    shown = " and ".join(f"{name}: {value}" for name, value in headers.items())
    reply.expect("501 NotImplemented", about=f"{what} with {shown}")
    named = reply.need_text("Header").lower()
    require(named in headers, f"{what} with {shown}: expected <Header> to name one, got {named!r}")


@check("CONDW-06", operation="PutObject")
def conditions_puts_lack(probe: Probe) -> None:
    """A PUT with If-Match: *, If-None-Match with an ETag, or both headers is NotImplemented."""
    with together() as each:
        for headers in _UNKNOWN:
            with each():
                _expect_unknown(probe.put(probe.key(), headers=headers), headers, "PUT")


@check("CONDW-06", operation="CopyObject")
def conditions_copies_lack(probe: Probe) -> None:
    """A copy with If-Match: *, If-None-Match with an ETag, or both headers is NotImplemented."""
    with together() as each:
        for headers in _UNKNOWN:
            with each():
                _expect_unknown(_copy(probe, probe.key(), headers), headers, "a copy")


@check("CONDW-06", operation="CompleteMultipartUpload")
def conditions_completions_lack(probe: Probe) -> None:
    """A completion with If-Match: *, If-None-Match with an ETag, or both headers is NotImplemented."""
    upload, part = _given_upload(probe)
    with together() as each:
        for headers in _UNKNOWN:
            with each():
                _expect_unknown(probe.complete(upload, [part], headers), headers, "a completion")


@check("CONDW-06", operation="DeleteObject")
def conditions_deletes_lack(probe: Probe) -> None:
    """A DELETE with x-amz-if-match-size or x-amz-if-match-last-modified-time is NotImplemented."""
    key = probe.key()
    with together() as each:
        for name, value in (
            ("x-amz-if-match-size", str(len(CONTENT))),
            ("x-amz-if-match-last-modified-time", _PAST),
        ):
            with each():
                _expect_unknown(probe.delete(key, {name: value}), {name: value}, "DELETE")


# --- CopyObject and CompleteMultipartUpload ----------------------------------------------------------------


@check("CONDW-07", operation="CopyObject")
def conditions_of_copies(probe: Probe) -> None:
    """A copy obeys If-Match and If-None-Match: * for its destination."""
    key = probe.key()
    made = _made(_copy(probe, key, _NEW), "a copy with If-None-Match: * onto a new key")
    etag = made.need_text("ETag")
    probe.given_object(body=b"the destination")
    for condition in (_NEW, {_IF_MATCH: etag}):
        about = f"a copy with {condition} onto another object"
        _copy(probe, key, condition).expect(_FAILED, about=about)
    kept = probe.expect_content(key, b"the destination", about="the destination of copies that were refused")
    _made(_copy(probe, key, {_IF_MATCH: kept.etag}), "a copy with If-Match and the destination's ETag")
    probe.expect_content(key, b"the source", about="the object after a copy whose condition was true")


@check("CONDW-07", operation="CompleteMultipartUpload")
def conditions_of_completions(probe: Probe) -> None:
    """A completion obeys If-Match and If-None-Match: *; after a 412 its upload can still be completed."""
    upload, part = _given_upload(probe)
    first = probe.complete(upload, [part], _NEW)
    _made(first, "completion with If-None-Match: * of a new key")
    etag = first.need_text("ETag")
    upload = probe.given_upload()
    part = probe.given_part(upload, 1, b"another part")
    for condition in (_NEW, {_IF_MATCH: _OTHER}):
        reply = probe.complete(upload, [part], condition)
        reply.expect(_FAILED, about=f"completion with {condition} over an object")
    about = "completion with If-Match and the ETag of an object of parts, after two that were refused"
    _made(probe.complete(upload, [part], {_IF_MATCH: etag}), about)
    probe.expect_content(upload.key, b"another part", about=f"the object after a {about}")


@check("CONDW-08", operation="CompleteMultipartUpload")
def written_meanwhile(probe: Probe) -> None:
    """A completion whose key was written since the upload began is a conflict, or a 412 if it is false."""
    key, etag = _given(probe)
    upload, part = _given_upload(probe)
    probe.given_object()
    about = "completion of a key that was written since its upload began"
    reply = probe.complete(upload, [part], {_IF_MATCH: _OTHER})
    reply.expect(_FAILED, about=f"{about}, with If-Match and another ETag")
    reply = probe.complete(upload, [part], {_IF_MATCH: etag})
    _expect_conflict(probe, reply, f"{about} the same again, with If-Match and its ETag", key)


@check("CONDW-08", operation="CompleteMultipartUpload")
def deleted_meanwhile(probe: Probe) -> None:
    """A completion whose key was deleted since the upload began is a conflict, and NoSuchKey with If-Match."""
    key, etag = _given(probe)
    upload, part = _given_upload(probe)
    with probe.setting_up("an object could not be deleted"):
        probe.delete(key).expect("204")
    about = "completion of a key that was deleted since its upload began"
    reply = probe.complete(upload, [part], {_IF_MATCH: etag})
    reply.expect(_ABSENT, about=f"{about}, with If-Match")
    reply = probe.complete(upload, [part], _NEW)
    if reply.is_one_of("404 NoSuchUpload"):
        probe.report("a completion that is refused with NoSuchKey ends its upload")
        return
    _expect_conflict(probe, reply, f"{about}, with If-None-Match: *", key)


def _expect_conflict(probe: Probe, reply: Reply, about: str, key: str) -> None:
    reply.expect(_CONFLICT, "200", about=about)
    if reply.status == 200:
        _made(reply, about)
        probe.report(f"{about} is made; S3 refuses it with {_CONFLICT}")
        probe.expect_content(key, b"the part", about=f"the object after a {about}")


# --- deletes -----------------------------------------------------------------------------------------------


@check("CONDW-09", operation="DeleteObject")
def delete_if_match(probe: Probe) -> None:
    """A DELETE with If-Match removes the object with that ETag or, with *, any; another ETag is a 412."""
    key, etag = _given(probe, "quoted")
    wrong = probe.delete(key, {_IF_MATCH: _OTHER})
    wrong.expect(_FAILED, about="DELETE with If-Match and another ETag")
    probe.expect_content(key, CONTENT, about="the object after a DELETE that was refused")
    with together() as each:
        for name, value in (("quoted", etag), ("bare", etag.strip('"')), ("any", "*")):
            with each():
                key = probe.key(name) if name == "quoted" else probe.given_object(name)
                about = f"DELETE with If-Match: {value} of an object"
                probe.delete(key, {_IF_MATCH: value}).expect("204", about=about)
        with each():
            left = probe.list_keys().expect("200").texts("Contents/Key")
            equal(left, [], "the keys left after DELETE with If-Match")


@check("CONDW-10", operation="DeleteObjects")
def delete_objects_by_etag(probe: Probe) -> None:
    """DeleteObjects removes those whose ETag is the one given; the others are errors of their own."""
    right, etag = _given(probe, "right")
    wrong, _ = _given(probe, "wrong")
    rows = ((right, etag), (wrong, _OTHER))
    objects = "".join(f"<Object><Key>{key}</Key><ETag>{one}</ETag></Object>" for key, one in rows)
    body = f"<Delete>{objects}</Delete>".encode()
    digest = md5_base64(body)
    reply = probe.request("POST", probe.path(), "delete", {"content-md5": digest}, body)
    reply.expect("200", about="DeleteObjects with an ETag for each object")
    equal(reply.texts("Deleted/Key"), [right], "the keys that DeleteObjects with ETags deleted")
    found = list(zip(reply.texts("Error/Key"), reply.texts("Error/Code"), strict=False))
    equal(found, [(wrong, "PreconditionFailed")], "the errors of DeleteObjects with another ETag")
    left = probe.list_keys().expect("200").texts("Contents/Key")
    equal(left, [wrong], "the keys left after DeleteObjects with one right and one wrong ETag")


@check("CONDW-11", operation="DeleteObject")
def delete_where_nothing_is(probe: Probe) -> None:
    """A DELETE with If-Match of a key that is absent is not reported as a success."""
    with together() as each:
        for value in (_OTHER, "*"):
            with each():
                reply = probe.delete(probe.key(), {_IF_MATCH: value})
                reply.expect(_ABSENT, "412", about=f"DELETE with If-Match: {value} of a key that is absent")
