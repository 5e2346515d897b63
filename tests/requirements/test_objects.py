"""PutObject, GetObject, HeadObject, DeleteObject: PUT, GET, HEAD, DEL."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

import anys3
from tests.rawclient import RawClient, key_path, md5_hex, read_response, render

CONTENT_HEADERS = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "max-age=60",
    "content-disposition": 'attachment; filename="a.txt"',
    "content-encoding": "gzip",
    "content-language": "de",
    "expires": "Thu, 01 Dec 2044 16:00:00 GMT",
}


def put(s3: RawClient, bucket: str, key: str, body: bytes = b"x", **headers: str) -> None:
    """Put an object that must be accepted."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = s3.request("PUT", key_path(bucket, key), headers=sent, body=body)
    assert response.verdict == (200, "")


@pytest.mark.requirement("PUT-01", "PUT-02", "HTTP-21")
def test_a_put_answers_200_with_the_quoted_md5_and_no_body(s3: RawClient, bucket: str) -> None:
    response = s3.request("PUT", f"/{bucket}/k", body=b"hello")
    assert (response.status, response.headers["etag"], response.body) == (200, f'"{md5_hex(b"hello")}"', b"")


@pytest.mark.requirement("PUT-03")
def test_a_zero_byte_object_has_the_etag_of_nothing(s3: RawClient, bucket: str) -> None:
    response = s3.request("PUT", f"/{bucket}/empty", body=b"")
    assert response.headers["etag"] == '"d41d8cd98f00b204e9800998ecf8427e"'
    assert s3.request("GET", f"/{bucket}/empty").body == b""


@pytest.mark.requirement("PUT-04", "GET-01")
@pytest.mark.parametrize("size", [1, 131_072, 131_073, 1 << 20, (1 << 20) + 1, 9_000_001])
def test_objects_of_every_size_class_come_back_as_they_were_put(
    s3: RawClient, bucket: str, size: int
) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    put(s3, bucket, "k", content[:size])
    response = s3.request("GET", f"/{bucket}/k")
    assert (response.status, len(response.body), md5_hex(response.body)) == (
        200,
        size,
        md5_hex(content[:size]),
    )


