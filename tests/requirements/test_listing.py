"""ListObjectsV2 and ListObjects: LIST."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

import anys3
from tests.keepalive import KeepAlive
from tests.processes import ServerProcess
from tests.rawclient import RawClient, Response, encode_query, key_path, md5_hex
from tests.uploads import begin

HARD_KEYS = [
    " ",
    "%",
    "%2F",
    "+",
    "a b",
    "a&b",
    "<a>",
    '"',
    "'",
    "]]>",
    "\t",
    "\r\n",
    "é",
    "\ufffd",
    "\U00010000",
]


def put(s3: RawClient, bucket: str, *keys: str) -> None:
    """Put objects that must be accepted."""
    with KeepAlive(s3) as connection:
        assert {connection.request("PUT", key_path(bucket, key), body=b"x").status for key in keys} <= {200}


def list_v2(s3: RawClient, bucket: str, **query: object) -> Response:
    """Send ListObjectsV2."""
    pairs = [(name.replace("_", "-"), str(value)) for name, value in query.items()]
    return s3.request("GET", f"/{bucket}", [("list-type", "2"), *pairs])


def list_v1(s3: RawClient, bucket: str, **query: object) -> Response:
    """Send ListObjects."""
    return s3.request(
        "GET", f"/{bucket}", [(name.replace("_", "-"), str(value)) for name, value in query.items()]
    )


def keys(response: Response) -> list[str]:
    """Return the keys of a page."""
    assert response.verdict == (200, "")
    return response.texts("Contents/Key")


def prefixes(response: Response) -> list[str]:
    """Return the common prefixes of a page."""
    return response.texts("CommonPrefixes/Prefix")


def connections_to_each_worker(s3: RawClient) -> list[KeepAlive]:
    """Return one connection to each worker; request ids begin with what is the worker's own."""
    workers: dict[str, KeepAlive] = {}
    for _ in range(64):
        connection = KeepAlive(s3)
        worker = connection.request("GET", "/").headers["x-amz-request-id"][:8]
        if workers.setdefault(worker, connection) is not connection:
            connection.close()
    return list(workers.values())


@pytest.mark.requirement("LIST-01")
def test_a_listing_has_all_its_elements(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "p/a", "p/b")
    response = list_v2(s3, bucket, prefix="p/")
    names = ("Name", "Prefix", "KeyCount", "MaxKeys", "IsTruncated")
    assert (response.status, response.xml.tag) == (200, "ListBucketResult")
    assert [response.text(name) for name in names] == [bucket, "p/", "2", "1000", "false"]
    first = {child.tag: child.text for child in response.xml.findall("Contents")[0]}
    modified = first.pop("LastModified") or ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", modified)
    expected = {"Key": "p/a", "ETag": f'"{md5_hex(b"x")}"', "Size": "1", "StorageClass": "STANDARD"}
    assert {name: first[name] for name in expected} == expected


@pytest.mark.requirement("LIST-01")
def test_a_listing_of_an_empty_bucket_has_no_rows(s3: RawClient, bucket: str) -> None:
    response = list_v2(s3, bucket)
    assert (keys(response), response.text("KeyCount"), response.text("IsTruncated")) == ([], "0", "false")


@pytest.mark.requirement("LIST-02")
def test_keys_ascend_in_utf_8_order(s3: RawClient, bucket: str) -> None:
    ordered = ["A", "B", "_", "a", "a b", "a-", "a/", "aa", "z", "é", "\ufffd", "\U00010000", "\U0010ffff"]
    put(s3, bucket, *reversed(ordered))
    assert keys(list_v2(s3, bucket)) == ordered
    assert keys(list_v1(s3, bucket)) == ordered


