"""anys3 itself, as it is in this checkout and with its defaults: every write is synced."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.peers.certificate import DOMAIN
from bench.peers.product import Ground, KeyPair, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import Checkout


def _launch(ground: Ground) -> Launched:
    (port,) = free_ports(1)
    store = ground.directory / "store"
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "anys3",
        "serve",
        store,
        "--listen",
        f"127.0.0.1:{port}",
    ]
    command += ["--domain", DOMAIN]
    if ground.certificate:
        command += ["--tls-cert", ground.certificate.chain, "--tls-key", ground.certificate.key]
    root = {
        "ANYS3_ACCESS_KEY_ID": ground.first.access_key_id,
        "ANYS3_SECRET_ACCESS_KEY": ground.first.secret_access_key,
    }
    ground.running.spawn(command, environment=root, cwd=ground.directory)
    ground.running.wait_until("anys3 answers", lambda: answers(port, "/", ground.certificate))
    key: list[str | Path] = [sys.executable, "-m", "anys3", "key", "create", "second", "--create-buckets"]
    made = json.loads(ground.running.call([*key, "--dir", store, "--json"]))
    return Launched(
        port=port,
        version=ground.running.call([sys.executable, "-m", "anys3", "--version"]).split()[-1],
        first=ground.first,
        second=KeyPair(made["access_key_id"], made["secret_access_key"]),
        domain=DOMAIN,
    )


PRODUCT = Product(
    name="anys3",
    title="anys3",
    sources=(Checkout(),),
    syncs="yes: one fdatasync of the index a PUT (strace)",
    identities="a key that owns the buckets it creates and sees no others",
    launch=_launch,
    has_tls=True,
)
