"""`anys3 doctor` of a store whose engines are elsewhere: what is asked for by flags and by the environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anys3 import cli
from anys3.server.locations import taken
from anys3.store import embedded
from anys3.store.opening import Location
from tests.engines.postgresql import Database

USAGE, UNHEALTHY = 2, 13


def found(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the level of each finding that was printed as JSON."""
    return {one["id"]: one["level"] for one in json.loads(capsys.readouterr().out)["findings"]}


def test_index_and_blobs_are_looked_at(
    postgresql: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blobs = f"file:{tmp_path / 'blobs'}"
    code = cli.main(["doctor", "--json", "--index", postgresql.new_database(), "--blobs", blobs])
    levels = found(capsys)
    assert (code, levels["index"], levels["index-fsync"], levels["blobs"]) == (
        UNHEALTHY,
        "ok",
        "problem",
        "note",
    )


def test_the_environment_names_what_the_servers_have(
    postgresql: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYS3_INDEX", postgresql.new_database())
    monkeypatch.setenv("ANYS3_BLOBS", f"file:{tmp_path / 'blobs'}")
    cli.main(["doctor", "--json"])
    assert {"index", "blobs"} <= found(capsys).keys()


def test_what_is_named_is_looked_at_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYS3_INDEX", "postgresql://nobody@127.0.0.1:1/nothing")
    cli.main(["doctor", "--json", "--blobs", f"file:{tmp_path / 'blobs'}"])
    assert {id.partition("-")[0] for id in found(capsys)} == {"blobs"}


def test_a_directory_with_its_blobs_elsewhere_is_looked_at_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embedded.recover(tmp_path / "store")
    cli.main(["doctor", "--json", str(tmp_path / "store"), "--blobs", f"file:{tmp_path / 'blobs'}"])
    assert {"format", "blobs"} <= found(capsys).keys()


def test_a_directory_says_where_its_blobs_lie(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blobs = f"file:{tmp_path / 'blobs'}"
    with taken(Location(tmp_path / "store", blobs=blobs), None):
        pass
    cli.main(["doctor", "--json", str(tmp_path / "store")])
    assert found(capsys)["blobs"] == "note"


def test_no_password_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://someone:hunter2-hunter2@127.0.0.1:1/none?password=hunter2-hunter2"
    assert cli.main(["doctor", "--index", url]) == UNHEALTHY
    shown = capsys.readouterr()
    assert "hunter2" not in shown.out + shown.err


def test_an_engine_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", "--index", "mysql://somewhere/there"])
    assert ended.value.code == USAGE
    assert "postgresql://" in capsys.readouterr().err
