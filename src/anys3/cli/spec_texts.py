"""The spec as text for a terminal of 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable
from typing import Any

from anys3.cli import output
from anys3.spec import catalogue
from anys3.spec.catalogue import Input, Operation, Output, Profile, Requirement, Tier
from anys3.spec.exporting import data
from anys3.spec.exporting.pages import request_line
from anys3.spec.exporting.publication import (
    Publication,
    evidence_in_words,
    expected_in_words,
    operations_of,
    requirements_of,
)

COLUMNS = 80


def overview(publication: Publication) -> str:
    """Return the tiers, the profiles, and the operations by profile."""
    tiers = [
        [tier.name, tier.title, _levels(_rows(tier.profiles)), ", ".join(publication.own_profiles(tier))]
        for tier in publication.tiers.values()
    ]
    profiles = [
        [row.name, _tier_name(publication, row.name), _levels(requirements_of(row.name)), row.title]
        for row in catalogue.profiles().values()
    ]
    return "\n\n".join(
        [
            _columns(["TIER", "TITLE", "REQUIREMENTS", "ITS OWN PROFILES"], tiers),
            _columns(["PROFILE", "TIER", "REQUIREMENTS", "TITLE"], profiles),
            _wrapped("Operations: ", ", ".join(catalogue.operations())),
            _wrapped("", "`anys3 spec show NAME` tells about one of them, `anys3 spec explain ID` "
                     "about a requirement."),
        ]
    )  # fmt: skip


def overview_as_json(publication: Publication) -> dict[str, Any]:
    """Return the same for machines."""
    return {
        "tiers": [data.tier_as_json(publication, tier) for tier in publication.tiers.values()],
        "profiles": [data.profile_as_json(publication, row) for row in catalogue.profiles().values()],
        "operations": list(catalogue.operations()),
    }


def tier(publication: Publication, tier: Tier) -> str:
    """Return what a tier asks for: its profiles, and the requirements of those that are its own."""
    own = publication.own_profiles(tier)
    inherited = [name for name in tier.profiles if name not in own]
    head = [f"{tier.name}: {tier.title}. {_levels(_rows(tier.profiles))}, lower tiers included."]
    if inherited:
        head.append(_wrapped(f"It includes {', '.join(tier.includes)}: ", ", ".join(inherited)))
    return "\n\n".join([*head, *(_with_requirements(catalogue.profiles()[name]) for name in own)])


def profile(publication: Publication, profile: Profile) -> str:
    """Return what a profile asks for."""
    optional = " Optional within its tier." if profile.is_optional else ""
    about = f"{profile.description} Needed by: {profile.needed_by}.{optional}"
    where = f"Tier: {_tier_name(publication, profile.name)}. {_levels(requirements_of(profile.name))}."
    parts = [_wrapped("", about), where]
    if operations := operations_of(profile.name):
        parts.append(
            _columns(["OPERATION", "REQUEST"], [[row.name, request_line(row)] for row in operations])
        )
    return "\n\n".join([*parts, _with_requirements(profile)])


def operation(publication: Publication, operation: Operation) -> str:
    """Return what an operation is, its members, and the requirements of its name."""
    owner = f"profile {operation.profile}" if operation.profile else f"annex {operation.annex}, in no profile"
    tier_name = f", {_tier_name(publication, operation.profile)}" if operation.profile else ""
    parts = [
        f"{operation.name} ({owner}{tier_name})",
        _wrapped("", operation.title),
        f"{request_line(operation)}\nanswers {operation.status}",
    ]
    if operation.input:
        rows = [[one.name, _written(one), _owner(one)] for one in operation.input]
        parts.append(_columns(["INPUT", "HEADER OR ?QUERY", "PROFILE"], rows))
    if operation.output:
        rows = [[one.name, _written(one)] for one in operation.output]
        parts.append(_columns(["OUTPUT", "HEADER OR <ELEMENT>"], rows))
    parts.append(_listed(requirements_naming(operation)))
    return "\n\n".join(part for part in parts if part)


def requirements_naming(operation: Operation) -> list[Requirement]:
    """Return the requirements of an operation's group, else those that name it, else its profile's."""
    grouped = [row for row in catalogue.requirements() if row.group == operation.name]
    name = re.compile(rf"\b{operation.name}\b")
    named = [row for row in catalogue.requirements() if name.search(row.statement)]
    return grouped or named or [row for row in catalogue.requirements() if row.profile == operation.profile]


def requirement(publication: Publication, row: Requirement) -> str:
    """Return everything that is known of a requirement."""
    reason = catalogue.reason(row.id)
    facts = [
        ("expected", expected_in_words(row)),
        ("why", reason.why if reason else ""),
        ("without it", reason.breaks if reason else ""),
        ("evidence", evidence_in_words(row)),
        ("checks", ", ".join(publication.checks.get(row.id, ())) or "none yet"),
    ]
    head = (
        f"{row.id}  {row.level}  {_tier_name(publication, row.profile)}, profile {row.profile}, {row.group}"
    )
    lines = [_wrapped(f"{name:<12}", text) for name, text in facts if text]
    return "\n".join([_wrapped("", head), "", _wrapped("", row.statement), "", *lines])


def _with_requirements(profile: Profile) -> str:
    return f"{profile.title} ({profile.name})\n{_listed(requirements_of(profile.name))}"


def _listed(rows: Iterable[Requirement]) -> str:
    return "\n".join(_wrapped(f"  {row.id:<9}{row.level:<8}", row.statement) for row in rows)


def _rows(profiles: Iterable[str]) -> list[Requirement]:
    return [row for name in profiles for row in requirements_of(name)]


def _levels(rows: Iterable[Requirement]) -> str:
    found = Counter(row.level for row in rows)
    return ", ".join(f"{found[level]} {level}" for level in ("MUST", "SHOULD", "MAY") if found[level])


def _tier_name(publication: Publication, profile: str) -> str:
    found = publication.tier_of(profile)
    return found.name if found else "no tier"


def _written(member: Input | Output) -> str:
    """Return a member's name as it stands in a message: `if-match`, `?uploadId`, `<Contents>`."""
    forms = {"query": "?{}", "prefix-headers": "{}*", "xml": "<{}>", "body": "the body"}
    return forms.get(member.where, "{}").format(member.wire)


def _owner(member: Input) -> str:
    return member.profile or f"annex {member.annex}"


def _wrapped(head: str, text: str) -> str:
    """Return a text of at most 80 columns behind a head; further lines stand below the text."""
    return textwrap.fill(
        text,
        COLUMNS,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _columns(head: list[str], rows: list[list[str]]) -> str:
    """Return a table whose last column is wrapped where it would pass 80 columns."""
    widths = [max(len(line[column]) for line in [head, *rows]) + 2 for column in range(len(head) - 1)]
    room = COLUMNS - sum(widths)
    lines = []
    for row in rows:
        first, *more = textwrap.wrap(row[-1], room, break_long_words=False, break_on_hyphens=False) or [""]
        lines.append([*row[:-1], first])
        lines += [[*([""] * len(widths)), piece] for piece in more]
    return output.table(head, lines)
