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
    directory, running = ground.directory, ground.running
    programs = ground.home / "venv/bin"
    first, second = ground.first.secret_access_key, ground.second.secret_access_key
    (directory / "devices/d1").mkdir(parents=True)
    (directory / "swift.conf").write_text(
        f"[swift-hash]\nswift_hash_path_suffix = {ground.first.access_key_id}\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    running.call([programs / "python", "-c", RINGS, directory, *map(str, ports)])
    library = ground.home / "debian/usr/lib/x86_64-linux-gnu"
    memory: list[str | Path] = [
        ground.home / "debian/usr/bin/memcached",
        "-u",
        getpass.getuser(),
        "-l",
        "127.0.0.1",
    ]
    running.spawn([*memory, "-p", str(memcached), "-m", "32"], environment={"LD_LIBRARY_PATH": str(library)})
    for service, of in zip(SERVICES, ports, strict=True):
        text = COMMON.format(user=getpass.getuser(), directory=directory, port=of)
        path = directory / f"{service}.conf"
        path.write_text(text + STORAGE.format(service=service))
        running.spawn([programs / f"swift-{service}-server", path, "-v"], cwd=directory)
    text = COMMON.format(user=getpass.getuser(), directory=directory, port=port)
    for name in PIPELINE[:-1]:
        text += f"[filter:{name}]\nuse = egg:swift#{EGGS.get(name, name)}\n{SETTINGS.get(name, '')}\n"
    text += f"[pipeline:main]\npipeline = {' '.join(PIPELINE)} proxy-server\n"
    text += "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
    path = directory / "proxy-server.conf"
    path.touch(mode=0o600)
    path.write_text(text.format(memcached=memcached, domain=DOMAIN, first=first, second=second))
    running.spawn([programs / "swift-proxy-server", path, "-v"], cwd=directory)
    running.wait_until("the proxy answers", lambda: answers(port, "/healthcheck") == 200)
    for service, of in zip(SERVICES, ports, strict=True):
        running.wait_until(f"the {service} server answers", partial(answers, of, "/healthcheck"))
    ask = "from importlib.metadata import version; print(version('swift'))"
    return Launched(
        port=port,
        version=running.call([programs / "python", "-c", ask]).strip(),
        first=KeyPair("first:owner", first),
        second=KeyPair("second:owner", second),
        domain=DOMAIN,
    )


PRODUCT = Product(
    name="swift",
    title="OpenStack Swift s3api",
    sources=(Wheels(("swift==2.38.3",)), UnpackedDebian(("memcached", "libevent-2.1-7"))),
    syncs="object yes, listing no: fsync of file and directory, none of the container (strace)",
    identities="a user of another account, which has bucket names of its own",
    launch=_launch,
)
