"""`anys3.Server`: the real server in this process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import anys3
from anys3.model import CorsRule
from anys3.server.refusals import Refusal
from tests.rawclient import RawClient


def client_of(server: anys3.Server) -> RawClient:
    return RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)


def test_several_servers_run_side_by_side_and_share_nothing() -> None:
    with anys3.Server(buckets=["photos"]) as one, anys3.Server() as other:
        assert one.endpoint_url != other.endpoint_url
        assert client_of(one).request("GET", "/photos").status == 200
        assert client_of(other).request("GET", "/photos").verdict == (404, "NoSuchBucket")
        assert RawClient(other.endpoint_url, one.access_key_id, one.secret_access_key).request(
            "GET", "/"
        ).verdict == (403, "InvalidAccessKeyId")


def test_a_server_starts_inside_a_running_event_loop_as_notebooks_have() -> None:
    async def cell() -> int:
        with anys3.Server(buckets=["photos"]) as server:
            return await asyncio.to_thread(lambda: client_of(server).request("GET", "/photos").status)

    assert asyncio.run(cell()) == 200


def test_a_directory_is_kept_and_is_served_by_one_at_a_time(tmp_path: Path) -> None:
    with anys3.Server(tmp_path / "data", buckets=["photos"]) as server:
        assert client_of(server).request("PUT", "/photos/a", body=b"kept").status == 200
        with pytest.raises(Refusal, match="another `anys3 serve`"):
            anys3.Server(tmp_path / "data").start()
    with anys3.Server(tmp_path / "data") as again:
        assert again.access_key_id == server.access_key_id
        assert client_of(again).request("GET", "/photos/a").body == b"kept"


def test_a_server_can_be_started_again_after_it_was_stopped() -> None:
    server = anys3.Server(buckets=["photos"])
    with server:
        client_of(server).request("PUT", "/photos/a", body=b"1")
    with server:
        assert client_of(server).request("GET", "/photos/a").verdict == (404, "NoSuchKey")
    server.stop()


def test_a_failure_to_start_is_raised_where_it_was_started() -> None:
    with pytest.raises(Refusal, match="can't be a bucket's name"):
        anys3.Server(buckets=["No_Bucket"]).start()


def test_given_keys_and_operator_cors_are_used() -> None:
    rules = [CorsRule(("https://app.example",), ("GET",))]
    with anys3.Server(
        buckets=["site:public"], cors=rules, access_key_id="operator", secret_access_key="a-secret-of-mine"
    ) as server:
        answer = RawClient(server.endpoint_url, "operator", "a-secret-of-mine").request(
            "GET", "/site", headers={"Origin": "https://app.example"}
        )
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
