"""The cut of the profiles into tiers that --tiers names."""

from __future__ import annotations

from collections.abc import Mapping

from anys3.server.refusals import Exit, Refusal
from anys3.spec import catalogue, cuts
from anys3.spec.catalogue import Tier


def tiers_of(name_or_path: str | None) -> Mapping[str, Tier]:
    """Return the tiers of a cut, those of the spec for None. Raises Refusal."""
    if name_or_path is None:
        return catalogue.tiers()
    try:
        return cuts.tiers_of(name_or_path)
    except ValueError as error:
        raise Refusal(Exit.USAGE, f"--tiers: {error}") from None
