"""Blobs in Ceph RADOS."""
