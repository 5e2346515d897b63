"""One request of every operation that does what it asks for, and the scene in which it can be sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.forms import BOUNDARY, policy_of, render_form, sign, signing_fields
from tests.rawclient import RawClient, Response, encode_query, md5_b64, render

CORS = (
    b"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    b"</CORSConfiguration>"
)
TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
DELETE = b"<Delete><Object><Key>gone</Key></Object></Delete>"
CHANGING = re.compile(rb"<RequestId>.*?</RequestId>|<HostId>.*?</HostId>")


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A request that succeeds in its scene. Headers are lower case."""

    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 200
    is_form: bool = False

    @property
    def raw_query(self) -> str:
        """The query as it is sent."""
        return encode_query(self.query)

    def with_headers(self, **headers: str) -> Exemplar:
        """Return the request with more headers (`_` for `-`)."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})

    def render(
        self, s3: RawClient, extra_query: str = "", *, sign: bool = True, token: str | None = None
    ) -> bytes:
        """Return its bytes, signed in the Authorization header unless it is a form."""
        query = "&".join(filter(None, [self.raw_query, extra_query]))
        lines = {"host": s3.host, **self.headers}
        if sign and not (self.is_form and not extra_query):
            lines = s3.sign(self.method, self.path, query, lines, self.body, token)
        if self.body or self.method in ("PUT", "POST"):
            lines["content-length"] = str(len(self.body))
        return render(self.method, self.path + (f"?{query}" if query else ""), lines) + self.body


class Scene:
    """A bucket with all that the exemplars need; `prepare` makes it so again after one of them changed it."""

    def __init__(self, s3: RawClient, bucket: str) -> None:
        self.s3 = s3
        self.bucket = bucket
        self.upload_id = ""
        self.etag = ""

    def prepare(self) -> None:
        """Make whatever an exemplar needs and does not find."""
        s3, bucket = self.s3, self.bucket
        s3.request("PUT", f"/{bucket}")
        s3.request("PUT", f"/{bucket}-empty")
        s3.request("DELETE", f"/{bucket}-new")
        s3.request("PUT", f"/{bucket}", [("cors", "")], {"content-md5": md5_b64(CORS)}, CORS)
        s3.request(
            "PUT", f"/{bucket}/k", headers={"x-amz-meta-a": "1", "x-amz-tagging": "t=1"}, body=b"object"
        )
        s3.request("PUT", f"/{bucket}/gone", body=b"object")
        if self.upload_id and s3.request("GET", f"/{bucket}/m", [("uploadId", self.upload_id)]).status == 200:
            return
        self.upload_id = s3.request("POST", f"/{bucket}/m", [("uploads", "")]).text("UploadId") or ""
        part = [("partNumber", "1"), ("uploadId", self.upload_id)]
        self.etag = s3.request("PUT", f"/{bucket}/m", part, body=b"part").headers["etag"]

    def state(self) -> list[object]:
        """Return all that a client can see of the bucket."""
        s3, bucket = self.s3, self.bucket
        got = s3.request("GET", f"/{bucket}/k")
        exempt = {"date", "x-amz-request-id"}
        return [
            *(CHANGING.sub(b"", answer.body) for answer in self._reads()),
            {name: value for name, value in got.headers.items() if name not in exempt},
            got.body,
        ]

    def _reads(self) -> list[Response]:
        s3, bucket = self.s3, self.bucket
        return [
            s3.request("GET", f"/{bucket}", [("list-type", "2")]),
            s3.request("GET", f"/{bucket}/k", [("tagging", "")]),
            s3.request("GET", f"/{bucket}", [("uploads", "")]),
            s3.request("GET", f"/{bucket}/m", [("uploadId", self.upload_id)]),
            s3.request("GET", f"/{bucket}", [("cors", "")]),
            s3.request("GET", f"/{bucket}-empty", [("list-type", "2")]),
            s3.request("GET", f"/{bucket}-new", [("list-type", "2")]),
        ]

    def exemplar(self, operation: str) -> Exemplar:
        """Return the request of an operation."""
        return {one.operation: one for one in self.exemplars()}[operation]

    def exemplars(self) -> list[Exemplar]:
        """Return a request of every operation."""
        bucket, key, upload = f"/{self.bucket}", f"/{self.bucket}/k", f"/{self.bucket}/m"
        upload_id = ("uploadId", self.upload_id)
        part = (("partNumber", "1"), upload_id)
        source = {"x-amz-copy-source": key}
        completion = (
            f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{self.etag}</ETag></Part>"
            "</CompleteMultipartUpload>"
        ).encode()
        preflight = {"origin": "https://a.example", "access-control-request-method": "GET"}
        return [
            Exemplar("ListBuckets", "GET", "/"),
            Exemplar("CreateBucket", "PUT", f"{bucket}-new"),
            Exemplar("HeadBucket", "HEAD", bucket),
            Exemplar("DeleteBucket", "DELETE", f"{bucket}-empty", status=204),
            Exemplar("ListObjects", "GET", bucket),
            Exemplar("ListObjectsV2", "GET", bucket, (("list-type", "2"),)),
            Exemplar("ListObjectVersions", "GET", bucket, (("versions", ""),)),
            Exemplar("GetBucketLocation", "GET", bucket, (("location", ""),)),
            Exemplar("GetBucketVersioning", "GET", bucket, (("versioning", ""),)),
            Exemplar("GetBucketAcl", "GET", bucket, (("acl", ""),)),
            Exemplar("GetObjectLockConfiguration", "GET", bucket, (("object-lock", ""),), status=404),
            Exemplar("GetBucketCors", "GET", bucket, (("cors", ""),)),
            Exemplar("PutBucketCors", "PUT", bucket, (("cors", ""),), {"content-md5": md5_b64(CORS)}, CORS),
            Exemplar("DeleteBucketCors", "DELETE", bucket, (("cors", ""),), status=204),
            Exemplar("CorsPreflight", "OPTIONS", key, headers=preflight),
            Exemplar("ListMultipartUploads", "GET", bucket, (("uploads", ""),)),
            Exemplar(
                "DeleteObjects", "POST", bucket, (("delete", ""),), {"content-md5": md5_b64(DELETE)}, DELETE
            ),
            self._form(),
            Exemplar("PutObject", "PUT", f"{bucket}/put", body=b"object"),
            Exemplar("GetObject", "GET", key),
            Exemplar("HeadObject", "HEAD", key),
            Exemplar("DeleteObject", "DELETE", f"{bucket}/gone", status=204),
            Exemplar("CopyObject", "PUT", f"{bucket}/copy", headers=source),
            Exemplar("GetObjectAcl", "GET", key, (("acl", ""),)),
            Exemplar(
                "GetObjectAttributes", "GET", key, (("attributes", ""),), {"x-amz-object-attributes": "ETag"}
            ),
            Exemplar("GetObjectTagging", "GET", key, (("tagging", ""),)),
            Exemplar(
                "PutObjectTagging", "PUT", key, (("tagging", ""),), {"content-md5": md5_b64(TAGS)}, TAGS
            ),
            Exemplar("DeleteObjectTagging", "DELETE", key, (("tagging", ""),), status=204),
            Exemplar("CreateMultipartUpload", "POST", upload, (("uploads", ""),)),
            Exemplar("UploadPart", "PUT", upload, part, body=b"another"),
            Exemplar("UploadPartCopy", "PUT", upload, part, source),
            Exemplar("ListParts", "GET", upload, (upload_id,)),
            Exemplar("CompleteMultipartUpload", "POST", upload, (upload_id,), body=completion),
            Exemplar("AbortMultipartUpload", "DELETE", upload, (upload_id,), status=204),
        ]

    def _form(self) -> Exemplar:
        signing = signing_fields(self.s3)
        policy = policy_of(self.bucket, {"key": "form", **signing})
        signature = sign(self.s3, policy, signing["x-amz-credential"].partition("/")[2])
        fields = {"key": "form", **signing, "policy": policy, "x-amz-signature": signature}
        body = render_form(fields.items(), [("a.txt", b"object")])
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        return Exemplar(
            "PostObject", "POST", f"/{self.bucket}", headers=headers, body=body, status=204, is_form=True
        )
