"""A raw S3 client for tests: exact bytes out, raw bytes in, signed by its own small SigV4 signer.

It shares no code with the server, so that a common mistake can't hide. tests/test_rawclient.py holds its
signer against botocore's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import socket
import ssl
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_to_bytes, urlsplit
from xml.etree import ElementTree

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
BLANKS = re.compile(r"[ \t]+")
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass(slots=True)
class Response:
    """One raw answer. Header names are lower case; a repeated header keeps its first value."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw_head: bytes
    is_closed: bool = False

    @property
    def code(self) -> str:
        """Return <Code> of the error document, "" if there is none."""
        if not self.body:
            return ""
        return ElementTree.fromstring(self.body).findtext("Code") or ""

    @property
    def verdict(self) -> tuple[int, str]:
        """Return status and error code, for one comparison."""
        return self.status, self.code

    @property
    def xml(self) -> ElementTree.Element:
        """Return the document, its namespace taken off."""
        root = ElementTree.fromstring(self.body)
        for element in root.iter():
            element.tag = element.tag.removeprefix(NAMESPACE)
        return root

    def texts(self, path: str) -> list[str]:
        """Return the texts of all elements at `path`."""
        return [element.text or "" for element in self.xml.findall(path)]

    def text(self, path: str) -> str | None:
        """Return the text of the first element at `path`."""
        return self.xml.findtext(path)


@dataclass(slots=True)
class RawClient:
    """Signs and sends requests as they are given: nothing is added but what signing needs."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    region: str = "us-east-1"
    clock_offset_s: int = 0
    ca_file: str | None = None
    timeout_s: float = 20.0
    _sent: list[bytes] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Return the authority of the endpoint, as a Host header has it."""
        return urlsplit(self.endpoint).netloc

    # --- requests ------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] | str = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        sign: bool = True,
        payload_hash: str | None = None,
        unsigned_headers: Mapping[str, str] | None = None,
        send_length: bool = True,
        host: str | None = None,
    ) -> Response:
        """Send one request on a connection of its own. `path` is sent as it is (already encoded)."""
        raw_query = query if isinstance(query, str) else encode_query(query)
        lines = {
            "host": host or self.host,
            **{name.lower(): value for name, value in (headers or {}).items()},
        }
        if sign:
            lines = self.sign(method, path, raw_query, lines, body, payload_hash)
        lines.update(unsigned_headers or {})
        if send_length and (body or method in ("PUT", "POST")) and "transfer-encoding" not in lines:
            lines.setdefault("content-length", str(len(body)))
        target = path + (f"?{raw_query}" if raw_query else "")
        return self.send(render(method, target, lines) + body, method)

    def sign(
        self,
        method: str,
        path: str,
        raw_query: str,
        headers: dict[str, str],
        body: bytes,
        payload_hash: str | None = None,
    ) -> dict[str, str]:
        """Return the headers with x-amz-date, x-amz-content-sha256 and Authorization."""
        headers = dict(headers)
        headers.setdefault("x-amz-date", self.amz_date())
        digest = payload_hash or headers.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest()
        headers["x-amz-content-sha256"] = digest
        names = sorted(name for name in headers if name != "content-length")
        scope = f"{headers['x-amz-date'][:8]}/{self.region}/s3/aws4_request"
        signature = self.signature(
            method, path, raw_query, headers, names, digest, headers["x-amz-date"], scope
        )
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key_id}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return headers

    def presign(
        self,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        *,
        expires_s: int | str = 300,
        drop: Iterable[str] = (),
        replace: Mapping[str, str] | None = None,
    ) -> str:
        """Return path and query of a presigned URL; `replace` and `drop` bend parameters before signing."""
        lines = {"host": self.host, **{name.lower(): value for name, value in (headers or {}).items()}}
        names = sorted(lines)
        date = self.amz_date()
        scope = f"{date[:8]}/{self.region}/s3/aws4_request"
        parameters = {
            **dict(query),
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.access_key_id}/{scope}",
            "X-Amz-Date": date,
            "X-Amz-Expires": str(expires_s),
            "X-Amz-SignedHeaders": ";".join(names),
            **(replace or {}),
        }
        for name in drop:
            parameters.pop(name, None)
        raw_query = encode_query(parameters.items())
        digest = parameters.get("X-Amz-Content-Sha256") or lines.get("x-amz-content-sha256") or UNSIGNED
        signature = self.signature(method, path, raw_query, lines, names, digest, date, scope)
        return path + "?" + raw_query + ("" if "X-Amz-Signature" in drop else f"&X-Amz-Signature={signature}")

    def open_url(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Response:
        """Send a request without signing it: for presigned URLs, and for nobody."""
        lines = {"host": self.host, **{name.lower(): value for name, value in (headers or {}).items()}}
        if body or method in ("PUT", "POST"):
            lines.setdefault("content-length", str(len(body)))
        return self.send(render(method, target, lines) + body, method)

    def signature(
        self,
        method: str,
        path: str,
        raw_query: str,
        headers: Mapping[str, str],
        names: list[str],
        digest: str,
        date: str,
        scope: str,
    ) -> str:
        """Return the SigV4 signature."""
        canonical = "\n".join(
            [
                method,
                canonical_path(path),
                canonical_query(raw_query),
                *(name + ":" + BLANKS.sub(" ", headers[name]).strip(" ") for name in names),
                "",
                ";".join(names),
                digest,
            ]
        )
        return hmac.digest(
            self.signing_key(scope),
            string_to_sign(date, scope, canonical).encode(),
            "sha256",
        ).hex()

    def signing_key(self, scope: str) -> bytes:
        """Return the derived key of a scope."""
        key = b"AWS4" + self.secret_access_key.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key

    def amz_date(self) -> str:
        """Return the time that requests carry."""
        return (datetime.now(UTC) + timedelta(seconds=self.clock_offset_s)).strftime("%Y%m%dT%H%M%SZ")

    # --- aws-chunked -----------------------------------------------------------------------------------

    def put_streaming(
        self,
        path: str,
        chunks: list[bytes],
        *,
        mode: str,
        trailer: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        bend: object = None,
    ) -> Response:
        """PUT an aws-chunked body. `bend(wire: bytes) -> bytes` damages it before it is sent."""
        decoded = b"".join(chunks)
        lines = {
            "host": self.host,
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": str(len(decoded)),
            **({"x-amz-trailer": trailer[0]} if trailer else {}),
            **(headers or {}),
        }
        signed = self.sign("PUT", path, "", lines, b"", mode)
        wire = self.chunked(chunks, signed, mode=mode, trailer=trailer)
        if callable(bend):
            wire = bend(wire)
        signed["content-length"] = str(len(wire))
        return self.send(render("PUT", path, signed) + wire, "PUT")

    def chunked(
        self, chunks: list[bytes], signed: Mapping[str, str], *, mode: str, trailer: tuple[str, str] | None
    ) -> bytes:
        """Return the aws-chunked form of `chunks`, signed if the mode says so."""
        date = signed["x-amz-date"]
        scope = f"{date[:8]}/{self.region}/s3/aws4_request"
        key = self.signing_key(scope)
        previous = signed["authorization"].rsplit("=", 1)[1]
        is_signed = mode.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        wire = []
        for chunk in [*chunks, b""]:
            extension = ""
            if is_signed:
                text = "\n".join(
                    [
                        "AWS4-HMAC-SHA256-PAYLOAD",
                        date,
                        scope,
                        previous,
                        EMPTY_SHA256,
                        hashlib.sha256(chunk).hexdigest(),
                    ]
                )
                previous = hmac.digest(key, text.encode(), "sha256").hex()
                extension = f";chunk-signature={previous}"
            wire.append(f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b""))
        if trailer:
            line = f"{trailer[0]}:{trailer[1]}\n".encode()
            wire.append(line[:-1] + b"\r\n")
            if is_signed:
                text = "\n".join(
                    ["AWS4-HMAC-SHA256-TRAILER", date, scope, previous, hashlib.sha256(line).hexdigest()]
                )
                signature = hmac.digest(key, text.encode(), "sha256").hex()
                wire.append(f"x-amz-trailer-signature:{signature}\r\n".encode())
        wire.append(b"\r\n")
        return b"".join(wire)

    # --- bytes -----------------------------------------------------------------------------------------

    def connect(self) -> socket.socket:
        """Return a connection to the endpoint."""
        parts = urlsplit(self.endpoint)
        assert parts.hostname is not None
        connection = socket.create_connection((parts.hostname, parts.port or 80), self.timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_file)
            return context.wrap_socket(connection, server_hostname=parts.hostname)
        return connection

    def send(self, data: bytes, method: str = "GET") -> Response:
        """Send bytes on a connection of their own and read one answer."""
        with self.connect() as connection:
            try:
                connection.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the server has answered and closed: its answer can still be read
            return read_response(connection, method)


