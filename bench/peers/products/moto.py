"""moto's server: S3 (and the rest of AWS) in the memory of one Python process."""

from __future__ import annotations

from pathlib import Path

from bench.peers.product import Ground, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import Wheels


def _launch(ground: Ground) -> Launched:
    (port,) = free_ports(1)
    python = ground.home / "venv/bin/python"
    command: list[str | Path] = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    if ground.certificate:
        command += ["-c", ground.certificate.chain, "-k", ground.certificate.key]
    ground.running.spawn(command, cwd=ground.directory)
    ground.running.wait_until("moto answers", lambda: answers(port, "/", ground.certificate))
    return Launched(
        port=port,
        version=ground.running.call([python, "-c", "import moto; print(moto.__version__)"]).strip(),
        first=ground.first,
        second=ground.second,
    )


PRODUCT = Product(
    name="moto",
    title="moto server",
    sources=(Wheels(("moto[server,s3]==5.2.5",)),),
    syncs="no: keeps all in memory",
    identities="any pair is taken, no signature is verified, nothing is refused to the second",
    launch=_launch,
    has_tls=True,
)
