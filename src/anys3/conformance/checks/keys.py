"""Object keys: KEY-01 to KEY-14."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from urllib.parse import unquote, unquote_plus
from xml.sax.saxutils import escape

from anys3.conformance.digests import md5_base64
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal

_MAX_BYTES = 1024
_RAW = "AZaz09!-_.*'()"
_ENCODED = (" &$@=;:+,", "?#%\\^~|", '{}[]<>"`')
"""The other printable characters, a few to a key: what damages one of them damages its key."""
_SCRIPTS = ("ключ/ü日本語/🪣𝄞\U0010ffff",)
_DOTTED_REFUSALS = ("400 BadRequest", "400 InvalidArgument", "400 InvalidURI")
_PATH_REFUSALS = ("400 InvalidURI", "400 InvalidArgument")
_ODD_NAMES = (
    "a//b",
    "a/./c",
    "d/../e",
    "back\\slash",
    "end ",
    "end.",
    "con",
    "col:on?*",
    "e\u0301%2F",
)
_UNRESERVED = (".minio.sys/x", ".keep", "lost+found", "index.html", "soap")


@check("KEY-01", operation="PutObject", needs=("whole-bucket",))
def one_byte(probe: Probe) -> None:
    """A key may be as short as one byte."""
    _expect_round_trip(probe, "k", "a key of 1 byte")


@check("KEY-01", operation="PutObject")
def longest_key(probe: Probe) -> None:
    """A key of 1,024 bytes is stored and listed; bytes count, not characters."""
    ascii_key = _key_of(probe, _MAX_BYTES, "a")
    other_key = _key_of(probe, _MAX_BYTES, "é")
    for key in (ascii_key, other_key):
        _expect_round_trip(probe, key, f"a key of {len(key.encode())} bytes, {len(key)} characters")
    equal(_listed(probe), {ascii_key, other_key}, "the keys that are listed")


@check("KEY-01", operation="PutObject")
def longer_key(probe: Probe) -> None:
    """A key of 1,025 bytes is refused with 400 KeyTooLongError, and nothing is stored."""
    for letter in "aé":
        key = _key_of(probe, _MAX_BYTES + 1, letter)
        about = f"a key of {_MAX_BYTES + 1} bytes, {len(key)} characters"
        probe.put(key).expect("400 KeyTooLongError", about=f"PUT of {about}")
        probe.get(key).expect("400 KeyTooLongError", about=f"GET of {about}")
    equal(_listed(probe), set(), "the keys that are listed after keys that are too long were refused")


@check("KEY-02", operation="PutObject")
def case_sensitive(probe: Probe) -> None:
    """Two keys that differ in case are two objects."""
    _expect_apart(probe, "Key", "key", "KEY")


@check("KEY-02", operation="PutObject")
def not_normalised(probe: Probe) -> None:
    """The composed and the decomposed Unicode form of a name are two keys."""
    _expect_apart(probe, "caf\u00e9\u212a", "cafe\u0301K")


@check("KEY-02", operation="PutObject")
def not_trimmed(probe: Probe) -> None:
    """Spaces and dots at the beginning or end of a key belong to it."""
    _expect_apart(probe, "k", "k ", " k", "k.")


@check("KEY-03", operation="PutObject")
def preserve_or_reject(probe: Probe) -> None:
    """A key is stored byte for byte as it was given, or refused with 400; it is never rewritten."""
    stored: dict[str, int] = {}
    for name in _ODD_NAMES:
        body = b"x" * (len(stored) + 1)
        reply = probe.put(probe.key(name), body).expect("200", "400", about=f"PUT of the key {name!r}")
        if reply.status == 200:
            stored[probe.key(name)] = len(body)
    equal(_sizes(probe), stored, "keys and sizes that are listed, against those that were accepted")


@check("KEY-04", operation="PutObject")
def decoded_once(probe: Probe) -> None:
    """`a%2Fb` in a path is the key `a/b`, and `a%252Fb` is the key `a%2Fb`."""
    _put_raw(probe, "a%2Fb", b"slash")
    _put_raw(probe, "a%252Fb", b"percent")
    equal(_listed(probe), {probe.key("a/b"), probe.key("a%2Fb")}, "the keys that are listed")
    equal(_get_raw(probe, "a/b").body, b"slash", "the content of a/b, which was put as a%2Fb")
    equal(_get_raw(probe, "a%252Fb").body, b"percent", "the content of a%252Fb")


@check("KEY-04", operation="PutObject")
def needless_escapes(probe: Probe) -> None:
    """Letters that need no escape may have one, and hex digits may be small."""
    _put_raw(probe, "%61%7e%2E%c3%A9", CONTENT)
    probe.expect_content(probe.key("a~.é"), CONTENT, about="the key a~.é, which was put as %61%7e%2E%c3%A9")


@check("KEY-05", operation="PutObject")
def plus_is_plus(probe: Probe) -> None:
    """A plus sign in a path is a plus sign; a space is %20."""
    _put_raw(probe, "a+b", b"plus")
    _put_raw(probe, "a%20b", b"space")
    equal(_listed(probe), {probe.key("a+b"), probe.key("a b")}, "the keys that are listed")
    equal(_get_raw(probe, "a%2Bb").body, b"plus", "the content of a%2Bb, which was put as a+b")
    equal(_get_raw(probe, "a%20b").body, b"space", "the content of a%20b")


@check("KEY-06", operation="PutObject")
def double_slash(probe: Probe) -> None:
    """`a//b` and `a/b` are two keys."""
    _expect_apart(probe, "a/b", "a//b", "a///b")


@check("KEY-06", operation="PutObject")
def trailing_slash(probe: Probe) -> None:
    """`a/` is an ordinary key, with content, and another one than `a//`."""
    _expect_apart(probe, "a/", "a//")


@check("KEY-06", operation="PutObject", needs=("whole-bucket",))
def leading_slash(probe: Probe) -> None:
    """`/b//k` is the key `/k`, and not the key `k`."""
    plain = probe.given_object("k", b"without a slash")
    key = f"/{plain}"
    probe.put(key, b"with a slash").expect("200", about=f"PUT of the key {key!r}")
    probe.expect_content(key, b"with a slash", about=f"the key {key!r}")
    probe.expect_content(plain, b"without a slash", about=f"the key {plain!r}")
    equal(_listed(probe, f"/{probe.prefix}"), {key}, "the keys that are listed by a prefix with a slash")


@check("KEY-07", operation="PutObject")
def key_and_children(probe: Probe) -> None:
    """`a`, `a/` and `a/b` exist at once, each with its content, in whichever order they are put."""
    _expect_apart(probe, "a", "a/", "a/b", "c/b", "c/", "c")
    probe.expect_content(probe.key("c/b"), b"x" * 4, about="the key 'c/b', put before 'c'")


@check("KEY-07", "DEL-05", operation="DeleteObject")
def deleting_one(probe: Probe) -> None:
    """Deleting one of `a`, `a/` and `a/b` leaves the others."""
    sizes = {probe.given_object(f"a{end}", end.encode()): len(end) for end in ("/b", "", "/")}
    for end in ("", "/", "/b"):
        key = probe.key(f"a{end}")
        probe.delete(key).expect("204", about=f"DELETE of the key {key!r}")
        left = {other: size for other, size in sizes.items() if other != key}
        equal(_sizes(probe), left, f"keys and sizes that are left after {key!r} was deleted")
        if end != "/b":
            probe.given_object(f"a{end}", end.encode())
    probe.expect_content(probe.key("a/"), b"/", about="the key 'a/' after 'a/b' was deleted")


@check("KEY-08", operation="PutObject")
def dot_segments_in_writes(probe: Probe) -> None:
    """A PUT to a path with `.` or `..` stores that very key or is refused with 400; no other key changes."""
    victim = probe.given_object("k", b"another key's data")
    sizes = {victim: len(b"another key's data")}
    for name in ("a/../k", "./k", "a/%2e%2e/k", "a%2F..%2Fk"):
        body = f"put as {name}".encode()
        reply = probe.request("PUT", probe.path(probe.prefix) + name, body=body)
        reply.expect("200", *_DOTTED_REFUSALS, about=f"PUT of {name}")
        if reply.status == 200:
            sizes[probe.prefix + unquote(name)] = len(body)
    equal(_sizes(probe), sizes, "keys and sizes that are listed, against those that were accepted")
    probe.expect_content(victim, b"another key's data", about="the key k after PUTs of keys with dots")


@check("KEY-08", operation="GetObject")
def dot_segments_in_reads(probe: Probe) -> None:
    """A GET of a path with `.` or `..` never reads the key that it would be resolved to."""
    probe.given_object("k", b"another key's data")
    for name in ("a/../k", "./k", "a/%2e%2e/k", "a%2F..%2Fk"):
        reply = probe.request("GET", probe.path(probe.prefix) + name)
        reply.expect("404 NoSuchKey", *_DOTTED_REFUSALS, about=f"GET of {name}, which is not there")


@check("KEY-08", operation="GetObject", needs=("buckets",))
def dots_cross_no_bucket(probe: Probe) -> None:
    """A key that begins with `..` reaches no other bucket, neither reading nor writing."""
    other = probe.aside()
    victim = probe.given_object("k", b"another bucket's data", bucket=other)
    paths = [
        f"{probe.path()}/{form}"
        for form in (
            f"../{other}/{victim}",
            f"..%2F{other}%2F{victim.replace('/', '%2F')}",
            f"%2e%2e/{other}/{victim}",
        )
    ]
    for path in paths:
        reply = probe.request("GET", path)
        reply.expect("404 NoSuchKey", *_DOTTED_REFUSALS, about=f"GET of {path}, which is not there")
    for path in paths:
        reply = probe.request("PUT", path, body=f"put as {path}".encode())
        reply.expect("200", *_DOTTED_REFUSALS, about=f"PUT of {path}")
    kept = probe.request("GET", probe.path(victim, other)).expect("200", about="GET of the other object")
    equal(kept.body, b"another bucket's data", "the other bucket's object after PUTs of keys with dots")


@check("KEY-09", operation="PutObject")
def raw_characters(probe: Probe) -> None:
    """Letters, digits and `/!-_.*'()` work in a path without an escape."""
    _put_raw(probe, _RAW, CONTENT)
    equal(_get_raw(probe, _RAW).body, CONTENT, f"the content of {_RAW}")
    equal(_listed(probe), {probe.key(_RAW)}, "the keys that are listed")


@check("KEY-09", operation="PutObject")
def encoded_characters(probe: Probe) -> None:
    """Every other printable ASCII character works percent-encoded, and is listed as it was put."""
    keys = [probe.key("-".join(f"a{letter}b" for letter in group)) for group in _ENCODED]
    for key in keys:
        _expect_round_trip(probe, key, f"the key {key!r}")
    equal(_listed(probe), set(keys), "the keys that are listed with encoding-type=url")
    plain = probe.list_keys().expect("200").texts("Contents/Key")
    equal(set(plain), set(keys), "the keys that are listed without encoding-type")


@check("KEY-10", operation="PutObject")
def any_script(probe: Probe) -> None:
    """A key in any script is stored, listed and read; also one with code points of 4 bytes."""
    keys = [probe.key(name) for name in _SCRIPTS]
    for key in keys:
        _expect_round_trip(probe, key, f"the key {key!r}")
    equal(_listed(probe), set(keys), "the keys that are listed with encoding-type=url")
    plain = probe.list_keys().expect("200").texts("Contents/Key")
    equal(set(plain), set(keys), "the keys that are listed without encoding-type")


@check("KEY-10", operation="CopyObject")
def copied_in_any_script(probe: Probe) -> None:
    """A key in any script can be the source and the target of a copy."""
    for number, name in enumerate(_SCRIPTS):
        body = f"the object {number}".encode()
        source = probe.path(probe.given_object(name, body))
        copy = probe.key(f"copy of {name}")
        reply = probe.request("PUT", probe.path(copy), headers={"x-amz-copy-source": source})
        reply.expect("200", about=f"a copy of {name!r}")
        probe.expect_content(copy, body, about=f"the copy of {name!r}")


@check("KEY-10", operation="DeleteObjects")
def deleted_in_any_script(probe: Probe) -> None:
    """Keys in any script are deleted by DeleteObjects, and named in its answer as they were sent."""
    keys = [probe.given_object(name) for name in _SCRIPTS]
    reply = _delete_objects(probe, keys).expect("200", about="DeleteObjects of keys in several scripts")
    equal(set(reply.texts("Deleted/Key")), set(keys), "the keys in the answer of DeleteObjects")
    equal(_listed(probe), set(), "the keys that are left")


@check("KEY-11", operation="PutObject")
def control_characters(probe: Probe) -> None:
    """A key with a control character comes back with encoding-type=url, or is refused with 400."""
    stored = {}
    for code in (1, 9, 10, 13, 31, 127):
        key = probe.key(f"a{chr(code)}b")
        body = b"x" * code
        if probe.put(key, body).expect("200", "400", about=f"PUT of a key with %{code:02X}").status == 200:
            stored[key] = code
    equal(_sizes(probe), stored, "keys and sizes that are listed with encoding-type=url")
    for key, size in list(stored.items())[:1]:
        probe.expect_content(key, b"x" * size, about=f"the key {key!r}")


@check("KEY-11", operation="PutObject")
def nul_refused(probe: Probe) -> None:
    """A key with NUL is refused with 400."""
    probe.put(probe.key("a\0b")).expect("400", about="PUT of a key with %00")
    equal(_listed(probe), set(), "the keys that are listed after a key with NUL was refused")


@check("KEY-12", operation="PutObject")
def not_utf8(probe: Probe) -> None:
    """A path whose decoded bytes are not UTF-8 is refused with 400 InvalidURI."""
    _expect_no_paths(probe, "%FF", "a%C3", "%C0%AF", "%ED%A0%80")
    equal(_listed(probe), set(), "the keys that are listed after paths that are not UTF-8")


@check("KEY-12", operation="PutObject")
def broken_escape(probe: Probe) -> None:
    """A path with an invalid percent escape is refused with 400 InvalidURI."""
    _expect_no_paths(probe, "a%zz", "a%2", "a%")
    equal(_listed(probe), set(), "the keys that are listed after paths with a broken escape")


@check("KEY-13", operation="PutObject")
def long_segment(probe: Probe) -> None:
    """A segment of a key may be longer than 255 bytes, also beside another that begins the same."""
    size = _MAX_BYTES - len(probe.prefix) - 1
    _expect_apart(probe, "s" * 256, "s" * size, "s" * size + "t")


@check("KEY-13", operation="PutObject", needs=("whole-bucket",))
def longest_segment(probe: Probe) -> None:
    """A key of 1,024 bytes without a slash works."""
    key = f"{probe.attempt}{probe.ground.journal.run_id}".ljust(_MAX_BYTES, "s")
    _expect_round_trip(probe, key, f"a key of {_MAX_BYTES} bytes without a slash")
    equal(_listed(probe, key), {key}, "the keys that are listed")


@check("KEY-14", operation="PutObject", needs=("whole-bucket",))
def none_reserved(probe: Probe) -> None:
    """No key is reserved at the top of a bucket: not `.minio.sys/x`, `.keep`, `index.html` or `soap`."""
    for key in _UNRESERVED:
        _expect_round_trip(probe, key, f"the key {key!r}")
    for key in _UNRESERVED[:4]:
        equal(_listed(probe, key), {key}, f"the keys that are listed with the prefix {key!r}")


@check("KEY-14", operation="PutObject")
def none_reserved_below(probe: Probe) -> None:
    """No key is reserved below a prefix."""
    _expect_apart(probe, *_UNRESERVED)


def _key_of(probe: Probe, size: int, letter: str) -> str:
    """Return a key of `size` bytes with no long segment: those are KEY-13's."""
    segment = letter * (100 // len(letter.encode())) + "/"
    left = size - len(probe.prefix.encode())
    full, rest = divmod(left, len(segment.encode()))
    letters, odd = divmod(rest, len(letter.encode()))
    return probe.key(segment * full + letter * letters + "x" * odd)


def _expect_round_trip(probe: Probe, key: str, about: str) -> None:
    body = hashlib.sha256(key.encode()).hexdigest().encode()
    probe.put(key, body).expect("200", about=f"PUT of {about}")
    probe.expect_content(key, body, about=f"GET of {about}")


def _expect_apart(probe: Probe, *names: str) -> None:
    """Put all of them, and expect that each is listed with its own size, and that the first is as it was."""
    sizes = {probe.key(name): number for number, name in enumerate(names, 1)}
    for key, size in sizes.items():
        probe.put(key, b"x" * size).expect("200", about=f"PUT of the key {key!r:.300}")
    equal(_sizes(probe), sizes, "keys and sizes that are listed")
    probe.expect_content(probe.key(names[0]), b"x", about=f"the key {names[0][:80]!r}, put before the others")


def _listed(probe: Probe, prefix: str | None = None) -> set[str]:
    """Return the keys of this attempt, or with that prefix, as encoding-type=url carries them."""
    return set(_sizes(probe, prefix))


def _sizes(probe: Probe, prefix: str | None = None) -> dict[str, int]:
    """Return the keys of this attempt, or with that prefix, and the size of each."""
    reply = probe.list_keys(("prefix", probe.prefix if prefix is None else prefix), ("encoding-type", "url"))
    reply.expect("200", about="ListObjectsV2 with encoding-type=url")
    is_encoded = reply.text("EncodingType") == "url"
    keys = [unquote_plus(key) if is_encoded else key for key in reply.texts("Contents/Key")]
    sizes = [int(size) if size.isdecimal() else -1 for size in reply.texts("Contents/Size")]
    return dict(zip(keys, sizes, strict=False))


def _put_raw(probe: Probe, name: str, body: bytes) -> None:
    """PUT an object with its name in the path as it is written here."""
    reply = probe.request("PUT", probe.path(probe.prefix) + name, body=body)
    reply.expect("200", about=f"PUT of {name}")


def _get_raw(probe: Probe, name: str) -> Reply:
    return probe.request("GET", probe.path(probe.prefix) + name).expect("200", about=f"GET of {name}")


def _expect_no_paths(probe: Probe, *names: str) -> None:
    for method, name in (("GET", names[0]), *(("PUT", name) for name in names)):
        reply = probe.request(method, probe.path(probe.prefix) + name)
        reply.expect(*_PATH_REFUSALS, about=f"{method} of the path {name}")
        if reply.code == "InvalidArgument":
            probe.report("a path that is not valid is refused with InvalidArgument in place of InvalidURI")


def _delete_objects(probe: Probe, keys: Iterable[str]) -> Reply:
    rows = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
    body = f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rows}</Delete>'.encode()
    digest = md5_base64(body)
    return probe.request("POST", probe.path(), "delete", {"content-md5": digest}, body)
