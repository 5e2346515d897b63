"""A daemon ends with the process that started it, and takes all along that it has started."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.daemon import Daemon, EngineFailed, wait_until
from tests.engines.processes import processes_of

ROOT = Path(__file__).parents[2]
# A daemon, a child of it, and one that has left its session and its parent.
FAMILY = "setsid sh -c 'sleep 1000 & sleep 1000' & sleep 1000 & echo ready; wait"
STARTER = f"""
import sys, time
from pathlib import Path
from tests.engines.daemon import Daemon
Daemon(["sh", "-c", {FAMILY!r}], Path(sys.argv[1])).start()
time.sleep(1000)
"""


def test_a_killed_daemon_leaves_nothing(tmp_path: Path) -> None:
    daemon = Daemon(["sh", "-c", FAMILY], tmp_path / "log")
    daemon.start()
    daemon.wait(lambda: len(_sleepers(tmp_path)) == 3, "running")
    daemon.kill()
    assert processes_of(tmp_path) == []
    assert not daemon.is_running


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_starter_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path / "log")], cwd=ROOT) as starter:
        wait_until(lambda: len(_sleepers(tmp_path)) == 3, "running")
        starter.send_signal(number)
    wait_until(lambda: processes_of(tmp_path) == [], "gone")


def test_a_daemon_gets_signals_and_starts_again(tmp_path: Path) -> None:
    daemon = Daemon(
        ["sh", "-c", "trap 'echo saved; exit 3' TERM; echo up; while :; do sleep 0.05; done"],
        tmp_path / "log",
    )
    for count in (1, 2):
        daemon.start()
        daemon.wait(lambda count=count: daemon.log.read_text().count("up") == count, "up")
        daemon.stop()
    assert daemon.log.read_text().split() == ["up", "saved", "up", "saved"]


def test_a_daemon_that_ends_too_early_is_an_error_with_its_log(tmp_path: Path) -> None:
    daemon = Daemon(["sh", "-c", "echo no such pool; exit 1"], tmp_path / "log")
    daemon.start()
    with pytest.raises(EngineFailed, match=r"has ended before it was up\nno such pool"):
        daemon.wait(lambda: False, "up")
    daemon.kill()


def _sleepers(directory: Path) -> list[str]:
    return [command for command in processes_of(directory) if command.startswith("sleep")]
