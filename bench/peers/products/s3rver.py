"""s3rver: a fake S3 for Node.js tests, over a directory."""

from __future__ import annotations

import json
from pathlib import Path

from bench.peers.product import Ground, KeyPair, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import NodePackage


def _launch(ground: Ground) -> Launched:
    (port,) = free_ports(1)
    package = ground.home / "node_modules/s3rver"
    about = json.loads((package / "package.json").read_text())
    command: list[str | Path] = [
        "node",
        package / about["bin"]["s3rver"],
        "--directory",
        ground.directory / "data",
    ]
    command += ["--address", "127.0.0.1", "--port", str(port)]
    if ground.certificate:
        command += ["--cert", ground.certificate.chain, "--key", ground.certificate.key]
    (ground.directory / "data").mkdir()
    # One key that is too long for a file name ends the process. It starts again, as under a supervisor: what
    # is run against it meets a refused connection, and goes on.
    again = ("sh", "-c", 'while :; do "$@"; echo "s3rver ended with $?"; sleep 0.2; done', "sh")
    ground.running.spawn([*again, *command], cwd=ground.directory)
    ground.running.wait_until("s3rver answers", lambda: answers(port, "/", ground.certificate))
    # The one account that it knows is part of its code.
    return Launched(port=port, version=about["version"], first=KeyPair("S3RVER", "S3RVER"), second=None)


PRODUCT = Product(
    name="s3rver",
    title="s3rver",
    sources=(NodePackage("s3rver@3.7.1"),),
    syncs="no: not one sync in 20 PUTs of 4 KiB (strace)",
    identities="none: one account, fixed in its code",
    launch=_launch,
    has_tls=True,
)
