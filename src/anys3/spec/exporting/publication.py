"""What is published beside the catalogue itself: a cut into tiers, and which checks prove what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anys3.spec import catalogue
from anys3.spec.catalogue import Operation, Requirement, Tier

EVIDENCE = {
    "R": "recorded from AWS S3",
    "A": "AWS documentation or the public S3 model",
    "W": "asserted by a public suite that passes on AWS",
    "V": "other servers' tests and error tables",
    "K": "asserted by a public S3 test suite, and not contradicted by AWS",
    "C": "measured on the wire from real clients",
    "P": "providers differ, and the requirement settles it",
    "U": "the text of the public RFC",
    "J": "judgement",
}
"""What the codes of a requirement's evidence mean, the surest first."""


@dataclass(frozen=True, slots=True)
class Publication:
    """The tiers of a cut, and the names of the checks by the id of the requirement that they prove."""

    tiers: Mapping[str, Tier] = field(default_factory=catalogue.tiers)
    checks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def tier_of(self, profile: str) -> Tier | None:
        """Return the first tier that holds the profile, or None: it is in no tier of this cut."""
        return next((tier for tier in self.tiers.values() if profile in tier.profiles), None)

    def own_profiles(self, tier: Tier) -> tuple[str, ...]:
        """Return the profiles of a tier that no tier it includes has."""
        inherited = {profile for name in tier.includes for profile in self.tiers[name].profiles}
        return tuple(profile for profile in tier.profiles if profile not in inherited)

    def profiles_in_no_tier(self) -> tuple[str, ...]:
        """Return the profiles that this cut leaves out, in the order of the catalogue."""
        return tuple(name for name in catalogue.profiles() if self.tier_of(name) is None)


def requirements_of(profile: str) -> tuple[Requirement, ...]:
    """Return the requirements of a profile, in the order of the catalogue."""
    return tuple(row for row in catalogue.requirements() if row.profile == profile)


def operations_of(profile: str) -> tuple[Operation, ...]:
    """Return the operations of a profile, in the order of their names."""
    return tuple(row for row in catalogue.operations().values() if row.profile == profile)


def evidence_in_words(requirement: Requirement) -> str:
    """Return how we know, in words: `recorded from AWS S3; judgement`."""
    return "; ".join(words for code, words in EVIDENCE.items() if code in requirement.evidence)


def expected_in_words(requirement: Requirement) -> str:
    """Return the expected answer, or that the statement says it all."""
    return "as the statement says" if requirement.expected == "-" else requirement.expected
