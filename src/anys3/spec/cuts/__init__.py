"""Other cuts of the same profiles into tiers: those that come with anys3, and those of a file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from anys3.spec.catalogue import Tier, read_tiers

_HERE = Path(__file__).parent


@cache
def names() -> tuple[str, ...]:
    """Return the names of the cuts that come with anys3: `rfc-june` for rfc-june.toml."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.toml")))


def tiers_of(name_or_path: str) -> Mapping[str, Tier]:
    """Return the tiers of a cut that comes with anys3, or else of a file in the form of tiers.toml.

    Raises ValueError, naming the file: it is no such cut or file, can't be read, or is wrong.
    """
    if name_or_path in names():
        return read_tiers(_HERE / f"{name_or_path}.toml")
    try:
        return read_tiers(Path(name_or_path))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(
            f"{name_or_path}: {reason}; expected a file like tiers.toml, or one of {', '.join(names())}"
        ) from None
