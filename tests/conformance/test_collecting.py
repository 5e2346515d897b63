"""The plugin of pytest: one item a check, in somebody's own suite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.broken_servers import BreakableServer, accepting


def collected(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "pytest", "-p", "anys3.conformance", "-p", "no:cacheprovider", "-rA", "-q"),
        *(f"--rootdir={folder}", str(folder), *arguments),
    ]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def url(breakable: BreakableServer) -> str:
    return f"--anys3-endpoint={breakable.url}"


def test_each_check_is_an_item(
    breakable: BreakableServer, environment: dict[str, str], tmp_path: Path
) -> None:
    ended = collected(environment, tmp_path, url(breakable), "--anys3-select", "PUT-03")
    assert ended.returncode == 0, ended.stdout
    assert "PASSED anys3::PUT-03/zero-bytes" in ended.stdout


def test_a_failing_check_tells_what_breaks_without_a_traceback(
    breakable: BreakableServer, environment: dict[str, str], tmp_path: Path
) -> None:
    with accepting("NoSuchKey").enter(breakable):
        ended = collected(environment, tmp_path, url(breakable), "--anys3-select", "ERR-03")
    assert ended.returncode == 1
    assert "expected 404 NoSuchKey, got 200" in ended.stdout
    assert "without it:" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_missing_second_identity_is_a_skip(
    breakable: BreakableServer, environment: dict[str, str], tmp_path: Path
) -> None:
    ended = collected(environment, tmp_path, url(breakable), "--anys3-select", "HB-02")
    assert "--second-profile" in ended.stdout
    with_second = "--anys3-second-profile=second"
    ended = collected(environment, tmp_path, url(breakable), "--anys3-select", "HB-02", with_second)
    assert (ended.returncode, "SKIPPED" in ended.stdout) == (0, False), ended.stdout


def test_an_unknown_selector_is_a_usage_error(
    breakable: BreakableServer, environment: dict[str, str], tmp_path: Path
) -> None:
    ended = collected(environment, tmp_path, url(breakable), "--anys3-select", "PUT-3333")
    assert ended.returncode == 4
    assert "nothing is called" in ended.stderr


def test_without_an_endpoint_the_plugin_does_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    ended = collected(environment, tmp_path)
    assert ended.returncode == 0
    assert "PUT-03" not in ended.stdout


def test_nothing_is_left_in_the_journals(
    breakable: BreakableServer, environment: dict[str, str], tmp_path: Path
) -> None:
    collected(environment, tmp_path, url(breakable), "--anys3-select", "CopyObject")
    journals = Path(environment["HOME"]) / ".local/state/anys3/check"
    assert list(journals.iterdir()) == []