@pytest.mark.requirement("PUT-05", "HTTP-26")
def test_a_put_above_5_gib_is_refused_before_the_object_is_replaced(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", b"old")
    lines = s3.sign("PUT", f"/{bucket}/k", "", {"host": s3.host}, b"", "UNSIGNED-PAYLOAD")
    lines["content-length"] = str((5 << 30) + 1)
    response = s3.send(render("PUT", f"/{bucket}/k", lines), "PUT")
    assert response.verdict == (400, "EntityTooLarge")
    assert s3.request("GET", f"/{bucket}/k").body == b"old"


@pytest.mark.requirement("PUT-06")
def test_an_overwrite_replaces_content_headers_and_metadata_as_one_unit(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", b"old", cache_control="no-cache", x_amz_meta_a="1")
    put(s3, bucket, "k", b"new", x_amz_meta_b="2")
    response = s3.request("GET", f"/{bucket}/k")
    assert (response.body, response.headers["x-amz-meta-b"]) == (b"new", "2")
    assert "cache-control" not in response.headers
    assert "x-amz-meta-a" not in response.headers


@pytest.mark.requirement("PUT-07")
def test_a_missing_content_type_is_stored_as_binary_octet_stream(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k")
    assert s3.request("GET", f"/{bucket}/k").headers["content-type"] == "binary/octet-stream"


@pytest.mark.requirement("PUT-08")
@pytest.mark.parametrize("name", CONTENT_HEADERS)
def test_content_headers_are_stored_and_returned_as_sent(s3: RawClient, bucket: str, name: str) -> None:
    put(s3, bucket, "k", **CONTENT_HEADERS)
    assert s3.request("GET", f"/{bucket}/k").headers[name] == CONTENT_HEADERS[name]


@pytest.mark.requirement("PUT-09")
def test_user_metadata_in_ascii_round_trips(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", x_amz_meta_colour="deep blue; #00f")
    assert s3.request("HEAD", f"/{bucket}/k").headers["x-amz-meta-colour"] == "deep blue; #00f"


@pytest.mark.requirement("PUT-10", "ERR-02", "DEL-03")
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_an_object_in_a_missing_bucket_is_no_such_bucket(
    s3: RawClient, new_name: Callable[[], str], method: str
) -> None:
    assert s3.request(method, f"/{new_name()}/k").verdict == (404, "NoSuchBucket")


@pytest.mark.requirement("PUT-11", "HTTP-10")
@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_put_cut_in_mid_body_leaves_the_previous_object(s3: RawClient, bucket: str, size: int) -> None:
    put(s3, bucket, "k", b"old")
    lines = s3.sign("PUT", f"/{bucket}/k", "", {"host": s3.host}, b"", "UNSIGNED-PAYLOAD")
    lines["content-length"] = str(size)
    with s3.connect() as connection:
        connection.sendall(render("PUT", f"/{bucket}/k", lines) + b"x" * (size // 2))
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert not answer.startswith(b"HTTP/1.1 2")
    assert s3.request("GET", f"/{bucket}/k").body == b"old"


@pytest.mark.requirement("PUT-12", "HTTP-27")
def test_the_storage_class_standard_is_accepted_and_an_unknown_one_is_not(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", x_amz_storage_class="STANDARD")
    refused = s3.request("PUT", f"/{bucket}/k2", headers={"x-amz-storage-class": "FAKE_CLASS"}, body=b"x")
    assert refused.verdict == (400, "InvalidStorageClass")
    assert s3.request("HEAD", f"/{bucket}/k2").status == 404


@pytest.mark.requirement("PUT-12", "HTTP-15")
@pytest.mark.parametrize("name", ["GLACIER", "STANDARD_IA", "DEEP_ARCHIVE"])
def test_storage_classes_that_we_do_not_have_are_refused(s3: RawClient, bucket: str, name: str) -> None:
    refused = s3.request("PUT", f"/{bucket}/k", headers={"x-amz-storage-class": name}, body=b"x")
    assert refused.status in (400, 501)
    assert s3.request("HEAD", f"/{bucket}/k").status == 404


@pytest.mark.requirement("GET-01", "HTTP-25")
def test_a_get_sends_length_etag_date_type_and_metadata(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", b"hello", content_type="text/x", x_amz_meta_a="1")
    headers = s3.request("GET", f"/{bucket}/k").headers
    observed = {name: headers[name] for name in ("content-length", "etag", "content-type", "x-amz-meta-a")}
    expected = {"content-length": "5", "etag": f'"{md5_hex(b"hello")}"', "content-type": "text/x"}
    assert observed == {**expected, "x-amz-meta-a": "1"}
    assert headers["last-modified"].endswith("GMT")
    assert headers["date"].endswith("GMT")


@pytest.mark.requirement("GET-02")
def test_a_get_says_that_ranges_are_accepted(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k")
    assert s3.request("GET", f"/{bucket}/k").headers["accept-ranges"] == "bytes"


@pytest.mark.requirement("GET-03")
def test_bytes_are_never_compressed_on_the_way(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", b"a" * 10_000)
    response = s3.request("GET", f"/{bucket}/k", headers={"accept-encoding": "gzip, br, zstd"})
    assert (response.body, response.headers.get("content-encoding")) == (b"a" * 10_000, None)


@pytest.mark.requirement("GET-04")
def test_a_get_honours_a_single_range(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", b"0123456789")
    response = s3.request("GET", f"/{bucket}/k", headers={"range": "bytes=2-4"})
    assert (response.status, response.body, response.headers["content-range"]) == (
        206,
        b"234",
        "bytes 2-4/10",
    )


@pytest.mark.requirement("GET-05")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reads_evaluate_preconditions(s3: RawClient, bucket: str, method: str) -> None:
    put(s3, bucket, "k", b"v")
    etag = f'"{md5_hex(b"v")}"'
    path = f"/{bucket}/k"
    statuses = [
        s3.request(method, path, headers={"if-match": etag}).status,
        s3.request(method, path, headers={"if-match": '"0"'}).status,
        s3.request(method, path, headers={"if-none-match": etag}).status,
        s3.request(method, path, headers={"if-modified-since": "Thu, 01 Jan 2037 00:00:00 GMT"}).status,
        s3.request(method, path, headers={"if-unmodified-since": "Thu, 01 Jan 1998 00:00:00 GMT"}).status,
    ]
    assert statuses == [200, 412, 304, 200, 412]


@pytest.mark.requirement("GET-06", "DEL-06")
def test_the_version_null_is_the_object_and_other_versions_are_refused(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", b"v")
    path = f"/{bucket}/k"
    assert s3.request("GET", path, [("versionId", "null")]).body == b"v"
    assert s3.request("GET", path, [("versionId", "abc")]).status in (400, 404)
    assert s3.request("DELETE", path, [("versionId", "abc")]).status in (400, 404)
    assert s3.request("GET", path).body == b"v"
    assert s3.request("DELETE", path, [("versionId", "null")]).status == 204
    assert s3.request("GET", path).verdict == (404, "NoSuchKey")


@pytest.mark.requirement("GET-07")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_checksum_mode_is_accepted(s3: RawClient, bucket: str, method: str) -> None:
    put(s3, bucket, "k")
    assert s3.request(method, f"/{bucket}/k", headers={"x-amz-checksum-mode": "ENABLED"}).status == 200


@pytest.mark.requirement("GET-08", "CON-02")
@pytest.mark.parametrize("size", [3_000, 300_000])
def test_a_get_that_races_overwrites_returns_one_complete_version(
    s3: RawClient, bucket: str, size: int
) -> None:
    bodies = [bytes([letter]) * (size + letter) for letter in b"abcd"]
    put(s3, bucket, "k", bodies[0])
    stop = threading.Event()

    def overwrite() -> None:
        while not stop.is_set():
            for body in bodies:
                put(s3, bucket, "k", body)

    writer = threading.Thread(target=overwrite)
    writer.start()
    try:
        responses = [s3.request("GET", f"/{bucket}/k") for _ in range(60)]
    finally:
        stop.set()
        writer.join()
    torn = [r for r in responses if r.headers["etag"] != f'"{md5_hex(r.body)}"' or r.body not in bodies]
    assert torn == []


@pytest.mark.requirement("HEAD-01", "HTTP-04")
@pytest.mark.parametrize("size", [0, 5, 200_000])
def test_a_head_sends_the_headers_of_a_get_and_no_body(s3: RawClient, bucket: str, size: int) -> None:
    put(s3, bucket, "k", b"x" * size, **CONTENT_HEADERS, x_amz_meta_a="1")
    exempt = {"date", "x-amz-request-id"}
    got = s3.request("GET", f"/{bucket}/k").headers
    headed = s3.request("HEAD", f"/{bucket}/k")
    assert {k: v for k, v in headed.headers.items() if k not in exempt} == {
        k: v for k, v in got.items() if k not in exempt
    }
    assert headed.body == b""


@pytest.mark.requirement("HTTP-04")
def test_an_error_to_a_head_has_no_body(s3: RawClient, bucket: str) -> None:
    with s3.connect() as connection:
        lines = s3.sign("HEAD", f"/{bucket}/none", "", {"host": s3.host, "connection": "close"}, b"")
        connection.sendall(render("HEAD", f"/{bucket}/none", lines))
        response = read_response(connection, "HEAD")
        rest = connection.recv(1000)
    assert (response.status, rest) == (404, b"")


@pytest.mark.requirement("HEAD-02", "LIST-20", "HTTP-20")
def test_head_get_and_list_agree_about_an_object(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", b"hello")
    head = s3.request("HEAD", f"/{bucket}/k").headers
    got = s3.request("GET", f"/{bucket}/k").headers
    listed = s3.request("GET", f"/{bucket}", [("list-type", "2")])
    assert (head["etag"], head["content-length"], head["last-modified"]) == (
        got["etag"],
        got["content-length"],
        got["last-modified"],
    )
    assert (listed.text("Contents/ETag"), listed.text("Contents/Size")) == (
        head["etag"],
        head["content-length"],
    )


@pytest.mark.requirement("DEL-01", "DEL-04")
def test_a_deleted_object_is_gone_everywhere(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k")
    assert s3.request("DELETE", f"/{bucket}/k").status == 204
    assert s3.request("GET", f"/{bucket}/k").verdict == (404, "NoSuchKey")
    assert s3.request("HEAD", f"/{bucket}/k").status == 404
    assert s3.request("GET", f"/{bucket}", [("list-type", "2")]).texts("Contents/Key") == []


@pytest.mark.requirement("DEL-02")
def test_deleting_a_missing_key_succeeds(s3: RawClient, bucket: str) -> None:
    assert s3.request("DELETE", f"/{bucket}/never").status == 204


@pytest.mark.requirement("DEL-05", "KEY-07")
def test_deleting_a_slash_key_touches_neither_its_parent_nor_its_children(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", b"1")
    put(s3, bucket, "a/", b"2")
    put(s3, bucket, "a/b", b"3")
    assert s3.request("DELETE", f"/{bucket}/a/").status == 204
    assert s3.request("GET", f"/{bucket}/a").body == b"1"
    assert s3.request("GET", f"/{bucket}/a/b").body == b"3"
    assert s3.request("GET", f"/{bucket}/a/").verdict == (404, "NoSuchKey")


@pytest.mark.requirement("ERR-03")
def test_a_missing_key_is_no_such_key(s3: RawClient, bucket: str) -> None:
    assert s3.request("GET", f"/{bucket}/none").verdict == (404, "NoSuchKey")
    assert s3.request("HEAD", f"/{bucket}/none").status == 404


@pytest.mark.requirement("GET-09", "CON-08")
def test_damaged_bytes_break_the_connection_instead_of_being_delivered(
    s3: RawClient, server: anys3.Server
) -> None:
    if server.directory is None:
        pytest.skip("the memory engine has no files to damage")
    name = "damage-on-disk"
    s3.request("PUT", f"/{name}")
    put(s3, name, "k", b"z" * 3_000_000)
    blob = max(
        (path for path in server.directory.rglob("blobs/*/*") if path.is_file()),
        key=lambda p: p.stat().st_mtime,
    )
    with blob.open("r+b") as file:
        file.seek(2_000_000)
        file.write(b"!")
    with pytest.raises(ConnectionError):
        s3.request("GET", f"/{name}/k")
    s3.request("DELETE", f"/{name}/k")
