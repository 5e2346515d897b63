"""What the documentation says of the proofs is what their last full runs have counted."""

from __future__ import annotations

import json

import pytest

from tests.torture import records
from tests.torture.__main__ import PROOFS

RUNS = [(page, proof) for page, proofs in records.PAGES.items() for proof in proofs]


@pytest.mark.parametrize("page", records.PAGES)
def test_the_table_of_proofs_is_that_of_the_recorded_runs(page: str) -> None:
    assert records.table(page) in (records.ROOT / "docs" / f"{page}.md").read_text()


@pytest.mark.parametrize(("page", "proof"), RUNS)
def test_each_proof_has_found_bugs_that_were_planted(page: str, proof: str) -> None:
    run = json.loads((records.FOLDER / f"{proof}.json").read_text())
    assert proof in PROOFS
    assert run["numbers"].get("violations", 0) == 0
    assert len(run["planted_bugs_found"]) >= 3 or proof == "soak"


def test_every_proof_is_on_a_page() -> None:
    assert {proof for _, proof in RUNS} == set(PROOFS)
