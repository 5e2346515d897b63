"""Conditions of reads and of the sources of copies: CONDR-01 to CONDR-09, CONDC-01 and CONDC-02."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from email.utils import format_datetime
from weakref import WeakKeyDictionary

from anys3.conformance.ground import Ground
from anys3.conformance.kit.times import http_time
from anys3.conformance.kit.together import together
from anys3.conformance.outcomes import Blocked
from anys3.conformance.probe import Probe, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_OPERATION = "GetObject"
_OTHER = '"00000000000000000000000000000000"'
_PAST = "Thu, 01 Jan 1998 00:00:00 GMT"
_FUTURE = "Fri, 01 Jan 2100 00:00:00 GMT"
_FAILED = "412 PreconditionFailed"
_CACHED = {"cache-control": "max-age=60", "expires": "Thu, 01 Dec 2044 16:00:00 GMT"}
_LATER = timedelta(seconds=1)
_CLOCK_S = 5.0
"""How long the server's clock may take to pass the second after an object's Last-Modified."""


_states: WeakKeyDictionary[Ground, tuple[str, str]] = WeakKeyDictionary()
"""ETag and Last-Modified of the shared object of each run: it is looked at once."""


def _given(probe: Probe) -> tuple[str, str, str]:
    """Return key, ETag and Last-Modified of an object to read, or block the check."""
    key = probe.shared_object()

    def look() -> None:
        with probe.setting_up("an object could not be looked at"):
            head = probe.head(key).expect("200")
            _states[probe.ground] = head.etag, head.need("last-modified")

    probe.ground.once("state of the shared object", look)
    return key, *_states[probe.ground]


def _expect_each(probe: Probe, key: str, *trials: tuple[Mapping[str, str], str]) -> None:
    """Read an object; each trial is the headers, and what is expected. GET-05 does so with HEAD too."""
    with together() as each:
        for headers, expected in trials:
            with each():
                probe.get(key, headers).expect(expected, about=f"GET with {_shown(headers)}")


def _shown(headers: Mapping[str, str]) -> str:
    return " and ".join(f"{name}: {value}" for name, value in headers.items())


@check("CONDR-01", "GET-05", operation=_OPERATION)
def if_match(probe: Probe) -> None:
    """If-Match with the object's ETag, with or without quotes, reads it; with another it fails."""
    key, etag, _ = _given(probe)
    _expect_each(
        probe,
        key,
        ({"if-match": etag}, "200"),
        ({"if-match": etag.strip('"')}, "200"),
        ({"if-match": _OTHER}, _FAILED),
    )


@check("CONDR-02", "GET-05", operation=_OPERATION)
def if_none_match(probe: Probe) -> None:
    """If-None-Match with the object's ETag, with or without quotes, is a 304 with it; another reads."""
    key, etag, _ = _given(probe)
    with together() as each:
        for value in (etag, etag.strip('"')):
            with each():
                about = f"GET with If-None-Match: {value}"
                reply = probe.get(key, {"if-none-match": value})
                equal(reply.expect("304", about=about).etag, etag, f"the ETag of the answer to {about}")
        with each():
            _expect_each(probe, key, ({"if-none-match": _OTHER}, "200"))


@check("CONDR-03", "GET-05", operation=_OPERATION)
def if_modified_since(probe: Probe) -> None:
    """If-Modified-Since is a 304 from the object's date on; earlier dates and those in the future read."""
    key, _, date = _given(probe)
    name = "if-modified-since"
    with together() as each:
        with each():
            _expect_each(
                probe,
                key,
                ({name: _PAST}, "200"),
                ({name: date}, "304"),
                ({name: _FUTURE}, "200"),
            )
        with each():
            _expect_each(probe, key, ({name: _later(probe, key, date)}, "304"))


def _later(probe: Probe, key: str, date: str) -> str:
    """Return the second after Last-Modified, once it is behind the server too, or block the check."""
    later = http_time(date) + _LATER

    def is_over() -> bool:
        return http_time(probe.head(key).expect("200").need("date")) > later

    with probe.setting_up("the server's time could not be read"):
        if not probe.until(is_over, _CLOCK_S, pause_s=1.1):
            raise Blocked("the server's Date does not come to be later than Last-Modified")
    return format_datetime(later, usegmt=True)


@check("CONDR-04", "GET-05", operation=_OPERATION)
def if_unmodified_since(probe: Probe) -> None:
    """If-Unmodified-Since reads from the object's date on; an earlier date fails."""
    key, _, date = _given(probe)
    name = "if-unmodified-since"
    _expect_each(
        probe,
        key,
        ({name: _PAST}, _FAILED),
        ({name: date}, "200"),
        ({name: _FUTURE}, "200"),
    )


@check("CONDR-05", operation=_OPERATION)
def etags_outweigh_dates(probe: Probe) -> None:
    """If-Match decides where If-Unmodified-Since disagrees, If-None-Match where If-Modified-Since does."""
    key, etag, _ = _given(probe)
    _expect_each(
        probe,
        key,
        ({"if-match": etag, "if-unmodified-since": _PAST}, "200"),
        ({"if-none-match": etag, "if-modified-since": _PAST}, "304"),
    )


@check("CONDR-06", operation=_OPERATION)
def before_ranges(probe: Probe) -> None:
    """A condition that fails is answered with 304 or 412, whether or not the range could be served."""
    key, etag, _ = _given(probe)
    _expect_each(
        probe,
        key,
        ({"range": "bytes=0-1", "if-none-match": etag}, "304"),
        ({"range": "bytes=999-", "if-none-match": etag}, "304"),
        ({"range": "bytes=999-", "if-match": _OTHER}, _FAILED),
    )