def render(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def read_response(connection: socket.socket, method: str = "GET") -> Response:
    """Read one final answer; interim ones are skipped."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            received = connection.recv(65536)
            if not received:
                raise ConnectionError(f"closed before an answer: {data!r}")
            data += received
        head, _, data = data.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status != 100:
            break
    headers: dict[str, str] = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        headers.setdefault(name.decode().lower(), value.strip().decode("latin-1"))
    has_body = method != "HEAD" and status not in (204, 304)
    length = int(headers.get("content-length", "0")) if has_body else 0
    if len(data) < length:
        data += _read_exactly(connection, length - len(data))
    is_closed = headers.get("connection", "").lower() == "close"
    return Response(status, headers, data if has_body else b"", head, is_closed)


def _read_exactly(connection: socket.socket, length: int) -> bytes:
    pieces = []
    while length > 0:
        piece = connection.recv(min(length, 1 << 20))
        if not piece:
            raise ConnectionError(f"closed {length} bytes before the end of the body")
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def string_to_sign(date: str, scope: str, canonical: str) -> str:
    """Return what SigV4 signs."""
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()  # the bytes that `render` sends
    return f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"


def canonical_path(path: str) -> str:
    """Return the path, decoded once and encoded once (AUTH-02)."""
    return quote(unquote_to_bytes(path), safe="/-_.~")


def canonical_query(raw_query: str) -> str:
    """Return the query, each name and value encoded anew, sorted (AUTH-03)."""
    if not raw_query:
        return ""
    pairs = []
    for item in raw_query.split("&"):
        name, _, value = item.partition("=")
        pairs.append(
            (quote(unquote_to_bytes(name), safe="-_.~"), quote(unquote_to_bytes(value), safe="-_.~"))
        )
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def encode_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a raw query, percent-encoded."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)


def key_path(bucket: str, key: str) -> str:
    """Return the path of an object, percent-encoded as SDKs do."""
    return f"/{bucket}/{quote(key, safe='/-_.~')}"


def crc32_b64(data: bytes) -> str:
    """Return a CRC32 as x-amz-checksum-crc32 has it."""
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def sha256_b64(data: bytes) -> str:
    """Return a SHA-256 as x-amz-checksum-sha256 has it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def md5_b64(data: bytes) -> str:
    """Return an MD5 as Content-MD5 has it."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def md5_hex(data: bytes) -> str:
    """Return an MD5 as an ETag has it, without quotes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
