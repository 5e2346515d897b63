"""What shows that nothing is lost and nobody gets in: one command a proof, `python -m tests.torture PROOF`.

Each proof is a package with `run(arguments)`; bugs planted in the server, to see that the proof finds them, are
functions of its module `planted`. The short forms are tests beside it, the long forms are `make torture`.
"""
