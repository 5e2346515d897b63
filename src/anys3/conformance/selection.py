"""Which checks a run is asked for: tiers, profiles, operations, requirement ids and globs."""

from __future__ import annotations

import difflib
import fnmatch
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from anys3.conformance.outcomes import Outcome
from anys3.conformance.registry import Check, checks
from anys3.spec import catalogue
from anys3.spec.catalogue import Requirement, Tier


class UnknownSelector(ValueError):
    """A selector that names nothing; the message suggests what was meant."""


@cache
def unobservable() -> Mapping[str, str]:
    """Return the requirements that can't be observed from outside, each with the reason.

    Raises ValueError: an id is unknown, or stands in two files.
    """
    found: dict[str, str] = {}
    known = {row.id for row in catalogue.requirements()}
    for path in sorted(Path(__file__).with_name("unobservable").glob("*.toml")):
        for id, row in tomllib.loads(path.read_text("utf-8")).items():
            if id not in known or id in found or set(row) != {"reason"}:
                raise ValueError(f"{path.name}: {id} is unknown, there twice, or has more than a reason")
            found[id] = row["reason"]
    return found


def tier_of(name: str, tiers: Mapping[str, Tier]) -> Tier:
    """Return a tier by its name, `tier-2`, or by its number. Raises UnknownSelector."""
    found = tiers.get(name) or tiers.get(f"tier-{name}")
    if found is None:
        raise UnknownSelector(f"no tier {name!r}: expected one of {', '.join(tiers)}")
    return found


def requirements_of(tier: Tier) -> list[Requirement]:
    """Return the requirements of a tier that can be observed."""
    return [
        row
        for row in catalogue.requirements()
        if row.profile in tier.profiles and row.level != "MAY" and row.id not in unobservable()
    ]


def judged_of(tier: Tier, outcomes: Mapping[str, Outcome]) -> list[Requirement]:
    """Return the requirements that a tier's verdict is over.

    An optional profile that the endpoint does not offer, so that its checks were skipped, is no part of it.
    """
    return [
        row
        for row in requirements_of(tier)
        if outcomes.get(row.id) is not Outcome.SKIP or not catalogue.profiles()[row.profile].is_optional
    ]


def ids_of(tier: Tier) -> set[str]:
    """Return the ids of all requirements of a tier."""
    return {row.id for row in catalogue.requirements() if row.profile in tier.profiles}


def select(
    selectors: Sequence[str], tier: Tier, tiers: Mapping[str, Tier], *, quick: bool = False
) -> list[Check]:
    """Return the checks that any of the selectors names; without selectors those of the tier.

    `quick` keeps one of each operation. Raises UnknownSelector.
    """
    wanted: dict[str, Check] = {}
    if selectors:
        for selector in selectors:
            wanted |= {check.name: check for check in _named(selector, tiers)}
    else:
        wanted = {check.name: check for check in _of_tier(tier)}
    return [check for name, check in checks().items() if name in wanted and (check.is_quick or not quick)]


def _named(selector: str, tiers: Mapping[str, Tier]) -> list[Check]:
    every = list(checks().values())
    if selector in tiers:
        return _of_tier(tiers[selector])
    if selector in catalogue.profiles():
        return [check for check in every if selector in check.profiles]
    if selector in catalogue.operations():
        return [check for check in every if check.operation == selector]
    pattern = selector.casefold()
    found = [check for check in every if _matches(pattern, (check.name, *check.ids, check.operation))]
    if found:
        return found
    if reason := unobservable().get(selector.upper()):
        raise UnknownSelector(f"{selector}: no check can observe it from outside: {reason}")
    raise UnknownSelector(f"nothing is called {selector!r}.{_suggestion(selector, tiers)}")


def _matches(pattern: str, names: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.casefold(), pattern) for name in names)


def _of_tier(tier: Tier) -> list[Check]:
    """Return the checks of a tier: those that need no profile beyond it."""
    return [check for check in checks().values() if check.profiles <= set(tier.profiles)]


def _suggestion(selector: str, tiers: Mapping[str, Tier]) -> str:
    names = [
        *tiers,
        *catalogue.profiles(),
        *catalogue.operations(),
        *(row.id for row in catalogue.requirements()),
    ]
    folded = {name.casefold(): name for name in names}
    near = [folded[name] for name in difflib.get_close_matches(selector.casefold(), folded, 3, 0.5)]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"{hint} A selector is a tier, a profile, an operation, an id (PUT-03) or a glob ('LIST-*')."
