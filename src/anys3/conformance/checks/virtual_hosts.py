"""Buckets in the host name: VH-01 to VH-05.

Requests go to the endpoint's own address, and name the bucket in their Host header.
"""

from __future__ import annotations

from anys3.client.connections import Unreachable
from anys3.client.signing import presign
from anys3.conformance.kit import spare
from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import equal, require


@check("VH-01", operation="PutObject", needs=("vhost",))
def object_operations(probe: Probe) -> None:
    """Objects are put, read, copied and deleted by the bucket's host, and by path at the same time."""
    host, path, copy = _host(probe), f"/{probe.key()}", f"/{probe.key('copy')}"
    probe.request("PUT", path, body=CONTENT, host=host).expect("200", about=f"PUT with Host: {host}")
    probe.expect_content(
        probe.key(), CONTENT, about="GET by path of an object that was put by its bucket's host"
    )
    found = probe.request("GET", path, host=host).expect("200", about=f"GET with Host: {host}")
    equal(found.body, CONTENT, f"the body of GET with Host: {host}")
    probe.request("HEAD", path, host=host).expect("200", about=f"HEAD with Host: {host}")
    source = {"x-amz-copy-source": probe.path(probe.key())}
    probe.request("PUT", copy, headers=source, host=host).expect("200", about=f"a copy with Host: {host}")
    probe.expect_content(probe.key("copy"), CONTENT, about="GET by path of the copy")
    probe.request("DELETE", path, host=host).expect("204", about=f"DELETE with Host: {host}")
    probe.expect_no_object(probe.key(), about="the object that was deleted by its bucket's host")


@check("VH-01", operation="ListObjectsV2", needs=("vhost",))
def bucket_operations(probe: Probe) -> None:
    """`/` under the bucket's host is the bucket: HEAD, listings and its location."""
    host, key = _host(probe), probe.given_object()
    probe.request("HEAD", "/", host=host).expect("200", about=f"HEAD of / with Host: {host}")
    query = [("list-type", "2"), ("prefix", probe.prefix)]
    listed = probe.request("GET", "/", query, host=host).expect(
        "200", about=f"ListObjectsV2 with Host: {host}"
    )
    equal(listed.texts("Contents/Key"), [key], f"the keys that are listed with Host: {host}")
    equal(listed.text("Name"), probe.bucket, f"Name in ListObjectsV2 with Host: {host}")
    location = probe.request("GET", "/", "location", host=host)
    location.expect("200", about=f"GetBucketLocation with Host: {host}")
    equal(location.xml.tag, "LocationConstraint", f"the document of GetBucketLocation with Host: {host}")


@check("VH-01", operation="CreateBucket", needs=("vhost", "buckets"), lock="spare")
def creation_and_deletion(probe: Probe) -> None:
    """A bucket is created and deleted by its host."""
    host, path = f"{probe.spare}.{probe.ground.endpoint.authority}", probe.path(bucket=probe.spare)
    with spare.given(probe):  # so that the journal knows it
        deletion = probe.request("DELETE", "/", host=host)
        deletion.expect("204", about=f"DeleteBucket with Host: {host}")
        probe.request("HEAD", path).expect(
            "404", about="HEAD by path of a bucket that was deleted by its host"
        )
        creation = probe.request("PUT", "/", body=probe.location_document(), host=host)
        creation.expect("200", about=f"CreateBucket with Host: {host}")
        probe.request("HEAD", path).expect(
            "200", about="HEAD by path of a bucket that was created by its host"
        )


@check("VH-01", operation="GetObject", needs=("vhost",))
def presigned_url(probe: Probe) -> None:
    """A presigned URL of the bucket's host works."""
    key = probe.shared_object()
    who, host = probe.main, _host(probe)
    date = who.amz_date()
    target = presign(
        "GET", f"/{key}", (), [("host", host)], credentials=who.credentials, scope=who.scope(date),
        amz_date=date, expires_s=300,
    )  # fmt: skip
    path, _, query = target.partition("?")
    reply = probe.request("GET", path, query, identity=None, host=host)
    if reply.is_one_of("501"):
        probe.report("presigned URLs are not offered")
        return
    reply.expect("200", about=f"GET of a presigned URL with Host: {host}")
    equal(reply.body, CONTENT, f"the body of a presigned GET with Host: {host}")


@check("VH-01", operation="GetObject", needs=("vhost",))
def host_is_signed(probe: Probe) -> None:
    """The signature covers the Host as sent: one made for another host is refused with 403."""
    key, host = probe.shared_object(), _host(probe)
    reply = probe.request(
        "GET", f"/{key}", bend=lambda headers: headers.update(host=host), host=f"other.{host}"
    )
    reply.expect("403 SignatureDoesNotMatch", about="GET with a signature that was made for another host")


