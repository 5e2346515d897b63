"""The named steps of a commit on engines that lie elsewhere, and how a server is made to end at one of them.

    python -m tests.torture.server --with tests.torture.cluster.steps:follow=FILE serve ...

They are seams as those of `crash.steps`, some of which the embedded engine shares. `soon` lets janitors take a
process for dead after seconds, so that a test can see what they leave.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.torture.cluster.mixes import Mix
from tests.torture.crash.plan import Plan
from tests.torture.crash.steps import SEAMS as EMBEDDED
from tests.torture.crash.steps import Seam, Step, table, wrap

_POSTGRESQL = "anys3.store.postgresql."
_SHARED = (
    "transaction begun",
    "content claimed",
    "content kept",
    "content freed",
    "object put",
    "part put",
    "upload completed",
    "committed",
    "outbox row deleted",
    "outbox step committed",
)
"""Seams of the embedded engine that matter to blobs elsewhere, too."""
LATER = "later"
"""The phase of what janitors do when nobody asks any more."""
DEAD_S = 6.0


def _has_blob(writer: Any) -> bool:
    return bool(writer._name)


def _is_first(writer: Any) -> bool:
    return writer._sink is None


def _postgresql(name: str, place: str, *more: str) -> Seam:
    when, phase = (*more, "before after", "run")[:2] if len(more) < 2 else more
    return Seam(name, _POSTGRESQL + place, when, phase, "postgresql")


SEAMS = (
    Seam("blob named", "anys3.store.contents:Writer._begin", applies=_is_first),
    Seam("blob written", "anys3.store.contents:Writer._take"),
    Seam("blob finished on RADOS", "anys3.store.rados.blobs:RadosSink.finish", mode="rados"),
    Seam("blob finished on S3", "anys3.store.s3.writing:Sink.finish", mode="s3"),
    Seam("blob finished in a file", "anys3.store.files.blobs:FileSink.finish", mode="file"),
    Seam("content finished", "anys3.store.contents:Writer.finish", "after", applies=_has_blob),
    Seam("content discarded", "anys3.store.contents:Writer.discard", applies=_has_blob),
    Seam("answer sent", "anys3.server.protocol:HttpProtocol._answer"),
    # PostgreSQL
    _postgresql("process registered", "lease:Lease._register", "before after", "start"),
    _postgresql("names reserved", "names:BlobNames._reserve"),
    _postgresql("mutation submitted", "committing:Lane.call", "before"),
    _postgresql("commit sent", "committing:Lane._fly", "before"),
    _postgresql("commit answered", "committing:Lane._answer"),
    _postgresql("names given up", "names:BlobNames._move"),
    _postgresql("freed marked", "janitor:Janitor._mark", "before after", LATER),
    _postgresql("freed claimed", "janitor:Janitor._claim", "after", LATER),
    _postgresql("parts removed", "janitor:Janitor._remove_parts", "before after", LATER),
    _postgresql("freed removed", "janitor:Janitor._remove", "after", LATER),
    # the embedded index
    *(seam._replace(mode="embedded") for seam in EMBEDDED if seam.name in _SHARED),
    Seam("blobs removed", "remote:RemoteFiles.remove_blobs", "before after", LATER, "embedded"),
)
UNDER_WAY = Seam("commit under way", "", "", mode="postgresql")
STEPS = table(*SEAMS, UNDER_WAY)
"""All steps by name."""
_MOST_S = 0.003
"""How long a commit is under way before its server ends, at most."""


def steps_of(mix: Mix) -> list[Step]:
    """Return the steps that servers on a mix come to."""
    modes = {"", mix.index, "rados" if mix.blobs == "ec" else mix.blobs}
    return [step for step in STEPS.values() if step.seam.mode in modes]


def follow(file: str) -> None:
    """Wrap all seams of the engines that are installed; the plan in that file says where to end."""
    if os.getpgrp() != os.getpid():
        raise SystemExit("the server must lead a process group of its own: ending it would end others")
    plan = Plan(Path(file))
    for seam in SEAMS:
        wrap(seam, STEPS, plan)
    _end_under_way(plan)


def _end_under_way(plan: Plan) -> None:
    """Let a commit reach its step while PostgreSQL has it, or has just answered."""
    connections = importlib.import_module(_POSTGRESQL + "connections")
    number = STEPS[UNDER_WAY.name].number

    def ending(original: Any) -> Any:
        async def fetch(self: Any, sql: str, args: Sequence[object], *more: Any) -> Any:
            if "_put(" in sql or "_complete(" in sql or "_delete(" in sql:
                later = random.uniform(0, _MOST_S)
                asyncio.get_running_loop().call_later(later, plan.reached, number)
            return await original(self, sql, args, *more)

        return fetch

    connections.Link.fetch = ending(connections.Link.fetch)
    connections.Link.fetch_many = ending(connections.Link.fetch_many)


def soon() -> None:
    """Let janitors take a process for dead sooner: its row keeps what it may be reading."""
    importlib.import_module(_POSTGRESQL + "janitor").DEAD_S = DEAD_S
