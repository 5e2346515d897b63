"""`anys3 key` and `anys3 bucket`, beside a running server: effective at once, exact in what they grant."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import CommandLine, Serving
from tests.rawclient import RawClient


def created(anys3_cli: CommandLine, server: Serving, *arguments: str) -> RawClient:
    """Make a key by command line and return a client that signs with it."""
    key = json.loads(anys3_cli.run("key", "create", *arguments, "--json").stdout)
    return RawClient(server.value("endpoint "), key["access_key_id"], key["secret_access_key"])


@pytest.fixture
def server(anys3_cli: CommandLine) -> Serving:
    """A server on ./data, with an object in each of two buckets."""
    server = anys3_cli.serve("data", "--workers", "2", "--buckets", "photos,site")
    for bucket in ("photos", "site"):
        assert server.root.request("PUT", f"/{bucket}/a", body=b"1").status == 200
    return server


def test_a_new_key_works_at_once_and_only_where_it_was_granted(
    anys3_cli: CommandLine, server: Serving
) -> None:
    client = created(anys3_cli, server, "app", "--bucket", "photos", "--read")
    assert client.request("GET", "/photos/a").body == b"1"
    assert client.request("PUT", "/photos/b", body=b"2").verdict == (403, "AccessDenied")
    assert client.request("GET", "/site/a").verdict == (403, "AccessDenied")
    assert client.request("GET", "/").texts("Buckets/Bucket/Name") == ["photos"]
    assert client.request("PUT", "/mine").verdict == (403, "AccessDenied")


def test_a_grant_of_writing_is_not_one_of_reading(anys3_cli: CommandLine, server: Serving) -> None:
    client = created(anys3_cli, server, "drop", "--bucket", "photos", "--bucket", "site", "--write")
    assert client.request("PUT", "/site/b", body=b"2").status == 200
    assert client.request("DELETE", "/photos/a").status == 204
    assert client.request("GET", "/site/b").verdict == (403, "AccessDenied")


def test_a_key_with_create_buckets_owns_its_buckets_and_sees_no_others(
    anys3_cli: CommandLine, server: Serving
) -> None:
    client = created(anys3_cli, server, "ci", "--create-buckets")
    other = created(anys3_cli, server, "ci-2", "--create-buckets")
    assert client.request("PUT", "/mine").status == 200
    assert client.request("PUT", "/mine/a", body=b"1").status == 200
    assert client.request("GET", "/").texts("Buckets/Bucket/Name") == ["mine"]
    assert other.request("GET", "/mine/a").verdict == (403, "AccessDenied")
    assert client.request("GET", "/photos/a").verdict == (403, "AccessDenied")


def test_a_deleted_key_is_refused_from_its_next_request_on(anys3_cli: CommandLine, server: Serving) -> None:
    client = created(anys3_cli, server, "app", "--bucket", "photos", "--read")
    assert client.request("GET", "/photos/a").status == 200
    assert anys3_cli.run("key", "delete", "app").returncode == 0
    assert client.request("GET", "/photos/a").verdict == (403, "InvalidAccessKeyId")


def test_rotating_changes_the_secret_and_keeps_id_and_buckets(
    anys3_cli: CommandLine, server: Serving
) -> None:
    old = created(anys3_cli, server, "ci", "--create-buckets")
    old.request("PUT", "/mine")
    key = json.loads(anys3_cli.run("key", "rotate", "ci", "--json").stdout)
    new = RawClient(server.value("endpoint "), key["access_key_id"], key["secret_access_key"])
    assert old.request("GET", "/mine").verdict == (403, "SignatureDoesNotMatch")
    assert new.request("GET", "/mine").status == 200


def test_rotating_the_root_key_rewrites_the_credentials_file(anys3_cli: CommandLine, server: Serving) -> None:
    key = json.loads(anys3_cli.run("key", "rotate", "root", "--json").stdout)
    path = anys3_cli.directory / "data" / "credentials"
    assert f"aws_secret_access_key = {key['secret_access_key']}\n" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    new = RawClient(server.value("endpoint "), key["access_key_id"], key["secret_access_key"])
    assert new.request("GET", "/").status == 200
    assert server.root.request("GET", "/").verdict == (403, "SignatureDoesNotMatch")


@pytest.mark.known_mistake(42)
def test_a_secret_is_shown_by_create_and_never_again(anys3_cli: CommandLine, server: Serving) -> None:
    key = json.loads(anys3_cli.run("key", "create", "app", "--bucket", "photos", "--read", "--json").stdout)
    shown = [anys3_cli.run("key", *rest) for rest in (["list"], ["info", "app"], ["info", "app", "--json"])]
    assert all(answer.returncode == 0 and key["access_key_id"] in answer.stdout for answer in shown)
    assert not any(key["secret_access_key"] in answer.stdout + answer.stderr for answer in shown)
    del server


def test_json_is_all_that_stands_on_stdout(anys3_cli: CommandLine, server: Serving) -> None:
    key = json.loads(anys3_cli.run("key", "create", "app", "--bucket", "photos", "--owner", "--json").stdout)
    assert key["name"] == "app"
    assert key["grants"] == {"photos": {"read": True, "write": True, "owner": True}}
    assert {row["name"] for row in json.loads(anys3_cli.run("key", "list", "--json").stdout)} == {
        "app",
        "root",
    }
    assert [row["name"] for row in json.loads(anys3_cli.run("bucket", "list", "--json").stdout)] == [
        "photos",
        "site",
    ]
    assert json.loads(anys3_cli.run("scrub", "data", "--json").stdout)["is_clean"] is True
    del server


def test_a_public_bucket_is_read_by_everyone_until_that_is_ended(
    anys3_cli: CommandLine, server: Serving
) -> None:
    nobody = RawClient(server.value("endpoint "), "", "")
    assert nobody.request("GET", "/site/a", sign=False).status == 403
    assert anys3_cli.run("bucket", "public", "site").returncode == 0
    assert nobody.request("GET", "/site/a", sign=False).body == b"1"
    assert nobody.request("GET", "/site", sign=False).status == 403
    assert nobody.request("DELETE", "/site/a", sign=False).status == 403
    assert anys3_cli.run("bucket", "public", "site", "--off").returncode == 0
    assert nobody.request("GET", "/site/a", sign=False).status == 403


@pytest.mark.requirement("CORS-01")
def test_the_operators_cors_rule_answers_a_preflight_at_once(anys3_cli: CommandLine, server: Serving) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    client = server.root
    assert client.request("OPTIONS", "/site/a", headers=asked, sign=False).status == 403
    rule = ("--allow-origin", "https://app.example", "--allow-method", "PUT", "--max-age", "60")
    assert anys3_cli.run("bucket", "cors", "site", *rule).returncode == 0
    allowed = client.request("OPTIONS", "/site/a", headers=asked, sign=False)
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert allowed.headers["access-control-max-age"] == "60"
    assert anys3_cli.run("bucket", "cors", "site", "--clear").returncode == 0
    assert client.request("OPTIONS", "/site/a", headers=asked, sign=False).status == 403


def test_cors_rules_are_read_from_a_file_in_the_words_of_aws(anys3_cli: CommandLine, server: Serving) -> None:
    rules = {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "ID": "all"}]}
    (anys3_cli.directory / "rules.json").write_text(json.dumps(rules))
    shown = json.loads(anys3_cli.run("bucket", "cors", "site", "rules.json", "--json").stdout)
    assert shown["operator_cors"][0]["AllowedOrigins"] == ["*"]
    assert shown["operator_cors"][0]["ID"] == "all"
    del server


def test_a_bucket_made_again_does_not_inherit_the_grants_of_the_old_one(
    anys3_cli: CommandLine, server: Serving
) -> None:
    client = created(anys3_cli, server, "app", "--bucket", "photos", "--read")
    server.root.request("DELETE", "/photos/a")
    assert anys3_cli.run("bucket", "delete", "photos").returncode == 0
    assert anys3_cli.run("bucket", "create", "photos").returncode == 0
    assert client.request("GET", "/photos").verdict == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("arguments", "code", "advice"),
    [
        (["key", "info", "nobody"], 9, "anys3 key list"),
        (["key", "create", "x", "--bucket", "nowhere", "--read"], 9, "anys3 bucket create nowhere"),
        (["key", "create", "x", "--bucket", "photos"], 2, "add --read"),
        (["key", "create", "x", "--read"], 2, "add --bucket"),
        (["key", "create", "root"], 11, "choose another name"),
        (["key", "delete", "root"], 11, "anys3 key rotate root"),
        (["bucket", "info", "nowhere"], 9, "anys3 bucket list"),
        (["bucket", "create", "photos"], 11, "exists already"),
        (["bucket", "create", "Photos_2"], 2, "lower-case"),
        (["bucket", "delete", "photos"], 11, "isn't empty"),
        (["bucket", "cors", "photos", "--allow-method", "GET"], 2, "--allow-origin"),
        (["key", "list", "--dir", "elsewhere"], 8, "anys3 serve elsewhere"),
        (["scrub", "elsewhere"], 8, "anys3 serve elsewhere"),
    ],
)
def test_a_refusal_says_in_one_line_what_to_do(
    anys3_cli: CommandLine, server: Serving, arguments: list[str], code: int, advice: str
) -> None:
    refused = anys3_cli.run(*arguments)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (code, "", 1)
    assert advice in refused.stderr
    del server
