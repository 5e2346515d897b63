"""Two servers on one store: conditional writes raced over both, and how many GETs a second they answer together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.processes import signed
from tests.rawclient import RawClient, read_response

ROOT = Path(__file__).resolve().parents[3]
BUCKET = "racing"
RACERS = 4
"""Connections to each server."""
READ, GET_SIZE = f"/{BUCKET}/read", 4096


def race(clients: Sequence[RawClient], turns: int) -> tuple[list[str], int]:
    """Race conditional writes, all sent before any answer is read; return what is wrong, and how many were decided.

    Each turn is three races on one key: If-None-Match: *, If-Match of what is there, and a DELETE with If-Match.
    """
    assert clients[0].request("PUT", f"/{BUCKET}").status in (200, 409)
    lanes = [(client, client.connect()) for client in clients for _ in range(RACERS)]
    wrong: list[str] = []
    try:
        for turn in range(turns):
            path, here = f"/{BUCKET}/k{turn}", clients[turn % len(clients)]
            wrong += _race(lanes, here, "PUT", path, {"if-none-match": "*"}, 412)
            for method, lost in (("PUT", 412), ("DELETE", 412)):
                etag = here.request("HEAD", path).headers.get("etag", "")
                wrong += _race(lanes, here, method, path, {"if-match": etag}, lost)
    finally:
        for _, connection in lanes:
            connection.close()
    return wrong, 3 * turns


def _race(
    lanes: Sequence[tuple[RawClient, socket.socket]],
    here: RawClient,
    method: str,
    path: str,
    headers: dict[str, str],
    lost: int,
) -> list[str]:
    """Send one request on each connection; return what is wrong unless exactly one has won, and is what is there."""
    # Of bytes that no earlier race had: their ETag would match once more.
    bodies = [f"{headers} {number}".encode() for number in range(len(lanes))]
    for (client, connection), body in zip(lanes, bodies, strict=True):
        connection.sendall(signed(client, method, path, (), headers, body if method == "PUT" else b""))
    answers = [read_response(connection, method).status for _, connection in lanes]
    winners = [number for number, status in enumerate(answers) if status in (200, 204)]
    others = {status for status in answers if status not in (200, 204)}
    what = f"{method} {path} {headers}: {answers}"
    # Who comes after a DELETE has won finds nothing, which is no match either.
    if len(winners) != 1 or others - {lost, 404 if method == "DELETE" else lost}:
        return [f"{what}: {len(winners)} winners"]
    found = here.request("GET", path)
    wanted = (404, None) if method == "DELETE" else (200, bodies[winners[0]])
    if (found.status, found.body if found.status == 200 else None) != wanted:
        return [f"{what}: then GET shows {found.status} {found.body[:100]!r}"]
    return []


# --- throughput -----------------------------------------------------------------------------------------


def throughput(clients: Sequence[RawClient], seconds: float) -> float:
    """Return GETs a second that these servers answer, asked by two processes for each."""
    assert clients[0].request("PUT", f"/{BUCKET}").status in (200, 409)
    assert clients[0].request("PUT", READ, body=bytes(GET_SIZE)).status == 200
    askers = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.torture.getting", client.endpoint),
                *(client.access_key_id, client.secret_access_key, READ, str(seconds)),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
            stdout=subprocess.PIPE,
            text=True,
        )
        for client in clients
        for _ in range(2)
    ]
    return sum(float(asker.communicate()[0]) for asker in askers)