@check("VH-02", operation="GetObject", needs=("vhost", "https"))
def certificate(probe: Probe) -> None:
    """The endpoint's certificate covers a bucket's host name."""
    name = f"{probe.bucket}.{probe.ground.endpoint.host}"
    with probe.connect():  # what fails here is not about the name
        pass
    try:
        with probe.connect(server_name=name):
            pass
    except Unreachable as error:
        raise Failed(
            f"TLS with the name {name}: expected a certificate that covers it, got {error}"
        ) from None


@check("VH-02", operation="CreateBucket", needs=("vhost", "buckets"), lock="spare")
def dotted_name_by_path(probe: Probe) -> None:
    """A bucket whose name has dots, where such names are allowed, is reached by path."""
    name = f"a3.{probe.ground.journal.run_id}.vhost"
    with spare.trial(probe, name) as reply:
        reply.expect("200", "400 InvalidBucketName", about=f"CreateBucket of {name}")
        if reply.status != 200:
            probe.report("bucket names with dots are refused")
            return
        path = probe.path(probe.key(), name)
        probe.request("PUT", path, body=CONTENT).expect("200", about=f"PUT by path into {name}")
        found = probe.request("GET", path).expect("200", about=f"GET by path from {name}")
        equal(found.body, CONTENT, f"the object in {name}")


@check("VH-03", operation="GetObject", needs=("vhost", "buckets"))
def foreign_host(probe: Probe) -> None:
    """A Host that is neither the endpoint nor a bucket's reads the bucket of the path, or is refused."""
    other, endpoint = probe.aside(), probe.ground.endpoint
    key = probe.given_object(body=b"named by path")
    path = probe.path(key)
    with probe.setting_up("an object could not be stored"):
        trap = probe.path(path.removeprefix("/"), other)
        probe.request("PUT", trap, body=b"named by host").expect("200")
    for host in (
        f"{other}.example.com",
        f"{other}.{endpoint.host}.example.com",
        f"{other}{endpoint.authority}",
        f"x.{other}.{endpoint.authority}",
    ):
        reply = probe.request("GET", path, host=host)
        reply.expect("200", "4xx", about=f"GET by path with Host: {host}")
        if reply.status == 200:
            equal(reply.body, b"named by path", f"what a GET by path with Host: {host} reads")


@check("VH-04", operation="GetObject", needs=("vhost",))
def missing_bucket(probe: Probe) -> None:
    """The host of a bucket that does not exist is answered 404 NoSuchBucket."""
    host = f"{probe.missing_bucket}.{probe.ground.endpoint.authority}"
    for method, path in (
        ("GET", "/"),
        ("GET", f"/{probe.key()}"),
        ("PUT", f"/{probe.key()}"),
        ("DELETE", "/"),
    ):
        reply = probe.request(method, path, host=host)
        reply.expect("404 NoSuchBucket", about=f"{method} of {path} with Host: {host}")


@check("VH-05", operation="PutObject", needs=("vhost",))
def whole_path_is_key(probe: Probe) -> None:
    """Under the bucket's host the whole path is the key, also if it begins with the bucket's own name."""
    host = _host(probe)
    names = [f"{probe.prefix}b/k", f"{probe.prefix}{probe.bucket}/k"]
    for name in names:
        reply = probe.request("PUT", f"/{name}", body=name.encode(), host=host)
        reply.expect("200", about=f"PUT of /{name} with Host: {host}")
    for name in names:
        probe.expect_content(name, name.encode(), about=f"the key {name}")


@check("VH-05", operation="PutObject", needs=("vhost", "whole-bucket"))
def bucket_name_in_key(probe: Probe) -> None:
    """`/b/k` under the host of the bucket b is the key `b/k`."""
    host, key = _host(probe), f"{probe.bucket}/{probe.key()}"
    probe.request("PUT", f"/{key}", body=CONTENT, host=host).expect(
        "200", about=f"PUT of /{key}, Host: {host}"
    )
    probe.expect_content(key, CONTENT, about=f"the key {key}")
    probe.expect_no_object(probe.key(), about="the key without the bucket's name")


@check("VH-05", operation="GetObject", needs=("vhost",))
def any_case_and_port(probe: Probe) -> None:
    """Host names match in any case, and with or without a port."""
    key = probe.shared_object()
    endpoint = probe.ground.endpoint
    plain = f"{probe.bucket}.{endpoint.host}"
    for host in (plain.upper(), plain, f"{plain}:{endpoint.port}"):
        reply = probe.request("GET", f"/{key}", host=host)
        reply.expect("200", about=f"GET with Host: {host}")
        equal(reply.body, CONTENT, f"the body of GET with Host: {host}")
    for host in (endpoint.host.upper(), endpoint.host):
        reply = probe.request("GET", probe.path(key), host=host)
        require(
            reply.status == 200 and reply.body == CONTENT,
            f"GET by path with Host: {host}: expected 200 and the object, got {reply.said}",
        )


def _host(probe: Probe) -> str:
    return f"{probe.bucket}.{probe.ground.endpoint.authority}"
