"""OpenStack Swift with its S3 API: one device, one replica, each server a process, memcached for its cache.

Accounts are tempauth's. A key is `account:user`, and each account has bucket names of its own.
"""

from __future__ import annotations

import getpass
from functools import partial
from pathlib import Path

from bench.peers.certificate import DOMAIN
from bench.peers.product import Ground, KeyPair, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import UnpackedDebian, Wheels

SERVICES = ("account", "container", "object")

# One process for all rings: the command line of Swift takes half a second for each of a dozen steps.
RINGS = """\
import sys
from swift.common.ring import RingBuilder
directory, *ports = sys.argv[1:]
for service, port in zip(("account", "container", "object"), ports, strict=True):
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "d1", "weight": 1.0})
    builder.rebalance()
    builder.get_ring().save(f"{directory}/{service}.ring.gz")
"""

COMMON = """\
[DEFAULT]
user = {user}
swift_dir = {directory}
devices = {directory}/devices
mount_check = false
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
log_level = WARNING
fallocate_reserve = 0
disable_fallocate = true
"""

STORAGE = """
[pipeline:main]
pipeline = {service}-server
[app:{service}-server]
use = egg:swift#{service}
"""

PIPELINE = (
    *("catch_errors", "gatekeeper", "healthcheck", "proxy-logging", "cache", "listing_formats", "bulk"),
    *("tempurl", "s3api", "tempauth", "copy", "slo", "dlo", "versioned_writes", "symlink", "proxy-logging"),
)
EGGS = {"proxy-logging": "proxy_logging", "cache": "memcache"}
SETTINGS = {
    "cache": "memcache_servers = 127.0.0.1:{memcached}",
    "s3api": "storage_domain = {domain}\nlocation = us-east-1",
    "tempauth": "user_first_owner = {first} .admin\nuser_second_owner = {second} .admin",
    "versioned_writes": "allow_object_versioning = true",
}


def _launch(ground: Ground) -> Launched:
    port, memcached, *ports = free_ports(5)
    running, programs = ground.running, ground.home / "venv/bin"
    (ground.directory / "devices/d1").mkdir(parents=True)
    (ground.directory / "swift.conf").write_text(
        f"[swift-hash]\nswift_hash_path_suffix = {ground.first.access_key_id}\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    running.call([programs / "python", "-c", RINGS, ground.directory, *map(str, ports)])
    _start_memcached(ground, memcached)
    for service, of in zip(SERVICES, ports, strict=True):
        path = ground.directory / f"{service}.conf"
        path.write_text(_common(ground, of) + STORAGE.format(service=service))
        running.spawn([programs / f"swift-{service}-server", path, "-v"], cwd=ground.directory)
    path = _write_proxy(ground, port, memcached)
    running.spawn([programs / "swift-proxy-server", path, "-v"], cwd=ground.directory)
    running.wait_until("the proxy answers", lambda: answers(port, "/healthcheck") == 200)
    for service, of in zip(SERVICES, ports, strict=True):
        running.wait_until(f"the {service} server answers", partial(answers, of, "/healthcheck"))
    ask = "from importlib.metadata import version; print(version('swift'))"
    return Launched(
        port=port,
        version=running.call([programs / "python", "-c", ask]).strip(),
        first=KeyPair("first:owner", ground.first.secret_access_key),
        second=KeyPair("second:owner", ground.second.secret_access_key),
        domain=DOMAIN,
    )


def _start_memcached(ground: Ground, port: int) -> None:
    unpacked = ground.home / "debian/usr"
    # Debian names the folder by the machine: x86_64-linux-gnu.
    libraries = ":".join(str(path.parent) for path in unpacked.glob("lib/*/libevent-2.1.so*"))
    command: list[str | Path] = [unpacked / "bin/memcached", "-u", getpass.getuser(), "-m", "32"]
    command += ["-l", "127.0.0.1", "-p", str(port)]
    ground.running.spawn(command, cwd=ground.directory, environment={"LD_LIBRARY_PATH": libraries})


def _common(ground: Ground, port: int) -> str:
    return COMMON.format(user=getpass.getuser(), directory=ground.directory, port=port)


def _write_proxy(ground: Ground, port: int, memcached: int) -> Path:
    """Write the proxy's configuration, with the secrets of both users."""
    text = _common(ground, port)
    for name in PIPELINE[:-1]:
        text += f"[filter:{name}]\nuse = egg:swift#{EGGS.get(name, name)}\n{SETTINGS.get(name, '')}\n"
    text += f"[pipeline:main]\npipeline = {' '.join(PIPELINE)} proxy-server\n"
    text += "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
    path = ground.directory / "proxy-server.conf"
    path.touch(mode=0o600)
    secrets = {"first": ground.first.secret_access_key, "second": ground.second.secret_access_key}
    path.write_text(text.format(memcached=memcached, domain=DOMAIN, **secrets))
    return path


PRODUCT = Product(
    name="swift",
    title="OpenStack Swift s3api",
    sources=(Wheels(("swift==2.38.3",)), UnpackedDebian(("memcached", "libevent-2.1-7"))),
    syncs="object yes, listing no: fsync of file and directory, none of the container (strace)",
    identities="a user of another account, which has bucket names of its own",
    launch=_launch,
)
