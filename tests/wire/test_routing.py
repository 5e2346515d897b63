"""Every operation is reached by its own least request, and nothing falls through to another."""

from __future__ import annotations

import pytest

from anys3.model import Target
from anys3.spec import catalogue
from anys3.spec.errors import S3Error
from anys3.wire.routing import Router
from tests.wire.requests import BUCKET, EVERY, EVERY_NAME, OBJECT, SERVICE, Least

ROUTER = Router()
TIER_1 = Router(frozenset(catalogue.tiers()["tier-1"].profiles), frozenset())
FORM = {b"content-type": b"multipart/form-data; boundary=x"}
SUBRESOURCES = sorted(row.name for row in catalogue.query_names().values() if row.is_subresource)
PLACES = [
    (method, target)
    for method in (b"GET", b"HEAD", b"PUT", b"POST", b"DELETE")
    for target in (SERVICE, BUCKET, OBJECT)
]


def resolve(
    method: bytes,
    target: Target,
    query: dict[str, str] | None = None,
    headers: dict[bytes, bytes] | None = None,
    router: Router = ROUTER,
) -> str:
    """Return the operation's name, or the code of the refusal."""
    try:
        return router.resolve(method, target, query or {}, headers or {}).name
    except S3Error as error:
        return f"{error.status} {error.code}"


@pytest.mark.parametrize("one", EVERY, ids=EVERY_NAME)
def test_every_operation_is_reached_by_its_own_least_request(one: Least) -> None:
    found = ROUTER.resolve(one.method, one.target, one.query, one.headers)
    assert found.name == one.operation.name


def test_no_request_means_two_operations() -> None:
    keys = [(one.method, one.target, tuple(sorted(one.query.items())), tuple(one.headers)) for one in EVERY]
    assert len(set(keys)) == len(EVERY)


@pytest.mark.requirement("HTTP-14")
@pytest.mark.parametrize("value", ["", "x"])
@pytest.mark.parametrize(("method", "target"), PLACES)
@pytest.mark.parametrize("name", SUBRESOURCES)
def test_a_sub_resource_never_falls_through_to_the_operation_without_it(
    method: bytes, target: Target, name: str, value: str
) -> None:
    found = resolve(method, target, {name: value})
    taken = {
        one.operation.name
        for one in EVERY
        if one.method == method and one.target == target and set(one.query) == {name} and name != "list-type"
    }
    assert found in (taken or {"501 NotImplemented", "405 MethodNotAllowed", "400 InvalidArgument"})


@pytest.mark.requirement("HTTP-14")
@pytest.mark.parametrize("name", ["lifecycle", "policy", "website", "encryption", "uploads", "uploadId"])
def test_deleting_a_sub_resource_of_a_bucket_never_deletes_the_bucket(name: str) -> None:
    assert resolve(b"DELETE", BUCKET, {name: ""}) == "501 NotImplemented"


@pytest.mark.requirement("HTTP-16")
@pytest.mark.parametrize(
    "query", [{"x-id": "GetObject"}, {"nonsense": ""}, {"X-Amz-Signature": "00"}, {"id": "1"}]
)
def test_names_without_a_meaning_change_nothing(query: dict[str, str]) -> None:
    assert resolve(b"GET", OBJECT, query) == "GetObject"


@pytest.mark.requirement("HTTP-13")
@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"PUT", SERVICE),
        (b"POST", SERVICE),
        (b"DELETE", SERVICE),
        (b"HEAD", SERVICE),
        (b"POST", OBJECT),
        (b"PATCH", BUCKET),
        (b"PATCH", OBJECT),
        (b"TRACE", OBJECT),
        (b"get", OBJECT),
    ],
)
def test_a_method_that_does_nothing_here_is_refused(method: bytes, target: Target) -> None:
    assert resolve(method, target) == "405 MethodNotAllowed"


def test_the_refusal_of_a_method_names_those_that_are_allowed() -> None:
    with pytest.raises(S3Error) as caught:
        ROUTER.resolve(b"POST", OBJECT, {}, {})
    assert caught.value.headers == b"Allow: DELETE, GET, HEAD, OPTIONS, PUT\r\n"


@pytest.mark.requirement("HTTP-13")
def test_patch_with_a_sub_resource_is_refused_too() -> None:
    assert resolve(b"PATCH", OBJECT, {"tagging": ""}) == "405 MethodNotAllowed"


