"""TLS, and plain HTTP beside it: HTTP-01 and HTTP-02."""

from __future__ import annotations

import ssl
from dataclasses import replace

from anys3.client.connections import Dialer, ExchangeError, Unreachable
from anys3.client.endpoint import Endpoint
from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import require

PLAIN_PORT = 80
_PLAIN_WAIT_S = 2.0
_HANDSHAKE_RECORD, _SERVER_HELLO = 22, 2
_OLD_VERSIONS = {1: "TLS 1.0", 2: "TLS 1.1"}
# With AES in CBC mode and SHA-1, the suites that old clients have; for ECDSA and RSA certificates.
_OLD_SUITES = bytes.fromhex("c009c00ac013c014002f0035000a")


@check("HTTP-01", operation="ListBuckets", needs=("https",), anonymous=True)
def verified_handshake(probe: Probe) -> None:
    """A TLS handshake with 1.2 or 1.3 succeeds, with a certificate that is valid for the host name."""
    try:
        with probe.connect() as connection:
            version = connection.tls_version
    except Unreachable as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise Failed(
                f"a TLS handshake that verifies the certificate: expected success, got {error}"
            ) from None
        raise
    require(version in ("TLSv1.2", "TLSv1.3"), f"the TLS version: expected 1.2 or 1.3, got {version}")


@check("HTTP-01", operation="ListBuckets", needs=("https",), anonymous=True)
def old_versions_fail(probe: Probe) -> None:
    """A handshake that offers TLS 1.0 or 1.1 at most is refused."""
    # The hello is written by hand, for the OpenSSL of this machine may not send one.
    endpoint = probe.ground.endpoint
    plain = replace(probe.ground.dialer, endpoint=Endpoint("http", endpoint.host, endpoint.port))
    for minor, name in _OLD_VERSIONS.items():
        with plain.connect() as connection:
            connection.send(_client_hello(endpoint.host, minor))
            answer = b""
            while len(answer) < 6:
                received = connection.read_more(plain.timeout_s)
                if not received:
                    break
                answer += received
        is_hello = len(answer) > 5 and (answer[0], answer[5]) == (_HANDSHAKE_RECORD, _SERVER_HELLO)
        require(not is_hello, f"a {name} handshake: expected an alert or a close, got a ServerHello")


def _client_hello(host: str, minor: int) -> bytes:
    """Return the first message of a TLS client whose highest version is 3.`minor`."""
    name = host.encode("idna") if host.isascii() else host.encode()
    server_name = b"\0" + _sized(name)
    extensions = b"".join(
        number.to_bytes(2, "big") + _sized(content)
        for number, content in (
            (0, _sized(server_name)),
            (10, _sized(bytes.fromhex("001700180019"))),  # the curves P-256, P-384, P-521
            (11, b"\x01\x00"),  # uncompressed points
        )
    )
    body = bytes([3, minor]) + bytes(range(32)) + b"\0" + _sized(_OLD_SUITES) + b"\x01\0" + _sized(extensions)
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    return bytes([_HANDSHAKE_RECORD, 3, 1]) + _sized(hello)


def _sized(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content


@check("HTTP-02", operation="ListBuckets", anonymous=True)
def no_plain_http(probe: Probe) -> None:
    """S3 is not served over plain HTTP to other machines, except to redirect them."""
    endpoint = probe.ground.endpoint
    if not endpoint.is_tls:
        probe.report("The endpoint was checked over plain HTTP: non-conformant transport.")
    if endpoint.is_loopback:
        return
    require(endpoint.is_tls, f"{endpoint.url}: expected HTTPS or a loopback address, got plain HTTP")
    plain = Dialer(Endpoint("http", endpoint.host, PLAIN_PORT), _PLAIN_WAIT_S)
    try:
        with plain.connect() as connection:
            path = probe.path(bucket=probe.missing_bucket)
            draft = probe.draft("GET", path, identity=None, host=plain.endpoint.authority)
            reply = probe.send(draft, on=connection)
    except (ExchangeError, Failed):
        return  # nobody is there, or it does not speak HTTP
    is_s3 = reply.header("x-amz-request-id") is not None or reply.code
    require(
        not is_s3 or 300 <= reply.status < 400,
        f"an S3 request over plain HTTP to port {PLAIN_PORT}: expected no listener or a redirect, "
        f"got {reply.said} from S3",
    )
