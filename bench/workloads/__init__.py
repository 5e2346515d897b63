"""The workloads, a module each family."""

from __future__ import annotations

from bench.workloads import large, listing, sdk, small
from bench.workloads.workload import Floor, Unit, Workload

__all__ = ["WORKLOADS", "Floor", "Unit", "Workload", "chosen"]

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (*small.WORKLOADS, *listing.WORKLOADS, *large.WORKLOADS, *sdk.WORKLOADS)
}


def chosen(names: list[str]) -> list[Workload]:
    """Return the workloads that the names say: `sdk-upload` is those of all clients, no names are all.

    Raises RuntimeError for a name that is none.
    """
    found: list[Workload] = []
    for name in names or list(WORKLOADS):
        some = [each for each in WORKLOADS.values() if name in (each.name, each.name.partition("/")[0])]
        if not some:
            raise RuntimeError(f"{name!r} is no workload; there are {', '.join(WORKLOADS)}")
        found.extend(each for each in some if each not in found)
    return found
