"""Real engines for the tests, started without systemd and ended with the process that started them."""
