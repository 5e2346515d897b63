"""What the catalogue tolerates passes, and is reported."""

from __future__ import annotations

from pathlib import Path

from anys3.conformance.outcomes import Outcome
from anys3.conformance.registry import checks
from tests.breakages.keys import refusing
from tests.broken_servers import BreakableServer, judged


def test_a_server_that_refuses_dot_segments_passes_the_check_of_signed_paths(
    breakable: BreakableServer, tmp_path: Path
) -> None:
    """KEY-08 lets a server refuse such keys; AUTH-02 is about their signatures."""
    dots = refusing("dot segments are refused", "InvalidURI", lambda key: b"/./" in key or b"/../" in key)
    result = judged(breakable, checks()["AUTH-02/slashes-and-dots-in-keys"], tmp_path, dots)
    assert result.outcome is Outcome.PASS
    assert result.notes == ("keys with dot segments are refused, with 400 InvalidURI",)
