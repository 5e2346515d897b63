"""The sub-resources that checks ask for are those of the catalogue."""

from __future__ import annotations

from anys3.conformance.checks.silence import BUCKET_SUBRESOURCES, OBJECT_SUBRESOURCES, UNASKED
from anys3.spec import catalogue


def test_every_subresource_is_asked_for_or_left_out_for_a_reason() -> None:
    asked = {
        name
        for table in (OBJECT_SUBRESOURCES, BUCKET_SUBRESOURCES)
        for names in table.values()
        for name in names
    }
    known = {row.name for row in catalogue.query_names().values() if row.is_subresource}
    assert asked | UNASKED.keys() == known
    assert asked & UNASKED.keys() == set()