@pytest.mark.requirement("LIST-03")
@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a", "a/", "a/b", "ab", "b", "é"]),
        ("a", ["a", "a/", "a/b", "ab"]),
        ("a/", ["a/", "a/b"]),
        ("/a", []),
        ("a/b/", []),
        ("é", ["é"]),
        ("A", []),
    ],
)
def test_a_prefix_is_a_prefix_of_bytes(s3: RawClient, bucket: str, prefix: str, expected: list[str]) -> None:
    put(s3, bucket, "a", "a/", "a/b", "ab", "b", "é")
    assert keys(list_v2(s3, bucket, prefix=prefix)) == expected


@pytest.mark.requirement("LIST-03")
def test_a_prefix_may_end_within_a_name_and_in_any_character(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a\U0010ffff", "a\U0010ffffb", "b")
    assert keys(list_v2(s3, bucket, prefix="a\U0010ffff")) == ["a\U0010ffff", "a\U0010ffffb"]


@pytest.mark.requirement("LIST-04")
@pytest.mark.parametrize(
    ("prefix", "delimiter", "expected"),
    [
        ("", "/", (["a"], ["/", "a/", "b/"])),
        ("a/", "/", (["a/"], ["a/b/", "a//"])),
        ("a", "/", (["a"], ["a/"])),
        ("", "b/", (["/x", "a", "a/", "a//c"], ["a/b/", "b/"])),
        ("", "", (["/x", "a", "a/", "a//c", "a/b/c", "a/b/d", "b/c"], [])),
        ("", "z", (["/x", "a", "a/", "a//c", "a/b/c", "a/b/d", "b/c"], [])),
        ("a/b/", "/", (["a/b/c", "a/b/d"], [])),
    ],
)
def test_keys_roll_up_at_the_first_delimiter_behind_the_prefix(
    s3: RawClient, bucket: str, prefix: str, delimiter: str, expected: tuple[list[str], list[str]]
) -> None:
    put(s3, bucket, "/x", "a", "a/", "a//c", "a/b/c", "a/b/d", "b/c")
    response = list_v2(s3, bucket, prefix=prefix, delimiter=delimiter)
    assert (keys(response), sorted(prefixes(response))) == (expected[0], sorted(expected[1]))
    assert response.text("Delimiter") == (delimiter or None)
    assert response.text("KeyCount") == str(len(expected[0]) + len(expected[1]))


@pytest.mark.requirement("LIST-05")
def test_each_common_prefix_counts_once_in_the_whole_listing(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", "b/1", "b/2", "b/3", "c", "d/1", "d/2")
    pages, token = [], {}
    for _ in range(4):
        page = list_v2(s3, bucket, delimiter="/", max_keys=1, **token)
        pages.append((keys(page), prefixes(page), page.text("KeyCount"), page.text("IsTruncated")))
        token = {"continuation_token": page.text("NextContinuationToken")}
    assert pages == [
        (["a"], [], "1", "true"),
        ([], ["b/"], "1", "true"),
        (["c"], [], "1", "true"),
        ([], ["d/"], "1", "false"),
    ]


@pytest.mark.requirement("LIST-06")
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_a_key_equal_to_the_prefix_is_listed(s3: RawClient, bucket: str, delimiter: str) -> None:
    put(s3, bucket, "a/", "a/b")
    response = list_v2(s3, bucket, prefix="a/", delimiter=delimiter)
    assert (keys(response), prefixes(response)) == (["a/", "a/b"], [])


@pytest.mark.requirement("LIST-07", "LIST-10")
def test_a_page_has_at_most_a_thousand_entries(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, *(f"{number:04}" for number in range(1001)))
    by_default, wanting_more = list_v2(s3, bucket), list_v2(s3, bucket, max_keys=5000)
    first = list_v1(s3, bucket)
    assert (len(keys(by_default)), by_default.text("MaxKeys"), by_default.text("IsTruncated")) == (
        1000,
        "1000",
        "true",
    )
    assert (len(keys(wanting_more)), wanting_more.text("MaxKeys")) == (1000, "1000")
    assert (len(keys(first)), first.text("IsTruncated")) == (1000, "true")
    rest = list_v2(s3, bucket, continuation_token=by_default.text("NextContinuationToken"))
    assert (keys(rest), rest.text("IsTruncated")) == (["1000"], "false")


@pytest.mark.requirement("LIST-07", "LIST-10")
def test_a_page_that_holds_exactly_all_entries_is_not_truncated(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", "b")
    page = list_v2(s3, bucket, max_keys=2)
    assert (keys(page), page.text("IsTruncated")) == (["a", "b"], "false")
    assert page.text("NextContinuationToken") is None


@pytest.mark.requirement("LIST-08")
@pytest.mark.parametrize("lister", [list_v2, list_v1])
def test_no_keys_asked_for_is_an_empty_page(
    s3: RawClient, bucket: str, lister: Callable[..., Response]
) -> None:
    put(s3, bucket, "a")
    response = lister(s3, bucket, max_keys=0)
    assert (keys(response), response.text("IsTruncated"), response.text("MaxKeys")) == ([], "false", "0")
    assert response.text("NextContinuationToken") is None


@pytest.mark.requirement("LIST-09")
@pytest.mark.parametrize("value", ["-1", "x", "1.5", "", "+1", "1e3", "٣", "99999999999999999999"])
@pytest.mark.parametrize("lister", [list_v2, list_v1])
def test_max_keys_that_is_no_number_is_refused(
    s3: RawClient, bucket: str, lister: Callable[..., Response], value: str
) -> None:
    assert lister(s3, bucket, max_keys=value).verdict == (400, "InvalidArgument")


@pytest.mark.requirement("LIST-10")
def test_only_a_truncated_page_has_a_token(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", "b", "c")
    first = list_v2(s3, bucket, max_keys=2)
    token = first.text("NextContinuationToken")
    last = list_v2(s3, bucket, max_keys=2, continuation_token=token)
    assert (keys(first), first.text("IsTruncated"), bool(token)) == (["a", "b"], "true", True)
    assert (keys(last), last.text("IsTruncated")) == (["c"], "false")
    assert (last.text("NextContinuationToken"), last.text("ContinuationToken")) == (None, token)


@pytest.mark.requirement("LIST-11", "LIST-22")
def test_a_token_resumes_behind_its_key_even_if_that_was_deleted(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", "b", "c", "d")
    token = list_v2(s3, bucket, max_keys=2).text("NextContinuationToken")
    s3.request("DELETE", f"/{bucket}/b")
    put(s3, bucket, "aa", "bb")
    assert keys(list_v2(s3, bucket, continuation_token=token)) == ["bb", "c", "d"]


@pytest.mark.requirement("LIST-11")
def test_a_token_resumes_behind_a_common_prefix(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a/1", "a/2", "b")
    token = list_v2(s3, bucket, max_keys=1, delimiter="/").text("NextContinuationToken")
    put(s3, bucket, "a/0", "a/\U0010ffff")
    rest = list_v2(s3, bucket, continuation_token=token, delimiter="/")
    assert (keys(rest), prefixes(rest)) == (["b"], [])


@pytest.mark.requirement("LIST-12")
@pytest.mark.parametrize("token", ["", "x", "a", "YQ==", "AAAA", "..", "%", "\U0001f600", "1" * 5000])
def test_a_token_that_was_not_issued_is_refused(s3: RawClient, bucket: str, token: str) -> None:
    put(s3, bucket, "a", "b")
    response = list_v2(s3, bucket, prefix="a", continuation_token=token)
    assert response.verdict == (400, "InvalidArgument")


@pytest.mark.requirement("LIST-12")
def test_a_token_never_leads_out_of_the_prefix(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a/1", "b/1", "b/2", "c/1")
    token = list_v2(s3, bucket, max_keys=1).text("NextContinuationToken")
    after = list_v2(s3, bucket, prefix="c/", max_keys=1).text("NextContinuationToken")
    assert (keys(list_v2(s3, bucket, prefix="b/", continuation_token=token)), after) == (["b/1", "b/2"], None)


@pytest.mark.requirement("LIST-13")
def test_a_token_survives_a_restart(tmp_path: Path) -> None:
    with anys3.Server(directory=tmp_path / "data", buckets=["kept"]) as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        put(s3, "kept", "a", "b", "c")
        token = list_v2(s3, "kept", max_keys=1).text("NextContinuationToken")
    with anys3.Server(directory=tmp_path / "data") as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        assert keys(list_v2(s3, "kept", continuation_token=token)) == ["b", "c"]


@pytest.mark.requirement("LIST-14")
@pytest.mark.parametrize(
    ("start_after", "expected"),
    [
        ("a", ["b", "c"]),
        ("aa", ["b", "c"]),
        ("", ["a", "b", "c"]),
        ("c", []),
        ("zz", []),
        ("A", ["a", "b", "c"]),
    ],
)
def test_a_listing_starts_strictly_after_a_key(
    s3: RawClient, bucket: str, start_after: str, expected: list[str]
) -> None:
    put(s3, bucket, "a", "b", "c")
    response = list_v2(s3, bucket, start_after=start_after)
    assert (keys(response), response.text("StartAfter") or "") == (expected, start_after)


@pytest.mark.requirement("LIST-14")
def test_start_after_is_ignored_beside_a_token(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", "b", "c")
    token = list_v2(s3, bucket, max_keys=1).text("NextContinuationToken")
    assert keys(list_v2(s3, bucket, continuation_token=token, start_after="c")) == ["b", "c"]


@pytest.mark.requirement("LIST-14")
def test_start_after_works_within_a_prefix_and_with_a_delimiter(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a/1", "a/2", "b/1", "b/2", "c")
    within = list_v2(s3, bucket, prefix="b/", start_after="a/2")
    rolled = list_v2(s3, bucket, delimiter="/", start_after="a/1")
    assert keys(within) == ["b/1", "b/2"]
    assert (keys(rolled), prefixes(rolled)) == (["c"], ["b/"])


@pytest.mark.requirement("LIST-15", "LIST-16")
def test_everything_but_tokens_is_percent_encoded_on_request(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a b/", "a b/+1", "a b/+2/x", "a b/+2+x")
    query = {"prefix": "a b/", "delimiter": "+x", "start_after": "a b/+", "encoding_type": "url"}
    response = list_v2(s3, bucket, **query)
    assert [response.text(name) for name in ("EncodingType", "Prefix", "Delimiter", "StartAfter")] == [
        "url", "a%20b/", "%2Bx", "a%20b/%2B",
    ]  # fmt: skip
    assert (keys(response), prefixes(response)) == (["a%20b/%2B1", "a%20b/%2B2/x"], ["a%20b/%2B2%2Bx"])
    page = list_v2(s3, bucket, max_keys=1, encoding_type="url")
    assert keys(list_v2(s3, bucket, continuation_token=page.text("NextContinuationToken"))) == [
        "a b/+1", "a b/+2+x", "a b/+2/x",
    ]  # fmt: skip


@pytest.mark.requirement("LIST-15", "LIST-16")
@pytest.mark.parametrize("lister", [list_v2, list_v1])
def test_encoded_keys_decode_as_forms_do(s3: RawClient, bucket: str, lister: Callable[..., Response]) -> None:
    stored = sorted([*HARD_KEYS, "\x01", "\ufffe", "a/b/", "~-._"], key=str.encode)
    put(s3, bucket, *stored)
    encoded = keys(lister(s3, bucket, encoding_type="url"))
    assert [unquote_plus(key) for key in encoded] == stored
    assert {key for key in encoded if not re.fullmatch("(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", key)} == set()


@pytest.mark.requirement("LIST-17")
@pytest.mark.parametrize("value", ["", "URL", "xml", "base64"])
@pytest.mark.parametrize("lister", [list_v2, list_v1])
def test_another_encoding_is_refused(
    s3: RawClient, bucket: str, lister: Callable[..., Response], value: str
) -> None:
    assert lister(s3, bucket, encoding_type=value).verdict == (400, "InvalidArgument")


@pytest.mark.requirement("LIST-18", "KEY-05")
def test_every_key_that_xml_can_carry_is_escaped(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, *HARD_KEYS)
    response = list_v2(s3, bucket)
    assert keys(response) == sorted(HARD_KEYS, key=str.encode)


@pytest.mark.requirement("LIST-18", "KEY-05")
@pytest.mark.parametrize("key", ["a\x01b/c", "a\x1f/c", "\ufffe/c", "\uffff/c", "\x0b/c"])
def test_a_key_that_xml_cannot_carry_leaves_the_listing_well_formed(
    s3: RawClient, bucket: str, key: str
) -> None:
    put(s3, bucket, key, "\U0010ffff")
    rolled = list_v2(s3, bucket, delimiter="/", prefix=key[0], start_after=key[0])
    assert (len(prefixes(rolled)), keys(list_v2(s3, bucket))[-1]) == (1, "\U0010ffff")
    assert keys(list_v1(s3, bucket))[-1] == "\U0010ffff"


@pytest.mark.requirement("LIST-19")
def test_the_owner_is_listed_on_request(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a")
    asked = list_v2(s3, bucket, fetch_owner="true").texts("Contents/Owner/ID")
    assert (len(asked), asked[0] != "") == (1, True)
    assert list_v2(s3, bucket).texts("Contents/Owner") == []
    assert list_v2(s3, bucket, fetch_owner="false").texts("Contents/Owner") == []


@pytest.mark.requirement("LIST-20", "HTTP-20")
@pytest.mark.parametrize("size", [0, 1, 200_000])
def test_a_row_agrees_with_head(s3: RawClient, bucket: str, size: int) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x" * size)
    head = s3.request("HEAD", f"/{bucket}/k").headers
    row = list_v2(s3, bucket)
    modified = row.text("Contents/LastModified") or ""
    assert (row.text("Contents/Size"), row.text("Contents/ETag")) == (head["content-length"], head["etag"])
    assert modified[11:19] == head["last-modified"][17:25]
    assert modified[8:10] == head["last-modified"][5:7]


@pytest.mark.requirement("LIST-21", "CON-03", "CON-04")
def test_a_listing_reflects_every_write_that_was_answered(s3: RawClient, bucket: str) -> None:
    seen = []
    for number in range(20):
        s3.request("PUT", f"/{bucket}/{number:02}", body=b"x")
        after_put = keys(list_v2(s3, bucket))
        s3.request("DELETE", f"/{bucket}/{number:02}")
        seen.append((after_put, keys(list_v2(s3, bucket))))
    assert seen == [([f"{number:02}"], []) for number in range(20)]


@pytest.mark.requirement("LIST-21")
@pytest.mark.known_mistake(53)
def test_two_workers_agree_on_every_listing(tmp_path: Path) -> None:
    """seaweedfs#4222: nodes disagreed on a listing."""
    with ExitStack() as stack:
        server = ServerProcess(tmp_path / "data", "--workers", "2")
        stack.callback(server.close)
        server.start()
        assert server.s3.request("PUT", "/shared").status == 200
        one, two = (stack.enter_context(each) for each in connections_to_each_worker(server.s3))
        differences = []
        for number in range(30):
            writer, reader = (one, two) if number % 2 else (two, one)
            writer.request("PUT", f"/shared/{number:02}", body=b"x")
            writer.request("DELETE", f"/shared/{number - 3:02}")
            pages = [each.request("GET", "/shared", "list-type=2") for each in (reader, writer)]
            differences.append([keys(page) for page in pages])
    assert differences == [
        [[f"{kept:02}" for kept in range(max(0, number - 2), number + 1)]] * 2 for number in range(30)
    ]


@pytest.mark.requirement("LIST-23")
def test_unfinished_uploads_and_parts_are_never_listed(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a")
    upload = begin(s3, bucket, "b")
    upload.put(1, b"y" * 200_000)
    assert keys(list_v2(s3, bucket)) == ["a"]
    assert keys(list_v1(s3, bucket)) == ["a"]
    assert prefixes(list_v2(s3, bucket, delimiter="/")) == []


@pytest.mark.requirement("LIST-23", "PUT-11")
@pytest.mark.known_mistake(44)
def test_what_an_interrupted_put_left_is_never_listed(s3: RawClient, bucket: str) -> None:
    """minio#21268: what lay around without metadata was listed."""
    lines = s3.sign("PUT", f"/{bucket}/k", "", {"host": s3.host}, b"", "UNSIGNED-PAYLOAD")
    lines["content-length"] = "3000000"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with s3.connect() as connection:
        connection.sendall(f"PUT /{bucket}/k HTTP/1.1\r\n{head}\r\n".encode() + b"x" * 2_000_000)
        assert keys(list_v2(s3, bucket)) == []
    assert keys(list_v2(s3, bucket)) == []


@pytest.mark.requirement("LIST-24")
@pytest.mark.parametrize("lister", [list_v2, list_v1])
def test_a_listing_of_a_missing_bucket_is_no_such_bucket(
    s3: RawClient, new_name: Callable[[], str], lister: Callable[..., Response]
) -> None:
    assert lister(s3, new_name()).verdict == (404, "NoSuchBucket")


@pytest.mark.requirement("LIST-25")
def test_version_1_has_markers_and_owners(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "p/a", "p/b", "p/c/1", "p/c/2", "p/d")
    response = list_v1(s3, bucket, prefix="p/", marker="p/a", delimiter="/", max_keys=2)
    names = ("Name", "Prefix", "Marker", "MaxKeys", "Delimiter", "IsTruncated", "NextMarker")
    assert [response.text(name) for name in names] == [bucket, "p/", "p/a", "2", "/", "true", "p/c/"]
    assert (keys(response), prefixes(response)) == (["p/b"], ["p/c/"])
    assert response.text("Contents/Owner/ID")
    rest = list_v1(s3, bucket, prefix="p/", delimiter="/", marker="p/c/")
    assert (keys(rest), prefixes(rest), rest.text("NextMarker")) == (["p/d"], [], None)
    assert (rest.text("KeyCount"), rest.text("NextContinuationToken")) == (None, None)


@pytest.mark.requirement("LIST-25")
def test_version_1_without_a_delimiter_is_resumed_at_the_last_key(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", "b", "c")
    first = list_v1(s3, bucket, max_keys=2)
    assert (keys(first), first.text("IsTruncated"), first.text("NextMarker")) == (["a", "b"], "true", None)
    assert (keys(list_v1(s3, bucket, marker="b")), first.text("Marker")) == (["c"], "")


@pytest.mark.requirement("LIST-25", "LIST-15")
def test_version_1_encodes_its_markers_too(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a b/1", "a b/2", "a+c", "z")
    response = list_v1(s3, bucket, marker="a +", delimiter="/", max_keys=1, encoding_type="url")
    assert [response.text(name) for name in ("Marker", "NextMarker", "EncodingType")] == [
        "a%20%2B", "a%20b/", "url",
    ]  # fmt: skip


@pytest.mark.requirement("LIST-25", "HTTP-14")
@pytest.mark.parametrize("list_type", ["1", "3", "", "x"])
def test_another_list_type_is_not_taken_for_a_listing(s3: RawClient, bucket: str, list_type: str) -> None:
    response = s3.request("GET", f"/{bucket}", encode_query([("list-type", list_type)]))
    assert response.verdict == (400, "InvalidArgument")
