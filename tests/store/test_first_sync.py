"""A new store is there after power loss: each directory on the way to its files is synced, too."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OPEN = "import sys; from anys3.store.embedded import open_store; open_store(sys.argv[1]).shut()"


@pytest.mark.requirement("CON-05")
@pytest.mark.known_mistake(52)
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_the_names_on_the_way_to_a_new_store_are_synced(tmp_path: Path) -> None:
    """rustfs#2550: what had been acknowledged was missing after a restart."""
    log, path = tmp_path / "calls", tmp_path / "grandparent" / "parent" / "data"
    path.parent.parent.mkdir()
    tracer = ["strace", "-f", "-y", "-e", "trace=fsync", "-o", str(log)]
    subprocess.run([*tracer, sys.executable, "-c", OPEN, str(path)], check=True, timeout=60)
    synced = set(re.findall(r"fsync\(\d+<([^>]+)>", log.read_text("utf-8", "replace")))
    directories = {
        str(one) for one in (path.parent.parent, path.parent, path, path / "index", path / "blobs")
    }
    assert directories - synced == set()
