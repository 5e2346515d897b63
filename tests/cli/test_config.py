"""Settings: flags over environment over anys3.toml, and what they refuse."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.cli import main
from anys3.server import credentials
from anys3.server.config import PLACES, load
from anys3.server.options import OPTIONS, Listen, WantedBucket, parse_listen
from anys3.server.refusals import Exit, Refusal
from anys3.server.strictness import parse_annex, parse_profiles
from anys3.spec import catalogue


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "anys3.toml"
    path.write_text(text)
    return path


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    path = toml(tmp_path, 'region = "file"\nlisten = "127.0.0.1:1"\nworkers = 3\n')
    settings = load({"region": "flag"}, {"ANYS3_REGION": "env", "ANYS3_LISTEN": "127.0.0.1:2"}, path)
    assert (settings.region, settings.listen.port, settings.workers) == ("flag", 2, 3)


def test_durability_is_durable_or_relaxed_and_nothing_else(tmp_path: Path) -> None:
    path = toml(tmp_path, 'durability = "relaxed"\n')
    assert [load({}, {}).is_relaxed, load({}, {}, path).is_relaxed] == [False, True]
    assert load({}, {"ANYS3_DURABILITY": "durable"}, path).is_relaxed is False
    with pytest.raises(Refusal, match="ANYS3_DURABILITY: expected durable or relaxed, got 'fast'"):
        load({}, {"ANYS3_DURABILITY": "fast"})


def test_every_setting_can_be_given_by_environment_and_by_file(tmp_path: Path) -> None:
    path = toml(
        tmp_path,
        'dir = "d"\ndomain = ["s3.example"]\ntls_cert = "c"\ntls_key = "k"\nprofile = "tier-1"\n'
        'annex = "acl"\nsigv2 = true\nbuckets = ["photos", "site:public"]\naccess-log = true\n',
    )
    from_file = load({}, {"ANYS3_WORKERS": "1"}, path)
    from_environment = load(
        {},
        {
            "ANYS3_DIR": "d",
            "ANYS3_DOMAIN": "s3.example",
            "ANYS3_TLS_CERT": "c",
            "ANYS3_TLS_KEY": "k",
            "ANYS3_PROFILE": "tier-1",
            "ANYS3_ANNEX": "acl",
            "ANYS3_SIGV2": "true",
            "ANYS3_BUCKETS": "photos,site:public",
            "ANYS3_ACCESS_LOG": "1",
            "ANYS3_WORKERS": "1",
        },
        toml(tmp_path, ""),
    )
    assert from_file == from_environment
    assert from_file.buckets == (WantedBucket("photos"), WantedBucket("site", is_public=True))
    assert from_file.profiles == frozenset(catalogue.tiers()["tier-1"].profiles)


def test_strict_mode_leaves_out_sigv2_and_the_annex_unless_told_otherwise(tmp_path: Path) -> None:
    path = toml(tmp_path, "")
    strict = load({"profile": parse_profiles("tier-1")}, {}, path)
    usual = load({}, {}, path)
    assert (strict.allow_sigv2, strict.annex) == (False, frozenset())
    assert (usual.allow_sigv2, usual.annex, usual.profiles) == (True, None, None)
    told = load(
        {"profile": parse_profiles("tier-1"), "annex": parse_annex("all")}, {"ANYS3_SIGV2": "1"}, path
    )
    assert (told.allow_sigv2, told.annex) == (True, catalogue.annex_names())


@pytest.mark.parametrize(
    ("flags", "environment", "text"),
    [
        ({}, {}, 'regoin = "x"'),
        ({}, {}, "workers = true"),
        ({}, {}, "workers = 0"),
        ({}, {}, "listen = "),
        ({}, {"ANYS3_LISTEN": "here:there"}, ""),
        ({}, {"ANYS3_LISTEN": "127.0.0.1:65536"}, ""),
        ({}, {"ANYS3_MEMORY": "perhaps"}, ""),
        ({}, {"ANYS3_PROFILE": "tier-9"}, ""),
        ({}, {"ANYS3_ANNEX": "lifecycle"}, ""),
        ({}, {"ANYS3_BUCKETS": "site:private"}, ""),
        ({}, {"ANYS3_REGION": "a/b"}, ""),
        ({}, {"ANYS3_DOMAIN": "http://s3.example"}, ""),
        ({}, {"ANYS3_MEMORY": "1", "ANYS3_WORKERS": "2"}, ""),
        ({"tls_cert": Path("c")}, {}, ""),
        ({"dir": Path("d"), "memory": True}, {}, ""),
        ({"listen": Listen("0.0.0.0", 9000)}, {}, ""),
        ({"listen": Listen("example.com", 9000)}, {}, ""),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line_with_exit_code_2(
    tmp_path: Path, flags: dict[str, object], environment: dict[str, str], text: str
) -> None:
    with pytest.raises(Refusal) as refused:
        load(flags, environment, toml(tmp_path, text))
    assert refused.value.exit_code == Exit.USAGE
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["ANYS3_DIR", "ANYS3_INDEX", "ANYS3_BLOBS", "ANYS3_CONFIG"])
def test_a_variable_that_says_which_store_it_is_must_not_be_empty(name: str) -> None:
    with pytest.raises(
        Refusal, match=f"{name} is set, but empty: expected .*; give one, or unset {name}$"
    ) as refused:
        load({}, {name: ""})
    assert refused.value.exit_code == Exit.USAGE


def test_an_empty_variable_does_not_matter_where_a_flag_says_which_store_it_is(tmp_path: Path) -> None:
    url = "postgresql://u@h/d"
    empty = {"ANYS3_DIR": "", "ANYS3_INDEX": "", "ANYS3_BLOBS": "", "ANYS3_CONFIG": ""}
    path = toml(tmp_path, "")
    given = load({"dir": Path("d"), "index": url, "blobs": "file:b"}, empty, path)
    assert (given.directory, given.index, given.blobs) == (Path("d"), url, "file:b")
    assert load({"memory": True}, empty, path).location.is_in_memory


def test_other_empty_variables_count_as_not_set() -> None:
    others = {option.variable: "" for option in OPTIONS if option.name not in PLACES}
    assert len(others) == len(OPTIONS) - 3
    assert load({}, others) == replace(load({}, {}), allow_sigv2=False, explain_signatures=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", ""],
        ["serve", "--index", "", "--blobs", "file:b"],
        ["serve", "--blobs", ""],
        ["key", "list", "--index", ""],
        ["bucket", "list", "--dir", ""],
        ["scrub", ""],
        ["backup", "data", ""],
        ["doctor", ""],
        ["doctor", "--blobs", ""],
        ["store", "copy", "data", ""],
        ["store", "copy", "data", "new", "--blobs", ""],
        ["store", "resume", ""],
    ],
)
def test_a_typed_place_must_not_be_empty(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == Exit.USAGE
    assert re.search(r"expected .*, got ''$", capsys.readouterr().err.strip())


@pytest.mark.parametrize("command", [["serve"], ["key", "list"], ["doctor"]])
@pytest.mark.parametrize("name", ["ANYS3_DIR", "ANYS3_INDEX"])
def test_every_command_refuses_an_empty_variable_and_makes_nothing(
    tmp_path: Path,
    command: list[str],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, "")
    assert main(command) == Exit.USAGE
    assert capsys.readouterr().err.startswith(f"anys3: {name} is set, but empty")
    assert not list(tmp_path.iterdir())


def test_an_unknown_variable_of_ours_is_told_not_ignored(tmp_path: Path) -> None:
    assert load({}, {"ANYS3_LISTN": "x"}, toml(tmp_path, "")).warnings == (
        "ANYS3_LISTN is set but means nothing to this version",
    )


@given(
    st.sets(st.sampled_from(sorted(catalogue.profiles()))),
    st.sets(st.sampled_from(sorted(catalogue.profiles()))),
)
def test_profiles_are_added_and_taken_away_by_their_names(added: set[str], removed: set[str]) -> None:
    removed = removed - {"core"}
    text = (
        "core"
        + "".join(f"+{name}" for name in sorted(added))
        + "".join(f"-{name}" for name in sorted(removed))
    )
    assert parse_profiles(text) == ({"core"} | added) - removed


@given(st.integers(0, 65_535), st.ip_addresses())
def test_an_address_is_read_as_it_is_shown(port: int, host: object) -> None:
    listen = Listen(str(host), port)
    assert parse_listen(str(listen)) == listen


@pytest.mark.known_mistake(16)
def test_generated_keys_are_long_random_and_safe_in_shells() -> None:
    pairs = [credentials.generate() for _ in range(200)]
    assert len({pair.secret_access_key for pair in pairs}) == 200
    assert {len(pair.secret_access_key) for pair in pairs} == {40}
    assert all(pair.access_key_id.isalnum() and len(pair.access_key_id) == 20 for pair in pairs)
    assert not any(pair.secret_access_key.startswith("-") for pair in pairs)
    assert not any(credentials.weakness_of(pair) for pair in pairs)
