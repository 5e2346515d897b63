"""VersityGW over a directory (its posix back end), with accounts in a file of its own."""

from __future__ import annotations

from pathlib import Path

from bench.peers.certificate import DOMAIN
from bench.peers.product import Ground, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import GoProgram, module_version


def _launch(ground: Ground) -> Launched:
    (port,) = free_ports(1)
    program = ground.home / "bin/versitygw"
    for name in ("data", "accounts"):
        (ground.directory / name).mkdir()
    root = {
        "ROOT_ACCESS_KEY_ID": ground.first.access_key_id,
        "ROOT_SECRET_ACCESS_KEY": ground.first.secret_access_key,
    }
    command: list[str | Path] = [program, "--port", f"127.0.0.1:{port}", "--quiet"]
    command += ["--virtual-domain", DOMAIN, "--iam-dir", ground.directory / "accounts"]
    if ground.certificate:
        command += ["--cert", ground.certificate.chain, "--key", ground.certificate.key]
    command += ["posix", ground.directory / "data"]
    ground.running.spawn(command, cwd=ground.directory, environment=root)
    ground.running.wait_until("versitygw answers", lambda: answers(port, "/", ground.certificate))
    _create_second(ground, port)
    return Launched(
        port=port,
        version=module_version(program),
        first=ground.first,
        second=ground.second,
        domain=DOMAIN,
    )


def _create_second(ground: Ground, port: int) -> None:
    command: list[str | Path] = [ground.home / "bin/versitygw", "admin", "--allow-insecure"]
    command += ["--endpoint-url", f"{ground.scheme}://127.0.0.1:{port}", "create-user"]
    command += ["--access", ground.second.access_key_id, "--secret", ground.second.secret_access_key]
    as_root = {
        "ADMIN_ACCESS_KEY_ID": ground.first.access_key_id,
        "ADMIN_SECRET_ACCESS_KEY": ground.first.secret_access_key,
    }
    ground.running.call([*command, "--role", "userplus"], environment=as_root)


PRODUCT = Product(
    name="versitygw",
    title="VersityGW",
    sources=(GoProgram("github.com/versity/versitygw/cmd/versitygw@v1.8.0"),),
    syncs="no: not one sync in 20 PUTs of 4 KiB (strace)",
    identities="a user of role userplus, who owns the buckets that it creates",
    launch=_launch,
    has_tls=True,
)
