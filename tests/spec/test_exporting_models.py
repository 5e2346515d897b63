"""The Smithy model and the OpenAPI document are valid, and say what the public S3 model says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from anys3.spec import catalogue, cuts
from anys3.spec.errors import ERRORS
from anys3.spec.exporting import Publication, openapi, portable, smithy
from tests.spec.test_catalogue import MODEL, WHERE
from tests.spec.test_catalogue import SHAPES as KNOWN

AST: dict[str, Any] = json.loads(smithy.render(Publication()))
SHAPES: dict[str, Any] = AST["shapes"]
OPENAPI: dict[str, Any] = json.loads(openapi.render(Publication()))
NAMESPACE = f"{smithy.NAMESPACE}#"
CALLS = [call for call in portable.calls() if call.operation.in_model]
PRELUDE = {"Unit", "String", "Integer", "Long", "Boolean", "Timestamp"}
TRAITS = {
    "aws.auth#sigv4", "aws.customizations#s3UnwrappedXmlOutput", "aws.protocols#httpChecksum",
    "aws.protocols#restXml", "smithy.api#default", "smithy.api#documentation", "smithy.api#enumValue",
    "smithy.api#error", "smithy.api#http", "smithy.api#httpError", "smithy.api#httpHeader",
    "smithy.api#httpLabel", "smithy.api#httpPayload", "smithy.api#httpPrefixHeaders", "smithy.api#httpQuery",
    "smithy.api#idempotent", "smithy.api#input", "smithy.api#output", "smithy.api#range",
    "smithy.api#readonly", "smithy.api#required", "smithy.api#streaming", "smithy.api#tags",
    "smithy.api#title", "smithy.api#xmlFlattened", "smithy.api#xmlName", "smithy.api#xmlNamespace",
}  # fmt: skip
# What Smithy calls the types of the public model.
SIMPLE = {
    "string": "String", "integer": "Integer", "long": "Long", "boolean": "Boolean", "timestamp": "Timestamp",
    "map": "Metadata", "blob": "StreamingBlob",
}  # fmt: skip


def targets(value: object) -> list[str]:
    """Return every shape that a part of the AST names."""
    if isinstance(value, dict):
        own = [value["target"]] if isinstance(value.get("target"), str) else []
        return own + [one for part in value.values() for one in targets(part)]
    return [one for part in value for one in targets(part)] if isinstance(value, list) else []


def traits_of(shape: dict[str, Any]) -> set[str]:
    members = [*shape.get("members", {}).values(), shape.get("member", {})]
    return {name for one in [shape, *members] for name in one.get("traits", {})}


def placed(member: dict[str, Any]) -> tuple[str, str]:
    """Return where a Smithy member stands, and its name there."""
    traits = {name.removeprefix("smithy.api#"): value for name, value in member.get("traits", {}).items()}
    for trait, where in (
        ("httpHeader", "header"), ("httpQuery", "query"), ("httpPrefixHeaders", "prefix-headers"),
    ):  # fmt: skip
        if trait in traits:
            return where, traits[trait].lower() if where != "query" else traits[trait]
    return ("uri" if "httpLabel" in traits else "body"), ""


def known_place(row: dict[str, Any]) -> tuple[str, str]:
    """Return the same of a member of the public model."""
    where = WHERE.get(row.get("location", ""), row.get("location", "body"))
    if where in {"uri", "body"}:
        return where, ""
    return where, row["locationName"].lower() if where != "query" else row["locationName"]


def kind_of(member: dict[str, Any]) -> str:
    """Return the type of a Smithy member in short; an enum is a string, a structure or a list has no name."""
    name = member["target"].rpartition("#")[2]
    kind = SHAPES.get(member["target"], {}).get("type", "")
    return {"enum": "String", "structure": "structure", "list": "list"}.get(kind, name)


def known_kind(row: dict[str, Any]) -> str:
    kind = KNOWN[row["shape"]]["type"]
    return SIMPLE.get(kind, kind)


def request_of(call: portable.Call) -> dict[str, Any]:
    return SHAPES[f"{NAMESPACE}{call.name}Request"]["members"]


def test_every_shape_that_the_smithy_model_names_is_there() -> None:
    prelude = {f"smithy.api#{name}" for name in PRELUDE}
    assert set(targets(AST["shapes"])) - prelude - set(SHAPES) == set()


def test_every_shape_is_named_by_another_or_is_the_service() -> None:
    assert set(SHAPES) - set(targets(SHAPES)) == {f"{NAMESPACE}PortableS3"}


def test_names_of_shapes_differ_in_more_than_case() -> None:
    assert len({name.casefold() for name in SHAPES}) == len(SHAPES)


def test_every_trait_is_one_of_smithy_or_of_aws() -> None:
    assert {name for shape in SHAPES.values() for name in traits_of(shape)} == TRAITS


def test_the_service_has_the_operations_of_all_profiles_and_none_of_the_annex() -> None:
    names = [row["target"].removeprefix(NAMESPACE) for row in SHAPES[f"{NAMESPACE}PortableS3"]["operations"]]
    ours = {row.name for row in catalogue.operations().values() if row.profile and row.in_model}
    assert set(names) == ours
    assert len(names) == len(ours) == 26


def test_every_error_has_its_status() -> None:
    found = {
        name.removeprefix(NAMESPACE): shape["traits"]["smithy.api#httpError"]
        for name, shape in SHAPES.items()
        if "smithy.api#error" in shape.get("traits", {})
    }
    assert found == {row.code: row.status for row in ERRORS.values() if row.code != "NotModified"}


@pytest.mark.parametrize("call", CALLS, ids=lambda one: one.name)
def test_method_path_and_status_are_those_of_the_public_model(call: portable.Call) -> None:
    http = SHAPES[f"{NAMESPACE}{call.name}"]["traits"]["smithy.api#http"]
    path, _, query = http["uri"].partition("?")
    names = [name for name in query.split("&") if name and not name.startswith("x-id=")]
    known = MODEL["operations"][call.name]["http"]
    assert (http["method"], "?".join([path, *(["&".join(names)] if names else [])])) == (
        known["method"],
        known["requestUri"],
    )
    assert http["code"] == call.operation.status == known.get("responseCode", http["code"])


def test_no_two_operations_have_the_same_method_path_and_query() -> None:
    lines = [SHAPES[f"{NAMESPACE}{call.name}"]["traits"]["smithy.api#http"] for call in CALLS]
    assert len({(line["method"], line["uri"]) for line in lines}) == len(CALLS)


@pytest.mark.parametrize("call", CALLS, ids=lambda one: one.name)
def test_requests_have_places_wire_names_and_types_of_the_public_model(call: portable.Call) -> None:
    shape = KNOWN[MODEL["operations"][call.name].get("input", {"shape": "Owner"})["shape"]]
    ours = {name: row for name, row in request_of(call).items() if name != "IfRange"}
    assert {name: (*placed(row), kind_of(row)) for name, row in ours.items()} == {
        name: (*known_place(shape["members"][name]), known_kind(shape["members"][name])) for name in ours
    }


@pytest.mark.parametrize("call", CALLS, ids=lambda one: one.name)
def test_what_the_public_model_requires_of_a_request_is_required(call: portable.Call) -> None:
    shape = KNOWN[MODEL["operations"][call.name].get("input", {"shape": "Owner"})["shape"]]
    required = {
        name for name, row in request_of(call).items() if "smithy.api#required" in row.get("traits", {})
    }
    assert required == set(shape.get("required", []))


@pytest.mark.parametrize("call", CALLS, ids=lambda one: one.name)
def test_a_request_body_is_the_one_of_the_public_model(call: portable.Call) -> None:
    known = KNOWN[MODEL["operations"][call.name].get("input", {"shape": "Owner"})["shape"]]
    payload = {
        name: row["traits"].get("smithy.api#xmlName", "")
        for name, row in request_of(call).items()
        if "smithy.api#httpPayload" in row.get("traits", {})
    }
    name = known.get("payload")
    assert payload == ({name: known["members"][name].get("locationName", "")} if name else {})


@pytest.mark.parametrize("call", CALLS, ids=lambda one: one.name)
def test_answers_have_places_and_types_of_the_public_model(call: portable.Call) -> None:
    shape = MODEL["operations"][call.name].get("output", {}).get("shape")
    ours = SHAPES.get(f"{NAMESPACE}{call.name}Output", {"members": {}})["members"]
    assert {name: (*placed(row), kind_of(row)) for name, row in ours.items()} == {
        name: (
            *known_place(KNOWN[shape]["members"][name]),
            known_kind(KNOWN[shape]["members"][name]),
        )
        for name in ours
    }


@pytest.mark.parametrize("name", list(portable.shapes()))
def test_structures_have_elements_types_and_required_members_of_the_public_model(name: str) -> None:
    ours = SHAPES[f"{NAMESPACE}{name}"]["members"]
    known = {one: KNOWN[name]["members"][one] for one in ours}
    assert {
        one: (row.get("traits", {}).get("smithy.api#xmlName", one), kind_of(row)) for one, row in ours.items()
    } == {one: (row.get("locationName", one), known_kind(row)) for one, row in known.items()}
    required = {one for one, row in ours.items() if "smithy.api#required" in row.get("traits", {})}
    assert required <= set(KNOWN[name].get("required", []))


@pytest.mark.parametrize("call", CALLS, ids=lambda one: one.name)
def test_lists_are_flattened_or_wrapped_as_in_the_public_model(call: portable.Call) -> None:
    shape = MODEL["operations"][call.name].get("output", {}).get("shape")
    members = SHAPES.get(f"{NAMESPACE}{call.name}Output", {"members": {}})["members"]
    lists = {name: row for name, row in members.items() if kind_of(row) == "list"}
    assert {name: is_flattened(row) for name, row in lists.items()} == {
        name: KNOWN[KNOWN[shape]["members"][name]["shape"]].get("flattened", False) for name in lists
    }


def is_flattened(member: dict[str, Any]) -> bool:
    return "smithy.api#xmlFlattened" in member.get("traits", {})


def test_tags_name_the_profile_and_the_tier_of_the_cut() -> None:
    june: dict[str, Any] = json.loads(smithy.render(Publication(cuts.tiers_of("rfc-june"))))["shapes"]
    name = f"{NAMESPACE}UploadPart"
    assert SHAPES[name]["traits"]["smithy.api#tags"] == ["multipart", "tier-2"]
    assert june[name]["traits"]["smithy.api#tags"] == ["multipart", "tier-1"]
    condition = SHAPES[f"{NAMESPACE}PutObjectRequest"]["members"]["IfMatch"]
    assert condition["traits"]["smithy.api#tags"] == ["cond", "tier-3"]


def test_the_openapi_document_is_valid() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(OPENAPI).iter_errors()] == []


def test_the_validator_finds_what_is_wrong_with_such_a_document() -> None:
    wrong = json.loads(json.dumps(OPENAPI))
    del wrong["paths"]["/{Bucket}"]["parameters"]
    errors = [str(error) for error in OpenAPIV31SpecValidator(wrong).iter_errors()]
    assert [error for error in errors if "Bucket" not in error] == []
    assert len(errors) > 0


def openapi_operations() -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for item in OPENAPI["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    }


def test_the_openapi_document_has_every_operation_of_the_profiles() -> None:
    ours = {row.name for row in catalogue.operations().values() if row.profile}
    assert set(openapi_operations()) == ours | {"CorsPreflightOfBucket"}


@pytest.mark.parametrize("call", portable.calls(), ids=lambda one: one.name)
def test_openapi_parameters_are_the_members_and_what_selects_the_operation(call: portable.Call) -> None:
    rows = openapi_operations()[call.name].get("parameters", [])
    found = {(row["in"], row["name"].lower()) for row in rows if "$ref" not in row}
    members = {
        ("header", f"{one.wire}*") if one.where == "prefix-headers" else (one.where, one.wire.lower())
        for one in call.inputs
    }
    assert found == members | {("query", name.partition("=")[0]) for name in call.query_literals}


def test_what_selects_an_operation_is_required_of_its_openapi_request() -> None:
    rows = openapi_operations()["UploadPartCopy"]["parameters"]
    required = {row["name"] for row in rows if row.get("required")}
    assert required == {"partNumber", "uploadId", "x-amz-copy-source"}
    rows = openapi_operations()["ListObjectsV2"]["parameters"]
    assert [(row["name"], row["schema"]["enum"]) for row in rows if row.get("required")] == [
        ("list-type", ["2"])
    ]


def test_an_element_of_an_openapi_document_has_its_name_and_its_wrapping() -> None:
    answer = openapi_operations()["ListBuckets"]["responses"]["200"]["content"]["application/xml"]["schema"]
    assert answer["xml"]["name"] == "ListAllMyBucketsResult"
    assert answer["properties"]["Buckets"]["xml"] == {"name": "Buckets", "wrapped": True}
    assert answer["properties"]["Buckets"]["items"]["xml"] == {"name": "Bucket"}
    rule = OPENAPI["components"]["schemas"]["CORSRule"]
    assert rule["properties"]["AllowedMethod"]["items"]["xml"] == {"name": "AllowedMethod"}
    assert rule["required"] == ["AllowedMethod", "AllowedOrigin"]
