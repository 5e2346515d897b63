"""Generic SigV4 against botocore's signer of services other than S3."""

from __future__ import annotations

import botocore.auth
import botocore.credentials
import pytest
from botocore.awsrequest import AWSRequest
from hypothesis import example, given
from hypothesis import strategies as st

from anys3.client.signing import Credentials, Scope
from anys3.conformance.vectors import generic_sigv4

AMZ_DATE = "20150830T123600Z"
# No percent sign and no plus: botocore takes a query as it is, the rules say decoded and encoded once.
segments = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="?#%/\\"), max_size=4
)
paths = st.lists(segments | st.sampled_from([".", "..", "", "%41", "a b"]), max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)
queries = st.lists(
    st.tuples(*[st.text("abcXYZ019-._~", max_size=3)] * 2).map(lambda pair: f"{pair[0]}={pair[1]}"),
    max_size=4,
)
headers = st.lists(
    st.tuples(
        st.from_regex(r"[Xx]-[A-Za-z]{1,3}", fullmatch=True),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9).map(str.strip),
    ),
    max_size=4,
)


@given(
    path=paths, query=queries, sent=headers, body=st.binary(max_size=5), token=st.none() | st.just("TOKEN==")
)
@example(path="/example/..//a/./b c/", query=[], sent=[], body=b"", token=None)
@example(path="/0/.", query=[], sent=[], body=b"", token=None)
@example(path="//", query=["b=2", "a=1", "b=1"], sent=[("X-a", "1  2"), ("x-A", "1")], body=b"x", token="T")
def test_requests_are_signed_as_botocore_signs_them(
    path: str, query: list[str], sent: list[tuple[str, str]], body: bytes, token: str | None
) -> None:
    request = AWSRequest("POST", f"http://h{path}?{'&'.join(query)}", data=body)
    for name, value in sent:
        request.headers.add_header(name, value)
    request.context["timestamp"] = AMZ_DATE
    auth = botocore.auth.SigV4Auth(botocore.credentials.Credentials("AK", "SK", token), "service", "r")
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    ours = generic_sigv4.sign(
        "POST",
        f"{path}?{'&'.join(query)}",
        [("Host", "h"), *sent],
        body,
        Credentials("AK", "SK", token),
        Scope(AMZ_DATE[:8], "r", "service"),
        AMZ_DATE,
    )
    assert ours.canonical_request == canonical
    assert ours.string_to_sign == auth.string_to_sign(request, canonical)
    assert ours.authorization.endswith(auth.signature(ours.string_to_sign, request))


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/a/..", "/"),
        ("/../../a", "/a"),
        ("/a//b/", "/a/b/"),
        ("/a/./b/..", "/a"),
        ("/a%20b", "/a%2520b"),
        ("/ሴ", "/%E1%88%B4"),
    ],
)
def test_a_path_is_normalised_and_encoded(path: str, canonical: str) -> None:
    assert generic_sigv4.canonical_uri(path, "service") == canonical


def test_the_path_of_s3_is_left_alone() -> None:
    assert generic_sigv4.canonical_uri("/a/..//%20b", "s3") == "/a/..//%20b"
