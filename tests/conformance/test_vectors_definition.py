"""Definitions: files, folders, selections and placeholders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.conformance.vectors import corpus, definition, placeholders
from anys3.conformance.vectors.corpus import Entry, NoVectors, Selection
from anys3.conformance.vectors.placeholders import DefinitionError


def vector(id: str = "g-0001", **changes: Any) -> dict[str, Any]:
    row = {"id": id, "group": id.rpartition("-")[0], "kind": "api", "title": "t", "tags": ["tier-1"]}
    return {**row, "steps": [{"$http": {"method": "GET", "path": "/"}}], **changes}


def write(path: Path, *rows: Any, **more: Any) -> Path:
    path.write_text(json.dumps({"vectors": list(rows), **more}), "utf-8")
    return path


def errors(entries: list[Entry]) -> dict[str, str]:
    return {entry.id: entry.error for entry in entries if entry.error}


def test_a_folder_is_read_in_order_of_its_files(tmp_path: Path) -> None:
    write(tmp_path / "b.json", vector("b-0001"))
    write(tmp_path / "a.json", vector("a-0002"), vector("a-0001"))
    (tmp_path / "README.md").write_text("no vectors", "utf-8")
    assert [entry.id for entry in corpus.read([tmp_path])] == ["a-0002", "a-0001", "b-0001"]


def test_one_id_may_be_there_once(tmp_path: Path) -> None:
    write(tmp_path / "a.json", vector())
    write(tmp_path / "b.json", vector())
    found = corpus.read([tmp_path])
    assert [entry.error for entry in found] == ["", "the id 'g-0001' is taken"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", 'expected {"vectors": [...]}'),
        ('{"vectors": {}}', 'expected {"vectors": [...]}'),
        ('{"vectors": [], "zebra": 1}', "unknown keys 'zebra'"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_broken_file_is_one_broken_vector(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "a.json").write_text(text, "utf-8")
    [found] = corpus.read([tmp_path / "a.json"])
    assert (found.id, found.vector) == ("a.json", None)
    assert complaint in found.error


def test_a_broken_vector_does_not_keep_others_from_running(tmp_path: Path) -> None:
    write(tmp_path / "a.json", 7, vector(zebra=1), vector("g-0002"))
    found = corpus.read([tmp_path])
    assert [entry.vector is not None for entry in found] == [False, False, True]
    assert list(errors(found)) == ["a.json[0]", "g-0001"]


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        ({"version": "1.0.0", "total": 1, "groups": ["g"]}, None),
        ({"version": "1.0.0", "total": 1, "groups": {"g": 1}}, None),
        ({"total": 2}, "total is 2; the files hold 1"),
        ({"groups": ["g", "h"]}, "no file holds the groups h"),
        ({"zebra": 1}, "unknown keys 'zebra'"),
        ([], "expected an object"),
    ],
)
def test_a_manifest_is_held_against_the_files(tmp_path: Path, manifest: Any, complaint: str | None) -> None:
    write(tmp_path / "g.json", vector())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    told = errors(corpus.read([tmp_path]))
    assert list(told) == (["manifest.json"] if complaint else [])
    assert (complaint or "") in told.get("manifest.json", "")


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_path_without_vectors_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoVectors, match=name):
        corpus.read([tmp_path / name])


ENTRIES = [
    Entry("put-0001", "put", ("tier-1",), ""),
    Entry("put-0002", "put", ("tier-2", "large"), ""),
    Entry("get-0001", "get", ("tier-1", "quirk:not-aws"), ""),
]


@pytest.mark.parametrize(
    ("selection", "selected", "skipped"),
    [
        (Selection(), ["put-0001", "put-0002", "get-0001"], []),
        (Selection(tags=["tier-1"]), ["put-0001", "get-0001"], []),
        (Selection(groups=["put"]), ["put-0001", "put-0002"], []),
        (Selection(tags=["tier-1"], groups=["put"]), ["put-0001"], []),
        (Selection(ids=["put-0002", "get-*"]), ["put-0002", "get-0001"], []),
        (Selection(exclude_tags=["large", "quirk:*"]), ["put-0001"], []),
        (Selection(exclude_groups=["get"], exclude_ids=["put-0001"]), ["put-0002"], []),
        (Selection(skip_tags=["large"]), ["put-0001", "put-0002", "get-0001"], ["put-0002"]),
        (
            Selection(skip_groups=["put"], skip_ids=["get-0001"], exclude_tags=["large"]),
            ["put-0001", "get-0001"],
            ["put-0001", "get-0001"],
        ),
    ],
)
def test_vectors_are_selected_dropped_and_skipped(
    selection: Selection, selected: list[str], skipped: list[str]
) -> None:
    found = selection.apply(ENTRIES)
    assert [entry.id for entry in found] == selected
    assert [entry.id for entry in found if entry.is_skipped] == skipped


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
RICH = vector(
    prerequisites=[
        {"$bucket": {"handle": "b", "versioning": "Enabled", "objectLock": True}},
        {
            "$object": {
                "handle": "o",
                "bucket": "b",
                "key": "k",
                "body": {"$data": "d"},
                "metadata": {"a": "b"},
            }
        },
        {"$credential": {"handle": "c"}},
    ],
    data={"d": {"$prng": {"seed": "s", "size": 9}}, "s": {"$slice": {"of": "d", "offset": 1, "length": 2}}},
    steps=[
        {
            "$operation": {
                "name": "GetObject",
                "params": {"Bucket": "${res.b.name}", "Key": "${res.o.key}"},
                "presign": {"expiresIn": 5},
                "identity": "c",
                "capture": {"e": "headers.etag"},
                "expect": {"error": {"code": "X", "message": {"$matches": "x"}}, "response": {"a": [1]}},
            }
        },
        {
            "$http": {
                "method": "PUT",
                "path": "/",
                "query": {"a": None},
                "headers": [["a", "b"]],
                "body": {"$base64": "AA=="},
                "sign": False,
                "expect": {"status": 200, "headers": {"etag": "${cap.e}"}, "body": {"$size": 5}},
            }
        },
    ],
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, each in inner for place in places(each, (*path, name)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@given(st.sampled_from(places(RICH)), json_values)
def test_a_vector_with_any_json_in_any_place_is_a_vector_or_a_definition_error(
    path: tuple[Any, ...], new: Any
) -> None:
    definition.parse(RICH)
    try:
        definition.parse(replaced(RICH, path, new))
    except DefinitionError as error:
        assert str(error)


# Objects whose names are the vector's own, and what is checked only against the operation.
FREE = ("params", "query", "response", "headers")


def at(path: tuple[Any, ...]) -> Any:
    value: Any = RICH
    for name in path:
        value = value[name]
    return value


CLOSED = [path for path in places(RICH) if isinstance(at(path), dict) and (not path or path[-1] not in FREE)]


@pytest.mark.parametrize("path", CLOSED, ids=lambda path: ".".join(map(str, path)) or "vector")
def test_an_unknown_key_is_found_in_any_object(path: tuple[Any, ...]) -> None:
    with pytest.raises(DefinitionError):
        definition.parse(replaced(RICH, path, {**at(path), "zebra": 1}))


@given(json_values)
def test_json_without_placeholders_resolves_to_itself(value: Any) -> None:
    text = json.dumps(value).replace("${", "")
    plain = json.loads(text)
    assert placeholders.resolve(plain, {}.__getitem__) == plain


@given(
    st.lists(st.tuples(st.text(max_size=4).filter(lambda text: "$" not in text), st.booleans()), max_size=5)
)
def test_placeholders_are_filled_in_wherever_they_stand(parts: list[tuple[str, bool]]) -> None:
    text = "".join(plain + ("${a.b}" if is_named else "$${a.b}") for plain, is_named in parts) + "."
    expected = "".join(plain + ("V" if is_named else "${a.b}") for plain, is_named in parts) + "."
    assert placeholders.resolve({text: [text]}, {"a.b": "V"}.__getitem__) == {expected: [expected]}


def test_what_was_filled_in_is_not_looked_through_again() -> None:
    assert placeholders.resolve("x${a}", {"a": "${b}"}.__getitem__) == "x${b}"


@pytest.mark.parametrize("text", ["${", "${a", "${}", "x${a${b}}"])
def test_a_placeholder_that_is_none_is_a_definition_error(text: str) -> None:
    with pytest.raises(DefinitionError):
        list(placeholders.names(text))
