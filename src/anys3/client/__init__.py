"""A raw S3 client: exact bytes out, raw bytes in. It judges nothing and repairs nothing."""
