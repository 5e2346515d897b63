"""Blobs in a bucket of another S3 provider."""
