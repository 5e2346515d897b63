"""The tests' own signer against botocore's, so that it is a second truth and not a third opinion."""

from __future__ import annotations

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tests.rawclient import RawClient, encode_query, key_path


@given(
    key=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1),
    value=st.text(st.characters(blacklist_categories=["Cs"])),
)
def test_the_raw_client_signs_as_botocore_does(key: str, value: str) -> None:
    client = RawClient("http://127.0.0.1:1", "AKID", "SECRET")
    path, query = key_path("bucket", key), encode_query([("prefix", value)])
    request = AWSRequest(method="GET", url=f"{client.endpoint}{path}?{query}")
    request.context["payload_signing_enabled"] = True
    S3SigV4Auth(Credentials("AKID", "SECRET"), "s3", "us-east-1").add_auth(request)
    sent = {
        "host": client.host,
        "x-amz-date": request.headers["X-Amz-Date"],
        "x-amz-content-sha256": request.headers["X-Amz-Content-SHA256"],
    }
    ours = client.sign("GET", path, query, sent, b"")
    assert ours["authorization"] == request.headers["Authorization"]
