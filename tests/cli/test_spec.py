"""`anys3 spec` as people and programs meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anys3.cli import main, spec_texts
from anys3.spec import catalogue
from anys3.spec.exporting import Publication
from tests.cli.conftest import CommandLine

NAMES = [*catalogue.tiers(), *catalogue.profiles(), *catalogue.operations()]


def test_a_requirement_is_explained_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "explain", "cpl-07"]) == 0
    text = capsys.readouterr().out
    row = catalogue.requirement("CPL-07")
    assert text.startswith("CPL-07  MUST  tier-2, profile multipart, CompleteMultipartUpload\n")
    assert " ".join(text.split()).count(" ".join(row.statement.split())) == 1
    assert f"expected    {row.expected}" in text
    assert "evidence    " in text


def test_several_requirements_are_a_list_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "explain", "PUT-03", "CB-01", "--tiers", "rfc-june", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["tier"], row["profile"]) for row in rows] == [
        ("PUT-03", "tier-1", "core"),
        ("CB-01", "tier-2", "bucket-admin"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "PUT-33"], "there is no requirement 'PUT-33': did you mean PUT-03"),
        (["explain", "zzz"], "there is no requirement 'zzz'; `anys3 spec show PROFILE`"),
        (["show", "teir-2"], "no tier, profile or operation 'teir-2': did you mean tier-2"),
        (["show", "getobject"], "'getobject': did you mean GetObject"),
        (["show", "put-03"], "'put-03' is a requirement: `anys3 spec explain PUT-03`"),
        (["show", "--tiers", "nowhere.toml"], "--tiers: nowhere.toml: No such file"),
    ],
)
def test_a_misspelt_name_is_refused_with_what_is_near(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["spec", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("name", NAMES)
def test_everything_with_a_name_is_shown_in_80_columns(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["spec", "show", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(name in line for line in lines)
    # A word that is longer than the room behind its id is not cut: it may have to be copied.
    assert [line for line in lines if len(line) > spec_texts.COLUMNS and " " in line[19:]] == []


def test_without_a_name_all_names_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "show"]) == 0
    words = set(capsys.readouterr().out.replace(",", " ").split())
    assert set(NAMES) - words == set()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tier-2", {"name": "tier-2", "own_profiles": ["multipart", "part-read"]}),
        ("tag", {"tier": "tier-3", "requirements": [f"TAG-0{number}" for number in range(1, 9)]}),
        ("UploadPart", {"method": "PUT", "selectors": ["partNumber", "uploadId"], "annex": None}),
    ],
)
def test_what_is_shown_can_be_had_as_json(
    capsys: pytest.CaptureFixture[str], name: str, expected: dict[str, object]
) -> None:
    assert main(["spec", "show", name, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {field: shown[field] for field in expected} == expected


def test_the_overview_as_json_names_every_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in shown["profiles"]] == list(catalogue.profiles())


def test_the_text_of_a_requirement_names_its_checks_and_what_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {"PUT-03": catalogue.Reason("PUT-03", "Markers are empty.", "Folders vanish.")}
    monkeypatch.setattr(catalogue, "reasons", lambda: reasons)
    publication = Publication(checks={"PUT-03": ("empty-object",)})
    lines = spec_texts.requirement(publication, catalogue.requirement("PUT-03")).splitlines()
    assert lines[5:7] == ["why         Markers are empty.", "without it  Folders vanish."]
    assert lines[-1] == "checks      empty-object"


def test_the_spec_is_exported_by_a_command(anys3_cli: CommandLine) -> None:
    done = anys3_cli.run("spec", "export", "out/spec", "--tiers", "rfc-june")
    assert (done.returncode, done.stdout) == (0, "")
    target = anys3_cli.directory / "out" / "spec"
    assert (
        done.stderr == f"wrote {len([one for one in target.rglob('*') if one.is_file()])} files to out/spec\n"
    )
    assert "multipart" in (target / "tiers" / "tier-1.md").read_text("utf-8")


def test_an_export_over_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "spec"
    target.write_text("mine")
    assert main(["spec", "export", str(target)]) == 2
    assert "is a file; expected a directory" in capsys.readouterr().err
    assert target.read_text() == "mine"


def test_an_export_that_can_not_be_written_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.joinpath("README.md").mkdir()
    assert main(["spec", "export", str(tmp_path)]) == 5
    assert "Is a directory" in capsys.readouterr().err
