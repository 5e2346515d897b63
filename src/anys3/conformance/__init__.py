"""`anys3 check`: judges any S3 endpoint against the spec."""
