"""The pages and JSON files of the published spec say all of the catalogue, the same every time."""

from __future__ import annotations

import doctest
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from anys3.spec import catalogue, cuts
from anys3.spec.exporting import Publication, pages, publication, render, writing

FILES = render(Publication())
MARKED = render(Publication(checks={"PUT-03": ("put-empty-object", "put-then-head")}))
JUNE = render(Publication(cuts.tiers_of("rfc-june")))
REQUIREMENT = catalogue.requirement("PUT-03")


@pytest.fixture
def reasoned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mapping[str, str]:
    tmp_path.joinpath("a.toml").write_text("[PUT-03]\nwhy = 'Markers.'\nbreaks = 'Folders | <b>.'\n")
    reasons = catalogue._read_reasons(tmp_path)
    monkeypatch.setattr(catalogue, "reasons", lambda: reasons)
    return render(Publication())


def test_there_is_a_page_for_every_tier_and_profile() -> None:
    assert {f"tiers/{name}.md" for name in catalogue.tiers()} <= set(FILES)
    assert {f"profiles/{name}.md" for name in catalogue.profiles()} <= set(FILES)


def test_every_requirement_is_an_anchor_on_the_page_of_its_profile_and_of_its_tier() -> None:
    tier_of = {row.id: Publication().tier_of(row.profile) for row in catalogue.requirements()}
    missing = [
        row.id
        for row in catalogue.requirements()
        if FILES[f"profiles/{row.profile}.md"].count(f'<a id="{row.id}">') != 1
        or FILES[f"tiers/{tier_of[row.id].name}.md"].count(f'<a id="{row.id}">') != 1
    ]
    assert missing == []


def test_every_link_leads_to_a_page_and_an_anchor_that_are_there() -> None:
    broken = [
        (path, target)
        for path, text in FILES.items()
        if path.endswith(".md")
        for target in re.findall(r"\]\(([^)]+)\)", text)
        if not leads_somewhere(path, target)
    ]
    assert broken == []


def leads_somewhere(path: str, target: str) -> bool:
    name, _, anchor = target.partition("#")
    page = FILES.get(str(Path("/", path).parent.joinpath(name).resolve())[1:], "")
    return bool(page) and (not anchor or f'<a id="{anchor}">' in page)


def test_a_requirement_is_shown_with_all_that_is_known_of_it(reasoned: Mapping[str, str]) -> None:
    page = reasoned["profiles/core.md"]
    shown = page[page.index('<a id="PUT-03">') : page.index('<a id="PUT-04">')]
    assert shown.splitlines() == [
        '<a id="PUT-03"></a>',
        "### PUT-03 (MUST)",
        "",
        "A zero-byte object.",
        "",
        '- **Expected:** 200, ETag `"d41d8cd98f00b204e9800998ecf8427e"`',
        "- **Why:** Markers.",
        "- **Without it:** Folders | \\<b>.",
        "- **Evidence:** asserted by a public S3 test suite, and not contradicted by AWS",
        "",
    ]


def test_the_json_holds_the_same(reasoned: Mapping[str, str]) -> None:
    row = next(one for one in json.loads(reasoned["requirements.json"])["requirements"] if one["why"])
    assert row == {
        "id": "PUT-03",
        "level": REQUIREMENT.level,
        "tier": "tier-1",
        "profile": "core",
        "group": "PutObject",
        "statement": REQUIREMENT.statement,
        "expected": REQUIREMENT.expected,
        "evidence": ["K"],
        "evidence_in_words": "asserted by a public S3 test suite, and not contradicted by AWS",
        "why": "Markers.",
        "breaks": "Folders | <b>.",
        "checks": [],
        "page": "profiles/core.md#PUT-03",
    }


def test_the_checks_that_prove_a_requirement_are_named_where_it_stands() -> None:
    line = "- **Checks:** `put-empty-object`, `put-then-head`"
    assert MARKED["profiles/core.md"].count(line) == 1
    assert line not in FILES["profiles/core.md"]
    rows = json.loads(MARKED["requirements.json"])["requirements"]
    assert {row["id"]: row["checks"] for row in rows if row["checks"]} == {
        "PUT-03": ["put-empty-object", "put-then-head"]
    }


def test_every_code_of_evidence_has_its_words() -> None:
    codes = {code for row in catalogue.requirements() for code in row.evidence}
    assert codes == set(publication.EVIDENCE)


def test_requirements_json_holds_every_requirement_with_its_level_and_tier() -> None:
    rows = json.loads(FILES["requirements.json"])["requirements"]
    assert [(row["id"], row["level"], row["tier"], row["profile"]) for row in rows] == [
        (row.id, row.level, f"tier-{row.tier}", row.profile) for row in catalogue.requirements()
    ]


def test_another_cut_moves_requirements_and_says_which_profiles_it_leaves_out() -> None:
    rows = {row["id"]: row["tier"] for row in json.loads(JUNE["requirements.json"])["requirements"]}
    assert (rows["CPL-01"], rows["CB-01"], rows["CORS-01"]) == ("tier-1", "tier-2", None)
    assert '<a id="CPL-01">' in JUNE["tiers/tier-1.md"]
    assert "In no tier of this cut: [`cors-static`](profiles/cors-static.md)." in JUNE["README.md"]
    assert "In no tier of this cut" not in FILES["README.md"]
    assert "In no tier of this cut; 9 MUST" in JUNE["profiles/cors-static.md"]


def test_limits_without_an_upper_end_are_null() -> None:
    limits = json.loads(FILES["limits.json"])["limits"]
    assert limits["signed_chunk_bytes"]["most"] is None
    assert (limits["key_bytes"]["least"], limits["key_bytes"]["most"]) == (1, 1024)
    assert set(limits) == set(catalogue.limits())


def test_the_non_guarantees_are_a_page_and_data() -> None:
    rows = json.loads(FILES["non-guarantees.json"])["non_guarantees"]
    assert [row["id"] for row in rows] == [row.id for row in catalogue.non_guarantees()]
    assert FILES["non-guarantees.md"].count('<a id="N') == len(rows)


def test_the_same_catalogue_gives_the_same_bytes() -> None:
    assert render(Publication()) == FILES
    assert list(FILES) == sorted(FILES)
    assert [path for path, text in FILES.items() if not text.endswith("\n") or "\r" in text] == []


def test_elements_and_stars_in_prose_are_not_taken_for_markup() -> None:
    assert pages.prose("<Code> of x-* and `<a|b>`") == "\\<Code> of x-\\* and `<a|b>`"
    assert pages._in_cell("a | `b|c`") == "a \\| `b\\|c`"
    assert doctest.testmod(pages).failed == 0


def test_files_are_written_below_a_directory_and_others_stay(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "spec"
    writing.write({"a.md": "old\n"}, target)
    target.joinpath("mine.txt").write_text("kept")
    writing.write({"a.md": "ü\n", "b/c.json": "{}\n"}, target)
    found = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert found == {"a.md": "ü\n".encode(), "b/c.json": b"{}\n", "mine.txt": b"kept"}


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("spec").write_text("mine")
    with pytest.raises(NotADirectoryError, match="spec is a file"):
        writing.write({"a.md": "x\n"}, tmp_path / "spec")
    assert tmp_path.joinpath("spec").read_text() == "mine"


def test_a_file_that_can_not_be_placed_leaves_nothing_half_written(tmp_path: Path) -> None:
    tmp_path.joinpath("a.md").mkdir()
    with pytest.raises(OSError, match="a.md"):
        writing.write({"a.md": "x\n"}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"]
