"""Signatures of the raw client against botocore's, AWS's documented examples, and our server's decoder."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import botocore.auth
import botocore.credentials
import pytest
from botocore.awsrequest import AWSRequest
from hypothesis import example, given
from hypothesis import strategies as st

from anys3.client import signing
from anys3.client.signing import Credentials, Scope
from anys3.protocol.aws_chunked import MIN_SIGNED_CHUNK, Decoder
from anys3.protocol.sigv4 import Seal, Signer
from anys3.spec.errors import S3Error

AMZ_DATE = "20261121T070000Z"
SCOPE = Scope("20261121", "eu-north-1")
HOST = "127.0.0.1:9000"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
tokens = st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
names = st.from_regex(r"x-amz-meta-[a-z0-9]{1,4}", fullmatch=True)
# Runs of blanks, at the ends and between, are what canonical values are about.
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).map(str.strip)
headers = st.lists(st.tuples(names, values), max_size=5)


def credentials(token: str | None) -> Credentials:
    return Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token)


def botocores(ours: Credentials) -> botocore.credentials.Credentials:
    return botocore.credentials.Credentials(ours.access_key_id, ours.secret_access_key, ours.session_token)


def as_botocore(
    method: str, path: str, raw_query: str, sent: list[tuple[str, str]], body: bytes
) -> AWSRequest:
    url = f"http://{HOST}{path}" + (f"?{raw_query}" if raw_query else "")
    request = AWSRequest(method, url, data=body)
    for name, value in sent:
        request.headers.add_header(name, value)
    request.context.update(timestamp=AMZ_DATE, payload_signing_enabled=True)
    return request


@given(
    key=texts,
    query=st.lists(st.tuples(texts, texts), max_size=4),
    sent=headers,
    token=tokens,
    body=st.binary(max_size=9),
)
@example(
    key="../a//./b+c d~%2F é", query=[("prefix", ""), ("a", "2"), ("a", "1")], sent=[], token=None, body=b""
)
@example(key="k", query=[], sent=[("x-amz-meta-a", "b  c"), ("x-amz-meta-a", "b")], token="T//=", body=b"x")
def test_headers_are_signed_as_botocore_signs_them(
    key: str, query: list[tuple[str, str]], sent: list[tuple[str, str]], token: str | None, body: bytes
) -> None:
    ours = credentials(token)
    path, raw_query = signing.encode_path("bucket", key), signing.encode_query(query)
    request = as_botocore("PUT", path, raw_query, sent, body)
    auth = botocore.auth.S3SigV4Auth(botocores(ours), "s3", SCOPE.region)
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    theirs = auth.signature(auth.string_to_sign(request, canonical), request)
    payload_hash = request.headers["X-Amz-Content-SHA256"]
    authorization = signing.sign(
        "PUT",
        path,
        raw_query,
        [("Host", HOST), *request.headers.items()],
        credentials=ours,
        scope=SCOPE,
        amz_date=AMZ_DATE,
        payload_hash=payload_hash,
    )
    all_headers = [("Host", HOST), *request.headers.items()]
    signed = sorted(signing.signable(all_headers))
    assert signing.canonical_request("PUT", path, raw_query, all_headers, signed, payload_hash) == canonical
    assert authorization == (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, "
        f"SignedHeaders={auth.signed_headers(auth.headers_to_sign(request))}, Signature={theirs}"
    )


@given(key=texts, query=st.lists(st.tuples(texts, texts), max_size=4), sent=headers, token=tokens)
def test_urls_are_presigned_as_botocore_presigns_them(
    key: str, query: list[tuple[str, str]], sent: list[tuple[str, str]], token: str | None
) -> None:
    ours = credentials(token)
    path = signing.encode_path("bucket", key)
    url = signing.presign(
        "GET",
        path,
        query,
        [("host", HOST), *sent],
        credentials=ours,
        scope=SCOPE,
        amz_date=AMZ_DATE,
        expires_s=60,
    )
    unsigned, _, signature = url.rpartition("&X-Amz-Signature=")
    request = as_botocore("GET", path, urlsplit(unsigned).query, sent, b"")
    auth = botocore.auth.S3SigV4QueryAuth(botocores(ours), "s3", SCOPE.region, expires=60)
    canonical = auth.canonical_request(request)
    assert auth.signature(auth.string_to_sign(request, canonical), request) == signature


def test_a_presigned_url_has_the_parameters_that_botocore_gives_it() -> None:
    ours = credentials("TOKEN")
    request = as_botocore("GET", "/b/k", "versionId=1", [], b"")
    auth = botocore.auth.S3SigV4QueryAuth(botocores(ours), "s3", SCOPE.region, expires=60)
    auth._modify_request_before_signing(request)
    url = signing.presign(
        "GET", "/b/k", [("versionId", "1")], [("host", HOST)],
        credentials=ours, scope=SCOPE, amz_date=AMZ_DATE, expires_s=60,
    )  # fmt: skip
    found = parse_qs(urlsplit(url).query)
    found.pop("X-Amz-Signature")
    assert found == parse_qs(urlsplit(request.url).query)


def test_a_parameter_of_a_presigned_url_can_be_bent_or_left_out() -> None:
    url = signing.presign(
        "GET", "/b/k", [], [("host", HOST)],
        credentials=credentials(None), scope=SCOPE, amz_date=AMZ_DATE, expires_s=60,
        replace={"X-Amz-Date": None, "X-Amz-Expires": "-1"},
    )  # fmt: skip
    found = parse_qs(urlsplit(url).query)
    assert ("X-Amz-Date" in found, found["X-Amz-Expires"]) == (False, ["-1"])


def test_the_length_is_not_signed_and_named_headers_are_all_that_is() -> None:
    sent = [("Host", HOST), ("Content-Length", "3"), ("X-Amz-Date", AMZ_DATE), ("Expect", "100-continue")]
    assert signing.signable(sent) == {"host", "x-amz-date"}
    authorization = signing.sign(
        "GET", "/", "", sent,
        credentials=credentials(None), scope=SCOPE, amz_date=AMZ_DATE, payload_hash="UNSIGNED-PAYLOAD",
        signed_names=["host"],
    )  # fmt: skip
    assert "SignedHeaders=host, " in authorization


def test_a_secret_is_in_no_repr() -> None:
    assert "wJalr" not in repr(Credentials("A", "wJalr", "wJalr"))


# The example of "Signature calculations for the Authorization header: transferring a payload in multiple
# chunks", Amazon S3 API reference.
AWS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
AWS_SCOPE = Scope("20130524", "us-east-1")
AWS_HEADERS = [
    ("Host", "s3.amazonaws.com"),
    ("x-amz-date", "20130524T000000Z"),
    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ("x-amz-content-sha256", signing.STREAMING_SIGNED),
    ("Content-Encoding", "aws-chunked"),
    ("x-amz-decoded-content-length", "66560"),
    ("Content-Length", "66824"),
]
AWS_SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"


def test_the_seed_of_awss_example_of_chunks_is_found() -> None:
    authorization = signing.sign(
        "PUT", "/examplebucket/chunkObject.txt", "", AWS_HEADERS,
        credentials=AWS, scope=AWS_SCOPE, amz_date="20130524T000000Z", payload_hash=signing.STREAMING_SIGNED,
        signed_names=[name.lower() for name, _ in AWS_HEADERS],
    )  # fmt: skip
    assert authorization.endswith(f"Signature={AWS_SEED}")


def test_the_chunks_of_awss_example_are_signed_as_documented() -> None:
    body = signing.chunked(
        [b"a" * 65536, b"a" * 1024],
        mode=signing.STREAMING_SIGNED,
        seed=AWS_SEED,
        credentials=AWS,
        scope=AWS_SCOPE,
        amz_date="20130524T000000Z",
    )
    assert body == (
        b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
        + b"a" * 65536
        + b"\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
        + b"a" * 1024
        + b"\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
    )
    assert len(body) == 66824


def test_the_trailer_of_awss_example_is_signed_as_documented() -> None:
    body = signing.chunked(
        [b"a" * 65536, b"a" * 1024],
        mode=signing.STREAMING_SIGNED_TRAILER,
        seed="106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        credentials=AWS,
        scope=AWS_SCOPE,
        amz_date="20130524T000000Z",
        trailers=[("x-amz-checksum-crc32c", "sOO8/Q==")],
    )
    assert body.endswith(
        b"\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
        b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
        b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
    )


def new_seal(seed: str) -> Seal:
    signer = Signer(AWS.secret_access_key, b"20130524", "us-east-1", b"host")
    return Seal(signer, b"20130524T000000Z", seed.encode())


def decoded(body: bytes, length: int, seal: Seal | None, announced: bytes | None) -> bytes:
    decoder = Decoder(seal, announced, length)
    found = b"".join(bytes(piece) for piece in decoder.feed(body))
    decoder.finish()
    return found


@given(
    sizes=st.lists(st.integers(MIN_SIGNED_CHUNK, 2 * MIN_SIGNED_CHUNK), max_size=3),
    last=st.binary(min_size=1, max_size=50),
    is_signed=st.booleans(),
    has_trailer=st.booleans(),
)
def test_our_server_decodes_the_chunks_of_the_client(
    sizes: list[int], last: bytes, is_signed: bool, has_trailer: bool
) -> None:
    chunks = [*(b"x" * size for size in sizes), last]
    mode = {
        (True, True): signing.STREAMING_SIGNED_TRAILER,
        (True, False): signing.STREAMING_SIGNED,
        (False, True): signing.STREAMING_UNSIGNED_TRAILER,
        (False, False): signing.STREAMING_UNSIGNED_TRAILER,
    }[is_signed, has_trailer]
    body = signing.chunked(
        chunks,
        mode=mode,
        seed=AWS_SEED,
        credentials=AWS,
        scope=AWS_SCOPE,
        amz_date="20130524T000000Z",
        trailers=[("x-amz-checksum-crc32", "AAAAAA==")] if has_trailer else [],
    )
    seal = new_seal(AWS_SEED) if is_signed else None
    whole = b"".join(chunks)
    assert decoded(body, len(whole), seal, b"x-amz-checksum-crc32" if has_trailer else None) == whole


def test_our_server_refuses_chunks_that_hang_on_another_seed() -> None:
    body = signing.chunked(
        [b"data"], mode=signing.STREAMING_SIGNED, seed="0" * 64, credentials=AWS, scope=AWS_SCOPE,
        amz_date="20130524T000000Z",
    )  # fmt: skip
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        decoded(body, 4, new_seal(AWS_SEED), None)


def test_a_policy_is_signed_as_botocore_signs_it() -> None:
    key = botocore.auth.S3SigV4PostAuth(botocores(AWS), "s3", "us-east-1")
    request = AWSRequest("POST", "https://examplebucket.s3.amazonaws.com/")
    request.context.update(timestamp="20130524T000000Z")
    assert signing.sign_policy("eyJh", AWS, AWS_SCOPE) == key.signature("eyJh", request)


@given(bucket=st.from_regex(r"[a-z0-9]{3,9}", fullmatch=True), key=texts)
def test_a_path_is_the_key_percent_encoded(bucket: str, key: str) -> None:
    assert signing.encode_path(bucket, key) == f"/{bucket}" + (f"/{quote(key, safe='/-_.~')}" if key else "")
