"""The catalogue is complete, consistent, and says what the public S3 model says."""

from __future__ import annotations

import gzip
import json
import tomllib
from pathlib import Path
from typing import Any

import botocore
import pytest

from anys3.spec import catalogue, rows
from anys3.spec.errors import ERRORS, S3Error

SPEC = Path(catalogue.__file__).parent
MODEL: dict[str, Any] = json.loads(
    gzip.decompress(
        Path(botocore.__file__).parent.joinpath("data/s3/2006-03-01/service-2.json.gz").read_bytes()
    )
)
SHAPES = MODEL["shapes"]
MODELLED = [operation for operation in catalogue.operations().values() if operation.in_model]
WHERE = {"header": "header", "querystring": "query", "headers": "prefix-headers"}


def model_headers() -> set[str]:
    """Return the name of every request header of the public model, in lower case."""
    return {
        member["locationName"].lower()
        for operation in MODEL["operations"].values()
        for member in SHAPES[operation.get("input", {}).get("shape", "Owner")]["members"].values()
        if member.get("location") == "header"
    }


def model_query_names() -> set[str]:
    """Return every query name of the public model, sub-resources and parameters."""
    parameters = {
        member["locationName"]
        for operation in MODEL["operations"].values()
        for member in SHAPES[operation.get("input", {}).get("shape", "Owner")]["members"].values()
        if member.get("location") == "querystring"
    }
    in_uris = {
        name.partition("=")[0]
        for operation in MODEL["operations"].values()
        for name in operation["http"]["requestUri"].partition("?")[2].split("&")
    }
    return (parameters | in_uris) - {""}


def model_inputs(name: str) -> dict[str, tuple[str, str]]:
    """Return the members of an operation's input in the public model: place and name."""
    shape = MODEL["operations"][name].get("input", {}).get("shape", "Owner")
    return {
        member: (
            WHERE[row["location"]],
            row["locationName"].lower() if row["location"] != "querystring" else row["locationName"],
        )
        for member, row in SHAPES[shape]["members"].items()
        if row.get("location") in WHERE
    }


def model_outputs(shape: str) -> dict[str, str]:
    """Return the members of a shape of the public model with their names on the wire."""
    return {name: row.get("locationName", name) for name, row in SHAPES[shape]["members"].items()}


def test_all_372_requirements_are_there_and_no_id_was_dropped_or_reordered() -> None:
    assert tuple(row.id for row in catalogue.requirements()) == catalogue.issued_ids()
    assert len(set(catalogue.issued_ids())) == 372


def test_every_requirement_has_a_known_level_and_profile() -> None:
    assert {row.level for row in catalogue.requirements()} == {"MUST", "SHOULD", "MAY"}
    assert {row.profile for row in catalogue.requirements()} == set(catalogue.profiles())


def test_the_tiers_hold_all_15_profiles_and_each_holds_the_lower_ones() -> None:
    tier_1, tier_2, tier_3 = catalogue.tiers().values()
    assert set(tier_1.profiles) < set(tier_2.profiles) < set(tier_3.profiles)
    assert sorted(tier_3.profiles) == sorted(catalogue.profiles())
    assert len(catalogue.profiles()) == 15


def test_a_requirements_tier_is_the_first_that_holds_its_profile() -> None:
    first = {
        profile: int(tier.name.removeprefix("tier-"))
        for tier in reversed(catalogue.tiers().values())
        for profile in tier.profiles
    }
    assert [row.id for row in catalogue.requirements() if row.tier != first[row.profile]] == []


def test_a_requirement_is_found_by_its_id() -> None:
    assert catalogue.requirement("PUT-03").statement == "A zero-byte object."
    with pytest.raises(KeyError):
        catalogue.requirement("PUT-99")


def test_every_profile_and_code_that_an_operation_names_exists() -> None:
    for operation in catalogue.operations().values():
        members = operation.input
        assert {operation.profile, *(member.profile for member in members)} <= {"", *catalogue.profiles()}
        assert {member.refusal for member in members} <= set(ERRORS)
        assert {member.empty for member in members} <= {"", "absent", *ERRORS}


def test_every_code_that_a_header_or_query_name_is_refused_with_exists() -> None:
    codes = {header.refusal for header in catalogue.headers().values()}
    codes |= {header.unknown for header in catalogue.headers().values()}
    codes |= {code for header in catalogue.headers().values() for code in header.refusal_on.values()}
    codes |= {row.elsewhere for row in catalogue.query_names().values()} - {"ignored"}
    assert codes <= set(ERRORS)


def test_the_fields_of_operations_and_headers_have_known_values() -> None:
    operations = catalogue.operations().values()
    assert {one.resource for one in operations} <= {"service", "bucket", "object", "any"}
    assert {one.permission for one in operations} <= {
        "none",
        "list-buckets",
        "create-bucket",
        "read",
        "write",
        "owner",
    }
    assert {one.body for one in operations} <= {"none", "payload", "xml", "form"}
    assert {one.kind for one in catalogue.headers().values()} == {"acted", "neutral", "ignored", "refused"}
    assert {one.elsewhere for one in catalogue.headers().values()} == {
        "ignored",
        "refused",
        "refused-on-writes",
        "refused-with-body",
    }


def test_only_reading_one_object_may_be_anonymous() -> None:
    public = {one.name for one in catalogue.operations().values() if one.anonymous}
    assert public == {"GetObject", "HeadObject"}


