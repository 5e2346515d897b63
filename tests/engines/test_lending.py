"""Workers of a test run share an engine; it ends when the last of them does, and not before."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines import postgresql
from tests.engines.daemon import EngineFailed, wait_until
from tests.engines.fixtures import need
from tests.engines.lending import borrowed
from tests.engines.postgresql import Database
from tests.engines.processes import processes_of

ROOT = Path(__file__).parents[2]
BORROWER = """
import sys, time
from pathlib import Path
from tests.engines.lending import borrowed
with borrowed("postgresql", Path(sys.argv[1])) as dsn:
    print(dsn, flush=True)
    time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def _installed() -> None:
    need(postgresql.missing())


def test_an_engine_outlives_a_borrower_that_was_killed_and_ends_with_the_last(tmp_path: Path) -> None:
    borrower = [sys.executable, "-c", BORROWER, str(tmp_path)]
    with subprocess.Popen(borrower, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        dsn = first.stdout.readline().strip()
        with borrowed("postgresql", tmp_path) as same:
            assert same == dsn
            first.send_signal(signal.SIGKILL)
            first.wait()
            assert Database(same).psql("SELECT 1") == "1"
    wait_until(lambda: processes_of(tmp_path) == [], "ended")
    with borrowed("postgresql", tmp_path) as another:
        assert Database(another).psql("SELECT 1") == "1"
    wait_until(lambda: processes_of(tmp_path) == [], "ended")


def test_an_engine_that_does_not_start_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"(?s)unheard could not be started.*KeyError: 'unheard'"):
        with borrowed("unheard", tmp_path):
            pass
