"""XML bodies in, and text out, against the standard library's parser."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import xml
from anys3.protocol.xml import Node
from anys3.spec.errors import S3Error

DELETE = "<Delete><Object><Key>a b</Key></Object><Object><Key> c\n</Key></Object><Quiet>true</Quiet></Delete>"

LAUGHS = (
    '<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>'
    "<Delete><Object><Key>&lol2;</Key></Object></Delete>"
)
FILE = (
    '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>'
)


def tree(node: Node) -> tuple[str, str, list[object]]:
    return node.name, node.text, [tree(child) for child in node.children]


def refused(body: bytes, root: str | None = None) -> bool:
    with pytest.raises(S3Error, match="MalformedXML"):
        xml.parse(body, root)
    return True


def test_a_document_becomes_nodes_and_text_is_not_trimmed() -> None:
    root = xml.parse(DELETE.encode(), "Delete")
    assert [node.text_of("Key") for node in root.all("Object")] == ["a b", " c\n"]
    assert root.text_of("Quiet") == "true"
    assert root.text_of("Missing", "none") == "none"
    assert root.child("Missing") is None
    assert repr(root.child("Quiet")) == "Node('Quiet', 'true', [])"


@pytest.mark.requirement("HTTP-18")
@pytest.mark.parametrize(
    "body",
    [
        DELETE,
        '<?xml version="1.0" encoding="UTF-8"?>\n' + DELETE,
        "\ufeff" + DELETE,
        '\ufeff<?xml version="1.0"?>' + DELETE,
        DELETE.replace("<Delete>", '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'),
        re.sub("<(/?)", r"<\1s3:", DELETE).replace(
            "<s3:Delete", '<s3:Delete xmlns:s3="http://s3.amazonaws.com/"', 1
        ),
        "<!-- a comment -->" + DELETE.replace("a b", "a<!-- -->&#32;<![CDATA[b]]>"),
        DELETE.replace("<Object>", "<Object >").replace("</Delete>", "</Delete>\r\n  "),
    ],
)
def test_namespaces_prefixes_declarations_and_boms_make_no_difference(body: str) -> None:
    assert tree(xml.parse(body.encode(), "Delete")) == tree(xml.parse(DELETE.encode()))


@pytest.mark.requirement("HTTP-17")
@pytest.mark.known_mistake(38)
@pytest.mark.parametrize(
    "body",
    [LAUGHS, FILE, "<!DOCTYPE Delete>" + DELETE, '<!DOCTYPE d SYSTEM "http://127.0.0.1/x.dtd">' + DELETE],
)
def test_a_doctype_is_refused_unread(body: str) -> None:
    assert refused(body.encode())


@pytest.mark.requirement("HTTP-17")
@pytest.mark.known_mistake(38)
def test_a_doctype_does_not_hide_in_another_encoding() -> None:
    assert xml.parse(DELETE.encode("utf-16")).name == "Delete"
    assert refused(LAUGHS.encode("utf-16"))


@pytest.mark.requirement("ERR-05")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"Delete",
        b"<Delete>",
        b"<Delete></delete>",
        b"<Delete/><Delete/>",
        b"<Delete>&nbsp;</Delete>",
    ]
    + [b"<Delete>\xff</Delete>", b"<s3:Delete/>", b"<Delete>\0</Delete>", b"<Delete>&#0;</Delete>", b"{}"]
    + [b"<Other/>", b'<?xml version="1.0" encoding="latin-1"?><Delete>\xe9</Delete>'],
)
def test_what_is_not_the_expected_document_is_refused(body: bytes) -> None:
    assert refused(body, "Delete")


@pytest.mark.known_mistake(39)
def test_a_document_that_is_too_deep_too_wide_or_too_long_is_refused() -> None:
    assert refused(b"<a>" * 17 + b"</a>" * 17)
    assert refused(b"<a>" + b"<b/>" * xml.MAX_ELEMENTS + b"</a>")
    assert refused(b"<a>" + b" " * xml.MAX_BYTES + b"</a>")
    assert xml.parse(b"<a>" * 16 + b"</a>" * 16).name == "a"


@given(st.binary(max_size=60))
def test_no_bytes_break_the_parser(body: bytes) -> None:
    try:
        parsed = xml.parse(b"<a>" + body + b"</a>")
    except S3Error as error:
        assert error.code == "MalformedXML"
    else:
        assert parsed.name == "a"


@pytest.mark.requirement("HTTP-19", "LIST-18")
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_text_parses_to_itself_but_for_what_xml_cannot_carry(text: str) -> None:
    expected = re.sub("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", text)
    parsed = ElementTree.fromstring(f"<a b='{xml.escape(text)}'>{xml.escape(text)}</a>")
    assert (parsed.text or "", parsed.get("b")) == (expected, expected)
    assert xml.is_representable(text) == (expected == text)


@pytest.mark.requirement("LIST-18")
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_key_is_escaped_as_text_is(text: str) -> None:
    assert xml.escape_key(text.encode()).decode() == xml.escape(text)


def test_a_lone_surrogate_never_gets_out() -> None:
    assert xml.escape("a\ud800b") == "a\ufffdb"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff", min_codepoint=32)))
def test_what_we_escape_we_parse(text: str) -> None:
    assert xml.parse(f"<a>{xml.escape(text)}</a>".encode()).text == text
