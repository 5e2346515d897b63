"""How a refusal names the requirements of what is not offered."""

from __future__ import annotations

import pytest

from anys3.spec.catalogue import requirements_of


@pytest.mark.parametrize(
    ("profile", "group", "expected"),
    [
        ("tag", "", "TAG-01 to TAG-08"),
        ("tag", "PutObjectTagging", "TAG-01 to TAG-08"),
        ("multipart", "UploadPart", "UP-01 to UP-10"),
        ("presign", "", "PRE-01 to PRE-13, OVR-01 to OVR-02"),
        ("core", "GetBucketLocation", "LOC-01"),
    ],
)
def test_the_requirements_of_a_profile_are_named_by_their_ids(
    profile: str, group: str, expected: str
) -> None:
    assert requirements_of(profile, group) == expected
