"""Servers broken for the checks of object keys."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from anys3.model import Target
from anys3.operations.call import Call
from anys3.protocol import addressing, copy_source, names
from anys3.spec.errors import S3Error
from anys3.store.mutations import DeleteEntry, Mutation
from tests.broken_servers import (
    Breakage,
    Handler,
    answering,
    breaks,
    handled,
    patched,
    replace_in_body,
    saying,
    when,
)

_parse = addressing.parse
_parse_source = copy_source.parse
_check_key = names.check_key


def rewriting(sentence: str, rewrite: Callable[[bytes], bytes]) -> Breakage:
    """A server that makes other keys of those that requests name."""

    def parse(path: bytes, host: bytes, domains: tuple[bytes, ...]) -> Target:
        target = _parse(path, host, domains)
        return target if target.key is None else target._replace(key=rewrite(target.key) or b"_")

    return patched(sentence, "anys3.protocol.addressing.parse", parse)


def moving(sentence: str, rewrite: Callable[[bytes], bytes]) -> Breakage:
    """A server that makes other paths of those that requests name, bucket and all."""
    return patched(
        sentence,
        "anys3.protocol.addressing.parse",
        lambda path, host, domains: _parse(rewrite(path), host, domains),
    )


def refusing(sentence: str, code: str, is_refused: Callable[[bytes], Any]) -> Breakage:
    """A server that refuses some keys with that code."""

    def check_key(key: bytes) -> None:
        if is_refused(key):
            raise S3Error(code)
        _check_key(key)

    return patched(sentence, "anys3.protocol.names.check_key", check_key)


def on_text(rewrite: Callable[[str], str]) -> Callable[[bytes], bytes]:
    """A rewriting of text as one of bytes."""
    return lambda key: rewrite(key.decode()).encode()


def below(key: bytes) -> bytes:
    """Return the last segment of a key."""
    return key.rstrip(b"/").rpartition(b"/")[2]


# --- length -------------------------------------------------------------------------------------------------

breaks(
    "KEY-01/one-byte",
    refusing("keys have 3 bytes or more", "InvalidArgument", lambda key: len(key) < 3),
)
breaks(
    "KEY-01/longest-key",
    patched("keys have at most 1,023 bytes", "anys3.protocol.names.MAX_KEY_BYTES", 1023),
)
breaks("KEY-01/longest-key", rewriting("keys are cut at 1,000 bytes", lambda key: key[:1000]))
breaks(
    "KEY-01/longest-key",
    refusing("characters are counted, and the last is one too many", "KeyTooLongError", lambda key: (
        not key.isascii() and len(key) > 1023
    )),
)  # fmt: skip
breaks(
    "KEY-01/longer-key",
    patched("keys have up to 2,048 bytes", "anys3.protocol.names.MAX_KEY_BYTES", 2048),
)
breaks(
    "KEY-01/longer-key",
    rewriting("longer keys are cut", lambda key: key[:1024].decode(errors="ignore").encode()),
)
breaks(
    "KEY-01/longer-key",
    refusing("the code is another", "InvalidArgument", lambda key: len(key) > 1024),
)
breaks(
    "KEY-13/long-segment",
    rewriting("a segment is cut at 255 bytes", lambda key: re.sub(rb"([^/]{255})[^/]*", rb"\1", key)),
)
breaks(
    ("KEY-13/long-segment", "KEY-13/longest-segment"),
    refusing(
        "a segment is a file's name", "InvalidArgument", lambda key: max(map(len, key.split(b"/"))) > 255
    ),
)
breaks("KEY-13/longest-segment", rewriting("keys without a slash are cut", lambda key: key[-1000:]))

# --- opaque bytes -------------------------------------------------------------------------------------------

breaks(
    "KEY-02/case-sensitive",
    rewriting("keys are in lower case", lambda key: key[: -len(below(key))] + below(key).lower()),
)
breaks(
    "KEY-02/not-normalised",
    rewriting("keys are composed", on_text(lambda key: unicodedata.normalize("NFC", key))),
)
breaks(
    "KEY-02/not-normalised",
    rewriting("keys are decomposed", on_text(lambda key: unicodedata.normalize("NFD", key))),
)
breaks("KEY-02/not-trimmed", rewriting("spaces at the end are cut off", lambda key: key.rstrip(b" ")))
breaks("KEY-02/not-trimmed", rewriting("dots at the end are cut off", lambda key: key.rstrip(b".")))
breaks(
    "KEY-03/preserve-or-reject",
    rewriting("back-slashes become slashes", lambda key: key.replace(b"\\", b"/")),
)
breaks(
    "KEY-03/preserve-or-reject",
    rewriting("a path is cleaned", lambda key: posixpath.normpath(key.decode()).encode()),
)
breaks(
    "KEY-03/preserve-or-reject",
    refusing("colons are the server's own fault", "InternalError", lambda key: b":" in key),
)

# --- decoding -----------------------------------------------------------------------------------------------

breaks(
    ("KEY-04/decoded-once", "KEY-03/preserve-or-reject"),
    rewriting("paths are decoded twice", unquote_to_bytes),
)
breaks(
    "KEY-04/decoded-once",
    patched("%2F stays in the key", "anys3.protocol.addressing._decode", lambda text: text),
)
breaks(
    "KEY-04/needless-escapes",
    moving("small hex digits are not known", lambda path: re.sub(rb"%[c-f].", b"%3F", path)),
)
breaks(
    "KEY-04/needless-escapes",
    patched("escapes stay in the key", "anys3.protocol.addressing._decode", lambda text: text),
)
breaks("KEY-05/plus-is-plus", moving("a plus is a space", lambda path: path.replace(b"+", b"%20")))
breaks("KEY-05/plus-is-plus", rewriting("a space is a plus", lambda key: key.replace(b" ", b"+")))

# --- slashes and dots ---------------------------------------------------------------------------------------

breaks(
    ("KEY-06/double-slash", "KEY-06/trailing-slash", "KEY-06/leading-slash"),
    moving("slashes are merged", lambda path: re.sub(rb"/+", b"/", path)),
)
breaks("KEY-06/trailing-slash", rewriting("slashes at the end are cut off", lambda key: key.rstrip(b"/")))
breaks("KEY-06/leading-slash", rewriting("slashes at the front are cut off", lambda key: key.lstrip(b"/")))
breaks(
    "KEY-06/leading-slash",
    refusing("a key can't begin with a slash", "InvalidArgument", lambda key: key.startswith(b"/")),
)


async def deleting_like_rm(call: Call, want: Any, proceed: Handler) -> Any:
    """Delete a key and all below it, as a directory goes."""
    rows = (await call.store.list(call.bucket, call.key.rstrip(b"/") + b"/", b"", b"", 100)).rows
    await call.commit(Mutation(call.bucket, tuple(DeleteEntry(key) for key, _ in rows)))
    return await proceed(call, want)


async def deleting_empty_directories(call: Call, want: Any, proceed: Handler) -> Any:
    """Delete a key, and the one with a slash that it lies under."""
    answer = await proceed(call, want)
    await call.commit(Mutation(call.bucket, (DeleteEntry(call.key.rpartition(b"/")[0] + b"/"),)))
    return answer


async def putting_like_a_file(call: Call, want: Any, proceed: Handler) -> Any:
    """Put a key where a directory of that name stands: refused."""
    rows = (await call.store.list(call.bucket, call.key + b"/", b"", b"", 1)).rows
    if rows:
        raise S3Error("InvalidArgument")
    return await proceed(call, want)


breaks("KEY-07/key-and-children", rewriting("a key and its slash form are one", lambda key: key.rstrip(b"/")))
breaks(
    "KEY-07/key-and-children",
    handled("a key can't be put where others lie below it", "PutObject", putting_like_a_file),
)
breaks("KEY-07/deleting-one", handled("what lies below goes, too", "DeleteObject", deleting_like_rm))
breaks(
    "KEY-07/deleting-one",
    handled("the marker of the folder goes, too", "DeleteObject", deleting_empty_directories),
)


def resolved(key: bytes) -> bytes:
    """Return a key with its dot segments resolved."""
    return posixpath.normpath(key.decode()).encode()


breaks(
    ("KEY-08/dot-segments-in-writes", "KEY-08/dot-segments-in-reads"),
    rewriting("dot segments are resolved", resolved),
)
breaks(
    ("KEY-08/dots-cross-no-bucket",),
    moving("dots lead out of the bucket", lambda path: resolved(unquote_to_bytes(path))),
)
breaks(
    ("KEY-08/dot-segments-in-writes", "KEY-08/dot-segments-in-reads", "KEY-08/dots-cross-no-bucket"),
    refusing("dots are refused with 403", "AccessDenied", lambda key: b"./" in key),
)

# --- characters ---------------------------------------------------------------------------------------------

breaks("KEY-09/raw-characters", refusing("quotes are refused", "InvalidArgument", lambda key: b"'" in key))
breaks("KEY-09/raw-characters", rewriting("a star is lost", lambda key: key.replace(b"*", b"")))
breaks("KEY-09/encoded-characters", rewriting("all behind a # is lost", lambda key: key.partition(b"#")[0]))
breaks(
    "KEY-09/encoded-characters",
    refusing("letters that Windows forbids are refused", "InvalidArgument", lambda key: b"|" in key),
)
breaks(
    "KEY-09/encoded-characters",
    answering(
        "listings encode ampersands twice",
        lambda request, answer: (
            replace_in_body(answer, "&amp;", "&amp;amp;") if when(request, "GET", "list-type") else None
        ),
    ),
)
breaks(
    "KEY-10/any-script",
    refusing("code points of 4 bytes are refused", "InvalidArgument", lambda key: b"\xf0" in key),
)
breaks("KEY-10/any-script", rewriting("keys are ASCII", lambda key: key.decode().encode("ascii", "replace")))
breaks(
    "KEY-10/any-script",
    answering(
        "listings are encoded as if they were Latin-1",
        lambda request, answer: (
            replace_in_body(answer, "日".encode(), "日".encode().decode("latin-1").encode())
            if when(request, "GET", "list-type")
            else None
        ),
    ),
)
breaks(
    "KEY-10/copied-in-any-script",
    patched(
        "copy sources are Latin-1",
        "anys3.protocol.copy_source.parse",
        lambda value: _parse_source(re.sub(rb"%[89A-F].", b"%3F", value)),
    ),
)


def in_latin_1(data: bytes) -> bytes:
    """Return what becomes of UTF-8 that is read as Latin-1."""
    return data.decode("latin-1").encode()


async def under_another_key(call: Call, want: Any, proceed: Handler) -> Any:
    """Copy to a key in Latin-1."""
    call.target = call.target._replace(key=in_latin_1(call.key))
    return await proceed(call, want)


breaks(
    "KEY-10/copied-in-any-script",
    handled("copies are put under another key", "CopyObject", under_another_key),
)
breaks(
    "KEY-10/deleted-in-any-script",
    answering(
        "DeleteObjects names keys in Latin-1",
        lambda request, answer: (
            replace_in_body(answer, "ü".encode(), in_latin_1("ü".encode()))
            if when(request, "POST", "delete")
            else None
        ),
    ),
)
breaks(
    "KEY-10/deleted-in-any-script",
    patched(
        "DeleteObjects deletes no key of another script",
        "anys3.operations.delete_objects.DeleteEntry",
        lambda key: DeleteEntry(key if key.isascii() else in_latin_1(key)),
    ),
)
breaks(
    "KEY-11/control-characters",
    rewriting("control characters are dropped", lambda key: re.sub(rb"[\x01-\x1f]", b"", key)),
)
breaks(
    "KEY-11/control-characters",
    refusing("control characters are the server's own fault", "InternalError", lambda key: b"\x1f" in key),
)
breaks("KEY-11/nul-refused", rewriting("all behind a NUL is lost", lambda key: key.partition(b"\0")[0]))
breaks(
    "KEY-11/nul-refused", refusing("NUL is the server's own fault", "InternalError", lambda key: b"\0" in key)
)
breaks(
    "KEY-12/not-utf8",
    saying("InvalidRequest", instead_of="InvalidURI"),
)
breaks(
    "KEY-12/not-utf8",
    patched(
        "bytes that are no text are replaced",
        "anys3.protocol.addressing._decode",
        lambda text: unquote_to_bytes(text).decode(errors="replace").encode(),
    ),
)
breaks(
    "KEY-12/broken-escape",
    patched("broken escapes are left as they are", "anys3.protocol.percent.decode", unquote_to_bytes),
)

# --- reserved -----------------------------------------------------------------------------------------------

_INTERNAL = (b".minio.sys/", b".keep", b"lost+found")
breaks(
    "KEY-14/none-reserved",
    refusing("names of its own are refused", "AccessDenied", lambda key: key.startswith(_INTERNAL)),
)
breaks(
    "KEY-14/none-reserved",
    rewriting("index.html is the folder", lambda key: key.removesuffix(b"index.html")),
)
breaks(
    ("KEY-14/none-reserved", "KEY-14/none-reserved-below"),
    answering(
        "listings hide the server's own files",
        lambda request, answer: (
            replace_in_body(answer, ".keep</Key>", "</Key>") if when(request, "GET", "list-type") else None
        ),
    ),
)
breaks(
    "KEY-14/none-reserved-below",
    refusing("soap is refused", "MethodNotAllowed", lambda key: key.endswith(b"/soap")),
)
