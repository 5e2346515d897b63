"""The JSON files: requirements, limits and non-guarantees, for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from anys3.spec import catalogue
from anys3.spec.catalogue import Operation, Profile, Requirement, Tier
from anys3.spec.exporting.publication import (
    EVIDENCE,
    Publication,
    evidence_in_words,
    operations_of,
    requirements_of,
)

FORMAT = 1
"""Raised when a program that reads these files would have to change."""


def as_text(value: object) -> str:
    """Return a value as the text of a JSON file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def requirements(publication: Publication) -> str:
    """Return requirements.json: all requirements, with the profiles and tiers that they form."""
    return as_text(
        {
            "format": FORMAT,
            "evidence": EVIDENCE,
            "tiers": [tier_as_json(publication, tier) for tier in publication.tiers.values()],
            "profiles": [profile_as_json(publication, row) for row in catalogue.profiles().values()],
            "requirements": [requirement_as_json(publication, row) for row in catalogue.requirements()],
        }
    )


def requirement_as_json(publication: Publication, row: Requirement) -> dict[str, Any]:
    """Return one requirement with all that is known of it; `why` and `breaks` are null until written."""
    tier = publication.tier_of(row.profile)
    reason = catalogue.reason(row.id)
    return {
        "id": row.id,
        "level": row.level,
        "tier": tier.name if tier else None,
        "profile": row.profile,
        "group": row.group,
        "statement": row.statement,
        "expected": None if row.expected == "-" else row.expected,
        "evidence": list(row.evidence),
        "evidence_in_words": evidence_in_words(row),
        "why": reason.why if reason else None,
        "breaks": reason.breaks if reason else None,
        "checks": list(publication.checks.get(row.id, ())),
        "page": f"profiles/{row.profile}.md#{row.id}",
    }


def profile_as_json(publication: Publication, row: Profile) -> dict[str, Any]:
    """Return one profile with the names of its operations and requirements."""
    tier = publication.tier_of(row.name)
    return asdict(row) | {
        "tier": tier.name if tier else None,
        "operations": [operation.name for operation in operations_of(row.name)],
        "requirements": [one.id for one in requirements_of(row.name)],
    }


def tier_as_json(publication: Publication, tier: Tier) -> dict[str, Any]:
    """Return one tier: all its profiles, and those that no included tier has."""
    return {
        "name": tier.name,
        "title": tier.title,
        "includes": list(tier.includes),
        "profiles": list(tier.profiles),
        "own_profiles": list(publication.own_profiles(tier)),
    }


def operation_as_json(operation: Operation) -> dict[str, Any]:
    """Return one operation: what selects it, and its members with their places."""
    return {
        "name": operation.name,
        "title": operation.title,
        "profile": operation.profile or None,
        "annex": operation.annex or None,
        "method": operation.method,
        "resource": operation.resource,
        "selectors": list(operation.selectors),
        "status": operation.status,
        "input": [
            {"name": one.name, "in": one.where, "wire": one.wire, "profile": one.profile or None}
            for one in operation.input
        ],
        "output": [{"name": one.name, "in": one.where, "wire": one.wire} for one in operation.output],
    }


def limits() -> str:
    """Return limits.json; `most` is null where there is no upper limit."""
    rows = {
        row.name: {"least": row.least, "most": row.most or None, "counts": row.counts}
        for row in catalogue.limits().values()
    }
    return as_text({"format": FORMAT, "limits": rows})


def non_guarantees() -> str:
    """Return non-guarantees.json: what portable software must not rely on."""
    rows = [asdict(row) for row in catalogue.non_guarantees()]
    return as_text({"format": FORMAT, "non_guarantees": rows})
