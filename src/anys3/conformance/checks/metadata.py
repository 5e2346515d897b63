"""User metadata: META-01 to META-07."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from email.errors import HeaderParseError
from email.header import decode_header, make_header

from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_PREFIX = "x-amz-meta-"
_WAIT_S = 10.0
_VALUES = {
    "plain": "plain",
    "marks": "~!@#$^&*()[]{}|:<>/.-_",
    "list": "a,b; c=d, e",
    "quoted": "\"quoted\" 'text'",
    "percent": "100% %41 %2F",
    "plus": "a+b c",
    "backslash": "a\\b\\",
    "json": '{"json": [1, null]}',
    "almost": "?= =? a=?b",
    "case": "MiXeD",
}
_BEYOND_ASCII = "schöne Grüße"
_WORD = "=?UTF-8?B?cGxhaW4gdGV4dA==?="
_WORD_MEANS = "plain text"


@check("META-01", operation="PutObject")
def any_case(probe: Probe) -> None:
    """Names of metadata are the same in any case, and are returned in lower case."""
    key = probe.key()
    digest = hashlib.sha256(CONTENT).hexdigest()
    length = {"content-length": str(len(CONTENT))}
    sent = {"x-amz-meta-colour": "blue", "x-amz-meta-size": "9"}
    draft = probe.draft("PUT", probe.path(key), (), sent, payload_hash=digest, unsigned=length)
    spelt = {"x-amz-meta-colour": "X-AMZ-META-COLOUR", "x-amz-meta-size": "x-amz-meta-Size"}
    headers = tuple((spelt.get(name, name), value) for name, value in draft.headers)
    reply = probe.send(replace(draft, headers=headers), CONTENT)
    reply.expect("200", about="PUT with X-AMZ-META-COLOUR and x-amz-meta-Size")
    _has(probe.head(key).expect("200"), sent)
    names = sorted(name for name in _names_as_sent(probe, key) if name.lower() in sent)
    equal(names, sorted(sent), "the names of the metadata, as they are spelt in the answer to a HEAD")


@check("META-01", operation="PutObject")
def dashes_and_digits(probe: Probe) -> None:
    """Dashes and digits in the names of metadata are kept."""
    _round_trip(probe, {"x-amz-meta-with-dash": "1", "x-amz-meta-digits123": "2", "x-amz-meta-9": "3"})


@check("META-01", operation="PutObject")
def underscores(probe: Probe) -> None:
    """Underscores in the names of metadata are kept."""
    _round_trip(probe, {"x-amz-meta-with_underscore": "1"})


@check("META-02", operation="PutObject")
def accepts_1900_bytes(probe: Probe) -> None:
    """1,900 bytes of names and values are accepted and kept."""
    sent = {_PREFIX + "a" * 50: "v" * 850, _PREFIX + "b" * 50: "w" * 950}
    _round_trip(probe, sent, "PUT with 1,900 bytes of metadata")


@check("META-02", operation="PutObject")
def refuses_2600_bytes(probe: Probe) -> None:
    """2,600 bytes of names and values are refused with MetadataTooLarge, and nothing is stored."""
    several = {f"{_PREFIX}{number:02}": "v" * 128 for number in range(20)}
    for what, sent in (("one value", {f"{_PREFIX}k": "v" * 2_599}), ("twenty values", several)):
        reply = probe.put(probe.key(), headers=sent)
        reply.expect("400 MetadataTooLarge", about=f"PUT with 2,600 bytes of metadata in {what}")
    probe.expect_no_object(probe.key(), about="the key of a PUT with too much metadata")


@check("META-03", operation="PutObject")
def printable_ascii(probe: Probe) -> None:
    """Values of printable ASCII come back with HEAD and GET exactly as they were put."""
    sent = {_PREFIX + name: value for name, value in _VALUES.items()}
    _round_trip(probe, sent)
    _has(probe.get(probe.key()).expect("200"), sent)


@check("META-03", operation="PutObject")
def inner_spaces(probe: Probe) -> None:
    """Several spaces inside a value are kept."""
    _round_trip(probe, {"x-amz-meta-v": "two  spaces   and three"})


@check("META-03", operation="PutObject")
def outer_white_space(probe: Probe) -> None:
    """White space around a value is trimmed, and nothing else."""
    reply = probe.put(probe.key(), headers={"x-amz-meta-v": " \t a b \t "})
    reply.expect("200", about="PUT with white space around a value of metadata")
    _has(probe.head(probe.key()).expect("200"), {"x-amz-meta-v": "a b"})


@check("META-03", operation="CopyObject")
def through_copy(probe: Probe) -> None:
    """A copy has the metadata of its source, exactly."""
    sent = {_PREFIX + name: value for name, value in _VALUES.items()}
    source = probe.shared_object(headers=sent)
    reply = probe.put(probe.key("copy"), b"", {"x-amz-copy-source": probe.path(source)})
    reply.expect("200", about="CopyObject of an object with metadata")
    _has(probe.head(probe.key("copy")).expect("200"), sent)


@check("META-03", operation="PutObject")
def put_replaces(probe: Probe) -> None:
    """A PUT replaces all metadata of the object that was there; nothing is merged."""
    key = probe.given_object(headers={"x-amz-meta-a": "1", "x-amz-meta-b": "2"})
    sent: dict[str, str]
    for sent in ({"x-amz-meta-b": "3"}, {}):
        probe.put(key, headers=sent).expect("200", about="PUT over an object with metadata")
        head = probe.head(key).expect("200", about="HEAD after a PUT over an object with metadata")
        for name in ("x-amz-meta-a", "x-amz-meta-b"):
            equal(head.header(name), sent.get(name), f"{name} after a PUT with {sent or 'no metadata'}")


@check("META-04", operation="PutObject")
def empty_value(probe: Probe) -> None:
    """Metadata with an empty value is kept."""
    _round_trip(probe, {"x-amz-meta-x": "", "x-amz-meta-y": "1"}, "PUT with an empty value of metadata")


@check("META-05", operation="PutObject")
def beyond_ascii(probe: Probe) -> None:
    """A value beyond ASCII comes back in words of RFC 2047, or is refused with 400."""
    wire = _BEYOND_ASCII.encode().decode("latin-1")
    reply = probe.put(probe.key(), headers={"x-amz-meta-v": wire})
    reply.expect("200", "400", about="PUT with a value of metadata beyond ASCII")
    if reply.status == 400:
        probe.expect_no_object(probe.key(), about="the key of a PUT that was refused for its metadata")
        return
    for read in (probe.head(probe.key()).expect("200"), probe.get(probe.key()).expect("200")):
        value = read.need("x-amz-meta-v")
        what = f"a value of metadata beyond ASCII, in the answer to {read.exchange.method}"
        is_encoded = value.isascii() and value.startswith("=?")
        require(is_encoded, f"{what}: expected RFC 2047 words, got {value.encode('latin-1')!r}")
        meant = _decoded(value)
        require(meant in (_BEYOND_ASCII, wire), f"{what}: expected {_BEYOND_ASCII!r} encoded, got {meant!r}")


@check("META-06", operation="PutObject")
def repeated_header(probe: Probe) -> None:
    """A metadata header that is sent twice is joined with a comma."""
    sent = [("x-amz-meta-v", "a"), ("x-amz-meta-v", "b")]
    reply = probe.put(probe.key(), headers=sent)
    reply.expect("200", about="PUT with a metadata header that is sent twice")
    values = probe.head(probe.key()).expect("200").answer.header_values("x-amz-meta-v")
    equal(values, ("a,b",), "the value of a metadata header that was sent twice, as a and as b")


@check("META-07", operation="PutObject")
def words_of_ascii(probe: Probe) -> None:
    """A value in RFC 2047 form whose content is ASCII is returned decoded."""
    reply = probe.put(probe.key(), headers={"x-amz-meta-v": _WORD})
    reply.expect("200", about=f"PUT with the metadata {_WORD}")
    value = probe.head(probe.key()).expect("200").header("x-amz-meta-v")
    if value == _WORD:
        probe.report("metadata in RFC 2047 form whose content is ASCII is returned as it was sent")
        return
    equal(value, _WORD_MEANS, f"the metadata {_WORD}")


def _has(reply: Reply, expected: Mapping[str, str]) -> None:
    """Raise Failed unless an answer has that metadata; a server may add its own."""
    for name, value in expected.items():
        equal(reply.header(name), value, f"{name[:80]} in the answer to {reply.exchange.method}")


def _round_trip(probe: Probe, sent: Mapping[str, str], about: str = "PUT with metadata") -> None:
    """Put an object with metadata, which HEAD must then show exactly."""
    key = probe.key()
    probe.put(key, headers=sent).expect("200", about=about)
    _has(probe.head(key).expect("200"), sent)


def _names_as_sent(probe: Probe, key: str) -> list[str]:
    """Return the names of the headers of a HEAD as they are spelt on the wire."""
    with probe.connect() as connection:
        draft = probe.draft("HEAD", probe.path(key))
        connection.send(draft.head)
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.read_more(_WAIT_S)
            if not more:
                raise Failed(f"HEAD {probe.path(key)}: expected a whole answer, got {head!r}")
            head += more
    return [line.partition(b":")[0].decode("latin-1") for line in head.split(b"\r\n")[1:]]


def _decoded(value: str) -> str:
    """Return what RFC 2047 words mean; the value itself if they can't be read."""
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeError):
        return value
