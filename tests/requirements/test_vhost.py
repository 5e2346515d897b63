"""Virtual-hosted style: VH."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import anys3
from tests.rawclient import RawClient

DOMAIN = "s3.example.org"


@pytest.fixture(scope="module", params=["memory", "embedded"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[anys3.Server]:
    """A server that answers to a domain of its own."""
    directory: Path | None = None
    if request.param == "embedded":
        directory = tmp_path_factory.mktemp("vhost") / "data"
    with anys3.Server(directory=directory, domains=[DOMAIN]) as running:
        yield running


@pytest.mark.requirement("VH-01", "VH-05")
@pytest.mark.parametrize("port", ["", ":9000", ":443"])
def test_the_host_names_the_bucket(s3: RawClient, bucket: str, port: str) -> None:
    host = f"{bucket}.{DOMAIN}{port}"
    assert s3.request("PUT", "/a/k", headers={"x-amz-meta-a": "1"}, body=b"x", host=host).status == 200
    assert s3.request("GET", "/a/k", host=host).body == b"x"
    assert s3.request("HEAD", "/a/k", host=host).headers["x-amz-meta-a"] == "1"
    assert s3.request("GET", f"/{bucket}/a/k").body == b"x"
    assert s3.request("GET", f"/{bucket}/a/k", host=f"{DOMAIN}{port}").body == b"x"


@pytest.mark.requirement("VH-01", "VH-05")
def test_the_root_of_a_buckets_host_is_the_bucket(s3: RawClient, bucket: str) -> None:
    host = f"{bucket}.{DOMAIN}"
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    assert s3.request("HEAD", "/", host=host).status == 200
    assert s3.request("GET", "/", [("list-type", "2")], host=host).texts("Contents/Key") == ["k"]
    assert s3.request("GET", "/", [("location", "")], host=host).xml.tag == "LocationConstraint"
    upload = s3.request("POST", "/m", [("uploads", "")], host=host)
    upload_id = upload.text("UploadId") or ""
    assert (upload.text("Bucket"), upload.text("Key")) == (bucket, "m")
    part = s3.request("PUT", "/m", [("partNumber", "1"), ("uploadId", upload_id)], body=b"y", host=host)
    assert part.status == 200
    assert s3.request("DELETE", "/m", [("uploadId", upload_id)], host=host).status == 204
    copy = s3.request("PUT", "/copy", headers={"x-amz-copy-source": f"/{bucket}/k"}, host=host)
    assert copy.status == 200
    assert s3.request("DELETE", "/copy", host=host).status == 204
    assert s3.request("DELETE", "/k", host=host).status == 204
    assert s3.request("DELETE", "/", host=host).status == 204
    assert s3.request("HEAD", f"/{bucket}").status == 404


@pytest.mark.requirement("VH-01")
def test_a_bucket_is_made_by_its_host(s3: RawClient, new_name: Callable[[], str]) -> None:
    name = new_name()
    assert s3.request("PUT", "/", host=f"{name}.{DOMAIN}").status == 200
    assert s3.request("HEAD", f"/{name}").status == 200


@pytest.mark.requirement("VH-01", "PRE-01")
def test_presigned_urls_work_on_a_buckets_host(s3: RawClient, bucket: str) -> None:
    host = f"{bucket}.{DOMAIN}"
    put = s3.presign("PUT", "/k", headers={"host": host})
    assert s3.open_url("PUT", put, {"host": host}, b"x").status == 200
    get = s3.presign("GET", "/k", headers={"host": host})
    assert s3.open_url("GET", get, {"host": host}).body == b"x"
    assert s3.open_url("GET", get).verdict[0] in (403, 404)


@pytest.mark.requirement("VH-01")
def test_a_signature_for_one_host_is_not_one_for_another(
    s3: RawClient, bucket: str, new_name: Callable[[], str]
) -> None:
    other = new_name()
    s3.request("PUT", f"/{other}")
    s3.request("PUT", f"/{other}/k", body=b"secret")
    response = s3.request(
        "GET", "/k", host=f"{bucket}.{DOMAIN}", unsigned_headers={"host": f"{other}.{DOMAIN}"}
    )
    assert response.verdict == (403, "SignatureDoesNotMatch")


@pytest.mark.requirement("VH-02")
def test_a_bucket_with_dots_is_reached_by_path(s3: RawClient, new_name: Callable[[], str]) -> None:
    name = f"a.{new_name()}"
    assert s3.request("PUT", f"/{name}", host=DOMAIN).status == 200
    s3.request("PUT", f"/{name}/k", body=b"x", host=DOMAIN)
    assert s3.request("GET", f"/{name}/k", host=DOMAIN).body == b"x"


@pytest.mark.requirement("VH-03")
@pytest.mark.parametrize(
    "host",
    ["{bucket}.example.com", "{bucket}.s3.example.org.evil.com", "{bucket}evil", "x.{bucket}.s3.example.org"],
)
def test_a_foreign_host_addresses_by_path(
    s3: RawClient, bucket: str, new_name: Callable[[], str], host: str
) -> None:
    other = new_name()
    s3.request("PUT", f"/{other}")
    s3.request("PUT", f"/{other}/k", body=b"by path")
    s3.request("PUT", f"/{bucket}/{other}/k", body=b"by host")
    assert s3.request("GET", f"/{other}/k", host=host.format(bucket=bucket)).body == b"by path"


@pytest.mark.requirement("VH-04")
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/k"), ("PUT", "/k"), ("DELETE", "/")])
def test_a_missing_bucket_is_missing_by_host_too(
    s3: RawClient, new_name: Callable[[], str], method: str, path: str
) -> None:
    assert s3.request(method, path, host=f"{new_name()}.{DOMAIN}").verdict == (404, "NoSuchBucket")


@pytest.mark.requirement("VH-05")
def test_the_whole_path_is_the_key(s3: RawClient, bucket: str) -> None:
    host = f"{bucket}.{DOMAIN}"
    paths = ("/b/k", f"/{bucket}/k", "//k", "/a%2Fb")
    assert [s3.request("PUT", path, body=path.encode(), host=host).status for path in paths] == [200] * 4
    listed = s3.request("GET", f"/{bucket}", [("list-type", "2")]).texts("Contents/Key")
    assert listed == sorted(["b/k", f"{bucket}/k", "/k", "a/b"])


@pytest.mark.requirement("VH-05")
@pytest.mark.parametrize("write", [str.upper, str.title, lambda host: f"{host}:80"])
def test_hosts_match_in_any_case_and_with_any_port(
    s3: RawClient, bucket: str, write: Callable[[str], str]
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    assert s3.request("GET", "/k", host=write(f"{bucket}.{DOMAIN}")).body == b"x"
    assert s3.request("GET", f"/{bucket}/k", host=write(DOMAIN)).body == b"x"
