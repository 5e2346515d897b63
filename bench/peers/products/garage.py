"""Garage: one node, its metadata in SQLite, compiled from its crate."""

from __future__ import annotations

import secrets

from bench.peers.certificate import DOMAIN
from bench.peers.product import REGION, Ground, KeyPair, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import Crate

CONFIGURATION = """\
metadata_dir = "{directory}/metadata"
data_dir = "{directory}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secret}"
[s3_api]
s3_region = "{region}"
api_bind_addr = "127.0.0.1:{port}"
root_domain = ".{domain}"
"""


def _launch(ground: Ground) -> Launched:
    port, rpc = free_ports(2)
    program, path = ground.home / "bin/garage", ground.directory / "garage.toml"
    path.touch(mode=0o600)
    path.write_text(
        CONFIGURATION.format(
            directory=ground.directory,
            port=port,
            rpc=rpc,
            region=REGION,
            domain=DOMAIN,
            secret=secrets.token_hex(32),
        )
    )

    def garage(*words: str) -> str:
        return ground.running.call([program, "-c", path, *words], cwd=ground.directory)

    ground.running.spawn([program, "-c", path, "server"], cwd=ground.directory)
    ground.running.wait_until("Garage answers", lambda: answers(port))
    node = garage("node", "id", "--quiet").partition("@")[0].strip()
    garage("layout", "assign", "--zone", "one", "--capacity", "16G", node)
    garage("layout", "apply", "--version", "1")
    pairs = [_key_pair(), _key_pair()]
    for name, pair in zip(("first", "second"), pairs, strict=True):
        garage("key", "import", "--yes", "-n", name, pair.access_key_id, pair.secret_access_key)
        garage("key", "allow", "--create-bucket", pair.access_key_id)
    # "garage cargo:2.5.0 [features: bundled-libs, sqlite]"
    said = garage("--version").split()[1].rpartition(":")[2].removeprefix("v")
    return Launched(port=port, version=said, first=pairs[0], second=pairs[1], domain=DOMAIN)


def _key_pair() -> KeyPair:
    """Return a pair in the only shape that Garage takes."""
    return KeyPair(f"GK{secrets.token_hex(12)}", secrets.token_hex(32))


PRODUCT = Product(
    name="garage",
    title="Garage",
    sources=(Crate("garage", "2.5.0", ("bundled-libs", "sqlite")),),
    syncs="no: not one sync in 20 PUTs of 4 KiB (strace)",
    identities="a key with bucket names of its own: names made through S3 belong to the key",
    launch=_launch,
)
