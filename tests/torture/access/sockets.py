"""A part of the product over real sockets, spread over several workers."""

from __future__ import annotations

from pathlib import Path

from tests.exemplars import Scene
from tests.keepalive import KeepAlive
from tests.processes import serving
from tests.torture.access import table, ways
from tests.torture.access.table import Tally, verdict_of

CONNECTIONS = 6
"""They are spread over the workers by the kernel; each trial takes the next one."""


def broken(directory: Path, workers: int, every: int) -> Tally:
    """Try each so many-th pair of a route and a broken way; what the server holds stays as it is."""
    tally = Tally()
    rows = {**table.FORGED, **table.BENT}
    with serving(directory / "data", "--workers", str(workers)) as process:
        s3 = process.s3
        scene = Scene(s3, "table-bucket")
        scene.prepare()
        routes = [ways.without_headers(scene.exemplar(name)) for name in table.operations()]
        pairs = [(route, way) for route in routes for way in rows][::every]
        before = scene.state()
        wires = [KeepAlive(s3) for _ in range(CONNECTIONS)]
        for number, (route, way) in enumerate(pairs):
            make, allowed = rows[way]
            wire = wires[number % CONNECTIONS]
            verdict = verdict_of(wire.exchange(make(s3, route), route.method))
            expected = {(status, "") for status, _ in allowed} if route.method == "HEAD" else allowed
            tally.combinations += 1
            tally.refusals += verdict in expected
            if verdict not in expected:
                tally.note(f"{route.operation}, {way}, by a socket: {verdict}, expected {sorted(expected)}")
        for wire in wires:
            wire.close()
        if scene.state() != before:
            tally.note("over sockets: what the server holds has changed")
    return tally