@pytest.mark.requirement("UP-09")
@pytest.mark.parametrize(
    "query", [{"partNumber": "1"}, {"uploadId": "u"}, {"partNumber": ""}, {"uploadId": ""}]
)
@pytest.mark.parametrize("headers", [{}, {b"x-amz-copy-source": b"photos/a"}])
def test_a_part_without_its_number_or_upload_is_no_put_object(
    query: dict[str, str], headers: dict[bytes, bytes]
) -> None:
    assert resolve(b"PUT", OBJECT, query, headers) == "400 InvalidArgument"


@pytest.mark.requirement("ABT-03")
def test_an_empty_upload_id_still_means_abort() -> None:
    assert resolve(b"DELETE", OBJECT, {"uploadId": ""}) == "AbortMultipartUpload"


def test_a_part_number_reads_a_part_of_an_object() -> None:
    assert resolve(b"GET", OBJECT, {"partNumber": "1"}) == "GetObject"


@pytest.mark.parametrize(
    ("method", "target", "query"),
    [
        (b"POST", OBJECT, {"uploads": "", "uploadId": "u"}),
        (b"GET", BUCKET, {"list-type": "2", "uploads": ""}),
        (b"GET", BUCKET, {"location": "", "cors": ""}),
        (b"GET", BUCKET, {"list-type": "3"}),
    ],
)
def test_sub_resources_that_exclude_each_other_are_refused(
    method: bytes, target: Target, query: dict[str, str]
) -> None:
    assert resolve(method, target, query) == "400 InvalidArgument"


def test_a_query_name_that_looks_like_a_selector_selects_nothing() -> None:
    assert resolve(b"PUT", OBJECT, {"header:x-amz-copy-source": "photos/a"}) == "PutObject"
    assert resolve(b"GET", BUCKET, {"list-type=2": ""}) == "ListObjects"


@pytest.mark.requirement("POST-10")
def test_a_post_to_a_bucket_that_is_no_form_is_refused() -> None:
    assert resolve(b"POST", BUCKET) == "412 PreconditionFailed"
    assert resolve(b"POST", BUCKET, {}, {b"content-type": b"text/plain"}) == "412 PreconditionFailed"


def test_a_form_is_known_by_its_media_type_in_any_case() -> None:
    assert resolve(b"POST", BUCKET, {}, {b"content-type": b"Multipart/Form-Data; boundary=x"}) == "PostObject"


def test_a_form_with_a_sub_resource_is_that_sub_resources_operation() -> None:
    assert resolve(b"POST", BUCKET, {"delete": ""}, FORM) == "DeleteObjects"


@pytest.mark.requirement("CORS-02")
@pytest.mark.parametrize("query", [{}, {"uploads": ""}, {"partNumber": "1", "uploadId": "u"}, {"policy": ""}])
def test_a_preflight_is_one_whatever_the_query(query: dict[str, str]) -> None:
    assert resolve(b"OPTIONS", OBJECT, query) == "CorsPreflight"
    assert resolve(b"OPTIONS", BUCKET, query) == "CorsPreflight"


@pytest.mark.requirement("CB-08")
@pytest.mark.parametrize(("method", "target"), [(b"PUT", BUCKET), (b"DELETE", BUCKET), (b"GET", SERVICE)])
def test_a_server_without_bucket_admin_refuses_its_operations(method: bytes, target: Target) -> None:
    router = Router(frozenset({"core"}))
    assert resolve(method, target, router=router) == "501 NotImplemented"


@pytest.mark.parametrize("one", EVERY, ids=EVERY_NAME)
def test_a_strict_server_serves_its_profiles_and_names_the_one_that_is_missing(one: Least) -> None:
    tier_1 = set(catalogue.tiers()["tier-1"].profiles)
    expected = {one.operation.name} if one.operation.profile in tier_1 else {"501 NotImplemented"}
    assert resolve(one.method, one.target, one.query, one.headers, TIER_1) in expected


def test_the_refusal_of_a_strict_server_says_which_profile_is_not_served() -> None:
    with pytest.raises(S3Error) as caught:
        TIER_1.resolve(b"POST", OBJECT, {"uploads": ""}, {})
    assert caught.value.log == (
        "CreateMultipartUpload (uploads): profile multipart (CMU-01 to CMU-06) is not served"
    )


def test_parts_are_not_objects_for_a_server_without_multipart() -> None:
    assert resolve(b"PUT", OBJECT, {"partNumber": "1"}, router=TIER_1) == "501 NotImplemented"
    assert resolve(b"PUT", OBJECT, {"uploadId": "1"}, router=TIER_1) == "501 NotImplemented"


def test_routers_that_serve_the_same_share_their_operations() -> None:
    served = frozenset({"core"})
    first, second = Router(served), Router(frozenset(served))
    assert first.resolve(b"GET", OBJECT, {}, {}) is second.resolve(b"GET", OBJECT, {}, {})
