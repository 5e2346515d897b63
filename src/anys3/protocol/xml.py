"""XML: request bodies in, without any of its dangers; text out, always well-formed."""

from __future__ import annotations

import re
from xml.parsers import expat

from anys3.spec.errors import S3Error

MAX_BYTES = 16 * 1024 * 1024
"""The longest document of S3, 10,000 parts with every checksum, stays well below."""
MAX_DEPTH = 16
MAX_ELEMENTS = 200_000

_BOM = b"\xef\xbb\xbf"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_REFERENCES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&apos;",
    # A parser would turn a bare CR into LF, and many trim or fold the other two.
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}
_SPECIAL = re.compile("[&<>\"'\x00-\x1f\ufffe\uffff\ud800-\udfff]")
_SPECIAL_BYTES = re.compile(rb"[&<>\"'\x00-\x1f]|\xef\xbf[\xbe\xbf]")
_BYTES_REFERENCES = {character.encode(): reference.encode() for character, reference in _REFERENCES.items()}
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


class Node:
    """An element: its local name, the text directly in it (not trimmed), and its child elements."""

    __slots__ = ("children", "name", "text")

    def __init__(self, name: str, text: str, children: list[Node]) -> None:
        self.name = name
        self.text = text
        self.children = children

    def __repr__(self) -> str:
        return f"Node({self.name!r}, {self.text!r}, {self.children!r})"

    def child(self, name: str) -> Node | None:
        """Return the first child of that name, None if there is none."""
        for child in self.children:
            if child.name == name:
                return child
        return None

    def all(self, name: str) -> list[Node]:
        """Return the children of that name, in order."""
        return [child for child in self.children if child.name == name]

    def text_of(self, name: str, default: str = "") -> str:
        """Return the text of the first child of that name, `default` if there is none."""
        child = self.child(name)
        return default if child is None else child.text


def parse(body: bytes, root: str | None = None) -> Node:
    """Return the root element of a document; `root` is the name that it must have.

    Names lose their namespace and prefix; declaration, BOM and white space are as the client likes
    (HTTP-18). The encoding is UTF-8, whatever the declaration says, or UTF-16 with its byte order mark.

    Raises S3Error:
        MalformedXML: not well-formed, another root (ERR-05), a DOCTYPE or an entity declaration, which are
            never expanded (HTTP-17), or too long, too deep or too many elements.
    """
    if len(body) > MAX_BYTES:
        raise S3Error("MalformedXML", log="document too long")
    builder = _Builder()
    try:
        builder.parser.Parse(body.removeprefix(_BOM), True)
    except expat.ExpatError as error:
        raise S3Error("MalformedXML", log=str(error)) from None
    node = builder.document.children[0]
    if root is not None and node.name != root:
        raise S3Error("MalformedXML", log=f"root is {node.name!r}, not {root!r}")
    return node


class _Builder:
    """Builds the tree from expat's events."""

    def __init__(self) -> None:
        self.document = Node("", "", [])
        self._path = [self.document]
        self._texts: list[list[str]] = [[]]
        self._elements = 0
        # The separator can't be part of a local name.
        self.parser = parser = expat.ParserCreate("UTF-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._elements += 1
        if len(self._path) > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise S3Error("MalformedXML", log="too deep or too many elements")
        node = Node(name.rpartition(" ")[2], "", [])
        self._path[-1].children.append(node)
        self._path.append(node)
        self._texts.append([])

    def _end(self, _name: str) -> None:
        self._path.pop().text = "".join(self._texts.pop())

    def _text(self, text: str) -> None:
        self._texts[-1].append(text)

    def _refuse(self, *_declaration: object) -> None:
        raise S3Error("MalformedXML", log="DOCTYPE or entity declaration")


def escape(text: str) -> str:
    """Return text that stands in an element or attribute and is well-formed whatever it was.

    Tab, LF and CR become character references, so that parsers keep them. A character that XML 1.0 can't
    carry at all (other C0 controls, U+FFFE, U+FFFF, lone surrogates) becomes U+FFFD: a lossy, but readable
    answer; `encoding-type=url` is the way to see such keys exactly (LIST-18).

        >>> escape("a<b>\\r\\x01")
        'a&lt;b&gt;&#13;\N{REPLACEMENT CHARACTER}'
    """  # noqa: D301 (the backslashes are the example's)
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda match: _REFERENCES.get(match[0], _REPLACEMENT), text)


def escape_key(key: bytes) -> bytes:
    """Return a key, which is UTF-8, as `escape` would."""
    if _SPECIAL_BYTES.search(key) is None:
        return key
    replacement = _REPLACEMENT.encode()
    return _SPECIAL_BYTES.sub(lambda match: _BYTES_REFERENCES.get(match[0], replacement), key)


def is_representable(text: str) -> bool:
    """Return whether XML 1.0 can carry every character of the text."""
    return _FORBIDDEN.search(text) is None
