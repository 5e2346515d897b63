"""The journal: written before anything is made, and enough to take it away again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anys3.conformance.journal import Journal, NotOurs, left_behind


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.begun(tmp_path / "r123.jsonl", "r123", "https://s3.example.com", None, "")
    yield opened
    opened.close(is_clean=False)


def test_what_is_about_to_be_made_is_on_disk_at_once(journal: Journal) -> None:
    journal.will_create_bucket("a3-r123")
    journal.will_create_object("a3-r123", "käy")
    journal.will_create_upload("a3-r123", "big")
    rows = [json.loads(line) for line in journal.path.read_text("utf-8").splitlines()]
    assert rows[1:] == [
        {"bucket": "a3-r123"},
        {"bucket": "a3-r123", "key": "käy"},
        {"bucket": "a3-r123", "upload": "big"},
    ]


def test_a_name_without_the_run_id_is_refused(journal: Journal) -> None:
    for make in (
        lambda: journal.will_create_bucket("photos"),
        lambda: journal.will_create_object("photos", "holiday.jpg"),
        lambda: journal.will_create_upload("photos", "holiday.jpg"),
    ):
        with pytest.raises(NotOurs):
            make()
    assert len(journal.path.read_text("utf-8").splitlines()) == 1


def test_a_key_that_carries_the_run_id_may_stand_in_a_given_bucket(journal: Journal) -> None:
    journal.will_create_object("photos", "tmp/r123/object")
    assert list(journal.made.objects) == [("photos", "tmp/r123/object")]


def test_a_clean_end_leaves_no_file(journal: Journal, tmp_path: Path) -> None:
    journal.close(is_clean=True)
    assert list(tmp_path.iterdir()) == []


def test_two_runs_never_share_a_journal(journal: Journal) -> None:
    with pytest.raises(FileExistsError):
        Journal.begun(journal.path, "r123", "https://s3.example.com", None, "")


def test_what_an_earlier_run_left_is_read_back(journal: Journal, tmp_path: Path) -> None:
    journal.will_create_bucket("a3-r123")
    journal.will_create_upload("a3-r123", "big")
    journal.created_upload("a3-r123", "big", "id-1")
    journal.close(is_clean=False)
    (left,) = left_behind(tmp_path)
    assert (left.run_id, left.endpoint) == ("r123", "https://s3.example.com")
    assert list(left.made.buckets) == ["a3-r123"]
    assert left.made.uploads == {("a3-r123", "big"): {"id-1"}}


def test_a_last_line_cut_by_a_kill_is_left_out(journal: Journal, tmp_path: Path) -> None:
    journal.will_create_bucket("a3-r123")
    journal.close(is_clean=False)
    with journal.path.open("a") as file:
        file.write('{"bucket": "a3-r1')
    (left,) = left_behind(tmp_path)
    assert list(left.made.buckets) == ["a3-r123"]


def test_the_journal_of_a_live_run_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from anys3.conformance.journal import Journal;"
        f"j = Journal.begun(Path({str(tmp_path)!r}) / 'r9.jsonl', 'r9', 'https://x', None, '');"
        "print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert list(left_behind(tmp_path)) == []
        process.communicate(timeout=30)
    assert [left.run_id for left in left_behind(tmp_path)] == ["r9"]
