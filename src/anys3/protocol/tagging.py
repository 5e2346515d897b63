"""Object tags: from a header or a document, checked, and back."""

from __future__ import annotations

from anys3.protocol import percent
from anys3.protocol.xml import Node, escape, is_representable
from anys3.spec.errors import S3Error

MAX_TAGS = 10
MAX_KEY_CHARACTERS = 128
MAX_VALUE_CHARACTERS = 256

_RESERVED_PREFIX = "aws:"

Tags = tuple[tuple[str, str], ...]


def parse_header(value: bytes) -> Tags:
    """Return the tags of `x-amz-tagging`, in order, checked (TAG-03).

        >>> parse_header(b"project=blue+sky&draft")
        (('project', 'blue sky'), ('draft', ''))

    Raises S3Error:
        InvalidArgument: not a URL query of UTF-8, or an empty or repeated key.
        InvalidTag, BadRequest: as `check` (TAG-04).
    """
    tags: list[tuple[str, str]] = []
    for piece in value.strip().split(b"&"):
        if piece:
            name, _, text = piece.replace(b"+", b" ").partition(b"=")
            key, decoded = percent.decode_utf8(name), percent.decode_utf8(text)
            if not key or decoded is None:
                raise _invalid_header(value)
            tags.append((key, decoded))
    if len({key for key, _ in tags}) != len(tags):
        raise _invalid_header(value)
    return check(tuple(tags))


def _invalid_header(value: bytes) -> S3Error:
    return S3Error(
        "InvalidArgument",
        "x-amz-tagging must be a URL query of UTF-8, percent-encoded, with no key empty or repeated.",
        ArgumentName="x-amz-tagging",
        ArgumentValue=value.decode("utf-8", "replace"),
    )


def parse_document(document: Node) -> Tags:
    """Return the tags of a `Tagging` document, in order, checked; an empty TagSet has none.

    Raises S3Error:
        MalformedXML: another root, no TagSet, or a Tag without Key or Value (TAG-04).
        InvalidTag, BadRequest: as `check`.
    """
    tag_set = document.child("TagSet")
    if document.name != "Tagging" or tag_set is None:
        raise S3Error("MalformedXML")
    tags: list[tuple[str, str]] = []
    for tag in tag_set.all("Tag"):
        key, value = tag.child("Key"), tag.child("Value")
        if key is None or value is None:
            raise S3Error("MalformedXML")
        tags.append((key.text, value.text))
    return check(tuple(tags))


def check(tags: Tags) -> Tags:
    """Return the tags if an object may have them (TAG-04). Lengths are in Unicode characters.

    Raises S3Error:
        BadRequest: more than 10.
        InvalidTag: length, a repeated key, the `aws:` prefix, or characters that XML can't carry back.
    """
    if len(tags) > MAX_TAGS:
        raise S3Error("BadRequest", f"An object has at most {MAX_TAGS} tags.")
    seen: set[str] = set()
    for key, value in tags:
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS or key.lower().startswith(_RESERVED_PREFIX):
            raise S3Error("InvalidTag", "The TagKey you have provided is invalid.", TagKey=key)
        if len(value) > MAX_VALUE_CHARACTERS:
            raise S3Error("InvalidTag", "The TagValue you have provided is invalid.", TagKey=key)
        if not is_representable(key + value):
            raise S3Error("InvalidTag", "A tag must not hold control characters.", TagKey=key)
        if key in seen:
            raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key.", TagKey=key)
        seen.add(key)
    return tags


def render(tags: Tags) -> str:
    """Return the `TagSet` element, which is all that a `Tagging` document holds."""
    rows = [f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>" for key, value in tags]
    return f"<TagSet>{''.join(rows)}</TagSet>"
