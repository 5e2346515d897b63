"""The shell around the core: sockets, workers, settings, keys on disk, and the server as a Python object."""
