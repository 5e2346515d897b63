"""CreateBucket, HeadBucket, GetBucketLocation, DeleteBucket, ListBuckets: BN, CB, HB, LOC, DB, LB."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator

import pytest

import anys3
from tests.keepalive import KeepAlive
from tests.rawclient import RawClient, Response, md5_b64
from tests.uploads import begin

S3_NAMESPACE = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

TOO_SHORT_OR_LONG = ["a", "ab", "a" * 64, "a" * 200]
WRONG_LETTERS = [
    "Upper", "under_score", "sp%20ace", "%C3%A4bc", "-abc", "abc-", ".abc", "abc.", "a%2Bb", "a:b", "a*b", "abc%00"
]  # fmt: skip
LIKE_NUMBERS = ["a..b", "192.168.5.4", "1.2.3.4", "999.999.999.999"]
RESERVED = [
    "a.-b", "a-.b", "xn--abc", "sthree-abc", "amzn-s3-demo-abc", "abc-s3alias", "abc--ol-s3", "abc.mrap", "abc--x-s3",
    "abc--table-s3",
]  # fmt: skip


def configuration(region: str) -> bytes:
    """Return the body that asks for a region."""
    return (
        f"<CreateBucketConfiguration {S3_NAMESPACE.decode()}><LocationConstraint>{region}</LocationConstraint>"
        "</CreateBucketConfiguration>"
    ).encode()


def buckets(s3: RawClient, **query: object) -> Response:
    """Send ListBuckets."""
    return s3.request("GET", "/", [(name.replace("_", "-"), str(value)) for name, value in query.items()])


def names(response: Response) -> list[str]:
    """Return the names of a page of buckets."""
    assert response.verdict == (200, "")
    return response.texts("Buckets/Bucket/Name")


@pytest.fixture(scope="module")
def european() -> Iterator[RawClient]:
    """A client of a server in another region."""
    with anys3.Server(region="eu-central-1") as server:
        yield RawClient(
            server.endpoint_url, server.access_key_id, server.secret_access_key, region="eu-central-1"
        )


# --- names --------------------------------------------------------------------------------------------


@pytest.mark.requirement("BN-01")
@pytest.mark.parametrize("name", ["abc", "a1b", "123", "a-b", "a--b", "{63}", "0-0"])
def test_names_of_3_to_63_small_letters_digits_and_dashes_are_accepted(s3: RawClient, name: str) -> None:
    name = name.replace("{63}", "a" * 63)
    assert s3.request("PUT", f"/{name}").status == 200
    assert s3.request("HEAD", f"/{name}").status == 200
    assert s3.request("DELETE", f"/{name}").status == 204


@pytest.mark.requirement("BN-02")
@pytest.mark.parametrize("name", TOO_SHORT_OR_LONG)
def test_a_name_that_is_too_short_or_too_long_is_refused(s3: RawClient, name: str) -> None:
    assert s3.request("PUT", f"/{name}").verdict == (400, "InvalidBucketName")


@pytest.mark.requirement("BN-03")
@pytest.mark.parametrize("name", WRONG_LETTERS)
def test_a_name_with_other_letters_is_refused(s3: RawClient, name: str) -> None:
    assert s3.request("PUT", f"/{name}").verdict == (400, "InvalidBucketName")


@pytest.mark.requirement("BN-04")
@pytest.mark.parametrize("name", LIKE_NUMBERS)
def test_two_dots_or_the_form_of_an_address_are_refused(s3: RawClient, name: str) -> None:
    assert s3.request("PUT", f"/{name}").verdict == (400, "InvalidBucketName")


@pytest.mark.requirement("BN-05")
@pytest.mark.parametrize("name", ["a.b.c", "www.example.com", "1.2.3", "1.2.3.4.5"])
def test_a_name_with_single_dots_works_in_the_path(s3: RawClient, name: str) -> None:
    assert s3.request("PUT", f"/{name}").status == 200
    assert s3.request("PUT", f"/{name}/k", body=b"x").status == 200
    assert s3.request("GET", f"/{name}/k").body == b"x"
    assert s3.request("DELETE", f"/{name}/k").status == 204
    assert s3.request("DELETE", f"/{name}").status == 204


@pytest.mark.requirement("BN-06")
@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_name_is_refused(s3: RawClient, name: str) -> None:
    assert s3.request("PUT", f"/{name}").verdict == (400, "InvalidBucketName")
    assert s3.request("HEAD", f"/{name}").status == 404


@pytest.mark.requirement("BN-07")
@pytest.mark.parametrize("name", [*TOO_SHORT_OR_LONG, *WRONG_LETTERS, *LIKE_NUMBERS])
@pytest.mark.parametrize(
    ("method", "key", "query"),
    [
        ("GET", "", "list-type=2"),
        ("GET", "/k", ""),
        ("PUT", "/k", ""),
        ("DELETE", "", ""),
        ("GET", "", "location"),
    ],
)
def test_an_invalid_name_is_refused_everywhere(
    s3: RawClient, name: str, method: str, key: str, query: str
) -> None:
    assert s3.request(method, f"/{name}{key}", query).verdict == (400, "InvalidBucketName")


# --- create -------------------------------------------------------------------------------------------


@pytest.mark.requirement("CB-01")
@pytest.mark.parametrize(
    "body", [b"", configuration("us-east-1"), configuration(""), b"<CreateBucketConfiguration/>"]
)
def test_a_bucket_is_created_at_its_location(s3: RawClient, new_name: Callable[[], str], body: bytes) -> None:
    name = new_name()
    response = s3.request("PUT", f"/{name}", body=body)
    assert (response.status, response.headers["location"], response.body) == (200, f"/{name}", b"")


@pytest.mark.requirement("CB-01", "LOC-01", "HB-01")
@pytest.mark.parametrize("body", [configuration("eu-central-1"), b"", configuration("us-east-1")])
def test_a_bucket_is_created_in_another_region(
    european: RawClient, new_name: Callable[[], str], body: bytes
) -> None:
    name = new_name()
    response = european.request("PUT", f"/{name}", body=body)
    assert (response.status, response.headers["location"]) == (200, f"/{name}")
    assert european.request("HEAD", f"/{name}").headers["x-amz-bucket-region"] == "eu-central-1"
    assert european.request("GET", f"/{name}", "location").xml.text == "eu-central-1"


@pytest.mark.requirement("CB-02")
@pytest.mark.parametrize("region", ["mars-north-1", "eu-west-1", "EU", "us-east-1x", "*"])
def test_a_region_that_is_not_served_here_is_refused(
    s3: RawClient, new_name: Callable[[], str], region: str
) -> None:
    name = new_name()
    response = s3.request("PUT", f"/{name}", body=configuration(region))
    assert response.verdict == (400, "InvalidLocationConstraint")
    assert s3.request("HEAD", f"/{name}").status == 404


@pytest.mark.requirement("CB-03", "ERR-05")
@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"<CreateBucketConfiguration>",
        b"<Delete/>",
        b"{}",
        b"<CreateBucketConfiguration><Strange/></CreateBucketConfiguration>",
    ],
)
def test_a_body_that_is_another_document_is_refused(
    s3: RawClient, new_name: Callable[[], str], body: bytes
) -> None:
    name = new_name()
    assert s3.request("PUT", f"/{name}", body=body).verdict == (400, "MalformedXML")
    assert s3.request("HEAD", f"/{name}").status == 404


@pytest.mark.requirement("CB-04")
def test_creating_a_bucket_again_changes_nothing_in_it(s3: RawClient, bucket: str) -> None:
    rules = (
        b"<CORSConfiguration><CORSRule><AllowedOrigin>https://a.example</AllowedOrigin>"
        b"<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
    )
    headers = {"content-md5": md5_b64(rules)}
    assert s3.request("PUT", f"/{bucket}", "cors", headers, rules).status == 200
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    assert s3.request("PUT", f"/{bucket}").verdict == (409, "BucketAlreadyOwnedByYou")
    assert s3.request("GET", f"/{bucket}/k").body == b"x"
    assert s3.request("GET", f"/{bucket}", "cors").texts("CORSRule/AllowedOrigin") == ["https://a.example"]


@pytest.mark.requirement("CB-05")
def test_a_bucket_of_somebody_else_can_not_be_created(
    root: RawClient, stranger: RawClient, new_name: Callable[[], str]
) -> None:
    of_root, of_stranger = new_name(), new_name()
    root.request("PUT", f"/{of_root}")
    stranger.request("PUT", f"/{of_stranger}")
    assert stranger.request("PUT", f"/{of_root}").verdict == (409, "BucketAlreadyExists")
    assert stranger.request("PUT", f"/{of_stranger}").verdict == (409, "BucketAlreadyOwnedByYou")
    assert stranger.request("GET", f"/{of_root}", "list-type=2").verdict == (403, "AccessDenied")


@pytest.mark.requirement("CB-05", "AUTH-17")
def test_a_key_that_was_not_made_for_it_can_not_create_buckets(
    root: RawClient, root_bucket: str, operator: Callable[..., dict[str, str]], new_name: Callable[[], str]
) -> None:
    made = operator("key", "create", new_name(), "--bucket", root_bucket, "--owner")
    owner = RawClient(root.endpoint, made["access_key_id"], made["secret_access_key"])
    name = new_name()
    assert owner.request("PUT", f"/{name}").verdict == (403, "AccessDenied")
    assert root.request("HEAD", f"/{name}").status == 404


@pytest.mark.requirement("CB-06")
def test_a_new_bucket_is_there_for_everything_at_once(s3: RawClient, new_name: Callable[[], str]) -> None:
    name = new_name()
    assert s3.request("HEAD", f"/{name}").status == 404
    assert s3.request("PUT", f"/{name}").status == 200
    assert s3.request("HEAD", f"/{name}").status == 200
    assert name in names(buckets(s3))
    assert s3.request("PUT", f"/{name}/k", body=b"x").status == 200


@pytest.mark.requirement("CB-07", "HTTP-27")
@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-acl": "private"},
        {"x-amz-bucket-object-lock-enabled": "false"},
        {"x-amz-acl": "private", "x-amz-bucket-object-lock-enabled": "false"},
    ],
)
def test_values_that_ask_for_nothing_are_accepted(
    s3: RawClient, new_name: Callable[[], str], headers: dict[str, str]
) -> None:
    assert s3.request("PUT", f"/{new_name()}", headers=headers).status == 200


@pytest.mark.requirement("CB-07", "HTTP-15", "ERR-08")
@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("x-amz-acl", "public-read", (400, "InvalidBucketAclWithObjectOwnership")),
        ("x-amz-acl", "public-read-write", (400, "InvalidBucketAclWithObjectOwnership")),
        ("x-amz-acl", "authenticated-read", (400, "InvalidBucketAclWithObjectOwnership")),
        ("x-amz-bucket-object-lock-enabled", "true", (501, "NotImplemented")),
        (
            "x-amz-grant-read",
            'uri="http://acs.amazonaws.com/groups/global/AllUsers"',
            (501, "NotImplemented"),
        ),
    ],
)
def test_what_would_open_or_lock_a_bucket_is_refused_and_none_is_made(
    s3: RawClient, new_name: Callable[[], str], name: str, value: str, verdict: tuple[int, str]
) -> None:
    bucket = new_name()
    assert s3.request("PUT", f"/{bucket}", headers={name: value}).verdict == verdict
    assert s3.request("HEAD", f"/{bucket}").status == 404


# --- head and location --------------------------------------------------------------------------------


@pytest.mark.requirement("HB-01")
def test_a_bucket_says_which_region_it_is_in(s3: RawClient, bucket: str) -> None:
    response = s3.request("HEAD", f"/{bucket}")
    assert (response.status, response.headers["x-amz-bucket-region"], response.body) == (
        200,
        "us-east-1",
        b"",
    )


@pytest.mark.requirement("HB-02")
def test_a_missing_bucket_is_404_and_one_of_another_403(
    root_bucket: str, stranger: RawClient, new_name: Callable[[], str]
) -> None:
    assert stranger.request("HEAD", f"/{new_name()}").status == 404
    assert stranger.request("HEAD", f"/{root_bucket}").status == 403


@pytest.mark.requirement("LOC-01")
def test_the_location_of_us_east_1_is_empty(s3: RawClient, bucket: str) -> None:
    response = s3.request("GET", f"/{bucket}", "location")
    assert (response.status, response.xml.tag, response.xml.text) == (200, "LocationConstraint", None)
    assert S3_NAMESPACE in response.body


@pytest.mark.requirement("LOC-01", "AUTH-16")
def test_the_location_is_told_to_clients_that_sign_for_us_east_1(
    european: RawClient, new_name: Callable[[], str]
) -> None:
    name = new_name()
    european.request("PUT", f"/{name}")
    asking = RawClient(
        european.endpoint, european.access_key_id, european.secret_access_key, region="us-east-1"
    )
    response = asking.request("GET", f"/{name}", "location")
    assert (response.status, response.xml.text) == (200, "eu-central-1")


@pytest.mark.requirement("LOC-01")
def test_the_location_of_a_missing_bucket_is_no_such_bucket(
    s3: RawClient, new_name: Callable[[], str]
) -> None:
    assert s3.request("GET", f"/{new_name()}", "location").verdict == (404, "NoSuchBucket")


# --- delete -------------------------------------------------------------------------------------------


@pytest.mark.requirement("DB-01")
def test_an_empty_bucket_is_deleted(s3: RawClient, bucket: str) -> None:
    response = s3.request("DELETE", f"/{bucket}")
    assert (response.status, response.body) == (204, b"")
    assert s3.request("HEAD", f"/{bucket}").status == 404


@pytest.mark.requirement("DB-02")
def test_deleting_a_missing_bucket_is_no_such_bucket(s3: RawClient, new_name: Callable[[], str]) -> None:
    assert s3.request("DELETE", f"/{new_name()}").verdict == (404, "NoSuchBucket")


@pytest.mark.requirement("DB-03", "ERR-08")
def test_a_bucket_with_an_object_is_not_deleted(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    assert s3.request("DELETE", f"/{bucket}").verdict == (409, "BucketNotEmpty")
    assert s3.request("GET", f"/{bucket}/k").body == b"x"


@pytest.mark.requirement("DB-04")
def test_a_deleted_bucket_is_gone_for_everything(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    s3.request("DELETE", f"/{bucket}/k")
    assert s3.request("DELETE", f"/{bucket}").status == 204
    verdicts = [
        s3.request("GET", f"/{bucket}/k").verdict,
        s3.request("PUT", f"/{bucket}/k", body=b"x").verdict,
        s3.request("DELETE", f"/{bucket}/k").verdict,
        s3.request("GET", f"/{bucket}", "list-type=2").verdict,
        s3.request("DELETE", f"/{bucket}").verdict,
    ]
    assert verdicts == [(404, "NoSuchBucket")] * 5
    assert s3.request("HEAD", f"/{bucket}").status == 404
    assert bucket not in names(buckets(s3))


@pytest.mark.requirement("DB-04")
@pytest.mark.parametrize("size", [1, 200_000])
def test_a_bucket_that_is_made_again_is_empty(s3: RawClient, bucket: str, size: int) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x" * size)
    s3.request("DELETE", f"/{bucket}/k")
    assert s3.request("DELETE", f"/{bucket}").status == 204
    assert s3.request("PUT", f"/{bucket}").status == 200
    assert s3.request("GET", f"/{bucket}", "list-type=2").texts("Contents/Key") == []
    assert s3.request("GET", f"/{bucket}/k").verdict == (404, "NoSuchKey")


@pytest.mark.requirement("DB-05")
def test_unfinished_uploads_are_discarded_with_their_bucket(s3: RawClient, bucket: str) -> None:
    upload = begin(s3, bucket)
    upload.put(1, b"x" * 200_000)
    assert s3.request("DELETE", f"/{bucket}").status == 204
    assert upload.send_part(2).verdict == (404, "NoSuchBucket")
    assert s3.request("PUT", f"/{bucket}").status == 200
    assert s3.request("GET", f"/{bucket}", "uploads").texts("Upload/Key") == []
    assert upload.send_part(2).verdict == (404, "NoSuchUpload")


@pytest.mark.requirement("DB-06")
@pytest.mark.parametrize("size", [10, 200_000])
def test_a_put_that_succeeds_is_never_lost_with_its_bucket(
    s3: RawClient, new_name: Callable[[], str], size: int
) -> None:
    seen = [race(s3, new_name(), size) for _ in range(25)]
    assert set(seen) <= {(200, 409, 200), (404, 204, 404)}


def race(s3: RawClient, name: str, size: int) -> tuple[int, int, int]:
    """Return what a put and a deletion of its bucket answer at the same time, and a get behind them."""
    assert s3.request("PUT", f"/{name}").status == 200
    statuses: dict[str, int] = {}
    barrier = threading.Barrier(2)

    def send(method: str, path: str, body: bytes) -> None:
        with KeepAlive(s3) as connection:
            connection.request("HEAD", "/" + name)
            barrier.wait()
            statuses[method] = connection.request(method, path, body=body).status

    threads = [
        threading.Thread(target=send, args=("PUT", f"/{name}/k", b"x" * size)),
        threading.Thread(target=send, args=("DELETE", f"/{name}", b"")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses["PUT"], statuses["DELETE"], s3.request("GET", f"/{name}/k").status


# --- list ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("LB-01")
def test_buckets_are_listed_with_owner_name_and_date(s3: RawClient, bucket: str) -> None:
    response = buckets(s3)
    assert (response.status, response.xml.tag) == (200, "ListAllMyBucketsResult")
    assert response.text("Owner/ID")
    dates = dict(zip(names(response), response.texts("Buckets/Bucket/CreationDate"), strict=True))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", dates[bucket])


@pytest.mark.requirement("LB-02", "LB-04")
def test_buckets_ascend_by_name(s3: RawClient, new_name: Callable[[], str]) -> None:
    made = [new_name() for _ in range(3)]
    for name in reversed(made):
        s3.request("PUT", f"/{name}")
    listed = names(buckets(s3))
    assert listed == sorted(listed)
    assert set(made) <= set(listed)


@pytest.mark.requirement("LB-02", "AUTH-17")
def test_only_the_callers_buckets_are_listed(
    root: RawClient, root_bucket: str, operator: Callable[..., dict[str, str]], new_name: Callable[[], str]
) -> None:
    made = operator("key", "create", new_name(), "--create-buckets")
    other = RawClient(root.endpoint, made["access_key_id"], made["secret_access_key"])
    assert names(buckets(other)) == []
    own = new_name()
    other.request("PUT", f"/{own}")
    assert names(buckets(other)) == [own]
    assert {own, root_bucket} <= set(names(buckets(root)))


@pytest.mark.requirement("LB-03")
def test_the_date_of_a_bucket_never_changes(s3: RawClient, bucket: str) -> None:
    before = dates_of(s3)[bucket]
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    s3.request("PUT", f"/{bucket}")
    s3.request("DELETE", f"/{bucket}", "cors")
    assert dates_of(s3)[bucket] == before


def dates_of(s3: RawClient) -> dict[str, str]:
    """Return the creation date of every bucket."""
    response = buckets(s3)
    return dict(zip(names(response), response.texts("Buckets/Bucket/CreationDate"), strict=True))


@pytest.mark.requirement("LB-04")
def test_more_than_a_thousand_buckets_are_listed_at_once() -> None:
    made = [f"many-{number:04}" for number in range(1_050)]
    with anys3.Server(buckets=made) as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        assert names(buckets(s3)) == made


@pytest.mark.requirement("LB-05")
def test_buckets_are_listed_page_by_page_and_by_prefix(s3: RawClient, new_name: Callable[[], str]) -> None:
    prefix = new_name() + "-p"
    made = [f"{prefix}-{letter}" for letter in "abc"]
    for name in made:
        s3.request("PUT", f"/{name}")
    first = buckets(s3, prefix=prefix, max_buckets=2)
    token = first.text("ContinuationToken")
    rest = buckets(s3, prefix=prefix, max_buckets=2, continuation_token=token)
    assert (names(first), first.text("Prefix"), bool(token)) == (made[:2], prefix, True)
    assert (names(rest), rest.text("ContinuationToken")) == (made[2:], None)


@pytest.mark.requirement("LB-05")
def test_buckets_are_listed_by_region(s3: RawClient, bucket: str) -> None:
    here = buckets(s3, bucket_region="us-east-1", prefix=bucket)
    assert (bucket in names(here), set(here.texts("Buckets/Bucket/BucketRegion"))) == (True, {"us-east-1"})
    assert names(buckets(s3, bucket_region="eu-west-1")) == []


@pytest.mark.requirement("LB-05", "LIST-12")
def test_an_empty_token_is_the_first_page_of_buckets(s3: RawClient, bucket: str) -> None:
    assert bucket in names(buckets(s3, continuation_token=""))


@pytest.mark.requirement("LB-05")
@pytest.mark.parametrize(
    ("name", "value"),
    [("max_buckets", "0"), ("max_buckets", "-1"), ("max_buckets", "10001"), ("max_buckets", "x"), ("max_buckets", ""),
     ("continuation_token", "never-issued")],
)  # fmt: skip
def test_values_out_of_range_are_refused(s3: RawClient, name: str, value: str) -> None:
    assert buckets(s3, **{name: value}).verdict == (400, "InvalidArgument")
