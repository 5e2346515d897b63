"""The checks by name, and what each says of itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from anys3.spec import catalogue

if TYPE_CHECKING:
    from anys3.conformance.probe import Probe

NEEDS = {
    "buckets": "the right to create buckets",
    "second": "a second identity (--second-profile)",
    "https": "an HTTPS endpoint",
    "vhost": "an endpoint with a host name, not an IP address",
    "whole-bucket": "a bucket of the run's own",
}
"""What a check can need of an endpoint or of the user, and how a skip says it."""

_CHECKS: dict[str, Check] = {}


@dataclass(frozen=True, slots=True)
class Check:
    """One check: a function that provokes and observes. Its docstring's first line says what should hold.

    `lock` names what it uses alone: checks of one lock run one after another. `is_anonymous` checks need no
    key. `is_quick` marks the one of its operation that `--quick` runs. `where` is a profile without which there is
    nothing to judge: an endpoint that does not offer it has nothing that could be wrong.
    """

    name: str
    ids: tuple[str, ...]
    operation: str
    title: str
    run: Callable[[Probe], None]
    needs: frozenset[str]
    lock: str
    is_anonymous: bool
    is_quick: bool
    where: str = ""

    @property
    def level(self) -> str:
        """MUST or SHOULD: that of the requirements that it cites, which all have the same."""
        return catalogue.requirement(self.ids[0]).level

    @property
    def profiles(self) -> frozenset[str]:
        """The profiles of all requirements that it cites."""
        return frozenset(catalogue.requirement(id).profile for id in self.ids)

    @property
    def profile(self) -> str:
        """The profile of the first requirement that it cites."""
        return catalogue.requirement(self.ids[0]).profile


def check(
    *ids: str,
    operation: str,
    needs: tuple[str, ...] = (),
    lock: str = "",
    anonymous: bool = False,
    quick: bool = False,
    where: str = "",
) -> Callable[[Callable[[Probe], None]], Callable[[Probe], None]]:
    """Make a function the check of those requirements.

    `operation` is the S3 operation that it is about, by its name in `spec/operations`. Raises ValueError: an
    id, need or operation is unknown, levels differ, or the docstring is missing.
    """

    def register(function: Callable[[Probe], None]) -> Callable[[Probe], None]:
        name = f"{ids[0]}/{function.__name__.replace('_', '-')}"
        title = (function.__doc__ or "").strip().split("\n")[0]
        if not title:
            raise ValueError(f"{name}: no docstring; it says what should hold")
        if name in _CHECKS:
            raise ValueError(f"{name}: two checks of that name")
        if len({catalogue.requirement(id).level for id in ids}) != 1:
            raise ValueError(f"{name}: {ids!r} are of several levels")
        if unknown := set(needs) - NEEDS.keys():
            raise ValueError(f"{name}: unknown needs {sorted(unknown)!r}")
        if operation not in catalogue.operations():
            raise ValueError(f"{name}: unknown operation {operation!r}")
        if where and where not in catalogue.profiles():
            raise ValueError(f"{name}: unknown profile {where!r}")
        _CHECKS[name] = Check(
            name, ids, operation, title, function, frozenset(needs), lock, anonymous, quick, where
        )
        return function

    return register


@cache
def checks() -> Mapping[str, Check]:
    """Return all checks by name, in the order of the catalogue."""
    package = importlib.import_module("anys3.conformance.checks")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"anys3.conformance.checks.{module.name}")
    order = {row.id: number for number, row in enumerate(catalogue.requirements())}
    return {one.name: one for one in sorted(_CHECKS.values(), key=lambda one: (order[one.ids[0]], one.name))}


@cache
def proofs() -> Mapping[str, tuple[str, ...]]:
    """Return the names of the checks that prove each requirement."""
    found: dict[str, list[str]] = {}
    for one in checks().values():
        for id in one.ids:
            found.setdefault(id, []).append(one.name)
    return {id: tuple(names) for id, names in found.items()}
