"""Secrets stay where they belong: a server, its command line and the checker live a whole life, then we look."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from anys3.model import AccessKey
from anys3.server.config import Settings
from anys3.server.credentials import KeyPair
from tests import forms
from tests.cli.conftest import CommandLine, Serving
from tests.rawclient import RawClient

CANARY = "canary-of-the-root-key-0123456789abcdefg"
SIGNATURE = re.compile(r"(?i)signature=[0-9a-f]{64}|signature\"?[:=]\s*\"?[0-9a-f]{64}")


@pytest.fixture
def life(anys3_cli: CommandLine) -> Life:
    """What a server and its commands wrote in a life with every way of signing, right and wrong."""
    life = Life(anys3_cli)
    life.live()
    return life


class Life:
    """One server with its users."""

    def __init__(self, commands: CommandLine) -> None:
        self.commands = commands
        self.spoken: list[str] = []
        self.processes: list[str] = []
        self.secrets = [CANARY]

    def live(self) -> None:
        """Serve, sign in every way, change keys, be judged, stop."""
        environment = {"ANYS3_ACCESS_KEY_ID": "operator", "ANYS3_SECRET_ACCESS_KEY": CANARY}
        server = self.commands.serve(
            "data", "--workers", "2", "--access-log", "--tls-self-signed", **environment
        )
        server.stop()
        server = self.commands.serve(
            "data", "--workers", "2", "--access-log", "--buckets", "photos", **environment
        )
        url = server.value("endpoint ")
        root = RawClient(url, "operator", CANARY)
        self._sign(root)
        self._change_keys(url)
        self._judge(url)
        self._note_processes(server)
        self.spoken += [server.screen, server.stop()]

    def _sign(self, root: RawClient) -> None:
        wrong = RawClient(root.endpoint, "operator", "not-the-secret")
        for client in (root, wrong):
            client.request("PUT", "/photos/k", body=b"1")
            client.request("GET", "/photos/none")
            client.request("GET", "/photos", "max-keys=-1")
        for line in ("AWS4-HMAC-SHA256 Credential=operator", "AWS operator:AAAA", f"Bearer {CANARY}x"):
            root.request("GET", "/photos/k", headers={"authorization": line}, sign=False)
        for client in (root, wrong):
            client.open_url("GET", client.presign("GET", "/photos/k"))
            client.open_url("PUT", client.presign("GET", "/photos/k"), body=b"2")
            forms.post(client, "photos", {"key": "from-a-form"})

    def _change_keys(self, url: str) -> None:
        for command in ("key create app --bucket photos --read --json", "key rotate app --json"):
            done = self.commands.run(*command.split())
            assert done.returncode == 0, done.stderr
            key = json.loads(done.stdout)
            self.secrets.append(key["secret_access_key"])
            assert (
                RawClient(url, key["access_key_id"], key["secret_access_key"])
                .request("GET", "/photos/k")
                .status
                == 200
            )
        for command in ("key list", "key info app --json", "bucket info photos", "key delete app"):
            done = self.commands.run(*command.split())
            self.spoken += [done.stdout, done.stderr]

    def _judge(self, url: str) -> None:
        reports = [f"--{form}=report.{form}" for form in ("html", "junit", "markdown", "badge")]
        asked = f"check {url} presign PUT-01 AUTH-05 --json --journals journals".split()
        done = self.commands.run(
            *asked,
            *reports,
            AWS_ACCESS_KEY_ID="operator",
            AWS_SECRET_ACCESS_KEY=CANARY,
        )
        assert "requirements" in done.stdout
        self.spoken += [done.stdout, done.stderr]

    def _note_processes(self, server: Serving) -> None:
        pid = server.process.pid
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.processes = [Path(f"/proc/{one}/cmdline").read_text() for one in (pid, *workers)]

    def files(self) -> list[Path]:
        """Return everything that was written in the directory of the life."""
        return [file for file in sorted(self.commands.directory.rglob("*")) if file.is_file()]


def test_no_secret_is_where_it_does_not_belong(life: Life) -> None:
    own = {"credentials", "data.mdb"}
    written = {
        str(file): file.read_bytes().decode("latin-1") for file in life.files() if file.name not in own
    }
    everywhere = {**written, "said": "\n".join(life.spoken), "process list": "\n".join(life.processes)}
    assert len(life.processes) == 3
    assert [
        (place, secret) for place, text in everywhere.items() for secret in life.secrets if secret in text
    ] == []
    assert {
        place: found[:1] for place, text in everywhere.items() if (found := SIGNATURE.findall(text))
    } == {}


def test_only_the_owner_can_read_what_holds_a_secret(life: Life) -> None:
    with_secrets = [
        file
        for file in life.files()
        if b"PRIVATE KEY" in file.read_bytes()
        or any(secret.encode() in file.read_bytes() for secret in life.secrets)
    ]
    assert {file.name for file in with_secrets} >= {"credentials", "data.mdb"}
    assert [file for file in with_secrets if stat.S_IMODE(file.stat().st_mode) & 0o077] == []
    assert stat.S_IMODE((life.commands.directory / "data").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "value",
    [
        AccessKey("id", CANARY, "app"),
        KeyPair("id", CANARY),
        Settings(root_key=KeyPair("id", CANARY)),
    ],
)
def test_a_value_that_holds_a_secret_does_not_show_it_when_it_is_printed(value: object) -> None:
    assert CANARY not in repr(value) + str(value)
