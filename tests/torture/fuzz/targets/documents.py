"""XML bodies: what is accepted means the same to another parser; no document has a DOCTYPE."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from xml.etree import ElementTree

from anys3.protocol import cors, tagging, xml
from anys3.spec.errors import S3Error
from tests.torture.fuzz.kit import NOW_S, hold, outcome, same

# The package has the handlers under these names.
complete_multipart_upload, create_bucket, delete_objects = (
    import_module(f"anys3.operations.{name}")
    for name in ("complete_multipart_upload", "create_bucket", "delete_objects")
)
Tree = tuple[str, str, list[Any]]


class _Builder(ElementTree.TreeBuilder):
    """Notes a DOCTYPE."""

    has_doctype = False

    def doctype(self, *_declaration: object) -> None:
        self.has_doctype = True


def tree_of_node(node: xml.Node) -> Tree:
    return node.name, node.text, [tree_of_node(child) for child in node.children]


def tree_of_element(element: ElementTree.Element) -> Tree:
    text = (element.text or "") + "".join(child.tail or "" for child in element)
    return element.tag.rpartition("}")[2], text, [tree_of_element(child) for child in element]


def parsed(data: bytes) -> xml.Node | None:
    """Return the document, compared with what another parser makes of it; None if it is refused."""
    code, node = outcome(xml.parse, data)
    builder = _Builder()
    # The server reads UTF-8 whatever a declaration says, but for UTF-16 with its mark.
    is_utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    parser = ElementTree.XMLParser(target=builder, encoding=None if is_utf16 else "utf-8")
    try:
        parser.feed(data)
        other = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError):
        other = None
    hold(not (node is not None and builder.has_doctype), "a DOCTYPE was accepted")
    if node is None:
        same(code, "MalformedXML", "code")
        return None
    if other is not None:
        same(tree_of_node(node), tree_of_element(other), "meaning")
    return node  # type: ignore[no-any-return]


def xml_any(data: bytes) -> None:
    """Parse any document."""
    parsed(data)


def xml_delete(data: bytes) -> None:
    """Read the objects of a DeleteObjects body; no key is longer or other than it stands there."""
    node = parsed(data)
    for one in node.all("Object") if node is not None else []:
        code, deletion = outcome(delete_objects._deletion, one)
        if not code:
            same(deletion.key, one.text_of("Key"), "key")
            is_fit = 1 <= len(deletion.key.encode()) <= 1024 and "\0" not in deletion.key
            hold(is_fit or deletion.refusal is not None, "a key that is none")


def xml_complete(data: bytes) -> None:
    """Read the parts of a CompleteMultipartUpload body: numbers ascend within their bounds."""
    parsed(data)
    code, listed = outcome(complete_multipart_upload._read_parts, data)
    if not code:
        numbers = [one.number for one in listed]
        hold(numbers == sorted(set(numbers)), "numbers do not ascend")
        hold(numbers[0] >= 1 and numbers[-1] <= 10_000, "a number out of bounds")


def xml_cors(data: bytes) -> None:
    """Read CORS rules; those that are accepted come back as they are, and answer without adding lines."""
    node = parsed(data)
    code, rules = outcome(cors.parse_document, node) if node is not None else ("refused", None)
    if code:
        return
    rendered = f"<CORSConfiguration>{cors.render(rules)}</CORSConfiguration>".encode()
    same(cors.parse_document(xml.parse(rendered)), rules, "rendered rules")
    for origin in (b"https://a.example", b"null", b"x\x80"):
        headers = cors.actual(rules, origin, b"GET")
        code, told = outcome(cors.preflight, rules, origin, b"GET", b"x-amz-date, content-type")
        for lines in (headers, told or b""):
            hold(all(b": " in line for line in lines.split(b"\r\n")[:-1]), f"lines were added: {lines!r}")
            hold(b"\n" not in lines.replace(b"\r\n", b""), f"a line end was added: {lines!r}")


def xml_tagging(data: bytes) -> None:
    """Read tags; those that are accepted come back as they are."""
    node = parsed(data)
    code, tags = outcome(tagging.parse_document, node) if node is not None else ("refused", None)
    if not code:
        rendered = f"<Tagging>{tagging.render(tags)}</Tagging>".encode()
        same(tagging.parse_document(xml.parse(rendered)), tags, "rendered tags")


def xml_create_bucket(data: bytes) -> None:
    """Read the region of a CreateBucket body: none but this server's is accepted."""
    node = parsed(data)

    class Region:
        region = "eu-north-1"
        now_ms = NOW_S * 1000

    try:
        create_bucket._check_location(Region(), data)  # type: ignore[arg-type]
    except S3Error:
        return
    if data:
        assert node is not None
        hold(node.text_of("LocationConstraint").strip() in ("", "us-east-1", "eu-north-1"), "another region")
