"""S3's protocol, sans I/O: pure functions and values. No clock, no randomness, no sockets."""
