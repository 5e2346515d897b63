"""`anys3 check`, as a process over TLS, on servers that share a store: CONFORMANT at the tiers 1, 2 and 3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from anys3.server import tls
from tests.processes import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from tests.torture.cluster.mixes import Place
from tests.torture.cluster.servers import Servers
from tests.torture.spread import Balancer

HOST = "s3.localhost"
TIMEOUT_S = 600


def judge(place: Place, count: int, *asking: str) -> tuple[list[str], dict[str, int]]:
    """Run the check over `count` servers behind one port; return what is wrong, and the requests by operation.

    `asking` are further options of the check.
    """
    names = ["localhost", "127.0.0.1", HOST, f"*.{HOST}"]
    chain, key = tls.self_signed_files(place.folder, names, datetime.now(UTC))
    options = ("--tls-cert", str(chain), "--tls-key", str(key), "--domain", HOST)
    with Servers(place, count, *options, chain=chain) as servers:
        return _ask(servers, chain, asking)


def _ask(servers: Servers, chain: Path, asking: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    second = servers.make_key("second", "--create-buckets")
    with Balancer(servers.plain) as balancer:
        environment = _environment(servers.place.folder, balancer.port, str(chain), second)
        ended = subprocess.run(
            [sys.executable, "-m", "anys3", "check", "--second-profile", "second", "--json", "-q", *asking],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    if not ended.stdout:
        return [f"anys3 check ended with {ended.returncode}: {ended.stderr[-2000:]}"], {}
    report = json.loads(ended.stdout)
    tiers = () if "--quick" in asking else report["tiers"]  # (whose verdicts need all checks)
    wrong = [f"{tier['name']} is {tier['verdict']}" for tier in tiers if tier["verdict"] != "CONFORMANT"]
    wrong += [f"{one['check']}: {one['outcome']}" for one in report["results"] if one["outcome"] != "PASS"]
    return wrong, report["requests"]


def _environment(folder: Path, port: int, chain: str, second: tuple[str, str]) -> dict[str, str]:
    """Return the environment of a user with two profiles, and nothing else of this machine's."""
    file = folder / "credentials"
    pairs = {"default": (ACCESS_KEY_ID, SECRET_ACCESS_KEY), "second": second}
    lines = [
        f"[{name}]\naws_access_key_id = {pair[0]}\naws_secret_access_key = {pair[1]}\n"
        for name, pair in pairs.items()
    ]
    file.write_text("".join(lines))
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return kept | {
        "HOME": str(folder),
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_CA_BUNDLE": chain,
        "AWS_ENDPOINT_URL": f"https://{HOST}:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_COLOR": "1",
    }
