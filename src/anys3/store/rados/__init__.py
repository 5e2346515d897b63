"""Blobs in Ceph RADOS, through librados2."""

from anys3.store.rados.blobs import RadosBlobs, open_blobs

__all__ = ["RadosBlobs", "open_blobs"]
