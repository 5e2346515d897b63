"""The compatibility annex: calls outside the tiers that tools in the field make. Each can be switched off."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import anys3
from anys3.spec import catalogue
from tests.rawclient import RawClient, Response, crc32_b64, md5_b64, md5_hex, sha256_b64
from tests.uploads import MIN_PART, filler, finished

CALLS = {
    "versioning": [("GET", "", "versioning")],
    "versions": [("GET", "", "versions")],
    "acl": [("GET", "", "acl"), ("GET", "/k", "acl")],
    "attributes": [("GET", "/k", "attributes")],
    "versionId": [("GET", "/k", "tagging&versionId=null")],
    "object-lock": [("GET", "", "object-lock")],
}
"""The calls of each annex; all but the last have something to tell."""
SERVED = {"object-lock": (404, "ObjectLockConfigurationNotFoundError")}
VARIANTS = [(annex, *call) for annex, calls in CALLS.items() for call in calls]


def put(s3: RawClient, path: str, body: bytes = b"content", **headers: str) -> None:
    """Put an object that must be accepted."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    assert s3.request("PUT", path, headers=lines, body=body).verdict == (200, "")


def attributes(s3: RawClient, path: str, *names: str, **headers: str) -> Response:
    """Send GetObjectAttributes."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return s3.request("GET", path, "attributes", {"x-amz-object-attributes": ",".join(names), **lines})


def headers_of(query: str) -> dict[str, str]:
    """Return the headers that a call of the annex needs."""
    return {"x-amz-object-attributes": "ETag"} if query.startswith("attributes") else {}


def client_of(server: anys3.Server) -> RawClient:
    """Return a client with the root key."""
    return RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)


@pytest.fixture(scope="module")
def switched() -> Iterator[Callable[[str | None], RawClient]]:
    """A function that returns a client of a server with one annex (None: without any)."""
    servers: dict[str | None, anys3.Server] = {}

    def client(annex: str | None) -> RawClient:
        if annex not in servers:
            servers[annex] = anys3.Server(buckets=["kept"], annex=annex or "none").start()
            put(client_of(servers[annex]), "/kept/k")
        return client_of(servers[annex])

    yield client
    for server in servers.values():
        server.stop()


# --- switches -----------------------------------------------------------------------------------------


def test_every_annex_has_its_switch() -> None:
    assert set(CALLS) == catalogue.annex_names()


@pytest.mark.parametrize(("annex", "method", "key", "query"), VARIANTS)
def test_an_annex_alone_serves_its_calls(
    switched: Callable[[str | None], RawClient], annex: str, method: str, key: str, query: str
) -> None:
    response = switched(annex).request(method, f"/kept{key}", query, headers_of(query))
    assert response.verdict == SERVED.get(annex, (200, ""))


@pytest.mark.requirement("HTTP-14", "HTTP-15")
@pytest.mark.parametrize(("annex", "method", "key", "query"), VARIANTS)
def test_without_the_annex_its_calls_are_refused(
    switched: Callable[[str | None], RawClient], annex: str, method: str, key: str, query: str
) -> None:
    s3 = switched(None)
    response = s3.request(method, f"/kept{key}", query, headers_of(query))
    assert response.verdict == (501, "NotImplemented")
    assert f"annex call {annex}," in (response.text("Message") or "")
    assert s3.request("GET", "/kept/k").body == b"content"


@pytest.mark.requirement("HTTP-14")
@pytest.mark.parametrize(
    ("key", "query"),
    [
        ("", "versioning"),
        ("", "versions"),
        ("", "acl"),
        ("/k", "acl"),
        ("/k", "attributes"),
        ("", "object-lock"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_the_annex_only_reads(s3: RawClient, bucket: str, key: str, query: str, method: str) -> None:
    put(s3, f"/{bucket}/k")
    assert s3.request(method, f"/{bucket}{key}", query).verdict == (501, "NotImplemented")
    assert s3.request("GET", f"/{bucket}/k").body == b"content"


@pytest.mark.requirement("AUTH-12", "AUTH-17")
@pytest.mark.parametrize(("annex", "method", "key", "query"), VARIANTS)
def test_the_annex_tells_nothing_to_those_without_rights(
    root: RawClient, root_bucket: str, stranger: RawClient, annex: str, method: str, key: str, query: str
) -> None:
    put(root, f"/{root_bucket}/k")
    path, headers = f"/{root_bucket}{key}", headers_of(query)
    assert stranger.request(method, path, query, headers).verdict == (403, "AccessDenied")
    assert root.open_url(method, f"{path}?{query}", headers).verdict == (403, "AccessDenied"), annex


@pytest.mark.requirement("ERR-02")
@pytest.mark.parametrize(("annex", "method", "key", "query"), VARIANTS)
def test_the_annex_knows_what_is_missing(
    s3: RawClient, bucket: str, new_name: Callable[[], str], annex: str, method: str, key: str, query: str
) -> None:
    headers = headers_of(query)
    missing = s3.request(method, f"/{new_name()}{key}", query, headers)
    assert missing.verdict == (404, "NoSuchBucket")
    expected = (404, "NoSuchKey") if key else SERVED.get(annex, (200, ""))
    assert s3.request(method, f"/{bucket}{key}", query, headers).verdict == expected


# --- versions -----------------------------------------------------------------------------------------


def test_versioning_was_never_enabled(s3: RawClient, bucket: str) -> None:
    response = s3.request("GET", f"/{bucket}", "versioning")
    assert (response.status, response.xml.tag, list(response.xml)) == (200, "VersioningConfiguration", [])


def test_current_objects_are_versions_called_null(s3: RawClient, bucket: str) -> None:
    put(s3, f"/{bucket}/a", b"one")
    put(s3, f"/{bucket}/b", b"three")
    response = s3.request("GET", f"/{bucket}", "versions")
    rows = [[row.findtext(name) for name in ("Key", "VersionId", "IsLatest", "Size", "ETag")]
            for row in response.xml.findall("Version")]  # fmt: skip
    assert (response.status, response.xml.tag) == (200, "ListVersionsResult")
    assert rows == [
        ["a", "null", "true", "3", f'"{md5_hex(b"one")}"'],
        ["b", "null", "true", "5", f'"{md5_hex(b"three")}"'],
    ]
    names = ("Name", "Prefix", "KeyMarker", "VersionIdMarker", "MaxKeys", "IsTruncated")
    assert [response.text(name) for name in names] == [bucket, "", "", "", "1000", "false"]
    assert response.texts("Version/StorageClass") == ["STANDARD", "STANDARD"]
    assert len(response.texts("Version/Owner/ID")) == 2
    assert response.texts("DeleteMarker") == []


def test_versions_are_listed_with_prefix_delimiter_and_pages(s3: RawClient, bucket: str) -> None:
    for key in ("a", "b/1", "b/2", "c"):
        put(s3, f"/{bucket}/{key}")
    first = s3.request("GET", f"/{bucket}", "versions&max-keys=2&delimiter=/")
    marks = [first.text(name) for name in ("IsTruncated", "NextKeyMarker", "NextVersionIdMarker")]
    assert (first.texts("Version/Key"), first.texts("CommonPrefixes/Prefix")) == (["a"], ["b/"])
    assert marks == ["true", "b/", "null"]
    rest = s3.request("GET", f"/{bucket}", "versions&delimiter=/&key-marker=b/&version-id-marker=null")
    assert (rest.texts("Version/Key"), rest.texts("CommonPrefixes/Prefix")) == (["c"], [])
    within = s3.request("GET", f"/{bucket}", "versions&prefix=b/&encoding-type=url")
    assert (within.texts("Version/Key"), within.text("EncodingType")) == (["b/1", "b/2"], "url")


def test_a_bucket_is_emptied_as_tools_do(s3: RawClient, bucket: str) -> None:
    for number in range(5):
        put(s3, f"/{bucket}/{number}")
    listed = s3.request("GET", f"/{bucket}", "versions")
    rows = zip(listed.texts("Version/Key"), listed.texts("Version/VersionId"), strict=True)
    objects = "".join(f"<Object><Key>{k}</Key><VersionId>{v}</VersionId></Object>" for k, v in rows)
    body = f"<Delete>{objects}</Delete>".encode()
    deleted = s3.request("POST", f"/{bucket}", "delete", {"content-md5": md5_b64(body)}, body)
    assert (deleted.status, deleted.texts("Error")) == (200, [])
    assert s3.request("DELETE", f"/{bucket}").status == 204


@pytest.mark.requirement("GET-06", "DEL-06")
def test_the_version_null_is_the_object(s3: RawClient, bucket: str) -> None:
    path, null = f"/{bucket}/k", "versionId=null"
    put(s3, path)
    tagging = b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    assert s3.request("PUT", path, f"tagging&{null}", body=tagging).status == 200
    assert s3.request("GET", path, f"tagging&{null}").texts("TagSet/Tag/Key") == ["a"]
    assert s3.request("GET", path, null).body == b"content"
    assert s3.request("HEAD", path, null).headers["content-length"] == "7"
    assert s3.request("DELETE", path, f"tagging&{null}").status == 204
    assert s3.request("DELETE", path, null).status == 204
    assert s3.request("HEAD", path).status == 404


@pytest.mark.requirement("GET-06", "DEL-06")
@pytest.mark.parametrize(
    ("version", "verdict"), [("other", (404, "NoSuchVersion")), ("", (400, "InvalidArgument"))]
)
@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "tagging&"),
        ("DELETE", "tagging&"),
        ("GET", "acl&"),
        ("GET", "attributes&"),
    ],
)
def test_another_version_is_refused_everywhere(
    s3: RawClient, bucket: str, method: str, query: str, version: str, verdict: tuple[int, str]
) -> None:
    put(s3, f"/{bucket}/k", x_amz_tagging="a=1")
    response = s3.request(method, f"/{bucket}/k", f"{query}versionId={version}", headers_of(query))
    assert response.verdict == verdict
    assert s3.request("HEAD", f"/{bucket}/k").headers["x-amz-tagging-count"] == "1"


# --- access control -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "/k"])
def test_the_owner_has_full_control_and_nobody_else_any(s3: RawClient, bucket: str, key: str) -> None:
    put(s3, f"/{bucket}/k")
    response = s3.request("GET", f"/{bucket}{key}", "acl")
    owner = response.text("Owner/ID")
    assert (response.status, response.xml.tag, bool(owner)) == (200, "AccessControlPolicy", True)
    assert response.texts("AccessControlList/Grant/Grantee/ID") == [owner]
    assert response.texts("AccessControlList/Grant/Permission") == ["FULL_CONTROL"]
    kind = "{http://www.w3.org/2001/XMLSchema-instance}type"
    assert [each.get(kind) for each in response.xml.iter("Grantee")] == ["CanonicalUser"]


def test_the_owner_of_a_listing_is_that_of_the_acl(stranger: RawClient, new_name: Callable[[], str]) -> None:
    name = new_name()
    stranger.request("PUT", f"/{name}")
    put(stranger, f"/{name}/k")
    owners = {
        stranger.request("GET", f"/{name}", "acl").text("Owner/ID"),
        stranger.request("GET", f"/{name}/k", "acl").text("Owner/ID"),
        stranger.request("GET", f"/{name}", "list-type=2&fetch-owner=true").text("Contents/Owner/ID"),
        stranger.request("GET", "/").text("Owner/ID"),
    }
    assert owners == {stranger.access_key_id}


# --- attributes ---------------------------------------------------------------------------------------


def test_the_attributes_that_are_asked_for_are_sent(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    put(s3, path, x_amz_checksum_crc32=crc32_b64(b"content"))
    response = attributes(s3, path, "ETag", "Checksum", "ObjectSize", "StorageClass", "ObjectParts")
    assert (response.status, response.xml.tag) == (200, "GetObjectAttributesResponse")
    assert [child.tag for child in response.xml] == ["ETag", "Checksum", "StorageClass", "ObjectSize"]
    names = ("ETag", "Checksum/ChecksumCRC32", "Checksum/ChecksumType", "StorageClass", "ObjectSize")
    assert [response.text(name) for name in names] == [
        md5_hex(b"content"), crc32_b64(b"content"), "FULL_OBJECT", "STANDARD", "7",
    ]  # fmt: skip
    assert response.headers["last-modified"] == s3.request("HEAD", path).headers["last-modified"]


@pytest.mark.parametrize("name", ["ETag", "ObjectSize", "StorageClass"])
def test_nothing_is_sent_that_was_not_asked_for(s3: RawClient, bucket: str, name: str) -> None:
    put(s3, f"/{bucket}/k")
    assert [child.tag for child in attributes(s3, f"/{bucket}/k", name).xml] == [name]


def test_the_parts_of_an_object_are_paged(s3: RawClient, bucket: str) -> None:
    bodies = [filler("one", MIN_PART), b"two"]
    finished(s3, bucket, "m", bodies, x_amz_checksum_algorithm="SHA256")
    first = attributes(s3, f"/{bucket}/m", "ObjectParts", "ObjectSize", x_amz_max_parts="1")
    names = ("TotalPartsCount", "PartNumberMarker", "NextPartNumberMarker", "MaxParts", "IsTruncated")
    values = [first.text(f"ObjectParts/{name}") for name in names]
    assert (values, first.text("ObjectSize")) == (["2", "0", "1", "1", "true"], str(MIN_PART + 3))
    rest = attributes(s3, f"/{bucket}/m", "ObjectParts", x_amz_part_number_marker="1")
    part = rest.xml.findall("ObjectParts/Part")
    assert [(each.findtext("PartNumber"), each.findtext("Size")) for each in part] == [("2", "3")]
    assert [each.findtext("ChecksumSHA256") for each in part] == [sha256_b64(b"two")]
    assert rest.text("ObjectParts/IsTruncated") == "false"


@pytest.mark.parametrize("names", ["", "Colour", "ETag,Colour", "etag"])
def test_an_unknown_attribute_is_refused(s3: RawClient, bucket: str, names: str) -> None:
    put(s3, f"/{bucket}/k")
    assert attributes(s3, f"/{bucket}/k", names).verdict == (400, "InvalidArgument")


def test_attributes_have_to_be_named(s3: RawClient, bucket: str) -> None:
    put(s3, f"/{bucket}/k")
    assert s3.request("GET", f"/{bucket}/k", "attributes").verdict == (400, "InvalidArgument")


@pytest.mark.parametrize("value", ["-1", "x", ""])
def test_a_wrong_page_of_parts_is_refused(s3: RawClient, bucket: str, value: str) -> None:
    put(s3, f"/{bucket}/k")
    response = attributes(s3, f"/{bucket}/k", "ObjectParts", x_amz_max_parts=value)
    assert response.verdict == (400, "InvalidArgument")


@pytest.mark.requirement("HTTP-14")
def test_there_is_no_lock_configuration(s3: RawClient, bucket: str) -> None:
    response = s3.request("GET", f"/{bucket}", "object-lock")
    assert response.verdict == (404, "ObjectLockConfigurationNotFoundError")