@pytest.mark.requirement("HTTP-15")
def test_every_request_header_of_the_public_model_is_classified() -> None:
    ours = {name for name, header in catalogue.headers().items() if header.in_model}
    assert ours == model_headers()


@pytest.mark.requirement("HTTP-14")
def test_every_query_name_of_the_public_model_is_classified() -> None:
    ours = {name for name, row in catalogue.query_names().items() if row.in_model}
    assert ours == model_query_names()


def test_every_header_and_parameter_that_an_operation_binds_is_called_acted_on() -> None:
    inputs = [member for operation in catalogue.operations().values() for member in operation.input]
    headers = {member.wire for member in inputs if member.where == "header"}
    parameters = {member.wire for member in inputs if member.where == "query"}
    assert {name for name in headers if catalogue.headers()[name].kind != "acted"} == set()
    assert {name for name in parameters if catalogue.query_names()[name].kind != "acted"} == set()


def test_every_header_that_is_called_acted_on_is_bound_or_belongs_to_a_layer_below() -> None:
    bound = {member.wire for operation in catalogue.operations().values() for member in operation.input}
    acted = {
        name for name, header in catalogue.headers().items() if header.kind == "acted" and not header.layer
    }
    assert acted - bound == set()


def test_every_sub_resource_that_is_called_acted_on_selects_an_operation_of_its_profile() -> None:
    selecting = {
        (selector.partition("=")[0], operation.profile, operation.annex)
        for operation in catalogue.operations().values()
        for selector in operation.selectors
    }
    rows = [row for row in catalogue.query_names().values() if row.is_subresource]
    acted = {(row.name, row.profile, row.annex) for row in rows if row.kind == "acted"}
    assert acted - selecting - {("acl", "", "acl")} == set()
    assert {name for name, *_ in selecting} & {row.name for row in rows if row.kind == "refused"} == set()


@pytest.mark.parametrize("operation", MODELLED, ids=lambda one: one.name)
def test_method_and_selectors_are_those_of_the_public_model(operation: catalogue.Operation) -> None:
    http = MODEL["operations"][operation.name]["http"]
    in_uri = {name for name in http["requestUri"].partition("?")[2].split("&") if name}
    path = {"service": "/", "bucket": "/{Bucket}", "object": "/{Bucket}/{Key+}"}[operation.resource]
    assert operation.method == http["method"]
    assert http["requestUri"].partition("?")[0] == path
    assert in_uri <= set(operation.selectors)


@pytest.mark.parametrize("operation", MODELLED, ids=lambda one: one.name)
def test_inputs_stand_where_the_public_model_puts_them(operation: catalogue.Operation) -> None:
    known = model_inputs(operation.name)
    ours = {member.name: (member.where, member.wire) for member in operation.input if member.in_model}
    assert ours == {name: known.get(name) for name in ours}


@pytest.mark.parametrize("operation", MODELLED, ids=lambda one: one.name)
def test_outputs_have_the_names_of_the_public_model(operation: catalogue.Operation) -> None:
    shape = MODEL["operations"][operation.name].get("output", {}).get("shape", "Owner")
    known = model_outputs(shape)
    assert {one.name: one.wire for one in operation.output}.items() <= known.items()
    for name, members in operation.shapes.items():
        assert {one.name: one.wire for one in members}.items() <= model_outputs(name).items()


def test_every_structure_that_an_output_names_is_described() -> None:
    for operation in catalogue.operations().values():
        members = [*operation.output, *(one for row in operation.shapes.values() for one in row)]
        assert {one.shape for one in members if one.shape} == set(operation.shapes)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"level": "MUST", "sort": 1}, "unknown field"),
        ({"level": "MUST"}, "no field"),
    ],
)
def test_a_misspelt_or_missing_field_is_an_error_that_names_the_row(
    row: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^X-01: {message}"):
        rows.make(catalogue.Requirement, "X-01", row)


def test_an_operation_belongs_to_either_a_profile_or_the_annex() -> None:
    row = tomllib.loads(SPEC.joinpath("operations/GetObject.toml").read_text("utf-8"))
    with pytest.raises(ValueError, match="either a profile or an annex"):
        catalogue._operation("GetObject", {**row, "annex": "acl"})
    with pytest.raises(ValueError, match="it names 'GetObject'"):
        catalogue._operation("HeadObject", row)


def test_an_error_carries_its_definition_and_its_details() -> None:
    error = S3Error("NoSuchKey", Key="a")
    assert (error.status, error.code, error.details) == (404, "NoSuchKey", {"Key": "a"})
    assert str(error) == "NoSuchKey: The key does not exist."


def test_every_error_has_a_message_and_a_status_of_its_class() -> None:
    assert {row.code: row for row in ERRORS.values() if not row.message.endswith(".")} == {}
    assert {row.status // 100 for row in ERRORS.values()} == {3, 4, 5}


def test_a_limit_is_a_range_with_a_description() -> None:
    assert {row.name for row in catalogue.limits().values() if row.most and row.least > row.most} == set()
    assert (catalogue.limits()["key_bytes"].least, catalogue.limits()["key_bytes"].most) == (1, 1024)


def test_the_annex_is_what_the_notes_to_the_requirements_list() -> None:
    assert catalogue.annex_names() == {
        "versioning", "versions", "versionId", "acl", "attributes", "object-lock",
    }  # fmt: skip
