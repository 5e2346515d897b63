"""The product: every route with every way, in one process, and a part of it over sockets of several workers."""

from __future__ import annotations

from tests.torture.access import table
from tests.torture.access.table import Table
from tests.torture.access.world import ROOT, World

A_FEW = frozenset({"GetBucketAcl", "PutObject", "PostObject"})
"""On these a hole of the verifier shows as well as on all."""


def broken(every: int, names: frozenset[str] | None = None) -> Table:
    """Try every broken way on every operation, or some, and on each so many-th route that no operation is."""
    world = World()
    one = Table(world, world.client(ROOT))
    for route in one.routes(every):
        if names is not None and route.operation not in names:
            continue
        own = {one.own_verdict(route)} if route.status == 0 else set()
        rows = {**table.FORGED, **table.BENT, **table.REFUSED_BODIES}
        for way, row in rows.items():
            if way in table.REFUSED_BODIES and route.operation == "PostObject":
                continue
            one.refuse(route, way, row, own)
    return one


def right() -> Table:
    """Try every right way on every operation: it is done, and proven exactly once."""
    world = World()
    one = Table(world, world.client(ROOT))
    for name in table.operations():
        for way, make in table.RIGHT.items():
            one.scene.prepare()
            route = one.scene.exemplar(name)
            data = route.render(one.client) if route.is_form else make(one.client, route)
            status = one.client.send(data, route.method).status
            one.tally.combinations += 1
            if status != route.status:
                one.tally.note(f"{name}, {way}: {status}, expected {route.status}")
            if world.app.calls != ["asked", "proven"]:
                one.tally.note(f"{name}, {way}: the verifier was {world.app.calls}")
    return one
