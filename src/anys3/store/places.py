"""What kind of file system a directory lies on."""

from __future__ import annotations

import os
from pathlib import Path

NETWORK = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs", "ncpfs", "gfs2", "ocfs2",
    "beegfs", "virtiofs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.glusterfs", "fuse.ceph",
})  # fmt: skip
MEMORY = frozenset({"tmpfs", "ramfs"})


def file_system(directory: Path) -> str:
    """Return the kind of file system that a directory lies on, "" if that is not known."""
    here = directory.stat().st_dev
    wanted = f"{os.major(here)}:{os.minor(here)}" if hasattr(os, "major") else ""
    path = str(directory.resolve())
    best, kind = -1, ""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        head, _, tail = line.partition(" - ")
        fields = head.split()
        point = fields[4].encode().decode("unicode_escape")
        is_above = path == point or path.startswith(point.rstrip("/") + "/")
        # The number decides among mounts over each other; some file systems show another one.
        rank = 2 * len(point) + (fields[2] == wanted)
        if is_above and rank >= best:
            best, kind = rank, tail.split()[0]
    return kind
