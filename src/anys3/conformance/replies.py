"""Answers as checks look at them, and what they may expect of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from anys3.client.answers import Answer
from anys3.conformance.exchanges import Exchange, shortened
from anys3.conformance.outcomes import Absent, Failed

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_ABSENT = {501: ("NotImplemented", ""), 405: ("MethodNotAllowed", "")}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, with the request that it answers. Header names are in lower case."""

    answer: Answer
    exchange: Exchange

    @property
    def status(self) -> int:
        """The status."""
        return self.answer.status

    @property
    def body(self) -> bytes:
        """The body; transfer coding is taken off."""
        return self.answer.body

    @property
    def etag(self) -> str:
        """The ETag header, with its quotes. Raises Failed: there is none."""
        return self.need("etag")

    def header(self, name: str) -> str | None:
        """Return a header, None if it is absent. `name` in lower case."""
        return self.answer.header(name)

    def need(self, name: str) -> str:
        """Return a header. Raises Failed: it is absent."""
        value = self.answer.header(name)
        if value is None:
            raise Failed(f"{self.exchange.summary}: expected a {name} header in the {self.said}, got none")
        return value

    @property
    def code(self) -> str:
        """The <Code> of an error document; "" where there is none."""
        if self.status < 400 and b"<Error" not in self.body[:200]:
            return ""
        try:
            return ET.fromstring(self.body).findtext("Code") or ""  # noqa: S314 -- size is bounded
        except ET.ParseError:
            return ""

    @property
    def said(self) -> str:
        """Status and code in words: `404 NoSuchKey`."""
        return f"{self.status} {self.code}".strip()

    @property
    def root(self) -> ET.Element:
        """The document's root as it was sent, namespaces in braces. Raises Failed: not well-formed XML."""
        try:
            return ET.fromstring(self.body)  # noqa: S314 -- expat bounds what entities may grow to
        except ET.ParseError as error:
            text = shortened(self.body.decode("utf-8", "replace"), 120)
            raise Failed(f"{self.exchange.summary}: expected well-formed XML, got {error}: {text}") from None

    @property
    def xml(self) -> ET.Element:
        """The document's root without namespaces. Raises Failed: not well-formed XML."""
        root = self.root
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root

    def text(self, path: str) -> str | None:
        """Return the text of the first element at `path`; "" if it is empty, None if there is none."""
        return self.xml.findtext(path)

    def texts(self, path: str) -> list[str]:
        """Return the texts of all elements at `path`."""
        return [element.text or "" for element in self.xml.findall(path)]

    def need_text(self, path: str) -> str:
        """Return the text of an element that must be there and not be empty. Raises Failed."""
        found = self.text(path)
        if not found:
            raise Failed(f"{self.exchange.summary}: expected an element {path} with a value, got {found!r}")
        return found

    def is_one_of(self, *expected: str) -> bool:
        """Whether status and code are among those: `"404 NoSuchKey"`, `"501"` (any code), `"4xx"`."""
        return any(self._is(one) for one in expected)

    def expect(self, *expected: str, about: str = "") -> Reply:
        """Return this answer if it is one of those; see `is_one_of`. Codes aren't looked at after HEAD.

        Raises Failed, or Absent if the answer is a clean 501 or 405. `about` says what was tried.
        """
        if self.is_one_of(*expected):
            return self
        tried = f"{about} ({self.exchange.summary})" if about else self.exchange.summary
        kind: Callable[[str], Failed] = Absent if self.code in _ABSENT.get(self.status, ()) else Failed
        raise kind(f"{tried}: expected {' or '.join(expected)}, got {self.said}")

    def _is(self, expected: str) -> bool:
        status, _, code = expected.partition(" ")
        if status.endswith("xx"):
            return self.status // 100 == int(status[0])
        return self.status == int(status) and (
            not code or self.exchange.method == "HEAD" or self.code == code
        )


def require(holds: object, sentence: str) -> None:
    """Raise Failed with that sentence, expected and got in it, unless it holds."""
    if not holds:
        raise Failed(sentence)


def equal(got: object, expected: object, what: str) -> None:
    """Raise Failed unless two values are equal; `what` names them: "the body of the copy"."""
    if got != expected:
        raise Failed(f"{what}: expected {_shown(expected)}, got {_shown(got)}")


def _shown(value: object) -> str:
    if isinstance(value, bytes) and len(value) > 60:
        return f"{len(value)} bytes {value[:24]!r}..."
    return shortened(repr(value), 200)
