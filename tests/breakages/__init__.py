"""How our own server is broken, one requirement at a time: a module for each module of checks."""
