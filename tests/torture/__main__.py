"""Run one proof: `python -m tests.torture PROOF [--long] [--record] ...`; `PROOF --help` says what it does."""

from __future__ import annotations

import importlib
import sys

from tests.torture import records

PROOFS = {
    "crash": "kills servers at every step of a commit, and at random",
    "power": "replays recorded file operations with unsynced data dropped, torn and reordered",
    "corruption": "damages blobs, records and pages of the index, byte by byte",
    "races": "checks recorded concurrent histories for linearisability",
    "faults": "full disks, I/O errors, no descriptors, lost rights, jumping clocks, dead workers and clients",
    "fuzz": "fuzzes every parser with the corpus of the repository",
    "abuse": "floods, slow clients, bombs and smuggling against a server that others use",
    "soak": "mixed load and faults for a long time: memory, descriptors and disk stay flat",
    "access": "every route with every way of authenticating, every operation with every grant",
    "cluster": "servers that share a store on PostgreSQL, Ceph and S3, with all that can fail failing under load",
}


def main(arguments: list[str]) -> int:
    """Run the proof that is asked for and return its exit code: 0 if nothing was found."""
    if arguments[:1] == ["table"] and arguments[1:] in [[page] for page in records.PAGES]:
        print(records.table(arguments[1]))
        return 0
    if not arguments or arguments[0] not in PROOFS:
        print(__doc__)
        for name, sentence in PROOFS.items():
            print(f"  {name:<11} {sentence}")
        print(
            f"  {'table':<11} prints the recorded runs as a page of docs/ has them: {' or '.join(records.PAGES)}"
        )
        return 0 if arguments in ([], ["-h"], ["--help"]) else 2
    proof = importlib.import_module(f"tests.torture.{arguments[0]}")
    code: int = proof.run(arguments[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