@check("CONDR-07", operation=_OPERATION)
def headers_of_a_304(probe: Probe) -> None:
    """A 304 has the ETag, Last-Modified, Cache-Control and Expires of the object, and no length."""
    key = probe.shared_object(headers=_CACHED)
    whole = probe.get(key).expect("200")
    reply = probe.get(key, {"if-none-match": whole.etag})
    reply.expect("304", about="GET with If-None-Match and the object's ETag")
    with together() as each:
        for name in ("etag", "last-modified", *_CACHED):
            with each():
                equal(reply.header(name), whole.need(name), f"{name} of a 304, compared with the 200")
        with each():
            length = reply.header("content-length") or "0"
            equal(length, "0", "Content-Length of a 304")


@check("CONDR-08", operation=_OPERATION)
def missing_key(probe: Probe) -> None:
    """A key that is missing is NoSuchKey, whatever the condition."""
    conditions = {
        "if-match": _OTHER,
        "if-none-match": _OTHER,
        "if-modified-since": _PAST,
        "if-unmodified-since": _PAST,
    }
    trials = [({name: value}, "404 NoSuchKey") for name, value in conditions.items()]
    _expect_each(probe, probe.key("missing"), *trials)


@check("CONDR-09", operation=_OPERATION)
def stars_and_lists(probe: Probe) -> None:
    """If-Match and If-None-Match take `*` and lists of ETags; If-None-Match looks past `W/`."""
    key, etag, _ = _given(probe)
    _expect_each(
        probe,
        key,
        ({"if-none-match": "*"}, "304"),
        ({"if-none-match": f"{_OTHER}, {etag}"}, "304"),
        ({"if-none-match": f"W/{etag}"}, "304"),
        ({"if-match": "*"}, "200"),
        ({"if-match": f"{_OTHER}, {etag}"}, "200"),
    )


# --- the sources of copies ---------------------------------------------------------------------------------


def _copy(probe: Probe, source: str, conditions: Iterable[tuple[str, str]], upload: Upload | None) -> Reply:
    """CopyObject, or UploadPartCopy with an upload; the names of the conditions are without their prefix."""
    headers = {"x-amz-copy-source": probe.path(source)}
    headers |= {f"x-amz-copy-source-{name}": value for name, value in conditions}
    if upload is None:
        return probe.request("PUT", probe.path(probe.key("copy")), headers=headers)
    return probe.request("PUT", upload.path, [("partNumber", "1"), ("uploadId", upload.id)], headers)


def _expect_copy(probe: Probe, source: str, conditions: Mapping[str, str], upload: Upload | None) -> None:
    about = f"a copy with {_shown(conditions)}"
    reply = _copy(probe, source, conditions.items(), upload).expect("200", about=about)
    require(reply.text("ETag"), f"{about}: expected a result with an ETag, got {reply.body[:80]!r}")


def _expect_refusal(probe: Probe, source: str, conditions: Mapping[str, str], upload: Upload | None) -> None:
    reply = _copy(probe, source, conditions.items(), upload)
    reply.expect(_FAILED, about=f"a copy with {_shown(conditions)}")


def _try_conditions(probe: Probe, upload: Upload | None) -> None:
    """Copy on false conditions, which must leave no copy, and then on true ones."""
    source, etag, date = _given(probe)
    bare = etag.strip('"')
    wrong = {
        "if-match": _OTHER,
        "if-none-match": bare,
        "if-modified-since": date,
        "if-unmodified-since": _PAST,
    }
    with together() as each:
        for name, value in wrong.items():
            with each():
                _expect_refusal(probe, source, {name: value}, upload)
        if upload is None:
            with each():
                probe.expect_no_object(probe.key("copy"), "the object of copies whose conditions are false")
        for right in (
            {"if-match": bare, "if-unmodified-since": date},
            {"if-none-match": _OTHER, "if-modified-since": _PAST},
            {"if-modified-since": _FUTURE},
        ):
            with each():
                _expect_copy(probe, source, right, upload)


@check("CONDC-01", operation="CopyObject")
def source_of_an_object(probe: Probe) -> None:
    """A copy is made if the conditions for its source are true, and refused with 412 if one is false."""
    _try_conditions(probe, None)


@check("CONDC-01", operation="UploadPartCopy", where="multipart")
def source_of_a_part(probe: Probe) -> None:
    """A part is copied if the conditions for its source are true, and refused with 412 if one is false."""
    _try_conditions(probe, probe.given_upload("copy"))


def _weigh(probe: Probe, upload: Upload | None) -> None:
    source, etag, _ = _given(probe)
    with together() as each:
        with each():
            _expect_copy(probe, source, {"if-match": etag, "if-unmodified-since": _PAST}, upload)
        with each():
            _expect_refusal(probe, source, {"if-none-match": etag, "if-modified-since": _PAST}, upload)


@check("CONDC-02", operation="CopyObject")
def source_etag_outweighs_date(probe: Probe) -> None:
    """For the source of a copy, what its ETag decides outweighs what its date would."""
    _weigh(probe, None)


@check("CONDC-02", operation="UploadPartCopy", where="multipart")
def part_source_etag_outweighs_date(probe: Probe) -> None:
    """For the source of a part's copy, what its ETag decides outweighs what its date would."""
    _weigh(probe, probe.given_upload("copy"))
