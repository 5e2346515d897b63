"""MinIO over one directory, compiled from its module."""

from __future__ import annotations

import json
from pathlib import Path

from bench.peers.certificate import DOMAIN
from bench.peers.product import Ground, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import GoProgram, Wheels, module_version

# MinIO's own client for Python makes the second user: rights come from a policy, buckets have no owner.
SECOND_USER = """\
import os
from minio import MinioAdmin
from minio.credentials import EnvMinioProvider
given = os.environ
admin = MinioAdmin(endpoint=given["ENDPOINT"], credentials=EnvMinioProvider(), secure=given["SCHEME"] == "https")
admin.user_add(given["SECOND_ID"], given["SECOND_SECRET"])
admin.policy_add("second", policy_file=given["POLICY"])
admin.policy_set("second", user=given["SECOND_ID"])
"""
STATEMENT = {
    "Effect": "Allow",
    "Action": ["s3:*"],
    "Resource": ["arn:aws:s3:::second-*", "arn:aws:s3:::second-*/*"],
}


def _launch(ground: Ground) -> Launched:
    port, console = free_ports(2)
    program, certificates = ground.home / "bin/minio", ground.directory / "certificates"
    certificates.mkdir()
    if ground.certificate:
        (certificates / "public.crt").write_bytes(ground.certificate.chain.read_bytes())
        (certificates / "private.key").write_bytes(ground.certificate.key.read_bytes())
    command: list[str | Path] = [program, "server", ground.directory / "data"]
    command += ["--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{console}"]
    settings = {
        "MINIO_ROOT_USER": ground.first.access_key_id,
        "MINIO_ROOT_PASSWORD": ground.first.secret_access_key,
        "MINIO_DOMAIN": DOMAIN,
        "MINIO_BROWSER": "off",
        "MINIO_CALLHOME_ENABLE": "off",
        "MINIO_UPDATE": "off",
    }
    ground.running.spawn([*command, "--certs-dir", certificates], cwd=ground.directory, environment=settings)
    ready = "/minio/health/cluster"
    ground.running.wait_until("MinIO answers", lambda: answers(port, ready, ground.certificate) == 200)
    _create_second(ground, port)
    return Launched(
        port=port,
        version=module_version(program),
        first=ground.first,
        second=ground.second,
        domain=DOMAIN,
    )


def _create_second(ground: Ground, port: int) -> None:
    policy = ground.directory / "policy.json"
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]}))
    given = {
        "MINIO_ACCESS_KEY": ground.first.access_key_id,
        "MINIO_SECRET_KEY": ground.first.secret_access_key,
        "SECOND_ID": ground.second.access_key_id,
        "SECOND_SECRET": ground.second.secret_access_key,
        "ENDPOINT": f"127.0.0.1:{port}",
        "SCHEME": ground.scheme,
        "POLICY": str(policy),
    }
    if ground.certificate:
        given["SSL_CERT_FILE"] = str(ground.certificate.authority)
    ground.running.call([ground.home / "venv/bin/python", "-c", SECOND_USER], environment=given)


PRODUCT = Product(
    name="minio",
    title="MinIO",
    sources=(
        GoProgram("github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"),
        Wheels(("minio==7.2.20",)),
    ),
    syncs="file yes, directory no: one fdatasync a PUT (strace)",
    identities="a user whose policy grants all in buckets named second-*, and nothing elsewhere",
    launch=_launch,
    has_tls=True,
)
