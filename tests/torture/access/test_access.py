"""The short form: a part of the routes with every way, narrow keys, sockets, and every planted bug found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.torture.access import planted, product, rights, sockets, table


@pytest.mark.requirement(
    "AUTH-04", "AUTH-05", "AUTH-07", "AUTH-08", "AUTH-09", "AUTH-12", "AUTH-13", "PRE-07"
)
@pytest.mark.known_mistake(1, 2, 3, 4, 8, 9, 15, 34)
def test_no_route_takes_a_broken_proof_of_who_one_is() -> None:
    """CVE-2025-31489, CVE-2026-41145, CVE-2026-40344 (MinIO), CVE-2026-71191 (Swift), GHSA-75fx (RustFS)."""
    tally = product.broken(12).tally
    assert tally.violations == []
    assert tally.refusals == tally.combinations > 5_000


@pytest.mark.requirement("AUTH-01", "PRE-01", "POST-04")
def test_every_operation_takes_every_right_way_and_is_proven_once() -> None:
    tally = product.right().tally
    assert tally.violations == []
    assert tally.combinations == len(table.operations()) * len(table.RIGHT)


@pytest.mark.requirement("AUTH-17", "COPY-12", "UPC-01", "DELS-07")
@pytest.mark.known_mistake(19, 20, 24, 25, 26, 28)
def test_a_narrow_key_does_what_was_granted_by_every_way_and_changes_nothing_else() -> None:
    """CVE-2026-39360 (RustFS), CVE-2026-55874, 9793 (SeaweedFS), CVE-2025-62506 (MinIO): rights of others."""
    tally = rights.narrow().tally
    assert tally.violations == []
    assert tally.refusals > 700


@pytest.mark.known_mistake(3)
def test_the_workers_behind_the_sockets_refuse_the_same(tmp_path: Path) -> None:
    tally = sockets.broken(tmp_path, workers=2, every=9)
    assert tally.violations == []
    assert tally.combinations > 200


def find() -> list[str]:
    """Return what a look at a few operations, or at the narrow keys, finds."""
    return product.broken(1, product.A_FEW).tally.violations or rights.narrow().tally.violations


@pytest.mark.parametrize("bug", planted.BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_door_is_found(bug: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch.setattr)
    assert find() != []
