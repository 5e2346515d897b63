"""Reasons, non-guarantees and other cuts are read whole, and what is wrong in them is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from anys3.spec import catalogue, cuts


def test_every_reason_belongs_to_a_requirement_and_says_both_things() -> None:
    assert set(catalogue.reasons()) <= set(catalogue.issued_ids())
    assert [row.id for row in catalogue.reasons().values() if not (row.why and row.breaks)] == []
    assert catalogue.reason("NO-SUCH") is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.toml": "[PUT-99]\nwhy = 'x'\nbreaks = 'y'"}, "a.toml: PUT-99: there is no such requirement"),
        ({"a.toml": "[PUT-03]\nwhy = 'x'\nbreak = 'y'"}, "a.toml: PUT-03: unknown field"),
        ({"a.toml": "[PUT-03]\nwhy = 'x'"}, "a.toml: PUT-03: no field"),
        (
            {f"{name}.toml": "[PUT-03]\nwhy = 'x'\nbreaks = 'y'" for name in "ab"},
            "b.toml: PUT-03: another file has this id too",
        ),
    ],
)
def test_a_wrong_reason_is_an_error_that_names_file_and_id(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    for name, text in files.items():
        tmp_path.joinpath(name).write_text(text)
    with pytest.raises(ValueError, match=f"^{message}"):
        catalogue._read_reasons(tmp_path)


def test_reasons_of_several_files_are_one(tmp_path: Path) -> None:
    tmp_path.joinpath("a.toml").write_text("[PUT-03]\nwhy = 'x'\nbreaks = 'y'")
    tmp_path.joinpath("b.toml").write_text("[PUT-04]\nwhy = 'v'\nbreaks = 'w'")
    assert catalogue._read_reasons(tmp_path) == {
        "PUT-03": catalogue.Reason("PUT-03", "x", "y"),
        "PUT-04": catalogue.Reason("PUT-04", "v", "w"),
    }


def test_the_twenty_non_guarantees_are_sentences_with_an_alternative() -> None:
    rows = catalogue.non_guarantees()
    assert [row.id for row in rows] == [f"N{number}" for number in range(1, 21)]
    texts = [text for row in rows for text in (row.title, row.why, row.instead)]
    assert [text for text in texts if not text.endswith(".")] == []


def test_the_newer_cut_of_the_rfc_has_multipart_in_its_first_tier() -> None:
    tiers = cuts.tiers_of("rfc-june")
    assert tiers["tier-1"].profiles == ("core", "multipart", "range", "cond-read", "meta")
    assert "bucket-admin" in tiers["tier-2"].profiles
    assert set(catalogue.profiles()) - set(tiers["tier-3"].profiles) == {"cors-static"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no tier"),
        ("a = 1", "a: expected a table"),
        ("[a", "Expected"),
        ("[a]\ntitle='A'\nincludes=[]", "a: no field ..profiles"),
        ("[a]\ntitle='A'\nincludes=[]\nprofiles=[]\nx=1", "a: unknown field ..x"),
        ("[a]\ntitle='A'\nincludes=[]\nprofiles='core'", "a: profiles must be a list"),
        ("[a]\ntitle='A'\nincludes=[]\nprofiles=['cor']", "a: unknown profile ..cor"),
        ("[a]\ntitle='A'\nincludes=['b']\nprofiles=[]", "a: includes ..b"),
        ("[a]\ntitle='A'\nincludes=[]\nprofiles=['core', 'core']", "a: profile ..core.. is named twice"),
        (
            "[a]\ntitle='A'\nincludes=[]\nprofiles=['core']\n[b]\ntitle='B'\nincludes=['a']\nprofiles=['core']",
            "b: profile ..core.. is named twice",
        ),
    ],
)
def test_a_wrong_cut_is_an_error_that_names_file_and_tier(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^mine.toml: {message}"):
        cuts.tiers_of(str(path))


def test_a_tier_that_includes_two_others_has_the_profiles_of_both_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[a]\ntitle='A'\nincludes=[]\nprofiles=['core']\n"
        "[b]\ntitle='B'\nincludes=['a']\nprofiles=['tag']\n"
        "[c]\ntitle='C'\nincludes=['a', 'b']\nprofiles=['cond']\n"
    )
    assert cuts.tiers_of(str(path))["c"].profiles == ("core", "tag", "cond")


def test_a_cut_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="no-such-cut: No such file.*rfc-june"):
        cuts.tiers_of("no-such-cut")
