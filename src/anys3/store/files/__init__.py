"""Blobs as files of a directory that several machines share: NFS, CephFS, or a local one."""

from anys3.store.files.blobs import FileBlobs, open_blobs

__all__ = ["FileBlobs", "open_blobs"]
