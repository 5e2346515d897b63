"""What the threads of a workload do: one module a kind of request."""
