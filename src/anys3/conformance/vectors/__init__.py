"""Third-party test vectors in the public JSON format, run against an endpoint."""
