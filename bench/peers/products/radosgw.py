"""Ceph's radosgw over the smallest cluster: one monitor, one OSD (BlueStore in a file), no manager."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from bench.peers.certificate import DOMAIN
from bench.peers.product import Ground, KeyPair, Launched, Product
from bench.peers.running import answers, free_ports
from bench.peers.sources import DebianPackages

CONFIGURATION = """\
[global]
fsid = {fsid}
mon_host = {monitor}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
ms_bind_port_min = {osd_port}
ms_bind_port_max = {osd_port_max}
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = false
keyring = {directory}/keyring
run_dir = {directory}/run
admin_socket = {directory}/run/$name.$pid.asok
pid_file = {directory}/run/$name.pid
crash_dir = {directory}/crash
log_to_file = false
log_to_stderr = true
mon_cluster_log_to_file = false
mon_cluster_log_to_stderr = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_crush_update_on_start = true
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
# A monitor stops when the disk is 95 % full; a developer's machine may be.
mon_data_avail_warn = 2
mon_data_avail_crit = 1
osd_objectstore = bluestore
osd_memory_target = 939524096
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
bluestore_block_size = {block_size}
osd_class_load_list = *
osd_class_default_list = *
[mon]
mon_data = {directory}/mon/$id
[osd]
osd_data = {directory}/osd/$id
[client]
rgw_frontends = {frontend}
rgw_data = {directory}/rgw
rgw_dns_name = {domain}
rgw_run_sync_thread = false
rgw_enable_usage_log = false
# The default, secure, waits 300 seconds for a monitor that has no authentication.
ms_mon_client_mode = crc secure
"""
# A sparse file: a few MiB are used.
BLOCK_SIZE = 16 << 30
CLUSTER_LIMIT_S = 60.0
GATEWAY_LIMIT_S = 120.0


def _launch(ground: Ground) -> Launched:
    port, monitor_v2, monitor_v1, *osd_ports = free_ports(11)
    directory, running = ground.directory, ground.running
    # Without tcp_nodelay every small answer waits 40 ms for an acknowledgement.
    frontend = f"beast endpoint=127.0.0.1:{port} tcp_nodelay=1"
    if ground.certificate:
        certificate = f"ssl_certificate={ground.certificate.chain} ssl_private_key={ground.certificate.key}"
        frontend = f"beast ssl_endpoint=127.0.0.1:{port} {certificate} tcp_nodelay=1"
    for name in ("mon/a", "osd/0", "run", "rgw", "crash"):
        (directory / name).mkdir(parents=True)
    monitor = f"[v2:127.0.0.1:{monitor_v2},v1:127.0.0.1:{monitor_v1}]"
    fsid = str(uuid.uuid4())
    configuration = directory / "ceph.conf"
    configuration.write_text(
        CONFIGURATION.format(
            fsid=fsid,
            monitor=monitor,
            directory=directory,
            osd_port=osd_ports[0],
            osd_port_max=osd_ports[-1],
            block_size=BLOCK_SIZE,
            frontend=frontend,
            domain=DOMAIN,
        )
    )
    _start_cluster(ground, fsid, monitor)
    running.spawn(["radosgw", "-c", configuration, "-n", "client.rgw.a", "-f"], cwd=directory)
    running.wait_until("radosgw answers", lambda: answers(port, "/", ground.certificate), GATEWAY_LIMIT_S)
    for name, pair in (("first", ground.first), ("second", ground.second)):
        _create_user(ground, name, pair)
    # "ceph version 16.2.15 (618f440892089921c3e944a991122ddc44e60516) pacific (stable)"
    version = running.call(["radosgw", "--version"]).split()[2]
    return Launched(port=port, version=version, first=ground.first, second=ground.second, domain=DOMAIN)


def _start_cluster(ground: Ground, fsid: str, monitor: str) -> None:
    """Start the monitor and the OSD; return when the OSD is up."""
    directory, running = ground.directory, ground.running
    keyring, monitor_map = directory / "keyring", directory / "monmap"
    conf = ("-c", directory / "ceph.conf")
    everything = [word for of in ("mon", "osd", "mgr") for word in ("--cap", of, "allow *")]
    running.call(["ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", *everything[:3]])
    running.call(["ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *everything])
    running.call(["monmaptool", "--create", "--fsid", fsid, "--addv", "a", monitor, monitor_map])
    running.call(["ceph-mon", *conf, "--mkfs", "-i", "a", "--monmap", monitor_map, "--keyring", keyring])
    running.spawn(["ceph-mon", *conf, "-i", "a", "-f"], cwd=directory)
    osd = str(uuid.uuid4())
    running.call(["ceph", *conf, "--connect-timeout", "30", "osd", "new", osd], limit_s=CLUSTER_LIMIT_S)
    running.call(["ceph-osd", *conf, "-i", "0", "--mkfs", "--osd-uuid", osd], limit_s=CLUSTER_LIMIT_S)
    running.spawn(["ceph-osd", *conf, "-i", "0", "-f"], cwd=directory)

    def is_up() -> bool:
        said = running.call(["ceph", *conf, "--connect-timeout", "30", "osd", "stat", "-f", "json"])
        return bool(json.loads(said)["num_up_osds"] == 1)

    running.wait_until("the OSD is up", is_up, CLUSTER_LIMIT_S)


def _create_user(ground: Ground, name: str, pair: KeyPair) -> None:
    command: list[str | Path] = ["radosgw-admin", "-c", ground.directory / "ceph.conf", "user", "create"]
    command += [f"--uid={name}", f"--display-name={name}"]
    command += [f"--access-key={pair.access_key_id}", f"--secret-key={pair.secret_access_key}"]
    ground.running.call(command)


PRODUCT = Product(
    name="radosgw",
    title="Ceph radosgw",
    sources=(DebianPackages(("ceph-mon", "ceph-osd", "ceph-common", "radosgw")),),
    syncs="yes: about six fdatasync of the OSD for a PUT (strace)",
    identities="a second user, who owns the buckets that it creates",
    launch=_launch,
    has_tls=True,
)
